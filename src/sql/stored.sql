-- The install parameters as the ledger has them; what it lacks is empty.
select pg_catalog.set_config('authmig.' || n.name,
            coalesce((select p.value::text from only authmig.parameter as p where p.name = n.name limit 1), ''), true)
  from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
               ('api_schema')) as n (name);
