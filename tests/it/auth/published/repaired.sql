-- The published SQL with only its two blocking bugs mended, D1 and D2: what somebody does
-- who wants it to run. Everything else is as printed.
create or replace function auth.refresh_tokens()
returns void
language plpgsql security definer as $$
declare
v_subject text;
access_token text;
refresh_cookie text;
headers text;
begin
refresh_cookie := current_setting('request.cookies', true)::json->>'refresh_token';
select r.subject into v_subject
from refresh_token r
where r.token = refresh_cookie
and r.created_at > now() - interval '30 days';
if v_subject is null then
raise sqlstate 'PT401' using message = 'Invalid or expired refresh token';
end if;
select generate_user_jwt(v_subject, current_setting('pgrst.jwt_secret'))
into access_token;
headers := '[{"Set-Cookie": "access_token=' || access_token || '; Path=/; HttpOnly; SameSite=Lax; Secure"}]';
perform set_config('response.headers', headers, true);
end;
$$;
grant execute on function auth.issue_tokens(text, text) to service;
grant all on all tables in schema api to service;
grant usage, select on all sequences in schema api to service;
