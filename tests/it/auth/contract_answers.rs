//! The second half of the contract's section 8: refusals, odd input, and what must not be seen.
//! The numbers are those of contract.rs.

use std::time::Duration;

use postgres::NoTls;
use serde_json::json;

use super::published::{AUTH_SCHEMA, Sql};
use super::request::Request;
use super::{Stack, refresh};

#[test]
fn line_11_the_status_of_each_refusal_is_that_of_postgrest() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let mut status = |request: Request| {
        let answer = rest.send(&request);
        (answer.status, answer.code)
    };
    let issue = Request::post("auth", "issue_tokens").body(json!({"subject": "u1"}));
    assert_eq!(status(issue.clone()), (401, "42501".to_owned()));
    assert_eq!(status(issue.clone().role("anon")), (401, "42501".to_owned()));
    assert_eq!(status(issue.clone().role("authenticated")), (403, "42501".to_owned()));
    assert_eq!(status(issue.clone().role("no_such_role")), (401, "22023".to_owned()));
    assert_eq!(status(issue.clone().role("postgres")), (403, "42501".to_owned()));
    assert_eq!(status(issue.clone().bearer("x.y.z")), (401, "PGRST301".to_owned()));
    assert_eq!(status(refresh("")), (401, "PT401".to_owned()));
    assert_eq!(status(Request::new("GET", "auth", "refresh_tokens")), (405, "PT405".to_owned()));
    assert_eq!(status(Request::new("GET", "auth", "logout")), (405, "PT405".to_owned()));
    let link = Request::new("GET", "auth", "issue_tokens").query("subject", "u1").role("service");
    assert_eq!(status(link), (405, "PT405".to_owned()));
}

#[test]
fn line_14_a_pre_request_may_add_headers_and_may_refuse() {
    let stack = Stack::ours();
    stack.db.sql(
        "create function api.before() returns void language plpgsql as $$
         begin
             if current_setting('request.headers')::json ->> 'x-stop' is not null then
                 raise sqlstate 'PT403' using message = 'Stopped';
             end if;
             perform set_config('response.headers', '[{\"X-Request\": \"7\"}, {\"cache-control\": \"private\"}]', true);
         end $$;
         grant usage on schema api to public; grant execute on function api.before() to public",
    );
    let mut rest = stack.postgrest();
    rest.pre_request = Some("api.before".to_owned());
    let login = rest.send(&stack.issue(json!({"subject": "u1"}))).is(204);
    let rows = stack.rows();
    let stopped = rest.send(&refresh(&login.refresh_cookie()).header_set("x-stop", "1"));
    assert_eq!((stopped.error(), stopped.headers.len()), ((403, "PT403", "Stopped"), 0));
    assert_eq!(stack.rows(), rows);
    let refreshed = rest.send(&refresh(&login.refresh_cookie())).is(204);
    for answer in [login, refreshed] {
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["X-Request", "Set-Cookie", "Set-Cookie", "Cache-Control"]);
        assert_eq!(answer.header("cache-control"), ["no-store"]);
    }

    // What it left there that PostgREST refuses would be 500 after the commit.
    stack.db.sql(
        "create or replace function api.before() returns void language sql as
            $$ select set_config('response.headers', current_setting('request.headers')::json ->> 'x-headers', true) $$",
    );
    for (headers, kept) in [
        ("", None),
        ("x", None),
        ("null", None),
        ("{}", None),
        (r#"{"A":"b"}"#, None),
        ("[1]", None),
        (r#"["a"]"#, None),
        ("[[]]", None),
        ("[{}]", None),
        ("[]", None),
        (r#"[{"A":1}]"#, None),
        (r#"[{"A":null}]"#, None),
        (r#"[{"A":true}]"#, None),
        (r#"[{"A":{"set-cookie":1}}]"#, None),
        (r#"[{"A":"b","C":"d"}]"#, None),
        (r#"[{"A":"b","Cache-Control":"private"}]"#, None),
        (r#"[{"A":"b"}]"#, Some("b")),
        (r#"[{"A":"\"[1]\""}]"#, Some("\"[1]\"")),
        (r#"[1, {"C":2}, {"A":"b"}, [], {}, {"D":"e","F":"g"}, null]"#, Some("b")),
    ] {
        let request = stack.issue(json!({"subject": "u1"})).header_set("x-headers", headers);
        let answer = rest.send(&request).is(204);
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
        let names: Vec<_> = names.strip_prefix(&["A"]).unwrap_or(&names).to_vec();
        assert_eq!(names, ["Set-Cookie", "Set-Cookie", "Cache-Control"], "{headers}");
        assert_eq!(answer.header("a").first().copied(), kept, "{headers}");
    }
}

#[test]
fn line_14_what_is_left_out_of_the_headers_is_warned_of() {
    let stack = Stack::ours();
    let (sender, warnings) = std::sync::mpsc::channel();
    let mut config = stack.login_config();
    config.user("postgres").notice_callback(move |notice| sender.send(notice.message().to_owned()).unwrap());
    let mut client = config.connect(NoTls).unwrap();
    for (headers, warned) in [
        ("", None),
        (r#"[{"A":"b"}]"#, None),
        (r#"[{"A":"b"}, {"C":1}]"#, Some("response.headers held what is no header: that is left out")),
        ("x", Some("response.headers was not an array of objects and is replaced")),
        ("{}", Some("response.headers was not an array of objects and is replaced")),
    ] {
        let mut request = client.transaction().unwrap();
        request.execute("select set_config('response.headers', $1, true)", &[&headers]).unwrap();
        request.execute("select auth.issue_tokens('u1')", &[]).unwrap();
        request.commit().unwrap();
        assert_eq!(warnings.try_recv().ok().as_deref(), warned, "{headers}");
    }
}

#[test]
fn line_15_get_and_head_are_refused_and_change_nothing() {
    let stack = Stack::ours();
    let cookie = stack.login("u1", "authenticated").refresh_cookie();
    let (rows, mut rest) = (stack.rows(), stack.postgrest());
    for method in ["GET", "HEAD"] {
        for cookie in ["", "refresh_token=x", &cookie] {
            for (function, arguments) in [
                ("refresh_tokens", &[][..]),
                ("logout", &[]),
                ("issue_tokens", &[("subject", "u1")]),
                ("revoke_subject", &[("subject", "u1")]),
                ("purge_expired", &[("batch", "1")]),
                ("purge_expired", &[]),
            ] {
                let request = Request::new(method, "auth", function).cookie(cookie).role("service");
                let request =
                    arguments.iter().fold(request, |request, (name, value)| request.query(name, value));
                let as_service = rest.send(&request);
                assert!([403, 405].contains(&as_service.status), "{function}: {as_service:#?}");
                assert_eq!(as_service.headers, []);
                let mut request = Request::new(method, "auth", function).cookie(cookie);
                request.query = arguments.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
                let as_anon = rest.send(&request);
                assert!([401, 405].contains(&as_anon.status), "{function}: {as_anon:#?}");
                assert_eq!(as_anon.headers, []);
            }
        }
    }
    assert_eq!(stack.rows(), rows);
    // Nor does a trick with the method's case or another method that reads.
    for method in ["get", "OPTIONS"] {
        let answer = rest.send(&Request::new(method, "auth", "refresh_tokens").cookie(&*cookie));
        assert_eq!(answer.status, 405, "{method}");
    }
    assert_eq!(stack.rows(), rows);
}

#[test]
fn line_16_an_odd_cookie_is_401_and_a_quoted_one_is_good() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let long = format!("refresh_token={}", "x".repeat(40_000));
    for header in [
        "",
        "refresh_token=",
        "refresh_token",
        "refresh_token=\"\"",
        "refresh_token=\"",
        "refresh_token=%00",
        "refresh_token=\0",
        "other=\0",
        "refresh_token=\u{1}\u{1f}\u{7f}",
        "=v",
        ";;",
        "Refresh_Token=x",
        "access_token=x",
        "__Host-refresh_token=x",
        &long,
    ] {
        for function in ["refresh_tokens", "logout"] {
            let answer = rest.send(&Request::post("auth", function).cookie(header));
            assert_eq!(answer.error(), (401, "PT401", "Invalid or expired refresh token"), "{header:.100}");
        }
    }
    let login = stack.login("u1", "authenticated");
    let value = login.cookie("refresh_token").unwrap();
    // The last of a name counts; quotes are not part of it, whichever version keeps them.
    rest.send(&refresh(&format!("refresh_token={value}; refresh_token=x"))).is(401);
    rest.send(&refresh(&format!("refresh_token=x; theme=dark; refresh_token=\"{value}\""))).is(204);
    // A NUL in a cookie of somebody else hides ours, and that is 401, too.
    rest.send(&refresh(&format!("refresh_token={value}; other=\0"))).is(401);
    assert_eq!(stack.sessions(), "1 sessions, 1 live");
}

#[test]
fn line_17_a_transaction_that_began_long_ago_does_not_matter() {
    let stack = Stack::ours();
    stack.db.sql("update auth_private.config set grace_seconds = 1");
    let mut rest = stack.postgrest();
    let old = |request: Request| request.after(Duration::from_secs(3));
    // By now() these tokens would have been issued three seconds ago.
    let before = super::jwt::now();
    let first = rest.send(&old(stack.issue(json!({"subject": "u1"})))).is(204);
    assert!(first.claims().number("iat") >= before + 3);
    // By now() the session would have rotated before it was made, and the grace period (1 s) be on.
    let second = rest.send(&old(refresh(&first.refresh_cookie()))).is(204);
    assert!(second.claims().number("iat") >= before + 6);
    rest.send(&old(refresh(&first.refresh_cookie()))).is(401);
    // By now() it would still live.
    let login = stack.login("u2", "authenticated");
    stack.db.sql(
        "update auth.refresh_token set expires_at = clock_timestamp() + interval '1 s' where subject = 'u2'",
    );
    rest.send(&old(refresh(&login.refresh_cookie()))).is(401);
}

#[test]
fn line_18_statements_that_are_kept_survive_new_functions() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let login = rest.send(&stack.issue(json!({"subject": "u1"}))).is(204);
    let mut cookie = rest.send(&refresh(&login.refresh_cookie())).is(204).refresh_cookie();
    // 05 and 02 again under a connection that knows them; the sessions go with the table.
    stack.db.authmig(&["rollback", "--to", "1", "--yes", "--discard-data"]).exits(0);
    stack.db.authmig(&["migrate"]).exits(0);
    for _ in 0..2 {
        assert_eq!(rest.send(&refresh(&cookie)).error(), (401, "PT401", "Invalid or expired refresh token"));
    }
    for _ in 0..7 {
        cookie = rest.send(&stack.issue(json!({"subject": "u1"}))).is(204).refresh_cookie();
        rest.send(&refresh(&cookie)).is(204);
    }
}

#[test]
fn line_19_messages_that_become_reason_phrases_are_constants() {
    // PTnnn is raised with a literal, everywhere, and every literal is one line of ASCII.
    let stack = Stack::ours();
    let raised = stack.db.ask(
        "select string_agg(distinct m[1], '|' order by m[1])
           from pg_proc as p, regexp_matches(p.prosrc, 'sqlstate ''PT[^;]*;', 'g') as m
          where p.pronamespace::regnamespace::text in ('auth', 'auth_private')",
    );
    assert_eq!(
        raised,
        "sqlstate 'PT401' using message = 'Invalid or expired refresh token';|\
         sqlstate 'PT405' using message = 'Use POST';"
    );
    let bodies = stack.db.ask(
        "select string_agg(prosrc, '') from pg_proc where pronamespace::regnamespace::text in ('auth', 'auth_private')",
    );
    assert_eq!(bodies.matches("PT4").count(), bodies.matches("raise sqlstate 'PT4").count());
    assert!(!bodies.contains("PGRST"));
}

#[test]
fn line_20_nothing_raises_what_postgrest_would_repeat() {
    let stack = Stack::ours();
    let bodies = stack.db.ask(
        "select string_agg(prosrc, '') from pg_proc where pronamespace::regnamespace::text in ('auth', 'auth_private')",
    );
    for word in ["40001", "40P01", "serialization_failure", "deadlock_detected", "execute "] {
        assert!(!bodies.contains(word), "{word}");
    }
    // Under a stricter isolation PostgreSQL itself raises 40001 for a row that was changed
    // meanwhile. So those that lock a row ask for read committed.
    let isolation = "select count(*) from pg_proc, unnest(proconfig) as c
        where pronamespace::regnamespace::text in ('auth', 'auth_private') and c not like 'search_path=%'
          and c <> 'default_transaction_isolation=read committed'";
    assert_eq!(stack.db.ask(isolation), "0");
}

#[test]
fn line_23_a_role_that_the_authenticator_may_not_become_is_never_minted() {
    // The list is in d23_unlawful_subjects_and_roles_are_refused_and_store_nothing. Here: what is
    // minted works, each of the three, and a superuser that it is a member of does not.
    let roles = super::Roles::own();
    let stack = Stack::ours_with(crate::support::TestDb::new(), roles.clone());
    for role in [&roles.anon, &roles.authenticated, &roles.service] {
        let token = stack.login("u1", role).is(204).access_token().to_owned();
        let answer = stack.send(&refresh("").bearer(&token));
        assert_eq!(answer.code, if role == &roles.service { "42501" } else { "PT401" });
    }
    // A name that is too long is not that of the role whose name it begins with.
    let longest = format!("{:x<63}", crate::support::unique("r"));
    stack.db.sql(&format!("create role {longest}; grant {longest} to {}", roles.authenticator));
    stack.login("u1", &longest).is(204);
    assert_eq!(stack.login("u1", &format!("{longest}x")).code, "22023");
    let admin = crate::support::role(&stack.db, "superuser nologin");
    let between = crate::support::role(&stack.db, "nologin");
    stack.db.sql(&format!("grant {admin} to {}; grant {admin} to {between}", roles.authenticator));
    stack.db.sql(&format!("grant {between} to {}", roles.authenticator));
    assert_eq!(stack.login("u1", &admin).code, "22023");
    // Nor one that leads to the owner of the functions, who can read the secret.
    let friend = crate::support::role(&stack.db, "nologin");
    stack.db.sql(&format!("grant {} to {friend}; grant {friend} to {}", roles.owner, roles.authenticator));
    assert_eq!(stack.login("u1", &friend).code, "22023");
    // Nor one that the authenticator has the rights of, and may not become.
    if crate::support::major() >= 16 {
        let rights = crate::support::role(&stack.db, "nologin");
        stack.db.sql(&format!("grant {rights} to {}", roles.authenticator));
        stack.login("u1", &rights).is(204);
        stack.db.sql(&format!("grant {rights} to {} with set false", roles.authenticator));
        assert_eq!(stack.login("u1", &rights).code, "22023");
    }
}

#[test]
fn that_the_authenticator_must_be_a_member_is_said_only_where_that_would_help_and_be_safe() {
    let roles = super::Roles::own();
    let stack = Stack::ours_with(crate::support::TestDb::new(), roles.clone());
    let hint = |role: &str| {
        let answer = stack.login("u1", role);
        assert_eq!(answer.error(), (400, "22023", "this role cannot be given to a token"), "{role}");
        answer.hint
    };
    let stranger = crate::support::role(&stack.db, "nologin");
    let admin = crate::support::role(&stack.db, "superuser nologin");
    let friend = crate::support::role(&stack.db, "nologin");
    stack.db.sql(&format!("grant {} to {friend}", roles.owner));
    assert_eq!(hint(&stranger), "The authenticator must be a member of it.");
    assert_eq!(hint("no such role"), "The authenticator must be a member of it.");
    // A member of these would read the secret.
    for role in [&roles.owner, &roles.authenticator, &friend, &admin] {
        assert_eq!(hint(role), "", "{role}");
    }
    // Nor one that leads to them from where the authenticator is a member already.
    stack.db.sql(&format!("grant {friend} to {}", roles.authenticator));
    assert_eq!(hint(&friend), "");
}

#[test]
fn line_25_of_the_schema_anon_may_use_two_functions_and_nothing_else() {
    let stack = Stack::ours();
    let usable = |role: &str| {
        stack.db.ask(&format!(
            "select string_agg(o.name, ' ' order by o.name) from (
                select p.proname::text as name from pg_proc as p
                 where p.pronamespace = 'auth'::regnamespace and has_function_privilege('{role}', p.oid, 'execute')
                 union all
                select c.relname::text from pg_class as c
                 where c.relnamespace = 'auth'::regnamespace and c.relkind in ('r', 'v', 'm', 'f', 'p', 'S')
                   and (c.relkind = 'S' and has_sequence_privilege('{role}', c.oid, 'usage, select, update')
                        or c.relkind <> 'S' and (has_table_privilege('{role}', c.oid, 'select, insert, update, delete, truncate')
                            or has_any_column_privilege('{role}', c.oid, 'select, insert, update, references')))
            ) as o"
        ))
    };
    assert_eq!(usable("anon"), "logout refresh_tokens");
    assert_eq!(usable("authenticated"), "logout refresh_tokens");
    assert_eq!(usable("service"), "issue_tokens purge_expired revoke_subject");
    assert_eq!(usable("authenticator"), "");
    // Nor is there more in the schema than the page promises: PostgREST would show it.
    assert_eq!(
        stack.db.ask(
            "select string_agg(concat(c.relkind, ' ', c.relname), ', ' order by c.relname)
               from pg_class as c where c.relnamespace = 'auth'::regnamespace and c.relkind <> 'i'"
        ),
        "r refresh_token"
    );
    let unnamed = "select count(*) from pg_proc where pronamespace = 'auth'::regnamespace
        and (pronargs > 0 and proargnames is null or '' = any (proargnames))";
    assert_eq!(stack.db.ask(unnamed), "0");
    assert!(AUTH_SCHEMA.contains("create table refresh_token"));
}

#[test]
fn line_26_the_secret_is_in_no_session_of_the_pool() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let nobody_sees_it = |rest: &mut super::PostgRest| {
        for role in ["anon", "authenticated", "service"] {
            for name in ["pgrst.jwt_secret", "app.settings.jwt_secret", "pgrst.jwt_aud"] {
                assert_eq!(rest.setting_seen_by(role, name).unwrap_or_default(), "", "{role}: {name}");
            }
        }
    };
    nobody_sees_it(&mut rest);
    rest.load_config("auth_private.postgrest_config").unwrap();
    nobody_sees_it(&mut rest);
    let login = rest.send(&stack.issue(json!({"subject": "u1"}))).is(204);
    nobody_sees_it(&mut rest);
    rest.send(&refresh(&login.refresh_cookie())).is(204);
    nobody_sees_it(&mut rest);
    // And no later request sees anything of this one.
    for name in
        ["request.cookies", "request.headers", "request.jwt.claims", "response.headers", "response.status"]
    {
        assert_eq!(rest.setting_seen_by("anon", name).unwrap_or_default(), "", "{name}");
    }
}

#[test]
fn line_27_the_pre_config_serves_secret_and_audience_and_never_raises() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    let secret = "//////////////////////////////////////////8=";
    stack.db.sql(&format!("update auth_private.config set jwt_secret = '{secret}', audience = 'app'"));
    assert_eq!(rest.send(&stack.issue(json!({"subject": "u1"}))).status, 204);
    rest.load_config("auth_private.postgrest_config").unwrap();
    assert_eq!((&*rest.secret, rest.audience.as_deref()), (secret, Some("app")));
    // Tokens under the old one are refused, new ones are good.
    assert_eq!(rest.send(&stack.issue(json!({"subject": "u1"}))).code, "PGRST301");
    let login = stack.login("u1", "authenticated");
    super::jwt::verified(login.access_token(), secret, Some("app")).unwrap();

    // No secret, no row, no table: nothing is set and nothing raised.
    for state in [
        "update auth_private.config set jwt_secret = null, audience = null",
        "delete from auth_private.config",
        "alter table auth_private.config rename to gone",
    ] {
        stack.db.sql(state);
        let mut rest = stack.postgrest();
        rest.secret = "unset".to_owned();
        rest.load_config("auth_private.postgrest_config").unwrap();
        assert_eq!((&*rest.secret, rest.audience), ("unset", None), "{state}");
    }
    // Of the roles of a request none may call it.
    let mut client = stack.login_config().connect(NoTls).unwrap();
    for role in ["anon", "authenticated", "service"] {
        let call = format!("begin; set local role {role}; select auth_private.postgrest_config()");
        let error = client.batch_execute(&call).unwrap_err();
        client.batch_execute("rollback").unwrap();
        assert_eq!(error.code().unwrap().code(), "42501");
    }
}

#[test]
fn line_28_a_change_of_secret_or_audience_tells_postgrest_and_nothing_else_does() {
    use postgres::fallible_iterator::FallibleIterator;
    let stack = Stack::of(Sql::Ours);
    let mut listener = stack.db.client();
    listener.batch_execute("listen pgrst").unwrap();
    let mut heard = |change: &str| {
        stack.db.sql(change);
        let mut notifications = listener.notifications();
        let mut told = notifications.timeout_iter(Duration::from_millis(300));
        std::iter::from_fn(|| told.next().unwrap()).map(|one| one.payload().to_owned()).collect::<Vec<_>>()
    };
    let update = |what: &str| format!("update auth_private.config set {what}");
    assert_eq!(heard(&update("audience = 'app'")), ["reload config"]);
    assert_eq!(heard(&update("jwt_secret = null")), ["reload config"]);
    assert_eq!(heard(&update("audience = 'app', grace_seconds = 5")), [""; 0]);
    assert_eq!(heard(&format!("begin; {}; rollback", update("audience = 'other'"))), [""; 0]);
}
