//! Workflow commands of GitHub Actions, behind the text for people. Source: GitHub
//! documentation, "Workflow commands for GitHub Actions".

use std::fmt::Write as _;

use super::diagnostics::told;
use super::{human, text};
use crate::failure::Failure;
use crate::report::{Report, Severity, Step};

pub(super) fn report(report: &Report) -> String {
    let mut text = human::report(report);
    match report {
        Report::Verify(report) => {
            for check in &report.checks {
                for finding in &check.findings {
                    let level = match finding.severity {
                        Severity::Error => "error",
                        Severity::Advice => "notice",
                    };
                    let title = format!("authmig verify: {}", check.name.word());
                    command(&mut text, level, &title, "", &finding.lines());
                }
            }
        }
        Report::Status(report) => {
            for finding in &report.drift {
                command(&mut text, "error", "authmig status", "", finding);
            }
            if report.pending > 0 {
                let message =
                    format!("{} of {} migrations are pending", report.pending, report.migrations.len());
                command(&mut text, "warning", "authmig status", "", &message);
            }
        }
        Report::Migrate(report) => {
            if !report.applied.is_empty() {
                let names: Vec<_> = report.applied.iter().map(Step::label).collect();
                command(&mut text, "notice", "authmig migrate", "", &names.join(", "));
            }
        }
        Report::Rollback(_)
        | Report::Install(_)
        | Report::Secret(_)
        | Report::Grants(_)
        | Report::Export(_)
        | Report::Text(_) => {}
    }
    text
}

pub(super) fn failure(failure: &Failure) -> String {
    let place = failure.place.as_ref().map_or_else(String::new, |place| {
        let line = place
            .line
            .as_ref()
            .map_or_else(String::new, |line| format!(",line={},col={}", line.number, line.column));
        format!(",file={}{line}", property(&format!("migrations/{}", place.file)))
    });
    let mut text = String::new();
    command(&mut text, "error", "authmig", &place, &told(failure));
    text
}

fn command(text: &mut String, level: &str, title: &str, properties: &str, message: &str) {
    let _ =
        writeln!(text, "::{level} title={}{properties}::{}", property(title), data(&text::harmless(message)));
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Line, Place};
    use crate::report::Exit;

    #[test]
    fn no_text_ends_a_command_early() {
        let mut text = String::new();
        command(&mut text, "error", "a: b, c", "", "50%\nmore");
        assert_eq!(text, "::error title=a%3A b%2C c::50%25%0Amore\n");
    }

    #[test]
    fn a_failure_has_its_place() {
        let failed = Failure {
            place: Some(Place {
                file: "02-x.up.sql".to_owned(),
                line: Some(Line { number: 3, column: 7, text: String::new() }),
            }),
            ..Failure::new(Exit::ScriptFailed, "02-x failed")
        };
        let begin = "::error title=authmig,file=migrations/02-x.up.sql,line=3,col=7::02-x failed%0A";
        assert!(failure(&failed).starts_with(begin), "{}", failure(&failed));
    }
}
