-- Drops the schema if the up script created it and it is empty.
do $$
declare
    api constant text := current_setting('authmig.api_schema');
begin
    if not exists (select from authmig.created where kind = 'schema' and name = quote_ident(api)) then
        return;
    end if;
    begin
        execute format('drop schema if exists %I', api);
    exception
        when dependent_objects_still_exist then
            raise notice 'schema % stays: there are objects in it', quote_ident(api);
        -- Whose application it is may have been given it.
        when insufficient_privilege then
            raise notice 'schema % stays: it belongs to %', quote_ident(api), (
                select quote_ident(pg_get_userbyid(n.nspowner)) from pg_namespace as n where n.nspname = api)
                using hint = format('If nothing is in it, as that role: drop schema %I;', api);
    end;
    -- What stays belongs to those who use it: a later rollback must not take it.
    delete from authmig.created where kind = 'schema' and name = quote_ident(api);
end $$;
