-- What PostgREST is told in the database, if it is: it goes before its environment. An
-- empty value is none, but for an empty list. With each, how a statement begins that changes it, and
-- whether it holds for everybody.
select case when s.name = 'pgrst.db_pre_config' and not exists (
                -- It chooses the key: whoever could replace it could issue tokens.
                select from pg_catalog.pg_proc as p
                 where p.proname = substr(s.value, strpos(s.value, '.') + 1) and p.pronargs = 0
                   and p.pronamespace = to_regnamespace(quote_ident(split_part(s.value, '.', 1)))
                   and not exists (
                        select from pg_catalog.pg_namespace as n 
                         -- pg_database_owner is whoever owns the database.
                         cross join unnest(array[p.proowner, case n.nspowner when 6171 then (
                                select d.datdba from pg_catalog.pg_database as d where d.datname = current_database())
                              else n.nspowner end]) as o (owner)
                         where n.oid = p.pronamespace
                           and pg_get_userbyid(o.owner) not in (current_user, current_setting('authmig.owner_role'))
                           and not pg_has_role(o.owner, 10::oid, 'member')))
            then 'another pgrst.db_pre_config' else s.name end, s.value,
       case when s.setrole = 0 and s.setdatabase <> 0 then 'alter database ' || quote_ident(current_database())
            else 'alter role ' || case s.setrole when 0 then 'all' else quote_ident(current_setting('authmig.authenticator_role')) end
                || case when s.setdatabase <> 0 then ' in database ' || quote_ident(current_database()) else '' end end,
       s.setrole = 0
  from (select distinct on (1) split_part(e.entry, '=', 1), substr(e.entry, strpos(e.entry, '=') + 1), d.setdatabase, d.setrole
          from pg_catalog.pg_db_role_setting as d, unnest(d.setconfig) as e (entry)
         where d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
           and (d.setrole = to_regrole(quote_ident(current_setting('authmig.authenticator_role')))
                -- What holds for everybody, PostgREST sees behind a pre-config, and so not which one that is.
                or d.setrole = 0 and split_part(e.entry, '=', 1) <> 'pgrst.db_pre_config')
         -- The first of these is the one that counts.
         order by 1, d.setrole = 0, d.setdatabase = 0) as s (name, value, setdatabase, setrole)
 where s.name = 'pgrst.db_hoisted_tx_settings'
       and strpos(',' || replace(s.value, ' ', '') || ',', ',default_transaction_isolation,') = 0
    or s.value <> ''
   and (s.name in ('pgrst.db_schemas', 'pgrst.db_extra_search_path')
        or s.name = 'pgrst.db_anon_role' and s.value <> current_setting('authmig.anon_role')
        or s.name = 'pgrst.jwt_role_claim_key' and s.value !~ '^[.$]*"?role"?$'
        or s.name = 'pgrst.jwt_secret_is_base64' and lower(s.value collate "C") not in ('true', 'yes', 'on', '1')
        or s.name = 'pgrst.db_pre_config' and s.value <> 'auth_private.postgrest_config'
        -- A token without audience passes.
        or s.name = 'pgrst.jwt_aud' and s.value <> (
            select c.audience collate "C" from only auth_private.config as c tablesample system (100))
        or s.name = 'pgrst.db_tx_end' and s.value <> 'commit'
        or s.name in ('pgrst.db_pre_request', 'role')
        or s.name = 'session_replication_role' and s.value <> 'origin');
