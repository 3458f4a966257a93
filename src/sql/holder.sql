-- Who holds the lock of lock.sql, and since when; other roles' transactions are
-- visible to members of pg_read_all_stats only. A prepared transaction has no process.
select a.pid, coalesce(a.usename, p.owner), a.application_name, coalesce(host(a.client_addr), 'local'),
       to_char(coalesce(a.xact_start, p.prepared) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), quote_literal(p.gid)
  from pg_catalog.pg_locks as l
  left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
  left join pg_catalog.pg_locks as x
    on l.pid is null and x.virtualtransaction = l.virtualtransaction and x.locktype = 'transactionid' and x.pid is null
  left join pg_catalog.pg_prepared_xacts as p on p.transaction = x.transactionid
 where l.locktype = 'advisory' and l.granted
   and l.classid = '1635087464' and l.objid = '7170407' and l.objsubid = 2
   and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database());
