-- The one message of a run that finds nothing to do. First, for all later messages: each is
-- taken apart before anything in it could set this. Committed, because what comes behind it
-- fails where there is no ledger.
begin;
set standard_conforming_strings = on;
commit;
-- The rest is one implicit transaction, so the local settings end with it.
select pg_catalog.set_config('transaction_read_only', 'on', true), pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
select pg_catalog.current_setting('server_version_num');
select version, name, applied_on, checksum, sha256, applied_by, authmig_version
  from authmig.schema_history order by version;
select name, value from authmig.parameter;
