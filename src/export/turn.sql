-- In order. What was chosen when the ledger was made comes from there.
do $$
declare
    step constant int := current_setting('authmig.step');
begin
    if step > 0 or current_setting('authmig.action') = 'rollback' then
        perform set_config('authmig.' || name, value, true) from authmig.parameter;
        if (select coalesce(max(version), 0) from authmig.schema_history)
            <> (case current_setting('authmig.action')
                 when 'migrate' then current_setting('authmig.before')::int else step end)
        then
            raise exception '% is out of turn: applied is %', current_setting('authmig.script'),
                (select coalesce(string_agg(to_char(version, 'FM00') || '-' || name, ', ' order by version), 'none')
                   from authmig.schema_history);
        end if;
    end if;
end $$;
