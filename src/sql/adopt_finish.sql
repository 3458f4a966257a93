-- Gives every session that lives a row of the new shape. Its cookie, a plain UUID,
-- finds it by its hash and proves itself by being the one that was hashed: the next
-- refresh exchanges it for a cookie of the new kind, and nobody is logged out.
do $$
declare
    kept bigint;
    had bigint;
begin
    if to_regclass('authmig.adopted') is null then
        return;
    end if;
    select count(*) into had from authmig.adopted;
    insert into auth.refresh_token
        (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
    select encode(substring(sha256(convert_to(a.token, 'UTF8')) from 1 for 16), 'hex')::uuid,
           a.subject,
           -- The published table does not say; its refresh gave everybody this role.
           current_setting('authmig.authenticated_role'),
           sha256(convert_to(a.token, 'UTF8')),
           a.began,
           a.began,
           a.began + interval '30 days'
      from (
        -- No session has begun in the future; one that says so would not end in time, if ever.
        select d.subject, d.token, least(d.created_at, clock_timestamp()) as began
          from authmig.adopted as d
         where d.created_at > clock_timestamp() - interval '30 days'
      ) as a
     where a.token ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
       -- Others get no token, so their refresh would be an error each time.
       and char_length(a.subject) between 1 and 255 and a.subject ~ '^[^\u0001-\u001f\u007f]+$'
     order by a.began
        on conflict (selector) do nothing;
    get diagnostics kept = row_count;
    drop table authmig.adopted;
    perform set_config('authmig.adopted', (current_setting('authmig.adopted')::jsonb
        || jsonb_build_object('rows', had, 'sessions', kept))::text, true);
end $$;
