//! Behind the real PgBouncer every command works, and says nothing of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::server::{Server, as_server, free_port};
use crate::support::tools::missing;
use crate::support::{LEFT_IN_SESSION, TestDb, finish, setting, until};

/// A PgBouncer that is gone when the test is over.
struct Pooler {
    process: Child,
    folder: String,
    port: u16,
}

impl Pooler {
    /// One with few connections to the server, in this mode.
    fn start(mode: &str, server: u16) -> Option<Pooler> {
        Pooler::with(mode, server, "")
    }

    /// The same with more settings.
    fn with(mode: &str, server: u16, settings: &str) -> Option<Pooler> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
        let Some(program) = program.into_iter().find(|program| Path::new(program).exists()) else {
            missing("pgbouncer");
            return None;
        };
        let folder = as_server("mktemp -d -t authmig.XXXXXX", "");
        let port = free_port();
        as_server(
            &format!("cat >'{folder}/ini'"),
            &format!(
                "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = {mode}\ndefault_pool_size = 4\nmax_client_conn = 100\nlogfile = {folder}/log\n{settings}\n"
            ),
        );
        let words = setting("AUTHMIG_TEST_AS");
        let process = Command::new("sh")
            .args(["-c", &format!("exec {words} {program} -q '{folder}/ini'")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Pooler { process, folder, port })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = as_server(&format!("rm -rf '{}'", self.folder), "");
    }
}

#[test]
fn every_command_works_behind_pgbouncer() {
    for mode in ["transaction", "session"] {
        let db = TestDb::new();
        let Some(pooler) = Pooler::start(mode, db.port()) else { return };
        let url = db.url_at(pooler.port);
        let run = |arguments: &[&str], code: i32| {
            let run = db.authmig(&[arguments, &["--database-url", &url]].concat()).exits(code);
            let expected = if arguments.contains(&"rollback") { "" } else { "error" };
            assert!(
                expected.is_empty() || !run.stderr.contains(expected),
                "{mode} {arguments:?}: {}",
                run.stderr
            );
            run
        };
        // Twice, since the second run may get the server connection of the first.
        for _ in 0..2 {
            run(&["status", "--check"], 3);
            run(&["migrate", "--dry-run"], 0);
            run(&["migrate"], 0);
            run(&["migrate"], 0);
            run(&["status", "--check"], 0);
            run(&["secret", "generate", "--replace"], 0);
            run(&["verify"], 0);
            run(&["grants"], 0);
            run(&["rollback", "--dry-run"], 0);
            run(&["rollback", "--all", "--yes", "--discard-data"], 0);
        }
        let options = format!("{url}?options=-c%20role%3Dpostgres");
        let run = db.authmig(&["status", "--database-url", &options]).exits(5);
        let hint = "hint: a pooler takes no options: connect to the server itself, or set for the role what they set\n";
        assert!(run.stderr.ends_with(hint), "{}", run.stderr);
        // Nothing of ours stays in the sessions of the pool: a transaction in each, all at once.
        let sessions = db.ask(
            "select string_agg(pid::text, ' ') from pg_stat_activity \
              where datname = current_database() and pid <> pg_backend_pid()",
        );
        let mut sessions: Vec<_> = sessions.split(' ').map(str::to_owned).collect();
        let mut clients: Vec<_> = sessions.iter().map(|_| Client::connect(&url, NoTls).unwrap()).collect();
        let mut seen: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let mut ask = |sql: &str| match &client.simple_query(sql).unwrap()[..] {
                    [.., SimpleQueryMessage::Row(row), _] => row.get(0).unwrap().to_owned(),
                    other => panic!("{other:?}"),
                };
                assert_eq!(ask(&format!("begin; {LEFT_IN_SESSION}")), "", "{mode}");
                ask("select pg_backend_pid()")
            })
            .collect();
        sessions.sort();
        seen.sort();
        assert_eq!(seen, sessions, "{mode}");
    }
}

#[test]
fn twenty_starts_behind_pgbouncer_end_in_one_migration() {
    for mode in ["transaction", "session"] {
        let db = TestDb::new();
        let Some(pooler) = Pooler::start(mode, db.port()) else { return };
        let url = db.url_at(pooler.port);
        let children: Vec<_> = (0..20)
            .map(|_| db.command(&["migrate", "--format", "json", "--database-url", &url]).spawn().unwrap())
            .collect();
        let applied = children
            .into_iter()
            .map(|child| finish(child).exits(0).json()["outcome"].as_str().unwrap().to_owned())
            .filter(|outcome| outcome == "applied")
            .count();
        assert_eq!(applied, 1, "{mode}");
        assert_eq!(db.ask("select count(*) from authmig.journal"), "1");
    }
}

/// A pooler logs one in before it has a server, so it is the first question that fails.
#[test]
fn a_server_that_sleeps_behind_pgbouncer_is_waited_for() {
    let server = Server::new("");
    server.sql(&["create role app login createrole", "create database app owner app"]);
    let settings = "query_wait_timeout = 1\nserver_login_retry = 1";
    let Some(pooler) = Pooler::with("transaction", server.port, settings) else { return };
    let url = format!("postgres://app@127.0.0.1:{}/app", pooler.port);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authmig"));
        command.args(arguments).args(["--database-url", &url]).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    for arguments in [
        &["install", "--wait", "60s"][..],
        &["migrate", "--wait", "60s"],
        &["verify", "--wait", "60s"],
        &["status", "--wait", "60s"],
    ] {
        // So that the pooler knows the server, and lets clients wait for it.
        assert_eq!(finish(run(&["status"]).spawn().unwrap()).code, 0);
        server.stop("immediate");
        let refused = finish(run(&["status"]).spawn().unwrap()).exits(5);
        assert!(refused.stderr.starts_with("error: "), "{}", refused.stderr);
        let mut child = run(arguments).spawn().unwrap();
        let mut said = String::new();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        reader.read_line(&mut said).unwrap();
        assert!(said.starts_with("waiting"), "{arguments:?} {said}");
        server.start();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&ended.stdout));
    }
}

#[test]
fn a_signal_behind_pgbouncer_leaves_nothing_behind() {
    let db = TestDb::new();
    let Some(pooler) = Pooler::start("transaction", db.port()) else { return };
    let url = db.url_at(pooler.port);
    let blocked = crate::support::unique("blocked");
    let mut other = db.client();
    other.batch_execute(&format!("begin; create role {blocked}")).unwrap();
    let arguments = ["migrate", "--lock-timeout", "0s", "--owner-role", &blocked, "--database-url", &url];
    let child = db.command(&arguments).spawn().unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() \
         and application_name = 'authmig' and wait_event_type = 'Lock'";
    db.until(waits);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let run = finish(child).exits(143);
    assert_eq!(run.stderr.lines().last(), Some("error: interrupted by SIGTERM; nothing was changed"));
    // A cancel request may get lost in the pooler. The server looks after its client, too.
    until(|| db.ask(waits) == "0");
    assert_eq!(db.history(), [0; 0]);
    drop(other);
    db.authmig(&["migrate"]).exits(0);
}
