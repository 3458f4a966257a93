-- Puts the secret that was copied into authmig.secret_in_transit into the settings.
-- `authmig.replace` says whether one that is there already is replaced.
update auth_private.config as c
   set jwt_secret = s.secret
  from authmig.secret_in_transit as s
 where c.jwt_secret is null
    or pg_catalog.current_setting('authmig.replace') = 'yes' and c.jwt_secret <> s.secret
returning 'stored';
select case when c.jwt_secret = s.secret then 'same' else 'other' end
  from auth_private.config as c, authmig.secret_in_transit as s;
drop table authmig.secret_in_transit;
