-- Takes back what the up script granted. On things that were found, only what is
-- recorded: a grant that was there before stays.
do $$
declare
    anon constant text := current_setting('authmig.anon_role');
    authenticated constant text := current_setting('authmig.authenticated_role');
    service constant text := current_setting('authmig.service_role');
    authenticator constant text := current_setting('authmig.authenticator_role');
    api constant text := current_setting('authmig.api_schema');
    role_name text;
    given record;
begin
    execute format('revoke execute on function auth_private.postgrest_config() from %I', authenticator);
    execute format('revoke usage on schema auth_private from %I', authenticator);
    execute format('revoke execute on function auth.purge_expired(int) from %I', service);
    execute format('revoke execute on function auth.revoke_subject(text) from %I', service);
    execute format('revoke execute on function auth.issue_tokens(text, text) from %I', service);
    execute format('revoke execute on function auth.logout() from %I, %I', anon, authenticated);
    execute format('revoke execute on function auth.refresh_tokens() from %I, %I', anon, authenticated);
    foreach role_name in array array[anon, authenticated, service] loop
        if exists (select from authmig.created where kind = 'schema' and name = 'auth')
            or exists (select from authmig.created
                where kind = 'grant' and name = format('usage on schema auth to %I', role_name))
        then
            execute format('revoke usage on schema auth from %I', role_name);
        end if;
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
