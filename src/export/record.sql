-- Recorded as authmig would, so that its status and verify know of it.
insert into authmig.schema_history (version, name, applied_on, checksum)
values (pg_catalog.current_setting('authmig.step')::int,
        pg_catalog.current_setting('authmig.name'),
        pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        pg_catalog.current_setting('authmig.checksum'));
