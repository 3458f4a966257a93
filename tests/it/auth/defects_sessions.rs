//! D15, D16, D19 and D28 to D30 of the audit: what a session is, what it costs, and three traps for
//! whoever mends it. The traps are shown on ours with the mistake put in.

use super::clock::mutate;
use super::published::Sql;
use super::{Stack, refresh};

const REFRESH_TOKENS: &str = "auth.refresh_tokens()";

#[test]
fn d15_refresh_keeps_the_role() {
    let role = |sql, before: &str| {
        let stack = Stack::of(sql);
        let login = stack.login("bob", before);
        stack.refresh(&login.refresh_cookie()).claims().text("role").to_owned()
    };
    // A weaker one is not raised, a stronger one not lost.
    for before in ["anon", "service"] {
        assert_eq!(role(Sql::Repaired, before), "authenticated");
        assert_eq!(role(Sql::Ours, before), before);
    }
}

#[test]
fn d16_a_refresh_token_is_good_once() {
    let statuses = |sql| {
        let stack = Stack::of(sql);
        if sql == Sql::Ours {
            stack.db.sql("update auth_private.config set grace_seconds = 0");
        }
        let cookie = stack.login("u1", "authenticated").refresh_cookie();
        [0; 3].map(|_| stack.refresh(&cookie).status)
    };
    assert_eq!(statuses(Sql::Repaired), [204, 204, 204]);
    assert_eq!(statuses(Sql::Ours), [204, 401, 401]);
}

#[test]
fn d16_there_is_a_way_to_end_a_session() {
    let stack = Stack::of(Sql::Repaired);
    let functions = "select string_agg(proname, ' ' order by proname) from pg_proc
        where pronamespace = 'auth'::regnamespace";
    assert_eq!(stack.db.ask(functions), "generate_user_jwt issue_tokens refresh_tokens sign_raw url_encode");
    let stack = Stack::ours();
    assert_eq!(
        stack.db.ask(functions),
        "generate_user_jwt issue_tokens logout purge_expired refresh_tokens revoke_subject sign_raw url_encode"
    );
}

/// 5000 sessions, and the sequential scans of a refresh with this cookie.
fn scans(sql: Sql, cookie: Option<&str>) -> String {
    let stack = Stack::of(sql);
    let row = match sql {
        Sql::Ours => {
            "insert into auth.refresh_token
                (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
             select gen_random_uuid(), 'u' || n::text, 'authenticated', sha256(n::text::bytea), now(), now(),
                    now() + interval '1 day'"
        }
        _ => "insert into auth.refresh_token (subject, token) select 'u' || n::text, gen_random_uuid()",
    };
    stack.db.sql(&format!("{row} from generate_series(1, 5000) as n; analyze auth.refresh_token"));
    let login = stack.login("u1", "authenticated");
    let cookie = cookie.unwrap_or_else(|| login.cookie("refresh_token").unwrap());
    // What this transaction alone has done, as the statistics have it.
    let mut client = stack.db.client();
    client.batch_execute("begin; set local search_path = auth, public").unwrap();
    let cookies = format!(r#"{{"refresh_token":"{cookie}"}}"#);
    client.execute("select set_config('request.cookies', $1, true)", &[&cookies]).unwrap();
    let call = "do $$ begin perform auth.refresh_tokens(); exception when sqlstate 'PT401' then null; end $$";
    client.batch_execute(call).unwrap();
    let looked = "select concat(seq_scan, ' sequential, ', idx_scan, ' by index')
        from pg_stat_xact_user_tables where relid = 'auth.refresh_token'::regclass";
    client.query_one(looked, &[]).unwrap().get(0)
}

#[test]
fn d19_a_refresh_finds_its_session_by_key_and_so_does_garbage() {
    let unknown = "5f0c3a52-7d1c-4b8e-9a0f-3c6f1e2d4b5a.\
                   aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(scans(Sql::Repaired, Some(unknown)), "1 sequential, 0 by index");
    assert_eq!(scans(Sql::Ours, Some(unknown)), "0 sequential, 1 by index");
    assert_eq!(scans(Sql::Repaired, None), "1 sequential, 0 by index");
    assert!(scans(Sql::Ours, None).starts_with("0 sequential, "));
    // What cannot be one of ours is not even looked for.
    assert_eq!(scans(Sql::Ours, Some("garbage")), "0 sequential, 0 by index");
}

#[test]
fn d19_a_token_belongs_to_one_session_and_what_is_over_can_go() {
    let stack = Stack::of(Sql::Repaired);
    stack.db.sql("insert into auth.refresh_token (subject, token) values ('u1', 'same'), ('u2', 'same')");
    assert_eq!(stack.refresh("refresh_token=same").status, 204);

    let stack = Stack::ours();
    let login = stack.login("u1", "authenticated");
    let copy = "insert into auth.refresh_token select (t).* from auth.refresh_token as t";
    let error = stack.db.client().batch_execute(copy).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    // However often it is refreshed, it is one row; and once it is over, it can be removed.
    stack.refresh(&stack.refresh(&login.refresh_cookie()).refresh_cookie()).is(204);
    assert_eq!(stack.sessions(), "1 sessions, 1 live");
    stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp()");
    assert_eq!(stack.db.ask("select auth.purge_expired()"), "1");
    assert_eq!(stack.sessions(), "0 sessions, 0 live");
}

/// The state of a session after its first cookie was used twice, and the answer to that.
fn reused(stack: &Stack) -> (u16, String) {
    stack.db.sql("update auth_private.config set grace_seconds = 0");
    let login = stack.login("u1", "authenticated");
    stack.refresh(&login.refresh_cookie()).is(204);
    let response = stack.refresh(&login.refresh_cookie());
    (response.status, stack.sessions())
}

#[test]
fn d28_the_revocation_survives_the_answer_401() {
    assert_eq!(reused(&Stack::ours()), (401, "1 sessions, 0 live".to_owned()));
    let raising = Stack::ours();
    mutate(
        &raising,
        REFRESH_TOKENS,
        "perform set_config('response.status', '401', true);",
        "raise sqlstate 'PT401' using message = 'reused';",
    );
    assert_eq!(reused(&raising), (401, "1 sessions, 1 live".to_owned()));
}

#[test]
fn d29_refresh_and_reuse_at_once_do_not_deadlock() {
    // No mutant: with one row for a session there is no second row to lock in another order.
    let stack = Stack::ours();
    stack.db.sql("update auth_private.config set grace_seconds = 0");
    for _ in 0..5 {
        let old = stack.login("u1", "authenticated").refresh_cookie();
        let new = stack.refresh(&old).refresh_cookie();
        let start = std::sync::Barrier::new(8);
        let answers = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    let (mut rest, start) = (stack.postgrest(), &start);
                    let request = refresh(if n % 2 == 0 { &old } else { &new });
                    scope.spawn(move || {
                        start.wait();
                        rest.send(&request)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(answers.iter().all(|answer| [204, 401].contains(&answer.status)), "{answers:#?}");
    }
    assert_eq!(stack.sessions(), "5 sessions, 0 live");
}

#[test]
fn d30_within_the_grace_period_everybody_gets_the_same_successor() {
    let successors = |stack: &Stack| {
        let cookie = stack.login("u1", "authenticated").refresh_cookie();
        let all = [0; 3].map(|_| stack.refresh(&cookie).is(204).refresh_cookie());
        all.iter().filter(|one| **one == all[0]).count()
    };
    let ours = Stack::ours();
    assert_eq!(successors(&ours), 3);
    assert_eq!(ours.sessions(), "1 sessions, 1 live");
    // With siblings in its place, thief and victim would each have a branch of their own.
    let siblings = Stack::ours();
    mutate(
        &siblings,
        REFRESH_TOKENS,
        "-- Within the grace period this",
        "session.salt := auth_private.random_bytes(); --",
    );
    assert_eq!(successors(&siblings), 1);
}

#[test]
fn d30_when_the_thief_was_first_the_victim_ends_it() {
    // The thief refreshes; after the grace period the victim comes with the cookie that both had.
    let stack = Stack::of(Sql::Ours);
    let clock = super::clock::Clock::over(&stack, Sql::Ours, "2026-01-01");
    let both = stack.login("victim", "authenticated").refresh_cookie();
    let thief = stack.refresh(&both).is(204).refresh_cookie();
    clock.advance("11 s");
    stack.refresh(&both).is(401);
    stack.refresh(&thief).is(401);
    // And within the period both have the same cookie: whoever comes second with it ends it.
    let both = stack.login("victim", "authenticated").refresh_cookie();
    let thief = stack.refresh(&both).is(204).refresh_cookie();
    let victim = stack.refresh(&both).is(204).refresh_cookie();
    assert_eq!(thief, victim);
    let thief = stack.refresh(&thief).is(204).refresh_cookie();
    clock.advance("11 s");
    stack.refresh(&victim).is(401);
    stack.refresh(&thief).is(401);
}
