//! `auth_private.config` at the edges of its ranges, and which source of a setting wins.

use serde_json::json;

use super::Stack;
use super::jwt::{self, SECRET};
use super::postgrest::PostgRest;

/// The message of the refusal; empty if it was accepted.
fn set(stack: &Stack, what: &str) -> String {
    let update = format!("update auth_private.config set {what}");
    match stack.db.client().batch_execute(&update) {
        Ok(()) => String::new(),
        Err(error) => {
            let error = error.as_db_error().unwrap();
            assert_eq!(error.code().code(), "23514", "{what}: {error:?}");
            assert_eq!((error.detail(), error.hint()), (None, None), "it could hold the secret");
            error.message().to_owned()
        }
    }
}

#[test]
fn each_setting_is_accepted_within_its_range_and_refused_outside() {
    let stack = Stack::ours();
    let long = |character: &str, count: usize| format!("'{}'", character.repeat(count));
    for (name, good, bad, message) in [
        (
            "access_seconds",
            vec!["60", "86400", "null"],
            vec!["59", "86401", "0", "-1"],
            "must be 60 to 86400",
        ),
        ("refresh_seconds", vec!["60", "34560000"], vec!["59", "34560001", "null"], "must be 60 to 34560000"),
        ("grace_seconds", vec!["0", "60"], vec!["-1", "61", "null"], "must be 0 to 60"),
        (
            "issuer",
            vec!["null", "'x'", &long("é", 127), "'https://app.example/ \"q\"'"],
            vec!["''", &long("x", 256), &long("é", 128), "E'a\\nb'", "E'\\u007f'"],
            "must be 1 to 255 bytes, no control characters among them",
        ),
        (
            "audience",
            vec!["null", "'x'", &long("😀", 63)],
            vec!["''", &long("x", 256), "E'a\\tb'"],
            "must be 1 to 255 bytes, no control characters among them",
        ),
        (
            "cookie_path",
            vec!["'/'", "'/rpc/'", &format!("'/{}'", "x".repeat(254))],
            vec![
                "null",
                "''",
                "'rpc'",
                "'/a b'",
                "'/;x'",
                "'/é'",
                "E'/\\n'",
                &format!("'/{}'", "x".repeat(255)),
            ],
            "must begin with a slash, and be a path of up to 255 characters",
        ),
        (
            "cookie_domain",
            vec!["null", "'app.example'", "'x'", &long("x", 253)],
            vec![
                "''",
                "'.example'",
                "'example.'",
                "'a;b'",
                "'a b'",
                "E'a\\nb'",
                "E'a\\n'",
                "'é.example'",
                &long("x", 254),
            ],
            "must be a host name",
        ),
        (
            "cookie_samesite",
            vec!["'Strict'", "'Lax'", "'None'"],
            vec!["null", "''", "'lax'", "'Lax; x'"],
            "must be Strict, Lax or None",
        ),
        ("cookie_secure", vec!["true"], vec!["null"], "must be true or false"),
        ("cookie_host_prefix", vec!["false"], vec!["null"], "must be true or false"),
        (
            "authenticator_role",
            vec!["'authenticator'", &long("x", 63)],
            vec!["null", "''"],
            "must be the name of a role",
        ),
        ("only_row", vec!["true"], vec!["false", "null"], "is always true"),
    ] {
        for value in good {
            assert_eq!(set(&stack, &format!("{name} = {value}")), "", "{name} = {value}");
        }
        for value in bad {
            let refusal = set(&stack, &format!("{name} = {value}"));
            assert_eq!(refusal, format!("{name} {message}"), "{name} = {value}");
        }
    }
    let second = "insert into auth_private.config (authenticator_role) values ('authenticator')";
    assert_eq!(stack.db.client().batch_execute(second).unwrap_err().code().unwrap().code(), "23505");
}

const HOST_PREFIX: &str = "cookie_host_prefix needs cookie_secure, cookie_path / and no cookie_domain";

#[test]
fn cookie_attributes_that_contradict_each_other_are_refused() {
    let stack = Stack::ours();
    for (what, message) in [
        ("cookie_samesite = 'None', cookie_secure = false", "cookie_samesite None needs cookie_secure"),
        ("cookie_host_prefix = true, cookie_secure = false", HOST_PREFIX),
        ("cookie_host_prefix = true, cookie_path = '/rpc'", HOST_PREFIX),
        ("cookie_host_prefix = true, cookie_domain = 'x.y'", HOST_PREFIX),
    ] {
        assert_eq!(set(&stack, what), message, "{what}");
    }
    assert_eq!(set(&stack, "cookie_secure = false, cookie_samesite = 'Strict'"), "");
    assert_eq!(set(&stack, "cookie_secure = true, cookie_host_prefix = true"), "");
}

#[test]
fn a_secret_that_postgrest_would_not_take_is_not_stored_and_not_repeated() {
    let stack = Stack::ours();
    let secret_of = |bytes: usize| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(vec![0xfb; bytes])
    };
    for good in [secret_of(32), secret_of(33), secret_of(34), secret_of(64), secret_of(1000)] {
        assert_eq!(set(&stack, &format!("jwt_secret = '{good}'")), "", "{good}");
    }
    let wrapped = format!("{}\n{}", &secret_of(64)[..44], &secret_of(64)[44..]);
    for bad in [
        String::new(),
        "eA==".to_owned(),
        secret_of(31),
        secret_of(32).trim_end_matches('=').to_owned(),
        secret_of(33).replace('+', "-").replace('/', "_"),
        format!(" {}", secret_of(32)),
        format!("{}\n", secret_of(32)),
        wrapped,
        format!("{}=", secret_of(33)),
        // The last character has bits that decoding drops.
        secret_of(32).replace("s=", "t="),
        "x".repeat(44),
        "not base64 at all, but long enough for 32 bytes".to_owned(),
        "{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}".to_owned(),
        "é".repeat(44),
    ] {
        let message = "jwt_secret must be base64 of 32 bytes or more, padded, on one line";
        // 44 letters are base64 of 33 bytes, after all.
        let expected = if bad == "x".repeat(44) { "" } else { message };
        assert_eq!(set(&stack, &format!("jwt_secret = '{bad}'")), expected, "{bad}");
    }
}

/// A connection with these `app.settings.*`, and one session's claims through it.
fn with_app_settings(stack: &Stack, settings: &[(&str, &str)]) -> PostgRest {
    let mut rest = stack.postgrest();
    rest.app_settings =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    rest
}

#[test]
fn of_the_sources_of_the_secret_the_table_wins_then_pgrst_then_app_settings() {
    let stack = Stack::ours();
    let secrets = ["4", "8", "c"].map(|letter| letter.repeat(43) + "=");
    let [table, pgrst, app] = &secrets;
    stack.db.sql(&format!("update auth_private.config set jwt_secret = '{table}'"));
    stack.db.sql(&format!("alter database {} set pgrst.jwt_secret = '{pgrst}'", stack.db.name));
    let signer = || {
        let answer =
            with_app_settings(&stack, &[("jwt_secret", app)]).send(&stack.issue(json!({"subject": "u1"})));
        let Some(token) = answer.cookie("access_token") else { return answer.message };
        let key = |secret: &&String| jwt::verified(token, secret, None).is_ok();
        secrets.iter().find(key).cloned().unwrap_or_default()
    };
    assert_eq!(&signer(), table);
    stack.db.sql("update auth_private.config set jwt_secret = null");
    assert_eq!(&signer(), pgrst);
    stack.db.sql(&format!("alter database {} set pgrst.jwt_secret = ''", stack.db.name));
    assert_eq!(&signer(), app);
    // A source that is there and no good is an error: another one must not be fallen back to.
    stack.db.sql(&format!("alter database {} set pgrst.jwt_secret = 'short'", stack.db.name));
    assert_eq!(signer(), "the JWT secret is not base64 of 32 bytes or more");
}

#[test]
fn the_lifetime_comes_from_the_table_or_from_the_stack_and_issuer_and_audience_from_the_table() {
    let stack = Stack::ours();
    let claims = |settings: &[(&str, &str)]| {
        let answer = with_app_settings(&stack, settings).send(&stack.issue(json!({"subject": "u1"}))).is(204);
        let claims = answer.claims();
        let lifetime = claims.number("exp") - claims.number("iat");
        assert!(answer.header("set-cookie")[0].ends_with(&format!("; Max-Age={lifetime}")));
        format!("{lifetime} {} {}", claims.get("iss"), claims.get("aud"))
    };
    let app = [("jwt_exp", "300"), ("jwt_iss", "app's"), ("jwt_aud", "app\"s")];
    assert_eq!(claims(&[]), "600 null null");
    assert_eq!(claims(&app), "300 null null");
    assert_eq!(claims(&[("jwt_iss", ""), ("jwt_aud", ""), ("jwt_exp", "")]), "600 null null");
    // What is out of range counts as absent.
    for exp in ["59", "86401", "0", "-300", "1e3", "300 ", "3600.5", "99999999999999999999", "ten"] {
        assert_eq!(claims(&[("jwt_exp", exp)]), "600 null null", "{exp}");
    }
    for exp in ["60", "86400"] {
        assert_eq!(claims(&[("jwt_exp", exp)]), format!("{exp} null null"));
    }
    stack.db.sql("update auth_private.config set access_seconds = 120, issuer = 'table', audience = 'table'");
    assert_eq!(claims(&app), r#"120 "table" "table""#);
}

#[test]
fn lifetimes_of_sessions_and_cookies_follow_the_settings() {
    let stack = Stack::ours();
    stack.db.sql("update auth_private.config set refresh_seconds = 60, access_seconds = 86400");
    let login = stack.login("u1", "authenticated");
    assert!(login.header("set-cookie").iter().all(|cookie| cookie.ends_with("; Max-Age=60")), "{login:?}");
    assert_eq!(
        stack.db.ask(
            "select expires_at - created_at = '60 s' and rotated_at = created_at from auth.refresh_token"
        ),
        "true"
    );
    // A change is for those who log in from then on; who has a session, keeps its end.
    stack.db.sql("update auth_private.config set refresh_seconds = 34560000");
    let refreshed = stack.refresh(&login.refresh_cookie()).is(204);
    assert!(!refreshed.header("set-cookie")[1].ends_with("Max-Age=34560000"), "{refreshed:?}");
    let login = stack.login("u1", "authenticated");
    assert!(login.header("set-cookie")[1].ends_with("; Max-Age=34560000"), "{login:?}");
}

#[test]
fn cookies_have_the_prefix_and_the_attributes_that_are_set() {
    let stack = Stack::ours();
    let attributes = || {
        let answer = stack.login("u1", "authenticated").is(204);
        answer
            .header("set-cookie")
            .iter()
            .map(|cookie| {
                let (name, rest) = cookie.split_once('=').unwrap();
                format!("{name}{}", &rest[rest.find(';').unwrap()..])
            })
            .collect::<Vec<_>>()
    };
    stack.db.sql(
        "update auth_private.config set cookie_path = '/rpc', cookie_domain = 'app.example',
            cookie_samesite = 'Strict', cookie_secure = false",
    );
    assert_eq!(
        attributes(),
        [
            "access_token; Path=/rpc; Domain=app.example; HttpOnly; SameSite=Strict; Max-Age=600",
            "refresh_token; Path=/rpc; Domain=app.example; HttpOnly; SameSite=Strict; Max-Age=2592000"
        ]
    );
    stack.db.sql(
        "update auth_private.config set cookie_path = '/', cookie_domain = null, cookie_samesite = 'None',
            cookie_secure = true, cookie_host_prefix = true",
    );
    assert_eq!(
        attributes(),
        [
            "__Host-access_token; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=600",
            "__Host-refresh_token; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=2592000"
        ]
    );
    // With a prefix only cookies with it count; those of another name are left alone.
    let login = stack.login("u1", "authenticated");
    let value = login.cookie("__Host-refresh_token").unwrap();
    stack.refresh(&format!("refresh_token={value}")).is(401);
    let refreshed = stack.refresh(&format!("__Host-refresh_token={value}; refresh_token=x")).is(204);
    assert!(refreshed.cookie("__Host-access_token").unwrap().starts_with("ey"));
    let value = refreshed.cookie("__Host-refresh_token").unwrap();
    let logout = super::Request::post("auth", "logout").cookie(format!("__Host-refresh_token={value}"));
    assert_eq!(stack.send(&logout).is(204).cookie("__Host-refresh_token"), Some(""));
}

#[test]
fn no_error_holds_a_secret_or_a_token() {
    let stack = Stack::ours();
    let secret = stack.unique_secret();
    let login = stack.login("u1", "authenticated");
    let value = login.cookie("refresh_token").unwrap().to_owned();
    let (selector, verifier) = value.split_once('.').unwrap();
    let mut client = stack.db.client();
    let mut errors = Vec::new();
    let mut fails = |sql: &str| {
        let error = client.batch_execute(sql).unwrap_err();
        // CONTEXT goes to the server's log. It names functions and shows expressions, not values.
        errors.push(format!("{:?}", error.as_db_error().unwrap()));
        client.batch_execute("rollback").unwrap();
    };
    for sql in [
        "update auth_private.config set grace_seconds = 99",
        "insert into auth_private.config select (c).* from auth_private.config as c",
        "update auth_private.config set access_seconds = 'x'",
        "select auth.sign_raw('[]', (select jwt_secret from auth_private.config))",
        "select auth.sign_raw('{}', (select left(jwt_secret, 20) from auth_private.config))",
        "select auth.generate_user_jwt('', (select jwt_secret from auth_private.config))",
        "select auth.issue_tokens('')",
        "select auth.issue_tokens('u1', 'postgres')",
        "begin; delete from auth_private.config; select auth.issue_tokens('u1')",
        "begin; delete from auth_private.config; select auth.refresh_tokens()",
        "begin; alter table auth.refresh_token add check (subject <> 'u2') not valid; select auth.issue_tokens('u2')",
    ] {
        fails(sql);
    }
    // On the way of a good cookie: the secret gone, the row locked.
    stack.db.sql(&format!("alter database {} set lock_timeout = '100ms'", stack.db.name));
    let mut holder = stack.db.client();
    holder.batch_execute("begin; select from auth.refresh_token for update").unwrap();
    errors.push(stack.refresh(&format!("refresh_token={value}")).is(500).text());
    holder.batch_execute("rollback").unwrap();
    stack.db.sql("update auth_private.config set jwt_secret = null");
    errors.push(stack.refresh(&format!("refresh_token={value}")).is(500).text());
    stack.db.sql(&format!("alter database {} set pgrst.jwt_secret = '!{secret}'", stack.db.name));
    errors.push(stack.refresh(&format!("refresh_token={value}")).is(500).text());
    for error in errors {
        for hidden in [&*secret, &secret[..20], selector, verifier, login.access_token()] {
            assert!(!error.contains(hidden), "{error}");
        }
    }
    // Each of these was rolled back: the cookie is still good.
    stack.db.sql(&format!("alter database {} reset pgrst.jwt_secret", stack.db.name));
    stack.db.sql(&format!("update auth_private.config set jwt_secret = '{SECRET}'"));
    stack.refresh(&format!("refresh_token={value}")).is(204);
}
