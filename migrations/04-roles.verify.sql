-- The roles are there, harmless, and the authenticator may become each of them.
do $$
declare
    authenticator constant text := current_setting('authmig.authenticator_role');
    owner_role constant text := current_setting('authmig.owner_role');
    role_name text;
    actual record;
begin
    foreach role_name in array array[
        authenticator,
        current_setting('authmig.anon_role'),
        current_setting('authmig.authenticated_role'),
        current_setting('authmig.service_role')
    ] loop
        select rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication into actual
          from pg_roles where rolname = role_name;
        if actual.rolname is null then
            raise exception 'role % is missing', quote_ident(role_name);
        end if;
        if actual.rolsuper or actual.rolcreaterole or actual.rolreplication or actual.rolbypassrls then
            raise exception 'role % is a superuser or may create roles, replicate, or bypass row level security',
                quote_ident(role_name);
        end if;
        if pg_has_role(role_name, owner_role, 'member') then
            raise exception 'role % is a member of %', quote_ident(role_name), quote_ident(owner_role);
        end if;
        continue when role_name = authenticator;
        if not pg_has_role(authenticator, role_name,
            case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
        then
            raise exception '% may not become %', quote_ident(authenticator), quote_ident(role_name)
                using hint = format('grant %I to %I;', role_name, authenticator);
        end if;
        if pg_has_role(role_name, authenticator, 'member') then
            raise exception 'role % is a member of %', quote_ident(role_name), quote_ident(authenticator);
        end if;
    end loop;
end $$;
