-- Takes back what the up script granted. On things that were found, only what is
-- recorded: a grant that was there before stays.
do $$
declare
    anon constant text := current_setting('authmig.anon_role');
    authenticated constant text := current_setting('authmig.authenticated_role');
    service constant text := current_setting('authmig.service_role');
    authenticator constant text := current_setting('authmig.authenticator_role');
    api constant text := current_setting('authmig.api_schema');
    given record;
begin
    for given in
        select g.what, g.grantee
          from (values
            ('execute on function auth_private.postgrest_config()', authenticator),
            ('usage on schema auth_private', authenticator),
            ('execute on function auth.purge_expired(int)', service),
            ('execute on function auth.revoke_subject(text)', service),
            ('execute on function auth.issue_tokens(text, text)', service),
            ('execute on function auth.logout()', anon),
            ('execute on function auth.logout()', authenticated),
            ('execute on function auth.refresh_tokens()', anon),
            ('execute on function auth.refresh_tokens()', authenticated),
            ('usage on schema auth', anon),
            ('usage on schema auth', authenticated),
            ('usage on schema auth', service)
          ) as g (what, grantee)
         where g.what <> 'usage on schema auth'
            or exists (select from authmig.created where kind = 'schema' and name = 'auth')
            or exists (select from authmig.created
                where kind = 'grant' and name = format('usage on schema auth to %I', g.grantee))
    loop
        begin
            execute format('revoke %s from %I', given.what, given.grantee);
        exception
            when undefined_function or undefined_object or invalid_schema_name then
                null; -- Somebody has dropped it already, and the grant with it.
        end;
    end loop;

    -- What the up script could have granted, as far as it is recorded and still there.
    for given in
        select g.what
          from (
            select 'usage on schema ' || quote_ident(api) as what
             where exists (select from pg_namespace where nspname = api)
             union all
            select p.name || format(' on %s %I.%I', p.kind, n.nspname, c.relname)
              from pg_class as c
              join pg_namespace as n on n.oid = c.relnamespace
              join (values
                    ('table', 'select'), ('table', 'insert'), ('table', 'update'), ('table', 'delete'),
                    ('sequence', 'usage'), ('sequence', 'select')
                ) as p (kind, name) on p.kind = case c.relkind when 'S' then 'sequence' else 'table' end
             where n.nspname = api
               and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          ) as g
          join authmig.created as c on c.kind = 'grant' and c.name = format('%s to %I', g.what, service)
    loop
        execute format('revoke %s from %I', given.what, service);
    end loop;

    for given in
        select d.defaclrole::regrole as grantor, k.name, k.privileges
          from pg_default_acl as d
          join (values
                ('tables', 'r', 'select, insert, update, delete'),
                ('sequences', 'S', 'usage, select')
            ) as k (name, code, privileges) on k.code = d.defaclobjtype::text
          join authmig.created as c
            on c.kind = 'default privileges'
           and c.name = format('for role %s in schema %I grant %s on %s to %I',
                d.defaclrole::regrole, api, k.privileges, k.name, service)
         where d.defaclnamespace = to_regnamespace(quote_ident(api))
    loop
        execute format('alter default privileges for role %s in schema %I revoke %s on %s from %I',
            given.grantor, api, given.privileges, given.name, service);
    end loop;

    delete from authmig.created where version = 5;
end $$;
