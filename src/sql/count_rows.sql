-- How many rows each of these tables holds. `authmig.tables` is a JSON array of
-- names as inventory.sql writes them; the answer is a JSON object.
do $$
declare
    name   text;
    number bigint;
    answer jsonb = '{}';
begin
    for name in select json_array_elements_text(current_setting('authmig.tables')::json) loop
        execute format('select count(*) from %s', name::regclass) into number;
        answer := answer || jsonb_build_object(name, number);
    end loop;
    perform set_config('authmig.rows', answer::text, true);
    number := null;
    if answer ? 'auth.refresh_token' then
        select count(*) into number from auth.refresh_token as t
         where t.revoked_at is null and t.expires_at > clock_timestamp();
    end if;
    perform set_config('authmig.live_sessions', coalesce(number, 0)::text, true);
end $$;
select t.key, t.value from json_each_text(current_setting('authmig.rows')::json) as t;
select current_setting('authmig.live_sessions');
