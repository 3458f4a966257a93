-- The one message of a run that finds nothing to do. First, for all later messages: each is
-- taken apart before anything in it could set this. Committed, because what comes behind it
-- fails where there is no ledger.
begin;
set standard_conforming_strings = on;
commit;
-- The rest is one implicit transaction, so the local settings and the locks end with it, and
-- it sees one state of the database.
set transaction isolation level repeatable read;
select pg_catalog.set_config('transaction_read_only', 'on', true), pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
select pg_catalog.current_setting('server_version_num');
-- A schema authmig can be anybody's. Its names are held and looked at first: a view, a policy,
-- or a cast of a type that is not the server's own, would run its maker's code as whoever
-- reads. There is no other way to raise in SQL.
lock table only authmig.schema_history, only authmig.parameter in access share mode;
select ('no plain table: ' || c.relname)::int4
  from pg_catalog.pg_class as c
 where c.oid in ('authmig.schema_history'::regclass, 'authmig.parameter'::regclass)
   and (c.relkind <> 'r' or c.relrowsecurity
        or exists (select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.atttypid >= 16384));
select version, name, applied_on, checksum, sha256, applied_by, authmig_version
  from only authmig.schema_history order by version;
select name, value from only authmig.parameter;
