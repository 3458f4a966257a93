-- Fails with AMC01 where somebody who is no superuser may create in pg_catalog, or has: a function or
-- an operator there goes before the server's own if it fits better, and runs as whoever calls it. The
-- detail has a fact a line, its parts with chr(31) between them: kind, name, property, value.
--
-- So each operator and function here has the very types that it is given, and no other can fit
-- better. 10 is the first superuser, 11 pg_catalog; 1255, 2615 and 2617 are pg_proc, pg_namespace and
-- pg_operator. The first question takes a fifth of the time of the second, and is enough almost always.
do $$
declare
    found text;
begin
    if (select n.nspacl::text from pg_catalog.pg_namespace as n where n.oid = '11'::oid)
            is distinct from (select i.initprivs::text from pg_catalog.pg_init_privs as i
                               where i.objoid = '11'::oid and i.classoid = '2615'::oid and i.objsubid = '0'::int4)
       or exists (select from pg_catalog.pg_proc as p where p.oid >= '16384'::oid and p.pronamespace = '11'::oid)
       or exists (select from pg_catalog.pg_operator as o where o.oid >= '16384'::oid and o.oprnamespace = '11'::oid)
    then
        select string_agg(f.kind || chr(31) || f.name || chr(31) || f.property || chr(31) || f.value, chr(10)) into found
          from (
            select 'schema'::text, 'pg_catalog'::text, 'foreign makers'::text,
                   string_agg(case a.grantee when '0'::oid then 'public'::text else quote_ident(pg_get_userbyid(a.grantee)::text) end, ', '::text)
              from pg_catalog.pg_namespace as n, aclexplode(n.nspacl) as a
             where n.oid = '11'::oid and a.privilege_type = 'CREATE'::text
               and (a.grantee = '0'::oid or not pg_has_role(a.grantee, '10'::oid, 'member'::text))
             union all
            select case p.prokind when 'p'::"char" then 'procedure'::text when 'a'::"char" then 'aggregate'::text else 'function'::text end,
                   'pg_catalog.'::text || p.oid::regprocedure::text, 'exists'::text, 'yes'::text
              from pg_catalog.pg_proc as p
             where p.oid >= '16384'::oid and p.pronamespace = '11'::oid and not pg_has_role(p.proowner, '10'::oid, 'member'::text)
               and not exists (select from pg_catalog.pg_depend as e
                                where e.classid = '1255'::oid and e.objid = p.oid and e.deptype = 'e'::"char")
             union all
            select 'operator'::text, 'pg_catalog.'::text || o.oid::regoperator::text, 'exists'::text, 'yes'::text
              from pg_catalog.pg_operator as o
             where o.oid >= '16384'::oid and o.oprnamespace = '11'::oid and not pg_has_role(o.oprowner, '10'::oid, 'member'::text)
               and not exists (select from pg_catalog.pg_depend as e
                                where e.classid = '2617'::oid and e.objid = o.oid and e.deptype = 'e'::"char")
           ) as f (kind, name, property, value)
         where f.value is not null;
        if found is not null then
            raise exception using errcode = 'AMC01', message = 'others than superusers make what is in pg_catalog', detail = found;
        end if;
    end if;
    -- What everybody may set is in no pg_shdepend, and before 15 there is no such table. See facts.sql.
    if current_setting('server_version_num')::int4 >= 150000 then
        if exists (select from pg_catalog.pg_parameter_acl) then
            perform set_config('authmig.set_by_all', string_agg(p.parname, ' '), true)
               from pg_catalog.pg_parameter_acl as p, aclexplode(p.paracl) as a
              where a.grantee = 0;
        end if;
    end if;
end $$;
