//! `history`: every script of this binary is applied, and nothing else is.

use crate::catalog::Catalog;
use crate::history::History;
use crate::message::literal;
use crate::parameters::Values;
use crate::plan::{self, State};
use crate::report::{Check, CheckName, Finding, Severity};

/// Compares the history with the catalog, and looks for the names of the installation. Where
/// nothing is applied, the published SQL can be there, which is `adoptable`.
pub fn run(catalog: &Catalog, history: &History, parameters: &Values, adoptable: bool) -> Check {
    if history.applied.is_empty() {
        let hint = if adoptable {
            "the published SQL is installed here: `authmig migrate --adopt` upgrades it in place"
        } else {
            "`authmig migrate` installs it"
        };
        let finding = Finding::new(Severity::Error, CheckName::History.word(), "nothing is applied");
        return super::check(CheckName::History, vec![Finding { hint: Some(hint.to_owned()), ..finding }]);
    }
    let mut findings: Vec<_> = plan::entries(catalog, history)
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
                State::OutOfOrder => {
                    "put its row back into authmig.schema_history: nothing is applied behind a newer migration"
                }
                _ => "use the authmig that applied it, or restore what was edited",
            };
            Finding { hint: Some(hint.to_owned()), ..Finding::new(Severity::Error, label, message) }
        })
        .collect();
    let is_lost = |name: &str| !history.parameters.contains_key(name);
    findings.extend(parameters.iter().filter(|(name, _)| is_lost(name)).map(|(name, value)| Finding {
        why: Some("what the next migration is told is taken for it".to_owned()),
        mend: Some(format!(
            "insert into authmig.parameter (name, value) values ({}, {}); -- or how it was called",
            literal(name),
            literal(value)
        )),
        ..Finding::new(Severity::Error, "authmig.parameter", format!("has no {name}"))
    }));
    super::check(CheckName::History, findings)
}
