-- The install parameters as PostgreSQL writes them in definitions (a backslash in a
-- literal is one character there), by their placeholders in the manifest;
-- and the schemas and extensions that authmig created. Whether a superuser asks stands behind each name.
select '{' || v.name || '}', quote_ident(current_setting('authmig.' || v.name)), '''' || replace(current_setting('authmig.' || v.name), '''', '''''') || '''',
       current_setting('is_superuser')
  from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
               ('api_schema')) as v (name)
 order by length(current_setting('authmig.' || v.name)) desc;
-- What it created is read from a table, and not from a view that runs its maker's code. Of the
-- other kinds it is enough that there are any.
select case when c.kind collate "C" in ('schema', 'extension') then c.name collate "C" end
  from only authmig.created as c tablesample system (100);
