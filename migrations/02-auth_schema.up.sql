-- Tokens for PostgREST: access tokens (JWT, HS256) and refresh tokens in cookies.
--
-- The schema auth holds only what a request may call, and the table of sessions.
-- The schema auth_private holds the settings, the secret and the helpers: never
-- name it in PostgREST's db-schemas or db-extra-search-path.
--
-- This file also creates the role that owns all of it (auth_owner), which can do
-- nothing else and cannot log in. The security definer functions run as it, and
-- whoever migrates stays a member of it, in order to be able to upgrade.
-- 04-roles creates the roles of requests, 05-grants lets them in.
--
-- Contents
--   1. Names       the install parameters make sense
--   2. Owner       the role, and the migrator's membership in it
--   3. Schemas     created, or found and safe to use
--   4. Tables      auth.refresh_token, auth_private.config
--   5. Signing     base64url, HMAC, the secret, JWS
--   6. Tokens      who may be named in one, and what it says
--   7. Cookies     read from the request, written to the response
--   8. Sessions    start, refresh, end
--   9. Public      what PostgREST calls
--  10. Ownership   everything to the owner, nothing to anybody else
--
-- Every function that others may call pins its search_path to pg_catalog and, last,
-- pg_temp, and every name outside pg_catalog is qualified: either alone can be got
-- round. The helpers that only those call run under their path, since nobody but the
-- owner may execute them; pinning each again would cost a tenth. Functions with a
-- RETURN instead of a body are bound when they are created and look nothing up.


-- 1. Names ------------------------------------------------------------------

do $$
declare
    -- The roles mean different things, so they must be different roles.
    roles constant text[] := array[
        current_setting('authmig.anon_role'),
        current_setting('authmig.authenticated_role'),
        current_setting('authmig.service_role'),
        current_setting('authmig.authenticator_role'),
        current_setting('authmig.owner_role')
    ];
    api constant text := current_setting('authmig.api_schema');
    name text;
begin
    foreach name in array roles || api loop
        if octet_length(name) not between 1 and 63 then
            raise exception 'a name must be 1 to 63 bytes long: "%"', name
                using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    foreach name in array roles loop
        if name like 'pg\_%' or name in ('public', 'none') then
            raise exception 'a role cannot be called "%"', name
                using errcode = 'reserved_name';
        end if;
    end loop;
    if (select count(distinct role) from unnest(roles) as role) < cardinality(roles) then
        raise exception 'the five roles must be five different ones: %', array_to_string(roles, ', ')
            using errcode = 'invalid_parameter_value';
    end if;
    if api like 'pg\_%' or api in ('information_schema', 'auth', 'auth_private', 'authmig') then
        raise exception 'the schema of the API cannot be called "%"', api
            using errcode = 'reserved_name';
    end if;
end $$;


-- 2. Owner ------------------------------------------------------------------

do $$
declare
    owner_role constant text := current_setting('authmig.owner_role');
    modern constant boolean := current_setting('server_version_num')::int >= 160000;
    role_found record;
begin
    if not exists (select from pg_roles where rolname = owner_role) then
        begin
            execute format('create role %I nologin', owner_role);
            insert into authmig.created (kind, name, version)
            values ('role', quote_ident(owner_role), 2)
                on conflict do nothing;
        exception
            when duplicate_object or unique_violation then
                null; -- Another database of this cluster is being migrated too.
            when insufficient_privilege then
                raise exception 'role % is missing, and % may not create it',
                        quote_ident(owner_role), quote_ident(current_user)
                    using errcode = 'insufficient_privilege',
                        hint = format('As a superuser: create role %I nologin; grant %I to %I;',
                            owner_role, owner_role, current_user);
        end;
    end if;

    select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin
      into strict role_found
      from pg_roles where rolname = owner_role;
    if role_found.rolsuper or role_found.rolbypassrls or role_found.rolcreaterole or role_found.rolcreatedb
        or role_found.rolreplication or role_found.rolcanlogin
    then
        raise exception 'role % may do more than own the schema auth', quote_ident(owner_role)
            using errcode = 'invalid_role_specification',
                -- Who is needed for something else is not to lose what that takes.
                hint = case when owner_role = current_user or role_found.rolsuper and role_found.rolcanlogin then ''
                    else format('alter role %I nologin nosuperuser nobypassrls nocreaterole nocreatedb noreplication; or ', owner_role) end
                    || 'name another with --owner-role';
    end if;
    -- What its own memberships add, the functions could do as well.
    select string_agg(quote_ident(r.rolname), ', ' order by r.rolname) as roles into role_found
      from pg_roles as r
     where r.rolname <> owner_role
       and pg_has_role(owner_role, r.oid, 'member')
       and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication
            or r.rolname like 'pg\_%');
    if role_found.roles is not null then
        raise exception 'role % is a member of: %', quote_ident(owner_role), role_found.roles
            using errcode = 'invalid_role_specification',
                hint = 'The functions of the schema auth would run with these rights. '
                    'Revoke them, or name another role with --owner-role.';
    end if;

    -- Handing something over takes the right to become the new owner (SET), and
    -- changing it later takes the owner's rights (USAGE). Since PostgreSQL 16 who
    -- creates a role has neither, only the right to grant both to himself.
    if not pg_has_role(owner_role, case when modern then 'set' else 'member' end)
        or not pg_has_role(owner_role, 'usage')
    then
        begin
            execute format('grant %I to current_user', owner_role)
                || case when modern then ' with inherit true, set true' else '' end;
            insert into authmig.created (kind, name, version)
            values ('membership', format('%I to %I', owner_role, current_user), 2)
                on conflict do nothing;
        exception
            when duplicate_object or unique_violation then
                null;
            when insufficient_privilege then
                raise exception '% must be a member of %', quote_ident(current_user), quote_ident(owner_role)
                    using errcode = 'insufficient_privilege',
                        hint = format('As a superuser: grant %I to %I%s;', owner_role, current_user,
                            case when modern then ' with inherit true, set true' else '' end);
        end;
    end if;
    if not pg_has_role(owner_role, 'usage') then
        raise exception '% is a member of % but does not inherit its rights',
                quote_ident(current_user), quote_ident(owner_role)
            using errcode = 'insufficient_privilege',
                hint = format('alter role %I inherit;', current_user);
    end if;
end $$;


-- 3. Schemas ----------------------------------------------------------------

-- Who owns a schema, or may create in it, can replace what these functions call.
-- So one that is there already must belong to whoever migrates, or to the owner
-- role, and nobody else may create in it. Superusers can do so anyway.
do $$
declare
    owner_role constant regrole := quote_ident(current_setting('authmig.owner_role'))::regrole;
    there record;
    right_missing text;
    schema_name text;
begin
    foreach schema_name in array array['auth', 'auth_private'] loop
        select n.oid, n.nspowner, r.rolsuper into there
          from pg_namespace as n
          join pg_roles as r on r.oid = n.nspowner
         where n.nspname = schema_name;
        if there.oid is null then
            execute format('create schema %I authorization %s', schema_name, owner_role);
            execute format('comment on schema %I is %L', schema_name, case schema_name
                when 'auth' then 'Login sessions and access tokens'
                else 'Settings, secret and helpers of the schema auth. Not for PostgREST' end);
            insert into authmig.created (kind, name, version)
            values ('schema', schema_name, 2)
                on conflict do nothing;
            continue;
        end if;

        if there.nspowner not in (owner_role, quote_ident(current_user)::regrole) and not there.rolsuper
            or not pg_has_role(there.nspowner, 'usage')
        then
            raise exception 'schema % belongs to %', schema_name, there.nspowner::regrole
                using errcode = 'insufficient_privilege',
                    detail = 'Whoever owns it could replace what is installed in it.',
                    hint = format('alter schema %I owner to %I;', schema_name, current_user);
        end if;
        -- All of auth_private is handed over to the owner role below.
        if schema_name = 'auth_private' and exists (
            select from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = there.oid)
        then
            raise exception 'schema auth_private is not empty'
                using errcode = 'duplicate_object', hint = 'Move what is in it to another schema, or drop it.';
        end if;
        for there in
            select n.nspowner, r.rolname
              from pg_namespace as n
             cross join aclexplode(n.nspacl) as acl
              left join pg_roles as r on r.oid = acl.grantee
             where n.nspname = schema_name
               and acl.privilege_type = 'CREATE'
               and acl.grantee not in (n.nspowner, owner_role, quote_ident(current_user)::regrole)
               and not coalesce(r.rolsuper, false)
        loop
            raise exception '% may create in schema %', coalesce(quote_ident(there.rolname), 'public'), schema_name
                using errcode = 'insufficient_privilege',
                    detail = 'Whoever may do so could put something in the way of what is installed in it.',
                    hint = format('revoke create on schema %I from %s;', schema_name,
                        coalesce(quote_ident(there.rolname), 'public'));
        end loop;

        -- CREATE is needed to hand over what is made below, and taken back then.
        foreach right_missing in array array['usage', 'create'] loop
            if not has_schema_privilege(owner_role, schema_name, right_missing) then
                execute format('grant %s on schema %I to %s', right_missing, schema_name, owner_role);
                insert into authmig.created (kind, name, version)
                values ('grant', format('%s on schema %I to %s', right_missing, schema_name, owner_role), 2)
                    on conflict do nothing;
            end if;
        end loop;
    end loop;
end $$;

-- Another installation, or what is left of one.
do $$
declare
    there text;
begin
    if exists (select from authmig.created where kind = 'schema' and name = 'auth') then
        return; -- It was made just now.
    end if;
    select string_agg(p.oid::regprocedure::text, ', ' order by p.oid::regprocedure::text) into there
      from pg_proc as p
     where p.pronamespace = 'auth'::regnamespace
       and p.proname in ('url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens',
            'refresh_tokens', 'logout', 'revoke_subject', 'purge_expired');
    there := nullif(concat_ws(', ', there, to_regclass('auth.refresh_token')::text), '');
    if there is not null then
        raise exception 'schema auth already holds: %', there
            using errcode = 'duplicate_object',
                hint = 'An installation of the published SQL is upgraded in place by: authmig migrate --adopt';
    end if;
end $$;


-- 4. Tables -----------------------------------------------------------------

-- One row per login, rotated in place: it neither grows nor multiplies with use.
-- The refresh cookie is "selector.verifier". The selector finds the row; the
-- verifier proves that the cookie is the newest one, and only its hash is kept.
-- No column that a refresh changes is in an index, and each page has room left for
-- the next version of its rows, so a refresh is a heap-only (HOT) update. There are
-- no CHECK constraints: PostgreSQL parses them at every INSERT and UPDATE, which is
-- a tenth of the cost, and nobody but the functions below writes here.
create table auth.refresh_token (
    selector      uuid primary key,
    subject       text not null,
    role          text not null,
    verifier_hash bytea not null,
    previous_hash bytea,
    salt          bytea,
    created_at    timestamptz not null,
    rotated_at    timestamptz not null,
    expires_at    timestamptz not null,
    revoked_at    timestamptz,
    revoked_why   text
) with (fillfactor = 70);
create index refresh_token_subject on auth.refresh_token (subject);
create index refresh_token_expires_at on auth.refresh_token (expires_at);
-- No policy: should somebody be granted this table by mistake, it looks empty.
alter table auth.refresh_token enable row level security;

comment on table auth.refresh_token is 'Sessions that may ask for a new access token';
comment on column auth.refresh_token.selector is 'First half of the refresh cookie: finds the session';
comment on column auth.refresh_token.subject is 'Who logged in; the claim sub';
comment on column auth.refresh_token.role is 'The role of every access token of this session; the claim role';
comment on column auth.refresh_token.verifier_hash is 'SHA-256 of the second half of the refresh cookie that is current';
comment on column auth.refresh_token.previous_hash is 'The hash it replaced, which is good for the grace period; null before the first refresh';
comment on column auth.refresh_token.salt is 'The current verifier is HMAC-SHA-256 of the previous one under this key; null before the first refresh';
comment on column auth.refresh_token.created_at is 'Time of the login';
comment on column auth.refresh_token.rotated_at is 'Time of the last refresh that changed the cookie, at first of the login';
comment on column auth.refresh_token.expires_at is 'The session ends then, however often it was refreshed';
comment on column auth.refresh_token.revoked_at is 'The session was ended then; null while it lives';
comment on column auth.refresh_token.revoked_why is 'logout, reuse (a cookie that had been replaced was presented), or revoked (by subject)';

-- The settings, one row. Change them with UPDATE, as the owner or the migrator.
create table auth_private.config (
    only_row           boolean primary key default true,
    jwt_secret         text,
    access_seconds     int,
    refresh_seconds    int not null default 2592000,
    grace_seconds      int not null default 10,
    issuer             text,
    audience           text,
    cookie_path        text not null default '/',
    cookie_domain      text,
    cookie_samesite    text not null default 'Lax',
    cookie_secure      boolean not null default true,
    cookie_host_prefix boolean not null default false,
    authenticator_role name not null,
    inner_pad          bytea,
    outer_pad          bytea,
    cookie_prefix      text not null generated always as (
        case when cookie_host_prefix then '__Host-' else '' end
    ) stored,
    cookie_attributes  text not null generated always as (
        '; Path=' || cookie_path || coalesce('; Domain=' || cookie_domain, '') || '; HttpOnly; SameSite='
        || cookie_samesite || case when cookie_secure then '; Secure' else '' end || '; Max-Age='
    ) stored
);
alter table auth_private.config enable row level security;

comment on table auth_private.config is 'Settings of the token functions, in one row';
comment on column auth_private.config.only_row is 'Always true';
comment on column auth_private.config.jwt_secret is
    'The signing key: base64 of 32 bytes or more, padded, one line. Null: pgrst.jwt_secret, or else app.settings.jwt_secret, is used';
comment on column auth_private.config.access_seconds is
    'Lifetime of an access token in seconds, 60 to 86400. Null: app.settings.jwt_exp if that is such a number, or else 600';
comment on column auth_private.config.refresh_seconds is
    'Lifetime of a session in seconds from login, 60 to 34560000 (400 days, where browsers cut cookies off). 2592000 is 30 days';
comment on column auth_private.config.grace_seconds is
    'For how many seconds, 0 to 60, a refresh cookie that was just replaced yields its replacement again: for parallel requests';
comment on column auth_private.config.issuer is
    'The claim iss, up to 255 bytes. Null: no such claim';
comment on column auth_private.config.audience is
    'The claim aud, up to 255 bytes. Null: no such claim. PostgREST compares it with its jwt-aud';
comment on column auth_private.config.cookie_path is 'Attribute Path of both cookies';
comment on column auth_private.config.cookie_domain is 'Attribute Domain of both cookies; null: none, the host that set them';
comment on column auth_private.config.cookie_samesite is 'Attribute SameSite of both cookies: Strict, Lax, or None';
comment on column auth_private.config.cookie_secure is 'Attribute Secure of both cookies. False only for development without HTTPS';
comment on column auth_private.config.cookie_host_prefix is
    'Put __Host- in front of the names of both cookies; needs Secure, Path=/ and no Domain';
comment on column auth_private.config.authenticator_role is
    'The role that PostgREST logs in as. Tokens name only roles that it is a member of';
comment on column auth_private.config.inner_pad is
    'jwt_secret as HMAC-SHA-256 wants it (RFC 2104), so that it is not worked out for every token; kept by a trigger';
comment on column auth_private.config.outer_pad is 'Like inner_pad';
comment on column auth_private.config.cookie_prefix is 'What the names of the cookies begin with';
comment on column auth_private.config.cookie_attributes is 'What follows the values of the cookies, but for the age in seconds (RFC 6265 section 4.1)';

-- Checked here and not by CHECK constraints, since an error of those prints the
-- whole row, and the row has the secret in it.
create function auth_private.check_config() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong text;
    control constant text := '[\u0001-\u001f\u007f]';
begin
    wrong := case
        when new.only_row is not true then
            'only_row is always true'
        when new.jwt_secret is not null and not coalesce(
            new.jwt_secret ~ '^[A-Za-z0-9+/]+={0,2}$'
            and translate(encode(auth_private.decode_secret(new.jwt_secret), 'base64'), E'\n', '') = new.jwt_secret
            and octet_length(auth_private.decode_secret(new.jwt_secret)) >= 32, false)
        then
            'jwt_secret must be base64 of 32 bytes or more, padded, on one line'
        when new.access_seconds not between 60 and 86400 then
            'access_seconds must be 60 to 86400'
        when new.refresh_seconds is null or new.refresh_seconds not between 60 and 34560000 then
            'refresh_seconds must be 60 to 34560000'
        when new.grace_seconds is null or new.grace_seconds not between 0 and 60 then
            'grace_seconds must be 0 to 60'
        when octet_length(new.issuer) not between 1 and 255 or new.issuer ~ control then
            'issuer must be 1 to 255 bytes, no control characters among them'
        when octet_length(new.audience) not between 1 and 255 or new.audience ~ control then
            'audience must be 1 to 255 bytes, no control characters among them'
        -- RFC 3986 section 3.3. RFC 6265 would allow more, JSON and browsers less.
        when new.cookie_path is null or new.cookie_path !~ '^/[A-Za-z0-9._~!$&()*+,=:@%/-]{0,254}$' then
            'cookie_path must begin with a slash, and be a path of up to 255 characters'
        when new.cookie_domain !~ '^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$' then
            'cookie_domain must be a host name'
        when new.cookie_samesite is null or new.cookie_samesite not in ('Strict', 'Lax', 'None') then
            'cookie_samesite must be Strict, Lax or None'
        when new.cookie_secure is null then
            'cookie_secure must be true or false'
        when new.cookie_samesite = 'None' and not new.cookie_secure then
            'cookie_samesite None needs cookie_secure'
        when new.cookie_host_prefix is null then
            'cookie_host_prefix must be true or false'
        when new.cookie_host_prefix
            and not (new.cookie_secure and new.cookie_path = '/' and new.cookie_domain is null)
        then
            'cookie_host_prefix needs cookie_secure, cookie_path / and no cookie_domain'
        when new.authenticator_role is null or new.authenticator_role = '' then
            'authenticator_role must be the name of a role'
    end;
    if wrong is not null then
        raise exception '%', wrong using errcode = 'check_violation';
    end if;
    new := auth_private.keyed(new, decode(new.jwt_secret, 'base64'));
    -- PostgREST may take secret and audience from here; see postgrest_config().
    if tg_op = 'INSERT'
        or (new.jwt_secret, new.audience) is distinct from (old.jwt_secret, old.audience)
    then
        perform pg_notify('pgrst', 'reload config');
    end if;
    return new;
end $$;
create trigger check_config before insert or update on auth_private.config
    for each row execute function auth_private.check_config();


-- 5. Signing ----------------------------------------------------------------

-- RFC 7515 section 2: base64url without padding. encode() breaks lines.
create function auth.url_encode(data bytea) returns text
language sql immutable
return rtrim(replace(replace(replace(encode(data, 'base64'), E'\n', ''), '+', '-'), '/', '_'), '=');
comment on function auth.url_encode(bytea) is 'base64url without padding, as in a JWT';

-- RFC 2104: a key filled up with zeros to the size of a block, XOR a block of one
-- byte. Bytes have no XOR in PostgreSQL, but strings of bits have, and varbit_send()
-- turns them into bytes, behind four that hold the length.
create function auth_private.hmac_pad(key bytea, size int, fill text) returns bytea
language sql immutable
return substr(varbit_send(
    ('x' || rpad(encode(key, 'hex'), size * 2, '0'))::varbit # ('x' || repeat(fill, size))::varbit), 5);

create function auth_private.hmac(algorithm text, key bytea, message bytea) returns bytea
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    size constant int := case algorithm when 'sha256' then 64 else 128 end;
    inner_pad bytea;
    outer_pad bytea;
begin
    if octet_length(key) > size then
        key := case algorithm when 'sha256' then sha256(key) when 'sha384' then sha384(key) else sha512(key) end;
    end if;
    inner_pad := auth_private.hmac_pad(key, size, '36');
    outer_pad := auth_private.hmac_pad(key, size, '5c');
    return case algorithm
        when 'sha256' then sha256(outer_pad || sha256(inner_pad || message))
        when 'sha384' then sha384(outer_pad || sha384(inner_pad || message))
        when 'sha512' then sha512(outer_pad || sha512(inner_pad || message))
    end;
end $$;

-- The settings with that key to sign with.
create function auth_private.keyed(config auth_private.config, key bytea) returns auth_private.config
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if octet_length(key) > 64 then
        key := sha256(key);
    end if;
    config.inner_pad := auth_private.hmac_pad(key, 64, '36');
    config.outer_pad := auth_private.hmac_pad(key, 64, '5c');
    return config;
end $$;

-- The bytes of a secret in base64 of either alphabet, padded or not, on one line or
-- several; null if it is anything else.
create function auth_private.decode_secret(secret text) returns bytea
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    standard constant text := translate(btrim(secret, E' \t\r\n'), E'-_\r\n', '+/');
    unpadded constant text := rtrim(standard, '=');
begin
    if standard !~ '^[A-Za-z0-9+/]+={0,2}$'
        or length(unpadded) % 4 = 1
        or standard <> unpadded and length(standard) % 4 <> 0
    then
        return null;
    end if;
    return decode(rpad(unpadded, (length(unpadded) + 3) / 4 * 4, '='), 'base64');
end $$;

-- The signing key where auth_private.config has none. A setting that was once set
-- in a transaction of this connection is '' afterwards: that is no secret either.
create function auth_private.key_from_settings() returns bytea
language plpgsql stable
as $$
declare
    secret constant text := coalesce(
        nullif(current_setting('pgrst.jwt_secret', true), ''),
        nullif(current_setting('app.settings.jwt_secret', true), ''));
    key constant bytea := auth_private.decode_secret(secret);
begin
    if secret is null then
        raise exception 'no JWT secret is set'
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'Run: authmig secret generate';
    end if;
    -- RFC 7518 section 3.2: as long as the hash.
    if key is null or octet_length(key) < 32 then
        raise exception 'the JWT secret is not base64 of 32 bytes or more'
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'Run: authmig secret generate';
    end if;
    return key;
end $$;

-- RFC 7515 section 3.1, compact serialisation. There is no kid: PostgREST refuses
-- one when its secret is not a JWK.
create function auth.sign_raw(payload json, secret_base64 text, algorithm text default 'HS256') returns text
language plpgsql immutable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    key constant bytea := auth_private.decode_secret(secret_base64);
    hash text;
    key_bytes int;
    signing_input text;
begin
    case algorithm
        when 'HS256' then hash := 'sha256'; key_bytes := 32;
        when 'HS384' then hash := 'sha384'; key_bytes := 48;
        when 'HS512' then hash := 'sha512'; key_bytes := 64;
        else
            raise exception 'algorithm must be HS256, HS384 or HS512'
                using errcode = 'invalid_parameter_value';
    end case;
    if key is null or octet_length(key) < key_bytes then
        raise exception 'the secret must be base64 of % bytes or more', key_bytes
            using errcode = 'invalid_parameter_value';
    end if;
    if payload is null or json_typeof(payload) <> 'object' then
        raise exception 'payload must be a JSON object'
            using errcode = 'invalid_parameter_value';
    end if;
    -- RFC 7519 section 4. Of two equal names, readers differ in which one counts.
    if exists (select from json_object_keys(payload) as claim (name) group by claim.name having count(*) > 1) then
        raise exception 'payload has a claim twice'
            using errcode = 'invalid_parameter_value';
    end if;
    signing_input := auth.url_encode(convert_to('{"alg":"' || algorithm || '","typ":"JWT"}', 'UTF8'))
        || '.' || auth.url_encode(convert_to(payload::text, 'UTF8'));
    return signing_input || '.'
        || auth.url_encode(auth_private.hmac(hash, key, convert_to(signing_input, 'UTF8')));
end $$;
comment on function auth.sign_raw(json, text, text) is
    'Signs a JWT payload with HS256, HS384 or HS512 and a base64 secret of at least 32, 48 or 64 bytes';


-- 6. Tokens -----------------------------------------------------------------

-- Whether a token may name this role: PostgREST must be able to switch to it, and
-- it must not lead to PostgREST's own role or to the owner of this schema (the
-- current user in here), as that of a superuser would. "none" is reserved and so
-- never exists. A name that is too long would be cut short and match another role:
-- as a name, it is no longer equal to itself.
create function auth_private.may_be_minted(role text, authenticator name) returns boolean
language sql stable
return case
    when role = role::name and role <> '' and to_regrole(quote_ident(role)) is not null
    then pg_has_role(authenticator, role::name,
            case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
        and not pg_has_role(role::name, authenticator, 'member')
        and not pg_has_role(role::name, current_user, 'member')
    else false
end;

-- The lifetime that app.settings.jwt_exp gives an access token, in seconds; null if it
-- is out of range.
create function auth_private.accepted_seconds(setting text) returns int
language plpgsql immutable strict
as $$
begin
    if setting ~ '^[0-9]{2,5}$' and setting::int between 60 and 86400 then
        return setting::int;
    end if;
    return null;
end $$;

-- How long an access token lives. Where the setting is not there, nothing is called.
create function auth_private.access_seconds(configured int) returns int
language sql stable
return coalesce(configured,
    auth_private.accepted_seconds(nullif(current_setting('app.settings.jwt_exp', true), '')), 600);

-- An access token that lives for so many seconds, signed with the key in config or, if
-- there is none, in the settings: RFC 7519 section 4.1; sid is that of OpenID Connect.
-- exp and iat are whole numbers: PostgREST takes a fraction for 0.
create function auth_private.access_token(
    config auth_private.config,
    subject text,
    role text,
    sid text,
    lifetime int
) returns text
language plpgsql volatile
as $$
declare
    issued_at constant bigint := floor(date_part('epoch', clock_timestamp()));
    signing_input text;
begin
    if (char_length(subject) <= 255 and subject ~ '^[^\u0001-\u001f\u007f]+$'
        and auth_private.may_be_minted(role, config.authenticator_role)) is not true
    then
        if (char_length(subject) <= 255 and subject ~ '^[^\u0001-\u001f\u007f]+$') is not true then
            raise exception 'subject must be 1 to 255 characters, no control characters among them'
                using errcode = 'invalid_parameter_value';
        end if;
        -- No hint where that leads to PostgREST's own role or to the owner: who followed
        -- it would let every request read the secret, and would still be refused.
        if (case when role = role::name and role <> '' and to_regrole(quote_ident(role)) is not null
            then pg_has_role(role::name, config.authenticator_role, 'member')
                or pg_has_role(role::name, current_user, 'member') end)
        then
            raise exception 'this role cannot be given to a token'
                using errcode = 'invalid_parameter_value';
        end if;
        raise exception 'this role cannot be given to a token'
            using errcode = 'invalid_parameter_value',
                hint = 'The authenticator must be a member of it.';
    end if;
    if config.inner_pad is null then
        config := auth_private.keyed(config, auth_private.key_from_settings());
    end if;
    -- The header is {"alg":"HS256","typ":"JWT"}.
    signing_input := 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.' || auth.url_encode(convert_to(
        format('{"role":%s,"sub":%s,"iat":%s,"exp":%s,"jti":"%s"%s%s%s}',
            to_json(role), to_json(subject), issued_at, issued_at + lifetime, gen_random_uuid(),
            ',"sid":"' || sid || '"', ',"iss":' || to_json(config.issuer), ',"aud":' || to_json(config.audience)),
        'UTF8'));
    return signing_input || '.' || auth.url_encode(
        sha256(config.outer_pad || sha256(config.inner_pad || convert_to(signing_input, 'UTF8'))));
end $$;


-- 7. Cookies ----------------------------------------------------------------

-- The refresh cookie of the request as "selector.verifier", or null if there is
-- none that could be one of ours.
create function auth_private.presented_token(prefix text) returns text
language plpgsql stable
as $$
declare
    cookie text;
begin
    -- Some versions of PostgREST leave the quotes of a quoted cookie on.
    cookie := btrim(nullif(current_setting('request.cookies', true), '')::json
        ->> (prefix || 'refresh_token'), '"');
    case octet_length(cookie)
        when 36 then
            -- A token of the published SQL is a UUID alone. It proves itself, and
            -- its hash finds it.
            if cookie::uuid::text = cookie then
                return encode(substr(sha256(convert_to(cookie, 'UTF8')), 1, 16), 'hex')::uuid || '.' || cookie;
            end if;
        when 101 then
            if left(cookie, 36)::uuid::text || '.' = left(cookie, 37)
                and substr(cookie, 38) ~ '^[0-9a-f]*$'
            then
                return cookie;
            end if;
        else
            null;
    end case;
    return null;
exception
    -- Not JSON, a NUL in any cookie, nested too deep, not a UUID: then there is none.
    when others then
        return null;
end $$;

-- What somebody else has set in response.headers in this transaction, but for these
-- cookies: objects, each with a comma behind it. PostgREST wants one name and a string
-- in each. It would answer 500 for anything else, after the commit: so that is left out.
create function auth_private.kept_headers(prefix text) returns text
language plpgsql stable
as $$
declare
    kept text;
    left_out bigint;
begin
    select string_agg(present.header::text || ',', '' order by present.position)
               filter (where lower(field.key collate "C") <> 'cache-control'
                   and not (lower(field.key collate "C") = 'set-cookie'
                       and (starts_with(field.value, prefix || 'access_token=')
                            or starts_with(field.value, prefix || 'refresh_token=')))),
           count(*) filter (where field.key is null)
      into kept, left_out
      from json_array_elements(current_setting('response.headers')::json)
           with ordinality as present (header, position)
      left join lateral (
            select min(pair.key) as key, min(pair.value #>> '{}') as value
              from json_each(case json_typeof(present.header) when 'object' then present.header end) as pair
            having count(*) = 1 and min(json_typeof(pair.value)) = 'string'
           ) as field on true;
    if left_out > 0 then
        raise warning 'response.headers held what is no header: that is left out';
    end if;
    return kept;
exception
    when others then
        raise warning 'response.headers was not an array of objects and is replaced';
        return null;
end $$;

-- response.headers with both cookies in it; null and 0 clear a cookie. RFC 6749 section
-- 5.1 wants no-store. Nothing in here needs escaping: tokens are base64url and hex, and
-- check_config() keeps the attributes to as little.
create function auth_private.response_headers(
    prefix text,
    attributes text,
    access_token text,
    access_age int,
    refresh_token text,
    refresh_age int
) returns text
language sql stable
return format('[%s{"Set-Cookie":"%saccess_token=%s%s%s"},{"Set-Cookie":"%srefresh_token=%s%s%s"},'
    '{"Cache-Control":"no-store"}]',
    case when current_setting('response.headers', true) <> '' then auth_private.kept_headers(prefix) end,
    prefix, access_token, attributes, access_age,
    prefix, refresh_token, attributes, refresh_age);


-- 8. Sessions ---------------------------------------------------------------

-- 244 random bits. PostgreSQL has no other source of random bytes that is fit for
-- this in its core.
create function auth_private.random_bytes() returns bytea
language sql volatile
return sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The hash of a verifier, as it is stored.
create function auth_private.verifier_hash(verifier text) returns bytea
language sql stable
return sha256(convert_to(verifier, 'UTF8'));

-- The claim sid. It names a session without giving the selector away, which is half
-- of what a thief needs.
create function auth_private.sid(selector uuid) returns text
language sql immutable
return encode(substr(sha256(uuid_send(selector)), 1, 16), 'hex');

-- response.headers with a new access token for a session, which it does not outlive,
-- and its refresh token. PostgreSQL puts this into the expression that calls it. Not with
-- a RETURN: then no column of the settings could be dropped and made again.
create function auth_private.token_headers(
    config auth_private.config,
    selector uuid,
    verifier text,
    subject text,
    role text,
    refresh_age int
) returns text
language sql volatile
as $$
    select auth_private.response_headers(config.cookie_prefix, config.cookie_attributes,
        auth_private.access_token(config, subject, role, auth_private.sid(selector),
            least(auth_private.access_seconds(config.access_seconds), refresh_age)),
        least(auth_private.access_seconds(config.access_seconds), refresh_age),
        concat(selector, '.', verifier),
        refresh_age)
$$;

-- For PostgREST's db-pre-config: the secret and the audience, so that both sides
-- have the same. Local to the transaction, or every request could read them. It
-- never raises: PostgREST would go on without any in-database setting.
create function auth_private.postgrest_config() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- No row type: if the table is missing, compiling that would raise outside the block.
    config record;
    ignored text;
begin
    select * into config from auth_private.config;
    if config.jwt_secret is not null then
        -- Assigned, not performed: the plan of a query can be logged, with what is in it.
        ignored := set_config('pgrst.jwt_secret', config.jwt_secret, true);
        ignored := set_config('pgrst.jwt_secret_is_base64', 'true', true);
    end if;
    if config.audience is not null then
        ignored := set_config('pgrst.jwt_aud', config.audience, true);
    end if;
exception
    when others then
        raise warning 'auth_private.postgrest_config: %', sqlerrm;
end $$;
comment on function auth_private.postgrest_config() is
    'For PostgREST: db-pre-config = "auth_private.postgrest_config"';


-- 9. Public -----------------------------------------------------------------

create function auth.generate_user_jwt(subject text, secret text, role text default 'authenticated') returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    config auth_private.config;
    key constant bytea := auth_private.decode_secret(secret);
begin
    if key is null or octet_length(key) < 32 then
        raise exception 'the secret must be base64 of 32 bytes or more'
            using errcode = 'invalid_parameter_value';
    end if;
    select * into strict config from auth_private.config;
    return auth_private.access_token(auth_private.keyed(config, key), subject, role, null,
        auth_private.access_seconds(config.access_seconds));
end $$;
comment on function auth.generate_user_jwt(text, text, text) is
    'An access token on its own, without a session, signed with the given base64 secret';

-- The next three send cookies, and refuse GET: a link or an image on any page makes a
-- browser send one, with the cookies in it. They assign what set_config() returns to
-- a variable that nobody reads, since PERFORM costs PostgreSQL four times as much.
create function auth.issue_tokens(subject text, role text default 'authenticated') returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    config auth_private.config;
    now constant timestamptz := clock_timestamp();
    selector constant uuid := gen_random_uuid();
    verifier constant text := encode(auth_private.random_bytes(), 'hex');
    -- Assigned, not in the statement: the plan of a statement can be logged, with what it is given.
    hash constant bytea := auth_private.verifier_hash(verifier);
    headers text;
begin
    if current_setting('request.method', true) in ('GET', 'HEAD') then
        raise sqlstate 'PT405' using message = 'Use POST';
    end if;
    select * into strict config from auth_private.config;
    -- Before the row is stored: this is what refuses an unlawful subject or role.
    headers := set_config('response.headers',
        auth_private.token_headers(config, selector, verifier, subject, role, config.refresh_seconds), true);
    insert into auth.refresh_token (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
    values (selector, subject, role, hash, now, now,
        now + make_interval(secs => config.refresh_seconds));
end $$;
comment on function auth.issue_tokens(text, text) is
    'Starts a session and sends its access token and refresh token as cookies';

-- The default of role is the install parameter.
do $$
declare
    function_name regprocedure;
begin
    foreach function_name in array
        array['auth.generate_user_jwt(text, text, text)', 'auth.issue_tokens(text, text)']::regprocedure[]
    loop
        execute replace(pg_get_functiondef(function_name), ' DEFAULT ''authenticated''::text',
            format(' DEFAULT %L::text', current_setting('authmig.authenticated_role')));
    end loop;
end $$;

-- The functions from here on change rows that others may be changing, and say what
-- isolation they want: PostgREST begins the transaction with it. Where a role's own is
-- stricter, whoever comes second to a row would fail with 40001, and PostgREST up to 14
-- would repeat that without end.

-- Rotation with detection of reuse, RFC 9700 section 4.14.2. Only one row is ever
-- locked, so there is nothing to deadlock with.
create function auth.refresh_tokens() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set default_transaction_isolation = 'read committed'
as $$
declare
    config auth_private.config;
    token text;
    verifier text;
    presented_hash bytea;
    hash bytea;
    session record;
    now timestamptz;
    seconds_left int;
    headers text;
begin
    if current_setting('request.method', true) in ('GET', 'HEAD') then
        raise sqlstate 'PT405' using message = 'Use POST';
    end if;
    select * into strict config from auth_private.config;
    token := auth_private.presented_token(config.cookie_prefix);
    select t.selector, t.subject, t.role, t.verifier_hash, t.previous_hash, t.salt, t.rotated_at, t.expires_at
      into session
      from auth.refresh_token as t
     where t.selector = left(token, 36)::uuid
       and t.revoked_at is null
       and t.expires_at > clock_timestamp()
       for no key update;
    -- A role can have been dropped, or taken from the authenticator, since the login.
    if not found or not auth_private.may_be_minted(session.role, config.authenticator_role) then
        raise sqlstate 'PT401' using message = 'Invalid or expired refresh token';
    end if;

    now := clock_timestamp(); -- Not before: the lock may have been waited for.
    verifier := substr(token, 38);
    presented_hash := auth_private.verifier_hash(verifier);
    if presented_hash = session.verifier_hash then
        session.salt := auth_private.random_bytes();
    elsif presented_hash is distinct from session.previous_hash
        -- Nor before, on a clock that was set back.
        or abs(date_part('epoch', now - session.rotated_at)) > config.grace_seconds
    then
        -- Two have this session's cookies, and which one is the thief cannot be
        -- told. Not by raising: PostgREST would roll the revocation back.
        update auth.refresh_token as t
           set revoked_at = now, revoked_why = 'reuse'
         where t.selector = session.selector;
        perform set_config('response.status', '401', true);
        perform set_config('response.headers',
            auth_private.response_headers(config.cookie_prefix, config.cookie_attributes, null, 0, null, 0), true);
        raise log 'auth: session % of role % ended: its refresh token was used again after it had been replaced',
            auth_private.sid(session.selector), session.role;
        return;
    end if;
    -- Within the grace period this is a parallel request of the same browser. It
    -- gets the successor that the first one got, so there is never more than one.
    verifier := encode(auth_private.hmac('sha256', session.salt, convert_to(verifier, 'UTF8')), 'hex');
    if presented_hash = session.verifier_hash then
        hash := auth_private.verifier_hash(verifier);
        update auth.refresh_token as t
           set verifier_hash = hash,
               previous_hash = presented_hash,
               salt = session.salt,
               rotated_at = now
         where t.selector = session.selector;
    end if;
    seconds_left := floor(date_part('epoch', session.expires_at - now));
    headers := set_config('response.headers',
        auth_private.token_headers(config, session.selector, verifier,
            session.subject, session.role, seconds_left), true);
end $$;
comment on function auth.refresh_tokens() is
    'Exchanges the refresh token in the cookie for a new access token and a new refresh token';

create function auth.logout() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set default_transaction_isolation = 'read committed'
as $$
declare
    config auth_private.config;
    token text;
    presented_hash bytea;
    session record;
    why text;
begin
    if current_setting('request.method', true) in ('GET', 'HEAD') then
        raise sqlstate 'PT405' using message = 'Use POST';
    end if;
    select * into strict config from auth_private.config;
    token := auth_private.presented_token(config.cookie_prefix);
    select t.selector, t.role, t.verifier_hash, t.previous_hash, t.revoked_at
      into session
      from auth.refresh_token as t
     where t.selector = left(token, 36)::uuid
       for no key update;
    -- Without a cookie nothing is cleared either: a form on another site must not
    -- be able to log anybody out.
    if not found then
        raise sqlstate 'PT401' using message = 'Invalid or expired refresh token';
    end if;
    if session.revoked_at is null then
        presented_hash := auth_private.verifier_hash(substr(token, 38));
        update auth.refresh_token as t
           set revoked_at = clock_timestamp(),
               revoked_why = case
                    when presented_hash in (session.verifier_hash, session.previous_hash) then 'logout'
                    else 'reuse'
               end
         where t.selector = session.selector
        returning t.revoked_why into why;
        -- As in refresh_tokens: somebody else has had this cookie.
        if why = 'reuse' then
            raise log 'auth: session % of role % ended: its refresh token was used again after it had been replaced',
                auth_private.sid(session.selector), session.role;
        end if;
    end if;
    perform set_config('response.headers',
        auth_private.response_headers(config.cookie_prefix, config.cookie_attributes, null, 0, null, 0), true);
end $$;
comment on function auth.logout() is
    'Ends the session of the refresh token in the cookie, and clears both cookies';

create function auth.revoke_subject(subject text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set default_transaction_isolation = 'read committed'
as $$
declare
    ended bigint;
begin
    if subject is null then
        raise exception 'subject must not be null'
            using errcode = 'invalid_parameter_value';
    end if;
    -- In one order, so that two of these do not deadlock. What has expired is ended as
    -- well, should a clock be set back, and not counted.
    with session as materialized (
        select t.selector
          from auth.refresh_token as t
         where t.subject = revoke_subject.subject
           and t.revoked_at is null
         order by t.selector
           for no key update
    ), revoked as (
        update auth.refresh_token as t
           set revoked_at = clock_timestamp(), revoked_why = 'revoked'
          from session
         where t.selector = session.selector
        returning t.expires_at > t.revoked_at as lived
    )
    select count(*) into ended from revoked where lived;
    return ended;
end $$;
comment on function auth.revoke_subject(text) is
    'Ends all sessions of a subject and says how many lived; access tokens still run out by themselves';

create function auth.purge_expired(batch int default 1000) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set default_transaction_isolation = 'read committed'
as $$
declare
    purged bigint;
    -- One that stays the same can be looked up in the index.
    now constant timestamptz := clock_timestamp();
begin
    if batch is null or batch not between 1 and 100000 then
        raise exception 'batch must be 1 to 100000'
            using errcode = 'invalid_parameter_value';
    end if;
    -- A refresh does not lock what has expired, so neither waits for the other.
    with expired as materialized (
        select t.selector
          from auth.refresh_token as t
         where t.expires_at <= now
         order by t.expires_at
         limit batch
           for update skip locked
    )
    delete from auth.refresh_token as t
     using expired
     where t.selector = expired.selector;
    get diagnostics purged = row_count;
    return purged;
end $$;
comment on function auth.purge_expired(int) is
    'Deletes up to that many sessions that have expired and says how many: repeat until 0';


-- 10. Ownership -------------------------------------------------------------

-- The one row of settings, while whoever migrates may still write it.
insert into auth_private.config (authenticator_role)
values (current_setting('authmig.authenticator_role'));

-- Everything to the owner. Then nothing to anybody else, whatever default
-- privileges this platform has: those of PUBLIC and of every other grantee go.
do $$
declare
    owner_role constant regrole := quote_ident(current_setting('authmig.owner_role'))::regrole;
    object record;
    grantee oid;
begin
    for object in
        select o.kind, o.name, o.handed_over,
               array(select distinct entry.grantee from aclexplode(o.acl) as entry where entry.grantee <> o.owner) as grantees,
               o.kind = 'function' and exists (select from aclexplode(o.acl) as entry where entry.grantee = o.owner) as whole
          from (
            select 'schema', quote_ident(n.nspname), n.nspowner, n.nspacl, true
              from pg_namespace as n
             where n.nspname in (select c.name from authmig.created as c where c.kind = 'schema' and c.version = 2)
             union all
            select 'table', c.oid::regclass::text, c.relowner, c.relacl, false
              from pg_class as c
             where c.oid in ('auth.refresh_token'::regclass, 'auth_private.config'::regclass)
             union all
            select 'function', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), false
              from pg_proc as p
             where p.pronamespace = 'auth_private'::regnamespace
                or p.oid in (
                    'auth.url_encode(bytea)'::regprocedure,
                    'auth.sign_raw(json, text, text)'::regprocedure,
                    'auth.generate_user_jwt(text, text, text)'::regprocedure,
                    'auth.issue_tokens(text, text)'::regprocedure,
                    'auth.refresh_tokens()'::regprocedure,
                    'auth.logout()'::regprocedure,
                    'auth.revoke_subject(text)'::regprocedure,
                    'auth.purge_expired(int)'::regprocedure
                )
          ) as o (kind, name, owner, acl, handed_over)
    loop
        -- The rights of the owner before go with it.
        if not object.handed_over then
            execute format('alter %s %s owner to %s', object.kind, object.name, owner_role);
        end if;
        foreach grantee in array object.grantees loop
            execute format('revoke all on %s %s from %s', object.kind, object.name,
                case when grantee = 0 then 'public' else grantee::regrole::text end);
        end loop;
        -- A default privilege can have taken away what an owner has. Of a function that is all or nothing.
        if not object.whole then
            execute format('grant all on %s %s to %s', object.kind, object.name, owner_role);
        end if;
    end loop;
end $$;

-- In a schema that was found, the owner role needed CREATE for that alone.
do $$
declare
    owner_role constant regrole := quote_ident(current_setting('authmig.owner_role'))::regrole;
    schema_name text;
    given text;
begin
    foreach schema_name in array array['auth', 'auth_private'] loop
        given := format('create on schema %I to %s', schema_name, owner_role);
        if exists (select from authmig.created where kind = 'grant' and name = given) then
            execute format('revoke create on schema %I from %s', schema_name, owner_role);
            delete from authmig.created where kind = 'grant' and name = given;
        end if;
    end loop;
end $$;
