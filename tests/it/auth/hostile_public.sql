-- PostgREST's search path ends in public. Whatever these names shadow there must not matter
-- to what is installed: each fits a call in it better than what pg_catalog has.
create function public.hijacked() returns text language plpgsql as $$
begin
    raise exception 'hijacked by schema public' using errcode = 'ZZ999';
end $$;
create table public.refresh_token (selector uuid, subject text, token text, role text, created_at timestamptz default now());
create table public.config (jwt_secret text);
create domain public.uuid as text check (public.hijacked() is null);
create function public.to_json(text) returns json language sql as 'select public.hijacked()::json';
create function public.json_build_object(text, text) returns json language sql as 'select public.hijacked()::json';
create function public.encode(bytea, text, int default 0) returns text language sql as 'select public.hijacked()';
create function public.sha256(bytea) returns bytea language sql as 'select public.hijacked()::bytea';
create function public.url_encode(bytea) returns text language sql as 'select public.hijacked()';
create function public.sign_raw(json, text, text default '') returns text language sql as 'select public.hijacked()';
create function public.generate_user_jwt(text, text, text default '') returns text language sql as 'select public.hijacked()';
create function public.floor(bigint) returns bigint language sql as 'select public.hijacked()::bigint';
create function public.current_setting(text, boolean) returns text language sql as 'select public.hijacked()';
create function public.glue(text, bigint) returns text language sql as 'select public.hijacked()';
create operator public.|| (leftarg = text, rightarg = bigint, function = public.glue);
create function public.glue(text, pg_catalog.uuid) returns text language sql as 'select public.hijacked()';
create operator public.|| (leftarg = text, rightarg = pg_catalog.uuid, function = public.glue);
