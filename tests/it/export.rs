//! The exported files, each run by the tool that they are for; what comes of it passes
//! `authmig verify`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use snapbox::{assert_data_eq, str};

use crate::support::server::Server;
use crate::support::tools::{psql, tool};
use crate::support::{TestDb, all_applied, own_roles, role, setting, unique, versions, with_options};

/// A folder with an export.
fn export(db: &TestDb, tool: &str, options: &[String]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let run = db.authmig(&with_options(&["export", path, "--format", tool], options)).exits(0);
    assert_eq!(run.stderr, "");
    folder
}

/// The files in a folder, by name.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

fn psql_files(db: &TestDb, options: &[&str], files: &[PathBuf]) -> Output {
    let mut command = psql(&db.url());
    command.args(options);
    for file in files {
        command.arg("--file").arg(file);
    }
    command.output().unwrap()
}

#[track_caller]
fn succeeds(output: Output) -> String {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}{stderr}", String::from_utf8_lossy(&output.stdout));
    stderr
}

#[track_caller]
fn fails(output: Output) -> String {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{}{stderr}", String::from_utf8_lossy(&output.stdout));
    stderr
}

/// What authmig says of a database that another tool has migrated.
#[track_caller]
fn is_whole(db: &TestDb) {
    let status = db.authmig(&["status", "--check", "--format", "json"]).exits(0).json();
    assert_eq!(status["migrations"][1]["state"], "applied");
    assert_eq!(status["migrations"][1]["authmig_version"], "export");
    let verify = db.authmig(&["verify", "--format", "json"]).exits(0).json();
    for check in verify["checks"].as_array().unwrap() {
        assert_eq!(check["verdict"], "passed", "{check}");
    }
    let run = db.authmig(&["migrate"]).exits(0);
    let said = format!("nothing to do: {}\n", all_applied());
    assert!(run.stdout.ends_with(&said), "{}", run.stdout);
}

/// A database with nothing of authmig in it: roles stay, they belong to the server.
#[track_caller]
fn is_empty(db: &TestDb) {
    let schemas = "select string_agg(nspname, ' ' order by nspname) from pg_namespace
                    where nspname in ('auth', 'auth_private', 'authmig', 'api')";
    assert_eq!(db.ask(schemas), "");
}

#[test]
fn psql_runs_the_plain_files_in_one_transaction_and_takes_them_back() {
    let db = TestDb::new();
    // What functions say of themselves would be told in quotation marks.
    db.sql(&format!("alter database {} set quote_all_identifiers = on", db.name));
    let folder = export(&db, "plain", &[]);
    let ups = files(folder.path(), ".up.sql");
    assert_eq!(ups.len(), 1 + versions().len(), "the ledger is one");
    succeeds(psql_files(&db, &["--single-transaction"], &ups));
    is_whole(&db);
    let each: Vec<_> = versions().iter().map(|version| format!("migrate{{{version}}}")).collect();
    assert_eq!(
        db.ask("select string_agg(action || versions::text, ' ' order by id) from authmig.journal"),
        each.join(" ")
    );
    let downs: Vec<_> = files(folder.path(), ".down.sql").into_iter().rev().collect();
    succeeds(psql_files(&db, &["--single-transaction"], &downs));
    is_empty(&db);
}

#[test]
fn the_command_of_the_plain_read_me_is_right() {
    let db = TestDb::new();
    let folder = export(&db, "plain", &[]);
    let text = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
    let line = text.lines().find(|line| line.starts_with("    ")).unwrap().trim();
    let path = format!("{}:{}", setting("AUTHMIG_TEST_CLIENTS"), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder.path()).env("PATH", path);
    command.env("PGHOST", "127.0.0.1").env("PGPORT", db.port().to_string());
    command.env("PGUSER", "postgres").env("PGDATABASE", &db.name);
    succeeds(command.output().unwrap());
    is_whole(&db);
}

#[test]
fn the_plain_files_leave_what_migrate_leaves() {
    let (exported, migrated) = (TestDb::new(), TestDb::new());
    let folder = export(&exported, "plain", &[]);
    succeeds(psql_files(&exported, &["--single-transaction"], &files(folder.path(), ".up.sql")));
    migrated.authmig(&["migrate"]).exits(0);
    assert_eq!(exported.dump(&["--schema-only"]), migrated.dump(&["--schema-only"]));
    let history =
        "select string_agg(version || name || checksum || sha256 || applied_by, ' ' order by version)
                     from authmig.schema_history";
    assert_eq!(exported.ask(history), migrated.ask(history));
}

/// Nobody has looked before, as `authmig migrate` does.
#[test]
fn each_file_looks_by_itself_whether_something_stands_in_its_way() {
    for (before, said) in [
        ("create schema auth_private; create table auth_private.more ()", "schema auth_private is not empty"),
        ("create schema auth; grant create on schema auth to public", "public may create in schema auth"),
        ("create schema auth authorization {anon}", "schema auth belongs to {anon}"),
        (
            "create schema auth; create function auth.logout() returns int return 1",
            "schema auth already holds: auth.logout()",
        ),
        ("alter role {owner} login", "role {owner} may do more than own the schema auth"),
        ("grant pg_monitor to {owner}", "role {owner} is a member of: pg_monitor"),
        ("alter role {anon} bypassrls", "role {anon} is dangerous: it has bypassrls"),
        ("grant {owner} to {anon}", "role {anon} is a member of {owner}"),
        (
            "grant pg_read_all_data to {service}",
            "role {service} is dangerous: it is a member of pg_read_all_data",
        ),
        (
            "create role {anon}_1 createrole; grant {anon}_1 to {service}",
            "role {service} is dangerous: it is a member of {anon}_1",
        ),
        ("grant {authenticator} to {service}", "role {service} is a member of {authenticator}"),
    ] {
        let (db, own) = (TestDb::new(), own_roles());
        let named = |text: &str| {
            own.iter().fold(text.to_owned(), |text, option| {
                let (role, name) = option[2..].split_once("-role=").unwrap();
                text.replace(&format!("{{{role}}}"), name)
            })
        };
        let roles = "create role {anon}; create role {service}; create role {owner}; \
            create role {authenticator} login noinherit;";
        db.sql(&named(&format!("{roles} {before}")));
        let folder = export(&db, "plain", &own);
        let ups = files(folder.path(), ".up.sql");
        let told = fails(psql_files(&db, &["--single-transaction"], &ups));
        assert!(told.contains(&named(said)), "{told}");
    }
}

/// A change, what undoes it, and what is said of it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "alter role {owner} login",
        "alter role {owner} nologin",
        "role {owner} may do more than own the schema auth",
    ),
    (
        "revoke usage on schema auth_private from {owner}",
        "grant usage on schema auth_private to {owner}",
        "role {owner} has no usage on schema auth_private",
    ),
    (
        "alter table auth.refresh_token owner to postgres",
        "alter table auth.refresh_token owner to {owner}",
        "table auth.refresh_token belongs to postgres, not to {owner}",
    ),
    (
        "alter table auth_private.config disable row level security",
        "alter table auth_private.config enable row level security",
        "row level security of table auth_private.config is off",
    ),
    (
        "grant select on auth.refresh_token to {service}",
        "revoke select on auth.refresh_token from {service}",
        "table auth.refresh_token is open to: {service}",
    ),
    (
        "alter function auth.logout() security invoker",
        "alter function auth.logout() security definer",
        "function auth.logout() is not security definer",
    ),
    (
        "create function auth.logout(int) returns void language sql as ''",
        "drop function auth.logout(int)",
        "functions of the same name: ",
    ),
    (
        "alter function auth.logout() owner to postgres",
        "alter function auth.logout() owner to {owner}",
        "function auth.logout() belongs to postgres, not to {owner}",
    ),
    (
        "alter function auth.logout() reset search_path",
        "alter function auth.logout() set search_path = pg_catalog, pg_temp",
        "function auth.logout() does not pin its search_path",
    ),
    (
        "grant execute on function auth.url_encode(bytea) to public",
        "revoke execute on function auth.url_encode(bytea) from public",
        "function auth.url_encode(bytea) may be executed by public",
    ),
    ("alter schema api rename to apis", "alter schema apis rename to api", "schema api is missing"),
    (
        "alter role {anon} replication",
        "alter role {anon} noreplication",
        "role {anon} is a superuser or may create roles, replicate, or bypass row level security",
    ),
    (
        "grant {owner} to {authenticator}",
        "revoke {owner} from {authenticator}",
        "role {authenticator} is a member of {owner}",
    ),
    (
        "revoke {anon} from {authenticator}",
        "grant {anon} to {authenticator}",
        "{authenticator} may not become {anon}",
    ),
    (
        "revoke usage on schema auth from {anon}",
        "grant usage on schema auth to {anon}",
        "role {anon} has no usage on schema auth",
    ),
    (
        "grant create on schema auth to {anon}",
        "revoke create on schema auth from {anon}",
        "role {anon} may create in schema auth",
    ),
    (
        "grant usage on schema auth_private to {service}",
        "revoke usage on schema auth_private from {service}",
        "role {service} has privileges on schema auth_private",
    ),
    (
        "grant select (subject) on auth.refresh_token to {anon}",
        "revoke select (subject) on auth.refresh_token from {anon}",
        "role {anon} has privileges on table auth.refresh_token",
    ),
    (
        "revoke usage on schema auth_private from {authenticator}",
        "grant usage on schema auth_private to {authenticator}",
        "role {authenticator} has no usage on schema auth_private",
    ),
    (
        "grant execute on function auth.issue_tokens(text, text) to {anon}",
        "revoke execute on function auth.issue_tokens(text, text) from {anon}",
        "{anon} may call function auth.issue_tokens(text, text)",
    ),
    (
        "revoke execute on function auth.logout() from {anon}",
        "grant execute on function auth.logout() to {anon}",
        "{anon} may not call function auth.logout()",
    ),
];

/// What the other checks of `authmig verify` would find is not found by anything else there.
#[test]
fn each_file_that_verifies_names_what_is_wrong() {
    let (db, own) = (TestDb::new(), own_roles());
    let named = |text: &str| {
        own.iter().fold(text.to_owned(), |text, option| {
            let (role, name) = option[2..].split_once("-role=").unwrap();
            text.replace(&format!("{{{role}}}"), name)
        })
    };
    let (plain, sqitch) = (export(&db, "plain", &own), export(&db, "sqitch", &own));
    succeeds(psql_files(&db, &["--single-transaction"], &files(plain.path(), ".up.sql")));
    let scripts = ["auth_schema", "api_schema", "roles", "grants"]
        .map(|name| sqitch.path().join(format!("verify/{name}.sql")));
    let verified = || psql_files(&db, &[], &scripts);
    for (change, back, said) in WRONG {
        db.sql(&named(change));
        let told = fails(verified());
        assert!(told.contains(&named(said)), "{change}: {told}");
        db.sql(&named(back));
        succeeds(verified());
    }
}

#[test]
fn no_file_writes_to_a_ledger_of_somebody_else() {
    let (db, own) = (TestDb::new(), own_roles());
    let folder = export(&db, "plain", &own);
    let ups = files(folder.path(), ".up.sql");
    let other = role(&db, "");
    succeeds(psql_files(&db, &["--single-transaction"], &ups[..2]));
    db.sql(&format!("alter table authmig.created owner to {other}"));
    let told = fails(psql_files(&db, &["--single-transaction"], &ups[2..3]));
    assert!(told.contains(&format!("the schema authmig belongs to {other}, and not to postgres")), "{told}");
    assert_eq!(db.history(), [1]);
}

#[test]
fn a_file_refuses_what_would_leave_things_half_done() {
    let db = TestDb::new();
    let folder = export(&db, "plain", &[]);
    let ups = files(folder.path(), ".up.sql");
    let alone = |file: &PathBuf, options: &[&str]| psql_files(&db, options, std::slice::from_ref(file));
    let one = ["--single-transaction"];
    assert!(fails(alone(&ups[0], &[])).contains("this script must run in one transaction"));
    assert!(fails(alone(&ups[1], &one)).contains("00-authmig_ledger was not applied"));
    is_empty(&db);
    succeeds(alone(&ups[0], &one));
    assert!(fails(alone(&ups[2], &one)).contains("02-auth_schema is out of turn: applied is none"));
    succeeds(alone(&ups[1], &one));
    assert!(fails(alone(&ups[0], &one)).contains("authmig has been in this database before"));
    let again = fails(alone(&ups[1], &one));
    assert!(again.contains("01-extensions is out of turn: applied is 01-extensions"), "{again}");
    let ledger = &files(folder.path(), ".down.sql")[0];
    assert!(fails(alone(ledger, &one)).contains("00-authmig_ledger is out of turn"));
    assert_eq!(db.history(), [1]);
    // And from here on, authmig itself.
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn each_file_waits_for_the_lock_of_authmig() {
    let db = TestDb::new();
    let folder = export(&db, "plain", &[]);
    let mut other = db.client();
    other.batch_execute("begin; select pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
    let all = files(folder.path(), ".sql");
    assert_eq!(all.len(), 2 * (1 + versions().len()), "the ledger is one");
    for file in &all {
        let mut command = psql(&db.url());
        command.arg("--single-transaction").arg("--file").arg(file);
        let said = fails(command.env("PGOPTIONS", "-c lock_timeout=50ms").output().unwrap());
        assert!(said.contains("canceling statement due to lock timeout"), "{}: {said}", file.display());
    }
    is_empty(&db);
    other.batch_execute("rollback").unwrap();
    succeeds(psql_files(&db, &["--single-transaction"], &files(folder.path(), ".up.sql")));
    is_whole(&db);
}

#[test]
fn no_file_runs_what_others_put_on_the_ledger() {
    let server = Server::new("");
    let db = TestDb::on(server.config(), "template0");
    let folder = export(&db, "plain", &[]);
    let all = files(folder.path(), ".up.sql");
    succeeds(psql_files(&db, &["--single-transaction"], &all[..2]));
    let next = || psql_files(&db, &["--single-transaction"], &all[2..3]);
    db.sql("create function public.mine() returns trigger language plpgsql as $$ begin raise warning 'ran'; return new; end $$");
    for (made, what) in [
        (
            "create trigger mine before insert on authmig.schema_history for each row execute function public.mine()",
            "trigger mine on authmig.schema_history",
        ),
        ("create rule mine as on insert to authmig.journal do also select 1", "rule mine on authmig.journal"),
        ("create policy mine on authmig.parameter", "policy mine on authmig.parameter"),
    ] {
        db.sql(made);
        let said = fails(next());
        assert!(said.contains(&format!("there is a {what}, which would run")), "{said}");
        assert!(said.contains(&format!("drop {what};")), "{said}");
        db.sql(&format!("drop {what}"));
    }
    db.sql(&format!("alter database {} set session_replication_role = replica", db.name));
    assert!(fails(next()).contains("session_replication_role is replica here"));
    db.sql(&format!("alter database {} reset all", db.name));
    succeeds(next());
}

#[test]
fn postgrest_is_told_by_each_file_of_a_migration() {
    use postgres::fallible_iterator::FallibleIterator as _;
    let db = TestDb::new();
    let folder = export(&db, "plain", &[]);
    let mut listener = db.client();
    listener.batch_execute("listen pgrst").unwrap();
    let mut heard = |file: &PathBuf| {
        succeeds(psql_files(&db, &["--single-transaction"], std::slice::from_ref(file)));
        // What was committed before is delivered in front of the answer.
        listener.batch_execute("").unwrap();
        let mut notifications = listener.notifications();
        let heard = notifications.iter().map(|notification| Ok(notification.payload().to_owned()));
        // 02-auth_schema asks for one of them itself, and so earlier.
        let mut heard = heard.collect::<Vec<_>>().unwrap();
        heard.sort();
        heard
    };
    let mut all = files(folder.path(), ".up.sql");
    all.extend(files(folder.path(), ".down.sql").into_iter().rev());
    for file in &all {
        let ledger = file.to_string_lossy().contains("00-authmig_ledger");
        let due: &[&str] = if ledger { &[] } else { &["reload config", "reload schema"] };
        assert_eq!(heard(file), due, "{}", file.display());
    }
}

#[test]
fn the_names_that_are_given_to_export_are_those_that_are_installed() {
    let db = TestDb::new();
    let names = [own_roles(), vec!["--api-schema=it's \"mine\"".to_owned()]].concat();
    let folder = export(&db, "plain", &names);
    succeeds(psql_files(&db, &["--single-transaction"], &files(folder.path(), ".up.sql")));
    is_whole(&db);
    db.authmig(&with_options(&["verify"], &names)).exits(0);
    let stored = "select value from authmig.parameter where name = 'api_schema'";
    assert_eq!(db.ask(stored), "it's \"mine\"");
}

#[test]
fn superstacks_script_runs_its_files_and_envsubst_leaves_them_alone() {
    let db = TestDb::new();
    let names =
        ["anon-role=web$anon", "service-role=it's \\${service}"].map(|name| format!("--{}", unique(name)));
    let folder = export(&db, "superstack", &names);
    let ups = files(folder.path(), ".sql");
    // Every word that a file holds is a variable, so that one behind a dollar would be seen.
    let words: BTreeMap<String, &str> = ups
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.filter(|word| !word.is_empty() && *word != "PATH").map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|word| (word, "GONE"))
        .collect();
    if let Some(envsubst) = tool("envsubst") {
        for file in &ups {
            let input = std::fs::File::open(file).unwrap();
            let output = Command::new(&envsubst).envs(&words).stdin(input).output().unwrap();
            assert_eq!(output.stdout, std::fs::read(file).unwrap(), "{}", file.display());
        }
    }
    // Version 2 of the script: a session a file, and another one that records it.
    db.sql("create schema infra; create table infra.schema_migrations (version text primary key)");
    for file in &ups {
        succeeds(psql_files(&db, &[], std::slice::from_ref(file)));
        let name = file.file_name().unwrap().to_string_lossy();
        db.sql(&format!("insert into infra.schema_migrations values ('{name}')"));
    }
    is_whole(&db);
    db.authmig(&with_options(&["verify"], &names)).exits(0);
}

#[test]
fn a_superstack_file_that_fails_leaves_nothing() {
    let db = TestDb::new();
    let folder = export(&db, "superstack", &[]);
    let ups = files(folder.path(), ".sql");
    succeeds(psql_files(&db, &[], &ups[..2]));
    db.sql("create schema auth; create table auth.refresh_token (id int)");
    fails(psql_files(&db, &[], &ups[2..3]));
    assert_eq!(db.history(), [1]);
    assert_eq!(db.ask("select count(*) from pg_namespace where nspname = 'auth_private'"), "0");
}

#[test]
fn dbmate_runs_its_files_and_takes_them_back() {
    let Some(dbmate) = tool("dbmate") else { return };
    let db = TestDb::new();
    let folder = export(&db, "dbmate", &[]);
    let dbmate = |command: &str| {
        let url = format!("{}?sslmode=disable", db.url());
        let options = ["--migrations-dir", ".", "--migrations-table", "authmig_dbmate", "--no-dump-schema"];
        let mut dbmate = Command::new(&dbmate);
        dbmate.current_dir(folder.path()).arg("--url").arg(url).args(options).arg(command);
        succeeds(dbmate.output().unwrap());
    };
    let text = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(text.contains("--migrations-dir . --migrations-table authmig_dbmate --no-dump-schema migrate"));
    dbmate("migrate");
    is_whole(&db);
    dbmate("migrate");
    for _ in 0..6 {
        dbmate("rollback");
    }
    is_empty(&db);
    assert_eq!(db.ask("select count(*) from authmig_dbmate"), "0");
}

#[test]
fn sqitch_deploys_verifies_and_reverts() {
    let Some(sqitch) = tool("sqitch") else { return };
    let db = TestDb::new();
    let folder = export(&db, "sqitch", &[]);
    let sqitch = |arguments: &[&str]| {
        let client = PathBuf::from(setting("AUTHMIG_TEST_CLIENTS")).join("psql");
        let target = format!("db:pg://postgres@127.0.0.1:{}/{}", db.port(), db.name);
        let mut sqitch = Command::new(&sqitch);
        sqitch.current_dir(folder.path()).args(arguments).arg("--target").arg(target);
        sqitch.env("SQITCH_FULLNAME", "A Tester").env("SQITCH_EMAIL", "a@example.org");
        sqitch.env("HOME", folder.path()).env("SQITCH_CONFIG", "sqitch.conf");
        sqitch.arg("--client").arg(client);
        succeeds(sqitch.output().unwrap());
    };
    sqitch(&["deploy", "--verify"]);
    is_whole(&db);
    sqitch(&["verify"]);
    sqitch(&["revert", "-y"]);
    is_empty(&db);
}

#[test]
fn refinery_runs_its_files() {
    let db = TestDb::new();
    let folder = export(&db, "refinery", &[]);
    let migrations = refinery_core::load_sql_migrations(folder.path()).unwrap();
    let mut client = db.client();
    for grouped in [false, true] {
        // Again, with nothing to do: what stands in its history is what it reads now.
        let mut runner = refinery::Runner::new(&migrations).set_grouped(grouped).set_abort_divergent(true);
        runner.set_migration_table_name("authmig_refinery");
        let report = runner.run(&mut client).unwrap();
        assert_eq!(report.applied_migrations().len(), if grouped { 0 } else { 1 + versions().len() });
    }
    is_whole(&db);
}

#[test]
fn the_command_of_refinery_runs_them_too() {
    let Some(program) = tool("refinery") else { return };
    let db = TestDb::new();
    let folder = export(&db, "refinery", &[]);
    let first = format!("going to apply {} migrations", 1 + versions().len());
    for said in [&*first, "no migrations to apply"] {
        let mut command = Command::new(&program);
        command.args(["migrate", "-e", "DATABASE_URL", "-d", "-m", "-p"]).arg(folder.path());
        let output = command.env("DATABASE_URL", db.url()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains(said), "{text}");
    }
    is_whole(&db);
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let db = TestDb::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("precious"), "keep").unwrap();
    let run = db.authmig(&["export", path]).exits(7);
    assert_data_eq!(
        run.stderr.replace(path, "DIR"),
        str![[r#"
error: DIR is not empty; nothing was written
hint: export to a new folder, and move from there what you want

"#]]
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let file = folder.path().join("precious").display().to_string();
    db.authmig(&["export", &file]).exits(1);
    db.authmig(&["export", path, "--format", "sarif"]).exits(2);
    db.authmig(&["export", path, "--anon-role", "auth_owner"]).exits(2);
}

#[test]
fn export_needs_no_database_and_says_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let mut command = TestDb::new().command(&["export", path.to_str().unwrap(), "--format", "refinery"]);
    command.env_remove("DATABASE_URL");
    let run = crate::support::finish(command.spawn().unwrap()).exits(0);
    assert_data_eq!(
        run.stdout.replace(folder.path().to_str().unwrap(), "DIR"),
        str![[r#"
DIR/a/b
  README.md
  V0__authmig_ledger.sql
  V1__extensions.sql
  V2__auth_schema.sql
  V3__api_schema.sql
  V4__roles.sql
  V5__grants.sql
7 files written; README.md says how to run them

"#]]
    );
}
