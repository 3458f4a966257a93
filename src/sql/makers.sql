-- Fails with AMC01 where somebody who is no superuser may create in pg_catalog, or has: what fits a
-- call better than the server's own runs in its place, as whoever calls. The detail has a line for each:
-- kind, name and the extension that it is one of with chr(31) between them, or chr(31) and the roles that may create.
--
-- So what is called here has the very types that it is given; an operator takes a literal for what
-- stands on its other side. 10 is the first superuser, 11 pg_catalog; 1255, 2615, 2617 are pg_proc,
-- pg_namespace, pg_operator. The first question costs a fifth of the second, and mostly is enough.
do $$
declare
    s constant text := chr(31);
    found text;
begin
    if (select n.nspacl::text from pg_catalog.pg_namespace as n where n.oid = '11')
            is distinct from (select i.initprivs::text from pg_catalog.pg_init_privs as i
                               where i.objoid = '11' and i.classoid = '2615' and i.objsubid = '0')
       or exists (select from pg_catalog.pg_proc as p where p.oid >= '16384' and p.pronamespace = '11')
       or exists (select from pg_catalog.pg_operator as o where o.oid >= '16384' and o.oprnamespace = '11')
    then
        select string_agg(f.fact, chr(10)) into found
          from (
            select s || string_agg(case a.grantee when '0' then 'public'::text else quote_ident(pg_get_userbyid(a.grantee)::text) end, ', '::text)
              from pg_catalog.pg_namespace as n, aclexplode(n.nspacl) as a
             where n.oid = '11' and a.privilege_type = 'CREATE'
               and (a.grantee = '0' or not pg_has_role(a.grantee, '10'::oid, 'member'::text))
             union all
            select e.kind || s || 'pg_catalog.' || e.name || coalesce(s || quote_ident(x.extname::text), '')
              from (select case p.prokind when 'p' then 'procedure'::text when 'a' then 'aggregate' else 'function' end,
                           p.oid::regprocedure::text, p.proowner, '1255'::oid, p.oid
                      from pg_catalog.pg_proc as p
                     where p.oid >= '16384' and p.pronamespace = '11'
                     union all
                    select 'operator', o.oid::regoperator::text, o.oprowner, '2617', o.oid
                      from pg_catalog.pg_operator as o
                     where o.oid >= '16384' and o.oprnamespace = '11') as e (kind, name, owner, class, oid)
              -- Who owns an extension can make his own function one of it.
              left join pg_catalog.pg_depend as d on d.classid = e.class and d.objid = e.oid and d.deptype = 'e'
              left join pg_catalog.pg_extension as x on x.oid = d.refobjid
             where not pg_has_role(e.owner, '10'::oid, 'member'::text)
           ) as f (fact);
        if found is not null then
            raise exception using errcode = 'AMC01', message = 'pg_catalog is not the server''s alone', detail = found;
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
