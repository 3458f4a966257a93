-- The last write before the commit. PostgREST hears of it when it is committed.
insert into authmig.journal (action, versions, duration)
values (pg_catalog.current_setting('authmig.action'), pg_catalog.current_setting('authmig.versions')::int4[],
        pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp());
