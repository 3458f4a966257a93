-- What the page expects to be there: the roles of SuperStack's 00-init_postgrest.sql and
-- of its guide, and the schema api. Other tests of this server may make the same roles.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['authenticator', 'anon', 'authenticated', 'service'] loop
        begin
            execute format('create role %I ', wanted)
                || case wanted when 'authenticator' then 'login noinherit' else 'nologin' end;
        exception
            when duplicate_object or unique_violation then null;
        end;
        continue when wanted = 'authenticator' or pg_has_role('authenticator', wanted, 'member');
        begin
            execute format('grant %I to authenticator', wanted);
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end $$;
create schema api;
grant usage on schema api to anon;
