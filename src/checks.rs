//! What `verify` looks at, one file a check.

pub mod history;
pub mod scripts;

use crate::report::{Check, Finding, Verdict};

/// A check that was made, with what it found.
fn check(name: &'static str, proves: &'static str, findings: Vec<Finding>) -> Check {
    Check {
        name,
        proves,
        verdict: if findings.is_empty() { Verdict::Passed } else { Verdict::Failed },
        findings,
    }
}
