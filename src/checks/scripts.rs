//! `scripts`: the verify script of every applied migration finds what it looks for.

use crate::database::Database;
use crate::failure::Failure;
use crate::message::{mark, settings};
use crate::migration::Script;
use crate::parameters::Values;
use crate::report::{Check, CheckName, Exit, Finding, Severity, Verdict};

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
    let mut check = super::check(CheckName::Scripts, findings);
    if count == 0 {
        check.verdict = Verdict::Skipped;
    }
    check
}

/// Runs scripts that only read, each of them, in as few messages as they allow; the failure of each
/// that raised.
pub fn raised(
    database: &mut Database,
    scripts: &[&Script],
    parameters: &Values,
) -> Result<Vec<(String, Failure)>, Failure> {
    let mut failures = Vec::new();
    let mut left = scripts;
    while !left.is_empty() {
        // In no transaction of its own, so that there is none to take back.
        let only_read = settings(&[("transaction_read_only", "on")]);
        let mut message = super::begin(&only_read, database, parameters);
        for script in left {
            message.push(&mark(&script.file, None));
            message.push_script(&script.file, &script.sql);
        }
        let Err(failure) = database.send(&message) else { break };
        // The script that raised ended the message; go on behind it.
        let is_its = |script: &&Script| failure.place.as_ref().is_some_and(|place| script.file == place.file);
        let Some(index) = left.iter().position(is_its).filter(|_| failure.exit == Exit::ScriptFailed) else {
            return Err(failure);
        };
        failures.push((left[index].file.clone(), failure));
        left = &left[index + 1..];
    }
    Ok(failures)
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
