-- Opens the transaction of a run that will change something, or fails with
--   AMV01  the server is too old
--   0A000  it is in recovery, where no transaction is read write
--   AMR01  triggers do not run, and whoever runs this may not change that
--   AML01  another run holds the lock. It is tried, not waited for: a statement that
--          waits inside a transaction can deadlock with `create index concurrently`
--   AMO04  a superuser has logged in, and acts as somebody else, whose code could be a superuser again
-- or as ledger_is_ours.sql, which comes behind it
begin isolation level read committed read write;
set local search_path = pg_catalog, pg_temp;
set local client_min_messages = notice;
set local standard_conforming_strings = on;
-- To check the body of a block before it runs takes as long as some of them do. For up and
-- down scripts it is on.
set local check_function_bodies = off;
set local row_security = on;
set local jit = off;
-- Nothing in the catalogs is joined better by sorting it, and each such plan is thought through.
set local enable_mergejoin = off;
-- What runs a few times is planned once.
set local plan_cache_mode = force_generic_plan;
set local quote_all_identifiers = off;
set local idle_in_transaction_session_timeout = 0;
set local datestyle = ISO;
-- The one name of it that PostgreSQL knows without reading a file.
set local timezone = 'GMT';
do $$
begin
    -- A run that was killed, or whose network is gone, must not hold the lock until its
    -- statement ends. Not every system can look whether the client is still there.
    begin
        perform set_config('client_connection_check_interval', '1000', true);
    exception
        when others then
            null;
    end;
    -- Since 17: a limit of the whole transaction would end the connection.
    if current_setting('transaction_timeout', true) <> '0' then
        set local transaction_timeout = 0;
    end if;
    -- What fails is told to who runs authmig. The server's log would get the whole message,
    -- all scripts, from each run that finds the lock taken.
    if current_setting('is_superuser') = 'on' then
        perform set_config('log_min_error_statement', 'panic', true);
    end if;
    if current_setting('default_transaction_read_only') = 'on' then
        raise warning 'default_transaction_read_only is on here, and this run writes all the same';
    end if;
    if current_setting('server_version_num')::int4 < 140000 then
        raise exception using errcode = 'AMV01', message = current_setting('server_version');
    end if;
    if current_user <> session_user and pg_has_role(session_user, 10::oid, 'member'::text) then
        raise exception using errcode = 'AMO04', message = quote_ident(current_user), detail = quote_ident(session_user);
    end if;
    -- Some ways of replication set this for the whole server. A secret would be stored, and the
    -- key that is made of it would not.
    if current_setting('session_replication_role') = 'replica' then
        begin
            set local session_replication_role = origin;
        exception
            when insufficient_privilege then
                raise exception using errcode = 'AMR01', message = 'triggers do not run';
        end;
    end if;
    -- "auth" and "mig" in ASCII.
    if not pg_try_advisory_xact_lock(1635087464, 7170407) then
        raise exception using errcode = 'AML01', message = 'another run of authmig holds the lock';
    end if;
end $$;
