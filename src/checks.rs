//! What `verify` looks at, one file a check; and what the server is asked for that.

pub mod facts;
pub mod history;
mod mend;
pub mod postgrest;
pub mod scripts;
pub mod self_test;
mod words;

use facts::ForeignCode;

use crate::catalog::Catalog;
use crate::database::Database;
use crate::failure::Failure;
use crate::history::History;
use crate::message::{MAKERS, Message, PINNED, Sections, mark, parameter_settings, settings};
use crate::migration::{GRANTS, Migration, Script, Version};
use crate::parameters::Values;
use crate::plan::{State, entries};
use crate::report::{Check, CheckName, Exit, Finding, Severity, Verdict};
use crate::secret;

/// What can be checked when these migrations are applied.
pub struct Scope<'a> {
    catalog: &'a Catalog,
    scripts: Vec<&'a Script>,
    /// The newest version, if the manifest describes it. It is read when the answers are there.
    described: Option<Version>,
    /// Whether to ask what PostgREST is told.
    told: bool,
    /// Whether to make the self-test.
    tried: bool,
}

impl<'a> Scope<'a> {
    /// The scope of these migrations, oldest first.
    pub fn new(catalog: &'a Catalog, applied: &[&'a Migration]) -> Scope<'a> {
        let newest = applied.last().map(|migration| migration.version);
        let described = newest.filter(|version| catalog.describes(*version));
        let opened = described.is_some() && applied.iter().any(|migration| migration.name == GRANTS);
        Scope {
            catalog,
            scripts: applied.iter().map(|migration| &migration.verify).collect(),
            described,
            told: opened,
            tried: opened,
        }
    }

    /// Leaves out what runs something and is not wanted. What there is, is always asked: it says
    /// whether anything may be run.
    fn limit(&mut self, wanted: impl Fn(CheckName) -> bool) {
        if !wanted(CheckName::Scripts) {
            self.scripts.clear();
        }
        self.told &= wanted(CheckName::Postgrest);
        self.tried &= wanted(CheckName::SelfTest);
    }

    /// What there is. It reads only.
    fn push_facts(&self, message: &mut Message) {
        if self.described.is_some() {
            message.push_section("facts", facts::SQL);
            message.push_section("end", "");
        }
    }

    /// What PostgREST is told, if it may come in. It reads only.
    fn push_told(&self, message: &mut Message) {
        if self.told {
            message.push_section("settings", postgrest::SQL);
            message.push_section("secrets", secret::SOURCES);
            message.push_section("end", "");
        }
    }

    /// The self-test, if there is something to test. It writes: roll it back.
    fn push_self_test(&self, message: &mut Message) {
        if self.tried {
            message.push_section("self-test", "");
            message.push(&mark(self_test::FILE, None));
            message.push_script(self_test::FILE, self_test::SQL);
            message.push_section("end", "");
        }
    }

    /// All of it, inside a transaction that goes on.
    pub fn questions(&self) -> Message {
        let mut message = Message::default();
        self.push_facts(&mut message);
        self.push_told(&mut message);
        message.push("savepoint authmig_self_test;");
        self.push_self_test(&mut message);
        message.push("rollback to savepoint authmig_self_test;");
        message
    }

    /// The checks that follow from the answers, and whether there is code that was not installed.
    /// What can only be mended after the commit is advice before it, and no error.
    pub fn answered(
        &self,
        answers: &mut Sections,
        before_commit: bool,
    ) -> Result<(Vec<Check>, ForeignCode), Failure> {
        let (mut checks, mut foreign_code) = (Vec::new(), ForeignCode::default());
        if let Some(compared) = self.compared(answers)? {
            checks.extend(compared.checks);
            foreign_code = compared.foreign_code;
        }
        if let ([settings], [secrets]) = (answers.get("settings"), answers.get("secrets")) {
            checks.push(postgrest::run(settings, &secret::sources(secrets), before_commit));
        }
        if let Some(result) =
            answers.get("self-test").last().and_then(|rows| rows.first()?.first()?.as_deref())
        {
            checks.push(self_test::run(result));
        }
        Ok((checks, foreign_code))
    }

    /// What there is beside what the manifest says, if it says something.
    fn compared(&self, answers: &mut Sections) -> Result<Option<facts::Compared>, Failure> {
        let (Some(version), Some(live)) = (self.described, facts::live(answers.take("facts"))) else {
            return Ok(None);
        };
        let expected = self.catalog.facts_at(version).map_err(|error| {
            Failure::new(Exit::Failure, format!("a migration cannot be used: {error}; nothing was changed"))
        })?;
        Ok(Some(facts::run(expected.unwrap_or_default(), &live)))
    }
}

/// Asks what there is, under the names that the ledger has. It goes with the question for
/// the history ([`Database::history_and`]), and runs nothing but the server's own functions.
pub fn questions_of_fact() -> Message {
    let mut message = Message::new(PINNED);
    message.push(&settings(&SETTINGS));
    message.push(MAKERS);
    message.push(include_str!("sql/stored.sql"));
    message.push_section("facts", facts::SQL);
    message.push_section("end", "");
    message
}

/// What is there beside what was installed. `answers` are those to [`questions_of_fact`].
fn compare(
    catalog: &Catalog,
    history: &History,
    answers: &mut Sections,
) -> Result<Option<facts::Compared>, Failure> {
    Scope::new(catalog, &applied(catalog, history)).compared(answers)
}

/// Whether something that was not installed could run as whoever goes on.
pub fn foreign_code_in(
    catalog: &Catalog,
    history: &History,
    answers: &mut Sections,
) -> Result<ForeignCode, Failure> {
    Ok(compare(catalog, history, answers)?.map(|compared| compared.foreign_code).unwrap_or_default())
}

/// Refuses to go on where it could.
pub fn refuse_foreign_code(
    catalog: &Catalog,
    history: &History,
    answers: &mut Sections,
) -> Result<(), Failure> {
    if foreign_code_in(catalog, history, answers)?.runs { Err(foreign_code()) } else { Ok(()) }
}

/// Refuses to build on what is not as it was installed: what comes would fail at it, or behind it.
pub fn refuse_drift(catalog: &Catalog, history: &History, answers: &mut Sections) -> Result<(), Failure> {
    let Some(compared) = compare(catalog, history, answers)? else { return Ok(()) };
    if compared.foreign_code.runs {
        return Err(foreign_code());
    }
    let checks: Vec<_> =
        compared.checks.into_iter().filter(|check| check.verdict == Verdict::Failed).collect();
    if checks.is_empty() {
        return Ok(());
    }
    let message = "what is installed is not as authmig installed it; nothing was changed";
    Err(Failure { checks, ..Failure::new(Exit::Drift, message) })
}

/// Why it does not go on.
pub fn foreign_code() -> Failure {
    let message = "something here is not as authmig installed it, and could run as whoever goes on; nothing was changed";
    Failure::new(Exit::Drift, message).hint("`authmig verify` names it, and what mends it")
}

fn applied<'a>(catalog: &'a Catalog, history: &History) -> Vec<&'a Migration> {
    history.applied.iter().filter_map(|row| catalog.get(Version::new(row.version)?)).collect()
}

/// Makes the checks that are wanted, and some more, with the answers to [`questions_of_fact`] and
/// the rest in one message, unless something in it fails. Where there is code that was not
/// installed, nothing of it is run; where the history is not that of this binary, nothing is
/// compared with it.
pub fn run(
    database: &mut Database,
    catalog: &Catalog,
    history: &History,
    parameters: &Values,
    adoptable: bool,
    mut answers: Sections,
    wanted: impl Fn(CheckName) -> bool,
) -> Result<Vec<Check>, Failure> {
    let mut checks = vec![history::run(catalog, history, parameters, adoptable)];
    let foreign = [State::Changed, State::Missing, State::Newer];
    if entries(catalog, history).iter().any(|entry| foreign.contains(&entry.state)) {
        let why = "not tried: what is applied is not this binary's, see history";
        checks.extend(CheckName::ALL[1..].iter().map(|name| skipped(*name, why)));
        return Ok(checks);
    }
    let applied = applied(catalog, history);
    let mut scope = Scope::new(catalog, &applied);
    scope.limit(&wanted);

    let known = |(name, value): &(&'static str, String)| history.parameters.get(*name) == Some(value);
    if scope.described.is_some() && !parameters.iter().all(known) {
        // The ledger lacks a name.
        let mut message = begin(
            "begin isolation level repeatable read read only; set local row_security = off;",
            database,
            parameters,
        );
        message.push(MAKERS);
        message.push_section("facts", facts::SQL);
        message.push("rollback;");
        answers = Sections::new(database.send(&message)?);
    }
    let compared = scope.compared(&mut answers)?;
    let foreign_code = compared.as_ref().is_some_and(|compared| compared.foreign_code.runs);
    checks.extend(compared.into_iter().flat_map(|compared| compared.checks));
    if foreign_code {
        let why = "not tried: it would run what was not installed, see objects and grants";
        checks.push(skipped(CheckName::Scripts, why));
        if scope.told {
            checks.push(skipped(CheckName::Postgrest, why));
        }
        if scope.tried {
            checks.push(skipped(CheckName::SelfTest, why));
        }
    } else {
        checks.extend(try_all(database, &scope, applied.len(), parameters)?);
    }
    let take = |name| match checks.iter().position(|check| check.name == name) {
        Some(index) => checks.swap_remove(index),
        // What is not there cannot be looked at.
        None => Check { verdict: Verdict::Skipped, ..check(name, Vec::new()) },
    };
    Ok(CheckName::ALL.map(take).into())
}

/// The checks that run functions of the installation.
fn try_all(
    database: &mut Database,
    scope: &Scope<'_>,
    applied: usize,
    parameters: &Values,
) -> Result<Vec<Check>, Failure> {
    let mut checks = Vec::new();
    let mut message = look(scope, database, parameters);
    for script in &scope.scripts {
        message.push(&mark(&script.file, None));
        message.push_script(&script.file, &script.sql);
    }
    message.push("rollback;");
    message.push_message(&try_out(scope, database, parameters));
    match database.send(&message) {
        Ok(answer) => {
            checks.push(scripts::run(applied, Vec::new()));
            checks.extend(scope.answered(&mut Sections::new(answer), false)?.0);
        }
        Err(failure) if failure.server.is_some() && !failure.is_limit() => {
            // One part has ended the message, and with it went the answers of the others.
            database.rollback()?;
            checks.push(scripts::run(applied, scripts::raised(database, &scope.scripts, parameters)?));
            let mut message = look(scope, database, parameters);
            message.push("rollback;");
            let questions = (message, postgrest::raised as fn(_) -> _);
            let trial = (try_out(scope, database, parameters), self_test::raised as fn(_) -> _);
            for (message, raised) in [questions, trial] {
                match database.send(&message) {
                    Ok(answer) => checks.extend(scope.answered(&mut Sections::new(answer), false)?.0),
                    Err(failure) => {
                        checks.push(raised(failure)?);
                        database.rollback()?;
                    }
                }
            }
        }
        Err(failure) => return Err(failure),
    }
    Ok(checks)
}

/// Opens a transaction that reads only, and asks what PostgREST is told.
fn look(scope: &Scope<'_>, database: &Database, parameters: &Values) -> Message {
    let mut message = begin("begin isolation level repeatable read read only;", database, parameters);
    scope.push_told(&mut message);
    message
}

/// The self-test in a transaction that is taken back.
fn try_out(scope: &Scope<'_>, database: &Database, parameters: &Values) -> Message {
    let mut message = begin("begin isolation level read committed;", database, parameters);
    scope.push_self_test(&mut message);
    message.push("rollback;");
    message
}

/// What our questions need to be set.
const SETTINGS: [(&str, &str); 5] = [
    ("client_min_messages", "notice"),
    ("standard_conforming_strings", "on"),
    ("quote_all_identifiers", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// A message that opens a transaction with this, and sets what our questions need.
pub fn begin(sql: &str, database: &Database, parameters: &Values) -> Message {
    let mut message = Message::new(sql);
    message.push(PINNED);
    message.push(&database.limits());
    message.push(&settings(&SETTINGS));
    message.push(&parameter_settings(parameters));
    message
}

/// A check that could not be made.
fn skipped(name: CheckName, why: &str) -> Check {
    let finding = Finding::new(Severity::Advice, name.word(), why);
    Check { verdict: Verdict::Skipped, ..check(name, vec![finding]) }
}

/// A check that was made, with what it found.
fn check(name: CheckName, findings: Vec<Finding>) -> Check {
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    Check {
        name,
        proves: name.proves(),
        verdict: if failed { Verdict::Failed } else { Verdict::Passed },
        findings,
    }
}
