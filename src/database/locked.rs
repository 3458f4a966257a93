//! A transaction that holds authmig's lock, with the work done that came with it. Only
//! this can be committed.

use std::io::Write as _;
use std::time::Instant;

use postgres::error::DbError;

use super::Database;
use super::errors::server_error;
use crate::failure::{Failure, ServerError};
use crate::interrupt::{COMMIT_HINT, Changed};
use crate::message::{Message, Rows, Sections, journal, settings};
use crate::migration::{Migration, Part};
use crate::report::{Adopted, Exit, SecretSource, Step, VERSION};
use crate::secret::{self, Secret};

/// What was done under the lock.
pub struct Done {
    /// What the server answered.
    pub answers: Sections,
    /// The scripts that it came to, and when.
    marks: Vec<(String, Instant)>,
    /// When the lock was taken.
    pub since: Instant,
}

/// A transaction with the lock taken. Dropped without [`Locked::commit`], it rolls back.
pub struct Locked<'a> {
    /// What came with the lock.
    pub done: Done,
    database: &'a mut Database,
    open: bool,
}

/// What became of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    Yes,
    /// It was stored before.
    WasThere,
    /// Another one is, and was not to be replaced.
    AnotherIsThere,
    /// Another one is in use, and was not to be displaced.
    AnotherIsUsed(SecretSource),
}

impl Stored {
    /// What becomes of a new secret beside the one that is used; `None` if it can be stored. One that
    /// cannot be used stands in nobody's way.
    pub fn beside(used: SecretSource, new: &SecretSource) -> Option<Stored> {
        match (used.source == new.source, used.fingerprint == new.fingerprint) {
            (true, true) => Some(Stored::WasThere),
            (true, false) => Some(Stored::AnotherIsThere),
            (false, true) => None,
            (false, false) if used.is_too_short() => None,
            (false, false) => Some(Stored::AnotherIsUsed(used)),
        }
    }
}

impl Done {
    pub(super) fn new(answers: Sections, marks: Vec<(String, Instant)>, start: Instant) -> Done {
        let since = marks.first().map_or(start, |(_, at)| *at);
        Done { answers, marks, since }
    }

    /// How long these steps took, the scripts of this part.
    pub fn steps(&self, migrations: &[&Migration], part: Part) -> Vec<Step> {
        let ends = self.marks.iter().skip(1).map(|(_, at)| *at);
        let durations: Vec<_> =
            self.marks.iter().zip(ends).map(|((file, start), end)| (file, end - *start)).collect();
        let step = |migration: &&Migration| {
            let file = format!("{migration}.{}.sql", part.word());
            let took = durations.iter().find(|(known, _)| **known == file).map(|(_, took)| took.as_millis());
            Step {
                version: migration.version.number(),
                name: migration.name.clone(),
                milliseconds: u64::try_from(took.unwrap_or_default()).unwrap_or(u64::MAX),
            }
        };
        migrations.iter().map(step).collect()
    }
}

impl<'a> Locked<'a> {
    pub(super) fn new(database: &'a mut Database, done: Done) -> Locked<'a> {
        Locked { done, database, open: true }
    }

    /// Stores the JWT secret. It travels as the data of a COPY, which stands in no
    /// statement, in no view of what runs, and in no log of the server.
    pub fn store_secret(&mut self, new: &Secret, replace: bool) -> Result<Stored, Failure> {
        let mut message = Message::new(secret::SOURCES);
        message.push(include_str!("../sql/secret_transit.sql"));
        let used = self.send(&message)?.first().and_then(|rows| secret::sources(rows).into_iter().next());
        let beside = used.and_then(|used| Stored::beside(used, &new.source()));
        if let (Some(another @ Stored::AnotherIsUsed(_)), false) = (beside, replace) {
            self.send(&Message::new("drop table authmig.secret_in_transit;"))?;
            return Ok(another);
        }
        let client = &mut self.database.client;
        let copied = self.database.interrupt.running(self.database.cancel.clone(), || {
            let mut writer = client.copy_in("copy authmig.secret_in_transit (secret) from stdin")?;
            let written = writer.write_all(new.reveal().as_bytes());
            writer.finish().map(|_| written)
        });
        match copied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(Failure::new(Exit::Failure, format!("the secret cannot be sent: {error}")));
            }
            // The line of a COPY stands in the context.
            Err(error) => {
                let failure = self.database.failure(&error, &Message::default());
                let server =
                    failure.server.map(|server| ServerError { context: None, detail: None, ..server });
                return Err(Failure { server, ..failure });
            }
        }
        let replace = if replace { "yes" } else { "no" };
        let mut message = Message::new(&settings(&[("authmig.replace", replace)]));
        message.push(include_str!("../sql/secret_store.sql"));
        let answer = self.send(&message)?;
        let stored = answer.first().is_some_and(|rows| !rows.is_empty());
        let Some(kept) = answer.get(1).and_then(|rows| rows.first()?.first()?.as_deref()) else {
            let message = "auth_private.config has no row to keep a secret in; nothing was changed";
            return Err(Failure::new(Exit::Drift, message)
                .hint("`authmig verify` shows the statement that puts it there"));
        };
        let same = kept == "same";
        Ok(match (stored, same) {
            (true, _) => Stored::Yes,
            (false, true) => Stored::WasThere,
            (false, false) => Stored::AnotherIsThere,
        })
    }

    /// What was adopted, if anything.
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

    /// Records that a secret was stored.
    pub fn journal_secret(&mut self) -> Result<(), Failure> {
        let mut message = Message::new(&settings(&[("authmig.version", VERSION)]));
        message.push(&journal("secret", &[]));
        self.send(&message).map(drop)
    }

    /// Has everything checked that would be checked at the commit.
    pub fn check_constraints(&mut self) -> Result<(), Failure> {
        self.send(&Message::new("set constraints all immediate;")).map(drop)
    }

    /// Sends one message inside the transaction.
    fn send(&mut self, message: &Message) -> Result<Vec<Rows>, Failure> {
        self.database.send(message)
    }

    /// Makes everything permanent, and ends the lock with it.
    pub fn commit(mut self) -> Result<(), Failure> {
        let interrupt = &self.database.interrupt;
        interrupt.check()?;
        self.open = false;
        interrupt.note(Changed::Unknown);
        let client = &mut self.database.client;
        let result = interrupt.running(self.database.cancel.clone(), || client.batch_execute("commit"));
        let Err(error) = result else {
            interrupt.note(Changed::Something);
            return Ok(());
        };
        let name = &self.database.name;
        let Some(error) = error.as_db_error().filter(|error| !self.database.is_lost(error)) else {
            return Err(Failure::new(
                Exit::Unreachable,
                format!("the connection to {name} was lost during the commit, and whether it was done is not known"),
            )
            .hint(COMMIT_HINT));
        };
        interrupt.note(Changed::Nothing);
        // What a signal has cancelled was not refused by anybody.
        interrupt.check()?;
        Err(refused_commit(name, error))
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
    let message = format!("{name} refused the commit: {}; nothing was changed", error.message());
    Failure { server: Some(server_error(error)), ..Failure::new(Exit::ScriptFailed, message) }
}
