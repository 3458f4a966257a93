-- The schema that PostgREST serves first: the application's tables, views and
-- functions. One that is there already stays as it is, owner and grants included.
do $$
declare
    api constant text := current_setting('authmig.api_schema');
    entry record;
begin
    if exists (select from pg_namespace where nspname = api) then
        return;
    end if;
    execute format('create schema %I', api);
    execute format('comment on schema %I is %L', api, 'What the application offers through PostgREST');
    insert into authmig.created (kind, name, version)
    values ('schema', quote_ident(api), 3)
        on conflict do nothing;
    -- Default privileges of the platform may have granted it to somebody.
    for entry in
        select distinct acl.grantee
          from pg_namespace as n, aclexplode(n.nspacl) as acl
         where n.nspname = api and acl.grantee <> n.nspowner
    loop
        execute format('revoke all on schema %I from %s', api,
            case when entry.grantee = 0 then 'public' else entry.grantee::regrole::text end);
    end loop;
    execute format('grant all on schema %I to current_user', api);
end $$;
