//! Refresh, reuse, grace, logout, revocation, expiry and purging.

use std::sync::Barrier;

use postgres::NoTls;

use super::clock::Clock;
use super::published::Sql;
use super::request::{Request, Response};
use super::{Stack, refresh};
use crate::support::setting;

fn logout(cookie: &str) -> Request {
    Request::post("auth", "logout").cookie(cookie)
}

/// What this many browsers' tabs get that send this at the same moment.
fn at_once(stack: &Stack, count: usize, request: &Request) -> Vec<Response> {
    let start = Barrier::new(count);
    let connections: Vec<_> = (0..count).map(|_| stack.postgrest()).collect();
    std::thread::scope(|scope| {
        let send = |mut rest: super::PostgRest| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                rest.send(request)
            })
        };
        let threads: Vec<_> = connections.into_iter().map(send).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The answer to a request that waits for a session, whose row somebody has until he has run this.
fn while_the_row_is_held(stack: &Stack, request: &Request, sql: &str) -> Response {
    let mut holder = stack.db.client();
    holder.batch_execute("begin; select from auth.refresh_token for update").unwrap();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| stack.send(request));
        stack.db.until_blocked();
        holder.batch_execute(&format!("{sql}; commit")).unwrap();
        answer.join().unwrap()
    })
}

#[test]
fn fifty_parallel_refreshes_of_one_cookie_end_in_one_live_successor() {
    let stack = Stack::ours();
    let login = stack.login("u1", "authenticated");
    let answers = at_once(&stack, 50, &refresh(&login.refresh_cookie()));
    let mut successors: Vec<_> = answers.into_iter().map(|answer| answer.is(204).refresh_cookie()).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_ne!(successors[0], login.refresh_cookie());
    assert_eq!(stack.sessions(), "1 sessions, 1 live");
    stack.refresh(&successors[0]).is(204);
}

#[test]
fn without_a_grace_period_one_of_the_parallel_refreshes_wins_and_the_session_ends() {
    let stack = Stack::ours();
    stack.db.sql("update auth_private.config set grace_seconds = 0");
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    let answers = at_once(&stack, 20, &refresh(&cookie));
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 19);
    assert_eq!(stack.sessions(), "1 sessions, 0 live");
}

#[test]
fn parallel_refresh_logout_and_revocation_do_not_deadlock() {
    let stack = Stack::ours();
    for round in 0..5 {
        let subject = format!("u{round}");
        let cookies: Vec<_> =
            (0..4).map(|_| stack.login(&subject, "authenticated").refresh_cookie()).collect();
        let revoke = Request::post("auth", "revoke_subject").role("service");
        let revoke = revoke.body(serde_json::json!({"subject": subject}));
        let mut requests = vec![revoke.clone(), revoke];
        requests.extend(cookies.iter().map(|cookie| refresh(cookie)));
        requests.extend(cookies.iter().map(|cookie| logout(cookie)));
        let start = Barrier::new(requests.len());
        std::thread::scope(|scope| {
            for request in &requests {
                let (mut rest, start) = (stack.postgrest(), &start);
                scope.spawn(move || {
                    start.wait();
                    let answer = rest.send(request);
                    assert!([200, 204, 401].contains(&answer.status), "{answer:#?}");
                });
            }
        });
    }
    assert_eq!(stack.sessions(), "20 sessions, 0 live");
}

#[test]
fn a_stale_cookie_of_any_generation_ends_the_session() {
    let stack = Stack::ours();
    let clock = Clock::over(&stack, Sql::Ours, "2026-01-01");
    for generation in 0..4 {
        let mut cookies = vec![stack.login("u1", "authenticated").refresh_cookie()];
        for _ in 0..4 {
            clock.advance("1 min");
            cookies.push(stack.refresh(cookies.last().unwrap()).is(204).refresh_cookie());
        }
        clock.advance("11 s");
        let response = stack.refresh(&cookies[generation]).is(401);
        assert_eq!(response.code, "", "not by raising: that would be rolled back");
        assert_eq!(
            response.header("set-cookie"),
            [
                "access_token=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0",
                "refresh_token=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
            ]
        );
        assert_eq!(response.header("cache-control"), ["no-store"]);
        // The newest is worth nothing either, and nothing tells the two apart any more.
        let newest = stack.refresh(&cookies[4]);
        assert_eq!(newest.error(), (401, "PT401", "Invalid or expired refresh token"));
        assert_eq!(newest.headers, []);
    }
    let why = "select string_agg(revoked_why, ' ') from auth.refresh_token where revoked_at is not null";
    assert_eq!(stack.db.ask(why), "reuse reuse reuse reuse");
}

#[test]
fn what_is_no_cookie_of_ours_is_401_and_changes_nothing() {
    let stack = Stack::ours();
    let good = stack.login("u1", "authenticated").cookie("refresh_token").unwrap().to_owned();
    let foreign = Stack::ours().login("u1", "authenticated").cookie("refresh_token").unwrap().to_owned();
    let (selector, verifier) = good.split_once('.').unwrap();
    let (rows, mut rest) = (stack.rows(), stack.postgrest());
    let expected = (401, "PT401", "Invalid or expired refresh token");
    for value in [
        String::new(),
        "x".to_owned(),
        ".".to_owned(),
        "null".to_owned(),
        selector.to_owned(),
        format!("{selector}."),
        verifier.to_owned(),
        format!(".{verifier}"),
        good[..79].to_owned(),
        format!("{good}A"),
        format!("{good} "),
        format!(" {good}"),
        good.to_uppercase(),
        format!("{{{selector}}}.{verifier}"),
        format!("{}.{verifier}", selector.replace('-', "")),
        format!("{verifier}.{selector}"),
        foreign,
        format!("00000000-0000-4000-8000-000000000000.{verifier}"),
        "00000000-0000-4000-8000-000000000000".to_owned(),
        // As long as ours.
        format!("{selector}.{}", verifier.to_uppercase()),
        format!("{selector}.{}g", &verifier[..63]),
        format!("{selector}.{} ", &verifier[..63]),
        format!("{selector}.{}\0", &verifier[..63]),
        format!("{selector}.{}\u{1}", &verifier[..63]),
        format!("{selector}.{}é", &verifier[..62]),
        // Bytes that are not UTF-8 never get here: PostgREST answers 500 itself. What comes
        // nearest: a replacement character, a lone byte read as Latin-1, an overlong slash.
        format!("{selector}.{}\u{fffd}", &verifier[..61]),
        "\u{ff}\u{fe}".to_owned(),
        "À¯".to_owned(),
        "' or true --".to_owned(),
        "A".repeat(40_000),
        format!("{selector}.{}", "A".repeat(40_000)),
        "[".repeat(40_000),
        format!("{good}, {good}"),
    ] {
        for request in [refresh(&format!("refresh_token={value}")), logout(&format!("refresh_token={value}"))]
        {
            let answer = rest.send(&request);
            assert_eq!(answer.error(), expected, "{value:.100}");
            assert_eq!((&*answer.details, &*answer.hint, answer.headers.len()), ("", "", 0));
        }
    }
    assert_eq!(stack.rows(), rows);
    assert_eq!(rest.send(&refresh(&format!("refresh_token={good}"))).status, 204);
}

#[test]
fn a_guess_at_the_second_half_ends_the_session_which_takes_knowing_the_first() {
    let stack = Stack::ours();
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    let (front, _) = cookie.split_once('.').unwrap();
    stack.refresh(&format!("{front}.{}", "a".repeat(64))).is(401);
    assert_eq!(stack.sessions(), "1 sessions, 0 live");
}

#[test]
fn the_grace_period_is_as_long_as_it_says_and_counts_from_the_rotation() {
    let stack = Stack::ours();
    let clock = Clock::over(&stack, Sql::Ours, "2026-01-01");
    let first = stack.login("u1", "authenticated").refresh_cookie();
    clock.advance("1 day");
    let second = stack.refresh(&first).refresh_cookie();
    clock.advance("10 s");
    assert_eq!(stack.refresh(&first).is(204).refresh_cookie(), second);
    // Being used within the period does not make it longer.
    clock.advance("1 ms");
    stack.refresh(&first).is(401);
    assert_eq!(stack.sessions(), "1 sessions, 0 live");

    stack.db.sql("update auth_private.config set grace_seconds = 60");
    let first = stack.login("u2", "authenticated").refresh_cookie();
    let second = stack.refresh(&first).refresh_cookie();
    clock.advance("30 s");
    let third = stack.refresh(&second).refresh_cookie();
    // Only the one before the newest, however young the older ones are.
    stack.refresh(&first).is(401);
    stack.refresh(&third).is(401);
}

#[test]
fn a_clock_that_was_set_back_makes_no_grace_period_longer() {
    let stack = Stack::ours();
    let clock = Clock::over(&stack, Sql::Ours, "2026-01-01");
    let first = stack.login("u1", "authenticated").refresh_cookie();
    stack.refresh(&first).is(204);
    clock.advance("-5 hours");
    stack.refresh(&first).is(401);
    assert_eq!(stack.sessions(), "1 sessions, 0 live");
}

#[test]
fn logout_ends_the_session_and_clears_the_cookies() {
    let stack = Stack::ours();
    let login = stack.login("u1", "authenticated");
    let other = stack.login("u1", "authenticated").refresh_cookie();
    let answer = stack.send(&logout(&login.refresh_cookie())).is(204);
    assert_eq!((answer.cookie("access_token"), answer.cookie("refresh_token")), (Some(""), Some("")));
    assert!(answer.header("set-cookie").iter().all(|cookie| cookie.ends_with("; Max-Age=0")), "{answer:?}");
    stack.refresh(&login.refresh_cookie()).is(401);
    stack.refresh(&other).is(204);
    assert_eq!(stack.sessions(), "2 sessions, 1 live");
    // Twice is no error: two tabs may both do it. It says nothing else than the first time.
    let again = stack.send(&logout(&login.refresh_cookie())).is(204);
    assert_eq!(again.header("set-cookie"), answer.header("set-cookie"));
    assert_eq!(stack.db.ask("select string_agg(revoked_why, ' ') from auth.refresh_token"), "logout");
    // With a stale one as well: whoever has it, wants it to end.
    let third = stack.refresh(&stack.login("u2", "authenticated").refresh_cookie()).refresh_cookie();
    stack.refresh(&third).is(204);
    stack.send(&logout(&third)).is(204);
    assert_eq!(stack.sessions(), "3 sessions, 1 live");
}

#[test]
fn a_logout_with_a_cookie_that_two_have_had_is_in_the_log() {
    let stack = Stack::ours();
    let first = stack.login("u1", "authenticated").refresh_cookie();
    let second = stack.refresh(&first).is(204).refresh_cookie();
    stack.refresh(&second).is(204);
    stack.send(&logout(&first)).is(204);
    assert_eq!(stack.db.ask("select revoked_why from auth.refresh_token"), "reuse");
    let session = stack.db.ask("select auth_private.sid(selector) from auth.refresh_token");
    let Ok(log) = std::fs::read(setting("AUTHMIG_TEST_LOG")) else { return };
    let said =
        format!("auth: session {session} of role authenticated ended: its refresh token was used again");
    assert!(String::from_utf8_lossy(&log).contains(&said), "{said}");
}

/// The owner of a database can have plans logged, and a plan has in it what the statement is given.
#[test]
fn no_refresh_token_is_in_a_plan() {
    let Ok(before) = std::fs::read(setting("AUTHMIG_TEST_LOG")) else { return };
    let stack = Stack::ours();
    stack.db.sql(&format!(
        "do $$ begin execute (select string_agg(format('alter database {} set %s', s), '; ') from unnest(array[\
            'debug_print_plan = on', 'debug_pretty_print = off', 'plan_cache_mode = force_custom_plan', \
            'session_preload_libraries = auto_explain', 'auto_explain.log_min_duration = 0', \
            'auto_explain.log_nested_statements = on', 'auto_explain.log_verbose = on']) as s); end $$",
        stack.db.name
    ));
    // What PostgREST hands over is in its own plan; what it gets is nowhere.
    let unseen = |cookie: &str| {
        let log = std::fs::read(setting("AUTHMIG_TEST_LOG")).unwrap();
        let log = String::from_utf8_lossy(&log[before.len()..]);
        assert!(log.contains("PLANNEDSTMT") && log.contains("Query Text: "), "{log}");
        let (_, verifier) = cookie.split_once('.').unwrap();
        let bytes: Vec<_> = verifier.bytes().map(|byte| byte.to_string()).collect();
        assert!(!log.contains(verifier) && !log.contains(&bytes.join(" ")));
    };
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    unseen(&cookie);
    unseen(&stack.refresh(&cookie).is(204).refresh_cookie());
}

#[test]
fn what_has_not_expired_is_not_read_to_purge_what_has() {
    let stack = Stack::ours();
    for subject in ["a", "b", "c", "d"] {
        stack.login(subject, "authenticated");
    }
    let mut client = stack.db.client();
    let mut transaction = client.transaction().unwrap();
    // Of four rows, the table would be read.
    transaction.batch_execute("set local enable_seqscan = off; set local enable_sort = off").unwrap();
    transaction.batch_execute("select auth.purge_expired()").unwrap();
    let read = "select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables where relid = 'auth.refresh_token'::regclass";
    // The planner looks at one end of the index.
    assert!(transaction.query_one(read, &[]).unwrap().get::<_, i64>(0) <= 1);
}

#[test]
fn why_a_session_ended_is_what_ended_it_first() {
    let stack = Stack::ours();
    let why = || stack.db.ask("select revoked_why from auth.refresh_token where subject = 'u1'");
    let ended = || stack.db.ask("select revoked_at from auth.refresh_token where subject = 'u1'");
    let clear = || stack.db.sql("delete from auth.refresh_token");
    let first = stack.login("u1", "authenticated").refresh_cookie();
    let second = stack.refresh(&first).is(204).refresh_cookie();
    // One that was replaced just now is that of a tab that has not heard of it yet.
    stack.send(&logout(&first)).is(204);
    assert_eq!(why(), "logout");
    clear();

    let first = stack.login("u1", "authenticated").refresh_cookie();
    let third = stack.refresh(&stack.refresh(&first).refresh_cookie()).is(204).refresh_cookie();
    stack.send(&logout(&first)).is(204);
    assert_eq!(why(), "reuse");
    let before = ended();
    stack.send(&logout(&third)).is(204);
    assert_eq!((why(), ended()), ("reuse".to_owned(), before));
    clear();
    stack.send(&logout(&second)).is(401);

    // Nor is it another when two end it at the same time.
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    let revoke = "update auth.refresh_token set revoked_at = clock_timestamp(), revoked_why = 'revoked'";
    while_the_row_is_held(&stack, &logout(&cookie), revoke).is(204);
    assert_eq!(why(), "revoked");
}

#[test]
fn a_refresh_that_waited_for_the_row_counts_from_when_it_had_it() {
    let stack = Stack::ours();
    let clock = Clock::over(&stack, Sql::Ours, "2026-01-01");
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    let pass = "update clock.hand set at = at + interval '5 s'";
    while_the_row_is_held(&stack, &refresh(&cookie), pass).is(204);
    let rotated = "select extract(epoch from rotated_at)::bigint from auth.refresh_token";
    assert_eq!(stack.db.ask(rotated), clock.epoch().to_string());
}

#[test]
fn who_logs_out_of_a_session_that_has_expired_gets_rid_of_its_cookies() {
    let stack = Stack::ours();
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp()");
    stack.refresh(&cookie).is(401);
    let answer = stack.send(&logout(&cookie)).is(204);
    assert_eq!((answer.cookie("access_token"), answer.cookie("refresh_token")), (Some(""), Some("")));
}

#[test]
fn revoke_subject_ends_all_sessions_of_one_subject() {
    let stack = Stack::ours();
    let cookies = ["u1", "u1", "u2"].map(|subject| stack.login(subject, "authenticated").refresh_cookie());
    let revoke = |body| stack.send(&Request::post("auth", "revoke_subject").role("service").body(body));
    assert_eq!(revoke(r#"{"subject": "u1"}"#).is(200).body, "2");
    assert_eq!(revoke(r#"{"subject": "u1"}"#).is(200).body, "0");
    assert_eq!(revoke(r#"{"subject": "nobody"}"#).is(200).body, "0");
    assert_eq!(revoke(r#"{"subject": null}"#).error(), (400, "22023", "subject must not be null"));
    assert_eq!(cookies.map(|cookie| stack.refresh(&cookie).status), [401, 401, 204]);
}

#[test]
fn revoke_subject_counts_the_sessions_that_lived_and_ends_the_others_as_well() {
    let stack = Stack::ours();
    let [expired, live] = ["u1", "u1"].map(|subject| stack.login(subject, "authenticated").refresh_cookie());
    let expire = |cookie: &str, how: &str| {
        stack.db.sql(&format!(
            "update auth.refresh_token set expires_at = clock_timestamp() {how} interval '1 s'
              where selector = '{}'",
            &cookie["refresh_token=".len()..][..36]
        ));
    };
    expire(&expired, "-");
    let revoke = || {
        let request = Request::post("auth", "revoke_subject").role("service").body(r#"{"subject": "u1"}"#);
        stack.send(&request).is(200).body
    };
    assert_eq!(revoke(), "1");
    assert_eq!(stack.refresh(&live).status, 401);
    // On a clock that was set back, none comes to life again.
    expire(&expired, "+ 3600 *");
    assert_eq!(stack.refresh(&expired).status, 401);
    assert_eq!(revoke(), "0");
}

#[test]
fn a_session_ends_when_it_said_however_often_it_was_refreshed() {
    let stack = Stack::ours();
    let clock = Clock::over(&stack, Sql::Ours, "2026-01-01");
    let mut answer = stack.login("u1", "authenticated");
    for day in (0..29).rev() {
        clock.advance("1 day");
        answer = stack.refresh(&answer.refresh_cookie()).is(204);
        let left = (day + 1) * 86400;
        assert!(answer.header("set-cookie")[1].ends_with(&format!("; Max-Age={left}")), "{answer:?}");
    }
    // No access token outlives its session.
    clock.advance("23 h 59 min");
    answer = stack.refresh(&answer.refresh_cookie()).is(204);
    assert_eq!(answer.claims_at(clock.epoch()).number("exp"), clock.epoch() + 60);
    assert!(answer.header("set-cookie")[0].ends_with("; Max-Age=60"), "{answer:?}");
    clock.advance("500 ms");
    answer = stack.refresh(&answer.refresh_cookie()).is(204);
    assert!(answer.header("set-cookie")[1].ends_with("; Max-Age=59"), "{answer:?}");
    clock.advance("59500 ms");
    assert_eq!(
        stack.refresh(&answer.refresh_cookie()).error(),
        (401, "PT401", "Invalid or expired refresh token")
    );
}

#[test]
fn a_session_whose_role_may_not_be_minted_any_more_is_refused() {
    let roles = super::Roles::own();
    let stack = Stack::ours_with(crate::support::TestDb::new(), roles.clone());
    let cookie = stack.login("u1", &roles.authenticated).refresh_cookie();
    let rows = stack.rows();
    stack.db.sql(&format!("revoke {} from {}", roles.authenticated, roles.authenticator));
    assert_eq!(stack.refresh(&cookie).error(), (401, "PT401", "Invalid or expired refresh token"));
    assert_eq!(stack.rows(), rows);
    stack.db.sql(&format!("grant {} to {}", roles.authenticated, roles.authenticator));
    stack.refresh(&cookie).is(204);
}

#[test]
fn purging_goes_in_steps_and_takes_only_what_has_expired() {
    let stack = Stack::ours();
    stack.db.sql(
        "insert into auth.refresh_token
            (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
         select gen_random_uuid(), 'old', 'authenticated', sha256(n::text::bytea), now(), now(),
                now() - interval '1 min' * n
           from generate_series(1, 25) as n",
    );
    let live = stack.login("u1", "authenticated").refresh_cookie();
    let revoked = stack.login("u2", "authenticated").refresh_cookie();
    stack.send(&logout(&revoked)).is(204);
    let purge = |body: &str| stack.send(&Request::post("auth", "purge_expired").role("service").body(body));
    assert_eq!(purge(r#"{"batch": 10}"#).is(200).body, "10");
    // What expired first, goes first.
    let oldest = "select max(clock_timestamp() - expires_at) < '16 min' from auth.refresh_token";
    assert_eq!(stack.db.ask(oldest), "true");
    assert_eq!([0; 3].map(|_| purge(r#"{"batch": 10}"#).is(200).body), ["10", "5", "0"]);
    // What was revoked stays until it expires: its cookie must be known as a stale one.
    assert_eq!(stack.sessions(), "2 sessions, 1 live");
    stack.refresh(&live).is(204);
    stack.db.sql(
        "insert into auth.refresh_token
            (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
         select gen_random_uuid(), 'old', 'authenticated', '', now(), now(), now()
           from generate_series(1, 1001) as n",
    );
    assert_eq!([0; 2].map(|_| purge("{}").is(200).body), ["1000", "1"]);
    for batch in ["0", "-1", "100001", "null"] {
        let answer = purge(&format!(r#"{{"batch": {batch}}}"#));
        assert_eq!(answer.error(), (400, "22023", "batch must be 1 to 100000"));
    }
}

#[test]
fn purging_does_not_wait_for_a_refresh_nor_a_refresh_for_it() {
    let stack = Stack::ours();
    let expired = stack.login("old", "authenticated").refresh_cookie();
    stack.login("old", "authenticated").is(204);
    stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp()");
    let live = stack.login("u1", "authenticated").refresh_cookie();

    // A session holds one of the two expired rows, as a refresh would.
    let mut holder = stack.db.client();
    let selector = &expired["refresh_token=".len()..][..36];
    let lock = format!("select from auth.refresh_token where selector = '{selector}' for no key update");
    holder.batch_execute(&format!("begin; {lock}")).unwrap();
    // One that waited would fail by this.
    stack.db.sql(&format!("alter database {} set lock_timeout = '2s'", stack.db.name));
    let purge = Request::post("auth", "purge_expired").role("service").body("{}");
    assert_eq!(stack.send(&purge).is(200).body, "1");
    holder.batch_execute("commit").unwrap();

    // And a purge that has not committed yet is in nobody's way.
    holder.batch_execute("begin; select auth.purge_expired()").unwrap();
    stack.refresh(&expired).is(401);
    stack.refresh(&live).is(204);
    stack.login("u2", "authenticated").is(204);
    holder.batch_execute("commit").unwrap();
    assert_eq!(stack.sessions(), "2 sessions, 2 live");
}

#[test]
fn a_refresh_is_a_heap_only_update() {
    let stack = Stack::ours();
    let mut cookie = stack.login("u1", "authenticated").refresh_cookie();
    let mut client = stack.login_config().user("postgres").connect(NoTls).unwrap();
    client.batch_execute("begin").unwrap();
    for _ in 0..3 {
        let cookies = format!(r#"{{"refresh_token":"{}"}}"#, &cookie["refresh_token=".len()..]);
        let sql = "select set_config('request.cookies', $1, true), set_config('response.headers', '', true)";
        client.execute(sql, &[&cookies]).unwrap();
        client.execute("select auth.refresh_tokens()", &[]).unwrap();
        let row = client.query_one("select current_setting('response.headers')", &[]).unwrap();
        cookie = Response::answered(true, String::new(), Some(row.get(0)), None).refresh_cookie();
    }
    let updates = "select concat(n_tup_upd, ' updates, ', n_tup_hot_upd, ' heap-only')
        from pg_stat_xact_user_tables where relid = 'auth.refresh_token'::regclass";
    assert_eq!(client.query_one(updates, &[]).unwrap().get::<_, &str>(0), "3 updates, 3 heap-only");
}
