-- Who may call what, and who may not.
do $$
declare
    anon constant text := current_setting('authmig.anon_role');
    authenticated constant text := current_setting('authmig.authenticated_role');
    service constant text := current_setting('authmig.service_role');
    authenticator constant text := current_setting('authmig.authenticator_role');
    role_name text;
    rule record;
begin
    foreach role_name in array array[anon, authenticated, service] loop
        if not has_schema_privilege(role_name, 'auth', 'usage') then
            raise exception 'role % has no usage on schema auth', quote_ident(role_name)
                using hint = format('grant usage on schema auth to %I;', role_name);
        end if;
        if has_schema_privilege(role_name, 'auth', 'create') then
            raise exception 'role % may create in schema auth', quote_ident(role_name);
        end if;
        if has_schema_privilege(role_name, 'auth_private', 'usage')
            or has_schema_privilege(role_name, 'auth_private', 'create')
        then
            raise exception 'role % has privileges on schema auth_private', quote_ident(role_name);
        end if;
        if has_table_privilege(role_name, 'auth.refresh_token', 'select, insert, update, delete')
            or has_any_column_privilege(role_name, 'auth.refresh_token', 'select, insert, update, references')
        then
            raise exception 'role % has privileges on table auth.refresh_token', quote_ident(role_name);
        end if;
    end loop;
    if not has_schema_privilege(authenticator, 'auth_private', 'usage') then
        raise exception 'role % has no usage on schema auth_private', quote_ident(authenticator)
            using hint = format('grant usage on schema auth_private to %I;', authenticator);
    end if;

    for rule in
        select f.signature, r.name as role_name, r.name = any (f.callers) as allowed
          from (values
            ('auth.refresh_tokens()', array[anon, authenticated]),
            ('auth.logout()', array[anon, authenticated]),
            ('auth.issue_tokens(text, text)', array[service]),
            ('auth.revoke_subject(text)', array[service]),
            ('auth.purge_expired(int)', array[service]),
            ('auth.url_encode(bytea)', array[]::text[]),
            ('auth.sign_raw(json, text, text)', array[]::text[]),
            ('auth.generate_user_jwt(text, text, text)', array[]::text[]),
            ('auth_private.postgrest_config()', array[authenticator])
          ) as f (signature, callers)
         cross join unnest(array[anon, authenticated, service, authenticator]) as r (name)
    loop
        continue when has_function_privilege(rule.role_name, rule.signature, 'execute') = rule.allowed;
        -- One that inherits from the others may call what they may.
        continue when rule.role_name = authenticator and not rule.allowed;
        raise exception '% may % function %', quote_ident(rule.role_name),
                case when rule.allowed then 'not call' else 'call' end, rule.signature
            using hint = case when rule.allowed then format('grant execute on function %s to %I;', rule.signature, rule.role_name)
                              else 'Itself, or over a role that it is a member of: `authmig verify --only grants` tells.' end;
    end loop;
end $$;
