-- The ledger goes, journal included.
drop table authmig.schema_history, authmig.journal, authmig.created, authmig.parameter;
drop schema authmig;
