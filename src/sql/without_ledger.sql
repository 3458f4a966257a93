-- Where no history was found: how old the server is, and whether there is a ledger all the same.
select pg_catalog.current_setting('server_version_num'), pg_catalog.to_regnamespace('authmig') is not null;
