-- What each role of this installation, and everybody, really may do, with a table or with a
-- column of it: kind, object, role, privilege. Grants of its own, of roles that it is a member of, of PUBLIC.
with roles (rank, name, oid) as (
    select p.rank, coalesce(r.rolname, p.name), coalesce(r.oid, 0)
      from (values (1, current_setting('authmig.anon_role')), (2, current_setting('authmig.authenticated_role')),
                   (3, current_setting('authmig.service_role')), (4, current_setting('authmig.authenticator_role')),
                   (5, current_setting('authmig.owner_role')), (6, 'public')) as p (rank, name)
      left join pg_catalog.pg_roles as r on r.rolname = p.name and p.rank < 6
     where r.oid is not null or p.rank = 6
), object (rank, kind, name, oid, owner, acl) as (
    select 1, 'schema', quote_ident(n.nspname), n.oid, n.nspowner, n.nspacl
      from pg_catalog.pg_namespace as n
     where n.nspname in ('auth', 'auth_private', current_setting('authmig.api_schema'))
     union all
    select 2, 'table', c.oid::regclass::text, c.oid, c.relowner, c.relacl
      from pg_catalog.pg_class as c
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname in ('auth', 'auth_private') and c.relkind in ('r', 'p', 'v', 'm', 'f')
     union all
    select 3, 'function', p.oid::regprocedure::text, p.oid, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
      from pg_catalog.pg_proc as p
      join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
     where n.nspname in ('auth', 'auth_private')
), wanted (kind, privilege) as (
    values ('schema', 'usage'), ('schema', 'create'), ('table', 'select'), ('table', 'insert'), ('table', 'update'),
           ('table', 'delete'), ('table', 'truncate'), ('table', 'references'), ('table', 'trigger'), ('function', 'execute')
)
select o.kind, o.name, r.name, w.privilege
  from object as o
  join wanted as w on w.kind = o.kind
 cross join roles as r
 where case
        when r.oid = 0 then exists (
            select from aclexplode(o.acl) as a where a.grantee = 0 and lower(a.privilege_type) = w.privilege
             union all
            select from pg_catalog.pg_attribute as c, aclexplode(c.attacl) as a
             where o.kind = 'table' and c.attrelid = o.oid and a.grantee = 0 and lower(a.privilege_type) = w.privilege)
        when o.kind = 'schema' then has_schema_privilege(r.oid, o.oid, w.privilege)
        when w.privilege in ('select', 'insert', 'update', 'references')
            then has_table_privilege(r.oid, o.oid, w.privilege) or has_any_column_privilege(r.oid, o.oid, w.privilege)
        when o.kind = 'table' then has_table_privilege(r.oid, o.oid, w.privilege)
        else has_function_privilege(r.oid, o.oid, w.privilege)
       end
 order by o.rank, o.name, r.rank, w.privilege;
