-- What PostgREST is told in the database, if it is: the schemas it exposes.
select split_part(e.entry, '=', 1), substr(e.entry, strpos(e.entry, '=') + 1)
  from pg_catalog.pg_db_role_setting as s, unnest(s.setconfig) as e (entry)
 where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
   and s.setrole = (select r.oid from pg_catalog.pg_roles as r
                     where r.rolname = current_setting('authmig.authenticator_role'))
   and split_part(e.entry, '=', 1) in ('pgrst.db_schemas', 'pgrst.db_extra_search_path', 'pgrst.db_pre_config')
 order by s.setdatabase desc;
