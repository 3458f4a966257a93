//! The same results wherever it is installed: whatever the default privileges, wherever pgcrypto
//! lives, whoever migrates, whatever the roles are called. D34 among it.

use serde_json::json;

use super::request::Request;
use super::{Roles, Stack, refresh};
use crate::support::{TestDb, role, with_options};

/// Login, refresh, reuse, logout, revocation, purging, and what is refused, as one picture.
fn results(stack: &Stack) -> String {
    stack.db.sql("update auth_private.config set grace_seconds = 0");
    let Roles { authenticated, service, .. } = &stack.roles;
    let mut rest = stack.postgrest();
    let mut lines = Vec::new();
    let mut note = |what: &str, answer: &super::Response| {
        let claims = match answer.cookie("access_token") {
            None => String::new(),
            Some("") => " cleared".to_owned(),
            Some(_) => format!(" {}", answer.claims().names().join(",")),
        };
        lines.push(format!("{what}: {} {}{}{claims}", answer.status, answer.code, answer.body));
    };
    let issue = json!({"subject": "u1", "role": authenticated});
    for role in ["", &**authenticated] {
        for (function, body) in [
            ("url_encode", json!({"data": "x"})),
            ("sign_raw", json!({"payload": {}, "secret_base64": "x"})),
            ("generate_user_jwt", json!({"subject": "x", "secret": "x"})),
            ("issue_tokens", issue.clone()),
            ("revoke_subject", json!({"subject": "u1"})),
            ("purge_expired", json!({})),
        ] {
            let request = Request::post("auth", function).body(body);
            let request = if role.is_empty() { request } else { request.role(role) };
            let who = if role.is_empty() { "anon" } else { "authenticated" };
            note(&format!("{who} {function}"), &rest.send(&request));
        }
    }
    let login = rest.send(&stack.issue(&issue));
    note("login", &login);
    let second = rest.send(&refresh(&login.refresh_cookie()));
    note("refresh", &second);
    note("again", &rest.send(&refresh(&login.refresh_cookie())));
    note("after", &rest.send(&refresh(&second.refresh_cookie())));
    note("get", &rest.send(&Request::new("GET", "auth", "refresh_tokens").cookie(second.refresh_cookie())));
    let login = rest.send(&stack.issue(&issue));
    note("logout", &rest.send(&Request::post("auth", "logout").cookie(login.refresh_cookie())));
    note("logged out", &rest.send(&refresh(&login.refresh_cookie())));
    let _ = rest.send(&stack.issue(&issue));
    let revoke = Request::post("auth", "revoke_subject").role(service).body(json!({"subject": "u1"}));
    note("revoke", &rest.send(&revoke));
    stack.db.sql("update auth.refresh_token set expires_at = clock_timestamp()");
    note("purge", &rest.send(&Request::post("auth", "purge_expired").role(service).body("{}")));
    let mut client = stack.login_config().connect(postgres::NoTls).unwrap();
    for role in [&stack.roles.anon, authenticated, service] {
        for table in ["auth.refresh_token", "auth_private.config"] {
            let quoted = role.replace('"', "\"\"");
            let read = format!("begin; set local role \"{quoted}\"; select from {table}");
            lines.push(match client.batch_execute(&read) {
                Ok(()) => format!("{table} is open"),
                Err(error) => format!("{table}: {}", error.code().unwrap().code()),
            });
            client.batch_execute("rollback").unwrap();
        }
    }
    let verified = stack.db.authmig(&["verify"]);
    lines.push(format!("verify: {}", verified.code));
    lines.join("\n")
}

const EXPECTED: &str = "\
anon url_encode: 401 42501
anon sign_raw: 401 42501
anon generate_user_jwt: 401 42501
anon issue_tokens: 401 42501
anon revoke_subject: 401 42501
anon purge_expired: 401 42501
authenticated url_encode: 403 42501
authenticated sign_raw: 403 42501
authenticated generate_user_jwt: 403 42501
authenticated issue_tokens: 403 42501
authenticated revoke_subject: 403 42501
authenticated purge_expired: 403 42501
login: 204  role,sub,iat,exp,jti,sid
refresh: 204  role,sub,iat,exp,jti,sid
again: 401  cleared
after: 401 PT401
get: 405 PT405
logout: 204  cleared
logged out: 401 PT401
revoke: 200 1
purge: 200 3
auth.refresh_token: 42501
auth_private.config: 42501
auth.refresh_token: 42501
auth_private.config: 42501
auth.refresh_token: 42501
auth_private.config: 42501
verify: 0";

#[test]
fn on_a_bare_database() {
    assert_eq!(results(&Stack::ours()), EXPECTED);
}

#[test]
fn with_default_privileges_that_give_everything_to_everybody() {
    let db = TestDb::new();
    let roles = Roles::own();
    for name in [&roles.anon, &roles.authenticated, &roles.service] {
        db.sql(&format!("create role {name} nologin"));
        for kind in ["tables", "sequences", "functions", "schemas", "types"] {
            db.sql(&format!("alter default privileges grant all on {kind} to {name}"));
        }
    }
    db.sql("alter default privileges grant all on tables to public; alter default privileges grant all on schemas to public");
    let stack = Stack::ours_with(db, roles);
    assert_eq!(results(&stack), EXPECTED);
    let open = "select count(*) from pg_class as c, aclexplode(c.relacl) as acl
        where c.relnamespace::regnamespace::text in ('auth', 'auth_private') and acl.grantee <> c.relowner";
    assert_eq!(stack.db.ask(open), "0");
    let create = "select count(*) from pg_namespace as n, aclexplode(n.nspacl) as acl
        where n.nspname in ('auth', 'auth_private') and acl.privilege_type = 'CREATE' and acl.grantee <> n.nspowner";
    assert_eq!(stack.db.ask(create), "0");
    // In the schema of the API as well, service is all that is let in.
    let guests = "select string_agg(acl.grantee::regrole || ' ' || acl.privilege_type, ', ')
        from pg_namespace as n, aclexplode(n.nspacl) as acl where n.nspname = 'api' and acl.grantee <> n.nspowner";
    assert_eq!(stack.db.ask(guests), format!("{} USAGE", stack.roles.service));
}

#[test]
fn with_default_privileges_that_take_from_the_migrator_what_is_its_own() {
    let db = TestDb::new();
    for kind in ["tables", "functions", "schemas"] {
        db.sql(&format!(
            "alter default privileges revoke all on {kind} from current_user;
             alter default privileges grant all on {kind} to pg_monitor"
        ));
    }
    assert_eq!(results(&Stack::ours_with(db, Roles::own())), EXPECTED);
}

#[test]
fn with_default_privileges_of_the_owner_role_and_of_the_migrator() {
    let db = TestDb::new();
    let roles = Roles::own();
    let migrator = role(&db, "login createrole");
    db.sql(&format!(
        "create role {0} nologin; create role {1} nologin; grant {0} to {migrator} with admin option;
         alter database {2} owner to {migrator}; grant create on schema public to {migrator};
         alter default privileges for role {0} grant all on functions to {1};
         alter default privileges for role {0} grant all on schemas to {1};
         alter default privileges for role {migrator} grant all on functions to {1};
         alter default privileges for role {migrator} grant all on schemas to {1}, public;
         alter default privileges for role {migrator} grant all on tables to {1} with grant option;
         grant {1} to {migrator} with admin option",
        roles.owner, roles.anon, db.name
    ));
    let stack = Stack::ours_with(db.run_by(&migrator), roles);
    assert_eq!(results(&stack), EXPECTED);
}

#[test]
fn with_default_privileges_revoked_from_public() {
    let db = TestDb::new();
    db.sql(
        "alter default privileges revoke execute on functions from public;
         alter default privileges revoke usage on types from public",
    );
    assert_eq!(results(&Stack::ours_in(db)), EXPECTED);
}

#[test]
fn with_nothing_left_to_public_in_the_database() {
    let db = TestDb::new();
    db.sql(&format!(
        "revoke all on database {} from public; revoke all on schema public from public",
        db.name
    ));
    let roles = Roles::own();
    db.sql(&format!(
        "create role {0} login noinherit; grant connect on database {1} to {0}",
        roles.authenticator, db.name
    ));
    assert_eq!(results(&Stack::ours_with(db, roles)), EXPECTED);
}

#[test]
fn with_pgcrypto_in_public_in_a_schema_of_extensions_or_moved_or_dropped() {
    for before in
        ["create extension pgcrypto", "create schema extensions; create extension pgcrypto schema extensions"]
    {
        let db = TestDb::new();
        db.sql(before);
        assert_eq!(results(&Stack::ours_in(db)), EXPECTED, "{before}");
    }
    let stack = Stack::ours();
    stack.db.sql("drop extension pgcrypto");
    let results = results(&stack);
    let (but_last, verified) = results.rsplit_once('\n').unwrap();
    assert_eq!(but_last, EXPECTED.rsplit_once('\n').unwrap().0);
    // That it was there and is gone is worth saying.
    assert_eq!(verified, "verify: 4");
}

#[test]
fn where_pgcrypto_cannot_be_had() {
    // Its name in public is taken, so that it cannot be installed.
    let db = TestDb::new();
    db.sql("create function public.gen_salt(text) returns text language sql as 'select 1::text'");
    let run = db.authmig(&["migrate"]).exits(0);
    assert!(run.stderr.contains("extension pgcrypto was not installed"), "{}", run.stderr);
    let stack = Stack { db, roles: Roles::default() };
    assert_eq!(stack.db.ask("select count(*) from pg_extension where extname = 'pgcrypto'"), "0");
    stack.db.sql(&format!("update auth_private.config set jwt_secret = '{}'", super::SECRET));
    assert_eq!(results(&stack), EXPECTED);
}

#[test]
fn d34_migrated_by_the_owner_of_the_database_with_createrole() {
    let db = TestDb::new();
    let migrator = role(&db, "login createrole");
    db.sql(&format!(
        "alter database {} owner to {migrator}; grant create on schema public to {migrator}",
        db.name
    ));
    assert_eq!(results(&Stack::ours_with(db.run_by(&migrator), Roles::own())), EXPECTED);
}

#[test]
fn d34_migrated_by_one_who_may_create_schemas_and_no_roles() {
    let roles = Roles::own();
    // Another database has made the roles.
    let first = Stack::ours_with(TestDb::new(), roles.clone());
    let db = TestDb::new();
    let migrator = role(&db, "login");
    db.sql(&format!(
        "grant {} to {migrator}; grant create on database {} to {migrator}",
        roles.owner, db.name
    ));
    let stack = Stack::ours_with(db.run_by(&migrator), roles);
    assert_eq!(results(&stack), EXPECTED);
    drop(first);
}

#[test]
fn with_roles_and_a_schema_of_odd_names() {
    let mut roles = Roles::own();
    roles.anon = format!("We ird\"{}", roles.anon);
    roles.authenticated = format!("ünï\\cödé 'x' {}", roles.authenticated);
    roles.service = format!("SELECT {}", roles.service);
    roles.authenticator = format!("a;b--{}", roles.authenticator);
    roles.owner = format!("%I ${}", roles.owner);
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", super::SECRET);
    let mut options = roles.options();
    options.push("--api-schema=Ä pi".to_owned());
    db.authmig(&with_options(&["migrate"], &options)).exits(0);
    let stack = Stack { db, roles };
    assert_eq!(results(&stack), EXPECTED);
}

#[test]
fn in_a_database_where_a_capital_i_is_no_small_i() {
    let Some(db) = TestDb::turkish() else { return };
    db.sql("create schema api; create table api.t (id int)");
    let stack = Stack::ours_in(db);
    assert_eq!(results(&stack), EXPECTED);
    // A cookie of ours that was set before is replaced, however the header is written.
    let mut client = stack.db.client();
    client
        .batch_execute(
            r#"begin; select set_config('response.headers', '[{"SET-COOKIE": "access_token=old"}]', true);
            select auth.issue_tokens('u1')"#,
        )
        .unwrap();
    let headers: String = client.query_one("select current_setting('response.headers')", &[]).unwrap().get(0);
    assert!(headers.contains("access_token=ey") && !headers.contains("old"), "{headers}");
}
