//! docs/sql-api.md is true: its login function runs, its tables are those of the
//! database.

use crate::support::TestDb;

const SQL_API: &str = include_str!("../../docs/sql-api.md");

fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = SQL_API.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_login_function_works_for_anon() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql("create schema api_private; grant usage on schema api_private to service");
    let block = SQL_API.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    db.sql(block);
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
