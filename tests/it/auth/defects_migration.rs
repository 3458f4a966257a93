//! D31 to D36 of the audit: the SQL as migrations.
//!
//! D31 and D32 are shown on the scripts alone; that the tool enforces it is in scripts.rs (settings
//! before each script) and in `authmig::scanner` (what a script must not contain). D33 is here for
//! the real scripts; the engine's side is in rollback.rs and walking.rs. D34 is in environments.rs
//! and privileges.rs. D35 is `migrate --adopt`, which has tests of its own (adopt.rs).

use authmig::catalog::Catalog;

use super::published::{AUTH_SCHEMA, EXTENSIONS, GRANTS, PREREQUISITES};
use crate::support::{Files, TestDb, role, with_options};

/// The text of the up scripts, in order.
fn up_scripts() -> Vec<String> {
    Catalog::embedded()
        .unwrap()
        .migrations()
        .iter()
        .map(|migration| migration.up.sql.clone().into_owned())
        .collect()
}

/// A database with an empty ledger, and the settings that the scripts read.
fn ledger() -> (TestDb, &'static str) {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    let settings = "set authmig.anon_role = 'anon'; set authmig.authenticated_role = 'authenticated';
        set authmig.service_role = 'service'; set authmig.authenticator_role = 'authenticator';
        set authmig.owner_role = 'auth_owner'; set authmig.api_schema = 'api'";
    (db, settings)
}

#[test]
fn d31_no_script_leaves_a_search_path_behind() {
    let path = |db: &TestDb, before: &str, scripts: &[String]| {
        let mut client = db.client();
        client.batch_execute(before).unwrap();
        for script in scripts {
            client.batch_execute(script).unwrap();
        }
        client.batch_execute("create table customer ()").unwrap();
        let place = "select relnamespace::regnamespace::text from pg_class where relname = 'customer'";
        client.query_one(place, &[]).unwrap().get::<_, String>(0)
    };
    let db = TestDb::new();
    assert_eq!(path(&db, PREREQUISITES, &[EXTENSIONS.to_owned(), AUTH_SCHEMA.to_owned()]), "auth");
    let (db, settings) = ledger();
    assert_eq!(path(&db, settings, &up_scripts()), "public");
}

#[test]
fn d32_no_script_ends_the_transaction_of_the_tool() {
    let left = |db: &TestDb, before: &str, scripts: &[String]| {
        let mut client = db.client();
        client.batch_execute(before).unwrap();
        client.batch_execute("begin").unwrap();
        for script in scripts {
            client.batch_execute(script).unwrap();
        }
        client.batch_execute("rollback").unwrap();
        db.ask("select concat(to_regnamespace('auth'), ' ', to_regclass('auth.refresh_token'))")
    };
    let db = TestDb::new();
    let published = [EXTENSIONS.to_owned(), AUTH_SCHEMA.to_owned()];
    assert_eq!(left(&db, PREREQUISITES, &published), "auth auth.refresh_token");
    let (db, settings) = ledger();
    assert_eq!(left(&db, settings, &up_scripts()), " ");
}

#[test]
fn d32_the_tool_refuses_the_published_scripts() {
    let files =
        Files::default().and("01-extensions", EXTENSIONS, "", "").and("02-auth_schema", AUTH_SCHEMA, "", "");
    let db = TestDb::new();
    let run = db.authmig_with(&files, &["migrate"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("02-auth_schema.up.sql:1:1"), "{}", run.stderr);
    assert_eq!(db.ask("select to_regnamespace('auth')::text"), "");
}

#[test]
fn d33_the_way_back_takes_only_what_was_brought() {
    // Of others: a function in schema auth, a default that uses pgcrypto, grants on the API.
    let db = TestDb::new();
    let other = role(&db, "nologin");
    db.sql(&format!(
        "create schema auth; create schema api; create extension pgcrypto;
         create table auth.other (id int);
         create function auth.uid() returns text language sql as 'select 1::text';
         create table api.person (id uuid default gen_random_uuid(), password text default crypt('x', gen_salt('bf', 4)));
         grant usage on schema auth, api to {other}; grant select on api.person to {other}"
    ));
    let before = db.dump(&["--exclude-schema=authmig"]);
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.dump(&["--exclude-schema=authmig"]), before);
}

#[test]
fn d33_what_had_been_granted_before_stays_granted() {
    let (db, roles) = (TestDb::new(), super::Roles::own());
    db.sql(&format!(
        "create role {anon}; create role {service}; create schema auth; create schema api;
         create table api.person (id serial); grant usage on schema auth to {anon};
         create table api.place (x int, y int, z int);
         grant usage on schema api to {service}; grant select on api.person to {service} with grant option;
         grant insert (x, y) on api.place to {service}; grant insert (z) on api.place to {service} with grant option;
         alter default privileges in schema api grant select on tables to {service};
         alter default privileges in schema api grant usage on sequences to {service} with grant option",
        anon = roles.anon,
        service = roles.service
    ));
    let before = db.dump(&["--exclude-schema=authmig"]);
    db.authmig(&with_options(&["migrate"], &roles.options())).exits(0);
    assert_ne!(db.dump(&["--exclude-schema=authmig"]), before);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.dump(&["--exclude-schema=authmig"]), before);
}

#[test]
fn d33_what_had_to_stay_is_not_taken_by_a_later_way_back() {
    let (db, roles) = (TestDb::new(), super::Roles::own());
    let there = "select concat_ws(' ', to_regnamespace('auth'), to_regnamespace('api'),
        (select extname from pg_extension where extname = 'pgcrypto'))";
    let migrate = || db.authmig(&with_options(&["migrate"], &roles.options())).exits(0);
    let rollback = || db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    migrate();
    db.sql("create table auth.other (hash text default public.gen_salt('md5')); create table api.other ()");
    rollback();
    assert_eq!(db.ask(there), "auth api pgcrypto");
    // By now it is theirs, whether they use it or not.
    db.sql("drop table auth.other, api.other; alter schema auth owner to postgres");
    migrate();
    rollback();
    assert_eq!(db.ask(there), "auth api pgcrypto");
}

#[test]
fn d34_grants_on_an_api_of_somebody_else_are_a_notice() {
    // 05-grants of the page fails: `permission denied for schema api`.
    let db = TestDb::new();
    let (migrator, stranger) = (role(&db, "login createrole"), role(&db, "nologin"));
    db.sql(&format!(
        "alter database {} owner to {migrator};
         create schema api authorization {stranger}; create table api.theirs (id int);
         alter table api.theirs owner to {stranger}",
        db.name
    ));
    let grant = "grant all on all tables in schema api to public";
    let published = db.client().batch_execute(&format!("set role {migrator}; {grant}")).unwrap_err();
    assert_eq!(published.as_db_error().unwrap().message(), "permission denied for schema api");
    assert!(GRANTS.contains("grant all on all tables in schema api"));

    let roles = super::Roles::own();
    let service = &roles.service;
    let options = roles.options();
    let db = db.run_by(&migrator);
    let said = format!(
        "notice: {migrator} may not grant to {service}: delete on table api.theirs, insert on table api.theirs, \
         select on table api.theirs, update on table api.theirs, usage on schema api\n"
    );
    for theirs in ["", "grant usage on schema api to {}; grant select on api.theirs to {}"] {
        // Where it has some right of its own, GRANT does nothing and warns of that.
        db.sql(&theirs.replace("{}", &migrator));
        let run = db.authmig(&with_options(&["migrate"], &options)).exits(0);
        assert!(run.stderr.contains(&said) && !run.stderr.contains("warning"), "{}", run.stderr);
        assert_eq!(db.ask("select count(*) from authmig.created where name ~ ' (schema|table) api'"), "0");
        let run = db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    }
}

/// What `envsubst` makes of a text without any variable set.
fn envsubst(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.trim_start_matches('{');
        let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        let braces = rest.len() - name.len();
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        match (starts, braces) {
            (true, 0) => rest = &name[length..],
            (true, 1) if name[length..].starts_with('}') => rest = &name[length + 1..],
            _ => result.push('$'),
        }
    }
    result + rest
}

#[test]
fn d36_envsubst_leaves_the_scripts_alone() {
    assert_eq!(envsubst("as $fn$ select ${HOME} || '$1' $fn$; do $$declare"), "as $ select  || '$1' $; do $");
    for migration in Catalog::embedded().unwrap().migrations() {
        for script in [&migration.up, &migration.down, &migration.verify] {
            assert!(envsubst(&script.sql) == script.sql, "{}", script.file);
        }
    }
}
