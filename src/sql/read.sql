-- The one message of a run that finds nothing to do. First, for all later messages: each is
-- taken apart before anything in it could set this. Committed, because what comes behind it
-- fails where there is no ledger.
begin;
set standard_conforming_strings = on;
commit;
-- The rest is one implicit transaction, so the local settings end with it, and it sees one
-- state of the database.
set transaction isolation level repeatable read, read only;
set local search_path = pg_catalog, pg_temp;
show server_version_num;
-- A schema authmig can be anybody's, and what stands in it would run its maker's code as
-- whoever reads. But of a view there are no samples (0A000), a policy that counts is an error
-- (42501) with this setting, and what has no collation, as a type with a cast of its own, is
-- none of our words (42804). Each statement is safe by itself, since names can be given anew
-- between two.
set local row_security = off;
{limits}
select version, name, applied_on, checksum, sha256, applied_by, authmig_version
  from only authmig.schema_history tablesample system (100);
select name collate "C", value collate "C" from only authmig.parameter tablesample system (100);
