//! `authmig migrate`: applies what is pending, all or nothing.

use super::{Context, secret};
use crate::checks::{self, Scope};
use crate::cli::MigrateArgs;
use crate::database::{Database, Lock, Locked, Work};
use crate::failure::Failure;
use crate::history::History;
use crate::message::{Message, Sections};
use crate::migration::{AUTH_SCHEMA, Part};
use crate::plan::Plan;
use crate::report::{Check, Event, Exit, MigrateOutcome, MigrateReport, ShownScript, VERSION, Verdict};
use crate::secret::Secret;

/// Runs the command.
pub fn run(context: &Context<'_>, args: &MigrateArgs) -> Result<MigrateReport, Failure> {
    // Read before connecting: what is no secret needs no database to be refused.
    let given = given(args)?;
    Ok(migrate(context, args, given)?.1)
}

/// The secret of the file, or of the variable.
pub(super) fn given(args: &MigrateArgs) -> Result<Option<Secret>, Failure> {
    Secret::given(args.jwt_secret_file.as_deref(), "--jwt-secret-file")
}

/// Connects and does it.
pub(super) fn migrate(
    context: &Context<'_>,
    args: &MigrateArgs,
    given: Option<Secret>,
) -> Result<(Database, MigrateReport), Failure> {
    let questions = if given.is_some() { checks::questions_of_fact() } else { Message::default() };
    let (mut database, history, answers) = context.open(&questions)?;
    let report = apply(context, args, given, &mut database, history, answers)?;
    Ok((database, report))
}

/// Does it on this connection, with what is there, which was asked for where a secret was given.
fn apply(
    context: &Context<'_>,
    args: &MigrateArgs,
    given: Option<Secret>,
    database: &mut Database,
    mut history: History,
    answers: Sections,
) -> Result<MigrateReport, Failure> {
    let mut report = MigrateReport {
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
    let mut answers = given.is_some().then_some(answers);
    loop {
        let parameters = context.parameters(&history)?;
        let plan = context.up(database, &history, args.to)?;
        if history.has(AUTH_SCHEMA) && (given.is_some() || !plan.steps.is_empty()) {
            // What comes runs functions that are there already.
            let Some(mut answers) = answers.take() else {
                let (now, found) = database.history_and(&checks::questions_of_fact())?;
                (history, answers) = (now, Some(found));
                continue;
            };
            let sound = if plan.steps.is_empty() {
                checks::refuse_foreign_code(context.catalog, &history, &mut answers)
            } else {
                checks::refuse_drift(context.catalog, &history, &mut answers)
            };
            sound.map_err(|failure| database.unless_changed(&history, failure))?;
        }
        history = if plan.steps.is_empty() {
            report.total = history.applied.len();
            let Some(given) = &given else { return Ok(report) };
            match secret::keep(context, database, &history, given, args.dry_run)? {
                Lock::Taken(stored) => {
                    report.secret_stored = stored;
                    if stored && args.dry_run {
                        report.outcome = MigrateOutcome::DryRun;
                    }
                    return Ok(report);
                }
                Lock::Changed(changed) => changed,
            }
        } else {
            let scope = Scope::new(context.catalog, &plan.remaining);
            let work = Work::apply(&history, &plan, &parameters, args.adopt, &scope.questions())?;
            let scripts = args.show_sql.then(|| work.applying());
            match database.lock(&history, work)? {
                Lock::Taken(locked) => {
                    return finish(context, args, given, locked, (plan, scope, scripts), report);
                }
                Lock::Changed(changed) => changed,
            }
        };
        answers = None;
    }
}

/// What was planned, what proves it, and the scripts, if they are to be shown.
type Planned<'a> = (Plan<'a>, Scope<'a>, Option<Vec<ShownScript>>);

/// Judges what was done under the lock, and makes it permanent.
fn finish(
    context: &Context<'_>,
    args: &MigrateArgs,
    given: Option<Secret>,
    mut locked: Locked<'_>,
    (plan, scope, scripts): Planned<'_>,
    mut report: MigrateReport,
) -> Result<MigrateReport, Failure> {
    report.applied = locked.done.steps(&plan.steps, Part::Up);
    let (checks, foreign_code) = scope.answered(&mut locked.done.answers, true)?;
    let mut notices: Vec<_> = checks.iter().flat_map(left_to_do).collect();
    refuse_unsound(checks)?;
    if args.adopt {
        report.adopted = locked.adopted()?;
    }
    report.total = plan.remaining.len();
    match given {
        // As `secret set` would refuse.
        Some(_) if foreign_code.runs => notices.push(
            "the JWT secret that was given was not stored: somebody could read it; `authmig verify` says who"
                .to_owned(),
        ),
        Some(given) => {
            let is_kept = plan.remaining.iter().any(|migration| migration.name == AUTH_SCHEMA);
            let stored = if is_kept { Some(locked.store_secret(&given, false)?) } else { None };
            report.secret_stored = secret::outcome(context, stored);
        }
        None => {}
    }
    report.sql = scripts;
    let since = locked.done.since;
    if args.dry_run {
        locked.rollback()?;
        report.outcome = MigrateOutcome::DryRun;
    } else {
        locked.commit()?;
        report.outcome = MigrateOutcome::Applied;
    }
    for notice in notices {
        (context.tell)(Event::notice(notice));
    }
    report.milliseconds = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// What stands in nobody's way, and is left to do: what was not tried, and what can be mended only now.
fn left_to_do(check: &Check) -> impl Iterator<Item = String> {
    check.findings.iter().filter_map(move |finding| {
        let help = finding.mend.as_deref().or(finding.hint.as_deref());
        match help {
            _ if check.verdict == Verdict::Skipped => Some(finding.sentence()),
            Some(help) if finding.told_after_commit => Some(format!("{}: {help}", finding.sentence())),
            _ => None,
        }
    })
}

/// What does not pass verification is not committed.
fn refuse_unsound(checks: Vec<Check>) -> Result<(), Failure> {
    let failed: Vec<_> = checks.into_iter().filter(|check| check.verdict == Verdict::Failed).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let message = "what was applied does not pass verification; nothing was changed";
    Err(Failure { checks: failed, ..Failure::new(Exit::ScriptFailed, message) })
}
