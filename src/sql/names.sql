-- The install parameters as PostgreSQL writes them in definitions (a backslash in a
-- literal is one character there), by their placeholders in the manifest;
-- and the schemas and extensions that authmig created.
select '{' || v.name || '}', quote_ident(current_setting('authmig.' || v.name)), '''' || replace(current_setting('authmig.' || v.name), '''', '''''') || ''''
  from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
               ('api_schema')) as v (name)
 order by length(current_setting('authmig.' || v.name)) desc;
-- What it created is read from a table, and not from a view that runs its maker's code.
do $$ begin
    lock table only authmig.created in access share mode;
    if exists (select from pg_catalog.pg_class as c
                where c.oid = 'authmig.created'::regclass
                  and (c.relkind <> 'r' or c.relrowsecurity
                       or exists (select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.atttypid >= 16384)))
    then
        raise exception using errcode = '42809', message = 'authmig.created is no plain table';
    end if;
end $$;
select c.name from only authmig.created as c where c.kind in ('schema', 'extension');
