//! Roles of requests whose transactions are stricter than read committed: `alter role … set
//! default_transaction_isolation`. PostgreSQL then ends whoever comes second to a row with 40001, and
//! PostgREST up to 14 repeats such a request without limit.

use std::sync::Barrier;

use super::request::{Request, Response};
use super::{Roles, Stack, refresh};
use crate::support::TestDb;

const STRICTER: [&str; 2] = ["repeatable read", "serializable"];

/// A stack whose three roles of requests have this isolation.
fn stack(isolation: &str) -> Stack {
    let stack = Stack::ours_with(TestDb::new(), Roles::own());
    let Roles { anon, authenticated, service, .. } = &stack.roles;
    for role in [anon, authenticated, service] {
        stack.db.sql(&format!("alter role {role} set default_transaction_isolation to '{isolation}'"));
    }
    // To see what a request has, and to hold it up once its snapshot is taken.
    stack.db.sql(&format!(
        "create function public.hold() returns void language sql as 'select pg_advisory_xact_lock_shared(1)';
         create function api.isolation() returns text language sql volatile
            return current_setting('transaction_isolation');
         grant usage on schema api to {service}"
    ));
    let seen = stack.send(&Request::post("api", "isolation").role(service)).is(200).body;
    assert_eq!(seen, format!("\"{isolation}\""));
    stack
}

/// The answer to a request that began before these statements were committed.
fn overtaken(stack: &Stack, request: &Request, by: &str) -> Response {
    let mut holder = stack.db.client();
    holder.batch_execute("begin; select pg_advisory_xact_lock(1)").unwrap();
    let mut rest = stack.postgrest();
    rest.pre_request = Some("public.hold".to_owned());
    std::thread::scope(|scope| {
        let answer = scope.spawn(move || rest.send(request));
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())";
        stack.db.until(waiting);
        holder.batch_execute(by).unwrap();
        holder.batch_execute("commit").unwrap();
        answer.join().unwrap()
    })
}

#[test]
fn a_row_that_was_changed_meanwhile_ends_no_request() {
    for isolation in STRICTER {
        let stack = stack(isolation);
        let (authenticated, service) = (&stack.roles.authenticated, &stack.roles.service);
        let change = "update auth.refresh_token set rotated_at = rotated_at";
        let cookie = stack.login("u1", authenticated).refresh_cookie();
        let cookie = overtaken(&stack, &refresh(&cookie), change).is(204).refresh_cookie();
        let logout = Request::post("auth", "logout").cookie(&cookie);
        overtaken(&stack, &logout, change).is(204);

        stack.login("u1", authenticated).is(204);
        let revoke = Request::post("auth", "revoke_subject").role(service);
        let revoke = revoke.body(serde_json::json!({"subject": "u1"}));
        assert_eq!(overtaken(&stack, &revoke, change).is(200).body, "1", "{isolation}");

        let purge = Request::post("auth", "purge_expired").role(service).body("{}");
        stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp()");
        assert_eq!(overtaken(&stack, &purge, change).is(200).body, "2", "{isolation}");
        stack.login("u1", authenticated).is(204);
        stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp()");
        let delete = "delete from auth.refresh_token";
        assert_eq!(overtaken(&stack, &purge, delete).is(200).body, "0", "{isolation}");

        // A login changes no row that is there already.
        let issue = stack.issue(serde_json::json!({"subject": "u1", "role": authenticated}));
        overtaken(&stack, &issue, "update auth_private.config set grace_seconds = 9").is(204);
    }
}

#[test]
fn parallel_requests_are_all_answered() {
    for isolation in STRICTER {
        let stack = stack(isolation);
        let (authenticated, service) = (&stack.roles.authenticated, &stack.roles.service);
        for round in 0..3 {
            let subject = format!("u{round}");
            let body = serde_json::json!({"subject": subject, "role": authenticated});
            let one = stack.login(&subject, authenticated).refresh_cookie();
            let other = stack.login(&subject, authenticated).refresh_cookie();
            let of_service = |function: &str, body: &serde_json::Value| {
                Request::post("auth", function).role(service).body(body)
            };
            let mut requests = vec![refresh(&one); 12];
            requests.extend([refresh(&other), Request::post("auth", "logout").cookie(&other)]);
            requests.extend(vec![of_service("issue_tokens", &body); 3]);
            requests.extend(vec![of_service("purge_expired", &serde_json::json!({})); 3]);
            requests.extend(vec![of_service("revoke_subject", &serde_json::json!({"subject": "nobody"})); 2]);
            requests.push(of_service("revoke_subject", &serde_json::json!({"subject": subject})));
            stack.db.sql(
                "insert into auth.refresh_token
                    (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
                 select gen_random_uuid(), 'old', 'x', '', now(), now(), now() from generate_series(1, 50)",
            );
            let start = Barrier::new(requests.len());
            let answers = std::thread::scope(|scope| {
                let threads: Vec<_> = requests
                    .iter()
                    .map(|request| {
                        let (mut rest, start) = (stack.postgrest(), &start);
                        scope.spawn(move || {
                            start.wait();
                            rest.send(request)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            for answer in &answers {
                assert!([200, 204, 401].contains(&answer.status), "{isolation}: {answer:#?}");
            }
            // All tabs of one browser that were not too late have the same successor.
            let mut successors: Vec<_> = answers[..12].iter().filter(|answer| answer.status == 204).collect();
            successors.dedup_by_key(|answer| answer.refresh_cookie());
            assert!(successors.len() <= 1, "{successors:#?}");
        }
    }
}
