//! D13, D14, D17, D18, D20 to D22 of the audit: what is signed, with what, and what is random.

use postgres::NoTls;
use serde_json::json;

use super::Stack;
use super::clock::Clock;
use super::jwt::{self, SECRET};
use super::published::Sql;
use super::request::Response;

/// A stack whose only secret is this setting of the database.
fn with_setting(sql: Sql, secret: &str) -> Stack {
    let stack = Stack::of(sql);
    if sql == Sql::Ours {
        stack.db.sql("update auth_private.config set jwt_secret = null");
    }
    stack.db.sql(&format!("alter database {} set pgrst.jwt_secret = '{secret}'", stack.db.name));
    stack
}

/// Whether the access token is signed with this key.
fn signed_with(response: &Response, key: &[u8]) -> bool {
    response.cookie("access_token").is_some_and(|token| jwt::opened(token, key).is_ok())
}

#[test]
fn d13_an_empty_secret_does_not_sign() {
    let login = |sql| with_setting(sql, "").login("u1", "authenticated");
    assert!(signed_with(&login(Sql::Repaired), b""));
    assert_eq!(login(Sql::Ours).error(), (500, "55000", "no JWT secret is set"));

    // The usual way to an empty one: set it in a transaction, on a connection that lives on.
    let reused = |sql| {
        let stack = with_setting(sql, SECRET);
        stack.db.sql(&format!("alter database {} reset pgrst.jwt_secret", stack.db.name));
        let mut rest = stack.postgrest();
        rest.session()
            .batch_execute(&format!("begin; set local pgrst.jwt_secret = '{SECRET}'; commit"))
            .unwrap();
        rest.send(&stack.issue(json!({"subject": "u1"})))
    };
    assert!(signed_with(&reused(Sql::Repaired), b""));
    assert_eq!(reused(Sql::Ours).error(), (500, "55000", "no JWT secret is set"));
}

#[test]
fn d13_a_short_secret_does_not_sign() {
    for (secret, key) in [("eA==", &b"x"[..]), ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==", &[0; 0])] {
        let login = |sql| with_setting(sql, secret).login("u1", "authenticated");
        assert!(key.is_empty() || signed_with(&login(Sql::Repaired), key));
        let ours = login(Sql::Ours);
        assert_eq!(ours.error(), (500, "55000", "the JWT secret is not base64 of 32 bytes or more"));
        assert!(!ours.text().contains(secret), "{ours:?}");
    }
}

#[test]
fn d13_both_alphabets_padded_or_not_make_the_same_key() {
    let standard = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7//8=";
    let key = base64_of(standard);
    for (secret, published) in [
        (standard.to_owned(), 204),
        (standard.trim_end_matches('=').to_owned(), 400),
        (standard.replace('+', "-").replace('/', "_"), 400),
        (standard.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned(), 400),
    ] {
        let login = |sql| with_setting(sql, &secret).login("u1", "authenticated");
        assert_eq!(login(Sql::Repaired).status, published, "{secret}");
        assert!(signed_with(&login(Sql::Ours), &key), "{secret}");
    }
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn d14_no_role_can_read_or_change_the_secret() {
    let seen = |sql| {
        let stack = Stack::of(sql);
        let mut rest = stack.postgrest();
        rest.send(&stack.issue(json!({"subject": "u1"})));
        rest.setting_seen_by("anon", "pgrst.jwt_secret").unwrap_or_default()
    };
    assert_eq!(seen(Sql::Repaired), SECRET);
    assert_eq!(seen(Sql::Ours), "");

    // Set by anybody for the session, it makes the tokens of all who come after worthless.
    let poisoned = |sql| {
        let stack = Stack::of(sql);
        let mut rest = stack.postgrest();
        let other = "ERERERERERERERERERERERERERERERERERERERERERE=";
        rest.session()
            .batch_execute(&format!(
                "begin; set local role anon; select set_config('pgrst.jwt_secret', '{other}', false); commit"
            ))
            .unwrap();
        signed_with(&rest.send(&stack.issue(json!({"subject": "u1"}))), &[0x11; 32])
    };
    assert!(poisoned(Sql::Repaired));
    assert!(!poisoned(Sql::Ours));
}

#[test]
fn d14_the_secret_is_in_no_catalog_that_a_request_role_can_read() {
    let stack = Stack::ours();
    // Other databases of this server show the one of all tests.
    let secret = stack.unique_secret();
    stack.login("u1", "authenticated").is(204);
    let mut client = stack.login_config().connect(NoTls).unwrap();
    let views: Vec<String> = client
        .query(
            "select c.oid::regclass::text from pg_class as c
              where c.relkind in ('r', 'v', 'm') and c.relnamespace <> 'pg_toast'::regnamespace
                and has_table_privilege('anon', c.oid, 'select')
                and has_schema_privilege('anon', c.relnamespace, 'usage')",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(views.len() > 100, "{views:?}");
    for view in views {
        // Some functions behind a view are closed to anon. Those tell nothing.
        let found = client.query(
            &format!(
                "select from {view} as t where strpos(t::text, $1) > 0 and t::text not like '%strpos(%'"
            ),
            &[&secret],
        );
        assert!(found.is_err() || found.unwrap().is_empty(), "{view}");
    }
}

#[test]
fn d17_no_token_is_stored() {
    let stored = |sql| {
        let stack = Stack::of(sql);
        let mut login = stack.login("u1", "authenticated");
        if sql == Sql::Ours {
            login = stack.refresh(&login.refresh_cookie());
        }
        let cookie = login.cookie("refresh_token").unwrap();
        let secret = cookie.rsplit('.').next().unwrap();
        let dump = stack.db.dump(&["--data-only"]);
        assert!(dump.contains("u1"));
        dump.contains(secret) || dump.contains(login.access_token())
    };
    assert!(stored(Sql::Repaired));
    assert!(!stored(Sql::Ours));
}

#[test]
fn d18_a_refresh_token_has_more_than_128_random_bits() {
    let cookie =
        |sql| Stack::of(sql).login("u1", "authenticated").cookie("refresh_token").unwrap().to_owned();
    assert_eq!(cookie(Sql::Repaired).len(), 36);
    let cookie = cookie(Sql::Ours);
    let (selector, verifier) = cookie.split_once('.').unwrap();
    assert_eq!((selector.len(), verifier.len()), (36, 64));

    // That they look random: of 256 bits over 200 logins, none is always the same.
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let (mut ever, mut always) = (vec![0u8; 32], vec![255u8; 32]);
    for _ in 0..200 {
        let response = rest.send(&stack.issue(json!({"subject": "u1"})));
        let (_, verifier) = response.cookie("refresh_token").unwrap().split_once('.').unwrap();
        for at in 0..32 {
            let byte = u8::from_str_radix(&verifier[2 * at..2 * at + 2], 16).unwrap();
            ever[at] |= byte;
            always[at] &= byte;
        }
    }
    assert_eq!((ever, always), (vec![255; 32], vec![0; 32]));
}

/// What `sign_raw` returns to a superuser, or the SQLSTATE.
fn signed(stack: &Stack, payload: &str, secret: &str, algorithm: &str) -> String {
    let mut client = stack.db.client();
    client.batch_execute("set search_path = auth").unwrap();
    let token =
        client.query_one("select auth.sign_raw($1::text::json, $2, $3)", &[&payload, &secret, &algorithm]);
    token.map_or_else(|error| error.code().unwrap().code().to_owned(), |row| row.get(0))
}

#[test]
fn d20_the_algorithm_that_is_named_is_the_one_that_signs() {
    let key = [7; 64];
    let secret = "BwcH".repeat(21) + "Bw==";
    let (published, ours) = (Stack::of(Sql::Repaired), Stack::ours());
    let sign = |stack: &Stack, algorithm: &str| signed(stack, r#"{"sub":"u1"}"#, &secret, algorithm);
    for algorithm in ["HS384", "HS512"] {
        assert_eq!(
            jwt::opened(&sign(&published, algorithm), &key).unwrap_err(),
            "wrong signature",
            "{algorithm}"
        );
        let (header, claims) = jwt::opened(&sign(&ours, algorithm), &key).unwrap();
        assert_eq!((header.text("alg"), claims.text("sub")), (algorithm, "u1"));
    }
    let injected = r#"HS256","kid":"../../dev/null"#;
    for algorithm in ["none", "hs256", "", injected] {
        assert_eq!(sign(&published, algorithm).split('.').count(), 3);
        assert_eq!(sign(&ours, algorithm), "22023", "{algorithm}");
    }
}

#[test]
fn d21_only_an_object_without_a_claim_twice_is_signed() {
    let (published, ours) = (Stack::of(Sql::Repaired), Stack::ours());
    let sign = |stack: &Stack, payload: &str| signed(stack, payload, SECRET, "HS256");
    for payload in ["[]", "1", "null", r#""x""#, r#"{"role":"a",  "role":"b"}"#, r#"{"sub":1,"s\u0075b":2}"#]
    {
        assert_eq!(sign(&published, payload).split('.').count(), 3, "{payload}");
        assert_eq!(sign(&ours, payload), "22023", "{payload}");
    }
    assert_eq!(sign(&ours, r#"{"a":{"x":1},"b":{"x":1}}"#).split('.').count(), 3);
}

#[test]
fn d22_an_access_token_says_when_for_which_session_and_which_one_it_is() {
    let names = |sql| Stack::of(sql).login("u1", "authenticated").claims().names().join(" ");
    assert_eq!(names(Sql::Repaired), "role sub exp");
    assert_eq!(names(Sql::Ours), "role sub iat exp jti sid");

    // Of one session the sid stays, and nothing else names two tokens alike.
    let stack = Stack::ours();
    let login = stack.login("u1", "authenticated");
    let (first, second) = (login.claims(), stack.refresh(&login.refresh_cookie()).claims());
    assert_eq!(first.text("sid"), second.text("sid"));
    assert_ne!(first.text("jti"), second.text("jti"));
    assert_ne!(first.text("sid"), stack.login("u1", "authenticated").claims().text("sid"));
    // It gives away nothing of the cookie.
    assert!(!login.refresh_cookie().contains(first.text("sid")));
    assert!(!login.refresh_cookie().contains(first.text("jti")));
}

#[test]
fn d22_times_are_those_of_the_call_and_rounded_down() {
    let times = |sql| {
        let stack = Stack::of(sql);
        let clock = Clock::over(&stack, sql, "2026-01-01 00:00:00.75+00");
        let claims = stack.login("u1", "authenticated").claims_at(clock.epoch());
        claims.number("exp") - clock.epoch()
    };
    assert_eq!(times(Sql::Repaired), 601);
    assert_eq!(times(Sql::Ours), 600);
}
