-- Announces the script behind it, so that an error without a position can be told
-- which script it came from; and takes back what the script before it left behind.
do $$ begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    raise notice using errcode = 'AMS01', message = {script};
end $$;
