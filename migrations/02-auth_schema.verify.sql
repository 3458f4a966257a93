-- Owned by the owner role, closed to everybody else, pinned; and the signatures are
-- right. What 05-grants opens is not looked at here.
do $$
declare
    owner_role constant regrole := to_regrole(quote_ident(current_setting('authmig.owner_role')));
    signature text;
    expected record;
    actual record;
    wrong text;
begin
    if owner_role is null then
        raise exception 'role % is missing', quote_ident(current_setting('authmig.owner_role'));
    end if;
    if exists (
        select from pg_roles
         where oid = owner_role
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolcanlogin))
    then
        raise exception 'role % may do more than own the schema auth', owner_role;
    end if;

    foreach signature in array array['auth', 'auth_private'] loop
        if to_regnamespace(signature) is null then
            raise exception 'schema % is missing', signature;
        end if;
        if not has_schema_privilege(owner_role, signature, 'usage') then
            raise exception 'role % has no usage on schema %', owner_role, signature;
        end if;
    end loop;

    foreach signature in array array['auth.refresh_token', 'auth_private.config'] loop
        select c.relowner, c.relrowsecurity, c.relacl into actual
          from pg_class as c
         where c.oid = to_regclass(signature);
        if actual.relowner is null then
            raise exception 'table % is missing', signature;
        end if;
        if actual.relowner <> owner_role then
            raise exception 'table % belongs to %, not to %', signature, actual.relowner::regrole, owner_role;
        end if;
        if not actual.relrowsecurity then
            raise exception 'row level security of table % is off', signature;
        end if;
        select string_agg(distinct case when acl.grantee = 0 then 'public' else acl.grantee::regrole::text end, ', ')
          into wrong
          from aclexplode(actual.relacl) as acl
         where acl.grantee <> owner_role;
        if wrong is not null then
            raise exception 'table % is open to: %', signature, wrong;
        end if;
    end loop;
    if (select count(*) from auth_private.config) <> 1 then
        raise exception 'auth_private.config must have one row'
            using hint = format('insert into auth_private.config (authenticator_role) values (%L);',
                current_setting('authmig.authenticator_role'));
    end if;
    -- The key is prepared when a secret is stored, by a trigger.
    if exists (
        select from auth_private.config as c
         cross join lateral auth_private.keyed(c, decode(c.jwt_secret, 'base64')) as k
         where (c.inner_pad, c.outer_pad) is distinct from (k.inner_pad, k.outer_pad))
    then
        raise exception 'tokens are signed with another key than that of the secret'
            using hint = 'update auth_private.config set jwt_secret = jwt_secret;';
    end if;

    for expected in
        select f.signature, f.result, f.definer, p.prorettype, p.prosecdef,
               array(select o.oid::regprocedure
                       from pg_proc as o
                      where o.proname = p.proname and o.pronamespace = p.pronamespace) as namesakes
          from (values
            ('auth.url_encode(bytea)', 'text', false),
            ('auth.sign_raw(json, text, text)', 'text', true),
            ('auth.generate_user_jwt(text, text, text)', 'text', true),
            ('auth.issue_tokens(text, text)', 'void', true),
            ('auth.refresh_tokens()', 'void', true),
            ('auth.logout()', 'void', true),
            ('auth.revoke_subject(text)', 'bigint', true),
            ('auth.purge_expired(int)', 'bigint', true),
            ('auth_private.postgrest_config()', 'void', true)
          ) as f (signature, result, definer)
          left join pg_proc as p on p.oid = to_regprocedure(f.signature)
    loop
        if expected.prorettype is null then
            raise exception 'function % is missing', expected.signature;
        end if;
        if expected.prorettype <> expected.result::regtype then
            raise exception 'function % does not return %', expected.signature, expected.result;
        end if;
        if expected.prosecdef <> expected.definer then
            raise exception 'function % is not security %', expected.signature,
                case when expected.definer then 'definer' else 'invoker' end;
        end if;
        -- PostgREST cannot tell two functions of one name apart.
        if cardinality(expected.namesakes) > 1 then
            raise exception 'functions of the same name: %', array_to_string(expected.namesakes, ', ');
        end if;
    end loop;

    for actual in
        select p.signature, p.proowner, p.pinned or not (p.prosecdef or p.others) as pinned, p.everybody
          from (
            select p.oid::regprocedure as signature, p.proowner, p.prosecdef,
                   -- A body that was parsed when it was created does not look anything up, and a
                   -- helper that only the owner may execute runs under its caller's path.
                   coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false) or p.prosqlbody is not null as pinned,
                   exists (select from aclexplode(acl) where grantee <> owner_role) as others,
                   exists (select from aclexplode(acl) where grantee = 0) as everybody
              from pg_proc as p, coalesce(p.proacl, acldefault('f', p.proowner)) as acl
             where p.pronamespace = 'auth_private'::regnamespace
                or p.pronamespace = 'auth'::regnamespace
               and p.proname in ('url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens',
                    'refresh_tokens', 'logout', 'revoke_subject', 'purge_expired')
          ) as p
    loop
        if actual.proowner <> owner_role then
            raise exception 'function % belongs to %, not to %', actual.signature,
                actual.proowner::regrole, owner_role;
        end if;
        if not actual.pinned then
            raise exception 'function % does not pin its search_path', actual.signature;
        end if;
        if actual.everybody then
            raise exception 'function % may be executed by public', actual.signature
                using hint = format('revoke execute on function %s from public;', actual.signature);
        end if;
    end loop;
end $$;

-- RFC 4231 sections 4.2 to 4.8, without 4.6 (a truncated one): HMAC with SHA-256,
-- SHA-384 and SHA-512.
do $$
declare
    vector record;
begin
    for vector in
        select v.section, hash.algorithm, decode(v.key, 'hex') as key, decode(v.message, 'hex') as message,
               case hash.algorithm when 'sha256' then v.sha256 when 'sha384' then v.sha384 else v.sha512 end as expected
          from (values
            ('4.2', repeat('0b', 20), '4869205468657265',
             'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
             'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6',
             '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854'),
            ('4.3', '4a656665', '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
             '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
             'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
             '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737'),
            ('4.4', repeat('aa', 20), repeat('dd', 50),
             '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
             '88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27',
             'fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb'),
            ('4.5', '0102030405060708090a0b0c0d0e0f10111213141516171819', repeat('cd', 50),
             '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
             '3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb',
             'b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd'),
            ('4.7', repeat('aa', 131),
             '54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374',
             '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
             '4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952',
             '80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598'),
            ('4.8', repeat('aa', 131),
             '5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e',
             '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
             '6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e',
             'e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58')
          ) as v (section, key, message, sha256, sha384, sha512)
         cross join (values ('sha256'), ('sha384'), ('sha512')) as hash (algorithm)
    loop
        if encode(auth_private.hmac(vector.algorithm, vector.key, vector.message), 'hex') is distinct from vector.expected then
            raise exception 'HMAC with % is wrong: RFC 4231 section %', vector.algorithm, vector.section;
        end if;
    end loop;
end $$;

-- RFC 7515 appendix A.1: the bytes signed and the signature. Then the same through
-- the public function, whose header has its members in another order.
do $$
declare
    secret constant text := 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
    signed constant text := 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.'
        || 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
begin
    if auth.url_encode(auth_private.hmac('sha256', auth_private.decode_secret(secret), convert_to(signed, 'UTF8')))
        is distinct from 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
    then
        raise exception 'the signature is wrong: RFC 7515 appendix A.1';
    end if;
    if auth.sign_raw('{"sub":"1"}', secret) not like 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.%' then
        raise exception 'header or payload of a token is wrong';
    end if;
end $$;
