-- Where nothing was found to be applied: how old the server is, whether there is a ledger all the
-- same, whether authmig is installed all the same, and whether the published SQL is: by the catalogs,
-- since to_regclass wants USAGE of a schema that can be anybody's.
select pg_catalog.current_setting('server_version_num'), pg_catalog.to_regnamespace('authmig') is not null,
       exists (
            select from pg_catalog.pg_class as c
              join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
             where n.nspname operator(pg_catalog.=) 'auth_private' and c.relname operator(pg_catalog.=) 'config')
       and exists (
            select from pg_catalog.pg_attribute as a
              join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) a.attrelid
              join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
             where n.nspname operator(pg_catalog.=) 'auth' and c.relname operator(pg_catalog.=) 'refresh_token'
               and a.attname operator(pg_catalog.=) 'selector'),
       -- As in preflight.sql.
       3 operator(pg_catalog.=) (
            select pg_catalog.count(*) from pg_catalog.pg_attribute as a
              join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) a.attrelid
              join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
             where n.nspname operator(pg_catalog.=) 'auth' and c.relname operator(pg_catalog.=) 'refresh_token'
               and a.attname operator(pg_catalog.=) any ('{subject, token, created_at}'::pg_catalog.name[]));
