//! D1 to D8 of the audit: what keeps the published SQL from working. Each test says what the
//! published SQL does and what ours does.

use serde_json::json;

use super::clock::Clock;
use super::published::{AUTH_SCHEMA, EXTENSIONS, REPAIRED, Sql};
use super::request::Request;
use super::{Roles, Stack, refresh};
use crate::support::{TestDb, role};

#[test]
fn d01_service_may_issue_tokens() {
    let issue = |sql| Stack::of(sql).login("u1", "authenticated").status;
    assert_eq!(issue(Sql::Published), 403);
    assert_eq!(issue(Sql::Ours), 204);
    assert_eq!(
        super::published::grants(&Stack::of(Sql::Published).db),
        ["function auth.issue_tokens(text) does not exist"]
    );
}

#[test]
fn d02_a_good_refresh_cookie_is_good() {
    let status = |sql| {
        let stack = Stack::of(sql);
        let cookie = if sql == Sql::Published {
            stack.db.sql("insert into auth.refresh_token (subject, token) values ('u1', 'x')");
            "refresh_token=x".to_owned()
        } else {
            stack.login("u1", "authenticated").is(204).refresh_cookie()
        };
        let response = stack.send(&refresh(&cookie));
        (response.status, response.code)
    };
    assert_eq!(status(Sql::Published), (400, "42702".to_owned()));
    assert_eq!(status(Sql::Repaired), (204, String::new()));
    assert_eq!(status(Sql::Ours), (204, String::new()));
}

#[test]
fn d03_the_callers_search_path_does_not_matter() {
    let call = |sql, body: &str| {
        let stack = Stack::of(sql);
        stack.db.sql(&format!(
            "create function api.app() returns void language plpgsql security definer as 'begin {body}; end';
             grant usage on schema api to anon;
             grant execute on function api.app() to anon"
        ));
        let response = stack.send(&Request::post("api", "app"));
        (response.status, response.code)
    };
    let issue = "perform auth.issue_tokens(''u1'')";
    assert_eq!(call(Sql::Repaired, issue), (404, "42883".to_owned()));
    assert_eq!(call(Sql::Ours, issue), (204, String::new()));
    let refresh = "perform auth.refresh_tokens()";
    assert_eq!(call(Sql::Repaired, refresh), (404, "42P01".to_owned()));
    assert_eq!(call(Sql::Ours, refresh), (401, "PT401".to_owned()));
}

#[test]
fn d04_pgcrypto_may_live_in_any_schema() {
    let extensions = "create schema extensions; create extension pgcrypto with schema extensions";
    let issue = |stack: &Stack| {
        let response = stack.login("u1", "authenticated");
        (response.status, response.message)
    };

    let db = TestDb::new();
    db.sql(extensions);
    let again = db.client().batch_execute(EXTENSIONS).unwrap_err();
    assert_eq!(again.as_db_error().unwrap().message(), "extension \"pgcrypto\" already exists");
    db.sql(super::published::PREREQUISITES);
    db.sql(AUTH_SCHEMA);
    db.sql(&format!("set search_path = auth; {REPAIRED}"));
    db.sql("grant usage on schema auth to service");
    db.sql(&format!("alter database {} set pgrst.jwt_secret = '{}'", db.name, super::SECRET));
    let published = Stack { db, roles: Roles::default() };
    assert_eq!(
        issue(&published),
        (404, "function public.hmac(bytea, bytea, text) does not exist".to_owned())
    );

    let db = TestDb::new();
    db.sql(extensions);
    let ours = Stack::ours_in(db);
    assert_eq!(issue(&ours), (204, String::new()));
    ours.db.sql("alter extension pgcrypto set schema public");
    assert_eq!(issue(&ours), (204, String::new()));
}

#[test]
fn d05_nobody_needs_execute_on_hmac() {
    // The bootstrap superuser has closed functions; somebody else migrates. pgcrypto is trusted,
    // so its functions are the superuser's, with his default privileges.
    let stack = |sql| {
        let db = TestDb::new();
        let migrator = role(&db, "login createrole");
        db.sql(&format!(
            "alter database {} owner to {migrator};
             grant create on schema public to {migrator};
             alter default privileges revoke execute on functions from public",
            db.name
        ));
        if sql == Sql::Ours {
            return Stack::ours_with(db.run_by(&migrator), Roles::own());
        }
        db.sql(super::published::PREREQUISITES);
        db.sql(&format!("alter schema api owner to {migrator}"));
        db.sql(&format!("set session authorization {migrator}; {EXTENSIONS} {AUTH_SCHEMA}"));
        db.sql(&format!(
            "set session authorization {migrator}; set search_path = auth; {REPAIRED};
             grant usage on schema auth to service"
        ));
        db.sql(&format!("alter database {} set pgrst.jwt_secret = '{}'", db.name, super::SECRET));
        Stack { db, roles: Roles::default() }
    };
    let issue = |sql| {
        let stack = stack(sql);
        let response = stack.login("u1", &stack.roles.authenticated);
        (response.status, response.message)
    };
    assert_eq!(issue(Sql::Repaired), (403, "permission denied for function hmac".to_owned()));
    assert_eq!(issue(Sql::Ours), (204, String::new()));
}

#[test]
fn d06_service_reads_and_writes_the_api_of_today_and_of_tomorrow() {
    let rights = |sql: Sql| {
        let db = TestDb::new();
        db.sql("create schema if not exists api; create table api.before (id bigserial)");
        let stack = if sql == Sql::Ours {
            Stack::ours_in(db)
        } else {
            db.sql("drop schema api cascade");
            Stack { db: sql.install(db), roles: Roles::default() }
        };
        stack.db.sql("create table api.after (id bigserial)");
        stack.db.ask(
            "select concat_ws(' ', has_schema_privilege('service', 'api', 'usage'),
                has_table_privilege('service', 'api.after', 'select'),
                has_table_privilege('service', 'api.after', 'insert'),
                has_sequence_privilege('service', 'api.after_id_seq', 'usage'),
                has_table_privilege('service', 'api.after', 'truncate'))",
        )
    };
    assert_eq!(rights(Sql::Repaired), "f f f f f");
    assert_eq!(rights(Sql::Ours), "t t t t f");
}

#[test]
fn d06_service_reads_and_writes_every_kind_of_what_was_there() {
    let db = TestDb::new();
    db.sql(
        "create schema api; create table api.before (id bigserial);
         create view api.seen as select id from api.before;
         create materialized view api.stored as select id from api.before",
    );
    let rights = "select string_agg(c.relname || ': ' || (
            select string_agg(lower(acl.privilege_type), ' ' order by acl.privilege_type)
              from aclexplode(c.relacl) as acl where acl.grantee = 'service'::regrole), ', ' order by c.relname)
        from pg_class as c where c.relnamespace = 'api'::regnamespace";
    assert_eq!(
        Stack::ours_in(db).db.ask(rights),
        "before: delete insert select update, before_id_seq: select usage, \
         seen: delete insert select update, stored: delete insert select update"
    );
}

#[test]
fn d07_a_clock_at_2039_issues_refreshes_and_logs_out() {
    let issue = |sql| {
        let stack = Stack::of(sql);
        let clock = Clock::over(&stack, sql, "2039-02-01 12:00:00.75+00");
        let response = stack.login("u1", "authenticated");
        if sql != Sql::Ours {
            return (response.status, response.message);
        }
        let claims = response.claims_at(clock.epoch());
        assert_eq!((claims.number("iat"), claims.number("exp")), (2_180_174_400, 2_180_175_000));
        clock.advance("20 days");
        let response = stack.refresh(&response.refresh_cookie()).is(204);
        let claims = response.claims_at(clock.epoch());
        assert_eq!(claims.number("iat"), 2_180_174_400 + 20 * 86400);
        assert!(response.header("set-cookie")[1].ends_with("; Max-Age=864000"), "{response:?}");
        stack.send(&Request::post("auth", "logout").cookie(response.refresh_cookie())).is(204);
        clock.advance("11 days");
        assert_eq!(stack.db.ask("select auth.purge_expired(10)"), "1");
        (204, String::new())
    };
    assert_eq!(issue(Sql::Repaired), (400, "integer out of range".to_owned()));
    assert_eq!(issue(Sql::Ours), (204, String::new()));
}

#[test]
fn d08_a_request_with_a_valid_bearer_token_may_refresh() {
    let status = |sql| {
        let stack = Stack::of(sql);
        let login = stack.login("u1", "authenticated");
        let bearer = login.cookie("access_token").unwrap();
        stack.send(&refresh(&login.refresh_cookie()).bearer(bearer)).status
    };
    assert_eq!(status(Sql::Repaired), 403);
    assert_eq!(status(Sql::Ours), 204);
    // It may log out as well, and nothing else.
    let stack = Stack::ours();
    let login = stack.login("u1", "authenticated");
    let bearer = login.cookie("access_token").unwrap();
    let again = Request::post("auth", "issue_tokens").bearer(bearer).body(json!({"subject": "admin"}));
    assert_eq!(stack.send(&again).error().0, 403);
    stack.send(&Request::post("auth", "logout").cookie(login.refresh_cookie()).bearer(bearer)).is(204);
}
