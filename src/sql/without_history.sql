-- Where nothing was found to be applied: how old the server is, whether there is a ledger all the
-- same, and whether authmig is installed all the same.
select pg_catalog.current_setting('server_version_num'), pg_catalog.to_regnamespace('authmig') is not null,
       pg_catalog.to_regclass('auth_private.config') is not null and exists (
            select from pg_catalog.pg_attribute as a
             where a.attrelid operator(pg_catalog.=) pg_catalog.to_regclass('auth.refresh_token')
               and a.attname operator(pg_catalog.=) 'selector');
