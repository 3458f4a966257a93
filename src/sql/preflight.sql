-- Everything that would stop the pending migrations, all at once: what, and the
-- statement or the option that helps. The scripts check the same again, one by one.
-- Settings: the parameters; `authmig.pending`, the names of what is to be applied;
-- `authmig.adopt`, whether the published SQL may be there.
with me as (
    select r.oid, r.rolname, r.rolsuper, r.rolcreaterole, quote_ident(r.rolname) as name,
           current_setting('server_version_num')::int4 >= 160000 as modern
      from pg_catalog.pg_roles as r where r.rolname = current_user
), wanted (parameter, migration) as (
    values ('owner_role', 'auth_schema'), ('anon_role', 'roles'), ('authenticated_role', 'roles'),
           ('service_role', 'roles'), ('authenticator_role', 'roles')
), needed as (
    select w.parameter, current_setting('authmig.' || w.parameter) as rolname, r.oid, r.rolsuper, r.rolbypassrls,
           r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolcanlogin, r.rolinherit,
           quote_ident(current_setting('authmig.' || w.parameter)) as name
      from wanted as w
      left join pg_catalog.pg_roles as r on r.rolname = current_setting('authmig.' || w.parameter)
     where w.migration = any (current_setting('authmig.pending')::text[])
), schema_wanted (name, migration) as (
    values ('authmig', null), ('auth', 'auth_schema'), ('auth_private', 'auth_schema'),
           (current_setting('authmig.api_schema'), 'api_schema')
), taken (name) as (
    select p.oid::regprocedure::text
      from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
     where n.nspname = 'auth' and p.proname in ('url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens',
            'refresh_tokens', 'logout', 'revoke_subject', 'purge_expired')
     union all
    select c.oid::regclass::text
      from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = 'auth' and c.relname = 'refresh_token'
)
select 1 as rank, format('%s may not create schemas in this database: %s', m.name, string_agg(quote_ident(s.name), ', ' order by s.name)),
       format('grant create on database %I to %s;', current_database(), m.name)
  from me as m, schema_wanted as s
 where not has_database_privilege(current_database(), 'create')
   and not exists (select from pg_catalog.pg_namespace as n where n.nspname = s.name)
   and (s.migration is null or s.migration = any (current_setting('authmig.pending')::text[]))
 group by m.name
 union all
select 2, format('role %s is missing, and %s may not create it', n.name, m.name),
       format('create role %s %s;', n.name, case n.parameter when 'authenticator_role' then 'login noinherit' else 'nologin' end)
  from needed as n, me as m
 where n.oid is null and not (m.rolsuper or m.rolcreaterole)
 union all
select 3, format('role %s may do more than it should: %s', n.name, concat_ws(', ',
            case when n.rolsuper then 'superuser' end, case when n.rolbypassrls then 'bypassrls' end,
            case when n.rolcreaterole then 'createrole' end, case when n.rolcreatedb then 'createdb' end,
            case when n.rolreplication then 'replication' end,
            case when n.rolcanlogin and n.parameter = 'owner_role' then 'login' end)),
       format('alter role %s nosuperuser nobypassrls nocreaterole nocreatedb noreplication%s;', n.name,
            case n.parameter when 'owner_role' then ' nologin' else '' end)
  from needed as n
 where n.rolsuper or n.rolbypassrls or n.rolcreaterole or n.rolcreatedb or n.rolreplication
    or n.rolcanlogin and n.parameter = 'owner_role'
 union all
-- 16 changed who may grant a role: only who has it with ADMIN OPTION.
select 4, format('%s must be a member of %s, and may not make itself one', m.name, n.name),
       format('grant %s to %s%s;', n.name, m.name, case when m.modern then ' with inherit true, set true' else '' end)
  from needed as n, me as m
 where n.parameter = 'owner_role' and n.oid is not null and not m.rolsuper
   and not (pg_has_role(n.oid, case when m.modern then 'set' else 'member' end) and pg_has_role(n.oid, 'usage'))
   and not case when m.modern then pg_has_role(n.oid, 'usage with admin option') or pg_has_role(n.oid, 'member with admin option')
                else m.rolcreaterole or pg_has_role(n.oid, 'member with admin option') end
 union all
select 5, format('%s must be a member of %s, and %s may not make it one', a.name, n.name, m.name),
       format('grant %s to %s;', n.name, a.name)
  from needed as n, needed as a, me as m
 where a.parameter = 'authenticator_role' and a.oid is not null
   and n.parameter in ('anon_role', 'authenticated_role', 'service_role') and n.oid is not null
   and not m.rolsuper and not pg_has_role(a.oid, n.oid, 'member')
   and not case when m.modern then pg_has_role(n.oid, 'member with admin option')
                else m.rolcreaterole or pg_has_role(n.oid, 'member with admin option') end
 union all
select 6, format('schema %s belongs to %s, who could replace what is installed in it', quote_ident(n.nspname), quote_ident(o.rolname)),
       format('alter schema %I owner to %s;', n.nspname, m.name)
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_roles as o on o.oid = n.nspowner, me as m
 where n.nspname in ('auth', 'auth_private') and 'auth_schema' = any (current_setting('authmig.pending')::text[])
   and not o.rolsuper and o.rolname not in (m.rolname, current_setting('authmig.owner_role'))
 union all
select 7, format('%s may create in schema %s, and so get in the way of what is installed in it',
            coalesce(quote_ident(g.rolname), 'public'), quote_ident(n.nspname)),
       format('revoke create on schema %I from %s;', n.nspname, coalesce(quote_ident(g.rolname), 'public'))
  from pg_catalog.pg_namespace as n
 cross join aclexplode(n.nspacl) as a
  left join pg_catalog.pg_roles as g on g.oid = a.grantee, me as m
 where n.nspname in ('auth', 'auth_private') and 'auth_schema' = any (current_setting('authmig.pending')::text[])
   and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner and not coalesce(g.rolsuper, false)
   and coalesce(g.rolname, '') not in (m.rolname, current_setting('authmig.owner_role'))
 union all
select 8, 'schema auth already holds ' || string_agg(t.name, ', ' order by t.name),
       '`authmig migrate --adopt` upgrades an installation of the published SQL in place'
  from taken as t
 where 'auth_schema' = any (current_setting('authmig.pending')::text[]) and current_setting('authmig.adopt') <> 'yes'
having count(*) > 0
 order by 1, 2;
