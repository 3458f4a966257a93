-- Keeps the names that this database is installed with; after a rollback of everything, others may be given.
insert into authmig.parameter (name, value)
select p.name, pg_catalog.current_setting('authmig.' || p.name)
  from (values ('anon_role'), ('authenticated_role'), ('service_role'),
               ('authenticator_role'), ('owner_role'), ('api_schema')) as p (name)
    on conflict (name) do update set value = excluded.value where parameter.value <> excluded.value;
