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
-- plan a query is enough, for that evaluates what indexes and statistics are made of. And whoever
-- may create a schema can call it authmig between two of these statements. So none looks up a name
-- in it unless the schema was seen, and belongs to whoever asks or to a superuser: that one stays.
-- A superuser that acts as somebody else is a superuser again with one statement of that one's code.
-- Where there is none, a number is too large (22003): there is no ledger. That of a stranger is
-- no number (22P02), and is read without a plan. Functions and no operators: of those there are
-- so many that to find one takes as long as the rest. And each with the very types that it takes,
-- lest another fits better; see makers.sql.
select oidin(coalesce((
    select case when nameeq(pg_get_userbyid(n.nspowner), current_user)
                     and (nameeq(current_user, session_user) or not pg_has_role(session_user, 10::oid, 'member'::text))
                     or pg_has_role(n.nspowner, 10::oid, 'member'::text)
                then '0'::cstring else 'stranger'::cstring end
      from pg_catalog.pg_namespace as n
     where nameeq(n.nspname, 'authmig'::name)), '99999999999'::cstring));
-- What may stand there all the same is refused: of a view there are no samples (0A000), a
-- policy that counts is an error (42501) with this setting, and what has no collation, as a
-- type with a cast of its own, is none of our words (42804).
set local row_security = off;
{more}
select version, name, applied_on, checksum, sha256, applied_by, authmig_version
  from only authmig.schema_history tablesample system (100);
select name collate "C", value collate "C" from only authmig.parameter tablesample system (100);
