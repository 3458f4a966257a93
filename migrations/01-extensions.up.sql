-- pgcrypto, for the rest of the stack: crypt(), gen_salt(), digest().
-- The schema auth does not need it. So where it cannot be had (not shipped, not
-- permitted, names taken), that is a notice and not a failure. One that is there
-- already stays as it is, in whatever schema it lives.
do $$
declare
    reason text;
begin
    if exists (select from pg_extension where extname = 'pgcrypto') then
        return;
    end if;
    begin
        create extension pgcrypto with schema public;
        insert into authmig.created (kind, name, version)
        values ('extension', 'pgcrypto', 1)
            on conflict do nothing;
    exception
        when insufficient_privilege or undefined_file or feature_not_supported
          or invalid_schema_name or duplicate_object or duplicate_function or unique_violation
          or raise_exception -- of an event trigger that keeps a list of what may be installed
        then
            get stacked diagnostics reason = message_text;
            raise notice 'extension pgcrypto was not installed: %', reason
                using hint = 'nothing of authmig needs it; if you do: create extension pgcrypto;';
    end;
end $$;
