-- How many rows each of these tables holds, and how many sessions live, each a result set.
-- `authmig.tables` is a JSON array of names as inventory.sql writes them. `authmig.ends` is on
-- if the functions of the sessions go, even if their table stays.
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
    number := 0;
    if current_setting('authmig.ends')::boolean and to_regclass('auth.refresh_token') is not null then
        -- Not those of a child, which can be anybody's and have code in it.
        select count(*) into number from only auth.refresh_token as t
         where t.revoked_at is null and t.expires_at > clock_timestamp();
    end if;
    perform set_config('authmig.live_sessions', number::text, true);
end $$;
select t.key, t.value from json_each_text(current_setting('authmig.rows')::json) as t;
select current_setting('authmig.live_sessions');
