-- What PostgREST is told in the database, if it is: it goes before its environment. An
-- empty value is none. With each, how a statement begins that changes it.
select case when s.name = 'pgrst.db_pre_config' and not exists (
                -- It chooses the key: whoever could replace it could issue tokens.
                select from pg_catalog.pg_proc as p
                 where p.proname = substr(s.value, strpos(s.value, '.') + 1) and p.pronargs = 0
                   and p.pronamespace = to_regnamespace(quote_ident(split_part(s.value, '.', 1)))
                   and (pg_get_userbyid(p.proowner) in (current_user, current_setting('authmig.owner_role'))
                        or pg_has_role(p.proowner, 10::oid, 'member')))
            then 'another pgrst.db_pre_config' else s.name end, s.value,
       format('alter role %I', current_setting('authmig.authenticator_role'))
            || case when s.setdatabase <> 0 then ' in database ' || quote_ident(current_database()) else '' end
  from (select split_part(e.entry, '=', 1), substr(e.entry, strpos(e.entry, '=') + 1), d.setdatabase
          from pg_catalog.pg_db_role_setting as d, unnest(d.setconfig) as e (entry)
         where d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
           and d.setrole = to_regrole(quote_ident(current_setting('authmig.authenticator_role')))) as s (name, value, setdatabase)
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
 order by s.setdatabase desc;
