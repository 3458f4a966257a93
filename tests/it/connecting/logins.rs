//! How often authmig tries to log in, and which try its words are about.

use super::certificates::Authority;
use crate::support::server::{Server, as_server, free_port};
use crate::support::{Run, TestDb, finish};

const HBA: &str = "local all all trust\nhost all all samehost scram-sha-256\n";

/// What a run with this mode and the wrong password says, and how often the server refused it.
fn with_wrong_password(server: &Server, hosts: &str, mode: &str) -> (Run, usize) {
    // There is nothing to wait for, whatever else cannot be reached.
    let mut command = TestDb::new().command(&["status", "--wait", "30s"]);
    let url = format!("postgres://app:wrong@{hosts}/postgres?sslmode={mode}");
    command.env("DATABASE_URL", url).env("HOME", "/nowhere");
    let refused = || {
        let log = as_server(&format!("cat '{}/log'", server.folder), "");
        log.matches("password authentication failed").count()
    };
    let before = refused();
    (finish(command.spawn().unwrap()).exits(5), refused() - before)
}

fn server(settings: &str) -> Server {
    guarded(HBA, settings)
}

fn guarded(hba: &str, settings: &str) -> Server {
    let signed = Authority::new("Test authority").sign("localhost", &["localhost"]);
    let files = [("server.crt", &*signed.certificate), ("server.key", &*signed.key)];
    let server = Server::guarded(hba, settings, &files);
    server.sql(&["create role app login password 'right'"]);
    server
}

#[test]
fn a_wrong_password_is_one_failed_login_where_there_is_no_tls() {
    let server = server("");
    let port = server.port;
    for mode in ["prefer", "allow", "disable"] {
        let (run, refused) = with_wrong_password(&server, &format!("127.0.0.1:{port}"), mode);
        assert_eq!(refused, 1, "{mode}: {}", run.stderr);
    }
    let why = "password authentication failed for user \"app\" (28P01)";
    let hint = "hint: check user and password; the password came from DATABASE_URL\n";
    let (run, _) = with_wrong_password(&server, &format!("127.0.0.1:{port}"), "prefer");
    assert_eq!(run.stderr, format!("error: cannot connect to app@127.0.0.1:{port}/postgres: {why}\n{hint}"));
    // TLS was never used, so it is not named.
    let (run, refused) = with_wrong_password(&server, &format!("127.0.0.1:{port},[::1]:{port}"), "prefer");
    let name = format!("app@127.0.0.1:{port},[::1]:{port}/postgres");
    assert_eq!(run.stderr, format!("error: cannot connect to {name}\n  - 127.0.0.1:{port}: {why}\n{hint}"));
    assert_eq!(refused, 1);
    let closed = free_port();
    let (run, refused) =
        with_wrong_password(&server, &format!("127.0.0.1:{closed},127.0.0.1:{port}"), "prefer");
    assert_eq!((refused, run.stderr.contains(hint)), (1, true), "{}", run.stderr);
}

#[test]
fn both_tries_are_told_where_both_were_made() {
    let server = server("ssl = on");
    let port = server.port;
    let (run, refused) = with_wrong_password(&server, &format!("127.0.0.1:{port},[::1]:{port}"), "prefer");
    let why = "password authentication failed for user \"app\" (28P01)";
    let tries = format!("  - 127.0.0.1:{port} with TLS: {why}\n  - 127.0.0.1:{port} without TLS: {why}\n");
    assert!(run.stderr.contains(&tries), "{}", run.stderr);
    assert_eq!(refused, 2);
}

#[test]
fn the_hint_is_about_what_the_server_said_and_not_about_the_tls_that_it_has_not() {
    let server = server("");
    let place = format!("127.0.0.1:{}", server.port);
    let (run, _) = with_wrong_password(&server, &place, "allow");
    assert_eq!(
        run.stderr,
        format!(
            "error: cannot connect to app@{place}/postgres\n\
             \x20 - {place} without TLS: password authentication failed for user \"app\" (28P01)\n\
             \x20 - {place} with TLS: it does not do TLS\n\
             hint: check user and password; the password came from DATABASE_URL\n"
        )
    );
    // Where TLS is what was wished for, it is what the hint is about.
    let (run, _) = with_wrong_password(&server, &place, "require");
    assert!(
        run.stderr.contains("it does not do TLS\nhint: sslmode=prefer goes on without it"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_hint_is_about_the_password_where_only_tls_is_let_in() {
    let hba =
        "local all all trust\nhostssl all all samehost scram-sha-256\nhostnossl all all samehost reject\n";
    let server = guarded(hba, "ssl = on");
    let (run, refused) = with_wrong_password(&server, &format!("127.0.0.1:{}", server.port), "prefer");
    let hint = "hint: check user and password; the password came from DATABASE_URL\n";
    assert!(run.stderr.ends_with(hint) && refused == 1, "{}", run.stderr);
}
