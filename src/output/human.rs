//! Text for people: aligned, quiet, readable without colour.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::text::{below, counted, guarded, harmless, moment, one_line, padded, table};
use crate::report::{
    ExportReport, Finding, GrantsReport, MigrateOutcome, MigrateReport, ObjectRights, Report,
    RollbackOutcome, RollbackReport, SecretOutcome, SecretReport, Severity, StatusReport, Step, Verdict,
    VerifyReport,
};

pub(super) fn report(report: &Report) -> String {
    let text = match report {
        Report::Migrate(report) => migrate(report),
        Report::Status(report) => status(report),
        Report::Rollback(report) => rollback(report),
        Report::Verify(report) => verify(report),
        Report::Secret(report) => secret(report),
        Report::Grants(report) => grants(report),
        Report::Install(report) => format!("{}{}", migrate(&report.migrate), found(&report.verify)),
        Report::Export(report) => export(report),
        Report::Text(text) => return text.clone(),
    };
    guarded(&harmless(&text))
}

fn migrate(report: &MigrateReport) -> String {
    let mut text = String::new();
    if let Some(scripts) = &report.sql {
        for script in scripts {
            let _ = write!(text, "-- {}\n{}\n", script.file, script.sql.trim_end());
        }
        if !scripts.is_empty() {
            text.push('\n');
        }
    }
    let _ = writeln!(text, "{}", one_line(&report.database));
    steps(&mut text, &report.applied);
    if let Some(adopted) = &report.adopted {
        let _ = writeln!(
            text,
            "  adopted the published installation: {} of {} kept",
            counted(adopted.sessions, "live session"),
            counted(adopted.rows, "row")
        );
    }
    if report.secret_stored {
        let is = if report.outcome == MigrateOutcome::DryRun { "would be" } else { "is" };
        let _ = writeln!(text, "  the JWT secret that was given {is} stored");
    }
    let count = counted(report.applied.len(), "migration");
    let _ = match report.outcome {
        MigrateOutcome::UpToDate => {
            let what = if report.secret_stored { "no migration was pending" } else { "nothing to do" };
            writeln!(text, "{what}: {} applied", counted(report.total, "migration"))
        }
        MigrateOutcome::Applied => {
            writeln!(text, "{count} applied, verified and committed in {} ms", report.milliseconds)
        }
        MigrateOutcome::DryRun if report.applied.is_empty() => {
            writeln!(text, "dry run: no migration is pending; nothing was changed")
        }
        MigrateOutcome::DryRun => {
            writeln!(
                text,
                "dry run: {count} applied, verified and rolled back in {} ms; nothing was changed",
                report.milliseconds
            )
        }
    };
    text
}

fn steps(text: &mut String, steps: &[Step]) {
    let names: Vec<_> = steps.iter().map(Step::label).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    for (step, name) in steps.iter().zip(&names) {
        let _ = writeln!(text, "  {}  {:>5} ms", padded(name, width), step.milliseconds);
    }
}

fn status(report: &StatusReport) -> String {
    let mut text = format!("{}\n", one_line(&report.database));
    let rows: Vec<[String; 4]> = report
        .migrations
        .iter()
        .map(|migration| {
            [
                migration.label(),
                migration.state.to_owned(),
                migration.applied_on.as_deref().map_or_else(String::new, moment),
                migration.applied_by.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(&mut text, &rows);
    let applied = report.migrations.iter().filter(|m| m.state == "applied").count();
    let _ = write!(text, "{applied} applied, {} pending", report.pending);
    if report.drift.is_empty() {
        text.push('\n');
    } else {
        let _ = writeln!(text, ", {} wrong", report.drift.len());
        for finding in &report.drift {
            let _ = writeln!(text, "  - {}", below(finding, "    "));
        }
    }
    if report.adoptable {
        text.push_str(
            "the published SQL is installed here: `authmig migrate --adopt` upgrades it in place\n",
        );
    }
    text
}

fn rollback(report: &RollbackReport) -> String {
    let mut text = format!("{}\n", one_line(&report.database));
    let count = counted(report.reverted.len(), "migration");
    match report.outcome {
        RollbackOutcome::NothingToDo if report.total == 0 => {
            text.push_str("nothing to do: no migration is applied\n");
        }
        RollbackOutcome::NothingToDo => {
            let _ = writeln!(
                text,
                "nothing to do: {} applied, none of them newer",
                counted(report.total, "migration")
            );
        }
        RollbackOutcome::Reverted => {
            steps(&mut text, &report.reverted);
            if !report.drops.is_empty() {
                push_drops(&mut text, report, "dropped", "ended");
            }
            push_refused(&mut text, report, "are");
            let purged = if report.purge { ", the ledger dropped" } else { "" };
            let _ = writeln!(text, "{count} reverted{purged} and committed; {} still applied", report.total);
        }
        RollbackOutcome::DryRun => {
            text.push_str(&plan(report));
            text.push_str("dry run: tried and rolled back; nothing was changed\n");
        }
        // It stood in the question.
        RollbackOutcome::Refused if report.asked => return String::new(),
        RollbackOutcome::Refused => text.push_str(&plan(report)),
    }
    text
}

/// What a rollback would do.
fn plan(report: &RollbackReport) -> String {
    let mut text = format!("would revert {}\n", counted(report.reverted.len(), "migration"));
    for step in &report.reverted {
        let _ = writeln!(text, "  {}", step.label());
    }
    if report.purge {
        text.push_str("  and the ledger, with its journal\n");
    }
    push_drops(&mut text, report, "would drop", "would end");
    push_refused(&mut text, report, "would be");
    if !report.losses.is_empty() {
        text.push_str("would lose\n");
        for loss in &report.losses {
            let _ = writeln!(text, "  - {}", below(loss, "    "));
        }
    }
    text
}

/// What goes, and how many are logged out.
fn push_drops(text: &mut String, report: &RollbackReport, drop: &str, end: &str) {
    if !report.drops.is_empty() {
        let _ = writeln!(text, "{drop}");
        // Functions come back with the next migrate; their number is enough.
        let (functions, others): (Vec<_>, Vec<_>) =
            report.drops.iter().partition(|dropped| dropped.kind == "function");
        let mut rows: Vec<[String; 3]> = others
            .iter()
            .map(|dropped| {
                [
                    dropped.kind.clone(),
                    dropped.name.clone(),
                    dropped.rows.map_or_else(String::new, |rows| counted(rows, "row")),
                ]
            })
            .collect();
        if !functions.is_empty() {
            rows.push(["functions".to_owned(), functions.len().to_string(), String::new()]);
        }
        table(text, &rows);
    }
    let _ = match report.live_sessions {
        Some(sessions) => writeln!(text, "{end} {}", counted(sessions, "live session")),
        None => writeln!(text, "{end} live sessions: they were not counted"),
    };
}

/// That the sessions are left, and nobody can use them.
fn push_refused(text: &mut String, report: &RollbackReport, are: &str) {
    if let Some(migration) = &report.refused_until {
        let _ = writeln!(
            text,
            "logins and refreshes {are} refused until {migration} is applied again, and\n\
             every token where auth_private.postgrest_config is PostgREST's pre-config"
        );
    }
}

pub(super) fn question(report: &RollbackReport) -> String {
    let text = format!("{}\n{}go on? [y/N] ", one_line(&report.database), plan(report));
    guarded(&harmless(&text))
}

fn verify(report: &VerifyReport) -> String {
    let mut text = format!("{}\n", one_line(&report.database));
    let rows: Vec<[String; 3]> = report
        .checks
        .iter()
        .map(|check| {
            let verdict = match check.verdict {
                Verdict::Passed => "passed",
                Verdict::Failed => "FAILED",
                Verdict::Skipped => "skipped",
            };
            [check.name.word().to_owned(), verdict.to_owned(), check.proves.to_owned()]
        })
        .collect();
    table(&mut text, &rows);
    text.push_str(&found(report));
    text
}

/// What a verification has found, without what it has looked at.
fn found(report: &VerifyReport) -> String {
    let mut text = String::new();
    for check in &report.checks {
        text.push_str(&findings(check.name.word(), &check.findings));
    }
    let any = |verdict| report.checks.iter().any(|check| check.verdict == verdict);
    let failed = report.checks.iter().filter(|check| check.verdict == Verdict::Failed).count();
    let advised =
        report.checks.iter().any(|check| check.verdict == Verdict::Passed && !check.findings.is_empty());
    let limit = if any(Verdict::Skipped) {
        " in what could be checked"
    } else if report.complete {
        ""
    } else {
        " in what was checked"
    };
    let advice = if advised { "; see the advice" } else { "" };
    let _ = match failed {
        0 => writeln!(text, "verified: nothing is wrong{limit}{advice}"),
        _ => writeln!(text, "{} failed", counted(failed, "check")),
    };
    text
}

/// What is wrong, why that matters, and the statements that mend it.
pub(super) fn findings(check: &str, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Error => "",
            Severity::Advice => "advice: ",
        };
        let subject = if finding.subject == check {
            String::new()
        } else {
            format!("{}: ", one_line(&finding.subject))
        };
        let _ = writeln!(text, "{check}: {word}{subject}{}", below(&finding.message, "  "));
        for (word, part) in finding.parts() {
            let _ = if part.contains('\n') {
                writeln!(text, "  {word}:\n    {}", below(part, "    "))
            } else {
                writeln!(text, "  {:<9} {part}", format!("{word}:"))
            };
        }
    }
    text
}

fn grants(report: &GrantsReport) -> String {
    let mut text = format!("{}\n", one_line(&report.database));
    if report.objects.is_empty() {
        text.push_str("nothing is installed\n");
        return text;
    }
    let head = ["", "object"].into_iter().map(str::to_owned).chain(report.roles.iter().cloned()).collect();
    // Helpers that nobody else may use would bury the rest.
    let (hidden, shown): (Vec<_>, Vec<_>) = report.objects.iter().partition(|object| {
        let is_helper = object.kind == "function" && object.name.starts_with("auth_private.");
        is_helper && object.others.is_empty() && object.privileges.keys().all(|role| *role == report.owner)
    });
    let listed = |object: &ObjectRights, privileges: &[String]| {
        if object.kind == "table" && privileges.len() == object.all {
            "all".to_owned()
        } else {
            privileges.join(" ")
        }
    };
    let rows = shown.into_iter().map(|object| {
        let cells = report.roles.iter().map(|role| match object.privileges.get(role) {
            Some(privileges) => listed(object, privileges),
            None => "-".to_owned(),
        });
        [object.kind.clone(), object.name.clone()].into_iter().chain(cells).collect()
    });
    table(&mut text, &[head].into_iter().chain(rows).collect::<Vec<Vec<String>>>());
    let _ = writeln!(
        text,
        "and {} of auth_private that only their owner may call",
        counted(hidden.len(), "function")
    );
    let others: Vec<_> = report
        .objects
        .iter()
        .flat_map(|object| object.others.iter().map(move |other| (object, other)))
        .map(|(object, (role, privileges))| {
            vec![role.clone(), listed(object, privileges), format!("{} {}", object.kind, object.name)]
        })
        .collect();
    if !others.is_empty() {
        text.push_str("other roles that were granted something, or own it:\n");
        table(&mut text, &others);
    }
    text
}

fn secret(report: &SecretReport) -> String {
    if let Some(secret) = &report.secret {
        // Alone, so that a pipe gets the secret and nothing else.
        return format!("{secret}\n");
    }
    let mut text = format!("{}\n", one_line(&report.database));
    let _ = match report.outcome {
        SecretOutcome::Stored => writeln!(text, "stored; PostgREST was told to reload its configuration"),
        SecretOutcome::Unchanged => writeln!(text, "nothing to do: this secret is stored already"),
        SecretOutcome::Shown if report.sources.is_empty() => {
            writeln!(text, "no secret is set: no token can be issued; `authmig secret generate` makes one")
        }
        SecretOutcome::Shown => Ok(()),
    };
    let rows: Vec<[String; 4]> = report
        .sources
        .iter()
        .enumerate()
        .map(|(index, source)| {
            let bytes = match source.bytes {
                0 => "no base64".to_owned(),
                bytes if source.is_too_short() => format!("{bytes} bytes, too short"),
                bytes => format!("{bytes} bytes"),
            };
            let used = if index == 0 { "used" } else { "not used" };
            [used.to_owned(), source.source.clone(), bytes, source.fingerprint.clone()]
        })
        .collect();
    table(&mut text, &rows);
    text
}

fn export(report: &ExportReport) -> String {
    let mut text = format!("{}\n", report.folder);
    for file in &report.files {
        let _ = writeln!(text, "  {file}");
    }
    let _ = writeln!(text, "{} written; README.md says how to run them", counted(report.files.len(), "file"));
    text
}

#[cfg(test)]
mod tests {
    use super::super::diagnostics::event;
    use super::*;
    use crate::report::{Event, Exit};

    #[test]
    fn what_a_database_holds_does_not_command_the_terminal_or_the_runner() {
        let name = "evil\u{1b}[2J\n::error ::forged";
        let grants = Report::Grants(GrantsReport {
            database: format!("{name}@h/db"),
            authmig: "",
            roles: vec![name.to_owned()],
            objects: vec![crate::report::ObjectRights {
                kind: "schema".to_owned(),
                name: name.to_owned(),
                privileges: std::collections::BTreeMap::new(),
                others: std::iter::once((name.to_owned(), vec!["usage".to_owned()])).collect(),
                all: 2,
            }],
            owner: String::new(),
            exit: Exit::Success,
        });
        let shown = "evil\u{fffd}[2J\\n::error ::forged";
        assert_eq!(
            report(&grants),
            format!(
                "{shown}@h/db\n          object                      {shown}\n  schema  {shown}  -\nand 0 functions of auth_private that only their owner may call\n\
                 other roles that were granted something, or own it:\n  {shown}  usage  schema {shown}\n"
            )
        );
        let notice = Event::notice(name);
        assert_eq!(event(&notice, false).unwrap(), "notice: evil\u{fffd}[2J\n  ::error ::forged\n");
        let finding = Finding::new(Severity::Error, name, name);
        assert_eq!(
            findings("grants", &[finding]),
            "grants: evil\u{1b}[2J\\n::error ::forged: evil\u{1b}[2J\n  ::error ::forged\n"
        );
    }
}
