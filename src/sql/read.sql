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
-- A schema authmig can be anybody's, and who owns a table has code run by whoever reads it: to
-- plan a query is enough, for that evaluates what indexes and statistics are made of. So the
-- first thing is whether the schema, and all that is in it, belongs to whoever asks or to a
-- superuser; if not, this divides by zero (22012), and the ledger is read without a plan.
select 1 / (o.owner = 0)::int4
  from (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'authmig'
         union all
        select c.relowner from pg_catalog.pg_class as c where c.relnamespace = to_regnamespace('authmig')) as o (owner)
 where pg_get_userbyid(o.owner) <> current_user and not pg_has_role(o.owner, 10::oid, 'member');
-- What may stand there all the same is refused: of a view there are no samples (0A000), a
-- policy that counts is an error (42501) with this setting, and what has no collation, as a
-- type with a cast of its own, is none of our words (42804).
set local row_security = off;
{limits}
select version, name, applied_on, checksum, sha256, applied_by, authmig_version
  from only authmig.schema_history tablesample system (100);
select name collate "C", value collate "C" from only authmig.parameter tablesample system (100);
