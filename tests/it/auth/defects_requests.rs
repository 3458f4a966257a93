//! D23 to D27 of the audit: what comes in, and which headers go out.

use serde_json::json;

use super::Stack;
use super::published::Sql;
use super::request::Request;

#[test]
fn d23_a_null_subject_is_refused_and_the_error_holds_no_token() {
    let answer = |sql| {
        let stack = Stack::of(sql);
        let response = stack.send(&stack.issue(r#"{"subject": null}"#));
        (response.code, response.details, response.message)
    };
    // The id, the subject, and the fresh token.
    let (code, details, _) = answer(Sql::Repaired);
    assert_eq!(code, "23502");
    let token = details.split(", ").nth(2).unwrap();
    assert_eq!((token.len(), token.matches('-').count()), (36, 4), "{details}");
    let subject = "subject must be 1 to 255 characters, no control characters among them";
    assert_eq!(answer(Sql::Ours), ("22023".to_owned(), String::new(), subject.to_owned()));
}

#[test]
fn d23_unlawful_subjects_and_roles_are_refused_and_store_nothing() {
    let published = Stack::of(Sql::Repaired);
    let ours = Stack::ours();
    ours.db.sql("create role d23_stranger_do_not_use");
    let stranger = json!({"subject": "u1", "role": "d23_stranger_do_not_use"});
    for (body, there) in [
        (json!({"subject": ""}), 204),
        (json!({"subject": "x".repeat(256)}), 204),
        (json!({"subject": "x".repeat(1 << 20)}), 204),
        (json!({"subject": "a\nb"}), 204),
        (json!({"subject": "a\u{7f}"}), 204),
        (json!({"subject": "u1", "role": null}), 204),
        (json!({"subject": "u1", "role": ""}), 204),
        (json!({"subject": "u1", "role": "none"}), 204),
        (json!({"subject": "u1", "role": "NONE"}), 204),
        (json!({"subject": "u1", "role": "postgres"}), 204),
        (json!({"subject": "u1", "role": "authenticator"}), 204),
        (json!({"subject": "u1", "role": "auth_owner"}), 204),
        (json!({"subject": "u1", "role": "public"}), 204),
        (json!({"subject": "u1", "role": "pg_monitor"}), 204),
        (json!({"subject": "u1", "role": "no such role"}), 204),
        (json!({"subject": "u1", "role": "anon "}), 204),
        (json!({"subject": "u1", "role": "ANON"}), 204),
        (json!({"subject": "u1", "role": "x".repeat(64)}), 204),
        (stranger, 204),
    ] {
        assert_eq!(published.send(&published.issue(&body)).status, there, "{body}");
        let response = ours.send(&ours.issue(&body));
        assert_eq!((response.status, &*response.code), (400, "22023"), "{body}");
        assert_eq!(response.headers, []);
    }
    ours.db.sql("drop role d23_stranger_do_not_use");
    assert_eq!(ours.sessions(), "0 sessions, 0 live");
    // What is at the edge is fine.
    for subject in
        ["x".to_owned(), "é".repeat(255), "\"quoted\" \\ 'it''s'".to_owned(), "日本語 😀".to_owned()]
    {
        let response = ours.login(&subject, "authenticated").is(204);
        assert_eq!(response.claims().text("sub"), subject);
    }
}

#[test]
fn d23_no_token_is_too_long_for_a_browser_to_keep() {
    let ours = Stack::ours();
    // The longest of everything: what JSON escapes counts twice, four bytes a character.
    ours.db.sql(
        "update auth_private.config set issuer = repeat('\"', 255), audience = repeat('\"', 255),
            cookie_path = '/' || repeat('x', 254), cookie_domain = repeat('x', 253)",
    );
    for subject in ["😀".repeat(255), "\"".repeat(255)] {
        let login = ours.login(&subject, "authenticated").is(204);
        assert!(login.header("set-cookie").iter().all(|cookie| cookie.len() <= 4096));
    }
}

#[test]
fn d24_request_cookies_that_are_none_are_401() {
    let answers = |sql| {
        let stack = Stack::of(sql);
        let mut connection = stack.postgrest();
        [
            "not json",
            "",
            r#"{"refresh_token":"\u0000"}"#,
            r#"{"other":"\u0000"}"#,
            "{}",
            "null",
            "[]",
            r#"{"refresh_token":1}"#,
        ]
        .map(|cookies| connection.send(&super::refresh("").raw_cookies(cookies)).code)
        .join(" ")
    };
    assert_eq!(answers(Sql::Repaired), "22P02 22P02 22P05 22P05 PT401 PT401 PT401 PT401");
    assert_eq!(answers(Sql::Ours), ["PT401"; 8].join(" "));
}

#[test]
fn d25_headers_that_were_set_before_are_kept() {
    let headers = |sql| {
        let stack = Stack::of(sql);
        stack.db.sql(
            "create schema before;
             create function before.request() returns void language sql as $$
                 select set_config('response.headers', '[{\"X-App\": \"1\"}, {\"Set-Cookie\": \"theme=dark\"},
                     {\"Set-Cookie\": \"access_token=old\"}, {\"set-cookie\": \"refresh_token=old\"}]', true)
             $$;
             grant usage on schema before to public; grant execute on function before.request() to public",
        );
        let mut rest = stack.postgrest();
        rest.pre_request = Some("before.request".to_owned());
        let response = rest.send(&stack.issue(json!({"subject": "u1"}))).is(204);
        let short =
            |(name, value): &(String, String)| format!("{name}: {}", value.split(['=', ';']).next().unwrap());
        response.headers.iter().map(short).collect::<Vec<_>>()
    };
    assert_eq!(headers(Sql::Repaired), ["Set-Cookie: access_token", "Set-Cookie: refresh_token"]);
    assert_eq!(
        headers(Sql::Ours),
        [
            "X-App: 1",
            "Set-Cookie: theme",
            "Set-Cookie: access_token",
            "Set-Cookie: refresh_token",
            "Cache-Control: no-store"
        ]
    );
}

#[test]
fn d26_both_cookies_end_with_what_they_hold_and_are_not_cached() {
    let headers = |sql| {
        let stack = Stack::of(sql);
        let login = stack.login("u1", "authenticated");
        let response = stack.refresh(&login.refresh_cookie()).is(204);
        let mut text = format!("{:?}", response.headers);
        for cookie in ["access_token", "refresh_token"] {
            if let Some(value) = response.cookie(cookie) {
                text = text.replace(value, "…");
            }
        }
        // The rest of the session, in whole seconds.
        text.replace("2591999", "2592000")
    };
    assert_eq!(
        headers(Sql::Repaired),
        r#"[("Set-Cookie", "access_token=…; Path=/; HttpOnly; SameSite=Lax; Secure")]"#
    );
    assert_eq!(
        headers(Sql::Ours),
        r#"[("Set-Cookie", "access_token=…; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"), ("Set-Cookie", "refresh_token=…; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=2592000"), ("Cache-Control", "no-store")]"#
    );
}

#[test]
fn d27_a_link_or_an_image_does_not_refresh() {
    let get = |sql| {
        let stack = Stack::of(sql);
        let cookie = stack.login("u1", "authenticated").refresh_cookie();
        let response = stack.send(&Request::new("GET", "auth", "refresh_tokens").cookie(cookie));
        (response.status, response.code)
    };
    assert_eq!(get(Sql::Repaired), (204, String::new()));
    assert_eq!(get(Sql::Ours), (405, "PT405".to_owned()));
}
