//! What was not installed: what is bound to the installation from elsewhere, and what stands in its
//! schemas.

use super::{Installed, findings};
use crate::support::{Files, TestDb, major, own_roles, role, with_options};

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
        installed.sql(made);
        let run = installed.db.authmig(&["verify"]).exits(code);
        let said = installed.named(&format!("{subject}: is bound to "));
        assert!(run.stdout.contains(&said), "{made}\n{}", run.stdout);
        installed.db.authmig(&["verify", "--strict"]).exits(4);
        installed.sql(gone);
        installed.db.authmig(&["verify", "--strict"]).exits(0);
    }
}

#[test]
fn whoever_could_replace_what_is_in_a_schema_that_was_there_is_found() {
    let before = TestDb::new();
    before.sql("create schema auth; create schema auth_private");
    let installed = Installed::on(before);
    let db = &installed.db;
    db.authmig(&["verify", "--strict"]).exits(0);
    // The owner is who could do so anyway.
    installed.sql("grant create on schema auth_private to {owner}");
    db.authmig(&["verify", "--only", "objects", "--strict"]).exits(0);
    installed.sql("revoke create on schema auth_private from {owner}");
    // So is a superuser.
    let superuser = role(db, "superuser");
    db.sql(&format!(
        "alter schema auth owner to {superuser}; grant create on schema auth_private to {superuser}"
    ));
    db.authmig(&["verify", "--only", "objects", "--strict"]).exits(0);
    db.sql(&format!(
        "alter schema auth owner to postgres; revoke create on schema auth_private from {superuser}"
    ));
    let other = role(db, "");
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
fn what_the_owner_is_to_have_in_other_schemas_is_no_alarm() {
    let installed = Installed::new();
    let other = role(&installed.db, "");
    installed.sql(&format!(
        "alter default privileges for role {{owner}} in schema public grant select on tables to {other}"
    ));
    installed.db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_is_part_of_a_table_of_ours_is_no_advice_in_a_schema_that_was_there() {
    let before = TestDb::new();
    before.sql("create schema auth; create table auth.users (id int primary key); create index users_id on auth.users (id)");
    let Installed { db, .. } = Installed::on(before);
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
        let mut found = findings(&report, "objects").iter();
        let mend = found.find(|finding| finding["subject"] == subject).unwrap()["mend"].as_str();
        db.sql(mend.unwrap());
        db.authmig(&["verify"]).exits(0);
    }
}

#[test]
fn who_empties_the_list_of_what_was_created_hides_nothing() {
    let installed = Installed::new();
    installed.sql(
        "delete from authmig.created; create function auth.leak() returns text security definer \
         return (select jwt_secret from auth_private.config); grant usage on schema auth_private to {anon}",
    );
    let told = installed.db.authmig(&["verify"]).exits(4).stdout;
    for said in
        ["objects: function auth.leak(): is not authmig's\n", "grants: schema auth_private: {anon} may use\n"]
    {
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
fn a_schema_that_is_published_is_judged_as_its_tables_are() {
    if major() < 15 {
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

/// A migration may give the owner role something elsewhere.
#[test]
fn what_a_migration_made_in_another_schema_is_missed() {
    let (db, own) = (TestDb::new(), own_roles());
    let files = Files::embedded()
        .append("manifest.txt", "# 9999-audit\ndependent: table public.audit\n  of: {owner_role}\n")
        .and(
            "9999-audit",
            "create table public.audit (id int);
             do $$ begin execute format('alter table public.audit owner to %I',
                current_setting('authmig.owner_role')); end $$;",
            "drop table public.audit;",
            "select 1;",
        );
    db.authmig_with(&files, &with_options(&["migrate"], &own)).exits(0);
    db.authmig_with(&files, &["verify"]).exits(0);
    db.sql("drop table public.audit");
    let told = db.authmig_with(&files, &["verify", "--only", "objects"]).exits(4).stdout;
    let said = "objects: table public.audit: is missing, or belongs to another role\n  why: ";
    assert!(told.contains(said), "{told}");
}
