//! docs/sql-api.md is true: its login function runs, its tables are those of the
//! database.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{TestDb, setting};

const SQL_API: &str = include_str!("../../docs/sql-api.md");

fn section(heading: &str) -> &'static str {
    SQL_API.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap()
}

/// The first block of a section with this fence.
fn block(heading: &str, fence: &str) -> &'static str {
    section(heading).split(fence).nth(1).unwrap().split("```").next().unwrap()
}

fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let lines = section(heading).lines().filter(|line| line.starts_with("| ")).skip(2);
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_login_function_works_for_anon() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql("create schema api_private; grant usage on schema api_private to service");
    db.sql(block("Logging in", "```sql\n"));
    db.sql("insert into api_private.account values ('a@example.org', public.crypt('right', public.gen_salt('bf', 4)))");
    let login = |password: &str| {
        let mut client = db.client();
        client.batch_execute(&format!(
            "begin; select set_config('request.method', 'POST', true); set local role anon; \
             select api.login('a@example.org', '{password}'); commit"
        ))
    };
    assert_eq!(login("wrong").unwrap_err().code().unwrap().code(), "PT401");
    login("right").unwrap();
    assert_eq!(db.ask("select string_agg(subject, ',') from auth.refresh_token"), "a@example.org");
}

#[test]
fn the_loop_that_purges_ends_when_nothing_is_left_and_when_psql_fails() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql(
        "insert into auth.refresh_token
            (selector, subject, role, verifier_hash, created_at, rotated_at, expires_at)
         select gen_random_uuid(), 'u1', 'authenticated', '', now(), now(), now() - interval '1 s'
           from generate_series(1, 25000)",
    );
    let script = block("Cleaning up", "```sh\n");
    let run = |user: &str, port: u16| {
        let path = format!("{}:{}", setting("AUTHMIG_TEST_CLIENTS"), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("PATH", path).env("PGUSER", user).stderr(Stdio::null());
        command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGDATABASE", &db.name);
        let mut child = command.spawn().unwrap();
        for _ in 0..200 {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("it has not ended");
    };
    assert_eq!(run("authenticator", db.port()), Some(1));
    assert_eq!(run("postgres", 1), Some(2));
    assert_eq!(db.ask("select count(*) from auth.refresh_token"), "25000");
    assert_eq!(run("postgres", db.port()), Some(0));
    assert_eq!(db.ask("select count(*) from auth.refresh_token"), "0");
}

#[test]
fn the_table_of_functions_is_that_of_the_database() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    for row in rows("Functions") {
        let [signature, who, _] = &row[..] else { panic!("{row:?}") };
        let signature = signature.trim_matches('`');
        let name = signature.split('(').next().unwrap();
        let arguments = db.ask(&format!(
            "select replace(replace(pg_get_function_arguments('{name}'::regproc), '::text', ''), 'DEFAULT', 'default') || \
             case pg_get_function_result('{name}'::regproc) when 'void' then '' else ' returns ' || pg_get_function_result('{name}'::regproc) end"
        ));
        let written = signature[name.len() + 1..].replacen(')', "", 1).replace(" int ", " integer ");
        assert_eq!(written, arguments, "{name}");
        let granted = db.ask(&format!(
            "select coalesce(string_agg(r.rolname, ', ' order by r.rolname), 'nobody')
               from pg_proc as p, aclexplode(p.proacl) as a join pg_roles as r on r.oid = a.grantee
              where p.oid = '{name}'::regproc and a.grantee <> p.proowner"
        ));
        assert_eq!(*who, granted, "{name}");
    }
    let public = db.ask("select count(*) from pg_proc where pronamespace = 'auth'::regnamespace");
    assert_eq!(public, (rows("Functions").len() - 1).to_string());
}

#[test]
fn the_table_of_settings_is_that_of_the_database() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let mut documented: Vec<_> = rows("Settings").iter().map(|row| row[0].trim_matches('`')).collect();
    documented.sort_unstable();
    let columns = db.ask(
        "select string_agg(attname, ' ' order by attname) from pg_attribute
          where attrelid = 'auth_private.config'::regclass and attnum > 0 and not attisdropped and attgenerated = ''
            and attname not in ('only_row', 'authenticator_role', 'inner_pad', 'outer_pad')",
    );
    assert_eq!(documented.join(" "), columns);
}

#[test]
fn the_messages_in_the_table_of_errors_are_raised() {
    let sql = include_str!("../../migrations/02-auth_schema.up.sql");
    for row in rows("Errors") {
        for message in
            row[2].split(" / ").filter(|message| !message.contains('…') && !message.starts_with('('))
        {
            assert!(sql.contains(&format!("'{message}'")), "{message}");
        }
    }
}
