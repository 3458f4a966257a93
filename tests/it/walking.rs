//! From an empty database to all migrations and back.

use crate::support::{TestDb, own_roles, versions, with_options};

#[test]
fn up_and_back_down_leaves_an_empty_database_as_it_was() {
    let db = TestDb::new();
    let own = own_roles();
    let before = db.dump(&[]);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    assert_eq!(db.history(), versions());
    db.authmig(&["status", "--check"]).exits(0);
    db.authmig(&["verify"]).exits(0);
    for version in versions().iter().rev().skip(1).map(ToString::to_string) {
        db.authmig(&["rollback", "--to", &version, "--yes", "--discard-data"]).exits(0);
        db.authmig(&["migrate"]).exits(0);
        db.authmig(&["verify"]).exits(0);
    }
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.dump(&["-N", "authmig"]), before);
    assert_eq!(db.ask("select count(*) > 0 from authmig.journal"), "true");
    db.authmig(&["rollback", "--all", "--purge", "--yes"]).exits(0);
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn what_was_there_before_stays() {
    let db = TestDb::new();
    let own = own_roles();
    // Another database has made the roles.
    TestDb::new().authmig(&with_options(&["migrate"], &own)).exits(0);
    let name = |role: &str| {
        own.iter().find_map(|option| option.strip_prefix(&format!("--{role}-role="))).unwrap().to_owned()
    };
    db.sql(
        "create schema extensions; create extension pgcrypto schema extensions;
            create schema api; create table api.mine (id int); insert into api.mine values (1);
            create schema auth; create table auth.mine (id int);",
    );
    db.sql(&format!(
        "grant usage on schema api to {}; grant select on api.mine to {}",
        name("anon"),
        name("service")
    ));
    let before = db.dump(&[]);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["verify"]).exits(0);
    assert_ne!(db.dump(&["-N", "authmig"]), before);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.dump(&["-N", "authmig"]), before);
    db.authmig(&["rollback", "--all", "--yes", "--purge", "--discard-data"]).exits(0);
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn a_newcomer_can_issue_tokens() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql(
        "select set_config('app.settings.jwt_secret', encode(sha256('x'), 'base64'), false);
            select auth.issue_tokens('alice');",
    );
    assert_eq!(db.ask("select count(*) from auth.refresh_token where subject = 'alice'"), "1");
}

#[test]
fn names_may_be_odd() {
    let db = TestDb::new();
    let prefix = crate::support::unique("We \"ird' ü");
    let own: Vec<_> = ["anon", "authenticated", "service", "authenticator", "owner"]
        .map(|role| format!("--{role}-role={prefix} {role}"))
        .into_iter()
        .chain(["--api-schema=My \"API' 日本".to_owned()])
        .collect();
    let before = db.dump(&[]);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["verify"]).exits(0);
    db.sql(
        "select set_config('app.settings.jwt_secret', encode(sha256('x'), 'base64'), false);
            select auth.issue_tokens('alice');",
    );
    db.authmig(&["rollback", "--all", "--purge", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.dump(&[]), before);
}
