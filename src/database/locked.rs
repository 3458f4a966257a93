//! A transaction that holds authmig's lock. Only here is anything applied or
//! reverted, so forgetting the lock does not compile.

use std::io::Write as _;

use postgres::error::DbError;
use refinery::{Migration as RefineryMigration, Runner};
use refinery_core::traits::sync::{Migrate, Query, Transaction};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Database;
use crate::failure::Failure;
use crate::history::History;
use crate::message::{Message, Rows, Sections, literal, mark, parameter_settings, settings};
use crate::migration::{Migration, Part};
use crate::parameters::Values;
use crate::plan::Plan;
use crate::report::{Adopted, Exit, Step, VERSION};
use crate::secret::Secret;

/// The migration that holds the table of sessions and the settings.
pub(crate) const AUTH_SCHEMA: &str = "auth_schema";

/// Where refinery keeps its history.
const TABLE: &str = "authmig.schema_history";

/// An open transaction with the lock taken, and the history as it is under it.
/// Dropped without [`Locked::commit`], it rolls back.
pub struct Locked<'a> {
    database: &'a mut Database,
    history: History,
    open: bool,
}

/// What became of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    Yes,
    /// It was stored before.
    WasThere,
    /// Another one is, and was not to be replaced.
    AnotherIsThere,
}

impl<'a> Locked<'a> {
    pub(super) fn new(database: &'a mut Database, history: History) -> Locked<'a> {
        Locked { database, history, open: true }
    }

    /// The history, read under the lock.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Applies the steps, records them, runs the verify script of everything that is
    /// applied then, and asks `questions`: all in one message. Nothing is committed yet.
    ///
    /// With `adopt`, an installation of the published SQL is taken apart first, and its
    /// sessions are taken over at the end.
    pub fn apply(
        &mut self,
        plan: &Plan<'_>,
        parameters: &Values,
        adopt: bool,
        questions: &Message,
    ) -> Result<(Vec<Step>, Sections), Failure> {
        let all =
            plan.remaining.iter().map(|migration| refinery(migration)).collect::<Result<Vec<_>, _>>()?;
        let mut runner = Runner::new(&all).set_grouped(true);
        runner.set_migration_table_name(TABLE);
        let mut apply = Apply {
            locked: self,
            plan,
            parameters,
            adopt,
            questions,
            answers: Sections::default(),
            failure: None,
        };
        let result = runner.run(&mut apply);
        if let Some(failure) = apply.failure {
            return Err(failure);
        }
        result.map_err(|error| {
            Failure::new(Exit::Drift, format!("{error}; nothing was changed"))
                .hint("authmig.schema_history was edited: refinery's checksum in it is another one")
        })?;
        let answers = apply.answers;
        Ok((self.database.steps(&plan.steps, Part::Up), answers))
    }

    /// Reverts the steps, and runs the verify script of everything that stays.
    /// With `purge`, the ledger goes as well. Nothing is committed yet.
    pub fn revert(
        &mut self,
        plan: &Plan<'_>,
        parameters: &Values,
        purge: bool,
    ) -> Result<Vec<Step>, Failure> {
        self.send(&reverting(plan, parameters, purge))?;
        Ok(self.database.steps(&plan.steps, Part::Down))
    }

    /// Reverts the steps and takes everything back, in one message. Returns what `look`
    /// found before that and what it found then.
    pub fn rehearse(
        mut self,
        plan: &Plan<'_>,
        parameters: &Values,
        purge: bool,
        look: &str,
    ) -> Result<(Vec<Step>, [Rows; 2]), Failure> {
        let mut message = Message::default();
        message.push_section("before", look);
        message.push_section("revert", "");
        message.push_message(&reverting(plan, parameters, purge));
        message.push_section("after", look);
        message.push("rollback;");
        let answers = Sections::new(self.send(&message)?);
        self.open = false;
        let found = |name: &str| answers.get(name).first().cloned().unwrap_or_default();
        Ok((self.database.steps(&plan.steps, Part::Down), [found("before"), found("after")]))
    }

    /// Stores the JWT secret. It travels as the data of a COPY, which stands in no
    /// statement, in no view of what runs, and in no log of the server.
    pub fn store_secret(&mut self, secret: &Secret, replace: bool) -> Result<Stored, Failure> {
        self.send(&Message::new("create table authmig.secret_in_transit (secret text);"))?;
        let client = &mut self.database.client;
        let copied = self.database.interrupt.running(self.database.cancel.clone(), || {
            let mut writer = client.copy_in("copy authmig.secret_in_transit from stdin")?;
            let written = writer.write_all(secret.reveal().as_bytes());
            writer.finish().map(|_| written)
        });
        match copied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(Failure::new(Exit::Failure, format!("the secret cannot be sent: {error}")));
            }
            Err(error) => return Err(self.database.failure(&error, &Message::default())),
        }
        let replace = if replace { "yes" } else { "no" };
        let mut message = Message::new(&settings(&[("authmig.replace", replace)]));
        message.push(include_str!("../sql/secret_store.sql"));
        let answer = self.send(&message)?;
        let stored = answer.get(1).is_some_and(|rows| !rows.is_empty());
        let same = answer.get(2).and_then(|rows| rows.first()?.first()?.as_deref()) == Some("same");
        Ok(match (stored, same) {
            (true, _) => Stored::Yes,
            (false, true) => Stored::WasThere,
            (false, false) => Stored::AnotherIsThere,
        })
    }

    /// What [`Locked::apply`] has adopted, if anything.
    pub fn adopted(&mut self) -> Result<Option<Adopted>, Failure> {
        let answer =
            self.send(&Message::new("select pg_catalog.current_setting('authmig.adopted', true);"))?;
        let text = answer.into_iter().flatten().flatten().flatten().next().unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::new(Exit::Failure, format!("the adoption left no report: {error}")))
    }

    /// Records a run that changed something, but no version.
    pub fn journal(&mut self, action: &str) -> Result<(), Failure> {
        let mut message = Message::new(&settings(&[
            ("authmig.action", action),
            ("authmig.versions", "{}"),
            ("authmig.version", VERSION),
        ]));
        message.push(include_str!("../sql/journal.sql"));
        self.send(&message).map(drop)
    }

    /// Sends one message inside the transaction.
    pub fn send(&mut self, message: &Message) -> Result<Vec<Rows>, Failure> {
        self.database.send(message)
    }

    /// Makes everything permanent, and ends the lock with it.
    pub fn commit(mut self) -> Result<(), Failure> {
        self.database.interrupt.check()?;
        self.open = false;
        let client = &mut self.database.client;
        let result =
            self.database.interrupt.running(self.database.cancel.clone(), || client.batch_execute("commit"));
        result.map_err(|error| {
            let name = &self.database.name;
            match error.as_db_error().filter(|error| !self.database.is_lost(error)) {
                Some(error) => refused_commit(name, error),
                None => Failure::new(
                    Exit::Unreachable,
                    format!("the connection to {name} was lost during the commit, and whether it was done is not known"),
                )
                .hint("`authmig status` tells; running the same command again is safe"),
            }
        })
    }

    /// Takes everything back, and ends the lock with it.
    pub fn rollback(mut self) -> Result<(), Failure> {
        self.open = false;
        self.database.rollback()
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.open && !self.database.client.is_closed() {
            // If this fails, the end of the connection does the same.
            let _ = self.database.rollback();
        }
    }
}

fn refused_commit(name: &str, error: &DbError) -> Failure {
    Failure::new(
        Exit::ScriptFailed,
        format!("{name} refused the commit: {}; nothing was changed", error.message()),
    )
    .server(error)
}

/// What reverts these steps, and verifies what stays.
fn reverting(plan: &Plan<'_>, parameters: &Values, purge: bool) -> Message {
    let mut message = Message::default();
    message.push(&settings(&[("authmig.version", VERSION)]));
    message.push(&parameter_settings(parameters));
    for migration in &plan.steps {
        message.push(&mark(&migration.down.file, None));
        message.push_script(&migration.down.file, &migration.down.sql);
        let version = migration.version.number();
        message.push(&format!("delete from authmig.created where version = {version};"));
        message.push(&format!("delete from {TABLE} where version = {version};"));
    }
    if plan.remaining.is_empty() {
        // The next installation may choose other names.
        message.push("delete from authmig.parameter;");
    }
    push_verify(&mut message, plan);
    push_end(&mut message, plan, "rollback", purge);
    message
}

/// The verify script of everything that is applied then.
fn push_verify(message: &mut Message, plan: &Plan<'_>) {
    for migration in &plan.remaining {
        message.push(&mark(&migration.verify.file, None));
        message.push_script(&migration.verify.file, &migration.verify.sql);
    }
}

/// What every changing run ends with, before the commit.
fn push_end(message: &mut Message, plan: &Plan<'_>, action: &str, purge: bool) {
    let versions: Vec<_> = plan.steps.iter().map(|m| m.version.number().to_string()).collect();
    message.push(&settings(&[
        ("search_path", "pg_catalog, pg_temp"),
        ("authmig.action", action),
        ("authmig.versions", &format!("{{{}}}", versions.join(","))),
    ]));
    if purge {
        message.push(include_str!("../sql/purge.sql"));
    } else {
        message.push(include_str!("../sql/journal.sql"));
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
        "sql": migration.up.sql,
        "applied_on": null,
    }))
    .map_err(|error| Failure::new(Exit::Failure, format!("refinery does not take {migration}: {error}")))
}

/// refinery's view of the transaction: it plans and writes the history rows, and
/// what it wants executed goes to the server as one message.
struct Apply<'a, 'b> {
    locked: &'a mut Locked<'b>,
    plan: &'a Plan<'a>,
    parameters: &'a Values,
    adopt: bool,
    questions: &'a Message,
    /// What the server answered to them.
    answers: Sections,
    /// What went wrong, since refinery gives errors back by reference only.
    failure: Option<Failure>,
}

impl Transaction for Apply<'_, '_> {
    type Error = Failure;

    /// `queries` are an up script and its history row, in turn.
    fn execute<'q, T: Iterator<Item = &'q str>>(&mut self, mut queries: T) -> Result<usize, Failure> {
        let mut message = Message::default();
        message.push(&settings(&[("authmig.version", VERSION)]));
        message.push(&parameter_settings(self.parameters));
        if !self.locked.history.ledger {
            message.push(include_str!("../sql/ledger.sql"));
        }
        message.push(include_str!("../sql/parameters.sql"));
        let adopt = self.adopt && self.plan.steps.iter().any(|migration| migration.name == AUTH_SCHEMA);
        if adopt {
            push_own(&mut message, "adopt_prepare.sql", include_str!("../sql/adopt_prepare.sql"));
        }
        let mut count = 0;
        for migration in &self.plan.steps {
            let (Some(script), Some(row)) = (queries.next(), queries.next()) else {
                let failure = Failure::new(
                    Exit::Failure,
                    format!("refinery passed over {migration}; nothing was changed"),
                );
                self.failure = Some(failure.clone());
                return Err(failure);
            };
            message.push(&mark(&migration.up.file, Some(&migration.sha256())));
            message.push_script(&migration.up.file, script);
            message.push(row);
            message.push(";");
            count += 1;
        }
        if adopt {
            push_own(&mut message, "adopt_finish.sql", include_str!("../sql/adopt_finish.sql"));
        }
        push_verify(&mut message, self.plan);
        message.push_message(self.questions);
        push_end(&mut message, self.plan, "migrate", false);
        self.answers = self
            .locked
            .send(&message)
            .map(Sections::new)
            .inspect_err(|failure| self.failure = Some(failure.clone()))?;
        Ok(count)
    }
}

impl Query<Vec<RefineryMigration>> for Apply<'_, '_> {
    /// The history was read under the lock; there is nothing to ask for again.
    fn query(&mut self, _query: &str) -> Result<Vec<RefineryMigration>, Failure> {
        self.locked
            .history
            .applied
            .iter()
            .map(|row| {
                let applied_on = OffsetDateTime::parse(&row.applied_on, &Rfc3339).ok();
                let checksum = row.checksum.parse().ok();
                if let (Some(applied_on), Some(checksum)) = (applied_on, checksum) {
                    return Ok(RefineryMigration::applied(row.version, row.name.clone(), applied_on, checksum));
                }
                let failure = Failure::new(
                    Exit::Drift,
                    format!(
                        "the row of version {} in {TABLE} was edited: no run writes {} and {}; nothing was changed",
                        row.version,
                        literal(&row.applied_on),
                        literal(&row.checksum)
                    ),
                );
                self.failure = Some(failure.clone());
                Err(failure)
            })
            .collect()
    }
}

impl Migrate for Apply<'_, '_> {
    /// The ledger is made in the same message as the first migration.
    fn assert_migrations_table(&mut self, _table: &str) -> Result<usize, refinery::Error> {
        Ok(0)
    }
}
