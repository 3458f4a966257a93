//! SIGINT and SIGTERM: cancelled, rolled back, 130 or 143.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{TestDb, finish, first_line, unique, until, versions};

/// Counts the runs of authmig that the server still knows.
const RUNS: &str = "select count(*) from pg_stat_activity \
     where datname = current_database() and application_name like 'authmig%'";

/// Sends a signal, as `kill` writes it: `-TERM`.
pub(crate) fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_signal_cancels_the_running_script_and_rolls_back() {
    for (signal, code, name) in [("-INT", 130, "SIGINT"), ("-TERM", 143, "SIGTERM")] {
        let db = TestDb::new();
        // A role of this name that is not committed yet keeps 04-roles waiting.
        let blocked = unique("blocked");
        let mut other = db.client();
        other.batch_execute(&format!("begin; create role {blocked}")).unwrap();
        let child =
            db.command(&["migrate", "--lock-timeout", "0s", "--owner-role", &blocked]).spawn().unwrap();
        db.until_blocked();
        kill(signal, child.id());
        let run = finish(child).exits(code);
        assert_eq!(
            run.stderr.lines().last(),
            Some(&*format!("error: interrupted by {name}; nothing was changed"))
        );
        assert_eq!(db.history(), [0; 0]);
        assert_eq!(db.ask(RUNS), "0");
        drop(other);
        db.authmig(&["migrate"]).exits(0);
    }
}

#[test]
fn a_run_that_was_killed_does_not_hold_its_locks_until_its_statement_ends() {
    let db = TestDb::new();
    let blocked = unique("blocked");
    let mut other = db.client();
    other.batch_execute(&format!("begin; create role {blocked}")).unwrap();
    let child = db.command(&["migrate", "--lock-timeout", "0s", "--owner-role", &blocked]).spawn().unwrap();
    db.until_blocked();
    kill("-KILL", child.id());
    finish(child);
    // What it waits for is still held.
    until(|| db.ask(RUNS) == "0");
    db.authmig(&["migrate", "--lock-wait", "0s"]).exits(0);
    drop(other);
}

#[test]
fn a_signal_ends_the_wait_for_the_lock() {
    let db = TestDb::new();
    let mut other = db.client();
    other.batch_execute("begin; select pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
    let mut child = db.command(&["migrate"]).spawn().unwrap();
    let line = first_line(&mut child);
    assert!(line.starts_with("waiting: authmig's lock is held by process "), "{line}");
    kill("-TERM", child.id());
    finish(child).exits(143);
}

#[test]
fn a_signal_ends_status_wait() {
    let db = TestDb::new();
    let mut child = db.command(&["status", "--wait", "60s"]).spawn().unwrap();
    let count = versions().len();
    assert_eq!(first_line(&mut child), format!("waiting: {count} of {count} migrations are pending\n"));
    kill("-INT", child.id());
    finish(child).exits(130);
}

#[test]
fn a_signal_ends_what_has_no_connection_yet() {
    let db = TestDb::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = db.url_at(silent.local_addr().unwrap().port());
    for (mode, wait) in [("disable", "60s"), ("prefer", "60s"), ("require", "0s")] {
        for (signal, code, name) in [("-INT", 130, "SIGINT"), ("-TERM", 143, "SIGTERM")] {
            let url = format!("{url}?sslmode={mode}");
            let command = ["status", "--connect-timeout", wait, "--database-url", &url];
            let child = db.command(&command).spawn().unwrap();
            let (_held, _) = silent.accept().unwrap();
            kill(signal, child.id());
            let run = finish(child).exits(code);
            assert_eq!(run.stderr, format!("error: interrupted by {name}; nothing was changed\n"), "{mode}");
        }
    }
}

#[test]
fn a_signal_that_ends_the_process_is_told_in_json_too() {
    let db = TestDb::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{}?sslmode=disable", db.url_at(silent.local_addr().unwrap().port()));
    let command = ["status", "--format", "json", "--log-format", "json", "--database-url", &url];
    let child = db.command(&command).stdout(Stdio::piped()).spawn().unwrap();
    let (_held, _) = silent.accept().unwrap();
    kill("-TERM", child.id());
    let run = finish(child).exits(143);
    assert_eq!(run.json()["error"]["message"], "interrupted by SIGTERM; nothing was changed");
    let log: serde_json::Value = serde_json::from_str(run.stderr.trim_end()).unwrap();
    assert_eq!(log["fields"]["message"], "error: interrupted by SIGTERM; nothing was changed");
}

/// Has a commit that makes something wait until somebody lets this lock go, whatever a signal
/// says if `stubborn`.
fn slow_commit(db: &TestDb, stubborn: bool) -> postgres::Client {
    let patience = if stubborn { "exception when query_canceled then null;" } else { "" };
    db.sql(&format!(
        "create table public.made (at timestamptz default now()); \
         create function public.slow() returns trigger language plpgsql as $$ begin \
             loop begin perform pg_advisory_xact_lock(42); return null; {patience} end; end loop; end $$; \
         create constraint trigger slow after insert on public.made deferrable initially deferred \
             for each row execute function public.slow(); \
         create function public.note() returns event_trigger language plpgsql as \
             $$ begin insert into public.made default values; end $$; \
         create event trigger note on ddl_command_end execute function public.note()"
    ));
    let mut holder = db.client();
    holder.batch_execute("select pg_advisory_lock(42)").unwrap();
    holder
}

#[test]
fn a_signal_cancels_a_commit_that_waits() {
    let db = TestDb::new();
    let _holder = slow_commit(&db, false);
    let child = db.command(&["migrate", "--lock-timeout", "0s"]).spawn().unwrap();
    db.until_blocked();
    kill("-TERM", child.id());
    let run = finish(child).exits(143);
    assert_eq!(run.stderr, "error: interrupted by SIGTERM; nothing was changed\n");
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn who_ends_during_a_commit_does_not_say_that_nothing_was_changed() {
    let db = TestDb::new();
    let _holder = slow_commit(&db, true);
    // Two signals, or one and no end of it: the process does not wait for the server.
    for signals in [2, 1] {
        let child = db.command(&["migrate", "--lock-timeout", "0s"]).spawn().unwrap();
        db.until_blocked();
        for _ in 0..signals {
            kill("-TERM", child.id());
            std::thread::sleep(Duration::from_millis(50));
        }
        let run = finish(child).exits(143);
        assert_eq!(
            run.stderr,
            "error: interrupted by SIGTERM; whether the commit was done is not known\n\
             hint: `authmig status` tells what is applied; look there before another run\n"
        );
        db.sql(
            "select pg_terminate_backend(pid, 60000) from pg_stat_activity \
             where datname = current_database() and application_name like 'authmig%'",
        );
    }
}

#[test]
fn a_signal_ends_the_wait_for_standard_input() {
    let db = TestDb::new();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = db.command(&["secret", "set"]).stdin(Stdio::piped()).spawn().unwrap();
        let _open = child.stdin.take();
        let status = format!("/proc/{}/status", child.id());
        let number = if code == 130 { 2 } else { 15 };
        // Until it catches that signal.
        until(|| {
            std::fs::read_to_string(&status).unwrap().lines().any(|line| {
                line.strip_prefix("SigCgt:").is_some_and(|mask| {
                    u64::from_str_radix(mask.trim(), 16).unwrap() >> (number - 1) & 1 == 1
                })
            })
        });
        kill(signal, child.id());
        finish(child).exits(code);
    }
}
