-- The roles of requests, and the one that PostgREST logs in as and that may become
-- each of them. (The owner of the schema auth is created by 02-auth_schema.)
--
-- A role that is there already is kept; if it is dangerous, it is refused, and if
-- it is merely odd, there is a notice. The authenticator gets no password here:
-- \password authenticator in psql, or a client certificate.
do $$
declare
    authenticator constant text := current_setting('authmig.authenticator_role');
    owner_role constant text := current_setting('authmig.owner_role');
    service constant text := current_setting('authmig.service_role');
    modern constant boolean := current_setting('server_version_num')::int >= 160000;
    wanted record;
    actual record;
    dangerous text;
    statement text;
begin
    -- In one order, so that two databases of one cluster do not deadlock.
    for wanted in
        select role.name, role.name = authenticator as logs_in
          from unnest(array[
                current_setting('authmig.anon_role'),
                current_setting('authmig.authenticated_role'),
                service,
                authenticator
            ]) as role (name)
         order by role.name
    loop
        if not exists (select from pg_roles where rolname = wanted.name) then
            -- NOINHERIT: until it becomes another role, it may do nothing.
            statement := format(case when wanted.logs_in then 'create role %I login noinherit'
                                     else 'create role %I nologin' end, wanted.name);
            begin
                execute statement;
                insert into authmig.created (kind, name, version)
                values ('role', quote_ident(wanted.name), 4)
                    on conflict do nothing;
            exception
                when duplicate_object or unique_violation then
                    null; -- Another database of this cluster is being migrated too.
                when insufficient_privilege then
                    raise exception 'role % is missing, and % may not create it',
                            quote_ident(wanted.name), quote_ident(current_user)
                        using errcode = 'insufficient_privilege',
                            hint = format('As a superuser: %s;', statement);
            end;
        end if;

        select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin, rolinherit
          into strict actual
          from pg_roles where rolname = wanted.name;
        if actual.rolsuper or actual.rolcreaterole or actual.rolreplication or actual.rolbypassrls then
            raise exception 'role % is dangerous: it has%', quote_ident(wanted.name),
                    case when actual.rolsuper then ' superuser' else '' end
                    || case when actual.rolcreaterole then ' createrole' else '' end
                    || case when actual.rolreplication then ' replication' else '' end
                    || case when actual.rolbypassrls then ' bypassrls' else '' end
                using errcode = 'invalid_role_specification',
                    hint = case when wanted.name = current_user or actual.rolsuper and actual.rolcanlogin then 'Name another role.'
                        else format('alter role %I nosuperuser nocreaterole noreplication nobypassrls;', wanted.name) end;
        end if;
        if pg_has_role(wanted.name, owner_role, 'member') then
            raise exception 'role % is a member of %', quote_ident(wanted.name), quote_ident(owner_role)
                using errcode = 'invalid_role_specification',
                    detail = 'It could read the secret and every session.',
                    hint = format('revoke %I from %I;', owner_role, wanted.name);
        end if;
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname) into dangerous
          from pg_roles as r
         where r.rolname not in (wanted.name, 'pg_database_owner') -- what nobody can be freed of
           and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolreplication or starts_with(r.rolname, 'pg_'))
           and pg_has_role(wanted.name, r.oid, 'member');
        if dangerous is not null then
            raise exception 'role % is dangerous: it is a member of %', quote_ident(wanted.name), dangerous
                using errcode = 'invalid_role_specification',
                    hint = format('Revoke them from %I, or name another role.', wanted.name);
        end if;

        if wanted.logs_in and not actual.rolcanlogin then
            raise notice 'role % cannot log in, so PostgREST cannot use it', quote_ident(wanted.name)
                using hint = format('alter role %I login;', wanted.name);
        end if;
        if wanted.logs_in and actual.rolinherit then
            raise notice 'role % inherits the rights of the roles it may become', quote_ident(wanted.name)
                using hint = format('alter role %I noinherit;', wanted.name);
        end if;
        if not wanted.logs_in and actual.rolcanlogin then
            raise notice 'role % can log in, although only requests need it', quote_ident(wanted.name)
                using hint = format('alter role %I nologin;', wanted.name);
        end if;
        if actual.rolcreatedb then
            raise notice 'role % may create databases', quote_ident(wanted.name)
                using hint = format('alter role %I nocreatedb;', wanted.name);
        end if;
    end loop;

    for wanted in
        select role.name
          from unnest(array[
                current_setting('authmig.anon_role'),
                current_setting('authmig.authenticated_role'),
                service
            ]) as role (name)
         order by role.name
    loop
        if pg_has_role(wanted.name, authenticator, 'member') then
            raise exception 'role % is a member of %', quote_ident(wanted.name), quote_ident(authenticator)
                using errcode = 'invalid_role_specification',
                    detail = 'A request could become any other role.',
                    hint = format('revoke %I from %I;', authenticator, wanted.name);
        end if;
        continue when pg_has_role(authenticator, wanted.name, case when modern then 'set' else 'member' end);
        statement := format('grant %I to %I', wanted.name, authenticator)
            || case when modern then ' with inherit false, set true' else '' end;
        begin
            execute statement;
            insert into authmig.created (kind, name, version)
            values ('membership', format('%I to %I', wanted.name, authenticator), 4)
                on conflict do nothing;
        exception
            when duplicate_object or unique_violation then
                null;
            when insufficient_privilege then
                raise exception '% must be a member of %, and % may not grant that',
                        quote_ident(authenticator), quote_ident(wanted.name), quote_ident(current_user)
                    using errcode = 'insufficient_privilege',
                        hint = format('As a superuser: %s;', statement);
        end;
    end loop;
end $$;
