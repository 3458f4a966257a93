//! Any cookie is taken, or refused as 401: never another error, never a session touched
//! without its selector.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Tally, often};
use crate::support::{TestDb, own_roles, with_options};

/// Changes of a cookie that is good.
fn changed(good: &str) -> impl Strategy<Value = String> + use<> {
    let good = good.to_owned();
    let length = good.len();
    prop_oneof![
        any::<String>(),
        "[0-9a-f-]{36}[.][0-9a-f]{0,70}",
        Just(good.clone()),
        (0..length, "[ -~]{0,2}").prop_map({
            let good = good.clone();
            move |(place, text)| format!("{}{text}{}", &good[..place], &good[place + 1..])
        }),
        (0..length).prop_map({
            let good = good.clone();
            move |length| good[..length].to_owned()
        }),
        any::<String>().prop_map({
            let good = good.clone();
            move |text| good.clone() + &text
        }),
        Just(good.to_uppercase()),
    ]
}

#[test]
fn any_cookie_is_taken_or_refused_with_401() {
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    db.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
    let mut client = db.client();
    client
        .batch_execute("begin; select auth.issue_tokens('alice'); select auth.issue_tokens('bob')")
        .unwrap();
    let headers = "select current_setting('response.headers')";
    let headers: String = client.query_one(headers, &[]).unwrap().get(0);
    client.batch_execute("commit").unwrap();
    // The last one: bob's.
    let good = headers.rsplit("refresh_token=").next().unwrap().split(';').next().unwrap().to_owned();
    let sessions =
        "select string_agg(t::text, ' ' order by t.subject) from auth.refresh_token as t where subject = $1";

    let tally = std::cell::RefCell::new(Tally::of("cookies shown to refresh_tokens"));
    let client = std::cell::RefCell::new(client);
    let cases = u32::try_from(often(300, 5000)).unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&changed(&good).prop_map(|cookie| cookie.replace('\0', "")), |cookie| {
        let mut client = client.borrow_mut();
        let mut request = client.transaction().unwrap();
        let alice: String = request.query_one(sessions, &[&"alice"]).unwrap().get(0);
        let bob: String = request.query_one(sessions, &[&"bob"]).unwrap().get(0);
        let cookies = serde_json::json!({ "refresh_token": cookie }).to_string();
        request
            .execute(
                "select set_config('request.method', 'POST', true), set_config('request.cookies', $1, true), \
                 set_config('response.headers', '', true), set_config('response.status', '', true)",
                &[&cookies],
            )
            .unwrap();
        let mut call = request.transaction().unwrap();
        let outcome = if let Err(error) = call.batch_execute("select auth.refresh_tokens()") {
            drop(call);
            let state = error.code().unwrap().code();
            prop_assert_eq!(state, "PT401", "{}: {:?}", cookie, error);
            "refused"
        } else {
            call.commit().unwrap();
            let status = "select current_setting('response.status')";
            let status: String = request.query_one(status, &[]).unwrap().get(0);
            if status == "401" { "refused, and the session ended" } else { "taken" }
        };
        tally.borrow_mut().count(outcome);
        let alice_then: String = request.query_one(sessions, &[&"alice"]).unwrap().get(0);
        let bob_then: String = request.query_one(sessions, &[&"bob"]).unwrap().get(0);
        prop_assert_eq!(alice, alice_then);
        prop_assert_eq!(bob != bob_then, outcome != "refused");
        // Quotes around a value are no part of it (RFC 6265 section 4.1.1).
        let bare = cookie.trim_matches('"');
        prop_assert_eq!(outcome == "taken", bare == good, "{}", cookie);
        if outcome != "refused" {
            prop_assert!(
                bare.get(..36).is_some_and(|front| front.eq_ignore_ascii_case(&good[..36])),
                "{}",
                cookie
            );
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
