-- All that is in the database, a line a thing, without numbers and times that differ
-- from run to run; and the roles named in weather.roles. Any two states that differ
-- in more than that have different lines.
do $$
declare
    relation regclass;
    line text;
    lines text[] = '{}';
begin
    for relation in
        select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p')
    loop
        for line in execute format('select (to_jsonb(t) - ''{applied_on,at,duration,client,salt}''::text[])::text from %s as t', relation) loop
            lines := lines || format('row of %s: %s', relation, line);
        end loop;
    end loop;
    -- Whatever the lines below do not see changes the number of rows somewhere.
    for relation in
        select c.oid from pg_class as c
         where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r' and not c.relisshared
           and c.relname !~ 'statistic' and c.relname <> 'pg_largeobject'
    loop
        execute format('select count(*) from %s', relation) into line;
        lines := lines || format('%s rows in %s', line, relation);
    end loop;
    perform set_config('weather.lines', to_jsonb(lines)::text, false);
end $$;
with schema as (
    select n.* from pg_namespace as n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
), relation as (
    select c.*, c.oid::regclass::text as name from pg_class as c join schema as s on s.oid = c.relnamespace
), line (text) as (
    select format('schema %s, owner %s, acl %s', s.nspname, pg_get_userbyid(s.nspowner), s.nspacl) from schema as s
     union all
    select format('relation %s, kind %s, owner %s, acl %s, options %s, %s %s %s', r.name, r.relkind, pg_get_userbyid(r.relowner),
            r.relacl, r.reloptions, r.relpersistence, r.relrowsecurity, r.relforcerowsecurity)
      from relation as r
     union all
    select format('column %s.%s, type %s, not null %s, acl %s, default %s', r.name, a.attname, format_type(a.atttypid, a.atttypmod),
            a.attnotnull, a.attacl, pg_get_expr(d.adbin, d.adrelid))
      from relation as r
      join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0
      left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
     union all
    select format('constraint %s of %s: %s', k.conname, k.conrelid::regclass, pg_get_constraintdef(k.oid))
      from pg_constraint as k join schema as s on s.oid = k.connamespace
     union all
    select format('index %s, valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
      from pg_index as i join relation as r on r.oid = i.indrelid
     union all
    select format('trigger %s, enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
      from pg_trigger as t join relation as r on r.oid = t.tgrelid
     union all
    select format('routine %s, owner %s, acl %s: %s', p.oid::regprocedure, pg_get_userbyid(p.proowner), p.proacl,
            case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end)
      from pg_proc as p join schema as s on s.oid = p.pronamespace
     union all
    select format('extension %s %s, owner %s', e.extname, e.extversion, pg_get_userbyid(e.extowner)) from pg_extension as e
     union all
    select format('default acl of %s: %s', pg_get_userbyid(d.defaclrole), d.defaclacl) from pg_default_acl as d
     union all
    select format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
      from pg_description as d where d.objoid >= 16384
     union all
    select format('setting of role %s: %s', s.setrole, s.setconfig)
      from pg_db_role_setting as s join pg_database as d on d.oid = s.setdatabase where d.datname = current_database()
     union all
    select jsonb_array_elements_text(current_setting('weather.lines')::jsonb)
     union all
    select format('role %s: %s, member of %s', r.rolname, to_jsonb(r) - 'oid', array(
            select format('%s %s', pg_get_userbyid(m.roleid), m.admin_option) from pg_auth_members as m where m.member = r.oid order by 1))
      from pg_roles as r
     where r.rolname = any (current_setting('weather.roles')::text[])
)
select line.text from line order by 1;
