//! `reference/postgrest-contract.md` section 8: the 30 lines by which a test is one "as PostgREST".
//! Each has a test of that number here, or a word on where it is.
//!
//!  1 to 8  what the harness does: postgrest.rs; that it does so is `line_01` to `line_08`
//!  9, 10   `line_09`, `line_10`
//! 11       http.rs (`status_of`), `line_11`
//! 12       http.rs (`headers`, `status`)
//! 13, 14   `line_13`, `line_14`; D25 in `defects_requests.rs`
//! 15, 16   `line_15`, `line_16`
//! 17, 18   `line_17`, `line_18`
//! 19, 20   `line_19`, `line_20`; deadlocks in rotation.rs and D29
//! 21       jwt.rs, by which every access token of these tests is opened
//! 22       settings.rs for what is stored; `authmig secret` in secret.rs
//! 23, 24   D23 in `defects_requests.rs`; `line_23`, `line_24`
//! 25       D9 in `defects_takeover.rs`; `line_25`
//! 26, 27   `line_26`, `line_27`
//! 28       scripts.rs (`postgrest_is_told_by_the_commit_and_only_by_it`); `line_28` for the settings
//! 29       rollback.rs (`the_embedded_set_counts_live_sessions_and_the_exposed_schema`)
//! 30       login.rs

use serde_json::json;

use super::request::Request;
use super::{Roles, Stack, refresh};
use crate::support::TestDb;

/// A function `api.seen()` that returns what a function of this request sees.
fn looking() -> Stack {
    looking_with(Roles::default())
}

fn looking_with(roles: Roles) -> Stack {
    let stack = Stack::ours_with(TestDb::new(), roles);
    stack.db.sql(&format!(
        "create table api.log (at timestamptz);
         create function api.seen(setting text default 'search_path') returns text
         language plpgsql volatile as 'begin return pg_catalog.current_setting(setting, true); end';
         create function api.stable_seen(setting text default 'search_path') returns text
         language plpgsql stable as 'begin return pg_catalog.current_setting(setting, true); end';
         create function api.users() returns text language sql volatile as 'select concat(session_user, '' '', current_user)';
         create function api.held() returns text language sql volatile as
             'select string_agg(concat(split_part(statement, '' '', 1), '' '', generic_plans + custom_plans), '', '' order by prepare_time)
                from pg_prepared_statements';
         grant usage on schema api to {0}, {1}; grant execute on all functions in schema api to {0}, {1}",
        stack.roles.anon, stack.roles.authenticated,
    ));
    stack
}

fn seen(setting: &str) -> Request {
    Request::post("api", "seen").body(json!({"setting": setting}))
}

#[test]
fn line_01_and_02_the_authenticator_logs_in_and_keeps_named_statements() {
    let stack = looking();
    let attributes =
        "select concat(rolsuper, rolinherit, rolcanlogin) from pg_roles where rolname = 'authenticator'";
    assert_eq!(stack.db.ask(attributes), "fft");
    let mut rest = stack.postgrest();
    assert_eq!(rest.send(&Request::post("api", "users")).body, r#""authenticator anon""#);
    let service = Request::post("api", "users").role("service");
    assert_eq!(rest.send(&service).body, r#""authenticator service""#);
    let held = |rest: &mut super::PostgRest| rest.send(&Request::post("api", "held")).is(200).body;
    let (first, second) = (held(&mut rest), held(&mut rest));
    assert!(first.contains("begin ") && first.contains("with ") && first.contains("commit "), "{first}");
    assert_ne!(first, second, "executed again and not prepared again");
    assert_eq!(held(&mut stack.unnamed()), "null");
}

#[test]
fn line_02_the_same_with_unnamed_statements() {
    let stack = Stack::ours();
    let mut rest = stack.unnamed();
    let mut answer = rest.send(&stack.issue(json!({"subject": "u1", "role": "anon"}))).is(204);
    for _ in 0..10 {
        answer = rest.send(&refresh(&answer.refresh_cookie())).is(204);
        assert_eq!(answer.claims().text("role"), "anon");
    }
    rest.send(&Request::post("auth", "logout").cookie(answer.refresh_cookie())).is(204);
    assert_eq!(rest.send(&refresh(&answer.refresh_cookie())).status, 401);
}

#[test]
fn line_03_isolation_and_access_mode_are_those_of_the_request() {
    let roles = Roles::own();
    let stack = looking_with(roles.clone());
    let ask = |function: &str, method, setting: &str| {
        let request = Request::new(method, "api", function);
        let request = if method == "POST" {
            request.body(json!({"setting": setting}))
        } else {
            request.query("setting", setting)
        };
        stack.send(&request).is(200).body
    };
    assert_eq!(ask("seen", "POST", "transaction_read_only"), r#""off""#);
    assert_eq!(ask("seen", "GET", "transaction_read_only"), r#""on""#);
    assert_eq!(ask("stable_seen", "POST", "transaction_read_only"), r#""on""#);
    assert_eq!(ask("seen", "POST", "transaction_isolation"), r#""read committed""#);
    stack.db.sql(&format!("alter role {} set default_transaction_isolation to serializable", roles.anon));
    assert_eq!(ask("seen", "POST", "transaction_isolation"), r#""serializable""#);
}

#[test]
fn line_04_to_06_the_settings_of_a_request_are_those_of_postgrest() {
    let roles = Roles::own();
    let stack = looking_with(roles.clone());
    stack.db.sql(&format!("alter role {} set statement_timeout to '77s'", roles.anon));
    let mut rest = stack.postgrest();
    rest.app_settings.push(("jwt_exp".to_owned(), "300".to_owned()));
    let mut ask = |setting: &str, cookie: &str| {
        let body = rest.send(&seen(setting).cookie(cookie)).is(200).body;
        serde_json::from_str::<Option<String>>(&body).unwrap().unwrap_or_default()
    };
    for (setting, value) in [
        ("search_path", r#""api", "public""#),
        ("statement_timeout", "77s"),
        ("role", &*roles.anon),
        ("request.jwt.claims", &format!(r#"{{"role":"{}"}}"#, roles.anon)),
        ("request.method", "POST"),
        ("request.path", "/rpc/seen"),
        ("request.headers", r#"{"accept":"*/*","content-profile":"api","host":"app.example"}"#),
        ("request.cookies", "{}"),
        ("app.settings.jwt_exp", "300"),
        ("response.headers", ""),
    ] {
        assert_eq!(ask(setting, ""), value, "{setting}");
    }
    assert_eq!(ask("request.cookies", "a=1; b=\"2\"; a=3"), r#"{"a":"3","b":"\"2\""}"#);
}

#[test]
fn line_05_no_token_function_looks_into_public() {
    // Every stack of ours has hostile_public.sql. That it bites is in defects_definer.rs.
    let stack = Stack::ours();
    let path = "select current_setting('search_path')";
    assert_eq!(stack.db.ask(path), "\"$user\", public");
    let hijack = stack.db.client().batch_execute("select to_json('x'::text)").unwrap_err();
    assert_eq!(hijack.code().unwrap().code(), "ZZ999");
    stack.refresh(&stack.login("u1", "authenticated").is(204).refresh_cookie()).is(204);
}

#[test]
fn line_07_and_24_arguments_arrive_as_postgrest_passes_them() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let mut claim = |name: &str, body: &str| {
        let answer = rest.send(&stack.issue(body));
        match answer.status {
            204 => answer.claims().text(name).to_owned(),
            status => format!("{status} {}", answer.code),
        }
    };
    // Keys left out take the default; null does not.
    assert_eq!(claim("role", r#"{"subject": "u1"}"#), "authenticated");
    assert_eq!(claim("role", r#"{"subject": "u1", "role": null}"#), "400 22023");
    assert_eq!(claim("sub", r#"{"subject": null}"#), "400 22023");
    // For a text argument anything else is its JSON.
    assert_eq!(claim("sub", r#"{"subject": 1.50}"#), "1.50");
    assert_eq!(claim("sub", r#"{"subject": true}"#), "true");
    assert_eq!(claim("sub", r#"{"subject": {"a": 1}}"#), r#"{"a": 1}"#);
    assert_eq!(claim("sub", r#"{"subject": [1, 2]}"#), "[1, 2]");
    assert_eq!(claim("role", r#"{"subject": "u1", "role": ["anon"]}"#), "400 22023");
    // Of an array the first element, of a doubled key the last.
    assert_eq!(claim("sub", r#"[{"subject": "first"}, {"subject": "second"}]"#), "first");
    assert_eq!(claim("sub", r#"{"subject": "first", "subject": "last"}"#), "last");
    assert_eq!(claim("sub", r#"{"subject": "a\u0000b"}"#), "400 22P05");
    for body in ["{}", "[]", r#""u1""#, r#"{"sub": "u1"}"#, r#"{"subject": "u1", "x": 1}"#] {
        assert_eq!(claim("sub", body), "404 PGRST202", "{body}");
    }
    for body in ["{}", "[]"] {
        assert_eq!(rest.send(&refresh("").body(body)).code, "PT401");
    }
    assert_eq!(rest.send(&refresh("").body(r#"{"x": 1}"#)).code, "PGRST202");
}

#[test]
fn line_08_and_13_headers_are_read_after_the_call_and_each_cookie_is_its_own() {
    let stack = Stack::ours();
    let answer = stack.login("u1", "authenticated").is(204);
    let names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["Set-Cookie", "Set-Cookie", "Cache-Control"]);
    assert!(answer.header("set-cookie")[0].starts_with("access_token=ey"));
    assert!(answer.header("set-cookie")[1].starts_with("refresh_token="));
}

#[test]
fn line_09_and_18_one_connection_answers_everything_again_and_again() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let mut round = || {
        let login = rest.send(&stack.issue(json!({"subject": "u1"}))).is(204);
        let unknown = rest.send(&refresh("refresh_token=x"));
        let successor = rest.send(&refresh(&login.refresh_cookie())).is(204);
        let closed = rest.send(&Request::post("auth", "issue_tokens").body(json!({"subject": "u1"})));
        let guess = rest.send(&refresh(&format!("{}{}", &login.refresh_cookie()[..51], "a".repeat(64))));
        let over = rest.send(&refresh(&successor.refresh_cookie()));
        let again = rest.send(&Request::post("auth", "logout").cookie(successor.refresh_cookie()));
        let get = rest.send(&Request::new("GET", "auth", "refresh_tokens"));
        let unlawful = rest.send(&stack.issue(json!({"subject": "u1", "role": "postgres"})));
        // '' and not null: what a connection has that was used before.
        assert_eq!(rest.setting_seen_by("anon", "response.headers").as_deref(), Some(""));
        assert_eq!(rest.setting_seen_by("anon", "response.status").as_deref(), Some(""));
        assert_eq!(rest.setting_seen_by("anon", "request.cookies").as_deref(), Some(""));
        [unknown, closed, guess, over, again, get, unlawful].map(|answer| (answer.status, answer.code))
    };
    let first = round();
    assert_eq!(first.each_ref().map(|(status, _)| *status), [401, 401, 401, 401, 204, 405, 400]);
    // Seven times: from the sixth on PostgreSQL may use generic plans.
    for _ in 0..6 {
        assert_eq!(round(), first);
    }
}

#[test]
fn line_10_an_error_takes_headers_and_rows_with_it_and_a_status_does_not() {
    let stack = Stack::ours();
    stack.db.sql(
        "create function api.both(fail boolean) returns void language plpgsql security definer as $$
         begin
             perform auth.issue_tokens('u1');
             perform set_config('response.status', '401', true);
             if fail then raise exception 'no'; end if;
         end $$;
         grant usage on schema api to anon; grant execute on function api.both(boolean) to anon",
    );
    let answer = stack.send(&Request::post("api", "both").body(json!({"fail": true}))).is(400);
    assert_eq!((answer.headers.len(), stack.sessions()), (0, "0 sessions, 0 live".to_owned()));
    let answer = stack.send(&Request::post("api", "both").body(json!({"fail": false}))).is(401);
    assert_eq!((answer.headers.len(), stack.sessions()), (3, "1 sessions, 1 live".to_owned()));
}
