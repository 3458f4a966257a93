-- One run at a time, in one transaction. The search path is given back at the end.
do $$
begin
    -- First: whoever sets the path of the database could have put anything there.
    perform pg_catalog.set_config('authmig.search_path', pg_catalog.current_setting('search_path'), true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    declare
        step constant int := nullif(current_setting('authmig.step', true), '');
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
    end;
end $$;
