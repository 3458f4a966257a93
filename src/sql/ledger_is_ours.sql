-- Fails with
--   AMO01  the ledger is somebody else's, who could have put a trigger on it
--   AMO03  somebody has put one on it, or a rule or a policy
-- since that runs as whoever writes there. The detail is the name alone.
do $$
declare
    stranger text;
begin
    -- A new database is asked nothing that has to be planned.
    if to_regnamespace('authmig') is null then
        return;
    end if;
    -- As in stranger.sql.
    select quote_ident(pg_get_userbyid(o.owner)) into stranger
      from (select n.nspowner from pg_namespace as n where n.nspname = 'authmig'
             union all
            select c.relowner from pg_class as c where c.relnamespace = to_regnamespace('authmig')::oid) as o (owner)
     where pg_get_userbyid(o.owner) <> current_user and not pg_has_role(o.owner, 10::oid, 'member'::text)
     limit 1;
    if stranger is not null then
        raise exception using errcode = 'AMO01', detail = stranger,
            message = 'the schema authmig belongs to ' || stranger || ', and not to ' || quote_ident(current_user);
    end if;
    select o.what || ' on ' || c.oid::regclass into stranger
      from pg_class as c
     cross join lateral (
            select format('trigger %I', t.tgname) from pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
             union all
            select format('rule %I', w.rulename) from pg_rewrite as w where w.ev_class = c.oid
             union all
            select format('policy %I', p.polname) from pg_policy as p where p.polrelid = c.oid
           ) as o (what)
     where c.relnamespace = to_regnamespace('authmig')::oid
     order by 1
     limit 1;
    if stranger is not null then
        raise exception using errcode = 'AMO03', detail = stranger,
            message = 'there is a ' || stranger || ', which would run with what is written here',
            hint = 'Look at what it does, then: drop ' || stranger || ';';
    end if;
end $$;
