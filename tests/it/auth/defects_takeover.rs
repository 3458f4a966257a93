//! D9, D11 and D12 of the audit: who may call what, as whom it runs, and who may have been there
//! before. D10 has a file of its own.

use serde_json::json;

use super::Stack;
use super::jwt::SECRET;
use super::published::{AUTH_SCHEMA, PREREQUISITES, Sql};
use super::request::Request;
use crate::support::{TestDb, role};

/// Every public function with arguments that fit, but for the two that anybody may call.
fn closed() -> Vec<Request> {
    [
        ("url_encode", json!({"data": "\\x00"})),
        ("sign_raw", json!({"payload": {"role": "postgres"}, "secret_base64": SECRET})),
        ("generate_user_jwt", json!({"subject": "u1", "secret": SECRET, "role": "postgres"})),
        ("issue_tokens", json!({"subject": "admin@example.org", "role": "service"})),
        ("revoke_subject", json!({"subject": "u1"})),
        ("purge_expired", json!({})),
        ("purge_expired", json!({"batch": 1})),
    ]
    .map(|(name, body)| Request::post("auth", name).body(body))
    .to_vec()
}

#[test]
fn d09_nothing_is_open_to_public() {
    let issue = |sql| {
        let stack = Stack::of(sql);
        let request = Request::post("auth", "issue_tokens");
        let response = stack.send(&request.body(json!({"subject": "admin@example.org", "role": "service"})));
        match response.cookie("access_token") {
            Some(_) => format!("a token of role {}", response.claims().text("role")),
            None => format!("{} {}", response.status, response.message),
        }
    };
    assert_eq!(issue(Sql::Repaired), "a token of role service");
    assert_eq!(issue(Sql::Ours), "401 permission denied for function issue_tokens");
}

#[test]
fn d09_neither_anon_nor_authenticated_may_call_more_than_refresh_and_logout() {
    let answers = |sql| {
        let stack = Stack::of(sql);
        let mut rest = stack.postgrest();
        let mut answers = Vec::new();
        for request in closed() {
            answers.push(rest.send(&request).status);
            answers.push(rest.send(&request.role("authenticated")).status);
        }
        answers
    };
    // authenticated has no usage on the schema there; what is new here is unknown there.
    assert_eq!(
        answers(Sql::Repaired),
        [200, 403, 200, 403, 200, 403, 204, 403, 404, 404, 404, 404, 404, 404]
    );
    assert_eq!(answers(Sql::Ours), [401, 403].repeat(7));
}

#[test]
fn d09_service_may_issue_revoke_and_purge_and_nothing_else() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let answers: Vec<_> =
        closed().into_iter().map(|request| rest.send(&request.role("service")).status).collect();
    assert_eq!(answers, [403, 403, 403, 204, 200, 200, 200]);
}

#[test]
fn d09_no_request_role_may_look_at_the_tables_or_into_auth_private() {
    let stack = Stack::ours();
    let mut client = stack.login_config().connect(postgres::NoTls).unwrap();
    for role in ["authenticator", "anon", "authenticated", "service"] {
        for statement in [
            "select from auth.refresh_token",
            "delete from auth.refresh_token",
            "lock table auth.refresh_token",
            "select from auth_private.config",
            "update auth_private.config set grace_seconds = 60",
            "select auth_private.access_seconds(60)",
            "select auth_private.key_from_settings()",
            "select auth_private.may_be_minted('service', 'authenticator')",
            "create function auth.mine() returns void language sql as ''",
            "create table auth_private.mine ()",
        ] {
            client.batch_execute(&format!("begin; set local role {role}")).unwrap();
            let error = client.batch_execute(statement).unwrap_err();
            client.batch_execute("rollback").unwrap();
            assert_eq!(error.code().unwrap().code(), "42501", "{role}: {statement}");
        }
    }
}

#[test]
fn d11_the_functions_run_as_a_role_that_can_do_nothing_else() {
    let owners = |sql| {
        let stack = Stack::of(sql);
        stack.db.ask(
            "select string_agg(distinct concat_ws(' ', r.rolsuper, r.rolcanlogin, r.rolcreaterole, r.rolcreatedb,
                r.rolreplication, r.rolbypassrls), ', ')
               from pg_proc as p join pg_roles as r on r.oid = p.proowner
              where p.pronamespace::regnamespace::text in ('auth', 'auth_private')",
        )
    };
    assert_eq!(owners(Sql::Repaired), "t t t t t t");
    assert_eq!(owners(Sql::Ours), "f f f f f f");
    let stack = Stack::ours();
    assert_eq!(
        stack.db.ask(
            "select string_agg(distinct n.nspname, ' ' order by n.nspname)
               from pg_shdepend as d
               join pg_class as c on d.classid = 'pg_class'::regclass and c.oid = d.objid
               join pg_namespace as n on n.oid = c.relnamespace
              where d.refobjid = 'auth_owner'::regrole
                and d.dbid = (select oid from pg_database where datname = current_database())"
        ),
        "auth auth_private"
    );
    assert_eq!(
        stack.db.ask(
            "select count(*) from pg_auth_members where member = 'auth_owner'::regrole
                or roleid = 'auth_owner'::regrole and member <> current_user::regrole
                   and member::regrole::text in ('anon', 'authenticated', 'service', 'authenticator')"
        ),
        "0"
    );
}

#[test]
fn d12_a_schema_that_somebody_else_prepared_is_refused() {
    let prepared = |developer: &str| {
        format!(
            "create schema auth authorization {developer};
             set role {developer};
             create function auth.url_encode(data bytea) returns text language sql as 'select ''mine''';
             reset role"
        )
    };
    let db = TestDb::new();
    let developer = role(&db, "nologin");
    db.sql(&prepared(&developer));
    db.sql(PREREQUISITES);
    db.sql("create extension pgcrypto");
    db.sql(AUTH_SCHEMA);
    // It runs inside issue_tokens, as the superuser, and may be replaced by its owner.
    let owner = "select proowner::regrole from pg_proc where oid = 'auth.url_encode(bytea)'::regprocedure";
    assert_eq!(db.ask(owner), developer);

    let db = TestDb::new();
    let developer = role(&db, "nologin");
    db.sql(&prepared(&developer));
    let before = db.dump(&[]);
    let run = db.authmig(&["migrate"]).exits(1);
    assert!(run.stderr.contains(&format!("schema auth belongs to {developer}")), "{}", run.stderr);
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn d12_neither_foreign_create_nor_a_foreign_function_is_taken_over() {
    for (schema, right) in [("auth", "create"), ("auth_private", "create"), ("auth", "create, usage")] {
        let db = TestDb::new();
        let developer = role(&db, "nologin");
        db.sql(&format!("create schema {schema}; grant {right} on schema {schema} to {developer}"));
        let before = db.dump(&[]);
        let run = db.authmig(&["migrate"]).exits(1);
        assert!(run.stderr.contains(&format!("{developer} may create in schema {schema}")), "{}", run.stderr);
        assert_eq!(db.dump(&[]), before);
    }
    for there in [
        "create function auth.url_encode(data bytea) returns text language sql as 'select 1::text'",
        "create function auth.logout(x int) returns void language sql as ''",
        "create table auth.refresh_token (id int)",
        "create table auth.refresh_token (id bigint, subject text, token text, created_at timestamptz)",
        "create view auth.refresh_token as select 1 as id",
    ] {
        let db = TestDb::new();
        db.sql(&format!("create schema auth; {there}"));
        let before = db.dump(&[]);
        let run = db.authmig(&["migrate"]).exits(1);
        assert!(run.stderr.contains("schema auth already holds auth."), "{}", run.stderr);
        // What was published has the table, with these columns.
        assert_eq!(
            run.stderr.contains("--adopt"),
            there.contains("token text, created_at"),
            "{}",
            run.stderr
        );
        assert_eq!(db.dump(&[]), before);
    }
}
