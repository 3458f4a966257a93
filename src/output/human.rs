//! Text for people: aligned, quiet, readable without colour.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use crate::failure::Failure;
use crate::migration::label;
use crate::report::{
    Event, ExportReport, Finding, GrantsReport, MigrateOutcome, MigrateReport, Report, RollbackOutcome,
    RollbackReport, SecretOutcome, SecretReport, Severity, StatusReport, Step, Verdict, VerifyReport,
};

/// Lines of a script are cut to this many columns around the caret.
const WIDTH: usize = 100;

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
    harmless(&text)
}

/// Why a command refused, for standard error.
pub(super) fn refusal(report: &Report) -> Option<String> {
    match report {
        Report::Rollback(report) => {
            Some(harmless(&format!("error: refused: {}; nothing was changed\n", report.refusal.as_ref()?)))
        }
        _ => None,
    }
}

pub(super) fn event(event: &Event, verbose: bool) -> Option<String> {
    let line = match event {
        Event::Locked(holder) => format!("waiting: another authmig holds the lock: {holder}\n"),
        Event::Waiting(why) => format!("waiting: {why}\n"),
        Event::Script(file) => verbose.then(|| format!("running {file}\n"))?,
        Event::Notice(severity, text) => format!("{severity}: {}\n", below(text, "  ")),
    };
    Some(harmless(&line))
}

/// What goes on then, for a line that is gone when it is over.
pub(super) fn doing(event: &Event) -> Option<String> {
    match event {
        Event::Locked(_) => Some("waiting for the lock".to_owned()),
        Event::Waiting(_) => Some("waiting".to_owned()),
        Event::Script(file) => Some(one_line(&harmless(&format!("running {file}")))),
        Event::Notice(..) => None,
    }
}

/// An error as the house shows it: the sentence, the place with a caret, what to do.
pub(super) fn failure(failure: &Failure) -> String {
    let mut text = format!("error: {}\n", below(&failure.message, "       "));
    let said = failure
        .server
        .as_ref()
        .map(|server| format!("{} ({})", below(&server.message, "     "), server.sqlstate));
    if let Some(place) = &failure.place {
        match &place.line {
            Some(line) => {
                let number = line.number.to_string();
                let margin = " ".repeat(number.len());
                let (shown, column) = cut(&line.text, line.column);
                let caret = indent(&shown, column);
                let _ = write!(
                    text,
                    "  --> {file}:{number}:{column}\n {margin} |\n {number} | {shown}\n {margin} | {caret}^ {said}\n",
                    file = place.file,
                    column = line.column,
                    said = said.unwrap_or_default(),
                );
            }
            None => {
                let _ = write!(text, "  --> {}\n   = {}\n", place.file, said.unwrap_or_default());
            }
        }
    } else if let Some(said) = said.filter(|_| !failure.message.contains(&*server_message(failure))) {
        let _ = writeln!(text, "   = {said}");
    }
    for finding in &failure.findings {
        let _ = writeln!(text, "  - {}", below(finding, "      "));
    }
    for check in &failure.checks {
        text.push_str(&findings(check.name, &check.findings));
    }
    if let Some(server) = &failure.server {
        for (word, part) in [("detail", &server.detail), ("hint", &server.hint), ("context", &server.context)]
        {
            if let Some(part) = part {
                let _ = writeln!(text, "{word}: {}", below(part, &" ".repeat(word.len() + 2)));
            }
        }
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "hint: {}", below(hint, "      "));
    }
    harmless(&text)
}

/// The text without what would command a terminal: servers and names can say anything.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// A text of several lines, all but the first one indented: none of them begins as ours do.
fn below(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// A name, which may have line breaks in it, on one line.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

fn server_message(failure: &Failure) -> String {
    failure.server.as_ref().map(|server| server.message.clone()).unwrap_or_default()
}

/// The part of a long line around this column, and the column in it.
fn cut(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.to_owned(), column);
    }
    let start = (column - 1).saturating_sub(WIDTH / 2).min(length - WIDTH);
    let middle: String = line.chars().skip(start).take(WIDTH).collect();
    let front = if start > 0 { "…" } else { "" };
    let back = if start + WIDTH < length { "…" } else { "" };
    (format!("{front}{middle}{back}"), column - start + front.chars().count())
}

/// Blanks as wide as what stands in front of the column; tabs stay tabs.
fn indent(line: &str, column: usize) -> String {
    line.chars()
        .take(column - 1)
        .map(|c| if c == '\t' { "\t".to_owned() } else { " ".repeat(c.to_string().width()) })
        .collect()
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
            counted_u64(adopted.sessions, "live session"),
            counted_u64(adopted.rows, "row")
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
                label(migration.version, &migration.name),
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
                    dropped.rows.map_or_else(String::new, |rows| counted_u64(rows, "row")),
                ]
            })
            .collect();
        if !functions.is_empty() {
            rows.push(["functions".to_owned(), functions.len().to_string(), String::new()]);
        }
        table(text, &rows);
    }
    let _ = writeln!(text, "{end} {}", counted_u64(report.live_sessions, "live session"));
}

pub(super) fn question(report: &RollbackReport) -> String {
    harmless(&format!("{}\n{}go on? [y/N] ", one_line(&report.database), plan(report)))
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
            [check.name.to_owned(), verdict.to_owned(), check.proves.to_owned()]
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
        text.push_str(&findings(check.name, &check.findings));
    }
    let failed = report.checks.iter().filter(|check| check.verdict == Verdict::Failed).count();
    let _ = match failed {
        0 if report.checks.iter().any(|check| check.verdict == Verdict::Skipped) => {
            writeln!(text, "verified: nothing is wrong in what could be checked")
        }
        0 if report.checks.len() < crate::checks::ALL.len() => {
            writeln!(text, "verified: nothing is wrong in what was checked")
        }
        0 => writeln!(text, "verified: nothing is wrong"),
        _ => writeln!(text, "{} failed", counted(failed, "check")),
    };
    text
}

/// What is wrong, why that matters, and the statements that mend it.
fn findings(check: &str, findings: &[Finding]) -> String {
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
        for (word, part) in [
            ("expected", &finding.expected),
            ("found", &finding.found),
            ("why", &finding.why),
            ("mend", &finding.mend),
            ("hint", &finding.hint),
        ] {
            match part {
                Some(part) if part.contains('\n') => {
                    let _ = writeln!(text, "  {word}:\n    {}", below(part, "    "));
                }
                Some(part) => {
                    let _ = writeln!(text, "  {:<9} {part}", format!("{word}:"));
                }
                None => {}
            }
        }
    }
    text
}

fn grants(report: &GrantsReport) -> String {
    let mut text = format!("{}\n", one_line(&report.database));
    let head = ["", "object"].into_iter().map(str::to_owned).chain(report.roles.iter().cloned()).collect();
    // Helpers that nobody may use would bury the rest.
    let (hidden, shown): (Vec<_>, Vec<_>) = report.objects.iter().partition(|object| {
        let is_helper = object.kind == "function" && object.name.starts_with("auth_private.");
        is_helper && object.privileges.len() <= 1
    });
    let rows = shown.into_iter().map(|object| {
        let cells = report.roles.iter().map(|role| match object.privileges.get(role) {
            Some(privileges) if object.kind == "table" && privileges.len() > 3 => "all".to_owned(),
            Some(privileges) => privileges.join(" "),
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
                0 => "not base64".to_owned(),
                1..32 => format!("{} bytes, too short", source.bytes),
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

/// Rows with aligned columns, indented by two.
fn table<R: AsRef<[String]>>(text: &mut String, rows: &[R]) {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let cell =
        |row: &R, column: usize| row.as_ref().get(column).map_or_else(String::new, |cell| one_line(cell));
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| cell(row, column).width()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::from(" ");
        for (column, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
            let _ = write!(line, " {} ", padded(&cell(row, column), *width));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn counted(number: usize, thing: &str) -> String {
    counted_u64(number as u64, thing)
}

fn counted_u64(number: u64, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{s}")
}

/// An RFC 3339 time in UTC, to the second; anything else as it is.
fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((day, time)) if text.ends_with('Z') && text.is_ascii() && time.len() >= 8 => {
            format!("{day} {} UTC", &time[..8])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use snapbox::{assert_data_eq, str};

    use super::*;
    use crate::failure::{Line, Place, ServerError};
    use crate::report::Exit;

    fn broken(text: &str, column: usize) -> Failure {
        Failure {
            place: Some(Place {
                file: "02-auth_schema.up.sql".to_owned(),
                line: Some(Line { number: 14, column, text: text.to_owned() }),
            }),
            server: Some(ServerError {
                message: "syntax error at or near \"tabel\"".to_owned(),
                sqlstate: "42601".to_owned(),
                detail: None,
                hint: Some("look again".to_owned()),
                context: None,
                routine: None,
            }),
            ..Failure::new(Exit::ScriptFailed, "02-auth_schema failed; nothing was changed")
        }
    }

    #[test]
    fn what_a_server_says_does_not_command_the_terminal() {
        let said = "cannot connect: \u{1b}[2J\u{1b}]0;owned\u{7}\nerror: forged\r";
        assert_eq!(
            failure(&Failure::new(Exit::Unreachable, said)),
            "error: cannot connect: \u{fffd}[2J\u{fffd}]0;owned\u{fffd}\n       error: forged\u{fffd}\n"
        );
    }

    #[test]
    fn what_a_database_holds_does_not_command_the_terminal_or_the_runner() {
        let name = "evil\u{1b}[2J\n::error ::forged";
        let grants = Report::Grants(GrantsReport {
            schema: "authmig.grants/1",
            database: format!("{name}@h/db"),
            authmig: "",
            roles: vec![name.to_owned()],
            objects: Vec::new(),
            exit: Exit::Success,
        });
        let shown = "evil\u{fffd}[2J\\n::error ::forged";
        assert_eq!(
            report(&grants),
            format!(
                "{shown}@h/db\n  object  {shown}\nand 0 functions of auth_private that only their owner may call\n"
            )
        );
        let notice = Event::Notice("notice".to_owned(), name.to_owned());
        assert_eq!(event(&notice, false).unwrap(), "notice: evil\u{fffd}[2J\n  ::error ::forged\n");
        let finding = Finding::new(Severity::Error, name, name);
        assert_eq!(
            findings("grants", &[finding]),
            "grants: evil\u{1b}[2J\\n::error ::forged: evil\u{1b}[2J\n  ::error ::forged\n"
        );
    }

    #[test]
    fn a_failed_script_is_a_picture() {
        assert_data_eq!(
            failure(&broken("    create tabel auth.refresh_token (", 12)),
            str![[r#"
error: 02-auth_schema failed; nothing was changed
  --> 02-auth_schema.up.sql:14:12
    |
 14 |     create tabel auth.refresh_token (
    |            ^ syntax error at or near "tabel" (42601)
hint: look again

"#]]
        );
    }

    #[test]
    fn the_caret_stands_under_wide_characters_and_tabs() {
        let picture = failure(&broken("\t'日本', tabel", 8));
        let lines: Vec<_> = picture.lines().collect();
        assert!(lines[3].ends_with("| \t'日本', tabel"), "{picture}");
        assert!(lines[4].contains("| \t        ^ "), "{picture}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}tabel{}", "a".repeat(500), "b".repeat(500));
        let picture = failure(&broken(&line, 501));
        let lines: Vec<_> = picture.lines().collect();
        let caret = lines[4].find('^').unwrap();
        let shown: String = lines[3].chars().skip(caret).take(5).collect();
        assert_eq!(shown, "tabel", "{picture}");
        assert!(lines[3].chars().count() < 120);
    }

    #[test]
    fn moments_are_cut_to_seconds() {
        assert_eq!(moment("2026-01-02T03:04:05.678901Z"), "2026-01-02 03:04:05 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(moment("TüüüüüüüüZ"), "TüüüüüüüüZ");
    }
}
