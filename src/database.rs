//! The connection: one for a run, one message a step, every error with its place.

mod connect;
mod errors;
mod handshake;
mod ledger;
mod locked;
mod refusal;
mod tls;
mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::error::{DbError, Severity};
use postgres::{Client, Config};
use tracing::debug;

use crate::failure::{Failure, Found, Place};
use crate::history::History;
use crate::interrupt::{Cancel, Interrupt};
use crate::message::{LOCK, MAKERS, Message, PINNED, Rows, Sections, rows, settings};
use crate::report::{Event, Exit, Weight};
use crate::target::Target;

use connect::Connected;
pub use connect::{Patience, announce};
pub use errors::changed;
use errors::{
    hint, holder, longer, lost_ledger, makers, no_ledger, not_utf8, obstacles, odd_ledger, reason,
    server_error, words,
};
pub use locked::{Done, Locked, Stored};
pub use work::{Rehearsal, Work};

/// Who is told what happens while it happens.
pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For another run of authmig to end.
    pub lock_wait: Duration,
    /// For each lock on a table; zero waits for ever.
    pub lock_timeout: Duration,
    /// For each statement; zero waits for ever.
    pub statement_timeout: Duration,
}

/// What came of the wish to do something under the lock.
pub enum Lock<T> {
    /// It is done.
    Taken(T),
    /// The history is this one now, and not that for which it was planned: nothing is done.
    Changed(History),
}

/// A connection to one database.
pub struct Database {
    client: Client,
    name: String,
    cancel: Cancel,
    limits: Limits,
    interrupt: Interrupt,
    tell: Tell,
    marks: Marks,
}

/// The scripts that the running message has come to, and when.
type Marks = Arc<Mutex<Vec<(String, Instant)>>>;

impl Database {
    /// Connects. It does not wait: [`Patience`] says how long one try may take, and what heals.
    pub fn connect(
        target: &Target,
        patience: Patience,
        limits: Limits,
        interrupt: &Interrupt,
        tell: &Tell,
    ) -> Result<Database, Failure> {
        let marks = Marks::default();
        let mut config = Config::new();
        config.notice_callback(listener(marks.clone(), tell.clone()));
        let Connected { client, name, cancel } = connect::connect(target, &config, patience, interrupt)?;
        Ok(Database { client, name, cancel, limits, interrupt: interrupt.clone(), tell: tell.clone(), marks })
    }

    /// `user@host:port/dbname`
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The limits, as settings of a transaction: for how long anything in it may wait or take.
    pub fn limits(&self) -> String {
        settings(&[
            ("lock_timeout", &milliseconds(self.limits.lock_timeout)),
            ("statement_timeout", &milliseconds(self.limits.statement_timeout)),
        ])
    }

    /// Takes the lock of a run that changes something, and does its work under it, in one
    /// message. While another run holds the lock, this one looks now and then whether it still does.
    pub fn lock(&mut self, history: &History, work: Work) -> Result<Lock<Locked<'_>>, Failure> {
        Ok(match self.under_lock(history, work.message)? {
            Lock::Taken(done) => Lock::Taken(Locked::new(self, done)),
            Lock::Changed(history) => Lock::Changed(history),
        })
    }

    /// The same, but nothing of it stays, nor does the lock.
    pub fn rehearse(&mut self, history: &History, rehearsal: Rehearsal) -> Result<Lock<Done>, Failure> {
        self.under_lock(history, rehearsal.message)
    }

    fn under_lock(&mut self, history: &History, mut message: Message) -> Result<Lock<Done>, Failure> {
        let planned = settings(&[("authmig.planned", &history.to_json())]);
        message.push_front(
            &[LOCK, MAKERS, &self.limits(), &planned, "\n", include_str!("sql/planned.sql")].concat(),
        );
        let start = Instant::now();
        let mut pauses = Pauses::default();
        let mut told = false;
        let mut is_odd = false;
        loop {
            let mut holder = match self.try_lock(&message)? {
                Attempt::Done(answers) => {
                    return Ok(Lock::Taken(Done::new(answers, std::mem::take(&mut *self.marks()), start)));
                }
                Attempt::Stale => None,
                Attempt::Taken(holder) => Some(holder),
            };
            let was_taken = holder.is_some();
            while let Some(other) = holder {
                if start.elapsed() >= self.limits.lock_wait {
                    return Err(Failure::new(
                        Exit::Locked,
                        format!("authmig's lock is held by {other}; nothing was changed"),
                    )
                    .hint(longer(
                        "--lock-wait",
                        self.limits.lock_wait,
                        Duration::from_mins(5),
                    )));
                }
                if !told {
                    (self.tell)(Event::Locked(other));
                    told = true;
                }
                self.interrupt.sleep(pauses.pause())?;
                holder = self.holders(None)?.into_iter().next();
            }
            let fresh = self.history()?;
            if fresh != *history {
                return Ok(Lock::Changed(fresh));
            }
            // Between two looks, other runs can have changed it there and back. Once.
            if !was_taken && std::mem::replace(&mut is_odd, true) {
                return Err(odd_ledger(Failure::new(Exit::Drift, "")));
            }
        }
    }

    fn try_lock(&mut self, message: &Message) -> Result<Attempt, Failure> {
        let failure = match self.send(message) {
            Ok(answers) => return Ok(Attempt::Done(Sections::new(answers))),
            Err(failure) => failure,
        };
        // Of the end of a connection, the server's word says more than what a next question would.
        if failure.exit == Exit::Unreachable || self.client.is_closed() {
            return Err(failure);
        }
        // planned.sql marks that the lock is held; an error with a place is a script's.
        let locked = failure.place.is_some() || !self.marks().is_empty();
        self.rollback()?;
        if failure.sqlstate() == Some("42601") {
            // An old server does not understand the scripts, so lock.sql did not even start.
            self.there()?;
        }
        match failure.sqlstate() {
            Some("AML01") if !locked => {
                let holder = self.holders(None)?.into_iter().next();
                Ok(Attempt::Taken(holder.unwrap_or_else(|| "one that has just ended".to_owned())))
            }
            Some("AMH01") if !locked => Ok(Attempt::Stale),
            _ if !locked && no_ledger(&failure) => Ok(Attempt::Stale),
            Some("AMP01") if failure.place.is_none() => Err(obstacles(failure, &self.name)),
            Some("AMU01") => Err(obstacles(failure, &self.name)),
            Some("AMP02") if failure.place.is_none() => Err(lost_ledger()),
            _ if !locked => Err(words(failure)),
            _ => Err(failure),
        }
    }

    /// Who holds authmig's lock, or the locks that can have been in the way for so long.
    fn holders(&mut self, waited: Option<Duration>) -> Result<Vec<String>, Failure> {
        let waited = waited.map_or_else(|| "null".to_owned(), milliseconds);
        let message = self.question(&include_str!("sql/holders.sql").replace("{waited}", &waited));
        let answer = self.exchange(&message)?;
        Ok(answer.first().into_iter().flatten().map(|row| holder(row)).collect())
    }

    /// Sends one message, and returns the rows of each statement that returns rows, even if none.
    pub fn send(&mut self, message: &Message) -> Result<Vec<Rows>, Failure> {
        self.exchange(message).map_err(|mut failure| {
            if failure.sqlstate() == Some("55P03") && self.rollback().is_ok() {
                // It failed already: what cannot be said is left out.
                let holders = self.holders(Some(self.limits.lock_timeout)).unwrap_or_default();
                failure.findings.extend(holders.into_iter().map(Found::from));
            }
            failure
        })
    }

    fn exchange(&mut self, message: &Message) -> Result<Vec<Rows>, Failure> {
        self.interrupt.check()?;
        self.marks().clear();
        debug!(bytes = message.text().len(), "message to the server");
        let client = &mut self.client;
        let answer = self.interrupt.running(self.cancel.clone(), || client.simple_query(message.text()));
        let changed = self.interrupt.changed();
        let answer = answer.map_err(|error| makers(self.failure(&error, message), changed))?;
        rows(answer).ok_or_else(|| not_utf8(&self.name, changed))
    }

    /// Asks this in a transaction that only reads.
    pub fn ask(&mut self, sql: &str) -> Result<Vec<Rows>, Failure> {
        let question = self.question(sql);
        self.send(&question)
    }

    fn question(&self, sql: &str) -> Message {
        let read_only = settings(&[("transaction_read_only", "on")]);
        Message::new(&[PINNED, &self.limits(), &read_only, sql].concat())
    }

    /// Ends a transaction that has failed.
    pub(crate) fn rollback(&mut self) -> Result<(), Failure> {
        self.client.batch_execute("rollback").map_err(|error| self.failure(&error, &Message::default()))
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Vec<(String, Instant)>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this error is the last thing that the server says.
    fn is_lost(&self, error: &DbError) -> bool {
        let fatal = matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        // A pooler calls an error what is fatal: it has no server.
        fatal || self.client.is_closed() || error.code().code() == "08P01"
    }

    fn failure(&self, error: &postgres::Error, message: &Message) -> Failure {
        if let Err(interrupted) = self.interrupt.check() {
            return interrupted;
        }
        match error.as_db_error().filter(|error| !self.is_lost(error)) {
            Some(error) => self.objection(error, message),
            None => self.lost(error),
        }
    }

    fn lost(&self, error: &postgres::Error) -> Failure {
        let (reason, changed) = (reason(error), self.interrupt.changed().words());
        let message = format!("the connection to {} was lost: {reason}; {changed}", self.name);
        // Behind a pooler, that is how a login is refused, and a database that is not there.
        let code = error.as_db_error().map_or("", |error| error.code().code());
        let heals = !code.starts_with("28") && code != "3D000";
        Failure { heals, ..Failure::new(Exit::Unreachable, message) }
    }

    /// What the server says against a message, and in which script.
    fn objection(&self, error: &DbError, message: &Message) -> Failure {
        let running = self.marks().last().map(|(file, _)| file.clone()).filter(|file| !file.is_empty());
        let place = message.place_of(error, running.as_deref());
        let out_of_time = error.code().code() == "55P03";
        let what = match &place {
            Some(place) => format!("{} failed", place.file.strip_suffix(".up.sql").unwrap_or(&place.file)),
            None if out_of_time => "a lock was not to be had in time".to_owned(),
            None => format!("{} refuses: {}", self.name, error.message()),
        };
        let exit = match place {
            _ if out_of_time => Exit::Locked,
            Some(_) => Exit::ScriptFailed,
            None => Exit::Failure,
        };
        let hint = self.hint(error, place.as_ref());
        let changed = self.interrupt.changed().words();
        let server = Some(server_error(error));
        Failure { place, server, hint, ..Failure::new(exit, format!("{what}; {changed}")) }
    }

    fn hint(&self, error: &DbError, place: Option<&Place>) -> Option<String> {
        let hint = match (error.code().code(), place) {
            ("55P03", _) => {
                let longer = longer("--lock-timeout", self.limits.lock_timeout, Duration::from_secs(30));
                return Some(format!("{longer} for each lock"));
            }
            // No signal came.
            ("57014", _) if !self.limits.statement_timeout.is_zero() => {
                Some("--statement-timeout 0s lets each statement take as long as it needs")
            }
            (_, Some(_)) => None,
            (_, None) => hint(error),
        };
        hint.map(str::to_owned)
    }
}

/// What is done with a notice: some mark how far a message has come, the others are told.
fn listener(marks: Marks, tell: Tell) -> impl Fn(DbError) + Send + Sync {
    let said = Mutex::new(BTreeSet::new());
    let mark = move |script: String| {
        marks.lock().unwrap_or_else(PoisonError::into_inner).push((script, Instant::now()));
    };
    move |notice| match notice.code().code() {
        // The lock is taken, and no script runs yet, or none any more.
        "AMS02" => mark(String::new()),
        "AMS01" => {
            let script = notice.message().to_owned();
            mark(script.clone());
            tell(Event::Script(script));
        }
        // Something exists already, and is skipped; or there is nothing to roll back, since a
        // syntax error keeps a whole message from starting.
        "42P06" | "42P07" | "42710" | "25P01" => {}
        _ => {
            // A rehearsal and the real thing say the same: once is enough.
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.insert(notice.message().to_owned()) {
                let weight = match notice.parsed_severity() {
                    Some(Severity::Warning) => Weight::Warning,
                    _ => Weight::Notice,
                };
                let text = notice.message().to_owned();
                tell(Event::Notice { weight, text, hint: notice.hint().map(str::to_owned) });
            }
        }
    }
}

enum Attempt {
    Done(Sections),
    /// The history that was read before is no longer true.
    Stale,
    /// By whom.
    Taken(String),
}

/// Growing pauses between looks, 20 ms to 1 s.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses(Duration::from_millis(20))
    }
}

impl Pauses {
    /// How long this pause is; the next one is longer.
    pub fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 3 / 2).min(Duration::from_secs(1));
        pause
    }
}

fn milliseconds(duration: Duration) -> String {
    // The server's limit; some 24 days.
    duration.as_millis().min(2_147_483_647).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second() {
        let mut pauses = Pauses::default();
        let first = pauses.pause();
        assert!(pauses.pause() > first);
        for _ in 0..20 {
            pauses.pause();
        }
        assert_eq!(pauses.pause(), Duration::from_secs(1));
    }
}
