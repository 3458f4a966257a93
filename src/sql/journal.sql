-- The last write before the commit, but for that of adopt_journal.sql. PostgREST hears of it when it is committed.
insert into authmig.journal (id, action, versions, duration)
select coalesce(max(j.id), 0) + 1, {action}, {versions},
       pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()
  from authmig.journal as j;
