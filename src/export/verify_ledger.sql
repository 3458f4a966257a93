-- The four tables of the ledger are there and can be read.
select from authmig.schema_history, authmig.journal, authmig.created, authmig.parameter limit 0;
