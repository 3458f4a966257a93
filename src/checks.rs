//! What `verify` looks at, one file a check; and what the server is asked for that.

pub mod facts;
pub mod history;
mod mend;
pub mod postgrest;
pub mod scripts;
pub mod self_test;

use crate::catalog::Catalog;
use crate::database::Database;
use crate::failure::Failure;
use crate::history::History;
use crate::message::{Message, Sections, mark, parameter_settings, settings};
use crate::migration::{Migration, Script, Version};
use crate::parameters::Values;
use crate::report::{Check, Exit, Finding, Severity, Verdict};
use crate::secret;

/// The names of all checks, in the order in which they are shown.
pub const ALL: [&str; 6] = ["history", "scripts", "objects", "grants", "self-test", "postgrest"];

/// The migration that lets requests in: without it there is nothing to try.
const OPENED: &str = "grants";

/// What can be checked when these migrations are applied.
pub struct Scope<'a> {
    catalog: &'a Catalog,
    scripts: Vec<&'a Script>,
    /// The newest version, if the manifest describes it. It is read when the answers are there.
    described: Option<Version>,
    opened: bool,
}

impl<'a> Scope<'a> {
    /// The scope of these migrations, oldest first.
    pub fn new(catalog: &'a Catalog, applied: &[&'a Migration]) -> Scope<'a> {
        let newest = applied.last().map(|migration| migration.version);
        let described = newest.filter(|version| catalog.describes(*version));
        Scope {
            catalog,
            scripts: applied.iter().map(|migration| &migration.verify).collect(),
            described,
            opened: described.is_some() && applied.iter().any(|migration| migration.name == OPENED),
        }
    }

    /// The questions whose answers [`Scope::answered`] judges. They read only.
    fn push_questions(&self, message: &mut Message) {
        if self.described.is_none() {
            return;
        }
        message.push_section("facts", facts::SQL);
        if self.opened {
            message.push_section("settings", postgrest::SQL);
            message.push_section("secrets", secret::SOURCES);
        }
        message.push_section("end", "");
    }

    /// The self-test, if there is something to test. It writes: roll it back.
    fn push_self_test(&self, message: &mut Message) {
        if self.opened {
            message.push_section("self-test", "");
            message.push(&mark(self_test::FILE, None));
            message.push_script(self_test::FILE, self_test::SQL);
            message.push_section("end", "");
        }
    }

    /// All of it, inside a transaction that goes on.
    pub fn questions(&self) -> Message {
        let mut message = Message::default();
        self.push_questions(&mut message);
        message.push("savepoint authmig_self_test;");
        self.push_self_test(&mut message);
        message.push("rollback to savepoint authmig_self_test;");
        message
    }

    /// The checks that follow from the answers.
    pub fn answered(&self, answers: &mut Sections) -> Result<Vec<Check>, Failure> {
        let mut checks = Vec::new();
        if let (Some(version), Some(live)) = (self.described, facts::live(answers.take("facts"))) {
            let expected = self.catalog.facts_at(version).map_err(|error| {
                Failure::new(
                    Exit::Failure,
                    format!("a migration cannot be used: {error}; nothing was changed"),
                )
            })?;
            checks.extend(facts::run(expected.unwrap_or_default(), &live));
            if let ([settings], [secrets]) = (answers.get("settings"), answers.get("secrets")) {
                checks.push(postgrest::run(settings, &secret::sources(secrets)));
            }
        }
        if let Some(result) =
            answers.get("self-test").last().and_then(|rows| rows.first()?.first()?.as_deref())
        {
            checks.push(self_test::run(result));
        }
        Ok(checks)
    }
}

/// Makes all checks: in one message, unless something in it fails.
pub fn run(
    database: &mut Database,
    catalog: &Catalog,
    history: &History,
    parameters: &Values,
) -> Result<Vec<Check>, Failure> {
    let applied: Vec<_> =
        history.applied.iter().filter_map(|row| catalog.get(Version::new(row.version)?)).collect();
    let scope = Scope::new(catalog, &applied);
    let mut checks = vec![history::run(catalog, history)];

    let mut message = look(&scope, parameters);
    for script in &scope.scripts {
        message.push(&mark(&script.file, None));
        message.push_script(&script.file, &script.sql);
    }
    message.push("rollback;");
    message.push_message(&try_out(&scope, parameters));
    match database.send(&message) {
        Ok(answer) => {
            checks.push(scripts::run(applied.len(), Vec::new()));
            checks.extend(scope.answered(&mut Sections::new(answer))?);
        }
        Err(failure) if failure.server.is_some() => {
            // One part has ended the message, and with it went the answers of the others.
            database.rollback()?;
            checks.push(scripts::run(applied.len(), database.run_read_only(&scope.scripts, parameters)?));
            let mut message = look(&scope, parameters);
            message.push("rollback;");
            match database.send(&message) {
                Ok(answer) => checks.extend(scope.answered(&mut Sections::new(answer))?),
                Err(failure) => {
                    // The facts can be had where what the other questions need is gone.
                    database.rollback()?;
                    checks.push(postgrest::raised(failure)?);
                    let facts = Scope { scripts: Vec::new(), opened: false, ..scope };
                    let mut message = look(&facts, parameters);
                    message.push("rollback;");
                    checks.extend(facts.answered(&mut Sections::new(database.send(&message)?))?);
                }
            }
            match database.send(&try_out(&scope, parameters)) {
                Ok(answer) => checks.extend(scope.answered(&mut Sections::new(answer))?),
                Err(failure) => {
                    database.rollback()?;
                    checks.push(self_test::raised(failure)?);
                }
            }
        }
        Err(failure) => return Err(failure),
    }
    checks.sort_by_key(|check| ALL.iter().position(|name| *name == check.name));
    Ok(checks)
}

/// Opens a transaction that reads only, and asks.
fn look(scope: &Scope<'_>, parameters: &Values) -> Message {
    let mut message = begin("begin isolation level repeatable read read only;", parameters);
    scope.push_questions(&mut message);
    message
}

/// The self-test in a transaction that is taken back.
fn try_out(scope: &Scope<'_>, parameters: &Values) -> Message {
    let mut message = begin("begin isolation level read committed;", parameters);
    scope.push_self_test(&mut message);
    message.push("rollback;");
    message
}

/// A message that opens a transaction with this, and sets what our questions need.
pub fn begin(sql: &str, parameters: &Values) -> Message {
    let mut message = Message::new(sql);
    message.push(&settings(&[
        ("search_path", "pg_catalog, pg_temp"),
        ("client_min_messages", "notice"),
        ("standard_conforming_strings", "on"),
        ("quote_all_identifiers", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ]));
    message.push(&parameter_settings(parameters));
    message
}

/// A check that was made, with what it found.
fn check(name: &'static str, proves: &'static str, findings: Vec<Finding>) -> Check {
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    Check { name, proves, verdict: if failed { Verdict::Failed } else { Verdict::Passed }, findings }
}
