-- As stranger.sql, of the tables in it: they change hands only if a superuser gives them away.
select oidin(nameout(c.relname)) from pg_catalog.pg_class as c
 where oideq(c.relnamespace, to_regnamespace('authmig'::text)::oid)
   and (namene(pg_get_userbyid(c.relowner), current_user)
        or namene(current_user, session_user) and pg_has_role(session_user, 10::oid, 'member'::text))
   and not pg_has_role(c.relowner, 10::oid, 'member'::text);
