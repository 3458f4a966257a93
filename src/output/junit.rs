//! JUnit XML, as CI servers read it: a test case a check, a failure its findings, the output of
//! one that passed the advice.

use std::fmt::Write as _;

use super::diagnostics::told;
use crate::failure::Failure;
use crate::report::{Finding, Severity, Verdict, VerifyReport};

/// Why a check was skipped that does not say so itself.
const NOTHING_THERE: &str = "there is nothing that it could look at";

pub(super) fn verify(report: &VerifyReport) -> String {
    let count = |verdict: Verdict| report.checks.iter().filter(|check| check.verdict == verdict).count();
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" skipped=\"{}\"",
        report.checks.len(),
        count(Verdict::Failed),
        count(Verdict::Skipped)
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"authmig\" {totals} errors=\"0\">\n  \
         <testsuite name=\"{}\" {totals} errors=\"0\">\n",
        escaped(&format!("authmig verify {}", report.database))
    );
    for check in &report.checks {
        let _ = writeln!(
            text,
            "    <testcase classname=\"authmig.verify\" name=\"{}\">",
            escaped(check.name.word())
        );
        let message = check.findings.iter().map(Finding::sentence).collect::<Vec<_>>().join("; ");
        let detail = check.findings.iter().map(detail).collect::<Vec<_>>().join("\n");
        match check.verdict {
            Verdict::Failed => {
                let _ = writeln!(
                    text,
                    "      <failure type=\"finding\" message=\"{}\">{}</failure>",
                    escaped(&message),
                    escaped(&detail)
                );
            }
            Verdict::Skipped => {
                let message = if message.is_empty() { NOTHING_THERE } else { &message };
                let _ = writeln!(text, "      <skipped message=\"{}\"/>", escaped(message));
            }
            Verdict::Passed if detail.is_empty() => {}
            Verdict::Passed => {
                let _ = writeln!(text, "      <system-out>{}</system-out>", escaped(&detail));
            }
        }
        text.push_str("    </testcase>\n");
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// What is written if nothing could be checked.
pub(super) fn failure(failure: &Failure) -> String {
    let totals = "tests=\"1\" failures=\"0\" skipped=\"0\" errors=\"1\"";
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"authmig\" {totals}>\n  \
         <testsuite name=\"authmig\" {totals}>\n    <testcase classname=\"authmig\" name=\"run\">\n      \
         <error message=\"{}\">{}</error>\n    </testcase>\n  </testsuite>\n</testsuites>\n",
        escaped(&failure.message),
        escaped(&told(failure))
    )
}

fn detail(finding: &Finding) -> String {
    let word = if finding.severity == Severity::Advice { "advice: " } else { "" };
    word.to_owned() + &finding.lines()
}

/// Text for XML 1.0, which has no place for most control characters.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\n' => "&#10;".to_owned(),
            '\t' => "&#9;".to_owned(),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => "\u{fffd}".to_owned(),
            c => c.to_string(),
        })
        .collect()
}
