//! `scripts`: the verify script of every applied migration finds what it looks for.

use crate::failure::Failure;
use crate::report::{Check, Finding, Severity, Verdict};

pub(super) const NAME: &str = "scripts";

/// The check, from the scripts that raised; `count` is how many were run.
pub fn run(count: usize, raised: Vec<(String, Failure)>) -> Check {
    let findings: Vec<_> = raised
        .into_iter()
        .map(|(file, failure)| match failure.server {
            Some(server) => {
                let (mend, hint) = server.hint.map_or((None, None), statement);
                let why = mend.is_some().then(|| "requests that need it fail".to_owned());
                let message = format!("{} ({})", server.message, server.sqlstate);
                Finding { why, mend, hint, ..Finding::new(Severity::Error, file, message) }
            }
            None => Finding::new(Severity::Error, file, failure.message),
        })
        .collect();
    let mut check = super::check(NAME, findings);
    if count == 0 {
        check.verdict = Verdict::Skipped;
    }
    check
}

/// The statement in a script's hint, and what else it says. One that `objects` or `grants` prints as
/// well stays a hint: nothing is to be run twice.
fn statement(hint: String) -> (Option<String>, Option<String>) {
    let alone = ["create schema ", "insert ", "update "].iter().any(|start| hint.starts_with(start));
    match hint.rfind(';').filter(|_| alone) {
        Some(end) => {
            let rest = hint[end + 1..].trim();
            (Some(hint[..=end].to_owned()), (!rest.is_empty()).then(|| rest.to_owned()))
        }
        None => (None, Some(hint)),
    }
}
