-- The install parameters as PostgreSQL writes them in definitions (a backslash in a
-- literal is one character there), by their placeholders in the manifest;
-- and the schemas and extensions that authmig created, with whoever owns the ledger, unless
-- that is who asks, or a superuser.
select '{' || v.name || '}', quote_ident(current_setting('authmig.' || v.name)), '''' || replace(current_setting('authmig.' || v.name), '''', '''''') || ''''
  from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
               ('api_schema')) as v (name)
 order by length(current_setting('authmig.' || v.name)) desc;
-- What it created is read from a table, and not from a view that runs its maker's code.
select c.name collate "C", null from only authmig.created as c tablesample system (100)
 where c.kind collate "C" in ('schema', 'extension')
 union all
select null, quote_ident(o.rolname)
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_roles as o on o.oid = n.nspowner
 where n.nspname = 'authmig' and not o.rolsuper and o.rolname <> current_user;
