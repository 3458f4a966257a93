-- What PostgREST is told in the database, if it is: it goes before its environment. An
-- empty value is none. With each, how a statement begins that changes it. And what keeps it from
-- logging in, with the statement that mends it.
select case when s.name = 'pgrst.db_pre_config' and s.value <> 'auth_private.postgrest_config' and not s.trusted
            then 'another pgrst.db_pre_config' else s.name end, s.value,
       format('alter role %I', current_setting('authmig.authenticator_role'))
            || case when s.setdatabase <> 0 then ' in database ' || quote_ident(current_database()) else '' end,
       s.setdatabase
  from (select e.name, e.value, d.setdatabase, exists (
                -- It chooses the key: whoever could replace it could issue tokens.
                select from pg_catalog.pg_proc as p
                  join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
                  join pg_catalog.pg_roles as o on o.oid = p.proowner
                 where n.nspname = split_part(e.value, '.', 1) and p.proname = substr(e.value, strpos(e.value, '.') + 1)
                   and p.pronargs = 0
                   and (o.rolsuper or o.rolname in (current_user, current_setting('authmig.owner_role'))))
          from pg_catalog.pg_db_role_setting as d, unnest(d.setconfig) as c (entry),
               lateral (select split_part(c.entry, '=', 1), substr(c.entry, strpos(c.entry, '=') + 1)) as e (name, value)
         where d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
           and d.setrole = to_regrole(quote_ident(current_setting('authmig.authenticator_role')))) as s (name, value, setdatabase, trusted)
 where s.value <> ''
   and (s.name in ('pgrst.db_schemas', 'pgrst.db_extra_search_path')
        or s.name = 'pgrst.db_anon_role' and s.value <> current_setting('authmig.anon_role')
        or s.name = 'pgrst.jwt_role_claim_key' and s.value !~ '^[.$]*"?role"?$'
        or s.name = 'pgrst.jwt_secret_is_base64' and lower(s.value) not in ('true', 'yes', 'on', '1')
        or s.name = 'pgrst.db_pre_config' and s.value <> 'auth_private.postgrest_config'
        -- A token without audience passes.
        or s.name = 'pgrst.jwt_aud' and s.value <> (
            select c.audience collate "C" from only auth_private.config as c tablesample system (100))
        or s.name = 'pgrst.db_tx_end' and s.value <> 'commit'
        or s.name in ('pgrst.db_pre_request', 'role')
        or s.name = 'session_replication_role' and s.value <> 'origin')
 union all
select l.name, l.value, l.mend, 0
  from pg_catalog.pg_roles as r
 cross join lateral (values
    ('connect', not has_database_privilege(r.oid, current_database(), 'connect'), 'no',
        format('grant connect on database %I to %I', current_database(), r.rolname)),
    ('connection limit', r.rolconnlimit = 0, '0', format('alter role %I connection limit -1', r.rolname)),
    ('valid until', r.rolvaliduntil <= now(), to_char(r.rolvaliduntil, 'YYYY-MM-DD HH24:MI:SSOF'),
        format('alter role %I valid until ''infinity''', r.rolname))
   ) as l (name, holds, value, mend)
 where r.rolname = current_setting('authmig.authenticator_role') and l.holds
 order by 4 desc;
