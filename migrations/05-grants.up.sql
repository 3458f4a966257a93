-- Who may call what of the schema auth; the rest stays closed (see 02-auth_schema):
--   refresh_tokens, logout                        anon and authenticated: they prove
--                                                 themselves with the cookie
--   issue_tokens, revoke_subject, purge_expired   service
--   auth_private.postgrest_config                 the authenticator
--   sign_raw, generate_user_jwt, url_encode, and the tables   nobody
--
-- And in the schema of the API: service reads and writes the tables that are there,
-- and those that whoever migrates creates later. Anon and authenticated get nothing:
-- in a schema that was there before, USAGE alone would open its functions to them.
-- What is granted on things that authmig did not create is recorded one by one.
do $$
declare
    anon constant text := current_setting('authmig.anon_role');
    authenticated constant text := current_setting('authmig.authenticated_role');
    service constant text := current_setting('authmig.service_role');
    authenticator constant text := current_setting('authmig.authenticator_role');
    role_name text;
begin
    foreach role_name in array array[anon, authenticated, service] loop
        if exists (select from authmig.created where kind = 'schema' and name = 'auth') then
            execute format('grant usage on schema auth to %I', role_name);
        elsif not exists (
            select from pg_namespace as n, aclexplode(n.nspacl) as acl
             where n.nspname = 'auth' and acl.privilege_type = 'USAGE'
               and acl.grantee = quote_ident(role_name)::regrole)
        then
            execute format('grant usage on schema auth to %I', role_name);
            insert into authmig.created (kind, name, version)
            values ('grant', format('usage on schema auth to %I', role_name), 5)
                on conflict do nothing;
        end if;
    end loop;
    execute format('grant execute on function auth.refresh_tokens() to %I, %I', anon, authenticated);
    execute format('grant execute on function auth.logout() to %I, %I', anon, authenticated);
    execute format('grant execute on function auth.issue_tokens(text, text) to %I', service);
    execute format('grant execute on function auth.revoke_subject(text) to %I', service);
    execute format('grant execute on function auth.purge_expired(int) to %I', service);
    execute format('grant usage on schema auth_private to %I', authenticator);
    execute format('grant execute on function auth_private.postgrest_config() to %I', authenticator);
end $$;

do $$
declare
    api constant text := current_setting('authmig.api_schema');
    service constant text := current_setting('authmig.service_role');
    wanted record;
    refused text[] := '{}';
begin
    -- Each privilege that is not granted yet, as "RIGHT on OBJECT" and what is to be recorded. Who has
    -- some right, and may pass on none, is warned by GRANT and not refused.
    for wanted in
        select lower(p.name collate "C") || ' on ' || o.kind || ' ' || o.name as what,
               case o.kind
                    when 'schema' then has_schema_privilege(o.id, p.name || ' with grant option')
                    when 'sequence' then has_sequence_privilege(o.id, p.name || ' with grant option')
                    else has_table_privilege(o.id, p.name || ' with grant option')
               end as permitted
          from (
            select 'schema', n.oid, quote_ident(n.nspname), n.nspacl, array['USAGE']
              from pg_namespace as n
             where n.nspname = api
             union all
            select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid, format('%I.%I', api, c.relname), c.relacl,
                   case c.relkind when 'S' then array['USAGE', 'SELECT'] else array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] end
              from pg_class as c
             where c.relnamespace = to_regnamespace(quote_ident(api))
               and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          ) as o (kind, id, name, acl, privileges)
         cross join unnest(o.privileges) as p (name)
         where not exists (
            select from aclexplode(o.acl) as acl
             where acl.grantee = quote_ident(service)::regrole
               and acl.privilege_type = p.name)
         order by 1
    loop
        if not wanted.permitted then
            refused := refused || wanted.what;
            continue;
        end if;
        execute format('grant %s to %I', wanted.what, service);
        insert into authmig.created (kind, name, version)
        values ('grant', format('%s to %I', wanted.what, service), 5)
            on conflict do nothing;
    end loop;
    if cardinality(refused) > 0 then
        raise notice '% may not grant to %: %', quote_ident(current_user), quote_ident(service),
                array_to_string(refused[1:5], ', ')
                || case when cardinality(refused) > 5 then format(' and %s more', cardinality(refused) - 5) else '' end
            using hint = 'The owner can, should requests of this role need it.';
    end if;

    -- Tables to come: what is not given by default yet.
    if has_schema_privilege(api, 'create') then
        for wanted in
            select k.name, m.privileges
              from (values
                ('tables', 'r', array['select', 'insert', 'update', 'delete']),
                ('sequences', 'S', array['usage', 'select'])
              ) as k (name, code, needed)
             cross join lateral (
                select array_agg(p.name) as privileges
                  from unnest(k.needed) as p (name)
                 where not exists (
                    select from pg_default_acl as d, aclexplode(d.defaclacl) as acl
                     where d.defaclrole = quote_ident(current_user)::regrole
                       and d.defaclnamespace = quote_ident(api)::regnamespace
                       and d.defaclobjtype::text = k.code
                       and acl.grantee = quote_ident(service)::regrole
                       and acl.privilege_type = upper(p.name collate "C"))
              ) as m
             where m.privileges is not null
        loop
            execute format('alter default privileges in schema %I grant %s on %s to %I',
                api, array_to_string(wanted.privileges, ', '), wanted.name, service);
            insert into authmig.created (kind, name, version)
            select 'default privileges', format('for role %I in schema %I grant %s on %s to %I',
                    current_user, api, p.name, wanted.name, service), 5
              from unnest(wanted.privileges) as p (name)
                on conflict do nothing;
        end loop;
    end if;
end $$;
