//! `scripts`: the verify script of every applied migration finds what it looks for.

use crate::failure::Failure;
use crate::report::{Check, Finding, Severity, Verdict};

pub(super) const NAME: &str = "scripts";
pub(super) const PROVES: &str = "each verify script finds what it looks for";

/// The check, from the scripts that raised; `count` is how many were run.
pub fn run(count: usize, raised: Vec<(String, Failure)>) -> Check {
    let findings: Vec<_> = raised
        .into_iter()
        .map(|(file, failure)| match failure.server {
            Some(server) => Finding {
                hint: server.hint,
                ..Finding::new(Severity::Error, file, format!("{} ({})", server.message, server.sqlstate))
            },
            None => Finding::new(Severity::Error, file, failure.message),
        })
        .collect();
    let mut check = super::check(NAME, PROVES, findings);
    if count == 0 {
        check.verdict = Verdict::Skipped;
    }
    check
}
