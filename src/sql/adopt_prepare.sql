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
    obstacles jsonb;
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
        -- To read it must run nobody's code: it may be something else by now.
        unknown := unknown || array(
            select odd.what
              from pg_class as c
              join pg_namespace as n on n.oid = c.relnamespace
              join pg_roles as s on s.oid = n.nspowner
             cross join lateral (values
                -- Seen before, but for what came since: a schema of ours stays.
                (not s.rolsuper and s.rolname not in (current_user, current_setting('authmig.owner_role')),
                    format('schema auth belongs to %I', s.rolname)),
                (c.relkind <> 'r', 'auth.refresh_token is no plain table'),
                (exists (select from pg_inherits as i where c.oid in (i.inhrelid, i.inhparent)),
                    'a parent or child of auth.refresh_token')) as odd (found, what)
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
    -- What is dropped below takes with it what is part of it, and that is refused if it was not
    -- published. What else needs it would not let it go.
    with recursive goes (class, object, part, how) as (
        select 'pg_class'::regclass::oid, to_regclass('auth.refresh_token')::oid, 0, ''::"char"
         union
        select 'pg_proc'::regclass, to_regprocedure(p.signature), 0, '' from jsonb_object_keys(published) as p (signature)
         union
        select d.classid, d.objid, d.objsubid, d.deptype
          from goes as g
          join pg_depend as d on d.refclassid = g.class and d.refobjid = g.object and g.part in (0, d.refobjsubid)
         where d.deptype in ('a', 'i')
    ), bound (class, object, part, lost) as (
        select g.class, g.object, g.part, true from goes as g where g.how = 'a'
         union
        -- Since PostgreSQL 15.
        select d.classid, d.objid, 0, true
          from pg_depend as d
         where d.refclassid = 'pg_namespace'::regclass and d.refobjid = 'auth'::regnamespace
           and d.classid = to_regclass('pg_publication_namespace')
         union
        select case when w.oid is null then d.classid else 'pg_class'::regclass end, coalesce(w.ev_class, d.objid),
               case when c.relkind in ('r', 'p') then d.objsubid else 0 end, false
          from goes as g
          join pg_depend as d on d.refclassid = g.class and d.refobjid = g.object and g.part in (0, d.refobjsubid)
           and d.deptype = 'n'
          -- A view is found by the rule that it is.
          left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid and w.ev_type = '1'
          left join pg_class as c on d.classid = 'pg_class'::regclass and c.oid = d.objid
         where not exists (select from goes as own where own.class = d.classid and own.object = d.objid and own.part in (0, d.objsubid))
    ), named as (
        -- Up to PostgreSQL 14, a generated column goes with a function that it calls, even when its
        -- expression has been dropped.
        select b.lost and b.part = 0 as lost, o.type, o.type || ' ' || o.identity as what,
               case when o.type in ('trigger', 'rule', 'policy', 'index', 'view', 'materialized view', 'function', 'procedure')
                    then format('drop %s %s;', o.type, o.identity)
                    else format(case o.type
                        when 'table constraint' then 'alter table %1$I.%2$I drop constraint %3$I;'
                        when 'default value' then 'alter table %1$I.%2$I alter column %3$I drop '
                            || case when g.attgenerated > '' then 'expression;' else 'default;' end
                        when 'table column' then case when b.lost
                            then 'copy it to a plain column, then: alter table %1$I.%2$I drop column %3$I;'
                            else 'alter table %1$I.%2$I alter column %3$I type text;' end
                        when 'table' then case when exists (
                                select from pg_inherits as i where i.inhrelid = b.object and i.inhparent = to_regclass('auth.refresh_token'))
                            then 'alter table %1$I.%2$I no inherit auth.refresh_token;' end
                        when 'sequence' then 'alter sequence %1$I.%2$I owned by none;'
                        when 'statistics object' then 'drop statistics %1$I.%2$I;'
                        when 'publication relation' then 'alter publication %4$I drop table auth.refresh_token;'
                        when 'publication namespace' then 'alter publication %4$I drop tables in schema auth;'
                        end, a.object_names[1], a.object_names[2], a.object_names[3], a.object_args[1])
               end as mend
          from bound as b
         cross join pg_identify_object(b.class, b.object, b.part) as o
         cross join pg_identify_object_as_address(b.class, b.object, b.part) as a
          left join pg_constraint as c on b.class = 'pg_constraint'::regclass and c.oid = b.object
          left join pg_attrdef as v on b.class = 'pg_attrdef'::regclass and v.oid = b.object
          left join pg_attribute as g on g.attrelid = v.adrelid and g.attnum = v.adnum
         where not (b.lost and coalesce(o.type = 'default value' or o.identity = 'auth.refresh_token_id_seq'
                -- A trigger that is a constraint, too, is named as a trigger.
                or o.schema = 'pg_toast' or c.contype in ('n', 't') or pg_get_constraintdef(c.oid) = 'PRIMARY KEY (id)', false))
    )
    select jsonb_agg(jsonb_build_array(f.place, f.what, f.help) order by f.place, f.what collate "C")
      into obstacles
      from (
        select 1, 'schema auth holds what authmig does not recognise: ' || u.what,
               coalesce(case when u.what like 'publication namespace %' then 'its subscribers do not know the new table: '
                        else 'it would be lost; if that is right: ' end || u.mend,
                    'put it elsewhere, or back to how it was published')
          from (
            select u.what, null from unnest(unknown) as u (what)
             union all
            select n.what, n.mend from named as n where n.lost
             union all
            select r.what || 'row level security of auth.refresh_token',
                   format('alter table auth.refresh_token %s row level security;', r.off)
              from pg_class as c
             cross join lateral (values
                (c.relrowsecurity, '', 'disable'), (c.relforcerowsecurity, 'forced ', 'no force')) as r (found, what, off)
             where c.oid = to_regclass('auth.refresh_token') and r.found
          ) as u (what, mend)
         union all
        select 1, format('table auth.refresh_token belongs to %I, who does not have its schema', r.rolname),
               format('alter table auth.refresh_token owner to %I;', current_user)
          from pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
          join pg_roles as r on r.oid = c.relowner
         where c.oid = to_regclass('auth.refresh_token')
           and not r.rolsuper and r.rolname <> current_user and r.oid <> n.nspowner
         union all
        select 2, n.what || ' needs what an adoption replaces',
               coalesce(case when n.type in ('table', 'table column') then ''
                        else 'drop it, and create it again afterwards, for what is new: ' end || n.mend,
                    'change it so that it does without')
          from named as n where not n.lost
         union all
        select 3, format('%s %s is a member of extension %I', o.type, o.identity, e.extname),
               format('alter extension %I drop %s %s;', e.extname, o.type, o.identity)
          from goes as g
          join pg_depend as d on d.classid = g.class and d.objid = g.object and d.deptype = 'e'
          join pg_extension as e on e.oid = d.refobjid
         cross join pg_identify_object(g.class, g.object, 0) as o
         -- Since PostgreSQL 18 the types of a table come and go with it.
         where o.type <> 'type'
      ) as f (place, what, help);
    if obstacles is not null then
        raise exception using errcode = 'AMU01', message = 'something stands in the way of an adoption',
            detail = obstacles;
    end if;

    -- Not to_regclass: it wants USAGE of the schema, which can be anybody's.
    if exists (select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                where n.nspname = 'infra' and c.relname = 'schema_migrations')
    then
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
                select jsonb_build_object('owner', c.relowner::regrole::text, 'acl', c.relacl::text, 'columns', (
                        select jsonb_object_agg(a.attname, a.attacl::text)
                          from pg_attribute as a
                         where a.attrelid = c.oid and a.attacl is not null))
                  from pg_class as c
                 where c.oid = 'auth.refresh_token'::regclass),
            'sequence', (
                select c.relacl::text from pg_class as c where c.oid = to_regclass('auth.refresh_token_id_seq')))
      into found;
    perform set_config('authmig.adopted', found::text, true);

    -- Its rows go to no replica and no subscriber.
    create unlogged table authmig.adopted as
        select t.subject, t.token, t.created_at from auth.refresh_token as t;
    drop table auth.refresh_token;
    for name in select jsonb_object_keys(published) loop
        execute format('drop function %s', name);
    end loop;
end $$;
