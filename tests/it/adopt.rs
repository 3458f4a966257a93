//! An installation of the published SQL is upgraded in place, and nobody is logged out.

use crate::support::{Files, Run, TestDb, finish, major, own_roles, role, versions, with_options};

pub(crate) const EXTENSIONS: &str = include_str!("published/01-extensions.sql");
pub(crate) const AUTH_SCHEMA: &str = include_str!("published/02-auth_schema.sql");
const GRANTS: &str = include_str!("published/05-grants.sql");

/// The published SQL, its two bugs repaired as people did by hand.
pub(crate) fn repaired() -> String {
    let broken =
        "select subject into subject\nfrom refresh_token\nwhere token = refresh_cookie\nand created_at";
    assert!(AUTH_SCHEMA.contains(broken));
    AUTH_SCHEMA.replace(
        broken,
        "select t.subject into subject\nfrom refresh_token as t\nwhere t.token = refresh_cookie\nand t.created_at",
    )
}

/// What a stack has before the published SQL, and that SQL, with three sessions: two
/// that live and one that has expired.
pub(crate) fn installed(db: &TestDb, auth_schema: &str) {
    // The roles are the server's; another test may be making them at this moment.
    for role in ["anon", "authenticated", "service"] {
        db.sql(&format!(
            "do $$ begin create role {role}; exception when duplicate_object or unique_violation then null; end $$"
        ));
    }
    db.sql("create schema api");
    db.sql(&format!("{EXTENSIONS};"));
    db.sql(auth_schema);
    db.sql(&GRANTS.replace("issue_tokens(text)", "issue_tokens(text, text)"));
    db.sql(
        "insert into auth.refresh_token (subject, token, created_at) values
        ('alice', '11111111-1111-4111-8111-111111111111', now() - interval '1 day'),
        ('bob', '22222222-2222-4222-8222-222222222222', now() - interval '29 days'),
        ('carol', '33333333-3333-4333-8333-333333333333', now() - interval '31 days')",
    );
}

/// A refresh with this cookie: the new cookie, or the error's SQLSTATE.
fn refresh(db: &TestDb, cookie: &str) -> Result<String, String> {
    let mut client = db.client();
    let mut request = client.transaction().unwrap();
    let cookies = serde_json::json!({ "refresh_token": cookie }).to_string();
    request
        .execute(
            "select set_config('request.cookies', $1, true), set_config('request.method', 'POST', true), \
             set_config('app.settings.jwt_secret', encode(sha256('x'), 'base64'), true)",
            &[&cookies],
        )
        .unwrap();
    request.batch_execute("set local role anon").unwrap();
    request
        .batch_execute("select auth.refresh_tokens()")
        .map_err(|error| error.code().unwrap().code().to_owned())?;
    let headers: String =
        request.query_one("select current_setting('response.headers')", &[]).unwrap().get(0);
    request.commit().unwrap();
    let headers: Vec<serde_json::Value> = serde_json::from_str(&headers).unwrap();
    let cookie = headers
        .iter()
        .find_map(|header| header["Set-Cookie"].as_str()?.strip_prefix("refresh_token="))
        .unwrap();
    Ok(cookie.split(';').next().unwrap().to_owned())
}

fn adopt(db: &TestDb) -> Run {
    db.authmig(&["migrate", "--adopt", "--format", "json"])
}

#[test]
fn d35_the_published_sql_does_not_run_over_itself() {
    let db = TestDb::new();
    installed(&db, AUTH_SCHEMA);
    for script in [EXTENSIONS, AUTH_SCHEMA] {
        let error = db.client().batch_execute(script).unwrap_err();
        assert!(error.as_db_error().unwrap().message().ends_with("already exists"), "{error:?}");
    }
    // Ours does, and over the published SQL as well.
    for _ in 0..2 {
        adopt(&db).exits(0);
    }
}

#[test]
fn only_where_the_published_table_stands_is_there_something_to_adopt() {
    let db = TestDb::new();
    let adoptable = || db.authmig(&["status", "--format", "json"]).exits(0).json()["adoptable"].clone();
    assert_eq!(adoptable(), false);
    db.sql("create schema auth; create table auth.refresh_token (id int, subject text, token text)");
    assert_eq!(adoptable(), false);
    db.sql("alter table auth.refresh_token add created_at timestamptz");
    assert_eq!(adoptable(), true);
}

#[test]
fn d35_the_published_installation_is_adopted_with_its_live_sessions() {
    for (auth_schema, ledger) in [(AUTH_SCHEMA.to_owned(), "none"), (repaired(), "infra.schema_migrations")] {
        let db = TestDb::new();
        installed(&db, &auth_schema);
        if ledger != "none" {
            db.sql(
                "create schema infra; create table infra.schema_migrations (version text primary key, \
                    applied_at timestamptz not null default now()); \
                    insert into infra.schema_migrations values ('01-extensions.sql'), ('02-auth_schema.sql')",
            );
        }
        let pending = format!("0 applied, {} pending\n", versions().len());
        let adoptable =
            "the published SQL is installed here: `authmig migrate --adopt` upgrades it in place\n";
        let run = db.authmig(&["status"]).exits(0);
        assert!(run.stdout.ends_with(&(pending + adoptable)), "{}", run.stdout);
        let verify = db.authmig(&["verify"]).exits(4).stdout;
        assert!(verify.contains(adoptable), "{verify}");
        let refused = db.authmig(&["migrate"]).exits(1);
        assert!(refused.stderr.contains("authmig migrate --adopt"), "{}", refused.stderr);

        let report = adopt(&db).exits(0).json();
        assert_eq!(report["adopted"], serde_json::json!({"rows": 3, "sessions": 2, "ledger": ledger}));
        db.authmig(&["verify"]).exits(0);
        assert!(!db.authmig(&["status"]).exits(0).stdout.contains("published"));
        let run = "select action || ' ' || to_jsonb(versions) from authmig.journal";
        assert_eq!(db.ask(run), format!("adopt {:?}", versions()));
        assert_eq!(db.ask("select detail ->> 'sessions' from authmig.journal"), "2");
        // Whose it was and who might use it, for whoever misses something.
        assert_eq!(db.ask("select detail #>> '{table,owner}' from authmig.journal"), "postgres");
        let might =
            "select detail #>> '{functions,\"auth.issue_tokens(text,text)\",acl}' from authmig.journal";
        assert!(db.ask(might).contains("service=X/"), "{}", db.ask(might));

        // The old cookie is good once, for a new one; that goes on, and reuse is noticed.
        let alice = "11111111-1111-4111-8111-111111111111";
        let new = refresh(&db, alice).unwrap();
        assert!(new.len() > 36 + 1 + 41, "{new}"); // a UUID and at least 244 bits
        assert_eq!(refresh(&db, alice).unwrap(), new, "a parallel request gets the same");
        let newer = refresh(&db, &new).unwrap();
        assert_ne!(newer, new);
        db.sql("update auth.refresh_token set rotated_at = rotated_at - interval '1 minute'");
        assert!(refresh(&db, &newer).is_ok());
        assert_eq!(refresh(&db, "33333333-3333-4333-8333-333333333333"), Err("PT401".to_owned()));
        assert_eq!(
            db.ask(
                "select subject || ' ' || role || ' ' || (expires_at < now() + interval '2 days') \
                    from auth.refresh_token where subject = 'bob'"
            ),
            "bob authenticated true"
        );
        assert_eq!(adopt(&db).exits(0).json()["outcome"], "up_to_date");
        assert_eq!(db.ask("select to_regclass('authmig.adopted') is null"), "true");
    }
}

#[test]
fn a_later_migration_finds_the_adopted_sessions() {
    let db = TestDb::new();
    installed(&db, AUTH_SCHEMA);
    let files = Files::embedded().without_manifest().and(
        "9999-family",
        "alter table auth.refresh_token add column family uuid;
         update auth.refresh_token set family = selector;
         alter table auth.refresh_token alter column family set not null;",
        "alter table auth.refresh_token drop column family;",
        "select 1;",
    );
    db.authmig_with(&files, &["migrate", "--adopt"]).exits(0);
    assert_eq!(db.ask("select count(*) from auth.refresh_token where family = selector"), "2");
}

#[test]
fn who_logs_in_at_the_same_moment_keeps_the_session() {
    let db = TestDb::new();
    installed(&db, &repaired());
    let dave = "44444444-4444-4444-8444-444444444444";
    let mut login = db.client();
    login
        .batch_execute(&format!(
            "begin; insert into auth.refresh_token (subject, token) values ('dave', '{dave}')"
        ))
        .unwrap();
    let run = db.command(&["migrate", "--adopt"]).spawn().unwrap();
    db.until_blocked();
    login.batch_execute("commit").unwrap();
    finish(run).exits(0);
    refresh(&db, dave).unwrap();
}

#[test]
fn a_session_of_a_subject_that_no_token_can_have_is_not_kept() {
    let db = TestDb::new();
    installed(&db, &repaired());
    let token = "44444444-4444-4444-8444-44444444444";
    db.sql(&format!(
        "delete from auth.refresh_token; insert into auth.refresh_token (subject, token, created_at) values \
         (repeat('x', 256), '{token}0', now()), (e'a\\tb', '{token}1', now()), (repeat('ä', 255), '{token}2', now())"
    ));
    let report = adopt(&db).exits(0).json();
    assert_eq!((&report["adopted"]["rows"], &report["adopted"]["sessions"]), (&3.into(), &1.into()));
    for lost in [0, 1] {
        assert_eq!(refresh(&db, &format!("{token}{lost}")), Err("PT401".to_owned()));
    }
    refresh(&db, &format!("{token}2")).unwrap();
}

#[test]
fn a_token_that_was_never_given_out_like_that_is_not_kept() {
    let db = TestDb::new();
    installed(&db, &repaired());
    let alice = "11111111-1111-4111-8111-111111111111";
    db.sql(&format!(
        "insert into auth.refresh_token (subject, token) values
            ('dave', 'x'), ('erin', 'AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA'), ('alice', '{alice}')"
    ));
    // One that is there twice is one session.
    let report = adopt(&db).exits(0).json();
    assert_eq!((&report["adopted"]["rows"], &report["adopted"]["sessions"]), (&6.into(), &2.into()));
    refresh(&db, alice).unwrap();
}

#[test]
fn a_session_that_says_it_begins_in_the_future_ends_in_time() {
    let db = TestDb::new();
    installed(&db, &repaired());
    let token = "44444444-4444-4444-8444-44444444444";
    let times = ["infinity", "-infinity", "294276-12-31", "9999-12-31", "2090-01-01", "4713-01-01 BC", "now"];
    let lives = [true, false, true, true, true, false, true];
    db.sql("delete from auth.refresh_token; set timezone = 'UTC'");
    for (number, time) in times.iter().enumerate() {
        db.sql(&format!(
            "insert into auth.refresh_token (subject, token, created_at) values ('{time}', '{token}{number}', '{time}')"
        ));
    }
    // Nor does it have to say.
    db.sql(&format!(
        "alter table auth.refresh_token alter column created_at drop not null, alter column created_at drop default; \
         insert into auth.refresh_token (subject, token) values ('null', '{token}9')"
    ));
    let report = adopt(&db).exits(0).json();
    assert_eq!((&report["adopted"]["rows"], &report["adopted"]["sessions"]), (&8.into(), &5.into()));
    let in_time = "select bool_and(created_at <= now() and rotated_at = created_at and now() - created_at < '1 hour' \
         and expires_at = created_at + interval '30 days') from auth.refresh_token";
    assert_eq!(db.ask(in_time), "true");
    for (number, (time, lives)) in times.iter().zip(lives).enumerate() {
        let result = refresh(&db, &format!("{token}{number}"));
        assert_eq!(result.err().as_deref(), (!lives).then_some("PT401"), "{time}");
    }
    assert_eq!(refresh(&db, &format!("{token}9")), Err("PT401".to_owned()));
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn grants_on_the_old_objects_are_recorded_down_to_columns() {
    let db = TestDb::new();
    installed(&db, &repaired());
    db.sql(
        "grant select (subject), update (subject, token) on auth.refresh_token to service; \
         grant usage on sequence auth.refresh_token_id_seq to service",
    );
    adopt(&db).exits(0);
    let detail: serde_json::Value =
        serde_json::from_str(&db.ask("select detail from authmig.journal")).unwrap();
    assert_eq!(
        detail["table"],
        serde_json::json!({
            "owner": "postgres",
            "acl": null,
            "columns": {"subject": "{service=rw/postgres}", "token": "{service=w/postgres}"},
        })
    );
    assert_eq!(detail["sequence"], "{postgres=rwU/postgres,service=U/postgres}");
    assert_eq!(detail["functions"]["auth.refresh_tokens()"]["owner"], "postgres");
}

#[test]
fn an_old_cookie_that_is_used_again_later_ends_the_session() {
    let db = TestDb::new();
    installed(&db, &repaired());
    adopt(&db).exits(0);
    let bob = "22222222-2222-4222-8222-222222222222";
    let new = refresh(&db, bob).unwrap();
    db.sql("update auth.refresh_token set rotated_at = rotated_at - interval '1 minute'");
    let mut client = db.client();
    client
        .batch_execute(&format!(
            "begin; select set_config('request.cookies', '{{\"refresh_token\":\"{bob}\"}}', true), \
             set_config('request.method', 'POST', true); select auth.refresh_tokens(); commit"
        ))
        .unwrap();
    assert_eq!(refresh(&db, &new), Err("PT401".to_owned()));
    assert_eq!(db.ask("select revoked_why from auth.refresh_token where subject = 'bob'"), "reuse");
}

#[test]
fn what_is_not_recognised_is_named_and_nothing_is_changed() {
    for (change, named) in [
        ("alter table auth.refresh_token add column device text", "column device text"),
        (
            "alter table auth.refresh_token alter column token type varchar(40)",
            "column token character varying(40)",
        ),
        ("alter table auth.refresh_token drop column created_at", "a column is missing"),
        ("create function auth.logout() returns void language sql as ''", "auth.logout()"),
        (
            "create function auth.issue_tokens(subject uuid) returns void language sql as ''",
            "auth.issue_tokens(uuid)",
        ),
        (
            "create or replace function auth.url_encode(data bytea) returns text language sql as $$ select 'x' $$ immutable",
            "the body of auth.url_encode(bytea)",
        ),
        (
            "create or replace function auth.refresh_tokens() returns void language sql as $$ $$",
            "the body of auth.refresh_tokens()",
        ),
        (
            "create or replace function auth.refresh_tokens() returns void language plpgsql as \
                $$ begin perform current_setting('request.cookies'), 'refresh_token'; end $$",
            "the body of auth.refresh_tokens()",
        ),
        ("drop function auth.refresh_tokens()", "function auth.refresh_tokens() is missing"),
        ("drop table auth.refresh_token", "table auth.refresh_token is missing"),
        (
            "create function auth.spy() returns trigger language plpgsql as 'begin return new; end'; \
          create trigger spy after insert on auth.refresh_token for each row execute function auth.spy()",
            "trigger spy on auth.refresh_token",
        ),
    ] {
        let db = TestDb::new();
        installed(&db, &repaired());
        db.sql(change);
        let before = db.dump(&[]);
        let run = db.authmig(&["migrate", "--adopt"]).exits(1);
        assert!(run.stderr.contains("holds what authmig does not recognise: "), "{change}: {}", run.stderr);
        assert!(run.stderr.contains(named), "{change}: {}", run.stderr);
        assert!(!run.stderr.contains("adopt_prepare"), "{change}: {}", run.stderr);
        assert_eq!(db.dump(&[]), before, "{change}");
    }
}

/// What stands in the way, and what is to be done about each.
fn obstacles(run: &Run) -> Vec<(&str, &str)> {
    let found = run.stderr.split("\n  - ").skip(1);
    found.map(|found| found.trim_end().split_once("\n      ").unwrap()).collect()
}

/// These are in the way, with that to be done about them; when it is done, nothing is any more.
#[track_caller]
fn stand_in_the_way(made: &str, expected: &[(&str, &str)]) {
    let db = TestDb::new();
    installed(&db, &repaired());
    db.sql(made);
    let before = db.dump(&[]);
    let run = db.authmig(&["migrate", "--adopt"]).exits(1);
    assert_eq!(obstacles(&run), expected, "{}", run.stderr);
    assert_eq!(db.dump(&[]), before);
    for (_, help) in expected {
        db.sql(help.rsplit(": ").next().unwrap());
    }
    assert_eq!(adopt(&db).exits(0).json()["adopted"]["sessions"], 2);
}

#[test]
fn what_an_adoption_would_lose_is_named_with_the_statement_that_drops_it() {
    stand_in_the_way(
        "create index extra on auth.refresh_token (token); \
         alter table auth.refresh_token add constraint once unique (token), add constraint filled check (subject <> ''); \
         alter table auth.refresh_token enable row level security, force row level security; \
         create policy \"Mine\" on auth.refresh_token using (true); \
         create rule kept as on delete to auth.refresh_token do instead nothing; \
         create statistics auth.pair on subject, token from auth.refresh_token; \
         create publication few for table auth.refresh_token; create publication everything for all tables; \
         create function public.spy() returns trigger language plpgsql as 'begin return new; end'; \
         create constraint trigger spy after insert on auth.refresh_token for each row execute function public.spy()",
        &[
            (
                "forced row level security of auth.refresh_token",
                "alter table auth.refresh_token no force row level security;",
            ),
            ("index auth.extra", "drop index auth.extra;"),
            ("policy \"Mine\" on auth.refresh_token", "drop policy \"Mine\" on auth.refresh_token;"),
            (
                "publication relation auth.refresh_token in publication few",
                "alter publication few drop table auth.refresh_token;",
            ),
            (
                "row level security of auth.refresh_token",
                "alter table auth.refresh_token disable row level security;",
            ),
            ("rule kept on auth.refresh_token", "drop rule kept on auth.refresh_token;"),
            ("statistics object auth.pair", "drop statistics auth.pair;"),
            (
                "table constraint filled on auth.refresh_token",
                "alter table auth.refresh_token drop constraint filled;",
            ),
            (
                "table constraint once on auth.refresh_token",
                "alter table auth.refresh_token drop constraint once;",
            ),
            ("trigger spy on auth.refresh_token", "drop trigger spy on auth.refresh_token;"),
        ]
        .map(|(what, drop)| {
            (
                format!("schema auth holds what authmig does not recognise: {what}"),
                format!("it would be lost; if that is right: {drop}"),
            )
        })
        .each_ref()
        .map(|(what, help)| (&**what, &**help)),
    );
    if major() >= 15 {
        stand_in_the_way(
            "create publication whole for tables in schema auth",
            &[(
                "schema auth holds what authmig does not recognise: publication namespace auth in publication whole",
                "its subscribers do not know the new table: alter publication whole drop tables in schema auth;",
            )],
        );
    }
}

#[test]
fn what_needs_the_old_objects_is_named_with_the_statement_that_frees_them() {
    let again = "drop it, and create it again afterwards, for what is new: ";
    stand_in_the_way(
        "create table public.numbered (id bigint default nextval('auth.refresh_token_id_seq')); \
         create table public.kept (rows auth.refresh_token[]); \
         create table public.device (token bigint references auth.refresh_token); \
         create rule \"R\" as on delete to public.device do also delete from auth.refresh_token where id = old.token; \
         create function public.ok(auth.refresh_token) returns boolean language sql as 'select true'; \
         create materialized view public.sessions as select array[t] as rows from auth.refresh_token as t; \
         alter extension pgcrypto add table auth.refresh_token; \
         alter extension pgcrypto add function auth.refresh_tokens()",
        &[
            (
                "default value for public.numbered.id needs what an adoption replaces",
                &*format!("{again}alter table public.numbered alter column id drop default;"),
            ),
            (
                "function public.ok(auth.refresh_token) needs what an adoption replaces",
                &*format!("{again}drop function public.ok(auth.refresh_token);"),
            ),
            (
                "materialized view public.sessions needs what an adoption replaces",
                &*format!("{again}drop materialized view public.sessions;"),
            ),
            (
                "rule \"R\" on public.device needs what an adoption replaces",
                &*format!("{again}drop rule \"R\" on public.device;"),
            ),
            (
                "table column public.kept.rows needs what an adoption replaces",
                "alter table public.kept alter column rows type text;",
            ),
            (
                "table constraint device_token_fkey on public.device needs what an adoption replaces",
                &*format!("{again}alter table public.device drop constraint device_token_fkey;"),
            ),
            (
                "function auth.refresh_tokens() is a member of extension pgcrypto",
                "alter extension pgcrypto drop function auth.refresh_tokens();",
            ),
            (
                "table auth.refresh_token is a member of extension pgcrypto",
                "alter extension pgcrypto drop table auth.refresh_token;",
            ),
        ],
    );
}

#[test]
fn no_table_is_to_be_dropped_for_what_it_needs() {
    // Up to PostgreSQL 14 the column itself would go with the function, without a word, and
    // still does when its expression is dropped.
    let generated = if major() < 15 {
        (
            "table column public.coded.code needs what an adoption replaces",
            "copy it to a plain column, then: alter table public.coded drop column code;",
        )
    } else {
        (
            "default value for public.coded.code needs what an adoption replaces",
            "drop it, and create it again afterwards, for what is new: \
             alter table public.coded alter column code drop expression;",
        )
    };
    stand_in_the_way(
        "create table public.coded (id bytea, code text generated always as (auth.url_encode(id)) stored)",
        &[generated],
    );
    let db = TestDb::new();
    installed(&db, &repaired());
    db.sql(
        "create table public.child () inherits (auth.refresh_token); \
         create table public.parted (id bytea) partition by list (auth.url_encode(id))",
    );
    let run = db.authmig(&["migrate", "--adopt"]).exits(1);
    for (what, help) in [
        ("table public.child", "alter table public.child no inherit auth.refresh_token;"),
        ("table public.parted", "change it so that it does without"),
    ] {
        let expected = (&*format!("{what} needs what an adoption replaces"), help);
        assert!(obstacles(&run).contains(&expected), "{what}\n{}", run.stderr);
    }
}

#[test]
fn what_hangs_on_the_old_objects_is_named_and_nothing_is_changed() {
    let db = TestDb::new();
    installed(&db, &repaired());
    db.sql(
        "create view public.sessions as select * from auth.refresh_token; \
         create table public.device (token bigint references auth.refresh_token, name text default auth.url_encode('')); \
         create function public.age(auth.refresh_token) returns interval language sql as 'select now() - $1.created_at'",
    );
    let before = db.dump(&[]);
    let run = db.authmig(&["migrate", "--adopt"]).exits(1);
    assert!(run.stderr.contains(": several things stand in the way"), "{}", run.stderr);
    for named in [
        "view public.sessions needs what an adoption replaces",
        "drop view public.sessions;",
        "table constraint device_token_fkey on public.device",
        "default value for public.device.name",
        "function public.age(auth.refresh_token)",
    ] {
        assert!(run.stderr.contains(named), "{named}: {}", run.stderr);
    }
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn where_there_is_nothing_to_adopt_it_is_a_plain_migrate() {
    let db = TestDb::new();
    let run = adopt(&db).exits(0);
    assert_eq!(run.json()["adopted"], serde_json::Value::Null);
    assert_eq!(db.ask("select action from authmig.journal"), "migrate");
}

#[test]
fn who_may_not_take_it_apart_is_told_who_may() {
    let cluster = TestDb::new();
    let (migrator, holder) = (role(&cluster, "login createrole"), role(&cluster, "login createrole"));
    let objects = "alter table auth.refresh_token owner to {o}; alter function auth.url_encode(bytea) owner to {o}; \
        alter function auth.sign_raw(json, text, text) owner to {o}; alter function auth.refresh_tokens() owner to {o}; \
        alter function auth.generate_user_jwt(text, text, text) owner to {o}; \
        alter function auth.issue_tokens(text, text) owner to {o};";
    for (schema, table, who) in [
        ("postgres", "postgres", "postgres"),
        (&*migrator, "postgres", "postgres"),
        (&*holder, &*holder, &*holder),
        (&*migrator, &*holder, &*holder),
        (&*migrator, "both", "both"),
    ] {
        let (mut db, own) = (TestDb::new(), own_roles());
        installed(&db, &repaired());
        // The ledger of what applied it can be somebody else's.
        db.sql("create schema infra; create table infra.schema_migrations (version text primary key)");
        let owner = if table == "both" { &holder } else { table };
        db.sql(&format!(
            "alter database {} owner to {migrator}; alter schema api owner to {migrator}; \
             alter schema auth owner to {schema}; {}",
            db.name,
            objects.replace("{o}", owner)
        ));
        if table == "both" {
            db.sql("alter function auth.refresh_tokens() owner to postgres");
        }
        let before = db.dump(&[]);
        let (of, run_as) = match who {
            "both" => (format!("postgres, {holder}"), "a superuser".to_owned()),
            who => (who.to_owned(), format!("{who}, or as a superuser")),
        };
        db = db.run_by(&migrator);
        for command in [&["migrate"][..], &["migrate", "--adopt"]] {
            let run = db.authmig(&with_options(command, &own)).exits(1);
            let start = format!("error: one thing stands in the way in {migrator}@");
            let said = format!(
                "\n  - the installation of the published SQL belongs to {of}, and {migrator} may not upgrade it\n      \
                 run `authmig migrate --adopt` as {run_as}\n"
            );
            assert!(run.stderr.starts_with(&start), "{}", run.stderr);
            assert!(run.stderr.contains(&said), "{said}\n{}", run.stderr);
        }
        assert_eq!(db.dump(&[]), before);
        if schema == who {
            db.sql(&format!("alter database {} owner to {who}; alter schema api owner to {who}", db.name));
            db = db.run_by(who);
            db.authmig(&with_options(&["migrate", "--adopt"], &own)).exits(0);
        }
    }
}

#[test]
fn the_human_report_says_what_was_kept() {
    let db = TestDb::new();
    installed(&db, &repaired());
    let run = db.authmig(&["migrate", "--adopt"]).exits(0);
    assert!(
        run.stdout.contains("  adopted the published installation: 2 live sessions of 3 rows kept\n"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_stands_in_the_place_of_the_sessions_is_not_run() {
    let stranger = crate::support::role(&TestDb::new(), "");
    for (planted, said) in [
        (
            "drop table auth.refresh_token; create view auth.refresh_token as \
                select 1::bigint as id, 'x' as subject, auth.evil() as token, now() as created_at",
            "auth.refresh_token is no plain table",
        ),
        (
            "create policy evil on auth.refresh_token using (auth.evil() is null); \
             alter table auth.refresh_token enable row level security, force row level security",
            "row level security of auth.refresh_token",
        ),
        (
            "create table auth.child () inherits (auth.refresh_token)",
            "a parent or child of auth.refresh_token",
        ),
        ("alter table auth.refresh_token owner to {stranger}", "auth.refresh_token belongs to "),
    ] {
        let db = TestDb::new();
        installed(&db, AUTH_SCHEMA);
        let planted = planted.replace("{stranger}", &stranger);
        db.sql(&format!(
            "create function auth.evil() returns text language plpgsql as \
                $$ begin raise exception 'ran as %', current_user; end $$; {planted}"
        ));
        let run = db.authmig(&["migrate", "--adopt"]).exits(1);
        assert!(run.stderr.contains(said), "{planted}\n{}", run.stderr);
        assert!(!run.stderr.contains("ran as"), "{planted}\n{}", run.stderr);
    }
}

#[test]
fn the_statements_that_are_shown_make_what_another_owns_adoptable() {
    let owner = crate::support::role(&TestDb::new(), "");
    let others = [
        format!("alter schema auth owner to {owner}; alter table auth.refresh_token owner to {owner}"),
        format!("alter table auth.refresh_token owner to {owner}"),
    ];
    for others in others {
        let db = TestDb::new();
        installed(&db, AUTH_SCHEMA);
        db.sql(&others);
        let run = db.authmig(&["migrate", "--adopt"]).exits(1);
        let shown: Vec<_> = run.stderr.lines().filter(|line| line.ends_with(';')).collect();
        assert_eq!(shown.len(), 1, "{}", run.stderr);
        db.sql(shown[0]);
        adopt(&db).exits(0);
        db.authmig(&["verify"]).exits(0);
    }
}
