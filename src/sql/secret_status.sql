-- Where a JWT secret comes from, first the one that is used; of each its length in
-- bytes, a fingerprint by which two can be compared, whether it is a setting that PostgREST
-- takes before what a function gives it, and the statement that takes the setting away. No secret
-- leaves the server.
--
-- Nothing that was installed runs here, since somebody could have changed it: the bytes of a
-- secret are those that auth_private.decode_secret gives, taken out by the server's own
-- functions; and the settings are read from a table, as the ledger is, see read.sql.
with config (jwt_secret, authenticator_role) as (
    select c.jwt_secret collate "C", c.authenticator_role collate "C"
      from only auth_private.config as c tablesample system (100)
), found (rank, source, secret, setrole, setdatabase) as (
    select 1, 'auth_private.config', c.jwt_secret, null::oid, null::oid
      from config as c
     union all
    select case split_part(e.entry, '=', 1) when 'pgrst.jwt_secret' then 2 else 4 end,
           split_part(e.entry, '=', 1) || case
                when s.setrole <> 0 then ' of the role ' || s.setrole::regrole
                    || case when s.setdatabase <> 0 then ' in this database' else '' end
                when s.setdatabase <> 0 then ' of the database'
                else ' of all roles'
           end,
           substr(e.entry, strpos(e.entry, '=') + 1), s.setrole, s.setdatabase
      from pg_catalog.pg_db_role_setting as s,
           unnest(s.setconfig) as e (entry)
     where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
       and (s.setrole = 0 or s.setrole = (
            select r.oid from pg_catalog.pg_roles as r, config as c where r.rolname = c.authenticator_role))
       and split_part(e.entry, '=', 1) in ('pgrst.jwt_secret', 'app.settings.jwt_secret')
     union all
    -- A setting that stands in the server's configuration, or in this session.
    select g.rank, g.name || ' of this session', current_setting(g.name, true), null, null
      from (values (3, 'pgrst.jwt_secret'), (5, 'app.settings.jwt_secret')) as g (rank, name)
)
select f.source, coalesce(octet_length(k.key), 0), coalesce(left(encode(sha256(k.key), 'hex'), 8), ''),
       f.rank = 2 and f.setrole <> 0,
       'alter ' || case when f.setrole = 0 and f.setdatabase <> 0 then 'database ' || quote_ident(current_database())
                else 'role ' || case when f.setrole = 0 then 'all' when f.setrole <> 0 then f.setrole::regrole::text end
                    || case when f.setdatabase <> 0 then ' in database ' || quote_ident(current_database()) else '' end
           end || ' reset ' || split_part(f.source, ' ', 1) || ';'
  from found as f
 cross join lateral (select translate(btrim(f.secret, e' \t\r\n'), e'-_\r\n', '+/')) as s (standard)
 cross join lateral (select rtrim(s.standard, '=')) as u (unpadded)
 cross join lateral (
    select case
        when s.standard ~ '^[A-Za-z0-9+/]+={0,2}$' and length(u.unpadded) % 4 <> 1
            and (s.standard = u.unpadded or length(s.standard) % 4 = 0)
        then decode(rpad(u.unpadded, (length(u.unpadded) + 3) / 4 * 4, '='), 'base64')
    end) as k (key)
 where f.secret <> ''
 -- As the server does: a setting of a role goes before that of the database.
 order by f.rank, f.setrole = 0, f.setdatabase = 0;
