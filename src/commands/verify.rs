//! `authmig verify`: proves that the installation is whole.

use super::Context;
use crate::checks;
use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::report::{Exit, VERSION, Verdict, VerifyReport};

/// Runs the command.
pub fn run(context: &Context<'_>, _args: &VerifyArgs) -> Result<VerifyReport, Failure> {
    let mut database = context.connect()?;
    let history = database.history()?;
    if !history.ledger {
        database.check_version()?;
    }
    let parameters = context.parameters(&history)?;
    let checks = vec![
        checks::history::run(context.catalog, &history),
        checks::scripts::run(&mut database, context.catalog, &history, &parameters)?,
    ];
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    Ok(VerifyReport {
        schema: "authmig.verify/1",
        database: database.name().to_owned(),
        authmig: VERSION,
        checks,
        exit: if failed { Exit::Drift } else { Exit::Success },
    })
}
