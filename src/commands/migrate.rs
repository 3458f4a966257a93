//! `authmig migrate`: applies what is pending, all or nothing.

use std::time::Instant;

use super::Context;
use crate::cli::MigrateArgs;
use crate::database::{AUTH_SCHEMA, Lock, Stored};
use crate::failure::Failure;
use crate::history::History;
use crate::migration::Migration;
use crate::report::{Exit, MigrateOutcome, MigrateReport, ShownScript, VERSION};
use crate::secret::Secret;

/// Runs the command.
pub fn run(context: &Context<'_>, args: &MigrateArgs) -> Result<MigrateReport, Failure> {
    let wanted = |history: &History| {
        context.parameters(history)?;
        Ok(!context.up(history, args.to)?.steps.is_empty())
    };

    let secret = match &args.jwt_secret_file {
        Some(file) => Some(Secret::read_file(file)?),
        None => Secret::from_variable()?,
    };
    let mut database = context.connect()?;
    let mut report = MigrateReport {
        schema: "authmig.migrate/1",
        database: database.name().to_owned(),
        authmig: VERSION,
        outcome: MigrateOutcome::UpToDate,
        applied: Vec::new(),
        adopted: None,
        secret_stored: false,
        total: 0,
        milliseconds: 0,
        sql: args.show_sql.then(Vec::new),
        exit: Exit::Success,
    };
    let history = database.history()?;
    let mut locked = match database.lock(history, wanted)? {
        Lock::Taken(locked) => locked,
        Lock::NotWanted(history) => {
            report.total = history.applied.len();
            return Ok(report);
        }
    };

    let start = Instant::now();
    let history = locked.history().clone();
    let plan = context.up(&history, args.to)?;
    report.applied = locked.apply(&plan, &context.parameters(&history)?, args.adopt)?;
    if args.adopt {
        report.adopted = locked.adopted()?;
    }
    report.total = plan.remaining.len();
    if let Some(secret) =
        secret.filter(|_| plan.remaining.iter().any(|migration| migration.name == AUTH_SCHEMA))
    {
        report.secret_stored = locked.store_secret(&secret, false)? == Stored::Yes;
    }
    if args.show_sql {
        let shown = |migration: &&Migration| ShownScript {
            file: migration.up.file.clone(),
            sql: migration.up.sql.clone(),
        };
        report.sql = Some(plan.steps.iter().map(shown).collect());
    }
    if args.dry_run {
        locked.rollback()?;
        report.outcome = MigrateOutcome::DryRun;
    } else {
        locked.commit()?;
        report.outcome = MigrateOutcome::Applied;
    }
    report.milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}
