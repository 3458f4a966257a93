-- Drops what the up script created: the functions, the sessions with them, the
-- settings and the secret. What other objects need stays, and so do the owner role
-- (roles belong to the cluster) and the migrator's membership in it.
do $$
declare
    owner_role constant regrole := to_regrole(quote_ident(current_setting('authmig.owner_role')));
    object text;
    given text;
begin
    foreach object in array array[
        -- Functions before the tables whose row types they take.
        'function auth.issue_tokens(text, text)',
        'function auth.refresh_tokens()',
        'function auth.logout()',
        'function auth.revoke_subject(text)',
        'function auth.purge_expired(int)',
        'function auth.generate_user_jwt(text, text, text)',
        'function auth.sign_raw(json, text, text)',
        'function auth_private.postgrest_config()',
        'function auth_private.token_headers(auth_private.config, uuid, text, text, text, int)',
        'function auth_private.sid(uuid)',
        'function auth_private.verifier_hash(text)',
        'function auth_private.random_bytes()',
        'function auth_private.response_headers(text, text, text, int, text, int)',
        'function auth_private.kept_headers(text)',
        'function auth_private.presented_token(text)',
        'function auth_private.access_token(auth_private.config, text, text, text, int)',
        'function auth_private.access_seconds(int)',
        'function auth_private.accepted_seconds(text)',
        'function auth_private.may_be_minted(text, name)',
        'function auth_private.key_from_settings()',
        'function auth_private.keyed(auth_private.config, bytea)',
        'function auth_private.hmac(text, bytea, bytea)',
        'function auth_private.hmac_pad(bytea, int, text)',
        -- After what is bound to it.
        'function auth.url_encode(bytea)',
        'table auth_private.config',
        'table auth.refresh_token',
        -- After the table whose trigger it is.
        'function auth_private.check_config()',
        'function auth_private.decode_secret(text)'
    ] loop
        begin
            execute 'drop ' || object;
        exception
            when undefined_function or undefined_table or undefined_object or invalid_schema_name then
                null; -- Somebody has dropped it already.
            when dependent_objects_still_exist then
                raise notice '% stays: other objects use it', object;
        end;
    end loop;

    -- A schema that was found keeps its owner and loses what was granted to ours.
    foreach object in array array['auth', 'auth_private'] loop
        given := format('usage on schema %I to %s', object, owner_role);
        if exists (select from authmig.created where kind = 'grant' and name = given)
            and exists (select from pg_namespace where nspname = object)
        then
            execute format('revoke usage on schema %I from %s', object, owner_role);
        end if;
        if exists (select from authmig.created where kind = 'schema' and name = object) then
            begin
                execute format('drop schema if exists %I', object);
            exception
                when dependent_objects_still_exist then
                    raise notice 'schema % stays: there are objects in it', object;
            end;
        end if;
    end loop;
    -- What stays belongs to those who use it: a later rollback must not take it.
    delete from authmig.created where version = 2 and kind in ('schema', 'grant');
end $$;
