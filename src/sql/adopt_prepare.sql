-- Takes an installation of the published SQL apart, so that 02-auth_schema finds room.
-- The table of tokens is kept aside, and what was found is noted. Whatever is not
-- as published is named and refused, since it would be lost.
do $$
declare
    -- SHA-256 of each body, white space left out. The body of refresh_tokens is not
    -- among them: as published it cannot run, so everybody has mended it differently.
    published constant jsonb := '{
        "auth.url_encode(bytea)": "a30d38f199db3193002ddf38a670d1fd838b8a2811b8c794c86e0b0fddb9bdc4",
        "auth.sign_raw(json,text,text)": "aa26e211364565d35d70df8c2a53cd434b529b2c1d45e38ea45975a537db9097",
        "auth.generate_user_jwt(text,text,text)": "bcaf191c76bec6d7669792afc5cbcc527bd61f51aac843f636edc46a4ff084b1",
        "auth.issue_tokens(text,text)": "972d36f957656ffef75438851e7c3f400b439571d17246c903f183e643daa1fa",
        "auth.refresh_tokens()": null
    }';
    ours constant text[] := array['url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens',
        'refresh_tokens', 'logout', 'revoke_subject', 'purge_expired'];
    unknown text[] := '{}';
    dependents text[];
    found jsonb;
    ledger text := 'none';
    name text;
begin
    if to_regclass('auth.refresh_token') is null
        and not exists (
            select from pg_proc as p
              join pg_namespace as n on n.oid = p.pronamespace
             where n.nspname = 'auth' and p.proname = any (ours))
    then
        return;
    end if;

    if to_regclass('auth.refresh_token') is null then
        unknown := unknown || 'table auth.refresh_token is missing'::text;
    else
        -- Nobody may log in between here and the commit.
        lock table auth.refresh_token in access exclusive mode;
        unknown := unknown || array(
            select format('table auth.refresh_token: column %I %s', a.attname, format_type(a.atttypid, a.atttypmod))
              from pg_attribute as a
             where a.attrelid = 'auth.refresh_token'::regclass and a.attnum > 0 and not a.attisdropped
               and (a.attname::text, format_type(a.atttypid, a.atttypmod)) not in (
                    ('id', 'bigint'), ('subject', 'text'), ('token', 'text'), ('created_at', 'timestamp with time zone'))
             order by a.attnum);
        if (select count(*) from pg_attribute as a
             where a.attrelid = 'auth.refresh_token'::regclass and a.attname in ('id', 'subject', 'token', 'created_at')
               and not a.attisdropped) < 4
        then
            unknown := unknown || 'table auth.refresh_token: a column is missing'::text;
        end if;
        unknown := unknown || array(
            select format('trigger %I on auth.refresh_token', t.tgname)
              from pg_trigger as t
             where t.tgrelid = 'auth.refresh_token'::regclass and not t.tgisinternal
             order by 1);
        -- To read it must run nobody's code: it may be something else by now.
        unknown := unknown || array(
            select odd.what
              from pg_class as c
              join pg_namespace as n on n.oid = c.relnamespace
              join pg_roles as r on r.oid = c.relowner
              join pg_roles as s on s.oid = n.nspowner
             cross join lateral (values
                -- Seen before, but for what came since: a schema of ours stays.
                (not s.rolsuper and s.rolname not in (current_user, current_setting('authmig.owner_role')),
                    format('schema auth belongs to %I', s.rolname)),
                (c.relkind <> 'r', 'auth.refresh_token is no plain table'),
                (c.relrowsecurity, 'row level security of auth.refresh_token'),
                (exists (select from pg_inherits as i where c.oid in (i.inhrelid, i.inhparent)),
                    'a parent or child of auth.refresh_token'),
                (not r.rolsuper and r.rolname <> current_user and r.oid <> n.nspowner,
                    format('auth.refresh_token belongs to %I', r.rolname))) as odd (found, what)
             where c.oid = 'auth.refresh_token'::regclass and odd.found);
    end if;
    unknown := unknown || array(
        select p.oid::regprocedure::text
          from pg_proc as p
         where p.pronamespace = 'auth'::regnamespace and p.proname = any (ours)
           and not published ? p.oid::regprocedure::text
         order by 1);
    for name in select jsonb_object_keys(published) order by 1 loop
        if to_regprocedure(name) is null then
            unknown := unknown || format('function %s is missing', name);
        end if;
    end loop;
    unknown := unknown || array(
        select format('the body of %s', p.oid::regprocedure)
          from pg_proc as p
         where p.pronamespace = 'auth'::regnamespace
           and published ? p.oid::regprocedure::text
           and case
                when p.proname = 'refresh_tokens' then
                    p.prosrc !~ 'request\.cookies' or p.prosrc !~ 'generate_user_jwt' or p.prosrc !~ 'refresh_token'
                else published ->> p.oid::regprocedure::text
                    <> encode(sha256(convert_to(regexp_replace(p.prosrc, '\s+', '', 'g'), 'UTF8')), 'hex')
               end
         order by 1);
    -- What needs what is dropped below: views, foreign keys, policies, defaults and so on.
    dependents := array(
        select distinct o.type || ' ' || o.identity
          from pg_depend as d
          left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
         cross join lateral pg_identify_object(
                case when w.oid is null then d.classid else 'pg_class'::regclass end, coalesce(w.ev_class, d.objid), 0) as o
         where d.deptype = 'n'
           and (d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass('auth.refresh_token')
                or d.refclassid = 'pg_type'::regclass and d.refobjid in (
                    select t.oid from pg_type as t where t.typrelid = to_regclass('auth.refresh_token'))
                or d.refclassid = 'pg_proc'::regclass and d.refobjid in (
                    select to_regprocedure(published_name) from jsonb_object_keys(published) as published_name))
         order by 1);
    if cardinality(unknown) + cardinality(dependents) > 0 then
        raise exception using errcode = 'AMU01', message = 'something stands in the way of an adoption',
            detail = (
                select jsonb_agg(jsonb_build_array(f.place, f.what, f.help))
                  from (
                    select 1, 'schema auth holds what authmig does not recognise: ' || u.what,
                           'put it elsewhere, or back to how it was published'
                      from unnest(unknown) as u (what)
                     union all
                    select 2, d.what || ' needs what an adoption replaces',
                           'drop it, and create it again afterwards, for what is new'
                                || case when d.what ~ '^(materialized )?view ' then format(': drop %s;', d.what) else '' end
                      from unnest(dependents) as d (what)
                  ) as f (place, what, help));
    end if;

    if to_regclass('infra.schema_migrations') is not null then
        ledger := 'infra.schema_migrations';
    end if;
    select jsonb_build_object(
            'ledger', ledger,
            'functions', (
                select jsonb_object_agg(p.oid::regprocedure::text,
                        jsonb_build_object('owner', p.proowner::regrole::text, 'acl', p.proacl::text))
                  from pg_proc as p
                 where p.pronamespace = 'auth'::regnamespace and published ? p.oid::regprocedure::text),
            'table', (
                select jsonb_build_object('owner', c.relowner::regrole::text, 'acl', c.relacl::text)
                  from pg_class as c
                 where c.oid = 'auth.refresh_token'::regclass))
      into found;
    perform set_config('authmig.adopted', found::text, true);

    create table authmig.adopted as
        select t.subject, t.token, t.created_at from auth.refresh_token as t;
    drop table auth.refresh_token;
    for name in select jsonb_object_keys(published) loop
        execute format('drop function %s', name);
    end loop;
end $$;
