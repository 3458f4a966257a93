//! What went wrong, to what, and what to do; and how an error of PostgreSQL becomes
//! that: message, SQLSTATE, file, line and column with a caret, hint.

use std::fmt;

use postgres::error::{DbError, ErrorPosition};
use serde::Serialize;

use crate::report::{Check, Exit};

/// An error as the user sees it. It holds no secret: servers are named
/// `user@host:port/dbname`, and no statement is quoted but a line of a script.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The status with which the process ends.
    #[serde(skip)]
    pub exit: Exit,
    /// One sentence: what failed, and in what state that leaves the database.
    pub message: String,
    /// Where in which script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What the server said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerError>,
    /// Single findings, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Checks that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Where in a script something is. Lines and columns count from 1, columns in
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The script's file name.
    pub file: String,
    /// Line, column and text of the line, if the server told a position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
}

/// A line of a script with a column in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The whole line.
    pub text: String,
}

/// The parts of a PostgreSQL error. Source: PostgreSQL manual, "Error and Notice
/// Message Fields".
#[derive(Clone, Debug, Serialize)]
pub struct ServerError {
    /// The primary message.
    pub message: String,
    /// Five characters.
    pub sqlstate: String,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What the server suggests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The call stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

impl Failure {
    /// A failure with nothing but a sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
            place: None,
            server: None,
            findings: Vec::new(),
            checks: Vec::new(),
            hint: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what the server said.
    #[must_use]
    pub fn server(mut self, error: &DbError) -> Failure {
        self.server = Some(ServerError::new(error));
        self
    }

    /// The SQLSTATE, if the server said something.
    pub fn sqlstate(&self) -> Option<&str> {
        Some(&self.server.as_ref()?.sqlstate)
    }
}

impl ServerError {
    /// The parts of this error.
    pub fn new(error: &DbError) -> ServerError {
        ServerError {
            message: error.message().to_owned(),
            sqlstate: error.code().code().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            context: error.where_().map(str::to_owned),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// SQL on its way to the server: pieces of our own between scripts, in one message.
///
/// The server counts an error's position in characters of the whole message; the
/// message knows which character belongs to which script.
#[derive(Debug, Default)]
pub struct Message {
    text: String,
    scripts: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    file: String,
    start: usize,
    end: usize,
}

impl Message {
    /// A message that starts with this.
    pub fn new(sql: &str) -> Message {
        let mut message = Message::default();
        message.push(sql);
        message
    }

    /// Adds statements of our own.
    pub fn push(&mut self, sql: &str) {
        self.text.push_str(sql);
        self.text.push('\n');
    }

    /// Adds a script, and ends its last statement if it forgot to.
    pub fn push_script(&mut self, file: &str, sql: &str) {
        let start = self.text.len();
        self.text.push_str(sql);
        self.scripts.push(Span { file: file.to_owned(), start, end: self.text.len() });
        self.text.push_str("\n;\n");
    }

    /// Adds statements whose answers [`crate::database::Sections`] finds by this name.
    pub fn push_section(&mut self, name: &str, sql: &str) {
        self.push(&format!("select 'authmig section', '{name}';"));
        self.push(sql);
    }

    /// Adds all of another message.
    pub fn push_message(&mut self, other: &Message) {
        let offset = self.text.len();
        self.text.push_str(&other.text);
        self.scripts.extend(other.scripts.iter().map(|span| Span {
            file: span.file.clone(),
            start: span.start + offset,
            end: span.end + offset,
        }));
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of this character (from 1, as the server counts), if it is in a script.
    pub fn place(&self, position: u32) -> Option<Place> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        let mut offsets = self.text.char_indices().map(|(offset, _)| offset);
        // An error at the end of input points behind the last character.
        let offset = offsets.nth(index).unwrap_or(self.text.len());
        let span = self.scripts.iter().find(|span| span.start <= offset && offset <= span.end + 2)?;
        let sql = &self.text[span.start..span.end];
        let offset = (offset - span.start).min(sql.len());
        Some(Place { file: span.file.clone(), line: Some(line(sql, offset)) })
    }

    /// The place of this error: its position if it has one, else the script that
    /// was running.
    pub fn place_of(&self, error: &DbError, running: Option<&str>) -> Option<Place> {
        if let Some(ErrorPosition::Original(position)) = error.position()
            && let Some(place) = self.place(*position)
        {
            return Some(place);
        }
        Some(Place { file: running?.to_owned(), line: None })
    }
}

/// The line of this byte offset.
fn line(sql: &str, offset: usize) -> Line {
    let before = &sql[..offset];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = sql[offset..].find('\n').map_or(sql.len(), |newline| offset + newline);
    Line {
        number: before.matches('\n').count() + 1,
        column: sql[start..offset].chars().count() + 1,
        text: sql[start..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(message: &Message, needle: &str) -> Option<(String, usize, usize)> {
        let bytes = message.text().find(needle).unwrap();
        let position = message.text()[..bytes].chars().count() + 1;
        let place = message.place(u32::try_from(position).unwrap())?;
        let line = place.line.unwrap();
        Some((place.file, line.number, line.column))
    }

    #[test]
    fn a_position_is_found_behind_multi_byte_text() {
        let mut message = Message::new("select 'ünrelated 日本';");
        message.push_script("01-a.up.sql", "select 'é';\n  sélect here;");
        message.push("select 'between';");
        message.push_script("02-b.up.sql", "-- 日本語\nselect '😀' there");
        assert_eq!(at(&message, "here"), Some(("01-a.up.sql".to_owned(), 2, 10)));
        assert_eq!(at(&message, "there"), Some(("02-b.up.sql".to_owned(), 2, 12)));
        assert_eq!(at(&message, "between"), None);
    }

    #[test]
    fn a_position_behind_the_end_is_the_end_of_the_last_script() {
        let mut message = Message::default();
        message.push_script("01-a.up.sql", "select (");
        let end = u32::try_from(message.text().chars().count()).unwrap();
        for position in [9, end, end + 1] {
            let place = message.place(position).map(|place| (place.file, place.line.unwrap().column));
            assert!(place.is_none() || place == Some(("01-a.up.sql".to_owned(), 9)), "{position}");
        }
        assert!(message.place(9).is_some());
        assert_eq!(message.place(0), None);
    }

    proptest::proptest! {
        #[test]
        fn every_character_of_a_script_has_its_own_place(sql in "(?s).{1,40}", front in ".{0,10}") {
            let mut message = Message::new(&front);
            message.push_script("x", &sql);
            let first = front.chars().count() + 2;
            let mut seen = std::collections::BTreeSet::new();
            for index in 0..sql.chars().count() {
                let place = message.place(u32::try_from(first + index).unwrap()).unwrap();
                let line = place.line.unwrap();
                proptest::prop_assert!(seen.insert((line.number, line.column)));
            }
        }
    }
}
