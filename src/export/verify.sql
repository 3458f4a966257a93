-- The names that this database was installed with.
select pg_catalog.set_config('authmig.' || name, value, true) from authmig.parameter;
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
