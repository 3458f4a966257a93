//! `authmig rollback`: reverts migrations, and cannot surprise.
//!
//! It is always rehearsed first: the down scripts run, what is gone is noted, and
//! everything is taken back. What that found is shown, and what would be lost is
//! refused or confirmed. Only then does it happen, under a lock taken anew.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::checks;
use crate::cli::RollbackArgs;
use crate::database::{Database, Lock, Work, changed};
use crate::failure::Failure;
use crate::history::History;
use crate::message::{Rows, Sections, settings};
use crate::migration::{AUTH_SCHEMA, GRANTS, Part};
use crate::parameters::Values;
use crate::plan::{Plan, Until};
use crate::report::{Dropped, Exit, RollbackOutcome, RollbackReport, Step, VERSION};

/// Runs the command.
pub fn run(context: &Context<'_>, args: &RollbackArgs) -> Result<RollbackReport, Failure> {
    let until = match (args.all, args.to) {
        (true, _) => Until::Empty,
        (false, Some(version)) => Until::Version(version),
        (false, None) => Until::OneBack,
    };
    let questions = checks::questions_of_fact();
    let (mut database, mut history, mut answers) = context.open(&questions)?;
    database.check_without_history(&mut history, &mut answers, &questions)?;
    let mut report = RollbackReport {
        database: database.name().to_owned(),
        authmig: VERSION,
        outcome: RollbackOutcome::NothingToDo,
        reverted: Vec::new(),
        drops: Vec::new(),
        live_sessions: Some(0),
        refused_until: None,
        losses: Vec::new(),
        purge: args.purge,
        total: 0,
        asked: false,
        refusal: None,
        exit: Exit::Success,
    };

    let rehearsed = loop {
        let parameters = context.parameters(&history)?;
        let plan = context.down(&database, &history, until)?;
        report.total = history.applied.len();
        if plan.steps.is_empty() && !(args.purge && history.ledger) {
            return Ok(report);
        }
        let foreign = checks::foreign_code_in(context.catalog, &history, &mut answers)?;
        // The verify scripts of what stays run its functions.
        if foreign.runs && plan.remaining.iter().any(|migration| migration.name == AUTH_SCHEMA) {
            return Err(database.unless_changed(&history, checks::foreign_code()));
        }
        match rehearse(args, (plan, parameters), !foreign.runs_on_read, &mut database, history)? {
            Lock::Taken(rehearsed) => break rehearsed,
            Lock::Changed(_) => (history, answers) = database.history_and(&questions)?,
        }
    };
    report.reverted.clone_from(&rehearsed.steps);
    report.refused_until = rehearsed.refused_until();
    judge(&mut database, &rehearsed, &mut report)?;
    if args.dry_run && rehearsed.left.is_none() {
        report.outcome = RollbackOutcome::DryRun;
        return Ok(report);
    }
    // What would be left is no question of options.
    if let Some(refusal) = rehearsed.left.clone().or_else(|| refusal(context, args, &mut report)) {
        return Ok(refused(report, refusal));
    }
    revert(args, &mut database, &rehearsed, report)
}

/// What a rehearsal has found.
struct Rehearsed<'a> {
    /// What it began with: only that is reverted.
    history: History,
    plan: Plan<'a>,
    parameters: Values,
    steps: Vec<Step>,
    gone: Vec<Object>,
    /// Why the ledger cannot go, if it is to.
    left: Option<String>,
    /// Whether rows can be counted: that runs what somebody put on the tables.
    is_countable: bool,
}

impl Rehearsed<'_> {
    /// Asks how many rows each of these tables holds and, if they end, how many sessions live;
    /// nothing where there is nothing to count.
    fn counting(&self, tables: &[String]) -> String {
        let ends = self.ends_sessions();
        if !self.is_countable || tables.is_empty() && !ends {
            return String::new();
        }
        let names = serde_json::Value::from(tables).to_string();
        settings(&[("authmig.tables", &names), ("authmig.ends", if ends { "on" } else { "off" })])
            + include_str!("../sql/count_rows.sql")
    }

    /// Whether sessions end: with the functions, even if something else keeps the table.
    fn ends_sessions(&self) -> bool {
        self.plan.steps.iter().any(|migration| migration.name == AUTH_SCHEMA)
    }

    /// The migration without which nobody logs in, if it goes alone.
    fn refused_until(&self) -> Option<String> {
        let grants = self.plan.steps.iter().find(|migration| migration.name == GRANTS)?;
        let stays = self.plan.remaining.iter().any(|migration| migration.name == AUTH_SCHEMA);
        stays.then(|| grants.to_string())
    }
}

/// Tries it and takes it back.
fn rehearse<'a>(
    args: &RollbackArgs,
    (plan, parameters): (Plan<'a>, Values),
    is_countable: bool,
    database: &mut Database,
    history: History,
) -> Result<Lock<Rehearsed<'a>>, Failure> {
    let rehearsal = Work::rehearse(&plan, &parameters, args.purge, include_str!("../sql/inventory.sql"));
    let done = match database.rehearse(&history, rehearsal)? {
        Lock::Taken(done) => done,
        Lock::Changed(history) => return Ok(Lock::Changed(history)),
    };
    let found = |section: &str| done.answers.get(section).iter().flat_map(pairs).collect::<BTreeSet<_>>();
    // What others drop meanwhile is gone as well, and does not come back.
    let (before, after, again) = (found("before"), found("after"), found("again"));
    let gone = before.difference(&after).filter(|object| again.contains(*object)).cloned().collect();
    let steps = done.steps(&plan.steps, Part::Down);
    let left = left_behind(&done.answers);
    Ok(Lock::Taken(Rehearsed { history, plan, parameters, steps, gone, left, is_countable }))
}

/// Does what was shown: if it is not the same any more, nothing.
fn revert(
    args: &RollbackArgs,
    database: &mut Database,
    rehearsed: &Rehearsed<'_>,
    mut report: RollbackReport,
) -> Result<RollbackReport, Failure> {
    let Rehearsed { plan, parameters, .. } = rehearsed;
    let tables = report.drops.iter().filter(|dropped| dropped.rows.is_some());
    let tables: Vec<_> = tables.map(|dropped| dropped.name.clone()).collect();
    let counting = rehearsed.counting(&tables);
    let work = Work::revert(plan, parameters, args.purge, &counting);
    let Lock::Taken(locked) = database.lock(&rehearsed.history, work)? else {
        return Err(changed());
    };
    // While a person thought, others made something that needs it.
    if let Some(left) = left_behind(&locked.done.answers) {
        return Ok(refused(report, left));
    }
    // And others logged in.
    if let Some((rows, live)) = counted(locked.done.answers.get("counted")) {
        report.live_sessions = Some(live);
        for dropped in &mut report.drops {
            dropped.rows = rows.get(&dropped.name).copied().or(dropped.rows);
        }
    }
    report.reverted = locked.done.steps(&plan.steps, Part::Down);
    locked.commit()?;
    report.total = plan.remaining.len();
    report.outcome = RollbackOutcome::Reverted;
    Ok(report)
}

/// Nothing is done, and this is why.
fn refused(mut report: RollbackReport, refusal: String) -> RollbackReport {
    report.outcome = RollbackOutcome::Refused;
    report.refusal = Some(refusal);
    report.exit = Exit::Refused;
    report
}

/// Why the ledger cannot go, if it is to; see `left.sql`.
fn left_behind(answers: &Sections) -> Option<String> {
    answers.get("left").first()?.first()?.first()?.clone()
}

/// Kind and name.
type Object = (String, String);

fn pairs(rows: &Rows) -> impl Iterator<Item = (String, String)> {
    rows.iter().filter_map(|row| {
        let mut columns = row.iter().flatten().cloned();
        Some((columns.next()?, columns.next()?))
    })
}

/// How many rows each table holds, and how many sessions live, if that was asked; see
/// `count_rows.sql`.
fn counted(results: &[Rows]) -> Option<(BTreeMap<String, u64>, u64)> {
    let [rows, live] = results else { return None };
    let rows = pairs(rows).filter_map(|(table, rows)| Some((table, rows.parse().ok()?))).collect();
    let live = live.first().and_then(|row| row.first()?.as_ref()?.parse().ok());
    Some((rows, live.unwrap_or_default()))
}

/// Counts the rows that would be lost, and says what `--discard-data` is needed for.
fn judge(
    database: &mut Database,
    rehearsed: &Rehearsed<'_>,
    report: &mut RollbackReport,
) -> Result<(), Failure> {
    let gone = &rehearsed.gone;
    let tables: Vec<String> = of_kind(gone, "table");
    let question = rehearsed.counting(&tables);
    if !rehearsed.is_countable {
        report.losses.push(
            "rows and sessions were not counted: something here was not installed by authmig, and would run"
                .to_owned(),
        );
    }
    let results = if question.is_empty() { Vec::new() } else { database.ask(&question)? };
    let (counts, live) = counted(&results).unwrap_or_default();
    report.live_sessions = rehearsed.is_countable.then_some(live);
    for (kind, name) in gone {
        if kind == "column" && tables.iter().any(|table| name.starts_with(&format!("{table}."))) {
            continue;
        }
        let rows = counts.get(name).copied().filter(|_| kind == "table");
        match (&**kind, rows) {
            ("table", Some(rows)) if rows > 0 => {
                let s = if rows == 1 { "" } else { "s" };
                report.losses.push(format!("table {name} holds {rows} row{s}"));
            }
            ("column", _) => report.losses.push(format!("column {name} would lose what is in it")),
            ("schema", _) if name == "auth" => report.losses.push(
                "schema auth goes: while PostgREST has it in db-schemas, it answers every request with 503"
                    .to_owned(),
            ),
            _ => {}
        }
        report.drops.push(Dropped { kind: kind.clone(), name: name.clone(), rows });
    }
    Ok(())
}

fn of_kind(objects: &[Object], kind: &str) -> Vec<String> {
    objects.iter().filter(|object| object.0 == kind).map(|object| object.1.clone()).collect()
}

/// Why it does not go on: data would be lost, nobody can be asked, or the answer was no.
fn refusal(context: &Context<'_>, args: &RollbackArgs, report: &mut RollbackReport) -> Option<String> {
    if !report.losses.is_empty() && !args.discard_data {
        return Some("data would be lost; --discard-data goes on all the same".to_owned());
    }
    if args.yes {
        return None;
    }
    let answer = context.interrupt.blocked(|| (context.ask)(report));
    report.asked = answer.is_some();
    match answer {
        Some(true) => None,
        Some(false) => Some("the answer was no".to_owned()),
        None => Some("there is no terminal to ask on; --yes goes on without asking".to_owned()),
    }
}
