-- Takes back what the up script granted. On things that were found, only what is
-- recorded: a grant that was there before stays. A role that was dropped has none any
-- more; what is left to one that was renamed, or may only be taken back by somebody else,
-- is not passed over in silence.
do $$
declare
    anon constant text := current_setting('authmig.anon_role');
    authenticated constant text := current_setting('authmig.authenticated_role');
    service constant text := current_setting('authmig.service_role');
    authenticator constant text := current_setting('authmig.authenticator_role');
    api constant text := current_setting('authmig.api_schema');
    given record;
    left_over text[] := '{}';
begin
    for given in
        select quote_ident(f.grantee) as missing, quote_ident(r.rolname) as grantee, f.signature
          from (values
            ('auth.refresh_tokens()', anon),
            ('auth.refresh_tokens()', authenticated),
            ('auth.issue_tokens(text, text)', service),
            ('auth_private.postgrest_config()', authenticator)
          ) as f (signature, grantee)
          join pg_proc as p on p.oid = to_regprocedure(f.signature)
         cross join aclexplode(p.proacl) as acl
          join pg_roles as r on r.oid = acl.grantee
         where to_regrole(quote_ident(f.grantee)) is null
           and acl.grantee <> p.proowner
           and r.rolname <> all (array[anon, authenticated, service, authenticator])
         order by 1, 2, 3
    loop
        raise exception 'role % is missing, and % may call %', given.missing, given.grantee, given.signature
            using hint = format('If it was renamed: alter role %s rename to %s; else: revoke execute on function %s from %s;',
                given.grantee, given.missing, given.signature, given.grantee);
    end loop;

    -- Only what is there: who may not take back what is there may not do so either when it is gone.
    for given in
        select format('%s on %s %s', g.privilege, g.kind, g.name) as what, g.grantee
          from (values
            ('execute', 'function', 'auth_private.postgrest_config()', authenticator),
            ('usage', 'schema', 'auth_private', authenticator),
            ('execute', 'function', 'auth.purge_expired(integer)', service),
            ('execute', 'function', 'auth.revoke_subject(text)', service),
            ('execute', 'function', 'auth.issue_tokens(text, text)', service),
            ('execute', 'function', 'auth.logout()', anon),
            ('execute', 'function', 'auth.logout()', authenticated),
            ('execute', 'function', 'auth.refresh_tokens()', anon),
            ('execute', 'function', 'auth.refresh_tokens()', authenticated),
            ('usage', 'schema', 'auth', anon),
            ('usage', 'schema', 'auth', authenticated),
            ('usage', 'schema', 'auth', service)
          ) as g (privilege, kind, name, grantee)
         where exists (
                select from (
                    select 'schema', n.nspname::text, n.nspacl
                      from pg_namespace as n
                     where n.nspname in ('auth', 'auth_private')
                     union all
                    select 'function', format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), p.proacl
                      from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
                     where n.nspname in ('auth', 'auth_private')
                  ) as o (kind, name, acl), aclexplode(o.acl) as acl
                 where o.kind = g.kind and o.name = g.name and acl.grantee = to_regrole(quote_ident(g.grantee))
                   and acl.privilege_type = upper(g.privilege))
           and (g.kind <> 'schema' or g.name <> 'auth'
                or exists (select from authmig.created where kind = 'schema' and name = 'auth')
                or exists (select from authmig.created
                    where kind = 'grant' and name = format('usage on schema auth to %I', g.grantee)))
    loop
        begin
            execute format('revoke %s from %I', given.what, given.grantee);
        exception
            when insufficient_privilege then
                left_over := left_over || format('revoke %s from %I;', given.what, given.grantee);
        end;
    end loop;

    -- What the up script could have granted, as far as it is recorded and still there. Of what somebody
    -- else has granted by now, REVOKE only warns.
    for given in
        select g.what, g.again, exists (
                select from aclexplode(g.acl) as acl
                 where acl.grantee = to_regrole(quote_ident(service)) and acl.privilege_type = upper(g.privilege collate "C")
                   and not pg_has_role(acl.grantor, 'usage')) as is_of_others
          from (
            select 'usage on schema ' || quote_ident(api) as what, '' as again, 'usage' as privilege, n.nspacl as acl
              from pg_namespace as n
             where n.nspname = api
             union all
            select p.name || format(' on %s %I.%I', p.kind, n.nspname, c.relname), columns.again, p.name, c.relacl
              from pg_class as c
              join pg_namespace as n on n.oid = c.relnamespace
              join (values
                    ('table', 'select'), ('table', 'insert'), ('table', 'update'), ('table', 'delete'),
                    ('sequence', 'usage'), ('sequence', 'select')
                ) as p (kind, name) on p.kind = case c.relkind when 'S' then 'sequence' else 'table' end
             cross join lateral (
                -- Who loses a right on a table loses it on the columns, too, and these were granted by somebody else.
                select coalesce(string_agg(format('grant %s (%I) on %I.%I to %I%s;', p.name, a.attname, n.nspname, c.relname, service,
                        case when acl.is_grantable then ' with grant option' else '' end), ''), '') as again
                  from pg_attribute as a, aclexplode(a.attacl) as acl
                 where a.attrelid = c.oid and a.attnum > 0 and acl.grantee = to_regrole(quote_ident(service))
                   and acl.privilege_type = upper(p.name collate "C")
              ) as columns
             where n.nspname = api
               and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          ) as g
          join authmig.created as c on c.kind = 'grant' and c.name = format('%s to %I', g.what, service)
         where exists (
            select from aclexplode(g.acl) as acl
             where acl.grantee = to_regrole(quote_ident(service)) and acl.privilege_type = upper(g.privilege collate "C"))
    loop
        begin
            if given.is_of_others then
                raise insufficient_privilege;
            end if;
            execute format('revoke %s from %I;', given.what, service) || given.again;
        exception
            when insufficient_privilege then
                left_over := left_over || format('revoke %s from %I;', given.what, service);
        end;
    end loop;

    -- Whoever migrated may be called otherwise by now.
    for given in
        select d.defaclrole::regrole as grantor, k.name, string_agg(k.privilege, ', ' order by k.privilege) as privileges
          from pg_default_acl as d
          join (values
                ('tables', 'r', 'select'), ('tables', 'r', 'insert'), ('tables', 'r', 'update'), ('tables', 'r', 'delete'),
                ('sequences', 'S', 'usage'), ('sequences', 'S', 'select')
            ) as k (name, code, privilege) on k.code = d.defaclobjtype::text
         cross join lateral (
            select format(' in schema %I grant %s on %s to %I', api, k.privilege, k.name, service)
          ) as t (rest)
         where d.defaclnamespace = to_regnamespace(quote_ident(api))
           and to_regrole(quote_ident(service)) is not null
           and exists (
            select from authmig.created as c
             where c.kind = 'default privileges'
               and (c.name = 'for role ' || d.defaclrole::regrole || t.rest
                    or d.defaclrole = quote_ident(current_user)::regrole
                        and starts_with(c.name, 'for role ') and right(c.name, length(t.rest)) = t.rest
                        and to_regrole(substr(c.name, 10, length(c.name) - 9 - length(t.rest))) is null))
         group by d.defaclrole, k.name
         order by 1, 2
    loop
        begin
            execute format('alter default privileges for role %s in schema %I revoke %s on %s from %I',
                given.grantor, api, given.privileges, given.name, service);
        exception
            when insufficient_privilege then
                left_over := left_over || format('alter default privileges for role %s in schema %I revoke %s on %s from %I;',
                    given.grantor, api, given.privileges, given.name, service);
        end;
    end loop;

    if cardinality(left_over) > 0 then
        raise exception '% may not take back all that was granted', quote_ident(current_user)
            using hint = 'as who has granted it, or as a superuser: ' || array_to_string(left_over, ' ');
    end if;

    delete from authmig.created where version = 5;
end $$;
