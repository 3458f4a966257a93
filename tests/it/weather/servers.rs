//! The server dies, is full, or is starting.

use std::time::Duration;

use super::{Dice, ROLLBACK, Site, Tally, judge, often, same, say};
use crate::adopt::{AUTH_SCHEMA, installed};
use crate::support::server::Server;
use crate::support::{Files, TestDb, finish, until, versions};

/// Where a script waits to be interrupted.
const WAIT: &str = "\nselect pg_sleep(60);";

#[test]
fn the_server_may_die_in_any_script() {
    let server = Server::new("");
    let site = Site::of(TestDb::on(server.config(), "template0"));
    let mut tally = Tally::of("server stopped with -m immediate inside each script, and restarted");
    let files = Files::embedded();
    let mut strike = |file: &str, command: &[&str], before: &str| {
        let slow = files.clone().append(file, WAIT);
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| site.db.authmig_with(&slow, &site.with_roles(command)));
            site.db.until("select count(*) from pg_stat_activity where wait_event = 'PgSleep'");
            server.stop("immediate");
            run.join().unwrap()
        });
        server.start();
        assert_eq!(run.code, 5, "{file}: {}", run.stderr);
        assert!(run.stderr.contains(" was lost: "), "{file}: {}", run.stderr);
        tally.count(judge(&run, &site.state(), before, "", file));
    };

    let empty = site.state();
    let scripts = |part: &str| {
        let end = format!(".{part}.sql");
        files.names().into_iter().filter(|name| name.ends_with(&end)).collect::<Vec<_>>()
    };
    for file in scripts("up").iter().chain(&scripts("verify")) {
        strike(file, &["migrate"], &empty);
    }
    site.db.authmig(&["migrate"]).exits(0);
    let whole = site.state();
    for file in &scripts("down") {
        strike(file, ROLLBACK, &whole);
    }
    site.db.authmig(&["migrate"]).exits(0);
    site.db.authmig(&["verify"]).exits(0);
    site.clear();
    same(&site.state(), &empty, "the end");
}

#[test]
fn a_full_disk_changes_nothing() {
    let Some(server) = Server::in_little_room("80m", "") else {
        say("weather: skipped: no file system may be mounted here, so no disk can be full");
        return;
    };
    let mut tally = Tally::of("disk full, with room left for 0 kB and more");
    let site = Site::of(TestDb::on(server.config(), "template0"));
    site.db.authmig(&["migrate"]).exits(0);
    let whole = site.state();
    site.clear();
    let empty = site.state();
    let ballast = format!("{}/ballast", server.folder);
    let fill = |left: u64| {
        // As much as there is room for, and then some of it back.
        let mut file = std::fs::File::create(&ballast).unwrap();
        let block = [1; 4096];
        let mut written = 0;
        while std::io::Write::write_all(&mut file, &block).is_ok() {
            written += 4096;
        }
        file.set_len(written - left.min(written)).unwrap();
    };
    let steps = u64::try_from(often(16, 64)).unwrap();
    for step in 0..steps {
        let left = step * 2048 / steps * 1024;
        fill(left);
        let run = site.db.authmig(&["migrate"]);
        std::fs::remove_file(&ballast).unwrap();
        // A server that cannot write its log of changes stops, and starts again by itself,
        // if there is room enough by then for what starting takes. It may be about to.
        let stays_up = || {
            server.config().connect(postgres::NoTls).is_ok_and(|mut client| {
                std::thread::sleep(Duration::from_millis(200));
                client.batch_execute("checkpoint").is_ok()
            })
        };
        until(|| {
            let up = stays_up();
            if !up && !server.is_running() {
                server.start();
            }
            up
        });
        let context = format!("{} kB left", left / 1024);
        assert!([0, 1, 5, 8].contains(&run.code), "{context}: exit {}\n{}", run.code, run.stderr);
        tally.count(judge(&run, &site.state(), &empty, &whole, &context));
        site.db.authmig(&["migrate"]).exits(0);
        site.db.authmig(&["verify"]).exits(0);
        site.clear();
    }
}

#[test]
fn a_server_without_free_connections_is_exit_5() {
    let server = Server::new("max_connections = 6\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0");
    let site = Site::of(TestDb::on(server.config(), "template0"));
    let before = site.state();
    let held: Vec<_> =
        std::iter::from_fn(|| server.config().connect(postgres::NoTls).ok()).take(10).collect();
    let run = site.db.authmig(&["migrate"]).exits(5);
    assert!(run.stderr.contains("(53300)\nhint: --wait 60s waits for a free connection"), "{}", run.stderr);
    drop(held);
    until(|| server.is_up());
    same(&site.state(), &before, "refused");

    // Forty at once where six have room.
    let mut tally = Tally::of("starts at once on a server with 6 connections");
    let children: Vec<_> = (0..40).map(|_| site.db.command(&["migrate"]).spawn().unwrap()).collect();
    for child in children {
        let run = finish(child);
        assert!([0, 5].contains(&run.code), "exit {}\n{}", run.code, run.stderr);
        tally.count(if run.code == 0 { "succeeded" } else { "found no connection" });
    }
    until(|| server.is_up());
    site.db.authmig(&["migrate"]).exits(0);
    site.db.authmig(&["verify"]).exits(0);
    assert_eq!(site.db.ask("select count(*) from authmig.journal"), "1");
}

#[test]
fn two_hundred_starts_while_the_server_restarts_end_well() {
    let server = Server::new("max_connections = 250");
    let mut dice = Dice::new("restart");
    let mut tally = Tally::of("200 starts at once while the server restarts, by start");
    for round in 0..often(2, 10) {
        let site = Site::of(TestDb::on(server.config(), "template0"));
        let empty = site.state();
        let mode = if round % 2 == 0 { "immediate" } else { "fast" };
        let pause = dice.pause(Duration::from_millis(300));
        let children = std::thread::scope(|scope| {
            let restart = scope.spawn(|| {
                std::thread::sleep(pause);
                server.stop(mode);
                server.start();
            });
            let children: Vec<_> = (0..200).map(|_| site.db.command(&["migrate"]).spawn().unwrap()).collect();
            restart.join().unwrap();
            children
        });
        let mut done = false;
        for child in children {
            let run = finish(child);
            // The server says that it is going down in several ways.
            assert!([0, 1, 5, 8].contains(&run.code), "exit {}\n{}", run.code, run.stderr);
            assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
            done |= run.code == 0;
            tally.count(if run.code == 0 { "succeeded" } else { "failed, and said why" });
        }
        if !done {
            let now = site.state();
            assert!(now == empty || site.db.history() == versions(), "{now}");
        }
        site.db.authmig(&["migrate"]).exits(0);
        site.db.authmig(&["verify"]).exits(0);
        assert_eq!(site.db.ask("select count(*) from authmig.journal"), "1");
        site.clear();
        same(&site.state(), &empty, "the end");
    }
}

#[test]
fn a_table_that_somebody_holds_is_exit_6_and_changes_nothing() {
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let site = Site::of(TestDb::new().with("AUTHMIG_JWT_SECRET", secret));
    site.db.authmig(&["migrate"]).exits(0);
    site.db.sql("select auth.issue_tokens('alice')");
    let whole = site.state();
    let mut tally = Tally::of("a table locked by another session");
    for table in ["auth.refresh_token", "auth_private.config", "authmig.schema_history"] {
        let mut other = site.db.client();
        other.batch_execute(&format!("begin; lock table {table} in access share mode")).unwrap();
        let run = site.db.authmig(&[ROLLBACK, &["--lock-timeout", "100ms"]].concat()).exits(
            // Rows of the history are deleted beside a reader.
            if table == "authmig.schema_history" { 0 } else { 6 },
        );
        other.batch_execute("rollback").unwrap();
        if run.code == 6 {
            assert!(run.stderr.contains("nothing was changed"), "{}", run.stderr);
            same(&site.state(), &whole, table);
            tally.count("before");
        } else {
            tally.count("after");
        }
    }
    site.db.authmig(&["migrate"]).exits(0);

    let base = TestDb::new();
    installed(&base, AUTH_SCHEMA);
    let site = Site { db: base, roles: Vec::new() };
    let before = site.state();
    let mut other = site.db.client();
    other.batch_execute("begin; lock table auth.refresh_token in access share mode").unwrap();
    let run = site.db.authmig(&["migrate", "--adopt", "--lock-timeout", "100ms"]).exits(6);
    assert!(run.stderr.contains("nothing was changed"), "{}", run.stderr);
    other.batch_execute("rollback").unwrap();
    drop(other);
    same(&site.state(), &before, "adopt");
    tally.count("before");
    site.db.authmig(&["migrate", "--adopt"]).exits(0);
}
