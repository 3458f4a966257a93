-- Fails with AMP01 if something would stop a rollback; see preflight.sql.
do $$
declare
    owner_role constant name := current_setting('authmig.owner_role');
    modern constant boolean := current_setting('server_version_num')::int4 >= 160000;
    owner oid;
begin
    select r.oid into owner from pg_roles as r where r.rolname = owner_role and not pg_has_role(r.oid, 'usage');
    if owner is not null and exists (
        select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
         where n.nspname in ('auth', 'auth_private') and c.relowner = owner)
    then
        raise exception using errcode = 'AMP01', message = 'something stands in the way of authmig',
            detail = json_build_array(json_build_array(1,
                format('%I must have the rights of %I, who owns what is to be dropped', current_user, owner_role),
                case when not modern and pg_has_role(owner, 'member') then format('alter role %I inherit;', current_user)
                     else format('grant %I to %I%s;', owner_role, current_user,
                        case when modern then ' with inherit true, set true' else '' end) end));
    end if;
end $$;
