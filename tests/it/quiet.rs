//! `verify` raises no false alarm, and is in nobody's way.

use std::sync::Arc;

use authmig::checks::self_test;

use crate::auth::{Roles, Stack, refresh};
use crate::support::{TestDb, major, own_roles, setting, unique, with_options};

/// An installation with roles of its own.
fn stack() -> Stack {
    Stack::ours_with(TestDb::new(), Roles::own())
}

/// Verified, and not even advice is given.
#[track_caller]
fn sound(stack: &Stack, when: &str) {
    let run = stack.db.authmig(&["verify", "--strict"]);
    assert_eq!(run.code, 0, "{when}: {}", run.stdout);
}

#[test]
fn a_minor_upgrade_of_pgcrypto_is_no_alarm() {
    let stack = stack();
    stack.db.sql("drop extension pgcrypto; create extension pgcrypto schema public version '1.3'");
    if major() < 18 {
        // 1.3 is the newest there, and none has a script that creates 1.2. The upgrade is real.
        stack.db.sql("update pg_extension set extversion = '1.2' where extname = 'pgcrypto'");
    }
    sound(&stack, "before");
    let version = "select extversion from pg_extension where extname = 'pgcrypto'";
    let before = stack.db.ask(version);
    stack.db.sql("alter extension pgcrypto update");
    assert_ne!(stack.db.ask(version), before);
    sound(&stack, "after");
}

#[test]
fn many_sessions_are_no_alarm() {
    // bench/auth verify does the same with 1,000,000.
    let stack = stack();
    stack.db.sql(
        "insert into auth.refresh_token
            (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at, revoked_at, revoked_why)
         select gen_random_uuid(), concat('user ', n % 1000), 'x', sha256(n::text::bytea), now(), now(),
                now() + interval '1 day' * (n % 100), case when n % 3 = 0 then now() end, case when n % 3 = 0 then 'logout' end
           from generate_series(1, 50000) as n",
    );
    sound(&stack, "not analysed");
    stack.db.sql("analyze");
    sound(&stack, "analysed");
    stack.db.sql("delete from auth.refresh_token where expires_at < now() + interval '50 days'");
    stack.db.sql("vacuum full");
    sound(&stack, "vacuumed");
    stack.db.sql("reindex schema auth");
    sound(&stack, "reindexed");
}

#[test]
fn a_dump_restored_in_another_format_and_by_its_parts_is_no_alarm() {
    let stack = stack();
    stack.login("u1", &stack.roles.authenticated).is(204);
    for options in [&["--inserts"][..], &["--column-inserts", "--quote-all-identifiers"]] {
        let other = TestDb::new();
        other.sql(&stack.db.dump(options));
        other.authmig(&with_options(&["verify", "--strict"], &stack.roles.options())).exits(0);
    }
    let parts = TestDb::new();
    for section in ["pre-data", "data", "post-data"] {
        parts.sql(&stack.db.dump(&["--inserts", "--section", section]));
    }
    parts.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn refreshes_go_on_while_it_runs() {
    let stack = stack();
    let authenticated = &stack.roles.authenticated;
    std::thread::scope(|scope| {
        // A panic drops it, too.
        let going_on = Arc::new(());
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (stack, here) = (&stack, Arc::downgrade(&going_on));
                scope.spawn(move || {
                    let mut rest = stack.postgrest();
                    let mut cookie =
                        stack.login(&format!("u{number}"), authenticated).is(204).refresh_cookie();
                    let mut count = 0;
                    while here.strong_count() > 0 || count < 10 {
                        cookie = rest.send(&refresh(&cookie)).is(204).refresh_cookie();
                        count += 1;
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            sound(&stack, "beside refreshes");
        }
        drop(going_on);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(stack.sessions(), "4 sessions, 4 live");
}

#[test]
fn a_superusers_verify_leaves_no_line_in_the_log_and_a_real_reuse_does() {
    let stack = stack();
    sound(&stack, "first");
    let line = format!("of role {} ended: its refresh token was used again", stack.roles.authenticated);
    let log = || std::fs::read_to_string(setting("AUTHMIG_TEST_LOG")).unwrap();
    assert!(!log().contains(&line));
    stack.db.sql("update auth_private.config set grace_seconds = 0");
    let cookie = stack.login("u1", &stack.roles.authenticated).is(204).refresh_cookie();
    stack.refresh(&cookie).is(204);
    stack.refresh(&cookie).is(401);
    assert!(log().contains(&line));
}

#[test]
fn a_superusers_run_that_fails_does_not_write_its_message_into_the_log() {
    let db = TestDb::new();
    let (own, mark) = (own_roles(), unique("marked"));
    let api = format!("--api-schema={mark}");
    let migrate = [&with_options(&["migrate"], &own)[..], &[&api]].concat();
    let marked = || {
        let log = std::fs::read(setting("AUTHMIG_TEST_LOG")).unwrap();
        String::from_utf8_lossy(&log).matches(&mark).count()
    };
    db.authmig(&[&migrate[..], &["--to", "1"]].concat()).exits(0);
    let before = marked();
    // Somebody else holds the lock.
    let mut other = db.client();
    other.batch_execute("begin; select pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
    db.authmig(&[&migrate[..], &["--lock-wait", "0s"]].concat()).exits(6);
    other.batch_execute("rollback").unwrap();
    // Something stands in the way.
    db.sql("create schema auth; create table auth.refresh_token (id int)");
    db.authmig(&migrate).exits(1);
    assert_eq!(marked(), before);
    // Anybody else's statement would be there.
    other.batch_execute(&format!("select 1 / 0 as {mark}")).unwrap_err();
    assert_eq!(marked(), before + 1);
}

#[test]
fn nobody_waits_for_its_open_transaction() {
    let stack = stack();
    let Roles { authenticated, service, .. } = &stack.roles;
    let old = stack.login("u1", authenticated).is(204).refresh_cookie();

    // The self-test as it is before it is taken back.
    let mut verify = stack.db.client();
    verify.batch_execute("begin; set local search_path = pg_catalog, pg_temp").unwrap();
    for (name, role) in [
        ("anon_role", &stack.roles.anon),
        ("authenticated_role", authenticated),
        ("service_role", service),
        ("authenticator_role", &stack.roles.authenticator),
        ("owner_role", &stack.roles.owner),
    ] {
        verify
            .execute("select set_config('authmig.' || $1::text, $2::text, true)", &[&name, &role.as_str()])
            .unwrap();
    }
    verify.batch_execute(self_test::SQL).unwrap();
    let strong = "select count(*) from pg_locks as l join pg_class as c on c.oid = l.relation
        where l.pid <> pg_backend_pid() and c.relnamespace::regnamespace::text in ('auth', 'auth_private')
          and l.database = (select oid from pg_database where datname = current_database())
          and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')";
    assert_eq!(stack.db.ask(strong), "0");

    // Who waited would fail by this, and be answered with 500.
    stack.db.sql(&format!("alter database {} set lock_timeout = '1s'", stack.db.name));
    let mut rest = stack.postgrest();
    let new = rest.send(&refresh(&old)).is(204).refresh_cookie();
    rest.send(&stack.issue(serde_json::json!({"subject": "u2", "role": authenticated}))).is(204);
    let of_service = |function: &str, body: &str| crate::auth::post(function).role(service).body(body);
    assert_eq!(rest.send(&of_service("revoke_subject", r#"{"subject": "u2"}"#)).is(200).body, "1");
    stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp() where subject = 'u2'");
    assert_eq!(rest.send(&of_service("purge_expired", "{}")).is(200).body, "1");
    rest.send(&crate::auth::post("logout").cookie(new)).is(204);
    verify.batch_execute("rollback").unwrap();
    assert_eq!(stack.sessions(), "1 sessions, 0 live");
}
