-- What stands in the managed schemas, and who may do what with it, one fact a row:
-- check, kind, name, property, value. The same text on PostgreSQL 14 to 18 for the
-- same installation; names of roles are quoted as SQL wants them.
--
-- An owner's own rights are left out: they differ between versions (MAINTAIN came
-- with 17), and an owner can always give them to itself.
with managed as (
    select n.oid, n.nspname, n.nspowner, n.nspacl, quote_ident(n.nspname) as name
      from pg_catalog.pg_namespace as n
     where n.nspname in ('auth', 'auth_private')
), relation as (
    select c.*, c.oid::regclass::text as name,
           case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
                when 'f' then 'foreign table' when 'S' then 'sequence' when 'c' then 'type' end as kind
      from pg_catalog.pg_class as c
      join managed as m on m.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')
), routine as (
    select p.*, p.oid::regprocedure::text as name,
           case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate' else 'window function' end as kind
      from pg_catalog.pg_proc as p
      join managed as m on m.oid = p.pronamespace
), parameter (name, value) as (
    select v.name, current_setting('authmig.' || v.name)
      from (values ('anon_role'), ('authenticated_role'), ('service_role'), ('authenticator_role'), ('owner_role'),
                   ('api_schema')) as v (name)
), known_role as (
    select p.name as parameter, r.*
      from parameter as p
      join pg_catalog.pg_roles as r on r.rolname = p.value
     where p.name like '%\_role'
), entry (kind, name, owner, acl) as (
    select 'schema', m.name, m.nspowner, m.nspacl from managed as m
     union all
    select r.kind, r.name, r.relowner, r.relacl from relation as r where r.kind <> 'type'
     union all
    select 'column', r.name || '.' || quote_ident(a.attname), r.relowner, a.attacl
      from relation as r join pg_catalog.pg_attribute as a on a.attrelid = r.oid
     where a.attnum > 0 and not a.attisdropped
     union all
    select r.kind, r.name, r.proowner, coalesce(r.proacl, acldefault('f', r.proowner)) from routine as r
)
-- Objects -----------------------------------------------------------------------
select 'objects' as check, 'schema' as kind, m.name, 'owner' as property, quote_ident(pg_get_userbyid(m.nspowner)) as value
  from managed as m
 union all
select 'objects', r.kind, r.name, f.property, f.value
  from relation as r
 cross join lateral (values
        ('owner', quote_ident(pg_get_userbyid(r.relowner))),
        ('persistence', case r.relpersistence when 'p' then null when 'u' then 'unlogged' else 'temporary' end),
        ('options', array_to_string(r.reloptions, ', ')),
        ('row security', case when r.relforcerowsecurity then 'forced' when r.relrowsecurity then 'enabled' else 'disabled' end),
        ('comment', obj_description(r.oid, 'pg_class'))) as f (property, value)
 where f.value is not null and not (r.kind = 'type' and f.property in ('row security', 'options'))
   and not (r.kind <> 'table' and f.property = 'row security')
 union all
select 'objects', 'column', r.name || '.' || quote_ident(a.attname), f.property, f.value
  from relation as r
  join pg_catalog.pg_attribute as a on a.attrelid = r.oid
  left join pg_catalog.pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
 cross join lateral (values
        ('type', format_type(a.atttypid, a.atttypmod)
            || case when a.attcollation <> 0 and a.attcollation <> (select t.typcollation from pg_catalog.pg_type as t where t.oid = a.atttypid)
                    then ' collate ' || a.attcollation::regcollation else '' end),
        ('null', case when a.attnotnull then 'not null' end),
        ('default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end),
        ('generated', case when a.attgenerated <> '' then btrim(regexp_replace(pg_get_expr(d.adbin, d.adrelid), '\s+', ' ', 'g')) end),
        ('identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end),
        ('comment', col_description(r.oid, a.attnum))) as f (property, value)
 where a.attnum > 0 and not a.attisdropped and r.kind in ('table', 'view', 'materialized view', 'foreign table', 'type')
   and f.value is not null
 union all
select 'objects', 'constraint', format('%I on %s', k.conname, r.name), 'definition',
       pg_get_constraintdef(k.oid) || case when k.convalidated then '' else ' (not valid)' end
  from pg_catalog.pg_constraint as k
  join relation as r on r.oid = k.conrelid
 where k.contype in ('c', 'f', 'p', 'u', 'x')
 union all
select 'objects', 'index', i.indexrelid::regclass::text, 'definition',
       pg_get_indexdef(i.indexrelid) || case when i.indisvalid and i.indisready then '' else ' (invalid)' end
  from pg_catalog.pg_index as i
  join relation as r on r.oid = i.indrelid
 where not exists (select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
 union all
select 'objects', 'trigger', format('%I on %s', t.tgname, r.name), f.property, f.value
  from pg_catalog.pg_trigger as t
  join relation as r on r.oid = t.tgrelid
 cross join lateral (values
        ('definition', pg_get_triggerdef(t.oid)),
        ('enabled', case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'A' then 'always' else 'on replicas' end)) as f (property, value)
 where not t.tgisinternal
 union all
select 'objects', 'rule', format('%I on %s', w.rulename, r.name), 'definition', pg_get_ruledef(w.oid)
  from pg_catalog.pg_rewrite as w
  join relation as r on r.oid = w.ev_class
 where not (r.relkind in ('v', 'm') and w.rulename = '_RETURN')
 union all
select 'objects', 'policy', format('%I on %s', p.polname, r.name), 'definition',
       concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd::text,
            (select string_agg(coalesce(quote_ident(u.rolname), 'public'), ', ' order by u.rolname)
               from unnest(p.polroles) as o (oid) left join pg_catalog.pg_roles as u on u.oid = o.oid),
            'using ' || pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_catalog.pg_policy as p
  join relation as r on r.oid = p.polrelid
 union all
select 'objects', r.kind, r.name, f.property, f.value
  from routine as r
 cross join lateral (values
        ('owner', quote_ident(pg_get_userbyid(r.proowner))),
        ('definition', case when r.prokind in ('f', 'p', 'w') then rtrim(pg_get_functiondef(r.oid), E'\n') end),
        ('comment', obj_description(r.oid, 'pg_proc'))) as f (property, value)
 where f.value is not null
 union all
select 'objects', 'operator', o.oid::regoperator::text, 'owner', quote_ident(pg_get_userbyid(o.oprowner))
  from pg_catalog.pg_operator as o
  join managed as m on m.oid = o.oprnamespace
 union all
-- Types of their own: not those of tables, nor arrays of others.
select 'objects', case t.typtype when 'd' then 'domain' else 'type' end, t.oid::regtype::text, 'owner', quote_ident(pg_get_userbyid(t.typowner))
  from pg_catalog.pg_type as t
  join managed as m on m.oid = t.typnamespace
 where t.typtype in ('d', 'e', 'r', 'b') and t.typcategory <> 'A'
 union all
select 'objects', 'cast', format('%s as %s', k.castsource::regtype, k.casttarget::regtype), 'function', k.castfunc::regprocedure::text
  from pg_catalog.pg_cast as k
 where k.castfunc in (select r.oid from routine as r)
    or k.castsource in (select t.oid from pg_catalog.pg_type as t join managed as m on m.oid = t.typnamespace)
    or k.casttarget in (select t.oid from pg_catalog.pg_type as t join managed as m on m.oid = t.typnamespace)
 union all
select 'objects', 'collation', c.oid::regcollation::text, 'owner', quote_ident(pg_get_userbyid(c.collowner))
  from pg_catalog.pg_collation as c join managed as m on m.oid = c.collnamespace
 union all
select 'objects', 'schema', m.name, 'comment', obj_description(m.oid, 'pg_namespace')
  from managed as m where obj_description(m.oid, 'pg_namespace') is not null
 union all
-- Grants ------------------------------------------------------------------------
select 'grants', e.kind, e.name, 'grant to ' || case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
       string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end, ', ' order by a.privilege_type)
  from entry as e, aclexplode(e.acl) as a
 where a.grantee <> e.owner
 group by e.kind, e.name, a.grantee
 union all
select 'grants', 'default privileges',
       format('for role %s in schema %s', quote_ident(pg_get_userbyid(d.defaclrole)), m.name),
       format('%s to %s', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' else 'types' end,
            case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end),
       string_agg(lower(a.privilege_type), ', ' order by a.privilege_type)
  from pg_catalog.pg_default_acl as d
  join managed as m on m.oid = d.defaclnamespace, aclexplode(d.defaclacl) as a
 group by d.defaclrole, m.name, d.defaclobjtype, a.grantee
 union all
select 'grants', 'role', quote_ident(r.rolname), f.property, f.value
  from known_role as r
 cross join lateral (values
        ('superuser', case when r.rolsuper then 'yes' end),
        ('bypassrls', case when r.rolbypassrls then 'yes' end),
        ('createrole', case when r.rolcreaterole then 'yes' end),
        ('createdb', case when r.rolcreatedb then 'yes' end),
        ('replication', case when r.rolreplication then 'yes' end),
        ('login', case when r.rolcanlogin then 'yes' end),
        ('inherit', case when r.parameter = 'authenticator_role' and r.rolinherit then 'yes' end),
        ('exists', 'yes')) as f (property, value)
 where f.value is not null
 union all
-- Memberships: those that PostgREST needs, and those that are too much.
select 'grants', 'role', quote_ident(r.rolname), 'member of ' || quote_ident(g.rolname), 'yes'
  from known_role as r
  join pg_catalog.pg_auth_members as m on m.member = r.oid
  join pg_catalog.pg_roles as g on g.oid = m.roleid
  left join known_role as k on k.oid = g.oid
 where r.parameter = 'owner_role'
    or k.parameter in ('owner_role', 'authenticator_role')
    or r.parameter = 'authenticator_role' and k.parameter is not null
    or g.rolsuper or g.rolbypassrls or g.rolcreaterole or g.rolreplication or g.rolname like 'pg\_%'
    or exists (select from known_role as o
                where o.parameter in ('owner_role', 'authenticator_role') and pg_has_role(g.oid, o.oid, 'member'))
 group by r.rolname, g.rolname
 order by 1, 2, 3, 4;
