//! What happens and what went wrong, for people: a sentence, the place with a caret, what to do.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::human::findings;
use super::text::{below, harmless, one_line};
use crate::failure::{Failure, Found};
use crate::report::{Event, Weight};

/// Lines of a script are cut to this many columns around the caret.
const WIDTH: usize = 100;

pub(super) fn event(event: &Event, verbose: bool) -> Option<String> {
    let line = match event {
        Event::Locked(holder) => format!("waiting: authmig's lock is held by {holder}\n"),
        Event::Waiting(why) => format!("waiting: {why}\n"),
        Event::Script(file) => verbose.then(|| format!("running {file}\n"))?,
        Event::Notice { weight, text, .. } => {
            let word = match weight {
                Weight::Notice => "notice",
                Weight::Warning => "warning",
            };
            format!("{word}: {}\n", below(text, "  "))
        }
    };
    Some(harmless(&line))
}

/// What to do about it.
pub(super) fn hint(event: &Event) -> Option<String> {
    match event {
        Event::Notice { hint, .. } => hint.as_deref().map(harmless),
        _ => None,
    }
}

/// A text behind its word.
pub(super) fn part(word: &str, text: &str) -> String {
    format!("{word}: {}\n", below(text, &" ".repeat(word.len() + 2)))
}

/// What goes on then, for a line that is gone when it is over.
pub(super) fn doing(event: &Event) -> Option<String> {
    match event {
        Event::Locked(_) => Some("waiting for the lock".to_owned()),
        Event::Waiting(_) => Some("waiting".to_owned()),
        Event::Script(file) => Some(one_line(&harmless(&format!("running {file}")))),
        Event::Notice { .. } => None,
    }
}

/// An error as the house shows it.
pub(super) fn failure(failure: &Failure) -> String {
    format!("error: {}\n", behind("error: ", failure))
}

/// All that is known of an error, the same in each format: the sentence, the place with a caret,
/// what was found, what to do.
pub(super) fn told(failure: &Failure) -> String {
    behind("", failure)
}

/// The same behind a word, below which a sentence of several lines goes on.
fn behind(word: &str, failure: &Failure) -> String {
    let mut text = below(&failure.message, &" ".repeat(word.len())) + "\n";
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
    } else if let (Some(said), Some(server)) = (said, &failure.server)
        && !failure.message.contains(&server.message)
    {
        let _ = writeln!(text, "   = {said}");
    }
    for Found { message, help } in &failure.findings {
        let lines = [message].into_iter().chain(help).map(|line| below(line, "      "));
        let _ = writeln!(text, "  - {}", lines.collect::<Vec<_>>().join("\n      "));
    }
    for check in &failure.checks {
        text.push_str(&findings(check.name.word(), &check.findings));
    }
    if let Some(server) = &failure.server {
        for (word, said) in [("detail", &server.detail), ("hint", &server.hint), ("context", &server.context)]
        {
            text.extend(said.as_deref().map(|said| part(word, said)));
        }
    }
    text.extend(failure.hint.as_deref().map(|hint| part("hint", hint)));
    harmless(text.trim_end())
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
        let said = "cannot connect: \u{1b}[2J\u{1b}]0;owned\u{7}\nerror: forged\r\u{202e}";
        assert_eq!(
            failure(&Failure::new(Exit::Unreachable, said)),
            "error: cannot connect: \u{fffd}[2J\u{fffd}]0;owned\u{fffd}\n       error: forged\u{fffd}\u{fffd}\n"
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
}
