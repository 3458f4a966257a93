-- The last write before the commit. PostgREST hears of it when it is committed.
insert into authmig.journal (id, action, versions, duration, detail)
select coalesce(max(j.id), 0) + 1,
       case when pg_catalog.current_setting('authmig.adopted', true) <> '' then 'adopt'
            else pg_catalog.current_setting('authmig.action') end,
       pg_catalog.current_setting('authmig.versions')::int4[],
       pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp(),
       nullif(pg_catalog.current_setting('authmig.adopted', true), '')::jsonb
  from authmig.journal as j;
