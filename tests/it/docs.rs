//! docs/sql-api.md is true: its login function runs, its tables are those of the
//! database.

use std::process::{Command, Stdio};

use postgres::{Client, Config, NoTls};

use crate::support::{Files, TestDb, finish, of_a_migrator, own_roles, role, setting, with_options};

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

/// Calls the login function as anon, in a transaction that the caller commits.
fn login(client: &mut Client, anon: &str, method: &str, email: &str, password: &str) -> Result<(), String> {
    let call = format!(
        "begin; set local lock_timeout = '300ms'; select set_config('request.method', '{method}', true); \
         set local role {anon}; select api.login('{email}', {password})"
    );
    client.batch_execute(&call).map_err(|error| {
        client.batch_execute("rollback").unwrap();
        error.code().unwrap().code().to_owned()
    })
}

const ACCOUNT: &str = "insert into api_private.account
    values ('a@example.org', public.crypt('right', public.gen_salt('bf', 10)))";

#[test]
fn the_login_function_works_for_anon() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql(block("Logging in", "```sql\n"));
    db.sql(ACCOUNT);
    let mut client = db.client();
    let mut login =
        |method: &str, email: &str, password: &str| login(&mut client, "anon", method, email, password);
    for (email, password) in [
        ("a@example.org", "'wrong'"),
        ("a@example.org", "null"),
        ("b@example.org", "'x'"),
        ("b@example.org", "null"),
    ] {
        assert_eq!(login("POST", email, password).unwrap_err(), "PT401", "{email} {password}");
        assert_eq!(login("GET", email, password).unwrap_err(), "PT405", "{email} {password}");
    }
    assert_eq!(login("GET", "a@example.org", "'right'").unwrap_err(), "PT405");
    login("POST", "a@example.org", "'right'").unwrap();
    client.batch_execute("commit").unwrap();
    assert_eq!(db.ask("select string_agg(subject, ',') from auth.refresh_token"), "a@example.org");
    // What is compared where there is no account is a hash like the others.
    let salt = block("Logging in", "```sql\n").split("'$2a$").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(
        db.ask(&format!(
            "select left(public.crypt('x', '$2a${salt}'), 7) = left(password_hash, 7)
                and length(public.crypt('x', '$2a${salt}')) = length(password_hash) from api_private.account"
        )),
        "true"
    );
}

#[test]
fn who_migrated_without_being_superuser_can_make_the_login_function() {
    let db = TestDb::new();
    let migrator = role(&db, "login createrole");
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    let own = own_roles();
    let name = |role: &str| {
        let start = format!("--{role}-role=");
        own.iter().find_map(|option| option.strip_prefix(&start)).unwrap().to_owned()
    };
    let db = db.run_by(&migrator);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    let block = block("Logging in", "```sql\n");
    let block = ["service", "anon"].iter().fold(block.to_owned(), |sql, role| sql.replace(role, &name(role)));
    let mut client = db.url().parse::<Config>().unwrap().connect(NoTls).unwrap();
    client.batch_execute(&block).unwrap();
    client.batch_execute(ACCOUNT).unwrap();
    login(&mut db.client(), &name("anon"), "POST", "a@example.org", "'right'").unwrap();
    let run = db.authmig(&["verify", "--strict"]).exits(0);
    assert!(!run.stdout.contains("advice"), "{}", run.stdout);
    // Nobody is left with more than before.
    let service = name("service");
    assert_eq!(
        db.ask(&format!(
            "select format('%s %s %s', pg_has_role('{migrator}', '{service}', 'usage'),
                has_schema_privilege('{service}', 'api', 'create'),
                (select proowner::regrole from pg_proc where oid = 'api.login'::regproc))"
        )),
        format!("f f {service}")
    );
}

#[test]
fn a_member_of_service_may_issue_tokens_and_a_grant_of_its_own_is_drift() {
    let db = TestDb::new();
    let own = own_roles();
    let service = own.iter().find_map(|option| option.strip_prefix("--service-role=")).unwrap();
    let minter = role(&db, "nologin");
    db.sql("create schema api; create table api.before (id serial)");
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    let grant = section("Roles").split('`').find(|code| code.starts_with("grant ")).unwrap();
    db.sql(&grant.replace("service", service).replace("minter", &minter));
    let run = |role: &str, call: &str| {
        let sql = format!("set role {role}; {call}");
        db.client().batch_execute(&sql).map_err(|error| error.code().unwrap().code().to_owned())
    };
    let authenticated = service.replace("service", "authenticated");
    run(&minter, &format!("select auth.issue_tokens('u1', '{authenticated}')")).unwrap();
    // The rights on the schema of the API are those that the page names, and can be taken away.
    db.sql("create table api.later (id serial); create function api.own() returns int language sql as 'select 1'");
    for table in ["before", "later"] {
        run(service, &format!("insert into api.{table} default values; select from api.{table}")).unwrap();
        run(service, &format!("update api.{table} set id = 2; delete from api.{table}")).unwrap();
        assert_eq!(run(service, &format!("truncate api.{table}")).unwrap_err(), "42501");
    }
    for role in ["anon", "authenticated"].map(|role| service.replace("service", role)) {
        assert_eq!(run(&role, "select api.own()").unwrap_err(), "42501");
    }
    db.sql(&format!("revoke all on all tables in schema api from {service}"));
    let advice = db.authmig(&["verify"]).exits(0);
    assert!(advice.stdout.contains(&format!("advice: role {minter}: is a member of {service}")));
    db.authmig(&["verify", "--strict"]).exits(4);
    // What nobody may call, whoever migrated may have a function call.
    db.sql(
        "create function public.raw() returns text language sql security definer set search_path = pg_catalog, pg_temp
            as $$ select auth.sign_raw('{}', (select jwt_secret from auth_private.config)) $$"
    );
    run(&minter, "select public.raw()").unwrap();
    assert_eq!(run(&minter, "select auth.sign_raw('{}', 'x')").unwrap_err(), "42501");
    db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
    db.authmig(&["migrate"]).exits(0);
    db.sql(&format!("grant execute on function auth.sign_raw to {minter}"));
    db.authmig(&["verify"]).exits(4);
    db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
    db.authmig(&["migrate"]).exits(4);
}

#[test]
fn a_login_that_locks_the_row_and_a_change_of_the_password_wait_for_each_other() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    let locking = block("Ending sessions", "```sql\n").trim_end();
    let plain = locking.split("\n       for share").next().unwrap();
    let block = block("Logging in", "```sql\n");
    assert!(block.contains(&format!("{plain};")));
    db.sql(&block.replace(&format!("{plain};"), locking));
    db.sql(ACCOUNT);
    let (mut one, mut other) = (db.client(), db.client());
    let mut try_login = |password| login(&mut one, "anon", "POST", "a@example.org", password);
    assert_eq!(try_login("'right'").unwrap_err(), "42501");
    let grant = section("Ending sessions").split('`').find(|code| code.starts_with("grant ")).unwrap();
    db.sql(grant);
    let change =
        "update api_private.account set password_hash = public.crypt('new', public.gen_salt('bf', 10))";
    other.batch_execute(&format!("begin; {change}")).unwrap();
    assert_eq!(try_login("'right'").unwrap_err(), "55P03");
    other.batch_execute("rollback").unwrap();
    try_login("'right'").unwrap();
    let error = other.batch_execute(&format!("set lock_timeout = '300ms'; {change}")).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "55P03");
    one.batch_execute("commit").unwrap();
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
        finish(command.spawn().unwrap()).code
    };
    assert_eq!(run("authenticator", db.port()), 1);
    assert_eq!(run("postgres", 1), 2);
    assert_eq!(db.ask("select count(*) from auth.refresh_token"), "25000");
    assert_eq!(run("postgres", db.port()), 0);
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
            and attname not in ('only_row', 'inner_pad', 'outer_pad')",
    );
    assert_eq!(documented.join(" "), columns);
}

#[test]
fn the_characters_that_it_names_are_the_ones_that_are_taken() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    let mut client = db.client();
    let ascii: Vec<char> = (1..=127).map(char::from).collect();
    let mut taken = |statement: &str, text: &dyn Fn(char) -> String| -> String {
        let mut taken = |&character: &char| client.execute(statement, &[&text(character)]).is_ok();
        ascii.iter().copied().chain(['\u{85}', 'é', '\u{2028}', '😀']).filter(|c| taken(c)).collect()
    };
    let alphanumeric = |others: &str| {
        ascii.iter().filter(|c| c.is_ascii_alphanumeric() || others.contains(**c)).collect::<String>()
    };
    let no_control: String = ascii
        .iter()
        .copied()
        .filter(|c| !c.is_ascii_control())
        .chain(['\u{85}', 'é', '\u{2028}', '😀'])
        .collect();
    for column in ["issuer", "audience"] {
        let update = format!("update auth_private.config set {column} = $1");
        assert_eq!(taken(&update, &|c| c.to_string()), no_control, "{column}");
    }
    assert_eq!(taken("select auth.issue_tokens($1)", &|c| c.to_string()), no_control);
    let row =
        |column: &str| rows("Settings").into_iter().find(|row| row[0] == format!("`{column}`")).unwrap()[2];
    let path = row("cookie_path").split('`').nth(1).unwrap();
    let update = "update auth_private.config set cookie_path = $1";
    assert_eq!(taken(update, &|c| format!("/{c}")), alphanumeric(path));
    let update = "update auth_private.config set cookie_domain = $1";
    assert_eq!(taken(update, &|c| format!("a{c}b")), alphanumeric(".-"));
    for text in [&|c| format!("{c}b"), &|c| format!("a{c}")] as [&dyn Fn(char) -> String; 2] {
        assert_eq!(taken(update, text), alphanumeric(""));
    }
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

/// Where nothing was before, and where the schema was there and opens what is made in it.
#[test]
fn the_patterns_for_migrations_work() {
    let page = include_str!("../../docs/migrations.md");
    let [up, down] =
        [1, 2].map(|number| page.split("\n```sql\n").nth(number).unwrap().split("```").next().unwrap());
    let verify = "do $$ begin perform 'auth.session_count(text)'::regprocedure; end $$;";
    let files = Files::embedded().without_manifest().and("9999-session_count", up, down, verify);
    for found in [false, true] {
        let (db, migrator) = of_a_migrator();
        let own = own_roles();
        let named = |name: &str| own.iter().find_map(|option| option.strip_prefix(name)).unwrap();
        let (owner, service) = (named("--owner-role="), named("--service-role="));
        let reader = role(&db, "");
        if found {
            db.sql(&format!("create schema auth authorization {migrator}"));
        }
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        if found {
            db.sql(&format!(
                "alter default privileges for role {migrator} grant execute on functions to {reader}"
            ));
        }
        let before = db.dump(&["--schema-only"]);
        db.authmig_with(&files, &["migrate"]).exits(0);
        let grants = "select string_agg(acl.grantee::regrole::text, ' ' order by acl.grantee = p.proowner) \
            from pg_proc as p, aclexplode(p.proacl) as acl where p.oid = 'auth.session_count(text)'::regprocedure";
        assert_eq!(db.ask(grants), format!("{service} {owner}"));
        db.authmig_with(&files, &["rollback", "--yes"]).exits(0);
        assert_eq!(db.dump(&["--schema-only"]), before);
        // It stops for nothing.
        db.authmig_with(&files, &["migrate"]).exits(0);
        db.sql(&format!("set role {owner}; drop function auth.session_count(text)"));
        db.authmig_with(&files, &["rollback", "--yes"]).exits(0);
        db.authmig(&["verify"]).exits(0);
    }
}
