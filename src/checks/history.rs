//! `history`: every script of this binary is applied, and nothing else is.

use crate::catalog::Catalog;
use crate::history::History;
use crate::plan::{self, State};
use crate::report::{Check, Finding, Severity};

/// Compares the history with the catalog.
pub fn run(catalog: &Catalog, history: &History) -> Check {
    let findings = plan::entries(catalog, history)
        .iter()
        .filter(|entry| entry.state != State::Applied)
        .map(|entry| {
            // The finding is headed by the label.
            let label = entry.label();
            let drift = entry.drift().unwrap_or_else(|| "is not applied".to_owned());
            let message = drift.strip_prefix(&format!("{label} ")).unwrap_or(&drift);
            let hint = match entry.state {
                State::Pending => "run `authmig migrate`",
                State::Newer => "use an authmig at least as new as the one that migrated",
                _ => "use the authmig that applied it, or restore what was edited",
            };
            Finding { hint: Some(hint.to_owned()), ..Finding::new(Severity::Error, label, message) }
        })
        .collect();
    super::check("history", "every script of this binary is applied, and no other", findings)
}
