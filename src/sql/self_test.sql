-- Does what PostgREST does, with a secret of its own, in a transaction that is taken
-- back: service issues, anon refreshes, reuse, logout, and what must be refused.
-- Raises AMK02 if something is wrong. What it leaves is the access tokens, for
-- somebody else to check; or why it could not be done.
do $$
declare
    -- Known to everybody, and gone with the transaction.
    secret constant text := encode(sha256('authmig self-test'), 'base64');
    subject constant text := 'authmig self-test';
    anon constant text := current_setting('authmig.anon_role');
    authenticated constant text := current_setting('authmig.authenticated_role');
    service constant text := current_setting('authmig.service_role');
    modern constant boolean := current_setting('server_version_num')::int4 >= 160000;
    me constant text := current_user;
    prefix text;
    authenticator text;
    role_name text;
    statement text;
    attempts text[];
    attempt text[];
    headers json;
    tokens json[];
    cookies text[];
    started bigint;
begin
    if current_setting('transaction_read_only') = 'on' or pg_is_in_recovery() then
        perform set_config('authmig.self_test', json_build_object('skipped', case
            when pg_is_in_recovery() then 'this server only reads'
            else 'transactions only read here: default_transaction_read_only is on' end)::text, true);
        return;
    end if;
    foreach role_name in array array[anon, authenticated, service] loop
        if not pg_has_role(role_name, case when modern then 'set' else 'member' end) then
            begin
                execute format('grant %I to current_user', role_name)
                    || case when modern then ' with inherit false, set true' else '' end;
            exception
                when others then
                    perform set_config('authmig.self_test', json_build_object('skipped', format(
                        '%I may not become %I, so its requests cannot be tried; to have them tried: grant %I, %I, %I to %I%s;',
                        me, role_name, anon, authenticated, service, me,
                        case when modern then ' with inherit false, set true' else '' end))::text, true);
                    return;
            end;
        end if;
    end loop;
    -- The key of a secret is made by a trigger.
    if current_setting('session_replication_role') = 'replica' then
        begin
            set local session_replication_role = origin;
        exception
            when insufficient_privilege then
                raise exception using errcode = 'AMK02', message = 'session_replication_role is replica here, so no trigger runs';
        end;
    end if;
    -- Step 4 ends a session as reuse does. Nobody was robbed, so it is not for the log.
    if current_setting('is_superuser') = 'on' then
        perform set_config('log_min_messages', 'fatal', true);
    end if;
    -- The settings are what their trigger lets pass, also if it was off when they were written.
    update auth_private.config set only_row = only_row;
    -- A grace period, so that there is one to try.
    update auth_private.config as c set jwt_secret = secret, grace_seconds = 10
     returning case when c.cookie_host_prefix then '__Host-' else '' end, c.authenticator_role into prefix, authenticator;
    if prefix is null then
        raise exception using errcode = 'AMK02', message = 'auth_private.config has no row';
    end if;
    if authenticator <> current_setting('authmig.authenticator_role') then
        raise exception using errcode = 'AMK02', message = format('auth_private.config has %I as the authenticator', authenticator),
            hint = format('update auth_private.config set authenticator_role = %L;', current_setting('authmig.authenticator_role'));
    end if;
    started := floor(extract(epoch from clock_timestamp()));
    perform set_config('request.method', 'POST', true), set_config('request.cookies', '{}', true),
            set_config('response.headers', '', true), set_config('response.status', '', true);

    -- 1. Service issues, as an application's login does.
    perform set_config('role', service, true);
    perform auth.issue_tokens(subject);
    perform set_config('role', 'none', true);
    headers := current_setting('response.headers')::json;
    if (select count(*) from json_array_elements(headers) as h where h ->> 'Set-Cookie' is not null) <> 2 then
        raise exception using errcode = 'AMK02', message = 'issue_tokens did not set two cookies';
    end if;
    if not exists (select from json_array_elements(headers) as h where h ->> 'Cache-Control' = 'no-store') then
        raise exception using errcode = 'AMK02', message = 'issue_tokens did not forbid caching';
    end if;
    for number in 0 .. 2 loop
        cookies[number] := substring(current_setting('response.headers') from '"' || prefix || 'refresh_token=([^;"]*)');
        tokens[number] := to_json(substring(current_setting('response.headers') from '"' || prefix || 'access_token=([^;"]*)'));
        exit when number = 2;
        -- 2. Anon refreshes; 3. and again with the cookie that was replaced just now.
        perform set_config('request.cookies', json_build_object(prefix || 'refresh_token', cookies[0])::text, true),
                set_config('response.headers', '', true), set_config('role', anon, true);
        perform auth.refresh_tokens();
        perform set_config('role', 'none', true);
    end loop;
    if cookies[1] = cookies[0] or coalesce(cookies[1], '') = '' then
        raise exception using errcode = 'AMK02', message = 'refresh_tokens did not replace the refresh token';
    end if;
    if cookies[2] <> cookies[1] then
        raise exception using errcode = 'AMK02', message = 'a parallel refresh got another successor';
    end if;

    -- 4. The replaced cookie an hour later: that is a thief, or the victim of one.
    update auth.refresh_token as t set rotated_at = t.rotated_at - interval '1 hour' where t.subject = 'authmig self-test';
    perform set_config('response.headers', '', true), set_config('response.status', '', true), set_config('role', anon, true);
    perform auth.refresh_tokens();
    perform set_config('role', 'none', true);
    if current_setting('response.status') <> '401' then
        raise exception using errcode = 'AMK02', message = 'a refresh token that was replaced long ago was accepted';
    end if;

    -- 5. What must be refused, and how: as whom, what, with which state, what is wrong if not.
    attempts := array[
        [anon, 'select auth.refresh_tokens()', 'PT401', 'a session went on after its refresh token was used twice'],
        [service, 'select auth.issue_tokens(null)', '22023', 'a token was issued for nobody'],
        [service, format('select auth.issue_tokens(''x'', %L)', current_setting('authmig.authenticator_role')), '22023',
            'a token was issued for the role that PostgREST logs in as'],
        [service, format('select auth.issue_tokens(''x'', %L)', current_setting('authmig.owner_role')), '22023',
            'a token was issued for the role that owns the schema']
    ];
    foreach statement in array array[
        'select auth.sign_raw(''{}'', '''')', 'select auth.generate_user_jwt(''x'', '''')', 'select auth.url_encode('''')',
        'select 1 from auth.refresh_token', 'update auth.refresh_token set subject = ''x''', 'select 1 from auth_private.config',
        'select auth.issue_tokens(''x'')', 'select auth.revoke_subject(''x'')', 'select auth.purge_expired()'
    ] loop
        foreach role_name in array array[anon, authenticated, service] loop
            -- The last three are there for service.
            continue when role_name = service and statement ~ 'issue_tokens|revoke_subject|purge_expired';
            attempts := attempts || array[[role_name, statement, '42501', format('%I may run: %s', role_name, statement)]];
        end loop;
    end loop;
    foreach attempt slice 1 in array attempts loop
        begin
            perform set_config('role', attempt[1], true);
            execute attempt[2];
            perform set_config('role', 'none', true);
            raise exception using errcode = 'AMK02', message = attempt[4];
        exception
            when others then
                perform set_config('role', 'none', true);
                if sqlstate = 'AMK02' then
                    raise;
                elsif sqlstate <> attempt[3] then
                    raise exception using errcode = 'AMK02',
                        message = format('%s, as %I: %s (%s) instead of %s', attempt[2], attempt[1], sqlerrm, sqlstate, attempt[3]);
                end if;
        end;
    end loop;

    -- 6. Another session, ended by its owner.
    perform set_config('response.headers', '', true), set_config('response.status', '', true), set_config('role', service, true);
    perform auth.issue_tokens(subject);
    perform set_config('role', 'none', true);
    perform set_config('request.cookies', json_build_object(prefix || 'refresh_token',
                substring(current_setting('response.headers') from '"' || prefix || 'refresh_token=([^;"]*)'))::text, true),
            set_config('response.headers', '', true), set_config('role', anon, true);
    perform auth.logout();
    begin
        perform auth.refresh_tokens();
        raise exception using errcode = 'AMK02', message = 'a session went on after logout';
    exception
        when sqlstate 'PT401' then
            null;
    end;
    perform set_config('role', 'none', true);
    perform set_config('authmig.self_test', json_build_object(
        'tokens', array_to_json(tokens),
        'role', authenticated,
        'subject', subject,
        'from', started,
        'to', floor(extract(epoch from clock_timestamp()))::bigint)::text, true);
end $$;
select pg_catalog.current_setting('authmig.self_test');
