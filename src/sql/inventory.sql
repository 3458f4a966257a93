-- What a person would miss: schemas, tables, columns, functions, extensions. Asked
-- before and after a rehearsed rollback, the difference is what it drops.
select 'schema' as kind, quote_ident(n.nspname) as name
  from pg_catalog.pg_namespace as n
 where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'authmig')
union all
select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
            when 'f' then 'foreign table' else 'table' end, c.oid::regclass::text
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
   and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'authmig')
union all
select 'column', a.attrelid::regclass::text || '.' || quote_ident(a.attname)
  from pg_catalog.pg_attribute as a
  join pg_catalog.pg_class as c on c.oid = a.attrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
   and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'authmig')
union all
select 'function', p.oid::regprocedure::text
  from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
 where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'authmig')
   and not exists (select from pg_catalog.pg_depend as d
                    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all
select 'extension', quote_ident(e.extname) from pg_catalog.pg_extension as e
 order by 1, 2;
