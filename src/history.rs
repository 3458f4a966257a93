//! What the database says was applied, and with which parameters.

use std::collections::BTreeMap;

use serde_json::json;

use crate::failure::Failure;
use crate::message::column;
use crate::report::Exit;

/// A row of `authmig.schema_history`, as it stands. Nothing about it is to be
/// trusted: anybody who may write there can have written anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The version; any integer, since this is what the table says.
    pub version: i32,
    /// The name.
    pub name: String,
    /// When it was applied: RFC 3339 in UTC, unless somebody edited it.
    pub applied_on: String,
    /// refinery's checksum, a decimal number.
    pub checksum: String,
    /// SHA-256 of the up script in hexadecimal.
    pub sha256: String,
    /// The role that was logged in.
    pub applied_by: String,
    /// The authmig that applied it.
    pub authmig_version: String,
}

/// All rows, oldest version first, and the install parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Whether the ledger is there at all.
    pub ledger: bool,
    /// The rows, by version.
    pub applied: Vec<Applied>,
    /// `authmig.parameter`: name and value.
    pub parameters: BTreeMap<String, String>,
    /// Who owns the ledger, if that is neither who asks nor a superuser: no query is to be
    /// planned on a table of it.
    pub stranger: Option<String>,
}

impl History {
    /// Builds the history from the last two result sets of `read.sql`.
    pub fn from_rows(applied: &[Vec<Option<String>>], parameters: &[Vec<Option<String>>]) -> History {
        let mut applied: Vec<_> = applied
            .iter()
            .map(|row| Applied {
                version: column(row, 0).parse().unwrap_or(0),
                name: column(row, 1),
                applied_on: column(row, 2),
                checksum: column(row, 3),
                sha256: column(row, 4),
                applied_by: column(row, 5),
                authmig_version: column(row, 6),
            })
            .collect();
        // For the server, to plan the sorting of five rows takes as long as to read them.
        applied.sort_by_key(|row| row.version);
        History {
            ledger: true,
            applied,
            parameters: parameters.iter().map(|row| (column(row, 0), column(row, 1))).collect(),
            stranger: None,
        }
    }

    /// Whether this migration is applied.
    pub fn has(&self, name: &str) -> bool {
        self.applied.iter().any(|row| row.name == name)
    }

    /// Refuses to look at more of an installation that belongs to somebody else: what `doing`
    /// is, as in "verify".
    pub fn refuse_stranger(&self, doing: &str) -> Result<(), Failure> {
        let Some(owner) = &self.stranger else { return Ok(()) };
        let message = format!(
            "this installation belongs to {owner}, who could run code as whoever else looks; nothing was looked at"
        );
        Err(Failure::new(Exit::Failure, message).hint(format!("{doing} as {owner}")))
    }

    /// As JSON, in the form in which `sql/planned.sql` builds it.
    pub fn to_json(&self) -> String {
        if !self.ledger {
            return "null".to_owned();
        }
        let applied: Vec<_> = self
            .applied
            .iter()
            .map(|row| {
                let version = row.version.to_string();
                json!([
                    version,
                    row.name,
                    row.applied_on,
                    row.checksum,
                    row.sha256,
                    row.applied_by,
                    row.authmig_version
                ])
            })
            .collect();
        json!({ "applied": applied, "parameters": self.parameters }).to_string()
    }

    /// The row of the newest version.
    pub fn newest(&self) -> Option<&Applied> {
        self.applied.iter().max_by_key(|row| row.version)
    }
}
