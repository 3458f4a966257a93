-- Fails with AMP01 if anything would stop the pending migrations, and tells all of it at
-- once: the detail is JSON, for each obstacle its rank, what it is, and the statement or
-- the option that helps. The scripts refuse again what would do harm, one by one. With AMP02 if authmig is
-- installed, and nothing says so.
-- The parameters are settings; {pending} are the names of what is to be applied, {adopt} is
-- whether the published SQL may be there, and was_reverted.sql comes into its place as an expression.
do $$
declare
    pending constant text[] := {pending};
    auth_pending constant boolean := 'auth_schema' = any (pending);
    -- Whether one of its schemas is there already.
    auth_found constant boolean := to_regnamespace('auth') is not null or to_regnamespace('auth_private') is not null;
    roles_pending constant boolean := 'roles' = any (pending);
    owner_role constant text := current_setting('authmig.owner_role');
    modern constant boolean := current_setting('server_version_num')::int4 >= 160000;
    authenticator constant oid := to_regrole(quote_ident(current_setting('authmig.authenticator_role')));
    -- What the authenticator becomes.
    requests constant oid[] := array[to_regrole(quote_ident(current_setting('authmig.anon_role'))),
        to_regrole(quote_ident(current_setting('authmig.authenticated_role'))), to_regrole(quote_ident(current_setting('authmig.service_role')))];
    -- What who is to become a role has to be.
    needed constant text := case when modern then 'set' else 'member' end;
    me constant name := current_user;
    my_oid constant oid := to_regrole(quote_ident(current_user));
    super constant boolean := current_setting('is_superuser') = 'on';
    creates_roles boolean := super;
    inherits boolean;
    parameter text;
    there record;
    stranger text;
    names text;
    excess text;
    groups text;
    group_revokes text;
    members text;
    member_revokes text;
    another text;
    elsewhere text;
    dangerous oid[];
    refused text[] := '{}';
    granted oid;
    create_first boolean := false;
    logs_in boolean;
    refresh_token oid;
    strangers text[];
    theirs boolean;
    holders text[];
    ours boolean;
    reverted boolean := false;
    functions boolean;
    found jsonb := '[]';
begin
    if not super then
        select r.rolcreaterole, r.rolinherit into strict creates_roles, inherits from pg_roles as r where r.rolname = me;
    end if;

    -- Whatever it is granted to go on, requests could use.
    if not super and my_oid = any (requests || authenticator) then
        found := found || jsonb_build_array(jsonb_build_array(0,
            format('%I is a role of PostgREST, and who installs can read the secret', me),
            'run authmig as another role, such as the owner of the database'));
    end if;
    if not has_database_privilege(current_database(), 'create') then
        select string_agg(quote_ident(s.name), ', ' order by s.name) into names
          from (values
            ('authmig', true), ('auth', auth_pending), ('auth_private', auth_pending),
            (current_setting('authmig.api_schema'), 'api_schema' = any (pending))
          ) as s (name, pending)
         where s.pending and not exists (select from pg_namespace as n where n.nspname = s.name);
        if names is not null then
            found := found || jsonb_build_array(jsonb_build_array(1,
                format('%I may not create schemas in this database: %s', me, names),
                format('grant create on database %I to %I;', current_database(), me)));
        end if;
    end if;

    foreach parameter in array array['owner_role', 'anon_role', 'authenticated_role', 'service_role', 'authenticator_role'] loop
        continue when not case parameter when 'owner_role' then auth_pending else roles_pending end;
        names := quote_ident(current_setting('authmig.' || parameter));
        if to_regrole(names) is null then
            if not creates_roles then
                found := found || jsonb_build_array(jsonb_build_array(2,
                    format('role %s is missing, and %I may not create it', names, me),
                    format('create role %s %s;', names,
                        case parameter when 'authenticator_role' then 'login noinherit' else 'nologin' end)));
            end if;
            continue;
        end if;
        select r.oid, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolcanlogin, r.rolinherit
          into strict there
          from pg_roles as r where r.oid = to_regrole(names);
        -- Until it becomes another role, the authenticator may do nothing; the others are only become.
        logs_in := parameter = 'authenticator_role';
        excess := concat_ws(', ', case when there.rolsuper then 'superuser' end, case when there.rolbypassrls then 'bypassrls' end,
            case when there.rolcreaterole then 'createrole' end, case when there.rolcreatedb then 'createdb' end,
            case when there.rolreplication then 'replication' end, case when there.rolcanlogin and not logs_in then 'login' end,
            case when there.rolinherit and logs_in then 'inherit' end);
        groups := null;
        if exists (select from pg_auth_members where member = there.oid and (logs_in and roleid = any (requests)) is not true) then
            -- Once: there may be a role for each user.
            dangerous := coalesce(dangerous, array(
                select r.oid from pg_roles as r
                 where r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolreplication or starts_with(r.rolname, 'pg_')
                    or r.rolname = owner_role or r.oid = authenticator));
            select string_agg(distinct quote_ident(g.rolname), ', '),
                   string_agg(format('revoke %I from %s%s;', g.rolname, names, b.grantor), ' ' order by g.rolname, b.grantor)
              into groups, group_revokes
              from pg_auth_members as a
              join pg_roles as g on g.oid = a.roleid
             cross join lateral (
                -- Since 16 there is a membership for each grantor, and what was passed on goes with it.
                select case when modern then format(' granted by %I cascade', pg_get_userbyid(a.grantor)) else '' end
               ) as b (grantor)
             where a.member = there.oid and (logs_in and g.oid = any (requests)) is not true
               and (parameter = 'owner_role' or exists (
                    select from unnest(dangerous
                            || case when parameter in ('anon_role', 'authenticated_role') then requests[3] end
                            || case when parameter = 'anon_role' then requests[2] end) as d (oid)
                     where pg_has_role(g.oid, d.oid, 'member')));
        end if;
        -- What its members may read, they may read in every database that it owns.
        members := null;
        if (parameter = 'owner_role' or logs_in) and exists (select from pg_auth_members where roleid = there.oid and member <> my_oid) then
            select string_agg(distinct quote_ident(r.rolname), ', '),
                   string_agg(format('revoke %s from %I%s;', names, r.rolname,
                        case when modern then format(' granted by %I cascade', pg_get_userbyid(a.grantor)) else '' end),
                        ' ' order by r.rolname, a.grantor)
              into members, member_revokes
              from pg_auth_members as a
              join pg_roles as r on r.oid = a.member
             where a.roleid = there.oid and not r.rolsuper and r.oid <> my_oid
               and (coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true) or coalesce((to_jsonb(a) ->> 'set_option')::boolean, true));
        end if;
        if excess <> '' or groups is not null or members is not null then
            another := 'name another role with --' || replace(parameter, '_', '-');
            -- Another installation would lose what it needs; it may have that from a role that this one is a member of.
            select string_agg(distinct quote_ident(d.datname), ', ') into elsewhere
              from pg_shdepend as s
              join pg_database as d on d.oid = s.dbid
             where s.refclassid = 'pg_authid'::regclass and d.datname <> current_database()
               and (s.refobjid = there.oid or s.refobjid in (select a.roleid from pg_auth_members as a where a.member = there.oid));
            if elsewhere is not null then
                -- Who may make himself a member of the other roles reads the secret, too.
                another := format('%s%s: this one is in use, database %s', another,
                    case when parameter = 'owner_role' then ' (for another tenant, all five roles)' else '' end, elsewhere);
            end if;
            found := found || (
                select coalesce(jsonb_agg(jsonb_build_array(3, c.what,
                            case when elsewhere is null and c.mend <> '' then c.mend || ' -- or ' else '' end || another)), '[]')
                  from (values
                    (format('role %s may do more than it should: %s', names, nullif(excess, '')),
                     -- Who is needed for something else is not to lose what that takes.
                     case when there.oid = my_oid or there.rolsuper and there.rolcanlogin then ''
                          else format('alter role %s no%s;', names, replace(excess, ', ', ' no')) end, excess <> ''),
                    (format('role %s may do more than it should: it is a member of %s', names, groups), group_revokes, groups is not null),
                    (format('others may act as %s, which is to %s: %s', names,
                        case when logs_in then 'read the secret' else 'own the sessions and the secret' end, members),
                     member_revokes, members is not null)
                  ) as c (what, mend, is_so)
                 where c.is_so);
            if elsewhere is not null or groups is not null or there.oid = my_oid
                or there.rolsuper or there.rolbypassrls or there.rolcreaterole or there.rolreplication
            then
                refused := refused || parameter;
            end if;
        end if;
        if logs_in and not there.rolcanlogin then
            found := found || jsonb_build_array(jsonb_build_array(3, format('role %s cannot log in, as PostgREST must', names),
                format('alter role %s login;', names)));
        end if;
    end loop;

    -- Nobody is to become a member of a role that is to be another one. What is missing may be
    -- created as it was said above, so what is to be granted then is said, too.
    foreach parameter in array array['owner_role', 'anon_role', 'authenticated_role', 'service_role'] loop
        continue when super or not case parameter when 'owner_role' then auth_pending else roles_pending end
            or parameter = any (refused) or parameter <> 'owner_role' and 'authenticator_role' = any (refused);
        names := quote_ident(current_setting('authmig.' || parameter));
        granted := to_regrole(names);
        another := case when granted is null then '' else ' -- or name another role with --' || replace(parameter, '_', '-') end;
        -- Until 16 that was one setting for all memberships of a role.
        if parameter = 'owner_role' and not modern and not inherits and pg_has_role(granted, 'usage') is not true then
            found := found || jsonb_build_array(jsonb_build_array(4,
                format('%I is to have the rights of %s, and inherits none', me, names),
                format('alter role %I inherit;', me)));
        end if;
        -- The members of the owner read the secret in every database that it owns.
        elsewhere := null;
        if parameter = 'owner_role' and granted is not null and not pg_has_role(granted, 'member') then
            select string_agg(distinct quote_ident(d.datname), ', ') into elsewhere
              from pg_shdepend as s
              join pg_database as d on d.oid = s.dbid
             where s.refclassid = 'pg_authid'::regclass and s.refobjid = granted and d.datname <> current_database();
        end if;
        -- 16 changed who may grant a role: only who has it with ADMIN OPTION, as its creator does.
        continue when elsewhere is null and case
            when granted is null then creates_roles
            else pg_has_role(granted, 'member with admin option')
                or case when modern then pg_has_role(granted, 'usage with admin option') else creates_roles end
        end;
        if parameter = 'owner_role' then
            if not coalesce(pg_has_role(granted, needed) and (pg_has_role(granted, 'usage') or not modern), false) then
                found := found || jsonb_build_array(jsonb_build_array(4,
                    format('%I must be a member of %s, and may not make itself one', me, names),
                    case when elsewhere is not null
                         then format('name another role with --owner-role (for another tenant, all five roles): '
                            || 'this one is in use, database %s', elsewhere)
                         else format('grant %s to %I%s;%s', names, me,
                            case when modern then ' with inherit true, set true' else '' end, another) end));
            end if;
        elsif not coalesce(pg_has_role(authenticator, granted, needed), false) then
            found := found || jsonb_build_array(jsonb_build_array(5,
                format('%I must be a member of %s, and %I may not make it one',
                    current_setting('authmig.authenticator_role'), names, me),
                format('grant %s to %I%s;%s', names, current_setting('authmig.authenticator_role'),
                    case when modern then ' with inherit false, set true' else '' end, another)));
            -- Else it would be created too late.
            create_first := authenticator is null and creates_roles;
        end if;
    end loop;
    if create_first then
        names := quote_ident(current_setting('authmig.authenticator_role'));
        found := found || jsonb_build_array(jsonb_build_array(2,
            format('role %s is missing, and is to be granted what %I may not grant', names, me),
            format('create role %s login noinherit;', names)));
    end if;

    if auth_pending and auth_found then
        -- Not to_regclass: it wants USAGE of the schema, which can be anybody's.
        select c.oid into refresh_token
          from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
         where n.nspname = 'auth' and c.relname = 'refresh_token';
        -- The published table has no such column.
        ours := exists (select from pg_attribute as a where a.attrelid = refresh_token and a.attname = 'selector');
        -- Without a ledger of ours, what is called authmig now can be anybody's: see planned.sql.
        if ours and current_setting('authmig.planned') <> 'null' and to_regclass('authmig.journal') is not null then
            reverted := {was_reverted};
        end if;
        if ours and not reverted and exists (
            select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
             where n.nspname = 'auth_private' and c.relname = 'config')
        then
            raise exception using errcode = 'AMP02', message = 'the ledger of authmig is lost';
        end if;
        for there in
            select n.oid, n.nspname, quote_ident(n.nspname) as name, n.nspowner, n.nspacl, o.rolname, o.rolsuper
              from pg_namespace as n
              join pg_roles as o on o.oid = n.nspowner
             where n.nspname in ('auth', 'auth_private')
        loop
            -- What else is in it.
            strangers := array(
                select o.type || ' ' || o.identity
                  from pg_depend as d
                 cross join lateral pg_identify_object(d.classid, d.objid, 0) as o
                 where d.refclassid = 'pg_namespace'::regclass and d.refobjid = there.oid
                   and d.classid <> 'pg_default_acl'::regclass
                   and not (there.nspname = 'auth' and case d.classid
                        when 'pg_class'::regclass then d.objid is not distinct from refresh_token or exists (
                            select from pg_depend as s
                             where s.classid = d.classid and s.objid = d.objid and s.deptype in ('a', 'i')
                               and s.refclassid = d.classid and s.refobjid = refresh_token)
                        when 'pg_proc'::regclass then exists (
                            select from pg_proc as p
                             where p.oid = d.objid
                               and p.proname in ('url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens', 'refresh_tokens'))
                        else false
                       end)
                 order by o.identity, o.type);
            -- A superuser could do so anyway; but whoever installs has to have the rights of the owner.
            theirs := there.rolname not in (me, owner_role) and not (there.rolsuper and pg_has_role(there.nspowner, 'usage'));
            if theirs and not ours and cardinality(strangers) > 0 then
                found := found || jsonb_build_array(jsonb_build_array(0,
                    format('schema %s belongs to %I, and holds what is not authmig''s: %s', there.name, there.rolname,
                        array_to_string(strangers[1:5], ', ') || case when cardinality(strangers) > 5
                            then format(', and %s more', cardinality(strangers) - 5) else '' end),
                    -- What is published next to their own is theirs to adopt.
                    case when refresh_token is null or there.nspname <> 'auth' then 'authmig cannot share it: use another database'
                         else format('authmig cannot share it: run it as %I, or use another database', there.rolname) end));
                continue;
            end if;
            holders := '{}';
            if there.nspname = 'auth' and refresh_token is not null and not ours then
                -- To adopt is to drop what was published, which takes the rights of its owner.
                holders := array(
                    select distinct quote_ident(pg_get_userbyid(o.owner))
                      from (select c.relowner from pg_class as c where c.oid = refresh_token
                             union all
                            select p.proowner from pg_proc as p
                             where p.pronamespace = there.oid
                               and p.proname in ('url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens', 'refresh_tokens')
                           ) as o (owner)
                     where not pg_has_role(o.owner, 'usage')
                     order by 1);
            end if;
            if cardinality(holders) > 0 then
                found := found || jsonb_build_array(jsonb_build_array(6,
                    format('the installation of the published SQL belongs to %s, and %I may not upgrade it',
                        array_to_string(holders, ', '), me),
                    'run `authmig migrate --adopt` as ' || case when cardinality(holders) = 1 then holders[1] || ', or as a superuser'
                        else 'a superuser' end));
            elsif theirs then
                found := found || jsonb_build_array(jsonb_build_array(6,
                    format('schema %s belongs to %I, who could replace what is installed in it', there.name, there.rolname),
                    format('alter schema %s owner to %I;', there.name, me)
                    || case when there.nspname = 'auth' and refresh_token is not null and not ours
                        then format(' alter table auth.refresh_token owner to %I;', me) else '' end));
            end if;
            for stranger in
                select coalesce(quote_ident(g.rolname), 'public')
                  from aclexplode(there.nspacl) as a
                  left join pg_roles as g on g.oid = a.grantee
                 where a.privilege_type = 'CREATE' and a.grantee <> there.nspowner and not coalesce(g.rolsuper, false)
                   and coalesce(g.rolname, '') not in (me, owner_role)
            loop
                found := found || jsonb_build_array(jsonb_build_array(7,
                    format('%s may create in schema %s, and so get in the way of what is installed in it', stranger, there.name),
                    format('revoke create on schema %s from %s;', there.name, stranger)));
            end loop;
            for names, excess, stranger in
                select format('for role %I in schema %s', pg_get_userbyid(d.defaclrole), there.name),
                       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' else 'types' end,
                       case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
                  from pg_default_acl as d, aclexplode(d.defaclacl) as a
                 where d.defaclnamespace = there.oid
            loop
                found := found || jsonb_build_array(jsonb_build_array(7,
                    format('default privileges %s open %s to %s', names, excess, stranger),
                    format('alter default privileges %s revoke all on %s from %s;', names, excess, stranger)));
            end loop;
            if there.nspname = 'auth_private' and cardinality(strangers) > 0 then
                found := found || jsonb_build_array(jsonb_build_array(8,
                    'schema auth_private already holds ' || array_to_string(strangers, ', '),
                    case when not reverted and exists (
                            select from pg_class as c join pg_attribute as a on a.attrelid = c.oid
                             where c.relnamespace = there.oid and c.relname = 'config' and a.attname = 'jwt_secret')
                         then 'it is part of an installation whose rest is missing: restore that, the schemas auth and authmig, '
                            || 'from the backup; drop nothing, for auth_private.config has the settings and the secret'
                         else 'move it to another schema, or drop it' end));
            end if;
            -- There is nothing to adopt in what is authmig's own already.
            continue when there.nspname <> 'auth' or {adopt} and not ours or cardinality(holders) > 0;
            select string_agg(t.name, ', ' order by t.name), bool_or(t.callable) into names, functions
              from (
                select p.oid::regprocedure::text, true
                  from pg_proc as p
                 where p.pronamespace = there.oid and p.proname in ('url_encode', 'sign_raw', 'generate_user_jwt', 'issue_tokens',
                        'refresh_tokens', 'logout', 'revoke_subject', 'purge_expired')
                 union all
                select c.oid::regclass::text, false
                  from pg_class as c where c.relnamespace = there.oid and c.relname = 'refresh_token'
              ) as t (name, callable);
            if names is not null then
                found := found || jsonb_build_array(jsonb_build_array(8, 'schema auth already holds ' || names,
                    case when ours and reverted and not functions
                         then 'a rollback left it, since something else depends on it: drop that, then: drop table auth.refresh_token;'
                         when ours
                         then 'it is part of an installation whose rest is missing: restore that, the schemas auth_private and authmig, '
                            || 'from the backup; drop nothing, for auth.refresh_token has the sessions'
                         -- That the published table has these is all that is seen of it here.
                         when (select count(*) from pg_attribute as a
                                where a.attrelid = refresh_token and a.attname in ('subject', 'token', 'created_at')) < 3
                         then 'rename it, move it to another schema, or drop it'
                         else '`authmig migrate --adopt` upgrades an installation of the published SQL in place' end));
            end if;
        end loop;
    end if;

    if found <> '[]' then
        raise exception using errcode = 'AMP01', message = 'something stands in the way of authmig',
            -- Where this is the wrong database, or the wrong role, nothing is to be done in it.
            detail = (select jsonb_agg(o.it order by (o.it ->> 0)::int4, (o.it ->> 1) collate "C")
                        from jsonb_array_elements(found) as o (it)
                       where o.it ->> 0 = '0' or not found @> '[[0]]');
    end if;
end $$;
