//! What is to be done under authmig's lock, each as one message. It is sent behind the
//! lock by [`super::Database::lock`] or [`super::Database::rehearse`], and by nothing else, so forgetting the lock does not
//! compile.

use std::error::Error as _;

use refinery::{Migration as RefineryMigration, Runner};
use refinery_core::traits::sync::{Migrate, Query, Transaction};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::failure::Failure;
use crate::history::History;
use crate::message::{
    CHECKED, LOCK, MAKERS, Message, PINNED, UNCHECKED, bare, journal, literal, mark, parameter_settings,
    settings,
};
use crate::migration::{AUTH_SCHEMA, Migration};
use crate::parameters::Values;
use crate::plan::Plan;
use crate::report::{Exit, ShownScript, VERSION};

/// Where refinery keeps its history.
const TABLE: &str = "authmig.schema_history";

/// What stays where the ledger is not to.
const LEFT: &str = bare!(include_str!("../sql/left.sql"));

/// What stands in the way of a migration.
const PREFLIGHT: &str = bare!(include_str!("../sql/preflight.sql"));

/// What fails behind this is no script's fault.
const NO_SCRIPT: &str = "do $$ begin raise notice 'no script' using errcode = 'AMS02'; end $$;";

/// Bytes of our own SQL around the scripts, the lock in front included: the long ones, and room
/// for settings, marks and history rows.
const OWN: usize = LOCK.len()
    + MAKERS.len()
    + include_str!("../sql/planned.sql").len()
    + PREFLIGHT.len()
    + include_str!("../sql/ledger.sql").len()
    + 10 * 1024;

/// Statements that change something, for a transaction that holds the lock.
#[derive(Debug, Default)]
pub struct Work {
    pub(super) message: Message,
}

/// The same, and they take back everything, so that nobody can commit it.
pub struct Rehearsal {
    pub(super) message: Message,
}

impl Work {
    /// Asks what stands in the way, applies the steps, records them, runs the verify script
    /// of everything that is applied then, and asks `questions`. Commits nothing.
    ///
    /// With `adopt`, an installation of the published SQL is taken apart first, and its
    /// sessions are taken over at the end.
    pub fn apply(
        history: &History,
        plan: &Plan<'_>,
        parameters: &Values,
        adopt: bool,
        questions: &Message,
    ) -> Result<Work, Failure> {
        let all =
            plan.remaining.iter().map(|migration| refinery(migration)).collect::<Result<Vec<_>, _>>()?;
        let mut runner = Runner::new(&all).set_grouped(true);
        runner.set_migration_table_name(TABLE);
        let mut apply = Apply { history, plan, parameters, adopt, questions, message: Message::default() };
        runner.run(&mut apply).map_err(|error| {
            // What went wrong here comes back inside of refinery's error.
            error.source().and_then(|cause| cause.downcast_ref::<Failure>()).cloned().unwrap_or_else(|| {
                Failure::new(Exit::Drift, format!("{error}; nothing was changed"))
                    .hint("authmig.schema_history was edited: refinery's checksum in it is another one")
            })
        })?;
        Ok(Work { message: apply.message })
    }

    /// The scripts in it that apply something, in order: neither verification nor journal.
    pub fn applying(&self) -> Vec<ShownScript> {
        let scripts = self.message.scripts().take_while(|(file, _)| !file.ends_with(".verify.sql"));
        scripts.map(|(file, sql)| ShownScript { file: file.to_owned(), sql: sql.to_owned() }).collect()
    }

    /// Asks what stands in the way, counts what goes, reverts the steps, and runs the verify
    /// script of everything that stays. With `purge`, asks what is left, and the ledger goes as
    /// well. Commits nothing.
    pub fn revert(plan: &Plan<'_>, parameters: &Values, purge: bool, count: &str) -> Work {
        let mut message = may_revert(parameters);
        message.push_section("counted", count);
        message.push_section("revert", "");
        push_revert(&mut message, plan, purge);
        Work { message }
    }

    /// The same with `look` before and after it, and everything taken back at the end. The ledger
    /// stays: with `purge`, what could keep it is asked.
    pub fn rehearse(plan: &Plan<'_>, parameters: &Values, purge: bool, look: &str) -> Rehearsal {
        let mut message = may_revert(parameters);
        message.push_section("before", look);
        message.push("savepoint authmig_rehearsal;");
        message.push_section("revert", "");
        push_revert(&mut message, plan, false);
        if purge {
            message.push_section("left", LEFT);
        }
        message.push_section("after", look);
        message.push("rollback to savepoint authmig_rehearsal;");
        message.push_section("again", look);
        message.push("rollback;");
        Rehearsal { message }
    }
}

fn may_revert(parameters: &Values) -> Message {
    let mut message = Message::new(&parameter_settings(parameters));
    message.push(include_str!("../sql/preflight_down.sql"));
    message
}

fn push_revert(message: &mut Message, plan: &Plan<'_>, purge: bool) {
    message.push(&settings(&[("authmig.version", VERSION)]));
    message.push(CHECKED);
    for migration in &plan.steps {
        message.push(&mark(&migration.down.file, None));
        message.push_script(&migration.down.file, &migration.down.sql);
        message.push(&settings(&[("authmig.step", &migration.version.number().to_string())]));
        message.push(include_str!("../sql/forget.sql"));
    }
    push_verify(message, plan);
    push_end(message, plan, "rollback", purge);
}

/// The verify script of everything that is applied then.
fn push_verify(message: &mut Message, plan: &Plan<'_>) {
    message.push(UNCHECKED);
    for migration in &plan.remaining {
        message.push(&mark(&migration.verify.file, None));
        message.push_script(&migration.verify.file, &migration.verify.sql);
    }
}

/// What every changing run ends with, before the commit.
fn push_end(message: &mut Message, plan: &Plan<'_>, action: &str, purge: bool) {
    message.push(PINNED);
    message.push(NO_SCRIPT);
    if purge {
        message.push_section("left", LEFT);
        message.push(include_str!("../sql/purge.sql"));
    } else {
        let versions: Vec<_> = plan.steps.iter().map(|migration| migration.version.number()).collect();
        message.push(&journal(action, &versions));
    }
    message.push(include_str!("../sql/notify.sql"));
}

/// A script of the engine that can fail for reasons of the user's.
fn push_own(message: &mut Message, file: &str, sql: &str) {
    message.push(&mark(file, None));
    message.push_script(file, sql);
}

/// refinery's form of a migration. Not by `unapplied`, which takes the name apart that
/// the catalog has taken apart before, with an engine for regular expressions that would be
/// a quarter of the binary.
fn refinery(migration: &Migration) -> Result<RefineryMigration, Failure> {
    serde_json::from_value(json!({
        "state": "Unapplied",
        "name": migration.name,
        "checksum": migration.checksum(),
        "version": migration.version.number(),
        "prefix": "Versioned",
        // What it hands back for each script to be executed; the script itself need not be copied.
        "sql": migration.up.file,
        "applied_on": null,
    }))
    .map_err(|error| Failure::new(Exit::Failure, format!("refinery does not take {migration}: {error}")))
}

/// refinery's view of the database: it plans and writes the history rows, and what it
/// wants executed becomes one message.
struct Apply<'a> {
    history: &'a History,
    plan: &'a Plan<'a>,
    parameters: &'a Values,
    adopt: bool,
    questions: &'a Message,
    message: Message,
}

impl Transaction for Apply<'_> {
    type Error = Failure;

    /// `queries` are the name of an up script and its history row, in turn.
    fn execute<'q, T: Iterator<Item = &'q str>>(&mut self, mut queries: T) -> Result<usize, Failure> {
        let names: Vec<_> = self.plan.steps.iter().map(|migration| migration.name.as_str()).collect();
        let mut message = Message::new(&parameter_settings(self.parameters));
        let scripts = self.plan.steps.iter().map(|migration| &migration.up);
        let scripts = scripts.chain(self.plan.remaining.iter().map(|migration| &migration.verify));
        let scripts: usize = scripts.map(|script| script.sql.len()).sum();
        message.reserve(scripts + self.questions.text().len() + OWN);
        message.push(&settings(&[("authmig.version", VERSION)]));
        message.push(
            &PREFLIGHT
                // The names of files are plain: no `$$` can be in one.
                .replace("{pending}", &literal(&format!("{{{}}}", names.join(","))))
                .replace("{adopt}", if self.adopt { "true" } else { "false" })
                .replace("{was_reverted}", include_str!("../sql/was_reverted.sql")),
        );
        if self.adopt {
            message.push(&settings(&[("authmig.adopted", "")]));
        }
        if !self.history.ledger {
            message.push_script("ledger.sql", include_str!("../sql/ledger.sql"));
        }
        message.push(include_str!("../sql/parameters.sql"));
        let adopt = self.adopt && self.plan.steps.iter().any(|migration| migration.name == AUTH_SCHEMA);
        if adopt {
            push_own(&mut message, "adopt_prepare.sql", include_str!("../sql/adopt_prepare.sql"));
        }
        message.push(CHECKED);
        let mut count = 0;
        for migration in &self.plan.steps {
            let (script, row) = (queries.next(), queries.next());
            let Some(row) = row.filter(|_| script == Some(&*migration.up.file)) else {
                let message = format!("refinery passed over {migration}; nothing was changed");
                return Err(Failure::new(Exit::Failure, message));
            };
            message.push(&mark(&migration.up.file, Some(&migration.sha256())));
            message.push_script(&migration.up.file, &migration.up.sql);
            message.push(row);
            message.push(";");
            // What comes behind it finds the sessions, as in an upgrade.
            if adopt && migration.name == AUTH_SCHEMA {
                push_own(&mut message, "adopt_finish.sql", include_str!("../sql/adopt_finish.sql"));
            }
            count += 1;
        }
        push_verify(&mut message, self.plan);
        message.push(NO_SCRIPT);
        message.push_message(self.questions);
        push_end(&mut message, self.plan, "migrate", false);
        if self.adopt {
            message.push(include_str!("../sql/adopt_journal.sql"));
        }
        self.message = message;
        Ok(count)
    }
}

impl Query<Vec<RefineryMigration>> for Apply<'_> {
    /// The history was read before, and is checked under the lock.
    fn query(&mut self, _query: &str) -> Result<Vec<RefineryMigration>, Failure> {
        self.history
            .applied
            .iter()
            .map(|row| {
                let applied_on = OffsetDateTime::parse(&row.applied_on, &Rfc3339).ok();
                let checksum = row.checksum.parse().ok();
                if let (Some(applied_on), Some(checksum)) = (applied_on, checksum) {
                    return Ok(RefineryMigration::applied(row.version, row.name.clone(), applied_on, checksum));
                }
                Err(Failure::new(
                    Exit::Drift,
                    format!(
                        "the row of version {} in {TABLE} was edited: no run writes {} and {}; nothing was changed",
                        row.version,
                        literal(&row.applied_on),
                        literal(&row.checksum)
                    ),
                ))
            })
            .collect()
    }
}

impl Migrate for Apply<'_> {
    /// The ledger is made in the same message as the first migration.
    fn assert_migrations_table(&mut self, _table: &str) -> Result<usize, refinery::Error> {
        Ok(0)
    }
}
