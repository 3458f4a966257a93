//! A database for each test, toy migrations, and ways to run authmig.

pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod tools;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use authmig::catalog::{Catalog, CatalogError};
use authmig::interrupt::Interrupt;
use authmig::output::Streams;
use postgres::{Client, Config, NoTls};

/// The password of every test that needs one.
pub(crate) const PASSWORD: &str = "s3cret";

/// The JWT secret of every test that needs one.
pub(crate) const JWT_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// And that of those that need another.
pub(crate) const OTHER_JWT_SECRET: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

/// Asks for all that can stay in a session: settings, prepared statements, cursors, channels,
/// locks, and what is temporary. Drivers and poolers make the three settings that are left out.
pub(crate) const LEFT_IN_SESSION: &str = "select concat_ws('; ',
     (select string_agg(name || '=' || setting, ', ' order by name) from pg_settings
       where source = 'session' and setting is distinct from reset_val
         and name not in ('application_name', 'client_encoding', 'DateStyle')),
     nullif(current_setting('role'), 'none'), nullif(current_setting('x.y', true), ''),
     (select string_agg(name, ', ') from pg_prepared_statements),
     (select string_agg(name, ', ') from pg_cursors),
     (select string_agg(name, ', ') from pg_listening_channels() as l (name)),
     (select string_agg(locktype || ' ' || mode, ', ') from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
     (select string_agg(relname, ', ') from pg_class where relnamespace = pg_my_temp_schema()),
     (select string_agg(proname, ', ') from pg_proc where pronamespace = pg_my_temp_schema()))";

/// The environment that `bin/test` prepares.
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with bin/test"))
}

/// The server's major version.
pub(crate) fn major() -> u32 {
    setting("AUTHMIG_TEST_MAJOR").parse().unwrap()
}

/// The superuser's connection to the server's own database.
fn server() -> Config {
    setting("AUTHMIG_TEST_DATABASE_URL").parse().unwrap()
}

/// A name that no other test uses.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new database, gone when the test is over.
pub(crate) struct TestDb {
    pub(crate) name: String,
    config: Config,
    server: Config,
    environment: BTreeMap<&'static str, String>,
}

impl TestDb {
    /// An empty database; authmig runs as superuser.
    pub(crate) fn new() -> TestDb {
        TestDb::on(server(), "template0")
    }

    /// An empty database in this encoding.
    pub(crate) fn in_encoding(encoding: &str) -> TestDb {
        TestDb::on(server(), &format!("template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'"))
    }

    /// An empty database where I and i are no pair of letters; `None` before 15, where the server's
    /// own rules would be needed for that.
    pub(crate) fn turkish() -> Option<TestDb> {
        let template =
            "template0 encoding 'UTF8' locale_provider icu icu_locale 'tr' lc_collate 'C' lc_ctype 'C'";
        let db = (major() >= 15).then(|| TestDb::on(server(), template))?;
        assert_eq!(db.ask("select lower('I')"), "ı");
        Some(db)
    }

    /// A copy of this database, to which nobody may be connected.
    pub(crate) fn copy_of(template: &TestDb) -> TestDb {
        TestDb::on(template.server.clone(), &template.name)
    }

    /// A database of another server than that of `bin/test`.
    pub(crate) fn on(server: Config, template: &str) -> TestDb {
        let name = unique("t");
        let mut client = server.connect(NoTls).unwrap();
        client.batch_execute(&format!("create database {name} template {template}")).unwrap();
        let mut config = server.clone();
        config.dbname(&name);
        TestDb { name, config, server, environment: BTreeMap::new() }
    }

    /// authmig runs as this role from now on.
    pub(crate) fn run_by(mut self, role: &str) -> TestDb {
        self.config.user(role);
        self
    }

    /// authmig runs with this variable from now on.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> TestDb {
        self.environment.insert(name, value.into());
        self
    }

    /// Waits until this question counts something.
    #[track_caller]
    pub(crate) fn until(&self, question: &str) {
        until(|| self.ask(question) != "0");
    }

    /// Waits until somebody waits for a lock in this database.
    #[track_caller]
    pub(crate) fn until_blocked(&self) {
        self.until(
            "select count(*) from pg_stat_activity \
              where datname = current_database() and wait_event_type = 'Lock'",
        );
    }

    /// The connection string that authmig is given.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.config.get_ports()[0])
    }

    /// The same through another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        let user: String = self.config.get_user().unwrap().bytes().fold(String::new(), |user, byte| {
            let plain = byte.is_ascii_alphanumeric() || byte == b'_';
            user + &if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        });
        format!("postgres://{user}@127.0.0.1:{port}/{}", self.name)
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.config.get_ports()[0]
    }

    /// A superuser's connection.
    pub(crate) fn client(&self) -> Client {
        let mut config = self.server.clone();
        config.dbname(&self.name);
        config.connect(NoTls).unwrap()
    }

    /// Runs statements as superuser.
    pub(crate) fn sql(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first column of the first row, as text.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let row = self.client().query_one(&format!("select ({sql})::text"), &[]).unwrap();
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    /// The versions in the history; none if there is no ledger.
    pub(crate) fn history(&self) -> Vec<i32> {
        let mut client = self.client();
        let ledger = "select to_regclass('authmig.schema_history') is not null";
        if !client.query_one(ledger, &[]).unwrap().get::<_, bool>(0) {
            return Vec::new();
        }
        let rows = client.query("select version from authmig.schema_history order by 1", &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// What `pg_dump` makes of the database, without what changes by chance.
    pub(crate) fn dump(&self, options: &[&str]) -> String {
        let program = PathBuf::from(setting("AUTHMIG_TEST_CLIENTS")).join("pg_dump");
        let output =
            Command::new(program).args(options).arg("-d").arg(self.superuser_url()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // Recent minors write a random \restrict line, and a newer pg_dump a setting that
        // an older server does not know.
        text.lines()
            .filter(|line| !line.starts_with('\\') && !line.starts_with("SET transaction_timeout"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A superuser's connection string.
    pub(crate) fn superuser_url(&self) -> String {
        let user = self.server.get_user().unwrap();
        format!("postgres://{user}@127.0.0.1:{}/{}", self.port(), self.name)
    }

    /// The real binary, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authmig"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("PG") || name.starts_with("AUTHMIG_") || name.starts_with("DATABASE_URL") {
                command.env_remove(name);
            }
        }
        command.env("DATABASE_URL", self.url()).envs(&self.environment).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the real binary.
    #[track_caller]
    pub(crate) fn authmig(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// Runs authmig in this process with other migrations than its own.
    pub(crate) fn authmig_with(&self, files: &Files, arguments: &[&str]) -> Run {
        let out = Arc::new(Mutex::new(Vec::new()));
        let err = Arc::new(Mutex::new(Vec::new()));
        let streams = Streams::plain(out.clone(), err.clone());
        let url = self.url();
        let front = ["authmig", "--database-url", &*url];
        let arguments = front.iter().chain(arguments).map(OsString::from);
        let exit = authmig::run(arguments, || files.catalog(), &streams, &Interrupt::default());
        let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        Run::of(i32::from(exit.code()), text(&out), text(&err))
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // Kept for a look when the test failed; the server is thrown away anyway.
        if !thread::panicking()
            && let Ok(mut client) = self.server.connect(NoTls)
        {
            let _ = client.batch_execute(&format!("drop database {} with (force)", self.name));
        }
    }
}

/// What a run of authmig ended with.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// A run that printed this. No run may print a secret, whatever the test is about.
    #[track_caller]
    fn of(code: i32, stdout: String, stderr: String) -> Run {
        for secret in [PASSWORD, JWT_SECRET, OTHER_JWT_SECRET] {
            assert!(!stdout.contains(secret) && !stderr.contains(secret), "{secret}: {stdout}\n{stderr}");
        }
        Run { code, stdout, stderr }
    }

    /// The run, if it ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The JSON object on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Far beyond what anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until this is so. Where it never is, the test fails.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it was not so after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the process. One that hangs is ended, and fails its test.
#[track_caller]
pub(crate) fn finish(child: Child) -> Run {
    let id = child.id();
    let (sender, output) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = output.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        let output = output.recv_timeout(Duration::from_secs(5));
        panic!("process {id}, {line}, had not ended after {PATIENCE:?}; killed, it had said {output:?}")
    });
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run::of(output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// The first line that the process says on standard error.
pub(crate) fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    // Unbuffered beyond the line, or what follows would be lost to `finish`.
    BufReader::with_capacity(1, child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

/// Toy migrations.
#[derive(Clone, Default)]
pub(crate) struct Files(BTreeMap<String, String>);

impl Files {
    /// The migrations of the binary.
    pub(crate) fn embedded() -> Files {
        let catalog = Catalog::embedded().unwrap();
        let mut files = Files::default();
        for migration in catalog.migrations() {
            for script in [&migration.up, &migration.down, &migration.verify] {
                files.0.insert(script.file.clone(), script.sql.clone().into_owned());
            }
        }
        let manifest = include_str!("../../../migrations/manifest.txt");
        files.0.insert("manifest.txt".to_owned(), manifest.to_owned());
        files
    }

    /// The same without what says what they create.
    pub(crate) fn without_manifest(mut self) -> Files {
        self.0.remove("manifest.txt");
        self
    }

    /// A table for each number: created, dropped, looked for.
    pub(crate) fn tables(numbers: std::ops::RangeInclusive<i32>) -> Files {
        numbers.fold(Files::default(), |files, number| {
            files.and(
                &format!("{number:02}-t{number}"),
                &format!("create table public.t{number} (id int);\n"),
                &format!("drop table public.t{number};\n"),
                &format!(
                    "do $$ begin if to_regclass('public.t{number}') is null then \
                     raise exception 'table public.t{number} is missing'; end if; end $$;\n"
                ),
            )
        })
    }

    /// One more, or another in its place.
    pub(crate) fn and(mut self, label: &str, up: &str, down: &str, verify: &str) -> Files {
        for (part, sql) in [("up", up), ("down", down), ("verify", verify)] {
            self.0.insert(format!("{label}.{part}.sql"), sql.to_owned());
        }
        self
    }

    /// This file with other contents.
    pub(crate) fn replace(mut self, file: &str, sql: &str) -> Files {
        assert!(self.0.insert(file.to_owned(), sql.to_owned()).is_some(), "{file}");
        self
    }

    /// This file with something behind it.
    pub(crate) fn append(mut self, file: &str, sql: &str) -> Files {
        self.0.get_mut(file).unwrap().push_str(sql);
        self
    }

    /// The names of the files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn catalog(&self) -> Result<Catalog, CatalogError> {
        Catalog::from_files(self.0.iter().map(|(name, sql)| (name.clone(), sql.clone().into_bytes().into())))
    }
}

/// The migrations of the binary, as `05-grants`, oldest first.
pub(crate) fn migrations() -> Vec<String> {
    Catalog::embedded().unwrap().migrations().iter().map(ToString::to_string).collect()
}

/// Their versions, which are the history of a whole installation.
pub(crate) fn versions() -> Vec<i32> {
    Catalog::embedded().unwrap().migrations().iter().map(|migration| migration.version.number()).collect()
}

/// What is said where there are so many of them: `5 migrations applied`.
pub(crate) fn all_applied() -> String {
    format!("{} migrations applied", versions().len())
}

/// A role with these attributes, unique to the test.
pub(crate) fn role(db: &TestDb, attributes: &str) -> String {
    let name = unique("r");
    db.sql(&format!("create role {name} {attributes}"));
    name
}

/// An empty database that authmig is run on by its owner, who is no superuser; and the owner's name.
pub(crate) fn of_a_migrator() -> (TestDb, String) {
    let db = TestDb::new();
    let migrator = role(&db, "login createrole");
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    (db.run_by(&migrator), migrator)
}

/// Options that give every role a name of this test's own.
pub(crate) fn own_roles() -> Vec<String> {
    let prefix = unique("o");
    ["anon", "authenticated", "service", "authenticator", "owner"]
        .map(|role| format!("--{role}-role={prefix}_{role}"))
        .to_vec()
}

/// These options behind those.
pub(crate) fn with_options<'a>(arguments: &[&'a str], options: &'a [String]) -> Vec<&'a str> {
    arguments.iter().copied().chain(options.iter().map(String::as_str)).collect()
}

/// Writes to a child's standard input and closes it.
pub(crate) fn feed(child: &mut Child, text: &str) {
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
}
