//! A login function as an application writes it, on top of `auth.issue_tokens`.

use serde_json::json;

use super::request::Request;
use super::{Stack, refresh};
use crate::support::{role, setting};

/// `api.login`, of a role of the application that may call `auth.issue_tokens` and nothing else of
/// the schema auth.
const LOGIN: &str = "
    create table api.person (email text primary key, password text not null);
    insert into api.person values ('ann@example.org', encode(sha256('right'), 'hex'));
    create function api.login(email text, password text) returns json
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    as $$
    begin
        if not exists (
            select from api.person as p
             where p.email = login.email and p.password = encode(sha256(convert_to(login.password, 'UTF8')), 'hex'))
        then
            raise sqlstate 'PT401' using message = 'Wrong email or password';
        end if;
        perform set_config('response.headers', '[{\"X-Login\": \"1\"}]', true);
        perform auth.issue_tokens(email);
        return json_build_object('email', email);
    end $$;
    revoke execute on function api.login(text, text) from public;
    grant execute on function api.login(text, text) to anon;
    grant usage on schema api to anon";

fn stack() -> Stack {
    let stack = Stack::ours();
    let application = role(&stack.db, "nologin");
    stack.db.sql(&format!(
        "{LOGIN};
         grant usage on schema auth, api to {application};
         grant create on schema api to {application};
         grant select on api.person to {application};
         grant execute on function auth.issue_tokens(text, text) to {application};
         alter function api.login(text, text) owner to {application}"
    ));
    stack
}

fn login(password: &str) -> Request {
    Request::post("api", "login").body(json!({"email": "ann@example.org", "password": password}))
}

#[test]
fn anon_logs_in_and_ends_with_both_cookies_and_one_row() {
    let stack = stack();
    let mut rest = stack.postgrest();
    let answer = rest.send(&login("right")).is(200);
    assert_eq!(answer.body, r#"{"email" : "ann@example.org"}"#);
    assert_eq!(answer.header("x-login"), ["1"]);
    let claims = answer.claims();
    assert_eq!((claims.text("sub"), claims.text("role")), ("ann@example.org", "authenticated"));
    assert_eq!(stack.sessions(), "1 sessions, 1 live");
    // And goes on from there: refresh, the API with the new token, logout.
    let answer = rest.send(&refresh(&answer.refresh_cookie())).is(204);
    let bearer = answer.access_token().to_owned();
    rest.send(&login("right").bearer(&bearer)).is(403);
    rest.send(&Request::post("auth", "logout").cookie(answer.refresh_cookie())).is(204);
    assert_eq!(stack.sessions(), "1 sessions, 0 live");
}

#[test]
fn a_failed_login_leaves_no_cookie_no_header_and_no_row() {
    let stack = stack();
    let mut rest = stack.postgrest();
    for _ in 0..2 {
        let answer = rest.send(&login("wrong"));
        assert_eq!(answer.error(), (401, "PT401", "Wrong email or password"));
        assert_eq!(answer.headers, []);
    }
    // One that fails after the tokens were issued takes them back with it.
    stack.db.sql(
        "create function api.fails() returns void language plpgsql security definer as
            'begin perform auth.issue_tokens(''u1''); raise sqlstate ''PT403'' using message = ''No''; end';
         grant execute on function api.fails() to anon",
    );
    rest.reload();
    let answer = rest.send(&Request::post("api", "fails"));
    assert_eq!(answer.error(), (403, "PT403", "No"));
    assert_eq!(answer.headers, []);
    assert_eq!(stack.sessions(), "0 sessions, 0 live");
    rest.send(&login("right")).is(200);
}

#[test]
fn no_log_of_the_server_holds_a_token_that_was_issued() {
    // Statements and their parameters are not logged here; what the functions say is.
    let stack = stack();
    let secret = stack.unique_secret();
    let answer = stack.send(&login("right")).is(200);
    let cookie = answer.refresh_cookie();
    let successor = stack.refresh(&cookie).is(204).refresh_cookie();
    stack.db.sql("update auth_private.config set grace_seconds = 0");
    stack.refresh(&cookie).is(401);
    let log = std::fs::read(setting("AUTHMIG_TEST_LOG"));
    let Ok(log) = log else { return };
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("its refresh token was used again after it had been replaced"));
    for secret in [answer.access_token(), &cookie[50..], &successor[50..], &*secret] {
        assert!(!log.contains(secret));
    }
}
