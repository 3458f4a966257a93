-- The names that this database was installed with.
do $$
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform set_config('authmig.' || name, value, true) from authmig.parameter;
end $$;
