//! What was installed: each object of it, changed, lost or joined by another.

use super::{Change, Installed, findings};
use crate::support::TestDb;

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
    ("create cast (auth_private.config as text) with inout", "objects", "cast auth_private.config as text"),
    ("create cast (text as auth.refresh_token) with inout", "objects", "cast text as auth.refresh_token"),
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
        "alter table auth.refresh_token alter column subject type text collate \"C\"",
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
    (
        "update pg_index set indisvalid = false where indexrelid = 'auth.refresh_token_subject'::regclass",
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
        "alter table auth_private.config enable always trigger check_config",
        "objects",
        "trigger check_config on auth_private.config",
    ),
    (
        "alter table auth_private.config enable replica trigger check_config",
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

#[test]
fn every_change_of_an_object_is_found_named_and_mended() {
    let installed = Installed::new();
    for change in OBJECTS {
        installed.try_out(*change);
    }
}

/// A range type has functions and casts that go with it only, and a column may have a sequence.
#[test]
fn what_brings_other_objects_with_it_is_found_itself() {
    let installed = Installed::new();
    installed.sql(
        "create type auth.evil as range (subtype = int);
         create function auth.more(auth.evil) returns int language sql as 'select 1';
         alter table authmig.journal add column serial serial;
         alter table authmig.journal alter column id add generated by default as identity",
    );
    let report = installed.db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let found: Vec<_> =
        findings(&report, "objects").iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    assert_eq!(
        found,
        [
            "column authmig.journal.id",
            "column authmig.journal.serial",
            "function auth.more(auth.evil)",
            "sequence authmig.journal_id_seq",
            "sequence authmig.journal_serial_seq",
            "type auth.evil",
        ]
    );
    installed.mend(&report);
    installed.db.authmig(&["verify", "--strict"]).exits(0);
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
    db.sql(findings(&report, "objects")[0]["mend"].as_str().unwrap());
    db.authmig(&["verify", "--strict"]).exits(0);
    assert_eq!(db.ask("select authmig_version from authmig.journal limit 1"), "lost");
    db.sql("alter table auth.refresh_token drop column subject");
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let found = findings(&report, "objects");
    let mend = found[0]["mend"].as_str().unwrap();
    assert!(mend.starts_with("-- Fails where there are rows, whose values are lost: "), "{report:#}");
    for finding in found {
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
        let found = findings(&report, "objects");
        assert!(found.iter().any(|finding| finding["subject"] == lost), "{found:#?}");
        for mend in found.iter().filter_map(|finding| finding["mend"].as_str()) {
            db.sql(mend);
        }
        // The table is there, and empty. What it says of that is a statement, too.
        let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
        db.sql(findings(&report, "scripts").iter().find_map(|finding| finding["mend"].as_str()).unwrap());
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
    let Installed { db, .. } = Installed::on(before);
    db.sql("drop extension pgcrypto");
    db.authmig(&["verify", "--strict"]).exits(0);
}

/// What somebody grants by default to what he makes is not granted to what a finding has him make.
#[test]
fn what_is_made_anew_is_as_closed_as_it_was() {
    let installed = Installed::new();
    let db = &installed.db;
    installed.sql(
        "alter default privileges grant execute on functions to {anon}; \
         alter default privileges grant all on tables to {anon}",
    );
    for lost in
        ["function auth.issue_tokens(text, text)", "table auth.refresh_token", "table authmig.journal"]
    {
        db.sql(&format!("drop {lost} cascade"));
        // What belongs to a table is told when there is a table.
        for _ in 0..3 {
            let report = db.authmig(&["verify", "--format", "json"]).json();
            for check in report["checks"].as_array().unwrap() {
                for finding in check["findings"].as_array().unwrap() {
                    if let Some(mend) = finding["mend"].as_str() {
                        db.sql(mend);
                    }
                }
            }
        }
        db.authmig(&["verify"]).exits(0);
        let anon = installed.named("{anon}");
        let open = db.ask(&format!(
            "select has_function_privilege('{anon}', 'auth.issue_tokens(text, text)', 'execute')::text || \
                    has_table_privilege('{anon}', 'auth.refresh_token', 'truncate')"
        ));
        assert_eq!(open, "falsefalse", "{lost}");
    }
    // In another schema it would be open.
    db.sql("create table auth_private.config_old as table auth_private.config");
    let told = db.authmig(&["verify"]).exits(4).stdout;
    assert!(!told.contains("mend: "), "{told}");
    assert!(told.contains("hint:     look at what is in it, then drop it"), "{told}");
}
