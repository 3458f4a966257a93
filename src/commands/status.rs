//! `authmig status`: what is applied, what is pending, what does not fit.

use super::{Context, Waiting};
use crate::cli::StatusArgs;
use crate::failure::Failure;
use crate::message::Message;
use crate::plan::{self, Entry, State};
use crate::report::{Exit, MigrationStatus, StatusReport, VERSION};

/// Runs the command.
pub fn run(context: &Context<'_>, args: &StatusArgs) -> Result<StatusReport, Failure> {
    let mut waiting = Waiting::new(context);
    loop {
        let result = look(context, args);
        let (again, why) = match &result {
            Ok(report) => (
                report.pending > 0 && report.drift.is_empty(),
                format!("{} of {} migrations are pending", report.pending, report.migrations.len()),
            ),
            // Who may not read the ledger waits for the grants that can only be made after the first
            // migration; a server can go between two questions.
            Err(failure) => (failure.heals || failure.sqlstate() == Some("42501"), failure.in_short()),
        };
        if !again || !waiting.goes_on(why)? {
            return result;
        }
    }
}

fn look(context: &Context<'_>, args: &StatusArgs) -> Result<StatusReport, Failure> {
    let nothing = Message::default();
    let (mut database, mut history, mut answers) = context.try_open(&nothing)?;
    let adoptable = database.check_without_history(&mut history, &mut answers, &nothing)?;
    // Another name than that of the database is a mistake here, too.
    context.parameters(&history)?;
    let entries = plan::entries(context.catalog, &history);
    let count = |state: State| entries.iter().filter(|entry| entry.state == state).count();
    let drift: Vec<_> = entries.iter().filter_map(Entry::drift).collect();
    let pending = count(State::Pending);
    let exit = if !args.check && context.patience.until.is_none() {
        Exit::Success
    } else if count(State::Newer) > 0 {
        Exit::Newer
    } else if !drift.is_empty() {
        Exit::Drift
    } else if pending > 0 {
        Exit::Pending
    } else {
        Exit::Success
    };
    Ok(StatusReport {
        database: database.name().to_owned(),
        authmig: VERSION,
        up_to_date: pending == 0 && drift.is_empty(),
        pending,
        adoptable,
        migrations: entries.iter().map(line).collect(),
        drift,
        exit,
    })
}

/// A line of `status`.
fn line(entry: &Entry<'_>) -> MigrationStatus {
    MigrationStatus {
        version: entry.number,
        name: entry.name().to_owned(),
        state: entry.state.word(),
        applied_on: entry.applied.map(|row| row.applied_on.clone()),
        applied_by: entry.applied.map(|row| row.applied_by.clone()),
        authmig_version: entry.applied.map(|row| row.authmig_version.clone()),
    }
}
