//! Standard output that takes nothing: what was done is told on standard error, and a
//! secret that nobody would see is not stored.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::support::{JWT_SECRET, Run, TestDb, finish, versions};

/// Runs authmig with a standard output that is full.
fn full(db: &TestDb, arguments: &[&str]) -> Run {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    finish(db.command(arguments).stdout(full).spawn().unwrap())
}

const UNWRITTEN: &str = "error: standard output cannot be written: No space left on device (os error 28)";

#[test]
fn what_was_committed_is_said_to_be_where_the_result_cannot_be_written() {
    let db = TestDb::new();
    for (arguments, said) in [
        (&["migrate"][..], "; what was done is committed"),
        (&["migrate"], ""),
        (&["status"], ""),
        (&["secret", "generate"], "; what was done is committed"),
        (&["rollback", "--yes"], "; what was done is committed"),
        (&["install"], "; what was done is committed"),
        (&["migrate", "--format", "json"], ""),
        (&["rollback", "--dry-run"], ""),
        (&["man"], ""),
        (&["--help"], ""),
        (&["--version"], ""),
    ] {
        let run = full(&db, arguments).exits(1);
        assert!(run.stderr.ends_with(&format!("{UNWRITTEN}{said}\n")), "{arguments:?}: {}", run.stderr);
    }
    assert_eq!(db.history(), versions());
}

#[test]
fn a_standard_error_that_takes_nothing_stops_nothing() {
    let db = TestDb::new();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["migrate"][..], &["install", "--", "echo", "started"], &["status"]] {
        let run = finish(db.command(arguments).stderr(full()).spawn().unwrap()).exits(0);
        assert!(arguments[0] != "install" || run.stdout == "started\n", "{}", run.stdout);
    }
    finish(db.command(&["migrate", "--to", "9999"]).stderr(full()).spawn().unwrap()).exits(2);
    finish(db.command(&["rollback"]).stderr(full()).spawn().unwrap()).exits(7);
    // What a program reads comes all the same.
    let nowhere = ["status", "--format", "json", "--database-url", "postgres://u@127.0.0.1:1/x"];
    let run = finish(db.command(&nowhere).stderr(full()).spawn().unwrap()).exits(5);
    assert_eq!(run.json()["exit"], 5);
}

#[test]
fn a_secret_that_cannot_be_printed_is_not_stored() {
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    db.authmig(&["migrate"]).exits(0);
    for format in ["human", "json"] {
        let arguments = ["secret", "generate", "--replace", "--print", "--format", format];
        let run = full(&db, &arguments).exits(1);
        assert_eq!(run.stderr, format!("{UNWRITTEN}; nothing was changed\n"));
        // A closed one is the same to a Rust program.
        let run = finish(db.command(&arguments).stdout(Stdio::null()).spawn().unwrap()).exits(1);
        assert_eq!(
            run.stderr,
            "error: standard output cannot be written: it is closed, or /dev/null; nothing was changed\n"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = finish(db.command(&arguments).stdout(writer).spawn().unwrap()).exits(1);
        assert!(run.stderr.ends_with("Broken pipe (os error 32); nothing was changed\n"), "{}", run.stderr);
    }
    assert_eq!(db.ask("select jwt_secret from auth_private.config"), JWT_SECRET);
    assert_eq!(db.ask("select string_agg(action, ' ') from authmig.journal"), "migrate");
}

#[test]
fn a_reader_that_has_left_is_no_error() {
    let db = TestDb::new();
    for arguments in
        [&["migrate"][..], &["status"], &["man"], &["--help"], &["help", "verify"], &["--version"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = finish(db.command(arguments).stdout(writer).spawn().unwrap()).exits(0);
        assert_eq!(run.stderr, "", "{arguments:?}");
    }
}
