//! `authmig install -- CMD`: an entrypoint with a real process behind it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use snapbox::{assert_data_eq, str};

use crate::signals::kill;
use crate::support::proxy::Proxy;
use crate::support::server::{Server, free_port};
use crate::support::tools::tool;
use crate::support::{Run, TestDb, all_applied, finish, first_line, unique, until, versions};

/// A database with everything applied, so that a run has little to do.
fn ready() -> TestDb {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db
}

fn shell(script: &str) -> [&str; 5] {
    ["install", "--", "sh", "-c", script]
}

/// A port at which nobody listens.
fn nowhere(db: &TestDb) -> String {
    db.url_at(free_port())
}

#[test]
fn install_migrates_verifies_and_becomes_the_command() {
    let db = TestDb::new();
    let child = db.command(&shell("echo $$")).spawn().unwrap();
    let pid = child.id();
    let run = finish(child).exits(0);
    // Standard output is the command's, and the process is the same.
    assert_eq!(run.stdout, format!("{pid}\n"));
    let said = format!("{}, verified and committed in ", all_applied());
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert!(run.stderr.ends_with("verified: nothing is wrong; see the advice\n"), "{}", run.stderr);
    assert_eq!(db.history(), versions());
}

#[test]
fn install_without_a_command_says_what_it_did() {
    let db = ready();
    let run = db.authmig(&["install"]).exits(0);
    assert_eq!(run.stderr, "");
    assert_eq!(
        run.stdout.split_once('\n').unwrap().1,
        format!("nothing to do: {}\nverified: nothing is wrong\n", all_applied())
    );
    let json = db.authmig(&["install", "--format", "json", "--", "echo", "mine"]).exits(0);
    assert_eq!(json.stdout, "mine\n");
    let report: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(report["migrate"]["outcome"], "up_to_date");
}

#[test]
fn what_fails_behind_the_commit_says_what_stays() {
    let db = TestDb::new();
    let proxy = Proxy::to(db.port());
    let url = format!("{}?sslmode=disable", db.url_at(proxy.port));
    let (held, holding) = std::sync::mpsc::channel();
    let mut other = db.client();
    // Login, history, migrations, commit; and then the history for what verifies.
    proxy.before(5, move || {
        other.batch_execute("begin; lock table authmig.schema_history").unwrap();
        held.send(other).unwrap();
    });
    let run = db.authmig(&["install", "--lock-timeout", "100ms", "--database-url", &url]).exits(6);
    assert!(
        run.stderr.contains("error: a lock was not to be had in time; what was committed stays\n"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("\n  - 01-extensions was applied, and stays\n"), "{}", run.stderr);
    assert!(run.stderr.contains("\n  - 05-grants was applied, and stays\n"), "{}", run.stderr);
    drop(holding.recv());
    assert_eq!(db.history(), versions());
}

#[test]
fn a_dry_run_is_refused_before_anything_is_done() {
    let db = TestDb::new().with("AUTHMIG_DRY_RUN", "1");
    let run = db.authmig(&shell("echo started")).exits(2);
    assert!(run.stderr.starts_with("error: install has no dry run (AUTHMIG_DRY_RUN)"), "{}", run.stderr);
    assert_eq!((db.ask("select to_regnamespace('authmig') is null"), &*run.stdout), ("true".to_owned(), ""));
}

#[test]
fn a_version_to_stop_at_is_refused_before_anything_is_done() {
    let db = TestDb::new().with("AUTHMIG_TO", "2");
    let run = db.authmig(&shell("echo started")).exits(2);
    assert_data_eq!(
        run.stderr,
        str![[r#"
error: install applies everything that is pending, and stops at no version (AUTHMIG_TO); nothing was changed
hint: authmig migrate --to VERSION does
notice: sh was not started

"#]]
    );
    assert_eq!((db.ask("select to_regnamespace('authmig') is null"), &*run.stdout), ("true".to_owned(), ""));
    db.authmig(&["migrate"]).exits(0);
    assert_eq!(db.history(), [1, 2]);
}

#[test]
fn every_exit_code_of_the_command_is_passed_through() {
    let db = &ready();
    let codes: Vec<i32> = (0..=255).collect();
    std::thread::scope(|scope| {
        for part in codes.chunks(64) {
            scope.spawn(move || {
                for code in part {
                    db.authmig(&shell(&format!("exit {code}"))).exits(*code);
                }
            });
        }
    });
}

#[test]
fn a_command_that_cannot_be_run_is_126_or_127_as_in_a_shell() {
    let db = ready();
    let run = db.authmig(&["install", "--", "/no/such/program"]).exits(127);
    let last = |run: &Run| run.stderr.lines().last().unwrap().to_owned();
    assert_eq!(
        last(&run),
        "error: /no/such/program cannot be run: No such file or directory (os error 2); the migrations are applied"
    );
    db.authmig(&["install", "--", "no-such-program"]).exits(127);
    let file = tempfile::NamedTempFile::new().unwrap();
    let run = db.authmig(&["install", "--", file.path().to_str().unwrap()]).exits(126);
    assert!(last(&run).contains("Permission denied"), "{}", run.stderr);
    db.authmig(&["install", "--", "/"]).exits(126);
    // Beside it stands one of that name, which nobody asked for.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("no-such-program"), "#!/bin/sh\n").unwrap();
    let mut command = db.command(&["install", "--", "no-such-program"]);
    let run = finish(command.current_dir(folder.path()).spawn().unwrap()).exits(127);
    assert!(last(&run).contains(": No such file or directory"), "{}", run.stderr);
    let run = db.authmig(&["install", "--", ""]).exits(127);
    assert_eq!(last(&run), "error: the command cannot be run: it has no name; the migrations are applied");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/shell\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = db.authmig(&["install", "--", script.to_str().unwrap()]).exits(127);
    assert!(last(&run).contains("the program that its first line names is missing"), "{}", run.stderr);
}

#[test]
fn the_command_is_not_started_if_something_fails() {
    let db = TestDb::new();
    db.sql("create schema auth; create table auth.refresh_token (id int)");
    let run = db.authmig(&["install", "--", "echo", "started"]).exits(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.ends_with("notice: echo was not started\n"), "{}", run.stderr);
    let db = ready();
    db.sql("drop index auth.refresh_token_subject");
    let run = db.authmig(&["install", "--", "echo", "started"]).exits(4);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("CREATE INDEX refresh_token_subject"), "{}", run.stderr);
    let db = TestDb::new();
    let run = db.authmig(&["install", "--strict", "--", "echo", "started"]).exits(4);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.ends_with("1 check failed\nnotice: echo was not started\n"), "{}", run.stderr);
    let nowhere = nowhere(&db);
    let arguments = ["install", "--wait", "0s", "--database-url", &nowhere, "--", "echo", "started"];
    assert_eq!(db.authmig(&arguments).exits(5).stdout, "");
}

#[test]
fn the_command_does_not_see_what_is_authmigs() {
    let db = ready();
    let url = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&url, db.url()).unwrap();
    // The one that is empty counts as if it were not there.
    let db = db.with("DATABASE_URL", "").with("DATABASE_URL_FILE", url.path().to_str().unwrap());
    let environment = |options: &[&str]| {
        let arguments = [&["install"], options, &["--", "env"]].concat();
        let mut command = db.command(&arguments);
        command
            .env("PGPASSWORD", "not secret here")
            .env("PGHOST", "db")
            .env("PGRST_DB_URI", "postgres://web@db/app");
        command.env("AUTHMIG_JWT_SECRET", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=");
        command.env("AUTHMIG_LOCK_WAIT", "1s");
        let text = finish(command.spawn().unwrap()).exits(0).stdout;
        let names: Vec<_> = text.lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        let own =
            ["AUTHMIG_JWT_SECRET", "AUTHMIG_LOCK_WAIT", "DATABASE_URL", "DATABASE_URL_FILE", "PGPASSWORD"];
        own.into_iter()
            .chain(["PGHOST", "PGRST_DB_URI"])
            .filter(|name| names.iter().any(|known| known == name))
            .collect::<Vec<_>>()
    };
    assert_eq!(environment(&[]), ["PGHOST", "PGRST_DB_URI"]);
    assert_eq!(environment(&["--keep-env"]).len(), 7);
}

#[test]
fn the_command_starts_with_signals_as_they_are_by_default() {
    let db = ready();
    // Pending, blocked, ignored, caught: 1 to 31. Those behind are the C library's own.
    let signals = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("Sig")?.split_once(":\t"));
        lines
            .filter(|(name, _)| *name != "Q")
            .map(|(name, mask)| (name.to_owned(), u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff))
            .collect::<Vec<_>>()
    };
    let run = db.authmig(&["install", "--", "cat", "/proc/self/status"]).exits(0);
    let plain = Command::new("cat").arg("/proc/self/status").output().unwrap();
    assert_eq!(signals(&run.stdout), signals(&String::from_utf8(plain.stdout).unwrap()));
    assert_eq!(signals(&run.stdout).len(), 4);
}

#[test]
fn sigterm_ends_the_wait_for_the_server() {
    let db = TestDb::new();
    let nowhere = nowhere(&db);
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut child =
            db.command(&["install", "--database-url", &nowhere, "--", "echo", "started"]).spawn().unwrap();
        let line = first_line(&mut child);
        assert!(line.starts_with("waiting: "), "{line}");
        kill(signal, child.id());
        assert_eq!(finish(child).exits(code).stdout, "");
    }
}

#[test]
fn sigterm_while_migrating_rolls_back_and_starts_nothing() {
    let db = TestDb::new();
    let blocked = unique("blocked");
    let mut other = db.client();
    other.batch_execute(&format!("begin; create role {blocked}")).unwrap();
    let arguments = ["install", "--lock-timeout", "0s", "--owner-role", &blocked, "--", "echo", "started"];
    let child = db.command(&arguments).spawn().unwrap();
    db.until_blocked();
    kill("-TERM", child.id());
    assert_eq!(finish(child).exits(143).stdout, "");
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn sigterm_after_the_command_has_started_is_the_commands() {
    let db = ready();
    let script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = db.command(&shell(script)).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    kill("-TERM", child.id());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "told\n");
    finish(child).exits(7);
}

#[test]
fn sigterm_at_any_moment_is_never_lost() {
    use std::os::unix::process::ExitStatusExt as _;
    let db = ready();
    for step in 0..40 {
        let child = db.command(&["install", "--", "sleep", "600"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(step * 4));
        kill("-TERM", child.id());
        // Before authmig listens, and once it is sleep, the signal ends the process as such.
        let status = child.wait_with_output().unwrap().status;
        assert!(status.code() == Some(143) || status.signal() == Some(15), "{step}: {status}");
    }
}

#[test]
fn fifty_copies_that_start_before_the_server_end_in_their_command_and_one_migrates() {
    // With fewer connections than there are copies, so some meet a server that is full.
    let server = Server::new("max_connections = 30\nsuperuser_reserved_connections = 3");
    server.stop("fast");
    let db = TestDb::new();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let mut children: Vec<_> = (0..50)
        .map(|_| {
            let arguments = ["install", "--database-url", &url, "--wait", "5m", "--lock-wait", "5m"];
            let command = ["--", "sh", "-c", "echo started"];
            db.command(&[&arguments[..], &command].concat()).spawn().unwrap()
        })
        .collect();
    for child in &mut children {
        let mut byte = [0];
        // Each has tried, and says that it waits.
        child.stderr.as_mut().unwrap().read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"w");
    }
    server.start();
    let runs: Vec<_> = children.into_iter().map(|child| finish(child).exits(0)).collect();
    assert!(runs.iter().all(|run| run.stdout == "started\n"));
    let said = format!("{}, verified", all_applied());
    let applied = runs.iter().filter(|run| run.stderr.contains(&said));
    assert_eq!(applied.count(), 1);
    server.sql(&["do 'begin assert (select count(*) from authmig.journal) = 1; end'"]);
}

#[test]
fn as_process_one_it_reaps_orphans_hears_signals_and_hands_its_place_over() {
    let Some(unshare) = tool("unshare") else { return };
    let db = ready();
    let container = |script: &str, url: &str| {
        let authmig = db.command(&[]);
        let mut command = Command::new(&unshare);
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh"]);
        command.arg(authmig.get_program()).env("DATABASE_URL", url);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    let child = container("exec \"$1\" install -- sh -c 'echo $$'", &db.url()).spawn().unwrap();
    assert_eq!(finish(child).exits(0).stdout, "1\n");

    // What sh leaves behind falls to process 1, which is authmig by then.
    let script = "(sleep 0.3 &); exec \"$1\" install -- echo started";
    let mut child = container(script, &nowhere(&db)).spawn().unwrap();
    assert!(first_line(&mut child).starts_with("waiting: "));
    let children = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        text.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    let one = children(child.id())[0];
    until(|| children(one).is_empty());
    kill("-TERM", one);
    assert_eq!(finish(child).exits(143).stdout, "");
}
