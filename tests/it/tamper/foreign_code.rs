//! Code that was not installed: it does not run as whoever looks, or goes on.

use super::Installed;
use crate::support::{
    Files, JWT_SECRET, TestDb, major, of_a_migrator, own_roles, role, versions, with_options,
};

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
    let other = role(&db, "");
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
    assert!(run.stderr.starts_with("error: something here is not as authmig installed it"), "{}", run.stderr);
    db.sql("alter event trigger evil disable");
    db.authmig(&["verify", "--strict"]).exits(0);
    // An administrator's, for who is no superuser: it does not stop what comes.
    let (db, _) = of_a_migrator();
    let other = role(&db, "");
    db.sql(&format!(
        "create function public.watch() returns event_trigger language plpgsql as $$ begin notify pgrst; end $$; \
         create event trigger watch on ddl_command_end execute function public.watch(); \
         alter function public.watch() owner to {other}"
    ));
    db.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
    let run = db.authmig(&["verify"]).exits(0);
    let said = format!("objects: advice: event trigger watch: runs a function that {other} can replace\n");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    db.authmig(&["rollback", "--yes"]).exits(0);
}

/// What stands in `pg_catalog` goes before what the server has there, if it fits better.
#[test]
fn whoever_may_create_in_pg_catalog_is_found_and_has_nothing_run() {
    let installed = Installed::new();
    let db = &installed.db;
    let other = role(db, "");
    for makers in [&*other, "public"] {
        db.sql(&format!("grant create on schema pg_catalog to {makers}"));
        // As it would run with the question for what there is, and in a login.
        for (planted, subject) in [
            (
                "function pg_catalog.format(text, name, regclass)",
                "function pg_catalog.format(text,name,regclass)",
            ),
            ("function pg_catalog.concat(uuid, text, text)", "function pg_catalog.concat(uuid,text,text)"),
        ] {
            db.sql(&format!(
                "set session authorization {other}; create {planted} returns text language plpgsql as \
                 $$ begin raise exception 'ran as %', current_user; end $$"
            ));
            let run = db.authmig(&["verify"]).exits(4);
            let (revoke, drop) =
                (format!("revoke create on schema pg_catalog from {makers};"), format!("drop {subject};"));
            let said = format!(
                "\n  - {makers} may create in pg_catalog\n      {revoke}\n  - {subject} is not the server's\n      {drop}\n"
            );
            assert!(run.stderr.contains(&said), "{}", run.stderr);
            db.sql(&(revoke + &drop));
            db.authmig(&["verify", "--strict"]).exits(0);
            db.sql(&format!("grant create on schema pg_catalog to {makers}"));
        }
        for command in [
            &["secret", "status"][..],
            &["secret", "generate", "--replace"],
            &["rollback", "--yes"],
            &["rollback", "--all", "--yes", "--discard-data"],
            &["grants"],
        ] {
            db.authmig(command).exits(4);
        }
        db.authmig(&["status"]).exits(0);
        db.sql(&format!("revoke create on schema pg_catalog from {makers}"));
        db.authmig(&["verify", "--strict"]).exits(0);
    }
}

#[test]
fn what_others_have_made_in_pg_catalog_is_found_and_not_run() {
    let installed = Installed::new();
    let db = &installed.db;
    let other = role(db, "");
    let mine = "create function pg_catalog.mine(text, name) returns text language plpgsql as \
                $$ begin raise exception 'ran as %', current_user; end $$";
    // That of a superuser is meant.
    db.sql(mine);
    db.authmig(&["verify", "--strict"]).exits(0);
    db.sql(&format!("alter function pg_catalog.mine(text, name) owner to {other}"));
    let run = db.authmig(&["verify"]).exits(4);
    assert!(
        run.stderr.contains("  - function pg_catalog.mine(text,name) is not the server's\n"),
        "{}",
        run.stderr
    );
    // Nor is it one because an extension has it: its owner can have made it one.
    db.sql("alter extension pgcrypto add function pg_catalog.mine(text, name)");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(
        run.stderr.ends_with(
            "      alter extension pgcrypto drop function pg_catalog.mine(text,name); drop function pg_catalog.mine(text,name);\n"
        ),
        "{}",
        run.stderr
    );
    db.sql("alter extension pgcrypto drop function pg_catalog.mine(text, name)");
    db.sql("alter function pg_catalog.mine(text, name) owner to postgres");
    db.sql(&format!(
        "create operator pg_catalog.|| (function = pg_catalog.mine, leftarg = text, rightarg = name); \
         alter operator pg_catalog.||(text, name) owner to {other}"
    ));
    // So that an upgrade has something to do.
    let pending = TestDb::copy_of(db);
    for command in [&["verify"][..], &["secret", "status"], &["rollback", "--yes"], &["grants"]] {
        let run = db.authmig(command).exits(4);
        assert!(!format!("{run:?}").contains("ran as"), "{command:?}\n{run:?}");
    }
    pending.sql("delete from authmig.schema_history where version >= 5");
    let run = pending.authmig(&["migrate"]).exits(4);
    assert!(run.stderr.ends_with("\n      drop operator pg_catalog.||(text,name);\n"), "{}", run.stderr);
    db.sql("drop operator pg_catalog.||(text, name)");
    db.authmig(&["verify", "--strict"]).exits(0);
}

/// What is asked before that is known calls nothing that another could fit better.
#[test]
fn what_others_have_made_in_pg_catalog_does_not_run_with_the_history() {
    let Installed { db, .. } = Installed::new();
    let other = role(&db, "");
    let evil = "language plpgsql as $$ begin raise exception 'ran as %', current_user; end $$";
    db.sql(&format!(
        "grant create on schema pg_catalog to {other}; set session authorization {other}; \
         create function pg_catalog.nameeq(name, text) returns boolean {evil}; \
         create function pg_catalog.oideq(oid, regnamespace) returns boolean {evil}; \
         create function pg_catalog.oideq(oid, int) returns boolean {evil}; \
         create function pg_catalog.pg_has_role(oid, oid, name) returns boolean {evil}; \
         create function pg_catalog.pg_has_role(oid, int, text) returns boolean {evil}; \
         create operator pg_catalog.= (function = pg_catalog.oideq, leftarg = oid, rightarg = regnamespace); \
         create operator pg_catalog.= (function = pg_catalog.oideq, leftarg = oid, rightarg = int)"
    ));
    db.authmig(&["status"]).exits(0);
    for command in [
        &["verify"][..],
        &["rollback", "--all", "--yes", "--discard-data"],
        &["secret", "status"],
        &["grants"],
    ] {
        let run = db.authmig(command).exits(4);
        assert!(!format!("{run:?}").contains("ran as"), "{command:?}\n{run:?}");
    }
    let stranger = db.run_by(&other);
    for command in ["status", "verify"] {
        let run = stranger.authmig(&[command]);
        assert!(!format!("{run:?}").contains("ran as"), "{command}\n{run:?}");
    }
}

#[test]
fn nothing_is_installed_where_others_make_what_is_in_pg_catalog() {
    let (db, own) = (TestDb::new(), own_roles());
    let other = role(&db, "");
    db.sql(&format!(
        "grant create on schema pg_catalog to {other}; set session authorization {other}; \
         create function pg_catalog.format(text, name, name) returns text language plpgsql as \
         $$ begin raise exception 'ran as %', current_user; end $$"
    ));
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(4);
    assert_eq!(
        run.stderr,
        format!(
            "error: what runs here could be somebody's and not the server's; nothing was changed\n\
             \x20 - {other} may create in pg_catalog\n\
             \x20     revoke create on schema pg_catalog from {other};\n\
             \x20 - function pg_catalog.format(text,name,name) is not the server's\n\
             \x20     drop function pg_catalog.format(text,name,name);\n"
        )
    );
    db.sql(&format!(
        "revoke create on schema pg_catalog from {other}; drop function pg_catalog.format(text, name, name)"
    ));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
}

#[test]
fn who_may_make_what_is_in_pg_catalog_since_the_commit_does_not_undo_it() {
    let db = TestDb::new();
    let other = role(&db, "");
    let opens = format!("grant create on schema pg_catalog to {other};");
    let run = db.authmig_with(&Files::tables(1..=1).and("02-opens", &opens, "", ""), &["install"]).exits(4);
    let said = format!(
        "error: what runs here could be somebody's and not the server's; what was committed stays\n\
         \x20 - {other} may create in pg_catalog\n\
         \x20     revoke create on schema pg_catalog from {other};\n"
    );
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert_eq!(db.history(), [1, 2]);
}

#[test]
fn who_may_create_in_a_schema_of_ours_has_nothing_run() {
    let installed = Installed::new();
    installed.sql("grant create on schema auth_private to {service}");
    let run = installed.db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("self-test: advice: not tried: "), "{}", run.stdout);
    installed.db.authmig(&["secret", "generate", "--replace"]).exits(4);
}

/// Since 16 the one who created a role may join it: before one looks, and after.
#[test]
fn a_superuser_runs_nothing_that_who_may_join_the_owner_could_change_meanwhile() {
    if major() < 16 {
        return;
    }
    let installed = Installed::new();
    let other = role(&installed.db, "");
    let grant = "grant {owner} to {other} with admin true, inherit false, set false";
    installed.sql(&grant.replace("{other}", &other));
    let run = installed.db.authmig(&["verify"]).exits(0);
    let said = installed.named(&format!("advice: role {other}: may make itself a member of {{owner}}"));
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    assert!(run.stdout.contains("self-test: advice: not tried: "), "{}", run.stdout);
}

#[test]
fn rows_are_not_counted_where_that_would_run_what_was_not_installed() {
    let installed = Installed::new();
    let db = &installed.db;
    installed.sql(
        "create function public.evil(t text) returns text immutable language sql as 'select t'; \
         create index on auth.refresh_token (rotated_at) where subject <> public.evil('x'); \
         create or replace function public.evil(t text) returns text immutable language plpgsql as \
            $$ begin raise exception 'evil ran'; end $$",
    );
    let all = ["rollback", "--all"];
    let run = db.authmig(&[&all[..], &["--dry-run"]].concat()).exits(0);
    assert!(
        run.stdout.contains("rows and sessions were not counted: something here was not installed"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("\nwould end live sessions: they were not counted\n"), "{}", run.stdout);
    let run = db.authmig(&[&all[..], &["--yes", "--format", "json"]].concat()).exits(7);
    assert_eq!(run.json()["live_sessions"], serde_json::Value::Null);
    let run = db.authmig(&[&all[..], &["--yes", "--discard-data"]].concat()).exits(0);
    assert!(run.stdout.contains("\nended live sessions: they were not counted\n"), "{}", run.stdout);
    assert!(!run.stderr.contains("evil"), "{}", run.stderr);
    assert_eq!(db.ask("select to_regnamespace('auth')::text"), "");
}

#[test]
fn what_somebody_else_could_change_meanwhile_is_not_run() {
    let (theirs, migrator) = of_a_migrator();
    theirs.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
    theirs.authmig(&["verify"]).exits(0);
    let db = theirs.run_by("postgres");
    let run = db.authmig(&["verify"]).exits(1);
    assert_eq!(
        run.stderr,
        format!(
            "error: this installation belongs to {migrator}, who could run code as whoever else looks; nothing was looked at\n\
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
        let db = TestDb::new();
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), JWT_SECRET).unwrap();
        db.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
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
            let said = "error: something here is not as authmig installed it, and could run as whoever goes on; nothing was changed\n";
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
            let (db, migrator) = of_a_migrator();
            db.sql(&format!(
                "alter database {} set constraint_exclusion = on; grant create on schema public to {migrator}",
                db.name
            ));
            if real {
                db.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
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
            let count = format!("{} applied", if real { versions().len() } else { 0 });
            assert!(run.stdout.contains(&count), "{planted}\n{}{}", run.stdout, run.stderr);
            for command in
                [&["verify"][..], &["secret", "status"], &["rollback", "--yes"], &["migrate"], &["grants"]]
            {
                let run = db.authmig(command);
                assert!(!format!("{run:?}").contains("ran as"), "{planted} {command:?}\n{run:?}");
            }
        }
    }
}
