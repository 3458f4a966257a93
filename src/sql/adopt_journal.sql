-- A migration that has adopted something is recorded as an adoption, with what was found.
update authmig.journal as j
   set action = 'adopt', detail = pg_catalog.current_setting('authmig.adopted')::jsonb
 where pg_catalog.current_setting('authmig.adopted') <> ''
   and j.id = (select max(m.id) from authmig.journal as m);
