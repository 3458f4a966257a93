-- Takes back what the scripts before it did to the path.
do $$
begin
    perform pg_catalog.set_config('search_path', pg_catalog.current_setting('authmig.search_path'), true);
end $$;
