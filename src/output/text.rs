//! Pieces of text for people: aligned, and harmless whatever a name says.

use std::fmt::{Display, Write as _};

use unicode_width::UnicodeWidthStr as _;

/// The text without what would command a terminal, or show it in another order than it has:
/// servers and names can say anything.
pub(super) fn harmless(text: &str) -> String {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || is_bidirectional(c);
    text.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
}

/// The marks, embeddings, overrides and isolates. UAX #9, section 2.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without what would command the runner of a job: servers can say anything. That of
/// GitHub takes what begins with `::` for a command, after blanks too, and, as of old, `##[`
/// anywhere; that of Azure Pipelines `##vso[`. Sources: "Workflow commands for GitHub Actions",
/// and "Logging commands" of Azure Pipelines.
pub(super) fn guarded(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (blanks, rest) = line.split_at(line.len() - line.trim_start().len());
        guarded.push_str(blanks);
        if rest.starts_with("::") {
            guarded.push('\u{fffd}');
        }
        guarded.push_str(rest);
    }
    guarded.replace("##[", "##\u{fffd}[").replace("##vso[", "##\u{fffd}vso[")
}

/// A text of several lines, all but the first one indented: none of them begins as ours do.
pub(super) fn below(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// A name, which may have line breaks in it, on one line.
pub(super) fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// Rows with aligned columns, indented by two.
pub(super) fn table<R: AsRef<[String]>>(text: &mut String, rows: &[R]) {
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

pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

pub(super) fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let s = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{s}")
}

/// An RFC 3339 time in UTC, to the second; anything else as it is.
pub(super) fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((day, time)) if text.ends_with('Z') && text.is_ascii() && time.len() >= 8 => {
            format!("{day} {} UTC", &time[..8])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_no_command() {
        assert_eq!(
            guarded("a::b\n::error ::x\n  \u{a0}::error ::y\n1 ##[error]z\n##vso[task.x]z\n"),
            "a::b\n\u{fffd}::error ::x\n  \u{a0}\u{fffd}::error ::y\n1 ##\u{fffd}[error]z\n##\u{fffd}vso[task.x]z\n"
        );
    }

    #[test]
    fn moments_are_cut_to_seconds() {
        assert_eq!(moment("2026-01-02T03:04:05.678901Z"), "2026-01-02 03:04:05 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(moment("TüüüüüüüüZ"), "TüüüüüüüüZ");
    }
}
