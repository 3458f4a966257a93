-- Takes the rows of a migration that was reverted out of the ledger.
delete from authmig.created where version = pg_catalog.current_setting('authmig.step')::int;
delete from authmig.schema_history where version = pg_catalog.current_setting('authmig.step')::int;
