//! What a script may do, and what the engine does around it.

use crate::support::{Files, TestDb};

#[test]
fn every_script_starts_with_the_same_settings() {
    let db = TestDb::new();
    let look = "create table public.seen1 as select current_setting('search_path') as path;\n";
    let files = Files::tables(1..=1)
        .append("01-t1.up.sql", "set local search_path = public; create table evil (id int)")
        .and("02-look", &look.replace("seen1", "seen2"), "drop table public.seen2", "");
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(db.ask("select path from public.seen2"), "pg_catalog, pg_temp");
}

#[test]
fn a_script_without_a_last_semicolon_or_with_a_last_comment_is_ended() {
    let db = TestDb::new();
    let files = Files::default()
        .and("01-a", "create table public.a (id int)", "drop table public.a", "select 1 -- all well")
        .and("02-b", "create table public.b (id int) -- done", "drop table public.b /* done */", "");
    db.authmig_with(&files, &["migrate"]).exits(0);
    db.authmig_with(&files, &["verify"]).exits(0);
    db.authmig_with(&files, &["rollback", "--all", "--yes"]).exits(0);
    assert_eq!(db.ask("select count(*) from pg_class where relname in ('a', 'b')"), "0");
}

#[test]
fn what_scripts_make_is_checked_when_they_make_it() {
    let db = TestDb::new();
    let broken = "create function public.f() returns int language plpgsql as $$ begin return 1 +; end $$;\n";
    for file in ["01-t1.up.sql", "02-t2.up.sql"] {
        let run = db.authmig_with(&Files::tables(1..=2).append(file, broken), &["migrate"]).exits(8);
        assert!(
            run.stderr.contains("syntax error") && run.stderr.contains(&format!("{file}:")),
            "{}",
            run.stderr
        );
    }
    db.authmig_with(&Files::tables(1..=2), &["migrate"]).exits(0);
    let files = Files::tables(1..=2).append("02-t2.down.sql", broken);
    let run = db.authmig_with(&files, &["rollback", "--yes"]).exits(8);
    assert!(run.stderr.contains("syntax error") && run.stderr.contains("02-t2.down.sql:"), "{}", run.stderr);
}

/// What has no place in the encoding of a database cannot be sent there.
#[test]
fn a_database_may_have_any_encoding() {
    for encoding in ["LATIN1", "LATIN2", "WIN1252", "SQL_ASCII"] {
        let db = TestDb::in_encoding(encoding);
        db.authmig(&["migrate"]).exits(0);
        db.authmig(&["secret", "generate"]).exits(0);
        db.authmig(&["verify", "--strict"]).exits(0);
        db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src/sql", "src/export", "migrations"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_sql = path.extension().is_some_and(|extension| extension == "sql");
            assert!(!is_sql || std::fs::read(&path).unwrap().is_ascii(), "{}", path.display());
        }
    }
}

/// The server takes a block of the engine's apart only where it runs.
#[test]
fn no_block_of_the_engine_has_a_mistake_in_a_branch_that_seldom_runs() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut blocks = 0;
    for folder in [folder.join("src/sql"), folder.join("migrations")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text
                .replace("{pending}", "'{}'")
                .replace("{adopt}", "false")
                .replace("{script}", "''")
                .replace("{was_reverted}", include_str!("../../src/sql/was_reverted.sql"));
            for block in text.split("do $$").skip(1).map(|rest| rest.split_once("$$").unwrap().0) {
                blocks += 1;
                let function = format!(
                    "create function public.block_{blocks}() returns void language plpgsql
                     set search_path = pg_catalog, pg_temp as $$ {block} $$"
                );
                db.sql(&function);
            }
        }
    }
    assert!(blocks > 20, "{blocks}");
}

#[test]
fn history_and_journal_tell_who_did_what() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate"]).exits(0);
    db.authmig_with(&files, &["rollback", "--yes"]).exits(0);
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(db.history(), [1, 2]);
    assert_eq!(
        db.ask("select string_agg(action || versions::text, ' ' order by id) from authmig.journal"),
        "migrate{1,2} rollback{2} migrate{2}"
    );
    let all_there = "select bool_and(who = session_user and client is not null and duration > '0' \
                     and authmig_version <> '' and at > now() - interval '1 minute') from authmig.journal";
    assert_eq!(db.ask(all_there), "true");
    let row = "select bool_and(sha256 ~ '^[0-9a-f]{64}$' and applied_by = session_user and checksum ~ '^[0-9]+$' \
               and applied_on::timestamptz > now() - interval '1 minute') from authmig.schema_history";
    assert_eq!(db.ask(row), "true");
}

#[test]
fn postgrest_is_told_by_the_commit_and_only_by_it() {
    use postgres::fallible_iterator::FallibleIterator;
    use std::time::Duration;

    let db = TestDb::new();
    let mut listener = db.client();
    listener.batch_execute("listen pgrst").unwrap();
    let mut heard = || {
        let mut payloads = Vec::new();
        let mut notifications = listener.notifications();
        let mut iter = notifications.timeout_iter(Duration::from_millis(300));
        while let Some(notification) = iter.next().unwrap() {
            payloads.push(notification.payload().to_owned());
        }
        payloads
    };
    let files = Files::tables(1..=1);
    db.authmig_with(&files, &["migrate", "--dry-run"]).exits(0);
    assert_eq!(heard(), [] as [&str; 0]);
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(heard(), ["reload schema", "reload config"]);
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(heard(), [] as [&str; 0]);
    db.authmig_with(&files, &["rollback", "--yes"]).exits(0);
    assert_eq!(heard(), ["reload schema", "reload config"]);
}

#[test]
fn the_ledger_is_granted_to_nobody_whatever_the_default_privileges() {
    let db = TestDb::new();
    let role = crate::support::role(&db, "");
    for kind in ["tables", "sequences", "schemas"] {
        db.sql(&format!("alter default privileges grant all on {kind} to {role}, public"));
    }
    db.authmig_with(&Files::tables(1..=1), &["migrate"]).exits(0);
    let granted = "select count(*) from (
          select nspowner as owner, a.* from pg_namespace, aclexplode(nspacl) as a where nspname = 'authmig'
          union all
          select relowner, a.* from pg_class, aclexplode(relacl) as a where relnamespace = 'authmig'::regnamespace) as x
        where grantee <> owner";
    assert_eq!(db.ask(granted), "0");
}

#[test]
fn server_settings_of_role_or_database_do_not_matter() {
    let db = TestDb::new();
    let role = crate::support::role(&db, "superuser login");
    let name = db.name.clone();
    for setting in [
        "default_transaction_read_only = on",
        "search_path = nowhere",
        "standard_conforming_strings = off",
        "client_min_messages = error",
        "default_transaction_isolation = serializable",
        "check_function_bodies = off",
        "datestyle = 'German'",
        "statement_timeout = 3000",
        "lock_timeout = 1",
    ] {
        db.sql(&format!("alter role {role} in database {name} set {setting}"));
    }
    let db = db.run_by(&role);
    let files = Files::tables(1..=2).append("02-t2.up.sql", "select 'it''s \\';");
    db.authmig_with(&files, &["migrate"]).exits(0);
    db.authmig_with(&files, &["verify"]).exits(0);
    db.authmig_with(&files, &["rollback", "--all", "--yes"]).exits(0);
}
