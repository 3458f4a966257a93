-- What comes next was planned for one history: authmig.planned, null for no ledger. If
-- another run has changed it since, fails with AMH01, so that it is planned anew; with
-- AMO02 if the schema is there and its history is not.
--
-- Whoever may create a schema can put one of this name here at any moment, or take his own away;
-- ours stays where it is. So no name in it is looked up unless the schema was seen to be ours.
do $$
declare
    found jsonb := 'null';
    ours constant boolean := exists (
        select from pg_namespace as n
         where n.nspname = 'authmig'
           and (pg_get_userbyid(n.nspowner) = current_user or pg_has_role(n.nspowner, 10::oid, 'member')));
begin
    if ours and to_regclass('authmig.schema_history') is not null then
        select jsonb_build_object(
                'applied', (
                    select coalesce(jsonb_agg(jsonb_build_array(
                               coalesce(h.version::text, ''), coalesce(h.name::text, ''), coalesce(h.applied_on::text, ''),
                               coalesce(h.checksum::text, ''), coalesce(h.sha256::text, ''), coalesce(h.applied_by::text, ''),
                               coalesce(h.authmig_version::text, '')) order by h.version), '[]')
                      from authmig.schema_history as h),
                'parameters', (
                    select coalesce(jsonb_object_agg(coalesce(p.name::text, ''), coalesce(p.value::text, '')), '{}')
                      from authmig.parameter as p))
          into found;
    elsif ours then
        raise exception using errcode = 'AMO02', message = 'there is a schema authmig without a history';
    end if;
    if found <> current_setting('authmig.planned')::jsonb then
        raise exception using errcode = 'AMH01', message = 'another run of authmig has changed the history';
    end if;
    -- Tells the client that the lock is held, and that what fails now is the work.
    raise notice 'locked' using errcode = 'AMS02';
end $$;
