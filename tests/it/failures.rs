//! Whatever fails, wherever: nothing is changed, and the error shows the place.

use postgres::Client;
use snapbox::{assert_data_eq, str};

use crate::support::server::Server;
use crate::support::{Files, TestDb, major, own_roles, with_options};

#[test]
fn a_failing_script_leaves_nothing_behind_and_shows_its_place() {
    let db = TestDb::new();
    let files =
        Files::tables(1..=3).replace("02-t2.up.sql", "-- é日本\nselect 'ü'; create tabel public.x (id int);");
    let run = db.authmig_with(&files, &["migrate"]).exits(8);
    assert_data_eq!(
        run.stderr,
        str![[r#"
error: 02-t2 failed; nothing was changed
  --> 02-t2.up.sql:2:20
   |
 2 | select 'ü'; create tabel public.x (id int);
   |                    ^ syntax error at or near "tabel" (42601)

"#]]
    );
    assert_eq!(run.stdout, "");
    assert_eq!(db.history(), [0; 0]);
    assert_eq!(db.ask("select count(*) from pg_namespace where nspname = 'authmig'"), "0");
}

#[test]
fn an_error_without_a_position_names_the_script() {
    let db = TestDb::new();
    let files = Files::tables(1..=2)
        .replace("02-t2.up.sql", "create table public.t1 (id int);")
        .replace("01-t1.verify.sql", "select 1");
    assert_data_eq!(
        db.authmig_with(&files, &["migrate"]).exits(8).stderr,
        str![[r#"
error: 02-t2 failed; nothing was changed
  --> 02-t2.up.sql
   = relation "t1" already exists (42P07)

"#]]
    );
}

#[test]
fn detail_hint_and_context_are_shown() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).append(
        "01-t1.verify.sql",
        "do $$ begin raise exception using message = 'no good', detail = 'one\ntwo', hint = 'try three', \
         errcode = 'P0999'; end $$;",
    );
    assert_data_eq!(
        db.authmig_with(&files, &["migrate"]).exits(8).stderr,
        str![[r#"
error: 01-t1.verify.sql failed; nothing was changed
  --> 01-t1.verify.sql
   = no good (P0999)
detail: one
        two
hint: try three
context: PL/pgSQL function inline_code_block line 1 at RAISE

"#]]
    );
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn any_failure_in_any_script_of_the_binary_changes_nothing() {
    let db = TestDb::new();
    let own = crate::support::own_roles();
    let files = Files::embedded();
    let before = db.dump(&[]);
    let names = files.names();
    let ends_in = |part: &str| {
        names.iter().filter(|name| name.ends_with(&format!(".{part}.sql"))).cloned().collect::<Vec<_>>()
    };

    for file in ends_in("up").into_iter().chain(ends_in("verify")) {
        let broken = files.clone().append(&file, "\nselect 1/0;");
        let run = db.authmig_with(&broken, &crate::support::with_options(&["migrate"], &own)).exits(8);
        assert!(run.stderr.contains(&format!("--> {file}")), "{}", run.stderr);
        assert!(run.stderr.contains("division by zero (22012)"), "{}", run.stderr);
        assert_eq!(db.dump(&[]), before, "{file}");
    }

    db.authmig_with(&files, &crate::support::with_options(&["migrate"], &own)).exits(0);
    let installed = db.dump(&[]);
    let down = ["rollback", "--all", "--yes", "--discard-data"];
    for file in ends_in("down") {
        let broken = files.clone().append(&file, "\nselect 1/0;");
        let run = db.authmig_with(&broken, &down).exits(8);
        assert!(run.stderr.contains(&format!("--> {file}")), "{}", run.stderr);
        assert_eq!(db.dump(&[]), installed, "{file}");
    }
    // A rollback to the middle verifies what stays.
    let broken = files.clone().append("01-extensions.verify.sql", "\nselect 1/0;");
    db.authmig_with(&broken, &["rollback", "--to", "01", "--yes", "--discard-data"]).exits(8);
    assert_eq!(db.dump(&[]), installed);
}

#[test]
fn a_lock_on_a_table_that_is_not_to_be_had_is_exit_6() {
    let db = TestDb::new();
    let files = Files::tables(1..=1);
    db.authmig_with(&files, &["migrate"]).exits(0);
    let mut other = db.client();
    other.batch_execute("begin; lock table public.t1").unwrap();
    let run = db.authmig_with(&files, &["rollback", "--yes", "--lock-timeout", "100ms"]).exits(6);
    assert!(run.stderr.contains("--> 01-t1.down.sql"), "{}", run.stderr);
    assert!(run.stderr.contains("(55P03)"), "{}", run.stderr);
    assert!(run.stderr.contains(&in_the_way(&mut other, "public.t1")), "{}", run.stderr);
    assert_eq!(db.history(), [1]);
}

#[test]
fn what_fails_behind_the_scripts_is_blamed_on_none() {
    let db = TestDb::new();
    let mut other = db.client();
    // Asked for by the comparison with the manifest, and by nothing else.
    other.batch_execute("begin; lock table pg_catalog.pg_publication").unwrap();
    let options = ["migrate", "--lock-timeout", "100ms"];
    let run = db.authmig(&with_options(&options, &own_roles())).exits(6);
    assert_eq!(run.stderr, not_in_time(&in_the_way(&mut other, "pg_publication")));
}

#[test]
fn what_holds_a_lock_that_is_not_to_be_had_is_named() {
    let server = Server::new("max_prepared_transactions = 1");
    let db = TestDb::on(server.config(), "template0");
    db.authmig(&["migrate"]).exits(0);
    let verify = || db.authmig(&["verify", "--lock-timeout", "300ms"]).exits(6).stderr;
    let mut other = db.client();
    // A lock that stands in nobody's way.
    let mut harmless = db.client();
    harmless.batch_execute("create table public.t (); begin; select from public.t").unwrap();
    other.batch_execute("begin; lock table auth.refresh_token").unwrap();
    assert_eq!(verify(), not_in_time(&in_the_way(&mut other, "auth.refresh_token")));
    other.batch_execute("prepare transaction 'a b'").unwrap();
    let since =
        db.ask("select to_char(prepared at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') from pg_prepared_xacts");
    let prepared = format!(
        "the prepared transaction 'a b' of postgres until `rollback prepared 'a b'`, since {since} UTC, \
         which has AccessExclusiveLock on auth.refresh_token"
    );
    assert_eq!(verify(), not_in_time(&prepared));
    db.sql("rollback prepared 'a b'");
}

/// How this session is named, where its lock on this table was in the way.
fn in_the_way(other: &mut Client, table: &str) -> String {
    let pid: i32 = other.query_one("select pg_backend_pid()", &[]).unwrap().get(0);
    let since = "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')";
    let since: String = other.query_one(since, &[]).unwrap().get(0);
    format!(
        "process {pid} of postgres from 127.0.0.1, since {since}, which has AccessExclusiveLock on {table}"
    )
}

fn not_in_time(in_the_way: &str) -> String {
    format!(
        "error: a lock was not to be had in time; nothing was changed\n   \
         = canceling statement due to lock timeout (55P03)\n  \
         - {in_the_way}\n\
         hint: --lock-timeout 30s waits longer for each lock\n"
    )
}

#[test]
fn a_statement_timeout_is_a_failed_script() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).append("01-t1.up.sql", "select pg_sleep(60);");
    let run = db.authmig_with(&files, &["migrate", "--statement-timeout", "100ms"]).exits(8);
    assert!(run.stderr.contains("statement timeout (57014)"), "{}", run.stderr);
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn a_limit_of_the_servers_for_a_whole_transaction_does_not_end_a_run() {
    if major() < 17 {
        return;
    }
    let db = TestDb::new();
    db.sql(&format!("alter database {} set transaction_timeout = '2s'", db.name));
    let files = Files::tables(1..=1).append("01-t1.up.sql", "select pg_sleep(2.5);");
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(db.history(), [1]);
}

#[test]
fn a_lost_connection_changes_nothing_and_says_so() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).append("01-t1.up.sql", "select pg_terminate_backend(pg_backend_pid());");
    let run = db.authmig_with(&files, &["migrate"]).exits(5);
    // What the server said last, unless its end came first; not that nothing can be rolled back any more.
    let said = ["terminating connection due to administrator command (57P01)", "connection closed"];
    let said = said.map(|said| format!(" was lost: {said}; nothing was changed\n"));
    assert!(said.iter().any(|said| run.stderr.ends_with(said)), "{}", run.stderr);
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn a_deferred_constraint_that_fails_at_the_commit_changes_nothing() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).append(
        "01-t1.up.sql",
        "create table public.u (id int unique deferrable initially deferred); insert into public.u values (1), (1);",
    );
    let run = db.authmig_with(&files, &["migrate"]).exits(8);
    assert!(run.stderr.contains("refused the commit"), "{}", run.stderr);
    assert_eq!(db.history(), [0; 0]);
    assert_eq!(db.ask("select count(*) from pg_class where relname in ('u', 't1')"), "0");
}

#[test]
fn what_only_looks_keeps_the_limits_too() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let looking = [
        &["status"][..],
        &["migrate"],
        &["verify"],
        &["grants"],
        &["secret", "status"],
        &["rollback", "--dry-run"],
    ];
    let mut other = db.client();
    for (table, commands) in [
        ("authmig.schema_history", &looking[..]),
        ("auth_private.config", &looking[4..5]),
        ("auth_private.config", &looking[2..3]),
        ("auth.refresh_token", &looking[2..3]),
    ] {
        other.batch_execute(&format!("begin; lock table {table}")).unwrap();
        for command in commands {
            let run = db.authmig(&[command, &["--lock-timeout", "100ms"][..]].concat()).exits(6);
            assert_eq!(run.stderr, not_in_time(&in_the_way(&mut other, table)), "{table} {command:?}");
            let limits = ["--lock-timeout", "0s", "--statement-timeout", "1s"];
            let run = db.authmig(&[command, &limits[..]].concat()).exits(1);
            assert!(
                run.stderr.contains("canceling statement due to statement timeout; nothing was changed")
                    && run.stderr.ends_with(
                        "hint: --statement-timeout 0s lets each statement take as long as it needs\n"
                    ),
                "{table} {command:?}\n{}",
                run.stderr
            );
        }
        other.batch_execute("rollback").unwrap();
    }
}

#[test]
fn a_history_that_is_not_utf_8_is_an_error() {
    let db = TestDb::in_encoding("SQL_ASCII");
    db.authmig(&["migrate"]).exits(0);
    db.sql("update authmig.schema_history set name = e'\\xff\\xfe' where version = 3");
    for command in [&["status"][..], &["verify"], &["migrate"], &["rollback", "--yes"]] {
        let run = db.authmig(command).exits(1);
        assert!(run.stderr.contains("invalid byte sequence for encoding \"UTF8\": 0xff"), "{}", run.stderr);
    }
}

#[test]
fn a_catalog_that_cannot_be_used_is_refused_before_connecting() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).append("01-t1.up.sql", "\ncommit;");
    let run = db.authmig_with(&files, &["migrate"]).exits(1);
    assert_eq!(
        run.stderr,
        "error: a migration cannot be used: 01-t1.up.sql:3:1: commit is transaction control, and the transaction is authmig's\n"
    );
}

#[test]
fn an_unreachable_server_is_exit_5_with_its_name_and_without_the_password() {
    let db = TestDb::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://app:s3cret@127.0.0.1:{free}/shop");
    for format in ["human", "json"] {
        let run = db.authmig(&["status", "--format", format, "-vv", "--database-url", &url]).exits(5);
        assert!(
            run.stderr.contains(&format!("cannot connect to app@127.0.0.1:{free}/shop: connection refused")),
            "{}",
            run.stderr
        );
        assert!(!format!("{run:?}").contains("s3cret"), "{run:?}");
    }
    let url = db.url().replace(&db.name, "no_such_database");
    let run = db.authmig(&["status", "--database-url", &url]).exits(5);
    assert!(run.stderr.contains("does not exist (3D000)"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: create the database first"), "{}", run.stderr);
}

#[test]
fn no_password_is_in_any_help_text() {
    let db = TestDb::new().with("AUTHMIG_DATABASE_URL", "postgres://app:s3cret@nowhere/x");
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["migrate", "--help"],
        &["status", "-h"],
        &["rollback", "--help"],
        &["verify", "--help"],
    ] {
        let run = db.authmig(arguments).exits(0);
        assert!(!format!("{run:?}").contains("s3cret"));
        assert!(run.stdout.contains("Usage: authmig"));
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    let db = TestDb::new();
    for arguments in [
        &[][..],
        &["migrat"],
        &["migrate", "--to", "x"],
        &["migrate", "--to", "9999"],
        &["migrate", "--show-sql"],
        &["rollback", "--all", "--to", "1"],
        &["rollback", "--purge"],
        &["status", "--wait", "5"],
        &["status", "--database-url", "nonsense"],
        &["status", "--database-url", ""],
        &["migrate", "--anon-role", ""],
        &["migrate", "--anon-role", "x", "--service-role", "x"],
        &["migrate", "--api-schema", "auth"],
    ] {
        let run = db.authmig(arguments).exits(2);
        assert!(
            run.stderr.starts_with("error: ") || run.stderr.contains("Usage: "),
            "{arguments:?}: {}",
            run.stderr
        );
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn what_fails_in_the_ledger_is_not_blamed_on_a_script() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate", "--to", "1"]).exits(0);
    db.sql("alter table authmig.journal add check (versions <> '{2}')");
    let run = db.authmig_with(&files, &["migrate"]).exits(1);
    let said =
        "refuses: new row for relation \"journal\" violates check constraint \"journal_versions_check\"";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert_eq!(db.history(), [1]);
    db.sql("drop table authmig.journal");
    let run = db.authmig_with(&files, &["rollback", "--yes"]).exits(1);
    assert!(run.stderr.contains("refuses: relation \"authmig.journal\" does not exist"), "{}", run.stderr);
    assert_eq!(db.history(), [1]);
}
