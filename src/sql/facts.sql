-- What stands in the managed schemas and in that of the ledger, and who may do what with it. An object a row:
-- kind, name, and then properties in turn with their values; a value that is null is
-- no fact. The same text on PostgreSQL 14 to 18 for the same installation; names of
-- roles are quoted as SQL wants them.
--
-- Many small statements over one catalog each, and no join where a function does:
-- most of the time of a big one goes into planning it. What one statement finds, the
-- next ones have as a setting.
--
-- No backslash in a plain literal: whether it means itself was decided, for the whole
-- message, by a setting of the role.
--
-- Of an owner's own rights only those are facts that it has lost: the others differ between
-- versions (MAINTAIN came with 17). Of the ledger, whose owner is
-- whoever migrates, only another owner of a table is a fact, and who may do more than read it, or
-- may read it in a request.
select set_config('authmig.schemas', coalesce(array_agg(n.oid), '{}')::text, true)
  from pg_catalog.pg_namespace as n
 where n.nspname in ('auth', 'auth_private', 'authmig');
select set_config('authmig.relations', coalesce(array_agg(c.oid), '{}')::text, true)
  from pg_catalog.pg_class as c
 where c.relnamespace in (select unnest(current_setting('authmig.schemas')::oid[])) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c');
select set_config('authmig.routines', coalesce(array_agg(d.objid), '{}')::text, true)
  from pg_catalog.pg_depend as d
 where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = any (current_setting('authmig.schemas')::oid[])
   and d.classid = 'pg_catalog.pg_proc'::regclass
   -- The functions of a range type go with it.
   and not exists (select from pg_catalog.pg_depend as i
                    where i.classid = 'pg_catalog.pg_proc'::regclass and i.objid = d.objid and i.deptype = 'i');
select set_config('authmig.types', coalesce(array_agg(t.oid), '{}')::text, true)
  from pg_catalog.pg_type as t
 where t.typnamespace in (select unnest(current_setting('authmig.schemas')::oid[]));
select set_config('authmig.roles', array_agg(to_regrole(quote_ident(current_setting('authmig.' || r.kind || '_role')))::oid)::text, true)
  from unnest('{owner, anon, authenticated, service, authenticator}'::text[]) as r (kind);
-- Objects -----------------------------------------------------------------------
select 'schema', quote_ident(n.nspname), 'comment', d.description,
       'owner', case when n.nspname <> 'authmig' then quote_ident(pg_get_userbyid(n.nspowner)) end,
       -- Of a schema that was there before, these two are what counts.
       'foreign owner', case when n.nspname <> 'authmig' and not o.rolsuper and o.oid <> f.ours and o.rolname <> current_setting('authmig.owner_role')
                             then quote_ident(o.rolname) end,
       'foreign makers', case when n.nspname <> 'authmig' then (
            select string_agg(case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end, ', ')
              from aclexplode(n.nspacl) as a
             where a.privilege_type = 'CREATE' and a.grantee not in (n.nspowner, f.ours)
               and (a.grantee = 0 or not pg_has_role(a.grantee, 10::oid, 'member'))
               and pg_get_userbyid(a.grantee) <> current_setting('authmig.owner_role')) end
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_roles as o on o.oid = n.nspowner
 cross join lateral (select l.nspowner from pg_catalog.pg_namespace as l where l.nspname = 'authmig') as f (ours)
  left join pg_catalog.pg_description as d
    on d.objoid = n.oid and d.classoid = 'pg_catalog.pg_namespace'::regclass and d.objsubid = 0
 where n.oid = any (current_setting('authmig.schemas')::oid[]);
select case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
            when 'f' then 'foreign table' when 'S' then 'sequence' when 'c' then 'type' end, c.oid::regclass::text,
       'owner', case when c.relowner <> n.nspowner or n.nspname <> 'authmig' or c.relkind <> 'r' then quote_ident(pg_get_userbyid(c.relowner)) end,
       'persistence', case c.relpersistence when 'p' then null when 'u' then 'unlogged' else 'temporary' end,
       'options', case when c.relkind <> 'c' then array_to_string(c.reloptions, ', ') end,
       'row security', case when c.relkind not in ('r', 'p') then null when c.relforcerowsecurity then 'forced'
                            when c.relrowsecurity then 'enabled' else 'disabled' end,
       'comment', d.description
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join pg_catalog.pg_description as d
    on d.objoid = c.oid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0
 where c.oid = any (current_setting('authmig.relations')::oid[]);
select 'column', a.attrelid::regclass || '.' || quote_ident(a.attname),
       'type', format_type(a.atttypid, a.atttypmod)
            || case when a.attcollation <> 0 and a.attcollation <> (select t.typcollation from pg_catalog.pg_type as t where t.oid = a.atttypid)
                    then ' collate ' || a.attcollation::regcollation else '' end,
       'null', case when a.attnotnull then 'not null' end,
       'default', case when a.attgenerated = '' then pg_get_expr(f.adbin, f.adrelid) end,
       'generated', case when a.attgenerated <> '' then btrim(regexp_replace(pg_get_expr(f.adbin, f.adrelid), e'\\s+', ' ', 'g')) end,
       'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
       -- Those of the ledger are for people.
       'comment', case when not starts_with(a.attrelid::regclass::text, 'authmig.') then d.description end
  from pg_catalog.pg_attribute as a
  left join pg_catalog.pg_attrdef as f on f.adrelid = a.attrelid and f.adnum = a.attnum
  left join pg_catalog.pg_description as d
    on d.objoid = a.attrelid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = a.attnum
 where a.attrelid = any (current_setting('authmig.relations')::oid[]) and a.attnum > 0 and not a.attisdropped;
select 'constraint', format('%I on %s', k.conname, k.conrelid::regclass), 'definition',
       pg_get_constraintdef(k.oid) || case when k.convalidated then '' else ' (not valid)' end
            || case when i.indisvalid and i.indisready or i.indisvalid is null then '' else ' (invalid)' end
  from pg_catalog.pg_constraint as k
  left join pg_catalog.pg_index as i on i.indexrelid = k.conindid and k.contype in ('p', 'u', 'x')
 where k.conrelid = any (current_setting('authmig.relations')::oid[]) and k.contype in ('c', 'f', 'p', 'u', 'x');
select 'index', i.indexrelid::regclass::text, 'table', i.indrelid::regclass::text, 'definition',
       pg_get_indexdef(i.indexrelid) || case when i.indisvalid and i.indisready then '' else ' (invalid)' end
  from pg_catalog.pg_index as i
 where i.indrelid = any (current_setting('authmig.relations')::oid[])
   and not exists (select from pg_catalog.pg_constraint as k
                    where k.conrelid = i.indrelid and k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'));
select 'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass),
       'definition', pg_get_triggerdef(t.oid),
       'enabled', case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'A' then 'always' else 'on replicas' end
  from pg_catalog.pg_trigger as t
 where t.tgrelid = any (current_setting('authmig.relations')::oid[]) and not t.tgisinternal;
-- A view is a rule of that name for select, and nothing else is.
select 'rule', format('%I on %s', w.rulename, w.ev_class::regclass), 'definition', pg_get_ruledef(w.oid)
  from pg_catalog.pg_rewrite as w
 where w.ev_class = any (current_setting('authmig.relations')::oid[]) and not (w.rulename = '_RETURN' and w.ev_type = '1');
select 'policy', format('%I on %s', p.polname, p.polrelid::regclass), 'definition',
       concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd::text,
            (select string_agg(case o.oid when 0 then 'public' else quote_ident(pg_get_userbyid(o.oid)) end, ', '
                    order by pg_get_userbyid(o.oid))
               from unnest(p.polroles) as o (oid)),
            'using ' || pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_catalog.pg_policy as p
 where p.polrelid = any (current_setting('authmig.relations')::oid[]);
select case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate' else 'window function' end,
       p.oid::regprocedure::text,
       'owner', quote_ident(pg_get_userbyid(p.proowner)),
       'definition', case when p.prokind <> 'a' then rtrim(pg_get_functiondef(p.oid), E'\n') end,
       'comment', d.description
  from pg_catalog.pg_proc as p
  left join pg_catalog.pg_description as d
    on d.objoid = p.oid and d.classoid = 'pg_catalog.pg_proc'::regclass and d.objsubid = 0
 where p.oid = any (current_setting('authmig.routines')::oid[]);
-- Types of their own: not those of tables, nor arrays of others.
select case t.typtype when 'd' then 'domain' else 'type' end, t.oid::regtype::text, 'owner', quote_ident(pg_get_userbyid(t.typowner))
  from pg_catalog.pg_type as t
 where t.oid = any (current_setting('authmig.types')::oid[]) and t.typtype in ('d', 'e', 'r', 'b')
   and not (t.typtype = 'b' and t.typcategory = 'A');
select 'cast', format('%s as %s', k.castsource::regtype, k.casttarget::regtype), 'function', k.castfunc::regprocedure::text
  from pg_catalog.pg_cast as k
 where (k.castfunc in (select unnest(current_setting('authmig.routines')::oid[]))
        or k.castsource in (select unnest(current_setting('authmig.types')::oid[]))
        or k.casttarget in (select unnest(current_setting('authmig.types')::oid[]))
        -- One between two types of the server's own would run in any function, as whoever runs that.
        or k.oid >= 16384 and k.castfunc <> 0 and k.castsource < 16384 and k.casttarget < 16384 and not exists (
            select from pg_catalog.pg_depend as e
             where e.classid = 'pg_catalog.pg_cast'::regclass and e.objid = k.oid and e.deptype = 'e'))
   -- That of a range type goes with it.
   and not exists (select from pg_catalog.pg_depend as i
                    where i.classid = 'pg_catalog.pg_cast'::regclass and i.objid = k.oid and i.deptype = 'i')
 union all
-- These run in commands of whoever migrates, whose function somebody else could replace.
select 'event trigger', quote_ident(t.evtname), 'function of', quote_ident(pg_get_userbyid(p.proowner))
  from pg_catalog.pg_event_trigger as t
  join pg_catalog.pg_proc as p on p.oid = t.evtfoid
 where t.evtenabled <> 'D' and pg_get_userbyid(p.proowner) <> current_user and not pg_has_role(p.proowner, 10::oid, 'member');
-- Whatever else can stand in a schema: operators, collations, statistics and so on.
select o.type, case o.type when 'operator' then d.objid::regoperator::text else o.identity end, 'exists', 'yes'
  from pg_catalog.pg_depend as d
 cross join lateral pg_identify_object(d.classid, d.objid, 0) as o
 where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = any (current_setting('authmig.schemas')::oid[])
   and d.classid not in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_type'::regclass, 'pg_catalog.pg_proc'::regclass,
        'pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_extension'::regclass);
-- What stands elsewhere and is bound to this: children, views, foreign keys, extensions.
select case when c.ours then 'table' else 'dependent' end, case when c.ours then '' else 'table ' end || i.inhrelid::regclass,
       case when c.ours then 'parent' else 'of' end, i.inhparent::regclass::text
  from pg_catalog.pg_inherits as i, lateral (select i.inhrelid = any (current_setting('authmig.relations')::oid[])) as c (ours)
 where c.ours or i.inhparent = any (current_setting('authmig.relations')::oid[]);
select 'dependent', o.type || ' ' || o.identity, 'of',
       string_agg(distinct (pg_identify_object(d.refclassid, d.refobjid, 0)).identity, ', ')
  from pg_catalog.pg_depend as d
  left join pg_catalog.pg_rewrite as w on w.oid = d.objid and d.classid = 'pg_catalog.pg_rewrite'::regclass
 cross join lateral pg_identify_object(case when w.oid is null then d.classid else 'pg_catalog.pg_class'::regclass end,
       coalesce(w.ev_class, d.objid), 0) as o
 where (d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = any (current_setting('authmig.relations')::oid[])
        or d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid = any (current_setting('authmig.types')::oid[]))
   and d.classid <> 'pg_catalog.pg_cast'::regclass
   and coalesce(o.schema, '') not in ('auth', 'auth_private', 'authmig')
   -- What is part of one of our tables is not elsewhere; to be published is, and so are statistics,
   -- whose expressions run with each query on the table.
   and (d.classid in ('pg_catalog.pg_publication_rel'::regclass, 'pg_catalog.pg_statistic_ext'::regclass) or d.deptype = 'n' and not exists (
        select from pg_catalog.pg_depend as own
         where own.classid = d.classid and own.objid = d.objid and own.deptype in ('a', 'i')
           and own.refclassid = 'pg_catalog.pg_class'::regclass and own.refobjid = any (current_setting('authmig.relations')::oid[])))
 group by o.type, o.identity;
select 'dependent', 'publication ' || quote_ident(p.pubname), 'of', 'all tables'
  from pg_catalog.pg_publication as p
 where p.puballtables
 union all
-- Another server writes the rows of these. No pg_depend says so.
select 'dependent', 'subscription ' || (pg_identify_object('pg_catalog.pg_subscription'::regclass, s.srsubid, 0)).identity, 'of',
       string_agg(s.srrelid::regclass::text, ', ')
  from pg_catalog.pg_subscription_rel as s
 where s.srrelid = any (current_setting('authmig.relations')::oid[])
 group by s.srsubid;
select case d.classid when 'pg_catalog.pg_class'::regclass then 'table' else 'function' end,
       case d.classid when 'pg_catalog.pg_class'::regclass then d.objid::regclass::text else d.objid::regprocedure::text end,
       case d.deptype when 'e' then 'member of extension' else 'goes with extension' end, quote_ident(e.extname)
  from pg_catalog.pg_depend as d
  join pg_catalog.pg_extension as e on e.oid = d.refobjid
 where d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype in ('e', 'x')
   and (d.classid = 'pg_catalog.pg_class'::regclass and d.objid = any (current_setting('authmig.relations')::oid[])
        or d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = any (current_setting('authmig.routines')::oid[]));
-- The owner owns nothing else: a function of its could read all of this. And what everybody may use
-- of the server's own from the start is not recorded, but what was given to one of these roles is.
select case s.deptype when 'o' then 'dependent' else 'role' end,
       case s.deptype when 'o' then o.type || ' ' || o.identity else quote_ident(pg_get_userbyid(s.refobjid)) end,
       case s.deptype when 'o' then 'of' else 'uses ' || replace(o.type, 'parameter ACL', 'parameter') || ' ' || o.identity end,
       case s.deptype when 'o' then quote_ident(pg_get_userbyid(s.refobjid)) else 'yes' end
  from pg_catalog.pg_shdepend as s
 cross join lateral pg_identify_object(s.classid, s.objid, 0) as o
 where s.refclassid = 'pg_catalog.pg_authid'::regclass and (s.deptype = 'o' or s.deptype = 'a' and (s.objid < 16384 or s.dbid = 0))
   and s.refobjid = any (current_setting('authmig.roles')::oid[])
   and (s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        and (s.deptype = 'o' and s.refobjid = to_regrole(quote_ident(current_setting('authmig.owner_role')))
                and s.classid <> 'pg_catalog.pg_default_acl'::regclass
                and coalesce(o.schema, '') not in ('auth', 'auth_private')
                and not (s.classid = 'pg_catalog.pg_namespace'::regclass and s.objid = any (current_setting('authmig.schemas')::oid[]))
             or s.deptype = 'a' and s.objid < 16384 and s.classid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_class'::regclass))
        -- Since 15.
        or s.deptype = 'a' and s.classid = to_regclass('pg_catalog.pg_parameter_acl'))
 union all
-- Of everybody pg_shdepend says nothing. The server has kept these functions from it when it was
-- made, and these tables; of pg_subscription one column.
select 'role', 'public', 'uses ' || u.what, 'yes'
  from (select o.type || ' ' || o.identity
          from pg_catalog.pg_init_privs as i
         cross join lateral pg_identify_object(i.classoid, i.objoid, 0) as o
         where i.classoid = 'pg_catalog.pg_proc'::regclass and i.objoid < 16384 and has_function_privilege('public', i.objoid, 'execute')
         union all
        select case t when 'pg_shadow'::regclass then 'view pg_catalog.' else 'table pg_catalog.' end || t
          from unnest('{pg_authid, pg_shadow, pg_statistic, pg_statistic_ext_data, pg_user_mapping, pg_subscription, pg_largeobject}'::regclass[]) as t
         where case t when 'pg_subscription'::regclass then has_column_privilege('public', t, 'subconninfo', 'select')
                    else has_any_column_privilege('public', t, 'select') end
         union all
        -- See makers.sql.
        select 'parameter ' || p.name
          from unnest(string_to_array(current_setting('authmig.set_by_all', true), ' ')) as p (name)
       ) as u (what);
-- Nothing in these schemas needs pgcrypto. Where authmig has created it, others may.
select 'extension', quote_ident(e.extname), 'schema', quote_ident(e.extnamespace::regnamespace::text)
  from pg_catalog.pg_extension as e
 where e.extname in (
        select c.name from only authmig.created as c tablesample system (100) where c.kind collate "C" = 'extension');
-- Grants ------------------------------------------------------------------------
-- An owner that lacks a right has its default ones as well: each that is listed once is lost.
select e.kind, e.name,
       case a.grantee when e.owner then 'lost by ' else 'grant to ' end
            || case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
       string_agg(lower(a.privilege_type collate "C") || case when a.is_grantable then ' with grant option' else '' end, ', ' order by a.privilege_type)
  from (select 'schema', quote_ident(n.nspname), n.nspowner, n.nspacl, acldefault('n', n.nspowner)
          from pg_catalog.pg_namespace as n
         where n.oid = any (current_setting('authmig.schemas')::oid[])
         union all
        select case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
                    when 'f' then 'foreign table' when 'S' then 'sequence' end, c.oid::regclass::text, c.relowner, c.relacl,
               acldefault(case c.relkind when 'S' then 's'::"char" else 'r'::"char" end, c.relowner)
          from pg_catalog.pg_class as c
         where c.oid = any (current_setting('authmig.relations')::oid[]) and c.relkind <> 'c'
         union all
        select 'column', a.attrelid::regclass || '.' || quote_ident(a.attname), c.relowner, a.attacl, '{}'
          from pg_catalog.pg_attribute as a
          join pg_catalog.pg_class as c on c.oid = a.attrelid
         where a.attrelid = any (current_setting('authmig.relations')::oid[]) and a.attnum > 0 and not a.attisdropped
           and a.attacl is not null
         union all
        select case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate' else 'window function' end,
               -- Without that of everybody.
               p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), (acldefault('f', p.proowner))[2:]
          from pg_catalog.pg_proc as p
         where p.oid = any (current_setting('authmig.routines')::oid[])) as e (kind, name, owner, acl, own),
       aclexplode(case when e.acl @> e.own then e.acl else e.acl || e.own end) as a
 where case a.grantee when e.owner then not e.acl @> e.own and not exists (
                -- It may have a right with more than that.
                select from aclexplode(e.acl) as o where o.grantee = e.owner and o.privilege_type = a.privilege_type)
            -- Somebody may wait for a migration; no role of requests needs to.
            else not (split_part(e.name, '.', 1) = 'authmig' and a.privilege_type in ('USAGE', 'SELECT') and not a.is_grantable)
                or a.grantee = 0
                or exists (select from unnest(current_setting('authmig.roles')::oid[]) as r (oid)
                            where r.oid = a.grantee
                               or pg_has_role(r.oid, a.grantee, 'member') and not pg_has_role(r.oid, 10::oid, 'member')) end
 group by e.kind, e.name, e.owner, a.grantee;
select 'default privileges',
       'for role ' || quote_ident(pg_get_userbyid(d.defaclrole))
            || case when d.defaclnamespace <> 0 then ' in schema ' || quote_ident(d.defaclnamespace::regnamespace::text) else '' end,
       format('%s to %s', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end,
            case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end),
       string_agg(lower(a.privilege_type collate "C"), ', ' order by a.privilege_type)
  from pg_catalog.pg_default_acl as d, aclexplode(d.defaclacl) as a
 where d.defaclnamespace = any (current_setting('authmig.schemas')::oid[])
    -- What the owner role makes, in whatever schema; here its own rights and those of everybody are among them.
    or d.defaclnamespace = 0 and d.defaclrole = to_regrole(quote_ident(current_setting('authmig.owner_role')))
       and a.grantee not in (0, d.defaclrole)
 group by d.defaclrole, d.defaclnamespace, d.defaclobjtype, a.grantee
 union all
-- Whoever migrates hands things over to the owner, and changes what it owns.
select 'role', quote_ident(pg_get_userbyid(n.nspowner)), 'lacks ' || quote_ident(current_setting('authmig.owner_role')),
       case when current_setting('server_version_num')::int4 >= 160000 then 'with inherit true, set true'
            when pg_has_role(n.nspowner, to_regrole(quote_ident(current_setting('authmig.owner_role'))), 'member') then 'inherit'
            else 'yes' end
  from pg_catalog.pg_namespace as n
 where n.nspname = 'authmig' and not pg_has_role(n.nspowner, 10::oid, 'member')
   and (pg_has_role(n.nspowner, to_regrole(quote_ident(current_setting('authmig.owner_role'))), 'usage')
        and pg_has_role(n.nspowner, to_regrole(quote_ident(current_setting('authmig.owner_role'))),
            case when current_setting('server_version_num')::int4 >= 160000 then 'set' else 'member' end)) is not true;
-- What an administrator of a platform may have, and row level security does not keep out. Who replicates
-- is sent every row.
select 'role', quote_ident(r.rolname), 'rights over ' || quote_ident(current_setting('authmig.owner_role')),
       concat_ws(', ', case when p.bypasses then 'bypassrls' end,
            case when p.bypasses and pg_has_role(r.oid, 'pg_read_all_data', 'usage') then 'pg_read_all_data' end,
            case when p.bypasses and pg_has_role(r.oid, 'pg_write_all_data', 'usage') then 'pg_write_all_data' end,
            case when r.rolreplication then 'replication' end)
  from pg_catalog.pg_roles as r
 cross join lateral (
    select r.rolbypassrls and (not r.rolcanlogin or has_database_privilege(r.oid, current_database(), 'connect'))
           and (pg_has_role(r.oid, 'pg_read_all_data', 'usage') or pg_has_role(r.oid, 'pg_write_all_data', 'usage'))
    ) as p (bypasses)
 where (r.rolbypassrls or r.rolreplication) and not r.rolsuper and (p.bypasses or r.rolreplication)
   -- Who can log in, or become it.
   and (r.rolcanlogin or exists (
        with recursive member (oid) as (
            select a.member from pg_catalog.pg_auth_members as a where a.roleid = r.oid
             union
            select a.member from pg_catalog.pg_auth_members as a join member as m on m.oid = a.roleid
        )
        select from member as m join pg_catalog.pg_roles as l on l.oid = m.oid where l.rolcanlogin and not l.rolsuper))
   and r.oid <> (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'authmig');
select 'role', quote_ident(r.rolname),
       'superuser', case when r.rolsuper then 'yes' end,
       'bypassrls', case when r.rolbypassrls then 'yes' end,
       'createrole', case when r.rolcreaterole then 'yes' end,
       'createdb', case when r.rolcreatedb then 'yes' end,
       'replication', case when r.rolreplication then 'yes' end,
       'login', case when r.rolcanlogin then 'yes' end,
       'inherit', case when r.rolname = current_setting('authmig.authenticator_role') and r.rolinherit then 'yes' end,
       'exists', 'yes',
       'creates schemas', case when has_database_privilege(r.oid, current_database(), 'create') then 'yes' end,
       'creates in ' || quote_ident(current_setting('authmig.api_schema')),
            case when has_schema_privilege(r.oid, to_regnamespace(quote_ident(current_setting('authmig.api_schema'))), 'create') then 'yes' end,
       'owns database', (select quote_ident(d.datname) from pg_catalog.pg_database as d where d.datname = current_database() and d.datdba = r.oid),
       -- What keeps PostgREST from logging in.
       'may not connect to', case when l.logs_in and not has_database_privilege(r.oid, current_database(), 'connect') then quote_ident(current_database()) end,
       'connection limit', case when l.logs_in and r.rolconnlimit = 0 then '0' end,
       'connection limit of', case when l.logs_in then (
            select quote_ident(d.datname) from pg_catalog.pg_database as d where d.datname = current_database() and d.datconnlimit = 0) end,
       'valid until', case when l.logs_in and r.rolvaliduntil <= now() then to_char(r.rolvaliduntil, 'YYYY-MM-DD') end
  from pg_catalog.pg_roles as r
 cross join lateral (select r.rolname = current_setting('authmig.authenticator_role')) as l (logs_in)
 where r.rolname in (current_setting('authmig.anon_role'), current_setting('authmig.authenticated_role'),
        current_setting('authmig.service_role'), current_setting('authmig.authenticator_role'), current_setting('authmig.owner_role'));
-- Memberships: those that PostgREST needs, and those that are too much, over other roles as
-- well. The owner and the authenticator have no members but superusers and whoever migrates:
-- they read the secret. Since 16 who created a role may make itself a member.
with role (anon, authenticated, service, authenticator, owner) as (
    select current_setting('authmig.anon_role'), current_setting('authmig.authenticated_role'),
           current_setting('authmig.service_role'), current_setting('authmig.authenticator_role'),
           current_setting('authmig.owner_role')
), membership (member, role_name, joins, inherits, administers, was_given, grantors) as (
    -- Since 16 there is a row for each grantor, and to revoke one takes its name.
    select a.member, g.rolname, bool_or(o.inherits or o.sets),
           string_agg(quote_ident(pg_get_userbyid(a.grantor)), ', ' order by a.grantor) filter (where o.inherits),
           bool_or(a.admin_option),
           -- Not by the server itself, which gives it to whoever creates a role; only a superuser can take that.
           bool_or(a.admin_option and (o.inherits or o.sets or a.grantor <> 10::oid or not m.rolcreaterole
                or current_setting('is_superuser') = 'on')),
           string_agg(quote_ident(pg_get_userbyid(a.grantor)), ', ' order by a.grantor)
      from pg_catalog.pg_auth_members as a
      join pg_catalog.pg_roles as g on g.oid = a.roleid
      join pg_catalog.pg_roles as m on m.oid = a.member
     cross join lateral (
        select coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true), coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)
       ) as o (inherits, sets)
     group by a.member, g.rolname
), dangerous (oid) as materialized (
    -- Once: there may be a role for each user.
    select d.oid
      from pg_catalog.pg_roles as d
     where d.rolsuper or d.rolbypassrls or d.rolcreaterole or d.rolreplication or starts_with(d.rolname, 'pg_')
        -- Who was given of the server's own what it keeps from everybody.
        or d.oid in (
            select s.refobjid
              from pg_catalog.pg_shdepend as s
             where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.deptype = 'a'
               and (s.classid = to_regclass('pg_catalog.pg_parameter_acl')
                    or s.dbid = (select b.oid from pg_catalog.pg_database as b where b.datname = current_database())
                       and (s.classid = 'pg_catalog.pg_proc'::regclass and s.objid < 16384
                                and s.objid in (select i.objoid from pg_catalog.pg_init_privs as i where i.classoid = 'pg_catalog.pg_proc'::regclass)
                            or s.classid = 'pg_catalog.pg_class'::regclass
                                and s.objid in ('pg_catalog.pg_authid'::regclass, 'pg_catalog.pg_shadow'::regclass))))
)
select 'role', quote_ident(m.rolname),
       case when m.rolname not in (role.anon, role.authenticated, role.service, role.authenticator, role.owner)
                 and g.rolname not in (role.owner, role.authenticator, role.service) then 'owner through '
            when a.joins then 'member of ' else 'may join ' end || quote_ident(a.role_name),
       case when m.rolname = role.authenticator and a.role_name in (role.anon, role.authenticated, role.service)
            then case when modern and a.inherits is not null then 'with its rights, granted by ' || a.inherits else 'yes' end
            else concat_ws(', ', case when a.role_name = role.service and pg_has_role(to_regrole(quote_ident(role.authenticator)), m.oid, 'member')
                                      then 'in requests' end,
                                 case when modern and a.administers then 'with admin option' end,
                                 case when modern then 'granted by ' || a.grantors else 'yes' end) end
  from role
 cross join (select current_setting('server_version_num')::int4 >= 160000) as server (modern)
 cross join membership as a
  join pg_catalog.pg_roles as m on m.oid = a.member
  join pg_catalog.pg_roles as g on g.rolname = a.role_name
 where m.rolname = role.owner
    or m.rolname in (role.anon, role.authenticated, role.service, role.authenticator)
       and (m.rolname = role.authenticator and g.rolname in (role.anon, role.authenticated, role.service)
            or m.rolname in (role.anon, role.authenticated) and pg_has_role(g.oid, to_regrole(quote_ident(role.service)), 'member')
            or m.rolname = role.anon and pg_has_role(g.oid, to_regrole(quote_ident(role.authenticated)), 'member')
            or pg_has_role(g.oid, to_regrole(quote_ident(role.owner)), 'member')
            or pg_has_role(g.oid, to_regrole(quote_ident(role.authenticator)), 'member')
            or exists (select from dangerous as d where pg_has_role(g.oid, d.oid, 'member')))
    or g.rolname in (role.owner, role.authenticator, role.service) and not m.rolsuper
       and m.oid <> (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'authmig')
       and (a.joins or a.administers)
    -- Who may log in and, over another role, become the owner; most often it is that of whoever migrates.
    or m.rolcanlogin and not m.rolsuper and pg_has_role(g.oid, to_regrole(quote_ident(role.owner)), 'member')
       and not pg_has_role(g.oid, 10::oid, 'member')
       and m.oid <> (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'authmig')
       and (a.joins or a.was_given);
