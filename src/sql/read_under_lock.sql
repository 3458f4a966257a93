-- The same as the end of read.sql: another run may have finished while we waited.
select version, name, applied_on, checksum, sha256, applied_by, authmig_version
  from authmig.schema_history order by version;
select name, value from authmig.parameter;
