//! `--wait`: for what comes by itself, and not for what does not.

use crate::support::proxy::Proxy;
use crate::support::server::free_port;
use crate::support::{TestDb, finish, first_line, role, unique, versions};

#[test]
fn a_server_that_is_not_there_yet_is_waited_for_and_said_so_once() {
    let db = TestDb::new();
    let port = free_port();
    let url = db.url_at(port);
    let mut child = db.command(&["migrate", "--wait", "60s", "--database-url", &url]).spawn().unwrap();
    assert_eq!(
        first_line(&mut child),
        format!("waiting: cannot connect to postgres@127.0.0.1:{port}/{}: connection refused\n", db.name)
    );
    std::thread::sleep(std::time::Duration::from_millis(300));
    let _proxy = Proxy::at(port, db.port());
    let run = finish(child).exits(0);
    assert!(!run.stderr.contains("waiting"), "{}", run.stderr);
    assert_eq!(db.history(), versions());
}

#[test]
fn without_wait_and_past_its_end_it_is_an_error() {
    let db = TestDb::new();
    let url = db.url_at(free_port());
    let run = db.authmig(&["migrate", "--database-url", &url]).exits(5);
    assert!(run.stderr.starts_with("error: cannot connect to "), "{}", run.stderr);
    assert!(run.stderr.ends_with("from here? --wait 60s waits for it\n"), "{}", run.stderr);
    let run = db.authmig(&["migrate", "--wait", "200ms", "--database-url", &url]).exits(5);
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("waiting: ")).count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("\nerror: cannot connect to "), "{}", run.stderr);
    assert!(run.stderr.ends_with("from here? a longer --wait waits for it\n"), "{}", run.stderr);
}

#[test]
fn past_its_end_every_place_that_was_tried_is_told() {
    let ports = [free_port(), free_port()];
    let url = format!("postgres://a@127.0.0.1:{},127.0.0.2:{}/b", ports[0], ports[1]);
    let run = TestDb::new().authmig(&["status", "--wait", "300ms", "--database-url", &url]).exits(5);
    let refused = ports.map(|port| format!(":{port}: connection refused"));
    let (waiting, error) = run.stderr.split_once("\nerror: ").unwrap();
    for said in [waiting, error] {
        assert!(refused.iter().all(|refused| said.contains(refused)), "{}", run.stderr);
    }
}

#[test]
fn a_server_that_has_said_no_on_a_socket_is_not_waited_for() {
    let db = TestDb::new();
    let socket = std::env::var("AUTHMIG_TEST_SOCKET").unwrap();
    let (port, name) = (db.port(), unique("nowhere"));
    let target = format!("host=/no-such-folder,{socket} port={port},{port} user=postgres dbname={name}");
    let run = db.authmig(&["status", "--wait", "60s", "--database-url", &target]).exits(5);
    assert!(run.stderr.starts_with("error: cannot connect to "), "{}", run.stderr);
    let hint = "\nhint: create the database first, or wait for it with --wait-for-database\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);
}

#[test]
fn a_name_that_does_not_resolve_yet_and_a_full_server_are_waited_for() {
    let db = TestDb::new();
    let run = db
        .authmig(&["status", "--wait", "200ms", "--database-url", "postgres://a@no-such-host.invalid/b"])
        .exits(5);
    assert!(
        run.stderr.starts_with(
            "waiting: cannot connect to a@no-such-host.invalid:5432/b: the name does not resolve: "
        ),
        "{}",
        run.stderr
    );

    let limited = role(&db, "login connection limit 0");
    let db = db.run_by(&limited);
    let mut child = db.command(&["verify", "--wait", "60s"]).spawn().unwrap();
    assert!(first_line(&mut child).contains("too many connections for role"));
    db.sql(&format!("alter role {limited} connection limit -1"));
    finish(child).exits(4);
}

#[test]
fn a_database_that_is_not_there_is_waited_for_only_if_that_is_wished() {
    let db = TestDb::new();
    let name = unique("later");
    let url = db.url().replace(&db.name, &name);
    let run = db.authmig(&["migrate", "--wait", "60s", "--database-url", &url]).exits(5);
    assert!(run.stderr.starts_with("error: cannot connect to "), "{}", run.stderr);
    let hint = "\nhint: create the database first, or wait for it with --wait-for-database\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);
    let waited = ["migrate", "--wait", "200ms", "--wait-for-database", "--database-url", &url];
    let run = db.authmig(&waited).exits(5);
    let hint = "\nhint: create the database first; a longer --wait waits for it\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);

    let mut child = db
        .command(&["migrate", "--wait", "60s", "--wait-for-database", "--database-url", &url])
        .spawn()
        .unwrap();
    assert!(first_line(&mut child).starts_with("waiting: cannot connect to "));
    db.sql(&format!("create database {name}"));
    finish(child).exits(0);
    db.sql(&format!("drop database {name}"));
    db.authmig(&["migrate", "--wait-for-database"]).exits(2);
}

#[test]
fn patience_is_for_all_places_together() {
    // Each says nothing; one after the other they would take ten times as long as is given.
    let db = TestDb::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap().to_string();
    let url = format!("postgres://u@{}/d?sslmode=disable", [&*place; 20].join(","));
    let run =
        db.authmig(&["status", "--wait", "1s", "--connect-timeout", "10s", "--database-url", &url]).exits(5);
    assert_eq!(run.stderr.matches("no answer within 1s").count(), 1, "{}", run.stderr);
    assert!(run.stderr.ends_with("\nhint: a longer --wait waits on\n"), "{}", run.stderr);
}

#[test]
fn what_cannot_heal_is_not_waited_for() {
    let db = TestDb::new();
    for (url, why) in [
        (format!("postgres://nobody_here@127.0.0.1:{}/{}", db.port(), db.name), "does not exist (28000)"),
        (format!("{}?sslmode=require", db.url()), "it does not do TLS"),
    ] {
        let run = db.authmig(&["migrate", "--wait", "60s", "--database-url", &url]).exits(5);
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}

#[test]
fn a_primary_is_waited_for_if_one_is_wished() {
    let db = TestDb::new();
    db.sql(&format!("alter database {} set default_transaction_read_only = on", db.name));
    let url = format!("{}?target_session_attrs=read-write", db.url());
    let mut child = db.command(&["migrate", "--wait", "60s", "--database-url", &url]).spawn().unwrap();
    assert!(first_line(&mut child).contains("it only reads, and target_session_attrs wants another one"));
    db.sql(&format!(
        "begin read write; alter database {} reset default_transaction_read_only; commit",
        db.name
    ));
    finish(child).exits(0);
}
