//! What a person sees on a terminal, and nobody sees in a pipe.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::support::tools::{on_a_terminal, tool};
use crate::support::{JWT_SECRET, TestDb, all_applied, versions};

/// All that authmig showed on a terminal.
fn shows(db: &TestDb, arguments: &str, environment: &[(&str, &str)]) -> Option<String> {
    let mut command = on_a_terminal(db, arguments)?;
    command.env("TERM", "xterm").env_remove("NO_COLOR").envs(environment.iter().copied());
    Some(String::from_utf8(command.stdin(Stdio::null()).output().unwrap().stdout).unwrap())
}

#[test]
fn a_terminal_shows_what_runs_and_colours_what_matters() {
    let db = TestDb::new();
    let Some(shown) = shows(&db, "migrate", &[]) else { return };
    assert!(shown.contains("\r\x1b[Krunning 02-auth_schema.up.sql\r"), "{shown:?}");
    let (_, last) = shown.rsplit_once("\r\x1b[K").unwrap();
    // The line is gone when the result stands there.
    assert!(last.starts_with("postgres@"), "{last:?}");
    let shown = shows(&db, "verify", &[]).unwrap();
    assert!(shown.contains("  \x1b[32mpassed\x1b[0m  every script"), "{shown:?}");
    db.sql("drop index auth.refresh_token_subject");
    let shown = shows(&db, "verify --only objects", &[]).unwrap();
    assert!(shown.contains("objects  \x1b[1;31mFAILED\x1b[0m"), "{shown:?}");
    let shown = shows(&db, "migrate --to 3", &[]).unwrap();
    assert!(shown.starts_with("\x1b[1;31merror:\x1b[0m the database is at"), "{shown:?}");
}

#[test]
fn a_terminal_shows_how_long_it_has_waited() {
    let db = TestDb::new();
    let nowhere = db.url_at(crate::support::server::free_port());
    let arguments = format!("status --wait 3s --database-url {nowhere}");
    let Some(shown) = shows(&db, &arguments, &[]) else { return };
    assert!(shown.starts_with("\r\x1b[Kwaiting\r\r\x1b[Kwaiting: cannot connect to "), "{shown:?}");
    assert!(shown.contains("\r\x1b[Kwaiting 1 s\r"), "{shown:?}");
}

#[test]
fn a_terminal_shows_what_runs_also_where_no_thread_can_be_made() {
    let db = TestDb::new();
    // No machine has that much memory.
    let Some(shown) = shows(&db, "migrate --connect-timeout 0s", &[("RUST_MIN_STACK", "140737488355328")])
    else {
        return;
    };
    assert!(shown.contains("\r\x1b[Krunning 02-auth_schema.up.sql\r"), "{shown:?}");
    assert!(shown.contains(&all_applied()), "{shown:?}");
    assert_eq!(db.history(), versions());
}

/// Runs this on a terminal and types these keys behind that question; all that is seen there,
/// the state of the terminal afterwards included.
fn typed(db: &TestDb, arguments: &str, question: &str, keys: &str) -> Option<String> {
    typed_after(db, arguments, question, keys, || {})
}

/// The same, with something that happens between the question and the keys.
fn typed_after(
    db: &TestDb,
    arguments: &str,
    question: &str,
    keys: &str,
    meanwhile: impl FnOnce(),
) -> Option<String> {
    let (script, authmig) = (tool("script")?, db.command(&[]));
    let line =
        format!("trap : INT; {} {arguments}; echo exit $?; stty -a", authmig.get_program().to_str().unwrap());
    let mut command = Command::new(script);
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.envs(authmig.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("TERM", "dumb").env("SHELL", "/bin/sh");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(question.as_bytes()) {
        output.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    meanwhile();
    input.write_all(keys.as_bytes()).unwrap();
    output.read_to_end(&mut seen).unwrap();
    child.wait().unwrap();
    Some(String::from_utf8(seen).unwrap())
}

#[test]
fn a_secret_is_asked_for_and_not_shown() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let question = "not shown here: ";
    let Some(seen) = typed(&db, "secret set", question, &format!("{JWT_SECRET}\n")) else { return };
    assert!(seen.starts_with("JWT secret, base64, not shown here: \r\npostgres@"), "{seen}");
    assert!(seen.contains("stored; PostgREST was told") && seen.contains("exit 0\r\n"), "{seen}");
    assert!(seen.contains(" echo ") && seen.contains("quit = ^\\;") && !seen.contains(JWT_SECRET), "{seen}");
    assert_eq!(db.ask("select jwt_secret from auth_private.config"), JWT_SECRET);
    let seen = typed(&db, "secret set", question, "hunter2\u{3}").unwrap();
    assert!(
        seen.contains(": \r\nerror: interrupted by SIGINT; nothing was changed\r\nexit 130\r\n"),
        "{seen}"
    );
    assert!(seen.contains(" echo ") && !seen.contains("hunter2"), "{seen}");
    // The terminal cuts it, and what is left is a secret as well.
    let seen = typed(&db, "secret set --replace", question, &format!("{}\n", "A".repeat(5000))).unwrap();
    assert!(seen.contains("error: what was typed may be cut") && seen.contains("exit 2\r\n"), "{seen}");
    assert_eq!(db.ask("select jwt_secret from auth_private.config"), JWT_SECRET);
}

#[test]
fn a_terminal_is_as_it_was_where_no_thread_can_read_it() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    // No machine has that much memory.
    let db = db.with("RUST_MIN_STACK", "140737488355328");
    let set = "secret set --connect-timeout 0s";
    let Some(seen) = typed(&db, set, "not shown here: ", "") else { return };
    assert!(
        seen.contains("\r\nerror: the terminal cannot be read: ") && seen.contains("exit 1\r\n"),
        "{seen}"
    );
    assert!(seen.contains(" echo ") && seen.contains("quit = ^\\;"), "{seen}");
}

#[test]
fn a_rollback_that_was_answered_no_is_shown_once() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let Some(seen) = typed(&db, "rollback", "go on? [y/N] ", "n\n") else { return };
    assert_eq!(seen.matches("would revert 1 migration").count(), 1, "{seen}");
    let (_, end) = seen.split_once("go on? [y/N] ").unwrap();
    assert!(
        end.starts_with("n\r\nerror: refused: the answer was no; nothing was changed\r\nexit 7\r\n"),
        "{seen}"
    );
    assert_eq!(db.history(), versions());
}

#[test]
fn a_rollback_does_nothing_if_another_run_came_while_it_asked() {
    let db = TestDb::new();
    db.authmig(&["migrate", "--to", "4"]).exits(0);
    // What was shown does not say what becomes of 05-grants, which stands on what would go.
    let migrate = || drop(db.authmig(&["migrate"]).exits(0));
    let Some(seen) = typed_after(&db, "rollback", "go on? [y/N] ", "y\n", migrate) else { return };
    let (question, end) = seen.split_once("go on? [y/N] ").unwrap();
    assert!(question.contains("would revert 1 migration"), "{seen}");
    let changed = "y\r\nerror: another run has changed the history in the meantime; nothing was changed\r\n\
                   hint: run the same command again\r\nexit 7\r\n";
    assert!(end.starts_with(changed), "{seen}");
    assert_eq!(db.history(), versions());
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn who_logged_in_while_a_rollback_asked_is_counted() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql("select auth.issue_tokens('alice')");
    let login = || db.sql("select auth.issue_tokens('bob'), auth.issue_tokens('carol')");
    let rollback = "rollback --all --discard-data";
    let Some(seen) = typed_after(&db, rollback, "go on? [y/N] ", "y\n", login) else { return };
    let (question, end) = seen.split_once("go on? [y/N] ").unwrap();
    assert!(question.contains("  table      auth.refresh_token   1 row\r\n"), "{seen}");
    assert!(question.contains("\r\nwould end 1 live session\r\n"), "{seen}");
    assert!(end.contains("  table      auth.refresh_token   3 rows\r\n"), "{seen}");
    assert!(end.contains("\r\nended 3 live sessions\r\n"), "{seen}");
}

#[test]
fn no_color_and_a_dumb_terminal_are_respected() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    // On standard output, and on standard error.
    for (arguments, plain, coloured) in [
        ("verify", "  passed  every script", "  \x1b[32mpassed\x1b[0m  every script"),
        ("migrate --to 3", "error: the database is at", "\x1b[1;31merror:\x1b[0m the database is at"),
    ] {
        let Some(shown) = shows(&db, arguments, &[("NO_COLOR", "1")]) else { return };
        // To show what runs, it may still wipe a line.
        let shown = shown.replace("\x1b[K", "");
        assert!(shown.contains(plain) && !shown.contains('\x1b'), "{shown:?}");
        let shown = shows(&db, arguments, &[("NO_COLOR", "")]).unwrap();
        assert!(shown.contains(coloured), "{shown:?}");
    }
    let shown = shows(&db, "verify", &[("TERM", "dumb")]).unwrap();
    assert!(!shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn a_pipe_gets_text_and_nothing_else() {
    let db = TestDb::new();
    let (applied, count) = (all_applied(), versions().len());
    for (arguments, code, text) in [
        (&["migrate"][..], 0, &*format!("\n{applied}, verified and committed in ")),
        (&["verify"], 0, "  passed  every script"),
        (&["status"], 0, &format!("\n{count} applied, 0 pending\n")),
        (&["migrate", "--to", "3"], 2, "error: the database is at"),
        (&["--help"], 0, "\nUsage: authmig "),
        (&["rollback"], 7, "\nwould revert 1 migration"),
    ] {
        let run = db.authmig(arguments).exits(code);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains(text) && !all.contains(['\x1b', '\r']), "{arguments:?}: {all:?}");
    }
}

#[test]
fn results_fit_eighty_columns() {
    let db = TestDb::new();
    let name = db.name.clone();
    for arguments in
        [&["migrate"][..], &["secret", "generate"], &["status"], &["verify"], &["rollback", "--dry-run"]]
    {
        let run = db.authmig(arguments).exits(0);
        for line in run.stdout.lines().filter(|line| !line.contains(&name)) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
