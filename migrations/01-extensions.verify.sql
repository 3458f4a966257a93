-- Where pgcrypto could not be had, the up script said so and recorded nothing.
do $$
begin
    if exists (select from authmig.created where kind = 'extension' and name = 'pgcrypto')
        and not exists (select from pg_extension where extname = 'pgcrypto')
    then
        raise exception 'extension pgcrypto is missing'
            using hint = 'create extension pgcrypto with schema public;';
    end if;
end $$;
