-- Why the ledger cannot go, if it cannot: something of the installation is left after the down
-- scripts, or something else needs the ledger. Without it, the next migrate would take what is left
-- for an installation that was damaged.
with recursive owner (id) as (
    select r.oid from pg_roles as r where r.rolname = current_setting('authmig.owner_role')
), roots (class, object) as (
    select 'pg_namespace'::regclass::oid, n.oid from pg_namespace as n where n.nspname = 'authmig'
     union all
    select 'pg_class'::regclass, c.oid
      from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
     where (n.nspname, c.relname) in (('auth', 'refresh_token'), ('auth_private', 'config'), ('authmig', 'schema_history'),
            ('authmig', 'journal'), ('authmig', 'created'), ('authmig', 'parameter'))
        or n.nspname = 'auth' and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relowner in (select o.id from owner as o)
     union all
    select 'pg_proc'::regclass, p.oid
      from pg_proc as p
      join pg_namespace as n on n.oid = p.pronamespace
     where n.nspname = 'auth_private' or n.nspname = 'auth' and p.proowner in (select o.id from owner as o)
), parts (root_class, root, class, object) as (
    select r.class, r.object, r.class, r.object from roots as r
     union
    select p.root_class, p.root, d.classid, d.objid
      from parts as p
      join pg_depend as d on d.refclassid = p.class and d.refobjid = p.object
     where d.deptype in ('a', 'i') and d.objsubid = 0
)
select format('--purge would have to leave %s%s; drop that first, or do without --purge',
        string_agg(distinct (r.type || ' ' || r.identity) collate "C", ', '),
        ', because of ' || string_agg(distinct (o.type || ' ' || o.identity) collate "C", ', '))
  from parts as p
  left join pg_depend as d on d.refclassid = p.class and d.refobjid = p.object and d.deptype = 'n'
   and not exists (select from parts as own where own.class = d.classid and own.object = d.objid)
  -- A view is found by the rule that it is.
  left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid and w.ev_type = '1'
 cross join pg_identify_object(p.root_class, p.root, 0) as r
 cross join pg_identify_object(
        case when w.oid is null then d.classid else 'pg_class'::regclass end, coalesce(w.ev_class, d.objid), 0) as o
 where d.objid is not null or r.schema <> 'authmig'
having count(*) > 0;
