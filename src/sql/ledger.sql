-- The ledger: what authmig did to this database. Sent once, in the transaction of
-- the first migration. Nothing in it is granted to anybody, and PostgREST must
-- never expose it.
create schema authmig;
comment on schema authmig is 'What authmig did to this database. Not for PostgREST';

-- No column is longer than it needs to be, so that no row is: then the table does
-- without a second one for what is too long, and is made in half the time.
create table authmig.schema_history (
    version         int4 primary key,
    name            varchar(200) not null,
    applied_on      varchar(40) not null,
    checksum        varchar(20) not null,
    -- Each script is announced by a statement that sets this.
    sha256          varchar(64) not null default current_setting('authmig.sha256'),
    applied_by      name not null default session_user,
    authmig_version varchar(40) not null default current_setting('authmig.version')
);
comment on table authmig.schema_history is 'One row per applied migration';
comment on column authmig.schema_history.version is 'The number in front of the file name';
comment on column authmig.schema_history.name is 'The file name without number and endings';
comment on column authmig.schema_history.applied_on is 'When it was applied, RFC 3339, UTC';
comment on column authmig.schema_history.checksum is 'SipHash-1-3 as refinery computes it';
comment on column authmig.schema_history.sha256 is 'SHA-256 of the up script, its line ends normalised';
comment on column authmig.schema_history.applied_by is 'The role that was logged in';
comment on column authmig.schema_history.authmig_version is 'The authmig that applied it';

create table authmig.journal (
    id              bigint primary key,
    at              timestamptz not null default clock_timestamp(),
    who             text not null default session_user,
    client          text default host(inet_client_addr()),
    action          text not null check (action in ('migrate', 'rollback', 'adopt', 'secret')),
    versions        int4[] not null,
    authmig_version text not null default current_setting('authmig.version'),
    duration        interval not null,
    detail          jsonb
);
comment on table authmig.journal is 'One row per run that changed something. A rollback deletes none';
comment on column authmig.journal.id is 'The order of the runs';
comment on column authmig.journal.at is 'When the run was about to commit';
comment on column authmig.journal.who is 'The role that was logged in';
comment on column authmig.journal.client is 'The address it came from; null for a unix socket';
comment on column authmig.journal.action is 'migrate, rollback, adopt or secret';
comment on column authmig.journal.versions is 'The versions applied or reverted, in that order';
comment on column authmig.journal.authmig_version is 'The authmig that ran';
comment on column authmig.journal.detail is 'What an adoption found, and how many sessions it kept';
comment on column authmig.journal.duration is 'From taking the lock to the commit';

create table authmig.created (
    kind    varchar(20),
    -- Three names with every character doubled, and the words between them.
    name    varchar(470),
    version int4 not null,
    primary key (kind, name)
);
comment on table authmig.created is 'What migrations created, as opposed to found: only this is ever dropped';
comment on column authmig.created.kind is 'extension, schema, role, grant and so on';
comment on column authmig.created.name is 'The name, quoted as SQL wants it, or the whole grant';
comment on column authmig.created.version is 'The migration that created it';

create table authmig.parameter (
    name  varchar(40) primary key,
    value name not null
);
comment on table authmig.parameter is 'The names this database was installed with';
comment on column authmig.parameter.name is 'anon_role, api_schema and so on';
comment on column authmig.parameter.value is 'The name as it is in the catalog, not quoted';

-- Default privileges of the platform may have granted these to somebody, or kept them from us.
do $$
declare
    somebody oid;
    grantee text;
begin
    if not exists (select from pg_catalog.pg_default_acl) then
        return;
    end if;
    for somebody in
        select entry.grantee
          from pg_catalog.pg_class as c, pg_catalog.aclexplode(c.relacl) as entry
         where c.relnamespace = 'authmig'::regnamespace and entry.grantee <> c.relowner
        union
        select entry.grantee
          from pg_catalog.pg_namespace as n, pg_catalog.aclexplode(n.nspacl) as entry
         where n.nspname = 'authmig' and entry.grantee <> n.nspowner
    loop
        grantee := case somebody when 0 then 'public' else quote_ident(pg_get_userbyid(somebody)) end;
        execute format('revoke all on all tables in schema authmig from %s', grantee);
        execute format('revoke all on schema authmig from %s', grantee);
    end loop;
    grant all on schema authmig to current_user;
    grant all on all tables in schema authmig to current_user;
end $$;
