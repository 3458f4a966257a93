-- Allow anon to refresh tokens
grant usage on schema auth to anon;
grant execute on function auth.refresh_tokens() to anon;
-- If you have a service role
grant usage on schema auth to service;
grant execute on function auth.issue_tokens(text) to service;
grant all on all tables in schema api to service;
grant usage, select on all sequences in schema api to service;
