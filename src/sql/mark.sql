-- Announces the script behind it, so that an error without a position can be told
-- which script it came from; and takes back what the script before it left behind.
set local search_path = pg_catalog, pg_temp;
do $$ begin raise notice {script} using errcode = 'AMS01'; end $$;
