//! What went wrong, to what, and what to do: message, file, line and column, what the server
//! said, hint.

use std::fmt;

use serde::Serialize;

use crate::report::{Check, Exit};

/// An error as the user sees it. It holds no secret: servers are named
/// `user@host:port/dbname`, and no statement is quoted but a line of a script.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The status with which the process ends.
    #[serde(skip)]
    pub exit: Exit,
    /// Whether the same run may succeed later, with nobody doing anything about it.
    #[serde(skip)]
    pub heals: bool,
    /// One sentence: what failed, and in what state that leaves the database.
    pub message: String,
    /// Where in which script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What the server said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerError>,
    /// What it is about, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Found>,
    /// Checks that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One of the things that a failure is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What is there, or not.
    pub message: String,
    /// The statement or the option that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
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
    /// Where in its own source it said so, which is the same in every language.
    #[serde(skip)]
    pub routine: Option<String>,
}

impl Failure {
    /// A failure with nothing but a sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            heals: false,
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

    /// What happened, on one line: without what it has changed, and with what was found.
    pub fn in_short(&self) -> String {
        let message = self.message.trim_end_matches("; nothing was changed");
        let found = self.findings.iter().map(|found| &*found.message);
        [message].into_iter().chain(found).collect::<Vec<_>>().join("; ")
    }

    /// Whether a limit of this run struck, which says nothing about what it looked at.
    pub fn is_limit(&self) -> bool {
        matches!(self.sqlstate(), Some("55P03" | "57014"))
    }

    /// The SQLSTATE, if the server said something.
    pub fn sqlstate(&self) -> Option<&str> {
        Some(&self.server.as_ref()?.sqlstate)
    }
}

impl Found {
    /// With what helps.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Found {
        Found { help: Some(help.into()), ..Found::from(message.into()) }
    }
}

impl From<String> for Found {
    fn from(message: String) -> Found {
        Found { message, help: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
