-- The install parameters as PostgreSQL writes them in definitions (a backslash in a
-- literal is one character there), by their placeholders in the manifest;
-- and the schemas and extensions that authmig created.
select '{' || v.name || '}', quote_ident(current_setting('authmig.' || v.name)), '''' || replace(current_setting('authmig.' || v.name), '''', '''''') || ''''
  from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
               ('api_schema')) as v (name)
 order by length(current_setting('authmig.' || v.name)) desc;
select c.name from authmig.created as c where c.kind in ('schema', 'extension');
