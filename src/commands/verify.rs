//! `authmig verify`: proves that the installation is whole.

use super::Context;
use crate::checks;
use crate::cli::VerifyArgs;
use crate::database::Database;
use crate::failure::Failure;
use crate::history::History;
use crate::message::Sections;
use crate::plan::{self, State};
use crate::report::{Check, CheckName, Exit, Finding, Severity, VERSION, Verdict, VerifyReport};

/// Runs the command.
pub fn run(context: &Context<'_>, args: &VerifyArgs) -> Result<VerifyReport, Failure> {
    let (mut database, history, answers) = context.open(&checks::questions_of_fact())?;
    verify(context, args, &mut database, history, answers)
}

/// Does it on this connection, with what is there.
pub(super) fn verify(
    context: &Context<'_>,
    args: &VerifyArgs,
    database: &mut Database,
    mut history: History,
    mut answers: Sections,
) -> Result<VerifyReport, Failure> {
    let questions = checks::questions_of_fact();
    loop {
        let adoptable = database.check_without_history(&mut history, &mut answers, &questions)?;
        let result = look(context, args, database, &history, adoptable, answers);
        if result.as_ref().is_ok_and(|report| report.exit == Exit::Success) {
            return result;
        }
        // It was found in the middle of another run if that has ended since.
        match database.history_and(&questions) {
            Ok((fresh, again)) if fresh != history => (history, answers) = (fresh, again),
            _ => return result,
        }
    }
}

fn look(
    context: &Context<'_>,
    args: &VerifyArgs,
    database: &mut Database,
    history: &History,
    adoptable: bool,
    answers: Sections,
) -> Result<VerifyReport, Failure> {
    history.refuse_stranger("verify")?;
    let is_newer = plan::entries(context.catalog, history).iter().any(|entry| entry.state == State::Newer);
    let parameters = context.parameters(history)?;
    let mut checks =
        checks::run(database, context.catalog, history, &parameters, adoptable, answers, |name| {
            args.takes(name)
        })?;
    checks.retain(|check| args.takes(check.name));
    for check in checks.iter_mut().filter(|check| {
        // Whoever names a check wants it made.
        check.verdict == Verdict::Skipped && args.only.contains(&check.name)
    }) {
        if check.findings.is_empty() {
            check.findings.push(Finding::new(
                Severity::Error,
                check.name.word(),
                "there is nothing that it could look at",
            ));
        }
        fail(check);
    }
    if checks.iter().all(|check| check.verdict == Verdict::Skipped) {
        let message = format!("nothing of {} could be checked, so nothing is proven", database.name());
        let exit = if is_newer { Exit::Newer } else { Exit::Drift };
        return Err(Failure::new(exit, message).hint("`authmig status` tells what is applied"));
    }
    if args.strict {
        for check in checks.iter_mut().filter(|check| !check.findings.is_empty()) {
            fail(check);
        }
    }
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    Ok(VerifyReport {
        database: database.name().to_owned(),
        authmig: VERSION,
        complete: checks.len() == CheckName::ALL.len(),
        checks,
        exit: match failed {
            false => Exit::Success,
            true if is_newer => Exit::Newer,
            true => Exit::Drift,
        },
    })
}

/// What would be advice counts, too.
fn fail(check: &mut Check) {
    check.verdict = Verdict::Failed;
    for finding in &mut check.findings {
        finding.severity = Severity::Error;
    }
}
