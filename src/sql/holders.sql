-- Who holds what a run waits for, the oldest first: the lock of lock.sql, or, where a lock on a
-- table was not to be had for {waited} ms, what can have been in the way for so long. Other roles'
-- transactions are visible to members of pg_read_all_stats only. A prepared transaction has no process.
select a.pid, coalesce(a.usename, p.owner, a.backend_type), a.application_name, coalesce(host(a.client_addr), 'local'),
       to_char(coalesce(a.xact_start, p.prepared) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), quote_literal(p.gid),
       string_agg(distinct l.mode || ' on ' || case l.locktype when 'relation' then l.relation::regclass::text
                                                    else pg_describe_object(l.classid, l.objid, l.objsubid) end, ', ')
           filter (where l.locktype <> 'advisory')
  from pg_catalog.pg_locks as l
  left join pg_catalog.pg_class as c on l.locktype = 'relation' and c.oid = l.relation
  left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
  left join pg_catalog.pg_locks as x
    on l.pid is null and x.virtualtransaction = l.virtualtransaction and x.locktype = 'transactionid' and x.pid is null
  left join pg_catalog.pg_prepared_xacts as p on p.transaction = x.transactionid
 where l.granted and l.pid is distinct from pg_backend_pid()
   and l.database in (0, (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
   and case
           when {waited} is null then
               l.locktype = 'advisory' and l.classid = '1635087464' and l.objid = '7170407' and l.objsubid = 2
           -- Every new database takes a lock on another one.
           else (l.locktype = 'object' and l.classid <> 'pg_database'::regclass or c.relkind <> 'i')
                and (l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                     or coalesce(c.relnamespace, case when l.classid = 'pg_namespace'::regclass then l.objid end)
                        ::regnamespace::text in ('auth', 'auth_private', 'authmig'))
                and coalesce(coalesce(a.xact_start, p.prepared) <= clock_timestamp() - {waited} * interval '1 ms', true)
       end
 group by 1, 2, 3, 4, 5, 6
 order by 5, 1
 limit 5;
