-- Drops pgcrypto if the up script created it and nothing in the catalog needs it.
-- PostgreSQL does not look into function bodies: a function of yours that calls
-- crypt() does not keep it.
do $$
begin
    if not exists (select from authmig.created where kind = 'extension' and name = 'pgcrypto') then
        return;
    end if;
    begin
        drop extension if exists pgcrypto;
    exception
        when dependent_objects_still_exist then
            raise notice 'extension pgcrypto stays: other objects use it';
        -- Who upgrades or restores a database owns its extensions from then on.
        when insufficient_privilege then
            raise notice 'extension pgcrypto stays: it belongs to %', (
                select quote_ident(pg_get_userbyid(e.extowner)) from pg_extension as e where e.extname = 'pgcrypto')
                using hint = 'if nothing needs it, as that role: drop extension pgcrypto;';
    end;
    -- What stays belongs to those who use it: a later rollback must not take it.
    delete from authmig.created where kind = 'extension' and name = 'pgcrypto';
end $$;
