-- One run at a time, in one transaction, in order. What was chosen when the ledger was
-- made comes from there. The search path is given back at the end.
do $$
begin
    -- First: whoever sets the path of the database could have put anything there.
    perform pg_catalog.set_config('authmig.search_path', pg_catalog.current_setting('search_path'), true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    declare
        step constant int := nullif(current_setting('authmig.step', true), '');
        stranger text;
    begin
        if step is null then
            raise exception 'this script must run in one transaction'
                using hint = 'psql --single-transaction, or begin; in front and commit; behind';
        end if;
        if current_setting('server_version_num')::int < 140000 then
            raise exception 'PostgreSQL % is too old: 14 or newer is needed', current_setting('server_version');
        end if;
        if current_user <> session_user and pg_has_role(session_user, 10::oid, 'member') then
            raise exception '% is a superuser, and acts as %, whose code could be a superuser again',
                quote_ident(session_user), quote_ident(current_user);
        end if;
        perform set_config('check_function_bodies', 'on', true);
        perform set_config('row_security', 'on', true);
        perform set_config('quote_all_identifiers', 'off', true);
        -- A secret would be stored, and the key that is made of it would not.
        if current_setting('session_replication_role') = 'replica' then
            raise exception 'session_replication_role is replica here, so no trigger would run'
                using hint = 'A superuser may set it to origin for this session.';
        end if;
        -- "auth" and "mig" in ASCII: the lock that authmig itself takes.
        perform pg_advisory_xact_lock(1635087464, 7170407);
        if step = 0 and current_setting('authmig.action') = 'migrate' then
            if to_regnamespace('authmig') is not null then
                raise exception 'authmig has been in this database before'
                    using hint = 'Go on with authmig migrate, or authmig rollback --all --purge first.';
            end if;
            return;
        end if;
        if to_regnamespace('authmig') is null then
            raise exception '00-authmig_ledger was not applied';
        end if;
        -- The owner of a table can have a trigger run as whoever writes to it.
        select pg_get_userbyid(o.owner) into stranger
          from (select n.nspowner from pg_namespace as n where n.nspname = 'authmig'
                union all
                select c.relowner from pg_class as c where c.relnamespace = to_regnamespace('authmig')::oid) as o (owner)
         where pg_get_userbyid(o.owner) <> current_user and not pg_has_role(o.owner, 10::oid, 'member')
         limit 1;
        if stranger is not null then
            raise exception 'the schema authmig belongs to %, and not to %', quote_ident(stranger), quote_ident(current_user);
        end if;
        -- So can who was granted TRIGGER.
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
            raise exception 'there is a %, which would run with what is written here', stranger
                using hint = format('Look at what it does, then: drop %s;', stranger);
        end if;
        perform set_config('authmig.' || name, value, true) from authmig.parameter;
        if (select coalesce(max(version), 0) from authmig.schema_history)
            <> (case current_setting('authmig.action')
                 when 'migrate' then current_setting('authmig.before')::int else step end)
        then
            raise exception '% is out of turn: applied is %', current_setting('authmig.script'),
                (select coalesce(string_agg(to_char(version, 'FM00') || '-' || name, ', ' order by version), 'none')
                   from authmig.schema_history);
        end if;
    end;
end $$;
