-- What each role of this installation, and everybody, really may do, with a table or with a
-- column of it: kind, object, role, privilege, how many privileges there are for this kind. Grants of its
-- own, of roles that it is a member of, of PUBLIC. Behind these, marked as that, what other roles were
-- granted or own; superusers may do anything, and who is a member of the others is not told.
with roles (rank, name, oid) as (
    select p.rank, coalesce(r.rolname, p.name), coalesce(r.oid, 0)
      from (values (1, current_setting('authmig.anon_role')), (2, current_setting('authmig.authenticated_role')),
                   (3, current_setting('authmig.service_role')), (4, current_setting('authmig.authenticator_role')),
                   (5, current_setting('authmig.owner_role')), (6, 'public')) as p (rank, name)
      left join pg_catalog.pg_roles as r on r.rolname = p.name and p.rank < 6
     where r.oid is not null or p.rank = 6
), object (rank, kind, name, oid, acl) as (
    select 1, 'schema', quote_ident(n.nspname), n.oid, coalesce(n.nspacl, acldefault('n', n.nspowner))
      from pg_catalog.pg_namespace as n
     where n.nspname in ('auth', 'auth_private', current_setting('authmig.api_schema'))
     union all
    select 2, 'table', c.oid::regclass::text, c.oid, coalesce(c.relacl, acldefault('r', c.relowner))
      from pg_catalog.pg_class as c
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname in ('auth', 'auth_private') and c.relkind in ('r', 'p', 'v', 'm', 'f')
     union all
    select 3, 'function', p.oid::regprocedure::text, p.oid, coalesce(p.proacl, acldefault('f', p.proowner))
      from pg_catalog.pg_proc as p
      join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
     where n.nspname in ('auth', 'auth_private')
), granted (rank, oid, grantee, privilege) as (
    select o.rank, o.oid, a.grantee, lower(a.privilege_type collate "C")
      from object as o, aclexplode(o.acl) as a
     union
    select o.rank, o.oid, a.grantee, lower(a.privilege_type collate "C")
      from object as o
      join pg_catalog.pg_attribute as c on c.attrelid = o.oid
     cross join aclexplode(c.attacl) as a
     where o.kind = 'table'
), wanted (kind, privilege) as (
    values ('schema', 'usage'), ('schema', 'create'), ('table', 'select'), ('table', 'insert'), ('table', 'update'),
           ('table', 'delete'), ('table', 'truncate'), ('table', 'references'), ('table', 'trigger'), ('function', 'execute')
     union all
    select 'table', 'maintain' where current_setting('server_version_num')::int4 >= 170000
)
select o.kind, o.name, g.role, g.privilege, (select count(*) from wanted as w where w.kind = o.kind), g.others
  from object as o
 cross join lateral (
    select r.rank, r.name, w.privilege, null
      from wanted as w
     cross join roles as r
     where w.kind = o.kind and case
            when r.oid = 0 then exists (
                select from granted as a where a.rank = o.rank and a.oid = o.oid and a.grantee = 0 and a.privilege = w.privilege)
            when o.kind = 'schema' then has_schema_privilege(r.oid, o.oid, w.privilege)
            when w.privilege in ('select', 'insert', 'update', 'references')
                then has_table_privilege(r.oid, o.oid, w.privilege) or has_any_column_privilege(r.oid, o.oid, w.privilege)
            when o.kind = 'table' then has_table_privilege(r.oid, o.oid, w.privilege)
            else has_function_privilege(r.oid, o.oid, w.privilege)
           end
     union all
    select 7, r.rolname, a.privilege, 'others'
      from granted as a
      join pg_catalog.pg_roles as r on r.oid = a.grantee
     where a.rank = o.rank and a.oid = o.oid and not r.rolsuper and not exists (select from roles as ours where ours.oid = a.grantee)
   ) as g (rank, role, privilege, others)
 order by o.rank, o.name, g.rank, g.role, g.privilege;
