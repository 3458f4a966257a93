//! What a command found or did, as data; and which exit code each outcome means.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::migration::label;
use crate::secret::SHORTEST;

/// This binary's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The status with which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As wished, nothing to do included.
    Success,
    /// An error that has no code of its own.
    Failure,
    /// Wrong usage, or a target that cannot be parsed.
    Usage,
    /// Migrations are pending.
    Pending,
    /// Drift, or a failed check.
    Drift,
    /// The database cannot be reached, or refuses the login.
    Unreachable,
    /// Another run held the lock past the limit, or `lock_timeout` struck.
    Locked,
    /// Refused: it would lose or replace something, or the answer was no.
    Refused,
    /// A script failed; everything was rolled back.
    ScriptFailed,
    /// The database is newer than this binary.
    Newer,
    /// The command that was to be started is not executable.
    NotExecutable,
    /// It is not there.
    NotFound,
    /// Ended by this signal.
    Signal(u8),
}

impl Exit {
    /// The number, as the table in the README has it.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Pending => 3,
            Exit::Drift => 4,
            Exit::Unreachable => 5,
            Exit::Locked => 6,
            Exit::Refused => 7,
            Exit::ScriptFailed => 8,
            Exit::Newer => 9,
            // As a shell says it.
            Exit::NotExecutable => 126,
            Exit::NotFound => 127,
            // As a shell reports it.
            Exit::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl Serialize for Exit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

/// What each exit code means, and what to do.
pub const EXIT_CODES: &str = include_str!("exit_codes.txt");

/// What happens while a command runs; written to standard error at once.
#[derive(Clone, Debug)]
pub enum Event {
    /// Another run holds the lock; who that is, as far as the server tells.
    Locked(String),
    /// The server cannot be used yet, or is not yet up to date; why.
    Waiting(String),
    /// A script has started: its file name.
    Script(String),
    /// Something that is no error, of the server's or of ours.
    Notice {
        /// How much it matters.
        weight: Weight,
        /// A sentence.
        text: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Good to know.
    Notice,
    /// It may not be what was meant.
    Warning,
}

impl Event {
    /// Something that is good to know.
    pub fn notice(text: impl Into<String>) -> Event {
        Event::Notice { weight: Weight::Notice, text: text.into(), hint: None }
    }
}

/// The result of a command.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// `authmig migrate`
    Migrate(MigrateReport),
    /// `authmig status`
    Status(StatusReport),
    /// `authmig rollback`
    Rollback(RollbackReport),
    /// `authmig verify`
    Verify(VerifyReport),
    /// `authmig secret`
    Secret(SecretReport),
    /// `authmig grants`
    Grants(GrantsReport),
    /// `authmig install`
    Install(InstallReport),
    /// `authmig export`
    Export(ExportReport),
    /// What is text already: `authmig completions`, `man`, `exit-codes`.
    Text(String),
}

impl Report {
    /// The status that this result means.
    pub fn exit(&self) -> Exit {
        match self {
            Report::Migrate(report) => report.exit,
            Report::Status(report) => report.exit,
            Report::Rollback(report) => report.exit,
            Report::Verify(report) => report.exit,
            Report::Secret(report) => report.exit,
            Report::Grants(report) => report.exit,
            Report::Install(report) => report.exit,
            Report::Export(report) => report.exit,
            Report::Text(_) => Exit::Success,
        }
    }

    /// What lasts, also if nobody reads this.
    pub fn lasting(&self) -> Option<&'static str> {
        let migrated = |report: &MigrateReport| match report.outcome {
            MigrateOutcome::Applied => true,
            MigrateOutcome::UpToDate => report.secret_stored,
            MigrateOutcome::DryRun => false,
        };
        let committed = match self {
            Report::Migrate(report) => migrated(report),
            Report::Install(report) => migrated(&report.migrate),
            Report::Rollback(report) => report.outcome == RollbackOutcome::Reverted,
            Report::Secret(report) => report.outcome == SecretOutcome::Stored,
            Report::Export(_) => return Some("the files are there"),
            Report::Status(_) | Report::Verify(_) | Report::Grants(_) | Report::Text(_) => false,
        };
        committed.then_some("what was done is committed")
    }
}

/// One migration in a report.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The version.
    pub version: i32,
    /// The name.
    pub name: String,
    /// How long its script took, in milliseconds.
    pub milliseconds: u64,
}

impl Step {
    /// `02-auth_schema`
    pub fn label(&self) -> String {
        label(self.version, &self.name)
    }
}

/// A script with its text.
#[derive(Clone, Debug, Serialize)]
pub struct ShownScript {
    /// The file's name.
    pub file: String,
    /// The SQL.
    pub sql: String,
}

/// What `migrate` did.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.migrate/1")]
pub struct MigrateReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// What became of it.
    pub outcome: MigrateOutcome,
    /// What was applied, in this order.
    pub applied: Vec<Step>,
    /// The installation of the published SQL that was upgraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
    /// Whether the JWT secret that was given was stored (after a dry run: would be).
    pub secret_stored: bool,
    /// How many migrations are applied now (after a dry run: would be).
    pub total: usize,
    /// From taking the lock to the end, in milliseconds.
    pub milliseconds: u64,
    /// The scripts, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<Vec<ShownScript>>,
    /// The exit code.
    pub exit: Exit,
}

/// An installation of the published SQL, as it was found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Adopted {
    /// How many rows its table had.
    pub rows: u64,
    /// How many of them were sessions that live; all of these go on.
    pub sessions: u64,
    /// The table in which the shell script kept its history, or `none`.
    pub ledger: String,
}

/// What became of a `migrate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrateOutcome {
    /// Applied, verified and committed.
    Applied,
    /// There was nothing to do.
    UpToDate,
    /// Applied and verified, then rolled back as wished.
    DryRun,
}

/// What `status` found.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.status/1")]
pub struct StatusReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// Nothing pending, no drift.
    pub up_to_date: bool,
    /// How many are pending.
    pub pending: usize,
    /// Whether `migrate --adopt` would upgrade an installation of the published SQL.
    pub adoptable: bool,
    /// One entry a version.
    pub migrations: Vec<MigrationStatus>,
    /// What is wrong, a sentence each.
    pub drift: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

/// One version in a `status`.
#[derive(Debug, Serialize)]
pub struct MigrationStatus {
    /// The version.
    pub version: i32,
    /// The name.
    pub name: String,
    /// `applied`, `pending`, `changed`, `missing`, `out of order` or `newer`.
    pub state: &'static str,
    /// When it was applied, RFC 3339 in UTC.
    pub applied_on: Option<String>,
    /// The role that applied it.
    pub applied_by: Option<String>,
    /// The authmig that applied it.
    pub authmig_version: Option<String>,
}

impl MigrationStatus {
    /// `02-auth_schema`
    pub fn label(&self) -> String {
        label(self.version, &self.name)
    }
}

/// What `rollback` did, or would do.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.rollback/1")]
pub struct RollbackReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// What became of it.
    pub outcome: RollbackOutcome,
    /// What was reverted, or would be, in this order.
    pub reverted: Vec<Step>,
    /// What that drops.
    pub drops: Vec<Dropped>,
    /// Logged-in sessions that end with it; `None` if they were not counted.
    pub live_sessions: Option<u64>,
    /// What has to be applied again before anybody may call `auth.*`, which is there all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_until: Option<String>,
    /// Why `--discard-data` is needed, a sentence each.
    pub losses: Vec<String>,
    /// Whether the ledger goes, too.
    pub purge: bool,
    /// How many migrations stay applied.
    pub total: usize,
    /// Whether all this was shown to a person, who then answered.
    #[serde(skip)]
    pub asked: bool,
    /// Why it was refused, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The exit code.
    pub exit: Exit,
}

/// What became of a `rollback`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackOutcome {
    /// Reverted and committed.
    Reverted,
    /// There was nothing to do.
    NothingToDo,
    /// Rehearsed, then rolled back as wished.
    DryRun,
    /// Nothing was changed.
    Refused,
}

/// Something that a rollback drops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// `table`, `function`, …
    pub kind: String,
    /// Its name, as SQL writes it.
    pub name: String,
    /// The rows that go with a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// What `verify` found.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.verify/1")]
pub struct VerifyReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// One entry a check.
    pub checks: Vec<Check>,
    /// Whether these are all that there are.
    #[serde(skip)]
    pub complete: bool,
    /// The exit code.
    pub exit: Exit,
}

/// What `verify` can look at, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckName {
    /// Whether the history is that of this binary.
    History,
    /// The verify scripts.
    Scripts,
    /// What is there, beside the manifest.
    Objects,
    /// Who may do what, beside the manifest.
    Grants,
    /// Tokens are issued, refreshed, ended and refused.
    SelfTest,
    /// What PostgREST is told.
    Postgrest,
}

impl CheckName {
    /// All of them, in order.
    pub const ALL: [CheckName; 6] = [
        CheckName::History,
        CheckName::Scripts,
        CheckName::Objects,
        CheckName::Grants,
        CheckName::SelfTest,
        CheckName::Postgrest,
    ];

    /// How it is written.
    pub fn word(self) -> &'static str {
        match self {
            CheckName::History => "history",
            CheckName::Scripts => "scripts",
            CheckName::Objects => "objects",
            CheckName::Grants => "grants",
            CheckName::SelfTest => "self-test",
            CheckName::Postgrest => "postgrest",
        }
    }

    /// What it proves, in a line.
    pub fn proves(self) -> &'static str {
        match self {
            CheckName::History => "every script of this binary is applied, and no other",
            CheckName::Scripts => "each verify script finds what it looks for",
            CheckName::Objects => "what is in the schemas is what was installed, no more",
            CheckName::Grants => "nobody may do more, or less, than was granted",
            CheckName::SelfTest => "tokens are issued, refreshed, ended, refused as they should",
            CheckName::Postgrest => "PostgREST can use it: roles, schemas, secret",
        }
    }
}

impl Serialize for CheckName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// One check of a `verify`.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Which one it is.
    pub name: CheckName,
    /// What it proves, in a line.
    pub proves: &'static str,
    /// What it ended with.
    pub verdict: Verdict,
    /// What is wrong; empty if it passed.
    pub findings: Vec<Finding>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Passed,
    /// Something is.
    Failed,
    /// It could not be made.
    Skipped,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The check fails.
    Error,
    /// Worth a look; with `--strict` the check fails.
    Advice,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it is about: a migration, an object.
    pub subject: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong with it.
    pub message: String,
    /// What should be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The statements that mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// What else to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether `migrate` tells it behind the commit, which it does not stop.
    #[serde(skip)]
    pub told_after_commit: bool,
}

impl Finding {
    /// A finding with nothing but a sentence.
    pub fn new(severity: Severity, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            subject: subject.into(),
            severity,
            message: message.into(),
            expected: None,
            found: None,
            why: None,
            mend: None,
            hint: None,
            told_after_commit: false,
        }
    }

    /// What it is about, and what is wrong with that.
    pub fn sentence(&self) -> String {
        format!("{}: {}", self.subject, self.message)
    }

    /// The sentence, and all else that is said of it, a line each.
    pub fn lines(&self) -> String {
        let parts = self.parts().map(|(word, part)| format!("\n{word}: {part}"));
        [self.sentence()].into_iter().chain(parts).collect()
    }

    /// What else is said of it, each behind its word.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("expected", &self.expected),
            ("found", &self.found),
            ("why", &self.why),
            ("mend", &self.mend),
            ("hint", &self.hint),
        ]
        .into_iter()
        .filter_map(|(word, part)| Some((word, part.as_deref()?)))
    }
}

/// What `grants` found.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.grants/1")]
pub struct GrantsReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// The roles of this installation, and `public`.
    pub roles: Vec<String>,
    /// The one of them that owns what was installed.
    #[serde(skip)]
    pub owner: String,
    /// One entry an object.
    pub objects: Vec<ObjectRights>,
    /// The exit code.
    pub exit: Exit,
}

/// What the roles may do with one object.
#[derive(Debug, Serialize)]
pub struct ObjectRights {
    /// `schema`, `table` or `function`.
    pub kind: String,
    /// Its name, as SQL writes it.
    pub name: String,
    /// By role: the privileges that it really has; none are left out.
    pub privileges: BTreeMap<String, Vec<String>>,
    /// By any other role that is no superuser: the privileges that it was granted, or has as owner.
    pub others: BTreeMap<String, Vec<String>>,
    /// How many privileges there are.
    #[serde(skip)]
    pub all: usize,
}

/// What `secret` did.
#[derive(Serialize)]
#[serde(tag = "schema", rename = "authmig.secret/1")]
pub struct SecretReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// What became of it.
    pub outcome: SecretOutcome,
    /// Where a secret comes from; the first is the one that is used.
    pub sources: Vec<SecretSource>,
    /// The new secret, if `--print` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The exit code.
    pub exit: Exit,
}

impl fmt::Debug for SecretReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretReport").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// What became of a `secret`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretOutcome {
    /// It is in the database now.
    Stored,
    /// It was in the database before.
    Unchanged,
    /// Nothing was to be stored.
    Shown,
}

/// One place that a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretSource {
    /// The table, or the setting and whose it is.
    pub source: String,
    /// The length of the key in bytes; 0 if it is not base64.
    pub bytes: u64,
    /// The first eight hexadecimal digits of its SHA-256.
    pub fingerprint: String,
    /// Whether PostgREST takes it before what a function gives it.
    #[serde(skip)]
    pub goes_first: bool,
    /// The statement that takes it away, if it is a setting of a role or a database.
    #[serde(skip)]
    pub reset: Option<String>,
}

impl SecretSource {
    /// Whether HS256 takes no such key; what is not base64 is none.
    pub fn is_too_short(&self) -> bool {
        self.bytes < SHORTEST
    }
}

/// What `install` did, before it hands over.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.install/1")]
pub struct InstallReport {
    /// `user@host:port/dbname`
    pub database: String,
    /// This binary's version.
    pub authmig: &'static str,
    /// What `migrate` did.
    pub migrate: MigrateReport,
    /// What `verify` found.
    pub verify: VerifyReport,
    /// The exit code; that of a command which is started then is its own.
    pub exit: Exit,
}

/// What `export` wrote.
#[derive(Debug, Serialize)]
#[serde(tag = "schema", rename = "authmig.export/1")]
pub struct ExportReport {
    /// This binary's version.
    pub authmig: &'static str,
    /// The tool that the files are for.
    pub format: String,
    /// The folder, as it was given.
    pub folder: String,
    /// The paths of the files in it.
    pub files: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}
