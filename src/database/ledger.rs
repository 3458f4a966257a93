//! The ledger, as it is found: read in one message, whoever it belongs to, or told to be lost.

use std::io::{self, Read as _};

use super::Database;
use super::errors::{
    changed, check_version, is_odd_ledger, lost_ledger, no_history, no_ledger, not_utf8, odd_ledger,
};
use crate::failure::Failure;
use crate::history::History;
use crate::message::{Message, Sections, copied_rows};
use crate::report::Exit;

/// What `without_history.sql` finds.
pub(super) struct There {
    /// A schema for the ledger.
    ledger: bool,
    /// What authmig installs.
    installed: bool,
    /// What was published before authmig.
    published: bool,
}

impl Database {
    /// Reads the history, in one round trip. A database without ledger has none.
    pub fn history(&mut self) -> Result<History, Failure> {
        Ok(self.history_and(&Message::default())?.0)
    }

    /// The history, and what the server answers to these questions in the same message. It
    /// answers none where there is no ledger.
    pub fn history_and(&mut self, questions: &Message) -> Result<(History, Sections), Failure> {
        let mut more = self.limits();
        if !questions.text().is_empty() {
            more.push_str(include_str!("../sql/tables_of_strangers.sql"));
        }
        let mut message = Message::new(&include_str!("../sql/read.sql").replace("{more}", &more));
        message.push_message(questions);
        let mut tries = 0..3;
        let answer = loop {
            match self.send(&message) {
                // The server's functions do not see what another run has just dropped, though the
                // catalog still shows it.
                Err(failure) if failure.sqlstate() == Some("XX000") && tries.next().is_some() => {}
                answer => break answer,
            }
        };
        match answer {
            Ok(mut answer) => {
                check_version(answer.first())?;
                // Version, owner, and strangers if they were asked for.
                let first = if questions.text().is_empty() { 2 } else { 3 };
                let rows = |index: usize| answer.get(index).map_or(&[][..], Vec::as_slice);
                let history = History::from_rows(rows(first), rows(first + 1));
                Ok((history, Sections::new(answer.split_off(answer.len().min(first + 2)))))
            }
            // It belongs to a stranger.
            Err(failure) if failure.sqlstate() == Some("22P02") => {
                Ok((self.history_of_stranger()?, Sections::default()))
            }
            Err(failure) if no_ledger(&failure) || failure.sqlstate() == Some("22003") => {
                Ok((History::default(), Sections::default()))
            }
            // 0A000: what is no table has no samples.
            Err(failure) if is_odd_ledger(&failure) || failure.sqlstate() == Some("0A000") => {
                Err(odd_ledger(failure))
            }
            Err(failure) => Err(failure),
        }
    }

    /// The history in a ledger of somebody who could have had code run by whoever plans a query
    /// on it: COPY plans none. It costs some round trips more.
    fn history_of_stranger(&mut self) -> Result<History, Failure> {
        let opening = format!(
            "begin isolation level repeatable read, read only; set local row_security = off;\n{}",
            self.limits()
        );
        self.send(&Message::new(&opening))?;
        let tables = [
            "schema_history (version, name, applied_on, checksum, sha256, applied_by, authmig_version)",
            "parameter (name, value)",
        ];
        let copied = tables.map(|table| self.copy_out(&format!("copy authmig.{table} to stdout")));
        let owner = self.send(&Message::new(concat!("rollback;", include_str!("../sql/stranger.sql"))))?;
        let [applied, parameters] = copied;
        if applied.as_ref().is_err_and(no_ledger) {
            return Ok(History::default());
        }
        let read = |copied: Result<String, Failure>| match copied {
            Ok(text) => Ok(copied_rows(&text)),
            Err(failure) if is_odd_ledger(&failure) => Err(odd_ledger(failure)),
            Err(failure) => Err(failure),
        };
        let stranger = owner.first().and_then(|rows| rows.first()?.first()?.clone()).unwrap_or_default();
        Ok(History { stranger: Some(stranger), ..History::from_rows(&read(applied)?, &read(parameters)?) })
    }

    /// What a `copy … to stdout` gives.
    fn copy_out(&mut self, sql: &str) -> Result<String, Failure> {
        let client = &mut self.client;
        let copied = self.interrupt.running(self.cancel.clone(), || {
            let mut text = Vec::new();
            client.copy_out(sql).map_err(io::Error::other)?.read_to_end(&mut text)?;
            Ok(text)
        });
        let text = copied.map_err(|error: io::Error| match error.downcast::<postgres::Error>() {
            Ok(error) => self.failure(&error, &Message::default()),
            Err(error) => Failure::new(Exit::Failure, format!("the ledger cannot be read: {error}")),
        })?;
        String::from_utf8(text).map_err(|_| not_utf8(&self.name, self.interrupt.changed()))
    }

    /// Where nothing is applied, refuses a server that is too old, and an installation whose
    /// history or ledger is lost. Who finds a history has this checked on the way. Whether the
    /// published SQL is installed instead.
    ///
    /// If another run has ended between two looks, what is there now takes the place of history
    /// and `answers`, which are those to `questions`.
    pub fn check_without_history(
        &mut self,
        history: &mut History,
        answers: &mut Sections,
        questions: &Message,
    ) -> Result<bool, Failure> {
        while history.applied.is_empty() && history.stranger.is_none() {
            let there = self.there()?;
            let lost = if there.ledger && !history.ledger {
                no_history()
            } else if there.installed && !(there.ledger && self.was_reverted()?) {
                lost_ledger()
            } else {
                // What a rollback had to leave is no installation.
                return Ok(there.published);
            };
            let (fresh, again) = self.history_and(questions)?;
            if fresh == *history {
                return Err(lost);
            }
            (*history, *answers) = (fresh, again);
        }
        Ok(false)
    }

    /// What speaks against going on, unless the history is another one by now: then it was found
    /// in the middle of another run.
    pub fn unless_changed(&mut self, history: &History, failure: Failure) -> Failure {
        match self.history() {
            Ok(fresh) if fresh != *history => changed(),
            _ => failure,
        }
    }

    /// What there is where no history was found, on a server that is not too old.
    pub(super) fn there(&mut self) -> Result<There, Failure> {
        let answer = self.send(&Message::new(include_str!("../sql/without_history.sql")))?;
        check_version(answer.first())?;
        let is =
            |index: usize| answer.first().and_then(|rows| rows.first()?.get(index)?.as_deref()) == Some("t");
        Ok(There { ledger: is(1), installed: is(2), published: is(3) })
    }

    fn was_reverted(&mut self) -> Result<bool, Failure> {
        let question = Message::new(concat!("select ", include_str!("../sql/was_reverted.sql"), ";"));
        match self.send(&question) {
            Ok(answer) => Ok(answer.first().and_then(|rows| rows.first()?.first()?.as_deref()) == Some("t")),
            Err(failure) if failure.sqlstate() == Some("42P01") => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}
