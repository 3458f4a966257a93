-- A table through which the secret goes, in this transaction only. Its rows go to no replica and
-- no subscriber. An event trigger may have changed it, and what fails in a COPY is shown with the
-- line that it failed at.
create unlogged table authmig.secret_in_transit (secret text);
do $$
begin
    if exists (select from pg_attribute where attrelid = 'authmig.secret_in_transit'::regclass and attnum > 1)
        or exists (select from pg_constraint where conrelid = 'authmig.secret_in_transit'::regclass)
        or exists (select from pg_trigger where tgrelid = 'authmig.secret_in_transit'::regclass)
        or exists (select from pg_rewrite where ev_class = 'authmig.secret_in_transit'::regclass)
    then
        raise exception 'an event trigger changes each new table, and the secret could be shown';
    end if;
end $$;
