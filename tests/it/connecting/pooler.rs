//! Behind the real PgBouncer every command works, and says nothing of it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::server::{as_server, free_port};
use crate::support::tools::missing;
use crate::support::{LEFT_IN_SESSION, TestDb, finish, setting};

/// A PgBouncer that is gone when the test is over.
struct Pooler {
    process: Child,
    folder: String,
    port: u16,
}

impl Pooler {
    /// One with few connections to the server, in this mode.
    fn start(mode: &str, server: u16) -> Option<Pooler> {
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
                 pool_mode = {mode}\ndefault_pool_size = 4\nmax_client_conn = 100\nlogfile = {folder}/log\n"
            ),
        );
        let words = setting("AUTHMIG_TEST_AS");
        let process = Command::new("sh")
            .args(["-c", &format!("exec {words} {program} -q '{folder}/ini'")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
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
    while db.ask(waits) == "0" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let run = finish(child).exits(143);
    assert_eq!(run.stderr.lines().last(), Some("error: interrupted by SIGTERM; nothing was changed"));
    // A cancel request may get lost in the pooler. The server looks after its client, too.
    while db.ask(waits) != "0" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(db.history(), [0; 0]);
    drop(other);
    db.authmig(&["migrate"]).exits(0);
}
