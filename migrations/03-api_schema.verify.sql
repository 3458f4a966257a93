-- The schema of the API is there.
do $$
declare
    api constant text := current_setting('authmig.api_schema');
begin
    if not exists (select from pg_namespace where nspname = api) then
        raise exception 'schema % is missing', quote_ident(api)
            using hint = format('create schema %I; what was in it comes from a backup', api);
    end if;
end $$;
