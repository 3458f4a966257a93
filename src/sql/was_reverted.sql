-- Whether the last that was done with the tables of sessions and settings was to revert
-- 02-auth_schema, which made them: then a rollback had to leave what is there.
coalesce((select j.action operator(pg_catalog.=) 'rollback' from authmig.journal as j
           where 2 operator(pg_catalog.=) any (j.versions) order by j.id desc limit 1), false)
