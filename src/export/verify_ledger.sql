select from authmig.schema_history, authmig.journal, authmig.created, authmig.parameter limit 0;
