-- Whom the ledger belongs to, or something in it, that is neither who asks nor a superuser. See read.sql.
select pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner)::pg_catalog.text)
  from (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname operator(pg_catalog.=) 'authmig'
         union all
        select c.relowner from pg_catalog.pg_class as c
         where c.relnamespace operator(pg_catalog.=) pg_catalog.to_regnamespace('authmig')::pg_catalog.oid) as o (owner)
 where (pg_catalog.pg_get_userbyid(o.owner) operator(pg_catalog.<>) current_user
        or current_user operator(pg_catalog.<>) session_user
       and pg_catalog.pg_has_role(session_user, 10::pg_catalog.oid, 'member'::pg_catalog.text))
   and not pg_catalog.pg_has_role(o.owner, 10::pg_catalog.oid, 'member'::pg_catalog.text)
 limit 1;
