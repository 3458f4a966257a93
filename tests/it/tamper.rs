//! Every change of what was installed is found, named, and mended by what is printed.

use crate::support::{TestDb, own_roles, with_options};

/// A change, the check that finds it, and the subject that it is found under.
type Change = (&'static str, &'static str, &'static str);

const OBJECTS: &[Change] = &[
    // Functions: body, and every attribute.
    (
        "create or replace function auth.logout() returns void language plpgsql security definer \
      set search_path = pg_catalog, pg_temp as 'begin end'",
        "objects",
        "function auth.logout()",
    ),
    ("alter function auth.logout() security invoker", "objects", "function auth.logout()"),
    (
        "alter function auth.refresh_tokens() set search_path = public",
        "objects",
        "function auth.refresh_tokens()",
    ),
    ("alter function auth.refresh_tokens() reset search_path", "objects", "function auth.refresh_tokens()"),
    (
        "alter function auth.refresh_tokens() set work_mem = '1MB'",
        "objects",
        "function auth.refresh_tokens()",
    ),
    ("alter function auth.url_encode(bytea) volatile", "objects", "function auth.url_encode(bytea)"),
    ("alter function auth.url_encode(bytea) strict", "objects", "function auth.url_encode(bytea)"),
    ("alter function auth.url_encode(bytea) leakproof", "objects", "function auth.url_encode(bytea)"),
    ("alter function auth.url_encode(bytea) parallel safe", "objects", "function auth.url_encode(bytea)"),
    ("alter function auth.url_encode(bytea) cost 7", "objects", "function auth.url_encode(bytea)"),
    (
        "do $do$ begin execute replace(pg_get_functiondef('auth.issue_tokens(text,text)'::regprocedure), 'begin', 'begin '); end $do$",
        "objects",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "do $do$ begin execute replace(pg_get_functiondef('auth_private.postgrest_config()'::regprocedure), 'jwt_secret''', 'jwt_secret '''); end $do$",
        "objects",
        "function auth_private.postgrest_config()",
    ),
    (
        "do $do$ begin execute regexp_replace(pg_get_functiondef('auth.issue_tokens(text,text)'::regprocedure), 'DEFAULT ''[^'']*''', 'DEFAULT ''postgres'''); end $do$",
        "objects",
        "function auth.issue_tokens(text,text)",
    ),
    ("alter function auth.logout() owner to postgres", "objects", "function auth.logout()"),
    ("comment on function auth.logout() is 'nothing to see'", "objects", "function auth.logout()"),
    ("comment on function auth.logout() is null", "objects", "function auth.logout()"),
    ("drop function auth.revoke_subject(text)", "objects", "function auth.revoke_subject(text)"),
    ("drop function auth.purge_expired(int)", "objects", "function auth.purge_expired(integer)"),
    ("drop function auth.logout()", "objects", "function auth.logout()"),
    ("drop function auth_private.postgrest_config()", "objects", "function auth_private.postgrest_config()"),
    (
        "drop function auth_private.accepted_seconds(text) cascade",
        "objects",
        "function auth_private.access_seconds(integer)",
    ),
    // What is not authmig's.
    (
        "create function auth.logout(everywhere boolean) returns void language sql as ''",
        "objects",
        "function auth.logout(boolean)",
    ),
    (
        "create function auth.evil() returns text language sql as 'select 1::text'",
        "objects",
        "function auth.evil()",
    ),
    (
        "create function auth_private.evil() returns text language sql as 'select 1::text'",
        "objects",
        "function auth_private.evil()",
    ),
    ("create procedure auth.evil() language sql as ''", "objects", "procedure auth.evil()"),
    (
        "create aggregate auth.evil(int) (sfunc = int4pl, stype = int)",
        "objects",
        "aggregate auth.evil(integer)",
    ),
    ("create table auth.evil (id int)", "objects", "table auth.evil"),
    ("create view auth.evil as select 1 as id", "objects", "view auth.evil"),
    ("create materialized view auth.evil as select 1 as id", "objects", "materialized view auth.evil"),
    ("create sequence auth_private.evil", "objects", "sequence auth_private.evil"),
    ("create domain auth.evil as text", "objects", "domain auth.evil"),
    ("create type auth.evil as enum ('a')", "objects", "type auth.evil"),
    ("create type auth.evil as (a int)", "objects", "type auth.evil"),
    (
        "create operator auth.|| (function = textcat, leftarg = text, rightarg = text)",
        "objects",
        "operator auth.||(text,text)",
    ),
    ("create collation auth.evil from \"C\"", "objects", "collation auth.evil"),
    (
        "create function auth_private.evil(uuid) returns bigint language sql as 'select 1::bigint'; \
      create cast (uuid as bigint) with function auth_private.evil(uuid)",
        "objects",
        "cast uuid as bigint",
    ),
    // Whoever this function belongs to, it runs as the owner role where a session is looked for.
    (
        "create function public.steal(text) returns uuid language sql as 'select uuid_in(textout($1))'; \
      create cast (text as uuid) with function public.steal(text)",
        "objects",
        "cast text as uuid",
    ),
    ("create domain auth.evil as int[]", "objects", "domain auth.evil"),
    (
        "create statistics auth.evil on subject, role from auth.refresh_token",
        "objects",
        "statistics object auth.evil",
    ),
    (
        "create text search dictionary auth.evil (template = simple)",
        "objects",
        "text search dictionary auth.evil",
    ),
    // Tables and columns.
    ("alter table auth.refresh_token disable row level security", "objects", "table auth.refresh_token"),
    ("alter table auth.refresh_token force row level security", "objects", "table auth.refresh_token"),
    ("create policy open on auth.refresh_token using (true)", "objects", "policy open on auth.refresh_token"),
    ("alter table auth.refresh_token owner to postgres", "objects", "table auth.refresh_token"),
    ("alter table auth.refresh_token reset (fillfactor)", "objects", "table auth.refresh_token"),
    ("alter table auth.refresh_token set (fillfactor = 100)", "objects", "table auth.refresh_token"),
    ("alter table auth.refresh_token set (autovacuum_enabled = off)", "objects", "table auth.refresh_token"),
    ("alter table auth.refresh_token set unlogged", "objects", "table auth.refresh_token"),
    ("comment on table auth.refresh_token is null", "objects", "table auth.refresh_token"),
    ("comment on column auth.refresh_token.subject is 'x'", "objects", "column auth.refresh_token.subject"),
    ("alter table auth.refresh_token add column device text", "objects", "column auth.refresh_token.device"),
    (
        "alter table auth.refresh_token add column \"a.b\" text",
        "objects",
        "column auth.refresh_token.\"a.b\"",
    ),
    (
        "alter table auth.refresh_token drop column revoked_why cascade",
        "objects",
        "column auth.refresh_token.revoked_why",
    ),
    (
        "alter table auth.refresh_token alter column subject drop not null",
        "objects",
        "column auth.refresh_token.subject",
    ),
    (
        "alter table auth.refresh_token alter column salt set not null",
        "objects",
        "column auth.refresh_token.salt",
    ),
    (
        "alter table auth.refresh_token alter column role set default 'service'",
        "objects",
        "column auth.refresh_token.role",
    ),
    (
        "alter table auth.refresh_token alter column subject type varchar(10)",
        "objects",
        "column auth.refresh_token.subject",
    ),
    (
        "alter table auth_private.config alter column grace_seconds set default 60",
        "objects",
        "column auth_private.config.grace_seconds",
    ),
    (
        "alter table auth_private.config alter column cookie_secure drop default",
        "objects",
        "column auth_private.config.cookie_secure",
    ),
    (
        "alter table auth_private.config alter column cookie_prefix drop expression",
        "objects",
        "column auth_private.config.cookie_prefix",
    ),
    // Constraints, indexes, triggers, rules.
    (
        "alter table auth_private.config drop constraint config_pkey",
        "objects",
        "constraint config_pkey on auth_private.config",
    ),
    (
        "alter table auth.refresh_token add constraint evil check (subject <> 'bob')",
        "objects",
        "constraint evil on auth.refresh_token",
    ),
    (
        "update pg_index set indisvalid = false where indexrelid = 'auth.refresh_token_pkey'::regclass",
        "objects",
        "constraint refresh_token_pkey on auth.refresh_token",
    ),
    ("drop index auth.refresh_token_subject", "objects", "index auth.refresh_token_subject"),
    (
        "drop index auth.refresh_token_subject; create index refresh_token_subject on auth.refresh_token using hash (subject)",
        "objects",
        "index auth.refresh_token_subject",
    ),
    ("create index evil on auth.refresh_token (rotated_at)", "objects", "index auth.evil"),
    (
        "drop trigger check_config on auth_private.config",
        "objects",
        "trigger check_config on auth_private.config",
    ),
    (
        "alter table auth_private.config disable trigger check_config",
        "objects",
        "trigger check_config on auth_private.config",
    ),
    (
        "create trigger evil before update on auth.refresh_token for each row execute function suppress_redundant_updates_trigger()",
        "objects",
        "trigger evil on auth.refresh_token",
    ),
    (
        "create rule evil as on delete to auth.refresh_token do instead nothing",
        "objects",
        "rule evil on auth.refresh_token",
    ),
    ("alter schema auth owner to postgres", "objects", "schema auth"),
    ("comment on schema auth is 'x'", "objects", "schema auth"),
    ("comment on schema authmig is null", "objects", "schema authmig"),
    (
        "alter table auth_private.config drop column cookie_path cascade",
        "objects",
        "column auth_private.config.cookie_path",
    ),
    ("drop extension pgcrypto", "objects", "extension pgcrypto"),
    // The ledger.
    (
        "create trigger evil before insert on authmig.journal for each row execute function suppress_redundant_updates_trigger()",
        "objects",
        "trigger evil on authmig.journal",
    ),
    (
        "alter table authmig.schema_history add column more int",
        "objects",
        "column authmig.schema_history.more",
    ),
    ("create view authmig.more as select 1 as id", "objects", "view authmig.more"),
    ("drop table authmig.journal", "objects", "table authmig.journal"),
    // What takes it along.
    (
        "create table public.parent (selector uuid not null); alter table auth.refresh_token inherit public.parent",
        "objects",
        "table auth.refresh_token",
    ),
    ("alter extension pgcrypto add table auth.refresh_token", "objects", "table auth.refresh_token"),
    ("alter function auth.logout() depends on extension pgcrypto", "objects", "function auth.logout()"),
    // What holds all of it.
    ("drop table auth.refresh_token", "objects", "table auth.refresh_token"),
    ("drop schema auth cascade", "objects", "schema auth"),
];

const GRANTS: &[Change] = &[
    (
        "grant execute on function auth.issue_tokens(text, text) to public",
        "grants",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "grant execute on function auth.issue_tokens(text, text) to {anon}",
        "grants",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "grant execute on function auth.sign_raw(json, text, text) to {service}",
        "grants",
        "function auth.sign_raw(json,text,text)",
    ),
    (
        "grant execute on function auth.refresh_tokens() to {anon} with grant option",
        "grants",
        "function auth.refresh_tokens()",
    ),
    (
        "revoke execute on function auth.refresh_tokens() from {anon}",
        "grants",
        "function auth.refresh_tokens()",
    ),
    (
        "revoke execute on function auth.issue_tokens(text, text) from {service}",
        "grants",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "revoke execute on function auth_private.postgrest_config() from {authenticator}",
        "grants",
        "function auth_private.postgrest_config()",
    ),
    ("grant select on auth.refresh_token to {anon}", "grants", "table auth.refresh_token"),
    (
        "grant select on auth.refresh_token to {anon} with grant option; set role {anon}; \
         grant select on auth.refresh_token to {service}; reset role",
        "grants",
        "table auth.refresh_token",
    ),
    ("grant select (subject) on auth.refresh_token to {anon}", "grants", "column auth.refresh_token.subject"),
    ("grant all on auth_private.config to {service}", "grants", "table auth_private.config"),
    ("grant truncate on auth.refresh_token to public", "grants", "table auth.refresh_token"),
    ("grant usage on schema auth_private to {anon}", "grants", "schema auth_private"),
    ("grant create on schema auth to {service}", "grants", "schema auth"),
    ("revoke usage on schema auth from {anon}", "grants", "schema auth"),
    ("grant usage on schema auth to public", "grants", "schema auth"),
    (
        "alter default privileges in schema auth grant select on tables to {anon}",
        "grants",
        "default privileges for role postgres in schema auth",
    ),
    ("grant insert, select on authmig.journal to {service}", "grants", "table authmig.journal"),
    // What the owner needs to do as the one whom the functions run as.
    ("revoke delete on auth.refresh_token from {owner}", "grants", "table auth.refresh_token"),
    ("revoke all on auth_private.config from {owner}", "grants", "table auth_private.config"),
    ("revoke usage on schema auth_private from {owner}", "grants", "schema auth_private"),
    (
        "revoke execute on function auth_private.key_from_settings() from {owner}",
        "grants",
        "function auth_private.key_from_settings()",
    ),
    (
        "revoke execute on function auth.url_encode(bytea) from {owner}",
        "grants",
        "function auth.url_encode(bytea)",
    ),
    ("revoke insert on authmig.journal from postgres", "grants", "table authmig.journal"),
    ("grant create on schema authmig to public", "grants", "schema authmig"),
    ("alter role {anon} login", "grants", "role {anon}"),
    ("alter role {anon} superuser", "grants", "role {anon}"),
    ("alter role {service} bypassrls", "grants", "role {service}"),
    ("alter role {authenticated} createrole", "grants", "role {authenticated}"),
    ("alter role {owner} login", "grants", "role {owner}"),
    ("alter role {owner} createdb", "grants", "role {owner}"),
    ("alter role {authenticator} inherit", "grants", "role {authenticator}"),
    ("alter role {authenticator} nologin", "grants", "role {authenticator}"),
    ("grant {owner} to {anon}", "grants", "role {anon}"),
    ("grant {owner} to {authenticator}", "grants", "role {authenticator}"),
    ("grant {service} to {anon}", "grants", "role {anon}"),
    ("grant {authenticated} to {anon}", "grants", "role {anon}"),
    ("grant {service} to {authenticated}", "grants", "role {authenticated}"),
    ("create role {anon}_more; grant {owner} to {anon}_more", "grants", "role {anon}_more"),
    ("create role {anon}_3; grant {authenticator} to {anon}_3", "grants", "role {anon}_3"),
    // By somebody else than whoever mends it, and once more by him.
    (
        "create role \"{anon}_G, \" createrole; grant {owner} to \"{anon}_G, \" with admin option; create role {anon}_4; \
         set role \"{anon}_G, \"; grant {owner} to {anon}_4; reset role; grant {owner} to {anon}_4; \
         grant {service} to \"{anon}_G, \" with admin option; set role \"{anon}_G, \"; \
         grant {service} to {anon}; reset role",
        "grants",
        "role {anon}_4",
    ),
    // Over another role.
    ("create role {anon}_1; grant postgres to {anon}_1; grant {anon}_1 to {anon}", "grants", "role {anon}"),
    (
        "create role {anon}_2; grant pg_execute_server_program to {anon}_2; grant {anon}_2 to {service}",
        "grants",
        "role {service}",
    ),
    ("grant {authenticator} to {owner}", "grants", "role {owner}"),
    ("grant pg_read_all_data to {service}", "grants", "role {service}"),
    ("grant pg_signal_backend to {owner}", "grants", "role {owner}"),
    ("revoke {anon} from {authenticator}", "grants", "role {authenticator}"),
    ("drop owned by {anon}; drop role {anon}", "objects", "role {anon}"),
    ("drop owned by {authenticator}; drop role {authenticator}", "objects", "role {authenticator}"),
    ("drop owned by {service}; drop role {service}", "grants", "role {authenticator}"),
];

/// What a role of requests was given of the server's own, and the weight of that.
const GIVEN: &[(&str, &str, i32)] = &[
    (
        "execute on function pg_read_file(text) to {anon}",
        "may use function pg_catalog.pg_read_file(pg_catalog.text)",
        4,
    ),
    ("select on pg_authid to {anon}", "may use table pg_catalog.pg_authid", 4),
    ("select (rolpassword) on pg_authid to {authenticator}", "may use table pg_catalog.pg_authid", 4),
    ("select on pg_shadow to {anon}", "may use view pg_catalog.pg_shadow", 4),
    ("select on pg_statistic to {service}", "may use table pg_catalog.pg_statistic", 4),
    ("update on pg_settings to {authenticated}", "may use view pg_catalog.pg_settings", 0),
    ("select on pg_largeobject to {authenticated}", "may use table pg_catalog.pg_largeobject", 0),
    ("set on parameter session_replication_role to {anon}", "may use parameter session_replication_role", 4),
];

struct Installed {
    db: TestDb,
    own: Vec<String>,
}

impl Installed {
    fn new() -> Installed {
        let (db, own) = (TestDb::new(), own_roles());
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["secret", "generate"]).exits(0);
        Installed { db, own }
    }

    fn named(&self, text: &str) -> String {
        ["anon", "authenticated", "service", "authenticator", "owner"].iter().fold(
            text.to_owned(),
            |text, role| {
                let name = self
                    .own
                    .iter()
                    .find_map(|option| option.strip_prefix(&format!("--{role}-role=")))
                    .unwrap();
                text.replace(&format!("{{{role}}}"), name)
            },
        )
    }

    /// Makes the change, looks, mends what was found with what was printed, looks again.
    fn try_out(&self, (change, check, subject): Change) {
        let (change, subject) = (self.named(change), self.named(subject));
        self.db.sql(&change);
        let run = self.db.authmig(&["verify", "--format", "json"]);
        assert_eq!(run.code, 4, "{change}: {}", run.stdout);
        let report = run.json();
        let findings: Vec<&serde_json::Value> = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|check| check["findings"].as_array().unwrap())
            .collect();
        let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == check).unwrap();
        assert!(
            found["findings"].as_array().unwrap().iter().any(|finding| finding["subject"] == subject),
            "{change}: {found:#}"
        );
        for finding in findings {
            assert!(finding["why"].is_string() || finding["mend"].is_null(), "{change}: {finding:#}");
            if let Some(mend) = finding["mend"].as_str() {
                self.db.sql(mend);
            }
        }
        let run = self.db.authmig(&["verify", "--strict"]);
        assert_eq!(run.code, 0, "{change}\n{}", run.stdout);
    }
}

#[test]
fn every_change_of_an_object_is_found_named_and_mended() {
    let installed = Installed::new();
    for change in OBJECTS {
        installed.try_out(*change);
    }
}

#[test]
fn every_change_of_a_right_is_found_named_and_mended() {
    let installed = Installed::new();
    for change in GRANTS {
        installed.try_out(*change);
    }
}

#[test]
fn what_is_bound_to_it_from_elsewhere_is_found() {
    let installed = Installed::new();
    for (made, subject, gone, code) in [
        (
            "create view public.v as select jwt_secret from auth_private.config",
            "view public.v",
            "drop view public.v",
            4,
        ),
        (
            "create view public.v as select subject from auth.refresh_token",
            "view public.v",
            "drop view public.v",
            0,
        ),
        (
            "create table public.child () inherits (auth.refresh_token)",
            "table public.child",
            "drop table public.child",
            4,
        ),
        (
            "create table public.keeps (s uuid constraint fk references auth.refresh_token)",
            "table constraint fk on public.keeps",
            "drop table public.keeps",
            4,
        ),
        (
            "create function public.reads() returns bigint begin atomic select count(*) from auth.refresh_token; end",
            "function public.reads()",
            "drop function public.reads",
            0,
        ),
        (
            "create function public.reads(auth_private.config) returns text language sql as 'select $1.jwt_secret'",
            "function public.reads(auth_private.config)",
            "drop function public.reads",
            4,
        ),
        (
            "create function public.owned() returns int language sql security definer as 'select 1'; \
             grant create on schema public to {owner}; alter function public.owned() owner to {owner}",
            "function public.owned()",
            "drop function public.owned(); revoke create on schema public from {owner}",
            4,
        ),
        (
            "create statistics public.st on subject, role from auth.refresh_token",
            "statistics object public.st",
            "drop statistics public.st",
            4,
        ),
        (
            "create publication everything for all tables",
            "publication everything",
            "drop publication everything",
            0,
        ),
        (
            // As `alter subscription ... refresh publication` would, with a server at the other end.
            "create subscription {anon}_s connection 'host=nowhere' publication p with (connect = false); \
             insert into pg_subscription_rel select s.oid, 'auth.refresh_token'::regclass, 'r', null \
               from pg_subscription as s where s.subname = '{anon}_s'",
            "subscription {anon}_s",
            "alter subscription {anon}_s set (slot_name = none); drop subscription {anon}_s",
            4,
        ),
    ] {
        installed.db.sql(&installed.named(made));
        let run = installed.db.authmig(&["verify"]).exits(code);
        let said = installed.named(&format!("{subject}: is bound to "));
        assert!(run.stdout.contains(&said), "{made}\n{}", run.stdout);
        installed.db.authmig(&["verify", "--strict"]).exits(4);
        installed.db.sql(&installed.named(gone));
        installed.db.authmig(&["verify", "--strict"]).exits(0);
    }
}

#[test]
fn whoever_could_replace_what_is_in_a_schema_that_was_there_is_found() {
    let (db, own) = (TestDb::new(), own_roles());
    db.sql("create schema auth; create schema auth_private");
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.authmig(&["verify", "--strict"]).exits(0);
    let other = crate::support::role(&db, "");
    db.sql(&format!("grant create on schema auth_private to {other}, public"));
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("objects: schema auth_private: others may create in it"), "{}", run.stdout);
    let mend = format!("mend:     revoke create on schema auth_private from {other}, public;");
    assert!(run.stdout.contains(&mend), "{}", run.stdout);
    db.sql(&format!("revoke create on schema auth_private from {other}, public"));
    db.sql(&format!("alter schema auth owner to {other}"));
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("objects: schema auth: belongs to somebody else"), "{}", run.stdout);
}

#[test]
fn an_index_that_is_not_valid_keeps_no_check_from_being_made() {
    let Installed { db, .. } = Installed::new();
    db.sql("update pg_index set indisvalid = false where indexrelid = 'auth.refresh_token_pkey'::regclass");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(!run.stdout.contains("not tried"), "{}", run.stdout);
    assert!(run.stdout.contains("mend:     reindex index auth.refresh_token_pkey;\n"), "{}", run.stdout);
}

#[test]
fn a_missing_comment_is_no_missing_object() {
    let Installed { db, .. } = Installed::new();
    db.sql("comment on schema authmig is null");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("objects: schema authmig: its comment is another one\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("mend:     comment on schema authmig is 'What authmig did"),
        "{}",
        run.stdout
    );
}

/// As a dump without roles is restored in a server that does not have them.
#[test]
fn what_is_printed_can_be_pasted_from_top_to_bottom() {
    let installed = Installed::new();
    let db = &installed.db;
    for role in ["{anon}", "{authenticated}", "{service}", "{authenticator}", "{owner}"] {
        db.sql(
            &installed.named(&format!(
                "reassign owned by {role} to postgres; drop owned by {role}; drop role {role}"
            )),
        );
    }
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    for check in report["checks"].as_array().unwrap() {
        for finding in check["findings"].as_array().unwrap() {
            if let Some(mend) = finding["mend"].as_str() {
                db.sql(mend);
            }
        }
    }
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn who_empties_the_list_of_what_was_created_hides_nothing() {
    let installed = Installed::new();
    let db = &installed.db;
    db.sql(&installed.named(
        "delete from authmig.created; create function auth.leak() returns text security definer \
         return (select jwt_secret from auth_private.config); grant usage on schema auth_private to {anon}",
    ));
    let told = db.authmig(&["verify"]).exits(4).stdout;
    for said in [
        "objects: function auth.leak(): is not authmig's\n",
        "grants: schema auth_private: {anon} may usage\n",
    ] {
        assert!(told.contains(&installed.named(said)), "{told}");
    }
}

#[test]
fn a_function_that_calls_one_of_ours_is_no_alarm() {
    let Installed { db, .. } = Installed::new();
    db.sql(
        "create function api.login(name text) returns void begin atomic select auth.issue_tokens(name); end; \
         create function api.renew() returns void return auth.refresh_tokens()",
    );
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_script_that_raises_hides_no_other_check() {
    let Installed { db, .. } = Installed::new();
    db.sql("alter table auth.refresh_token disable row level security");
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let verdicts: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| format!("{} {}", check["name"].as_str().unwrap(), check["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(
        verdicts,
        [
            "history passed",
            "scripts failed",
            "objects failed",
            "grants passed",
            "self-test passed",
            "postgrest passed"
        ]
    );
}

#[test]
fn code_that_was_not_installed_is_not_run() {
    let Installed { db, .. } = Installed::new();
    let evil = "$$ begin raise exception 'ran as %', current_user; end $$";
    for (planted, gone) in [
        (
            format!(
                "create or replace function auth_private.check_config() returns trigger language plpgsql as {evil}"
            ),
            None,
        ),
        (
            format!(
                "create function public.evil() returns trigger language plpgsql as {evil}; \
                 create trigger evil before insert on auth.refresh_token for each row execute function public.evil()"
            ),
            Some("drop function public.evil() cascade"),
        ),
        (
            format!(
                "create function public.evil() returns int language plpgsql as {evil}; \
                 alter table auth.refresh_token add column \"a.b\" int; \
                 alter table auth.refresh_token alter column \"a.b\" set default public.evil()"
            ),
            None,
        ),
        (
            format!(
                "create function public.evil(text) returns uuid language plpgsql as {evil}; \
                 create cast (text as uuid) with function public.evil(text)"
            ),
            Some("drop function public.evil(text) cascade"),
        ),
    ] {
        db.sql(&planted);
        let run = db.authmig(&["verify", "--format", "json"]).exits(4);
        assert!(!run.stdout.contains("ran as postgres"), "{planted}\n{}", run.stdout);
        let report = run.json();
        for check in report["checks"].as_array().unwrap() {
            let (name, verdict) = (check["name"].as_str().unwrap(), check["verdict"].as_str().unwrap());
            let wanted = match name {
                "history" | "grants" => "passed",
                "objects" => "failed",
                _ => "skipped",
            };
            assert_eq!(verdict, wanted, "{planted}: {name}");
            if wanted == "failed" {
                let mend = check["findings"][0]["mend"].as_str().unwrap();
                db.sql(gone.unwrap_or(mend));
            }
        }
        db.authmig(&["verify", "--strict"]).exits(0);
    }
}

#[test]
fn an_event_trigger_whose_function_somebody_could_replace_is_found_and_does_not_run() {
    let Installed { db, .. } = Installed::new();
    let other = crate::support::role(&db, "");
    db.sql(
        "create function public.evil() returns event_trigger language plpgsql as \
         $$ begin raise exception 'ran as %', current_user; end $$; \
         create event trigger evil on ddl_command_end execute function public.evil()",
    );
    // That of a superuser is none of ours.
    db.authmig(&["verify", "--only", "objects", "--strict"]).exits(0);
    db.sql(&format!(
        "alter event trigger evil disable; alter function public.evil() owner to {other}; \
         alter event trigger evil enable always"
    ));
    let run = db.authmig(&["verify"]).exits(4);
    let said = format!("objects: event trigger evil: runs a function that {other} can replace\n");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    assert!(run.stdout.contains("self-test: advice: not tried: "), "{}", run.stdout);
    let run = db.authmig(&["rollback", "--yes"]).exits(4);
    assert!(run.stderr.starts_with("error: what was not installed would run with this"), "{}", run.stderr);
    db.sql("alter event trigger evil disable");
    db.authmig(&["verify", "--strict"]).exits(0);
    // An administrator's, for who is no superuser: it does not stop what comes.
    let (db, own) = (TestDb::new(), own_roles());
    let (migrator, other) = (crate::support::role(&db, "login createrole"), crate::support::role(&db, ""));
    db.sql(&format!(
        "create function public.watch() returns event_trigger language plpgsql as $$ begin notify pgrst; end $$; \
         create event trigger watch on ddl_command_end execute function public.watch(); \
         alter function public.watch() owner to {other}; alter database {} owner to {migrator}",
        db.name
    ));
    let db = db.run_by(&migrator);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let run = db.authmig(&["verify"]).exits(0);
    let said = format!("objects: advice: event trigger watch: runs a function that {other} can replace\n");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    db.authmig(&["rollback", "--yes"]).exits(0);
}

#[test]
fn what_is_part_of_a_table_of_ours_is_no_advice_in_a_schema_that_was_there() {
    let (db, own) = (TestDb::new(), own_roles());
    db.sql("create schema auth; create table auth.users (id int primary key); create index users_id on auth.users (id)");
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    let run = db.authmig(&["verify"]).exits(0);
    assert!(run.stdout.contains("advice: table auth.users: is not authmig's"), "{}", run.stdout);
    assert!(!run.stdout.contains("mend:"), "{}", run.stdout);
    assert!(!run.stdout.contains("users_id"), "{}", run.stdout);
    db.sql(
        "create function public.evil(timestamptz) returns timestamptz immutable language plpgsql as \
         $$ begin raise exception 'ran as %', current_user; end $$",
    );
    for (planted, subject) in [
        ("create index rotated on auth.refresh_token (public.evil(rotated_at))", "index auth.rotated"),
        (
            "alter table auth.refresh_token add column seen timestamptz; \
             alter table auth.refresh_token alter column seen set default public.evil(now())",
            "column auth.refresh_token.seen",
        ),
    ] {
        db.sql(planted);
        let run = db.authmig(&["verify"]).exits(4);
        assert!(run.stdout.contains(&format!("objects: {subject}: is not authmig's")), "{}", run.stdout);
        assert!(run.stdout.contains("self-test: advice: not tried"), "{}", run.stdout);
        assert!(!run.stdout.contains("ran as"), "{}", run.stdout);
        let report = db.authmig(&["verify", "--only", "objects", "--format", "json"]).exits(4).json();
        let findings = report["checks"][0]["findings"].as_array().unwrap();
        let mend = findings.iter().find(|finding| finding["subject"] == subject).unwrap()["mend"].as_str();
        db.sql(mend.unwrap());
        db.authmig(&["verify"]).exits(0);
    }
}

#[test]
fn others_that_may_be_service_or_join_a_role_of_ours_are_advice() {
    let installed = Installed::new();
    let modern = crate::support::major() >= 16;
    let mut changes = vec![("grant {service} to {other}", "is a member of {service}")];
    if modern {
        changes.extend([(
            "grant {authenticator} to {other} with admin true, inherit false, set false",
            "may make itself a member of {authenticator}",
        )]);
    }
    for (change, said) in changes {
        let other = crate::support::role(&installed.db, "");
        let named = |text: &str| installed.named(text).replace("{other}", &other);
        installed.db.sql(&named(change));
        installed.db.authmig(&["verify"]).exits(0);
        let report = installed.db.authmig(&["verify", "--strict", "--format", "json"]).exits(4).json();
        let grants =
            report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "grants").unwrap();
        let finding = &grants["findings"][0];
        assert_eq!((&finding["severity"], &finding["message"]), (&"advice".into(), &named(said).into()));
        if said.starts_with("is a member of ") {
            assert!(
                finding["why"].as_str().unwrap().contains("another database may need this"),
                "{finding:#}"
            );
        }
        installed.db.sql(finding["mend"].as_str().unwrap());
        installed.db.authmig(&["verify", "--strict"]).exits(0);
    }
    if modern {
        for (change, subject) in [
            ("grant {service} to {authenticator} with inherit true", "role {authenticator}"),
            ("grant {service} to {anon} with admin true, inherit false, set false", "role {anon}"),
            ("grant pg_read_all_data to {anon} with admin true, inherit false, set false", "role {anon}"),
        ] {
            installed.try_out((change, "grants", subject));
        }
    }
    installed.try_out((
        "create role {anon}_4; grant {anon}_4 to {authenticator}; grant {service} to {anon}_4",
        "grants",
        "role {anon}_4",
    ));
}

#[test]
fn who_may_act_as_the_owner_over_whoever_migrates_is_advice() {
    let (db, own) = (TestDb::new(), own_roles());
    let (migrator, other) =
        (crate::support::role(&db, "login createrole"), crate::support::role(&db, "login"));
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    let db = db.run_by(&migrator);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.authmig(&["verify", "--strict"]).exits(0);
    let owner = own.iter().find_map(|option| option.strip_prefix("--owner-role=")).unwrap();
    db.sql(&format!("grant {migrator} to {other}"));
    let told = db.authmig(&["verify"]).exits(0).stdout;
    let said = format!("advice: role {other}: may act as {owner}, as a member of {migrator}\n");
    assert!(told.contains(&said), "{told}");
    assert!(told.contains("why:      it reads the secret; roles are of the whole server"), "{told}");
    let mend = told.split("mend:     ").nth(1).and_then(|mend| mend.lines().next()).unwrap();
    db.sql(mend);
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn whoever_migrates_without_the_rights_of_the_owner_is_found_and_mended() {
    let (db, own) = (TestDb::new(), own_roles());
    let migrator = crate::support::role(&db, "login createrole");
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    let db = db.run_by(&migrator);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    let owner = own.iter().find_map(|option| option.strip_prefix("--owner-role=")).unwrap();
    db.sql(&format!("set role {migrator}; revoke {owner} from {migrator}"));
    if crate::support::major() >= 16 {
        db.authmig(&["verify", "--only", "objects"]).exits(4);
    }
    db.sql(&format!("revoke {owner} from {migrator}"));
    let told = db.authmig(&["verify"]).exits(4).stdout;
    let said = format!("objects: role {migrator}: does not have the rights of {owner}\n");
    assert!(told.contains(&said), "{told}");
    let mend = told.split("mend:     ").nth(1).and_then(|mend| mend.lines().next()).unwrap();
    let options = if crate::support::major() >= 16 { " with inherit true, set true" } else { "" };
    assert_eq!(mend, format!("grant {owner} to {migrator}{options};"));
    db.sql(mend);
    db.authmig(&["verify", "--strict"]).exits(0);
}

/// Since 16 the one who created a role may join it: before one looks, and after.
#[test]
fn a_superuser_runs_nothing_that_who_may_join_the_owner_could_change_meanwhile() {
    if crate::support::major() < 16 {
        return;
    }
    let installed = Installed::new();
    let other = crate::support::role(&installed.db, "");
    let grant = "grant {owner} to {other} with admin true, inherit false, set false";
    installed.db.sql(&installed.named(grant).replace("{other}", &other));
    let run = installed.db.authmig(&["verify"]).exits(0);
    let said = installed.named(&format!("advice: role {other}: may make itself a member of {{owner}}"));
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    assert!(run.stdout.contains("self-test: advice: not tried: "), "{}", run.stdout);
}

#[test]
fn what_a_role_of_requests_was_given_of_the_servers_own_is_found() {
    let installed = Installed::new();
    let db = &installed.db;
    for (grant, said, code) in GIVEN {
        if grant.contains("parameter") && crate::support::major() < 15 {
            continue;
        }
        db.sql(&installed.named(&format!("grant {grant}")));
        let run = db.authmig(&["verify"]).exits(*code);
        assert!(run.stdout.contains(&format!(": {said}\n")), "{grant}\n{}", run.stdout);
        let mend = run.stdout.split("mend:     ").nth(1).and_then(|mend| mend.lines().next()).unwrap();
        db.sql(mend);
        db.authmig(&["verify", "--strict"]).exits(0);
    }
    let owner = format!("alter database {} owner to {{anon}}", db.name);
    let run = {
        db.sql(&installed.named(&owner));
        db.authmig(&["verify"]).exits(4)
    };
    assert!(
        run.stdout.contains(&installed.named("grants: role {anon}: owns the database\n")),
        "{}",
        run.stdout
    );
    let mend = format!("mend:     alter database {} owner to current_user;\n", db.name);
    assert!(run.stdout.contains(&mend), "{}", run.stdout);
    db.sql(&format!("alter database {} owner to current_user", db.name));
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_a_role_of_requests_may_create_and_who_is_sent_the_tables_is_told() {
    let installed = Installed::new();
    let db = &installed.db;
    let verify = |code: i32| db.authmig(&["verify", "--skip", "self-test"]).exits(code).stdout;
    db.sql(&installed.named(&format!("grant create on database {} to {{anon}}", db.name)));
    assert!(verify(0).contains(&installed.named("advice: role {anon}: may create schemas\n")));
    db.sql(&installed.named(&format!("revoke create on database {} from {{anon}}", db.name)));
    db.sql(&installed.named("grant create on schema api to {service}"));
    assert!(verify(0).contains(&installed.named("advice: role {service}: may create in api\n")));
    db.sql(&installed.named("revoke create on schema api from {service}"));
    db.sql("create publication sessions for table auth.refresh_token");
    let told = verify(0);
    assert!(told.contains("advice: publication relation auth.refresh_token in publication sessions: is bound to auth.refresh_token"), "{told}");
    db.sql("drop publication sessions; create publication secrets for table auth_private.config");
    let told = verify(4);
    assert!(
        told.contains("objects: publication relation auth_private.config in publication secrets"),
        "{told}"
    );
    db.sql("drop publication secrets");
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_schema_that_is_published_is_judged_as_its_tables_are() {
    if crate::support::major() < 15 {
        return;
    }
    let installed = Installed::new();
    installed.try_out((
        "create publication private for tables in schema auth_private",
        "objects",
        "publication namespace auth_private in publication private",
    ));
    installed.db.sql("create publication sessions for tables in schema auth");
    let run = installed.db.authmig(&["verify"]).exits(0);
    let said = "advice: publication namespace auth in publication sessions: is not authmig's";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    // What is sent to another server runs no code here.
    for publication in ["", "create publication secrets for tables in schema auth_private"] {
        installed.db.sql(publication);
        let run = installed.db.authmig(&["verify"]);
        assert!(!run.stdout.contains("not tried"), "{}", run.stdout);
    }
}

#[test]
fn settings_that_their_trigger_would_not_let_pass_are_found() {
    let installed = Installed::new();
    for (change, back, said) in [
        ("grace_seconds = 999999", "grace_seconds = 10", "grace_seconds must be 0 to 60"),
        (
            "authenticator_role = 'mallory'",
            "authenticator_role = '{authenticator}'",
            "auth_private.config has mallory as the authenticator",
        ),
    ] {
        let write = |what: &str| {
            installed.db.sql(&installed.named(&format!(
                "alter table auth_private.config disable trigger all; update auth_private.config set {what}; \
                 alter table auth_private.config enable trigger all"
            )));
        };
        write(change);
        let run = installed.db.authmig(&["verify"]).exits(4);
        assert!(run.stdout.contains(&format!("self-test: {said}")), "{}", run.stdout);
        if change.starts_with("authenticator_role") {
            let mend = format!("mend:     update auth_private.config set {};\n", installed.named(back));
            assert!(run.stdout.contains(&mend), "{}", run.stdout);
        }
        write(back);
        installed.db.authmig(&["verify", "--strict"]).exits(0);
    }
}

#[test]
fn what_somebody_else_could_change_meanwhile_is_not_run() {
    let (db, own) = (TestDb::new(), own_roles());
    let migrator = crate::support::role(&db, "login createrole");
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    let theirs = db.run_by(&migrator);
    theirs.authmig(&with_options(&["migrate"], &own)).exits(0);
    theirs.authmig(&["verify"]).exits(0);
    let db = theirs.run_by("postgres");
    let run = db.authmig(&["verify"]).exits(1);
    assert_eq!(
        run.stderr,
        format!(
            "error: the ledger belongs to {migrator}, who could run code as whoever looks; nothing was looked at\n\
             hint: verify as {migrator}\n"
        )
    );
    db.run_by(&migrator).authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
}

#[test]
fn what_was_put_there_does_not_run_with_what_changes_something() {
    for (planted, commands) in [
        (
            "create or replace function auth_private.check_config() returns trigger language plpgsql as {evil}",
            [&["secret", "generate"][..], &["migrate", "--jwt-secret-file", "{secret}"]],
        ),
        (
            "create or replace function auth_private.hmac(algorithm text, key bytea, message bytea) returns bytea \
             language plpgsql as {evil}",
            [&["rollback", "--yes"], &["migrate"]],
        ),
        (
            "create function public.evil(t text) returns text immutable language plpgsql as {evil}; \
             create statistics public.st on (jwt_secret || public.evil('x')) from auth_private.config",
            [&["secret", "status"], &["secret", "generate"]],
        ),
    ] {
        let (db, own) = (TestDb::new(), own_roles());
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), crate::support::JWT_SECRET).unwrap();
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        if commands[1] == ["migrate"] {
            // So that there is something to do.
            db.authmig(&["rollback", "--yes"]).exits(0);
        }
        let evil = "$$ begin raise exception 'ran as %', current_user; end $$";
        db.sql(&planted.replace("{evil}", evil));
        for command in commands {
            let command: Vec<_> = command
                .iter()
                .map(|word| word.replace("{secret}", secret.path().to_str().unwrap()))
                .collect();
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            let run = db.authmig(&command).exits(4);
            let said = "error: what was not installed would run with this, as whoever goes on; nothing was changed\n";
            assert!(
                run.stderr.starts_with(said) && !run.stderr.contains("ran as"),
                "{command:?}\n{}",
                run.stderr
            );
        }
    }
}

/// To plan a query is enough: it evaluates what indexes and statistics are made of.
#[test]
fn who_reads_a_ledger_of_somebody_else_runs_nothing_of_theirs() {
    for planted in [
        "create index on authmig.schema_history ((name || public.evil('x')))",
        "create index on authmig.parameter (name) where name <> public.evil('x')",
        "create statistics authmig.st on (name || public.evil('x')) from authmig.schema_history",
        "alter table authmig.parameter add check (name <> public.evil('x'))",
        "alter table authmig.schema_history add column seen text generated always as (public.evil('x')) stored",
    ] {
        // A ledger that is real, and one that is made up.
        for real in [true, false] {
            let (db, own) = (TestDb::new(), own_roles());
            let migrator = crate::support::role(&db, "login createrole");
            db.sql(&format!(
                "alter database {} owner to {migrator}; alter database {} set constraint_exclusion = on; \
                 grant create on schema public to {migrator}",
                db.name, db.name
            ));
            let db = db.run_by(&migrator);
            if real {
                db.authmig(&with_options(&["migrate"], &own)).exits(0);
            } else {
                db.sql(&format!(
                    "set role {migrator}; create schema authmig; create table authmig.schema_history (version int, name text, \
                     applied_on text, checksum text, sha256 text, applied_by text, authmig_version text); \
                     create table authmig.parameter (name text, value text)"
                ));
            }
            let function = "create or replace function public.evil(t text) returns text immutable";
            db.sql(&format!(
                "set role {migrator}; {function} language sql as 'select t'; {planted}; \
                 {function} language plpgsql as $$ begin raise exception 'ran as %', current_user; end $$"
            ));
            let db = db.run_by("postgres");
            let run = db.authmig(&["status"]).exits(0);
            let count = if real { "5 applied" } else { "0 applied" };
            assert!(run.stdout.contains(count), "{planted}\n{}{}", run.stdout, run.stderr);
            for command in
                [&["verify"][..], &["secret", "status"], &["rollback", "--yes"], &["migrate"], &["grants"]]
            {
                let run = db.authmig(command);
                assert!(!format!("{run:?}").contains("ran as"), "{planted} {command:?}\n{run:?}");
            }
        }
    }
}

#[test]
fn names_may_look_like_the_placeholders_of_the_manifest() {
    let (db, own) = (TestDb::new(), own_roles());
    let odd: Vec<_> = own
        .iter()
        .map(|option| match option.split('=').next().unwrap() {
            option @ "--anon-role" => format!("{option}={{owner_role}}"),
            option @ "--authenticator-role" => format!("{option}={{api_schema}}"),
            option @ "--service-role" => format!("{option}='{{anon_role}}'"),
            _ => option.clone(),
        })
        .collect();
    db.authmig(&with_options(&["migrate"], &odd)).exits(0);
    db.authmig(&["verify"]).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    db.sql(r#"drop role "{owner_role}", "{api_schema}", "'{anon_role}'" "#);
}

#[test]
fn a_check_that_was_named_and_cannot_be_made_fails() {
    let (db, own) = (TestDb::new(), own_roles());
    for check in ["scripts", "objects", "grants", "self-test", "postgrest"] {
        let run = db.authmig(&["verify", "--only", check]).exits(4);
        assert!(
            run.stdout.contains(&format!("{check}: there is nothing that it could look at")),
            "{}",
            run.stdout
        );
    }
    db.authmig(&with_options(&["migrate", "--to", "4"], &own)).exits(0);
    db.authmig(&["verify", "--only", "scripts,objects,grants"]).exits(0);
    db.authmig(&["verify", "--only", "self-test"]).exits(4);
    db.authmig(&["verify", "--skip", "history"]).exits(0);
}

#[test]
fn a_lost_name_of_the_installation_is_found() {
    let installed = Installed::new();
    let db = &installed.db;
    db.sql("delete from authmig.parameter where name = 'anon_role'");
    let anon = installed.own.iter().find(|option| option.starts_with("--anon-role=")).unwrap();
    let report = db.authmig(&["verify", anon, "--only", "history", "--format", "json"]).exits(4).json();
    let finding = &report["checks"][0]["findings"][0];
    assert_eq!(finding["message"], "has no anon_role");
    db.sql(finding["mend"].as_str().unwrap());
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn an_edited_history_row_is_found() {
    let Installed { db, .. } = Installed::new();
    db.sql("update authmig.schema_history set sha256 = repeat('0', 64) where version = 2");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("history: 02-auth_schema: "), "{}", run.stdout);
}

#[test]
fn a_table_of_the_ledger_that_is_somebody_elses_is_found() {
    let installed = Installed::new();
    installed.db.sql(&installed.named("alter table authmig.created owner to {service}"));
    let run = installed.db.authmig(&["verify"]).exits(1);
    let said = installed.named("the ledger belongs to {service}, who could run code as whoever looks");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
}

#[test]
fn a_key_that_is_not_that_of_the_secret_is_found() {
    let Installed { db, .. } = Installed::new();
    db.sql(
        "alter table auth_private.config disable trigger check_config; \
         update auth_private.config set inner_pad = outer_pad; \
         alter table auth_private.config enable trigger check_config",
    );
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let finding = &report["checks"][1]["findings"][0];
    assert!(
        finding["message"].as_str().unwrap().contains("another key than that of the secret"),
        "{report:#}"
    );
    db.sql(finding["mend"].as_str().unwrap());
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_missing_row_of_settings_is_found() {
    let Installed { db, .. } = Installed::new();
    db.sql("delete from auth_private.config");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("self-test: auth_private.config has no row"), "{}", run.stdout);
    let mend = run.stdout.split("mend:     ").nth(1).and_then(|mend| mend.lines().next()).unwrap();
    db.sql(mend);
    db.authmig(&["secret", "generate"]).exits(0);
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_lost_schema_of_the_api_is_found_and_mended() {
    let Installed { db, .. } = Installed::new();
    db.sql("drop schema api");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("mend:     create schema api;\n"), "{}", run.stdout);
    db.sql("create schema api");
    // What service was granted in it is not looked at: others may grant it otherwise.
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_column_that_rows_would_have_no_value_for_is_mended_as_far_as_that_goes() {
    let Installed { db, .. } = Installed::new();
    db.sql("alter table authmig.journal drop column authmig_version");
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let mend = |report: &serde_json::Value| {
        let objects = &report["checks"].as_array().unwrap()[2];
        assert_eq!(objects["name"], "objects");
        objects["findings"][0]["mend"].as_str().unwrap().to_owned()
    };
    db.sql(&mend(&report));
    db.authmig(&["verify", "--strict"]).exits(0);
    assert_eq!(db.ask("select authmig_version from authmig.journal limit 1"), "lost");
    db.sql("alter table auth.refresh_token drop column subject");
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    assert!(
        mend(&report).starts_with("-- Fails where there are rows, whose values are lost: "),
        "{report:#}"
    );
    for finding in report["checks"][2]["findings"].as_array().unwrap() {
        db.sql(finding["mend"].as_str().unwrap());
    }
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_lost_table_of_settings_is_found_and_mended_but_for_what_was_in_it() {
    let installed = Installed::new();
    let db = &installed.db;
    // A table takes the functions with it that have its row for an argument.
    for lost in ["table auth_private.config", "schema auth_private"] {
        db.sql(&format!("drop {lost} cascade"));
        let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
        let of_check = |report: &serde_json::Value, name: &str, key: &str| -> Vec<String> {
            let check =
                report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
            let findings = check["findings"].as_array().unwrap();
            findings.iter().filter_map(|finding| Some(finding[key].as_str()?.to_owned())).collect()
        };
        let subjects = of_check(&report, "objects", "subject");
        assert!(subjects.contains(&lost.to_owned()), "{subjects:?}");
        for mend in of_check(&report, "objects", "mend") {
            db.sql(&mend);
        }
        // The table is there, and empty. What it says of that is a statement, too.
        let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
        db.sql(&of_check(&report, "scripts", "mend")[0]);
    }
    // The secret was in the rows, and is lost.
    let run = db.authmig(&["verify"]).exits(0);
    assert!(run.stdout.contains("JWT secret: none is set"), "{}", run.stdout);
    db.authmig(&["secret", "generate"]).exits(0);
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn an_extension_that_was_moved_is_advice() {
    let Installed { db, .. } = Installed::new();
    db.sql("create schema extensions; alter extension pgcrypto set schema extensions");
    let run = db.authmig(&["verify"]).exits(0);
    assert!(run.stdout.contains("advice: extension pgcrypto: its schema is another one"), "{}", run.stdout);
    assert!(run.stdout.contains("mend:     alter extension pgcrypto set schema public;"), "{}", run.stdout);
    // One that was there before is somebody else's.
    let before = TestDb::new();
    before.sql("create extension pgcrypto");
    before.authmig(&["migrate"]).exits(0);
    before.authmig(&["secret", "generate"]).exits(0);
    before.sql("drop extension pgcrypto");
    before.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_postgrest_is_told_wrongly_is_found() {
    let installed = Installed::new();
    let db = &installed.db;
    let run = |setting: &str, code: i32| {
        db.sql(
            &installed.named(&format!("alter role {{authenticator}} in database {} set {setting}", db.name)),
        );
        let run = db.authmig(&["verify", "--only", "postgrest"]).exits(code);
        if let Some(mend) = run.stdout.split("mend:     ").nth(1).and_then(|mend| mend.lines().next()) {
            db.sql(mend);
            db.authmig(&["verify", "--only", "postgrest"]).exits(0);
        }
        db.sql(&installed.named(&format!("alter role {{authenticator}} in database {} reset all", db.name)));
        run.stdout
    };
    assert!(run("pgrst.db_schemas = 'api'", 4).contains("the schema auth is not exposed"));
    assert!(
        run("pgrst.db_schemas = 'api, auth, auth_private'", 4).contains("the schema auth_private is exposed")
    );
    assert!(
        run("pgrst.db_extra_search_path = 'public, authmig'", 4).contains("the schema authmig is exposed")
    );
    assert!(run("pgrst.jwt_secret = 'AAAA'", 4).contains("another JWT secret is set here"));
    run("pgrst.db_schemas = 'api, auth'", 0);
    assert!(run(&installed.named("pgrst.db_anon_role = '{service}'"), 4).contains("run as another role"));
    run(&installed.named("pgrst.db_anon_role = '{anon}'"), 0);
    assert!(run("pgrst.jwt_role_claim_key = '.sub'", 4).contains("the role is read from another claim"));
    run("pgrst.jwt_role_claim_key = '.role'", 0);
    assert!(run("pgrst.jwt_secret_is_base64 = 'false'", 4).contains("taken for the key itself"));
    run("pgrst.jwt_secret_is_base64 = 'true'", 0);
    // It chooses the key.
    assert!(run("pgrst.db_pre_config = 'public.mine'", 4).contains("from a function that is not there"));
    let other = crate::support::role(db, "");
    db.sql(&format!(
        "create function public.mine() returns void language sql as ''; alter function public.mine() owner to {other}"
    ));
    assert!(run("pgrst.db_pre_config = 'public.mine'", 4).contains("that somebody else could replace"));
    db.sql("alter function public.mine() owner to postgres");
    assert!(
        run("pgrst.db_pre_config = 'public.mine'", 0).contains("advice: pgrst.db_pre_config: the secret")
    );
    run("pgrst.jwt_aud = 'shop'", 0);
    db.sql("update auth_private.config set audience = 'shop'");
    run("pgrst.jwt_aud = 'shop'", 0);
    assert!(run("pgrst.jwt_aud = 'stop'", 4).contains("another audience is wanted"));
    db.sql("update auth_private.config set audience = null");
    run("pgrst.db_pre_config = 'auth_private.postgrest_config'", 0);
    assert!(run("pgrst.db_tx_end = 'commit-allow-override'", 4).contains("may be taken back"));
    run("pgrst.db_tx_end = 'commit'", 0);
    assert!(run("pgrst.db_pre_request = 'public.mine'", 0).contains("a function runs before each request"));
    assert!(run(&installed.named("role = '{service}'"), 4).contains("PostgREST begins as another role"));
    assert!(run("session_replication_role = 'replica'", 4).contains("triggers do not run in requests"));
    // What somebody pastes does what it says and no more.
    let injected = run("pgrst.db_schemas = 'x''; select 1/0; --'", 4);
    assert!(injected.contains(" set pgrst.db_schemas = 'x''; select 1/0; --, auth';"), "{injected}");
    db.sql("update auth_private.config set jwt_secret = null");
    assert!(run("pgrst.jwt_secret = 'AAAA'", 4).contains("the JWT secret cannot be used"));
    let advice = db.authmig(&["verify", "--only", "postgrest"]).exits(0).stdout;
    assert!(advice.contains("advice: JWT secret: none is set"), "{advice}");
    db.authmig(&["verify", "--only", "postgrest", "--strict"]).exits(4);
}

#[test]
fn what_keeps_postgrest_from_logging_in_is_found_and_mended() {
    let installed = Installed::new();
    let db = &installed.db;
    for (change, said) in [
        (
            format!("revoke connect on database {} from public", db.name),
            format!(": may not connect to {}\n", db.name),
        ),
        ("alter role {authenticator} connection limit 0".to_owned(), ": may have no connection\n".to_owned()),
        (
            "alter role {authenticator} valid until '2001-01-01'".to_owned(),
            ": its password is not valid any more\n".to_owned(),
        ),
    ] {
        db.sql(&installed.named(&change));
        let run = db.authmig(&["verify"]).exits(0);
        let said = installed.named(&format!("grants: advice: role {{authenticator}}{said}"));
        assert!(run.stdout.contains(&said), "{}", run.stdout);
        let mend = run.stdout.split("mend:     ").nth(1).and_then(|mend| mend.lines().next()).unwrap();
        db.sql(mend);
        db.authmig(&["verify", "--strict"]).exits(0);
    }
    // Who migrates need not be able to grant it.
    let (fresh, own) = (TestDb::new(), own_roles());
    fresh.sql(&format!("revoke connect on database {} from public", fresh.name));
    let run = fresh.authmig(&with_options(&["migrate"], &own)).exits(0);
    assert!(run.stdout.contains("applied"), "{}", run.stdout);
}

#[test]
fn a_verification_that_looks_at_nothing_proves_nothing() {
    let db = TestDb::new();
    let run = db.authmig(&["verify", "--skip", "history"]).exits(4);
    assert!(run.stderr.contains("could be checked, so nothing is proven"), "{}", run.stderr);
}

#[test]
fn checks_can_be_chosen() {
    let Installed { db, .. } = Installed::new();
    db.sql("drop index auth.refresh_token_subject");
    db.authmig(&["verify"]).exits(4);
    db.authmig(&["verify", "--only", "history,grants"]).exits(0);
    db.authmig(&["verify", "--skip", "objects", "--skip", "scripts"]).exits(0);
    db.authmig(&["verify", "--only", "nonsense"]).exits(2);
}

#[test]
fn the_self_test_leaves_nothing_behind() {
    use postgres::fallible_iterator::FallibleIterator;
    let Installed { db, .. } = Installed::new();
    db.sql("select auth.issue_tokens('alice')");
    let secret = db.ask("select jwt_secret from auth_private.config");
    let before = db.dump(&[]);
    let mut listener = db.client();
    listener.batch_execute("listen pgrst").unwrap();
    // Somebody refreshes meanwhile: the self-test waits for nobody, and nobody for it.
    let mut other = db.client();
    other.batch_execute("begin; update auth.refresh_token set rotated_at = rotated_at").unwrap();
    db.authmig(&["verify"]).exits(0);
    other.batch_execute("rollback").unwrap();
    assert_eq!(db.dump(&[]), before);
    assert_eq!(db.ask("select jwt_secret from auth_private.config"), secret);
    let mut notifications = listener.notifications();
    assert!(notifications.timeout_iter(std::time::Duration::from_millis(200)).next().unwrap().is_none());
}

#[test]
fn a_restored_dump_and_a_vacuumed_table_are_no_alarm() {
    let Installed { db, own } = Installed::new();
    db.sql("select auth.issue_tokens(n::text) from generate_series(1, 100) as n");
    db.sql("vacuum full auth.refresh_token");
    db.sql("analyze");
    db.authmig(&["verify", "--strict"]).exits(0);
    let other = TestDb::new();
    other.sql(&db.dump(&["--inserts"]));
    other.authmig(&with_options(&["verify", "--strict"], &own)).exits(0);
    other.authmig(&["migrate"]).exits(0);
}

#[test]
fn what_does_not_pass_verification_is_not_committed() {
    let db = TestDb::new();
    let own = own_roles();
    let before = db.dump(&[]);
    for (file, addition, check) in [
        (
            "05-grants.up.sql",
            "grant execute on function auth.sign_raw(json, text, text) to public;",
            "select auth.sign_raw(",
        ),
        ("02-auth_schema.up.sql", "create table auth.more (id int);", "objects: table auth.more: "),
        ("05-grants.up.sql", "delete from auth_private.config;", "auth_private.config has no row"),
    ] {
        let files = crate::support::Files::embedded()
            .append(file, addition)
            .replace("05-grants.verify.sql", "")
            .replace("02-auth_schema.verify.sql", "");
        let run = db.authmig_with(&files, &with_options(&["migrate"], &own)).exits(8);
        assert!(run.stderr.contains(check), "{addition}: {}", run.stderr);
        assert!(run.stderr.contains("nothing was changed"), "{}", run.stderr);
        assert_eq!(db.dump(&[]), before, "{addition}");
    }
}
