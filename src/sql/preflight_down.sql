-- Fails with AMP01 if something would stop a rollback; see preflight.sql.
do $$
declare
    owner_role constant name := current_setting('authmig.owner_role');
begin
    if exists (select from pg_roles as r where r.rolname = owner_role and not pg_has_role(r.oid, 'usage'))
        and exists (select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                     where n.nspname in ('auth', 'auth_private') and c.relowner = to_regrole(quote_ident(owner_role)))
    then
        raise exception using errcode = 'AMP01', message = 'something stands in the way of authmig',
            detail = json_build_array(json_build_array(1,
                format('%I must be a member of %I, who owns what is to be dropped', current_user, owner_role),
                format('grant %I to %I;', owner_role, current_user)));
    end if;
end $$;
