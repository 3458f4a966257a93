-- Who holds the lock of lock.sql, and since when; other roles' transactions are
-- visible to members of pg_read_all_stats only.
select a.pid, a.usename, a.application_name, coalesce(host(a.client_addr), 'local'),
       to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
  from pg_catalog.pg_locks as l
  join pg_catalog.pg_stat_activity as a on a.pid = l.pid
 where l.locktype = 'advisory' and l.granted
   and l.classid = 1635087464 and l.objid = 7170407 and l.objsubid = 2
   and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database());
