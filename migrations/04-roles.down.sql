-- Nothing to undo here. Roles and memberships belong to the cluster: other databases
-- of it may use them by now, and this one cannot see whether they do. To drop them
-- by hand, when no database needs them: drop role anon, authenticated, service,
-- authenticator;
do $$
declare
    roles text;
begin
    select string_agg(name, ', ' order by name) into roles
      from authmig.created
     where kind = 'role';
    if roles is not null then
        raise notice 'roles stay, since other databases of this cluster may use them: %', roles;
    end if;
end $$;
