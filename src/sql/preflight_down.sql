-- Everything that would stop a rollback.
select 1, format('%I must be a member of %I, who owns what is to be dropped', current_user, r.rolname),
       format('grant %I to %I;', r.rolname, current_user)
  from pg_catalog.pg_roles as r
 where r.rolname = current_setting('authmig.owner_role') and not pg_has_role(r.oid, 'usage')
   and exists (select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                where n.nspname in ('auth', 'auth_private') and c.relowner = r.oid);
