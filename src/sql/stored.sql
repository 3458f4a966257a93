-- The install parameters as the ledger has them; what it lacks is empty. See read.sql.
select set_config('authmig.' || n.name,
            coalesce((select (p.value collate "C")::text from only authmig.parameter as p tablesample system (100)
                       where p.name collate "C" = n.name limit 1), ''), true)
  from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
               ('api_schema')) as n (name);
