//! Who may create schemas renames one while a superuser's authmig looks: what was not there when it
//! looked is looked up by name a moment later, and must not be run then.

use std::sync::Arc;
use std::time::Duration;

use postgres::{Client, NoTls};

use crate::adopt;
use crate::support::{Run, TestDb, finish, own_roles, role, with_options};

/// A schema `hidden` of whoever may create schemas, in which everything that may be looked at
/// runs code; and a connection of theirs.
fn planted(db: &TestDb, tables: &str) -> Client {
    let bob = role(db, "login");
    db.sql(&format!("grant create on database {} to {bob}", db.name));
    let mut client = Client::connect(&db.url().replace("postgres@", &format!("{bob}@")), NoTls).unwrap();
    client
        .batch_execute(&format!(
            "create schema bobs; create schema hidden; grant usage on schema bobs, hidden to public; \
             create function bobs.evil() returns int immutable language plpgsql as \
             $$ begin if current_setting('is_superuser') = 'on' then raise exception 'ran as %', current_user; end if; return 1; end $$; \
             {tables}"
        ))
        .unwrap();
    client
}

const LEDGER: &str = "create table hidden.schema_history (version int, name text, applied_on text, checksum text, \
    sha256 text, applied_by text, authmig_version text); \
    create index on hidden.schema_history (version) where bobs.evil() = 1; \
    create table hidden.parameter (name text, value text); \
    create index on hidden.parameter (name) where bobs.evil() = 1";

const VIEWS: &str = "create view hidden.schema_history as select bobs.evil() as version, ''::text as name, ''::text as applied_on, \
    ''::text as checksum, ''::text as sha256, ''::text as applied_by, ''::text as authmig_version; \
    create view hidden.parameter as select bobs.evil()::text as name, ''::text as value; \
    create view hidden.journal as select bobs.evil() as id, 'rollback'::text as action, array[2] as versions";

#[test]
fn a_ledger_that_comes_while_authmig_looks_is_not_read() {
    let db = TestDb::new();
    let mut bob = planted(&db, LEDGER);
    std::thread::scope(|scope| {
        // Dropped at the end, and by a panic.
        let going_on = Arc::new(());
        let here = Arc::downgrade(&going_on);
        scope.spawn(move || {
            while here.strong_count() > 0 {
                bob.batch_execute("alter schema hidden rename to authmig").unwrap();
                bob.batch_execute("alter schema authmig rename to hidden").unwrap();
            }
        });
        let runs = (0..60).map(|_| format!("{:?}", db.authmig(&["status"])));
        let ran = runs.into_iter().find(|run| run.contains("ran as"));
        assert_eq!(ran, None);
    });
}

/// The run of authmig during which `bob` commits what he has begun, so long after it has its lock.
fn overtaken(db: &TestDb, arguments: &[&str], bob: &mut Client, begun: &str, pause: Duration) -> Run {
    let held =
        "select exists (select from pg_locks where locktype = 'advisory' and classid = 1635087464 and granted
            and database = (select oid from pg_database where datname = current_database()))";
    for _ in 0..100 {
        bob.batch_execute(&format!("begin; {begun}")).unwrap();
        let mut child = db.command(arguments).spawn().unwrap();
        // A run that is refused may have had it between two looks.
        while child.try_wait().unwrap().is_none() {
            if bob.query_one(held, &[]).unwrap().get(0) {
                std::thread::sleep(pause);
                bob.batch_execute("commit").unwrap();
                return finish(child);
            }
        }
        bob.batch_execute("rollback").unwrap();
    }
    panic!("in none of 100 runs was the lock seen");
}

#[test]
fn a_ledger_that_comes_behind_the_lock_is_not_read() {
    for round in 0..8 {
        let (db, own) = (TestDb::new(), own_roles());
        let mut bob = planted(&db, VIEWS);
        if round % 2 == 1 {
            // The preflight asks the journal whether a rollback has left these.
            bob.batch_execute(
                "create schema auth_private; create table auth_private.config (x int); \
                 create schema auth; create table auth.refresh_token (selector uuid)",
            )
            .unwrap();
        }
        let begun = "alter schema hidden rename to authmig";
        let run = overtaken(&db, &with_options(&["migrate"], &own), &mut bob, begun, Duration::ZERO);
        assert!(!format!("{run:?}").contains("ran as") && run.code != 0, "{run:?}");
    }
}

#[test]
fn what_comes_behind_the_lock_is_not_adopted() {
    for tenths in 0..24 {
        let pause = Duration::from_micros(tenths * 100);
        let (db, own) = (TestDb::new(), own_roles());
        db.sql(adopt::EXTENSIONS);
        let mut bob = planted(&db, "");
        bob.batch_execute(&format!(
            "{}; create index on auth.refresh_token (subject) where bobs.evil() = 1; drop schema hidden; alter schema auth rename to hidden",
            adopt::repaired()
        ))
        .unwrap();
        let arguments = with_options(&["migrate", "--adopt"], &own);
        let run = overtaken(&db, &arguments, &mut bob, "alter schema hidden rename to auth", pause);
        assert!(!format!("{run:?}").contains("ran as") && run.code != 0, "{run:?}");
    }
}
