//! Many runs at once: one applies, the others find nothing to do.

use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::{Run, TestDb, all_applied, finish, first_line, unique, versions};

#[test]
fn of_twenty_starts_on_an_empty_database_one_applies_and_all_succeed() {
    let db = TestDb::new();
    let children: Vec<_> =
        (0..20).map(|_| db.command(&["migrate", "--format", "json"]).spawn().unwrap()).collect();
    let outcomes: Vec<_> = children
        .into_iter()
        .map(|child| finish(child).exits(0).json()["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "applied").count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "up_to_date").count(), 19, "{outcomes:?}");
    assert_eq!(db.history(), versions());
    assert_eq!(db.ask("select count(*) from authmig.journal"), "1");
}

#[test]
fn two_hundred_starts_on_a_migrated_database_take_no_lock() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    // Held by us throughout: a run that wanted it would wait.
    let mut other = db.client();
    other.batch_execute("begin; select pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
    // As many at a time as the server has connections for.
    for _ in 0..10 {
        let children: Vec<_> =
            (0..20).map(|_| db.command(&["migrate", "--lock-wait", "0s"]).spawn().unwrap()).collect();
        for child in children {
            let run = finish(child).exits(0);
            let said = format!("nothing to do: {}\n", all_applied());
            assert!(run.stdout.ends_with(&said), "{}", run.stdout);
            assert_eq!(run.stderr, "");
        }
    }
}

#[test]
fn a_second_run_says_who_holds_the_lock_waits_and_finds_nothing_to_do() {
    let db = TestDb::new();
    // The first one waits under its lock for whoever is about to create this role.
    let blocked = unique("blocked");
    let mut other = db.client();
    other.batch_execute(&format!("begin; create role {blocked}")).unwrap();
    let arguments = ["migrate", "--lock-timeout", "0s", "--owner-role", &blocked];
    let first = db.command(&arguments).spawn().unwrap();
    let waits = "select string_agg(pid::text, ',') from pg_stat_activity where datname = current_database() \
         and application_name = 'authmig' and wait_event_type = 'Lock'";
    db.until_blocked();
    let holder = db.ask(waits);
    let mut second = db.command(&arguments).spawn().unwrap();
    let line = first_line(&mut second);
    let says = format!(
        "waiting: authmig's lock is held by process {holder} of postgres from 127.0.0.1 (authmig), since 2"
    );
    assert!(line.starts_with(&says), "{line}");
    other.batch_execute("rollback").unwrap();
    finish(first).exits(0);
    let second = finish(second).exits(0);
    assert_eq!(second.stderr, "");
    let said = format!("nothing to do: {}\n", all_applied());
    assert!(second.stdout.ends_with(&said), "{}", second.stdout);
    assert_eq!(db.ask("select count(*) from authmig.journal"), "1");
}

/// Runs authmig with these arguments, and lets the other run end before its third turn: behind startup
/// and history, and in front of the lock with the work. Also, how many turns it took.
#[track_caller]
fn late(db: &TestDb, arguments: &[&str], other: &[&str]) -> (Run, usize) {
    let proxy = Proxy::to(db.port());
    let mut other = db.command(other);
    let (sender, done) = std::sync::mpsc::channel();
    proxy.before(3, move || sender.send(finish(other.spawn().unwrap())).unwrap());
    let url = format!("{}?sslmode=disable", db.url_at(proxy.port));
    let run = db.authmig(&[arguments, &["--database-url", &url]].concat());
    done.recv().unwrap().exits(0);
    (run, proxy.counts().1)
}

#[test]
fn a_history_that_has_changed_when_the_lock_is_taken_is_planned_for_anew() {
    let db = TestDb::new();
    let migrate = &["migrate", "--to", "5"];
    let (run, turns) = late(&db, migrate, &["migrate", "--to", "2"]);
    let report = run.exits(0);
    assert!(report.stdout.contains("\n3 migrations applied, "), "{}", report.stdout);
    assert_eq!(report.stderr, "");
    assert_eq!(
        (db.history(), turns),
        (vec![1, 2, 3, 4, 5], 8),
        "refused, rolled back, read, looked at, done, committed"
    );

    // Back in the meantime: there is more to do than it thought.
    db.authmig(&["rollback", "--to", "4", "--yes", "--discard-data"]).exits(0);
    let (run, _) = late(&db, migrate, &["rollback", "--to", "3", "--yes", "--discard-data"]);
    assert!(run.exits(0).stdout.contains("\n2 migrations applied, "));

    // Others were faster.
    db.authmig(&["rollback", "--to", "4", "--yes", "--discard-data"]).exits(0);
    let (run, _) = late(&db, migrate, migrate);
    assert!(run.exits(0).stdout.ends_with("nothing to do: 5 migrations applied\n"));
    let runs = "select string_agg(action || ' ' || versions::text, ', ' order by id) from authmig.journal";
    assert_eq!(
        db.ask(runs),
        "migrate {1,2}, migrate {3,4,5}, rollback {5}, rollback {4}, migrate {4,5}, rollback {5}, migrate {5}"
    );

    // What is rolled back is what was shown.
    let rollback = ["rollback", "--to", "3", "--yes", "--discard-data"];
    let (run, _) = late(&db, &rollback, &["rollback", "--to", "4", "--yes", "--discard-data"]);
    run.exits(0);
    assert_eq!(db.history(), [1, 2, 3]);
}

#[test]
fn what_is_found_in_the_middle_of_another_run_is_looked_at_again() {
    let away = ["rollback", "--all", "--yes", "--discard-data"];
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&away).exits(0);
    // The history of before, and what is there of after: that is no lost ledger.
    for command in
        [&["status"][..], &["grants"], &["verify"], &["secret", "status"], &["rollback", "--dry-run"]]
    {
        let (run, _) = late(&db, command, &["migrate"]);
        assert_eq!(run.exits(0).stderr, "", "{command:?}");
        db.authmig(&away).exits(0);
    }
    // And the other way round: its functions are not lost.
    db.authmig(&["migrate"]).exits(0);
    let found = late(&db, &["verify"], &away).0.exits(4).stdout;
    let database = |said: &str| said.split_once('\n').unwrap().1.to_owned();
    assert_eq!(database(&found), database(&db.authmig(&["verify"]).exits(4).stdout));
}

#[test]
fn what_goes_while_it_is_looked_at_is_missing_and_no_error() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    // It has seen the catalog, and waits to read the history.
    let mut other = db.client();
    other.batch_execute("begin; lock table authmig.schema_history").unwrap();
    let verify = db.command(&["verify"]).spawn().unwrap();
    db.until_blocked();
    other.batch_execute("alter table auth.refresh_token drop constraint refresh_token_pkey; commit").unwrap();
    let run = finish(verify).exits(4);
    assert!(run.stdout.contains("constraint refresh_token_pkey"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn what_was_put_there_while_it_planned_does_not_run() {
    let db = TestDb::new();
    let proxy = Proxy::to(db.port());
    let mut other = db.command(&["migrate", "--to", "4"]);
    let mut client = db.client();
    proxy.before(3, move || {
        finish(other.spawn().unwrap()).exits(0);
        client
            .batch_execute(
                "create function public.evil() returns trigger language plpgsql as \
                 $$ begin raise exception 'evil ran'; end $$; \
                 create trigger evil before insert on auth.refresh_token for each row execute function public.evil()",
            )
            .unwrap();
    });
    let url = format!("{}?sslmode=disable", db.url_at(proxy.port));
    let run = db.authmig(&["migrate", "--database-url", &url]).exits(4);
    assert!(!run.stderr.contains("evil ran"), "{}", run.stderr);
    assert_eq!(db.history(), [1, 2, 3, 4]);
}

#[test]
fn past_the_limit_a_waiting_run_gives_up_with_6() {
    let db = TestDb::new();
    let mut other = db.client();
    other.batch_execute("begin; select pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
    let run = db.authmig(&["migrate", "--lock-wait", "200ms"]).exits(6);
    assert!(run.stderr.contains("error: authmig's lock is held by process "), "{}", run.stderr);
    assert!(
        run.stderr.contains("nothing was changed\nhint: --lock-wait 5m waits longer\n"),
        "{}",
        run.stderr
    );
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn a_prepared_transaction_that_holds_the_lock_is_named() {
    let server = Server::new("max_prepared_transactions = 1");
    let db = TestDb::on(server.config(), "template0");
    db.client()
        .batch_execute(
            "begin; select pg_advisory_xact_lock(1635087464, 7170407); prepare transaction 'it''s mine'",
        )
        .unwrap();
    let run = db.authmig(&["migrate", "--lock-wait", "0s"]).exits(6);
    let said = "error: authmig's lock is held by the prepared transaction 'it''s mine' of postgres \
         until `rollback prepared 'it''s mine'`, since 2";
    assert!(run.stderr.starts_with(said), "{}", run.stderr);
    db.sql("rollback prepared 'it''s mine'");
    db.authmig(&["migrate"]).exits(0);
}

#[test]
fn runs_in_two_databases_of_one_server_create_their_common_roles_once() {
    let own = crate::support::own_roles();
    let databases: Vec<_> = (0..4).map(|_| TestDb::new()).collect();
    let children: Vec<_> = databases
        .iter()
        .map(|db| db.command(&crate::support::with_options(&["migrate"], &own)).spawn().unwrap())
        .collect();
    for child in children {
        finish(child).exits(0);
    }
}
