//! What is said to the server and what it answers: one message with many statements,
//! its scripts findable by position, its answers by section.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use postgres::SimpleQueryMessage;
use postgres::error::{DbError, ErrorPosition};

use crate::failure::{Line, Place};
use crate::parameters::Values;

/// SQL on its way to the server: pieces of our own between scripts, in one message.
///
/// The server counts an error's position in characters of the whole message; the
/// message knows which character belongs to which script.
#[derive(Debug, Default)]
pub struct Message {
    text: String,
    scripts: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    file: String,
    start: usize,
    end: usize,
}

impl Message {
    /// A message that starts with this.
    pub fn new(sql: &str) -> Message {
        let mut message = Message::default();
        message.push(sql);
        message
    }

    /// Makes room for this many bytes, so that it is not moved while it grows and fits into
    /// what was freed before.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    /// Adds statements of our own.
    pub fn push(&mut self, sql: &str) {
        self.text.push_str(sql);
        self.text.push('\n');
    }

    /// Adds a script, and ends its last statement if it forgot to.
    pub fn push_script(&mut self, file: &str, sql: &str) {
        let start = self.text.len();
        self.text.push_str(sql);
        self.scripts.push(Span { file: file.to_owned(), start, end: self.text.len() });
        self.text.push_str("\n;\n");
    }

    /// Adds statements whose answers [`Sections`] finds by this name.
    pub fn push_section(&mut self, name: &str, sql: &str) {
        self.push(&format!("select 'authmig section', '{name}';"));
        self.push(sql);
    }

    /// Adds all of another message.
    pub fn push_message(&mut self, other: &Message) {
        let offset = self.text.len();
        self.text.push_str(&other.text);
        self.scripts.extend(other.scripts.iter().map(|span| Span {
            file: span.file.clone(),
            start: span.start + offset,
            end: span.end + offset,
        }));
    }

    /// Puts statements of our own in front.
    pub fn push_front(&mut self, sql: &str) {
        self.text.insert_str(0, sql);
        for span in &mut self.scripts {
            span.start += sql.len();
            span.end += sql.len();
        }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// File and text of each script, in order.
    pub fn scripts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.scripts.iter().map(|span| (&*span.file, &self.text[span.start..span.end]))
    }

    /// The place of this character (from 1, as the server counts), if it is in a script.
    pub fn place(&self, position: u32) -> Option<Place> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        let mut offsets = self.text.char_indices().map(|(offset, _)| offset);
        // An error at the end of input points behind the last character.
        let offset = offsets.nth(index).unwrap_or(self.text.len());
        let span = self.scripts.iter().find(|span| span.start <= offset && offset <= span.end + 2)?;
        let sql = &self.text[span.start..span.end];
        let offset = (offset - span.start).min(sql.len());
        Some(Place { file: span.file.clone(), line: Some(line(sql, offset)) })
    }

    /// The place of this error: its position if it has one, else the script that
    /// was running.
    pub fn place_of(&self, error: &DbError, running: Option<&str>) -> Option<Place> {
        if let Some(ErrorPosition::Original(position)) = error.position()
            && let Some(place) = self.place(*position)
        {
            return Some(place);
        }
        Some(Place { file: running?.to_owned(), line: None })
    }
}

/// The line of this byte offset.
fn line(sql: &str, offset: usize) -> Line {
    let before = &sql[..offset];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = sql[offset..].find('\n').map_or(sql.len(), |newline| offset + newline);
    Line {
        number: before.matches('\n').count() + 1,
        column: sql[start..offset].chars().count() + 1,
        text: sql[start..end].to_owned(),
    }
}

/// The rows of one statement, each column as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// A column of a row; empty if it is null, or not there.
pub fn column(row: &[Option<String>], index: usize) -> String {
    row.get(index).cloned().flatten().unwrap_or_default()
}

/// The rows of each statement that returns rows, even if none; `None` if something in them is not
/// UTF-8, as can be in a database whose encoding is `SQL_ASCII`.
pub fn rows(messages: Vec<SimpleQueryMessage>) -> Option<Vec<Rows>> {
    let mut answer: Vec<Rows> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(_) => answer.push(Rows::new()),
            SimpleQueryMessage::Row(row) => {
                let columns = (0..row.len()).map(|index| Some(row.try_get(index).ok()?.map(str::to_owned)));
                let columns = columns.collect::<Option<_>>()?;
                if let Some(rows) = answer.last_mut() {
                    rows.push(columns);
                }
            }
            _ => {}
        }
    }
    Some(answer)
}

/// The rows that COPY writes as text. PostgreSQL manual, "COPY", "Text Format".
pub fn copied_rows(text: &str) -> Rows {
    let field = |field: &str| {
        if field == "\\N" {
            return None;
        }
        let mut characters = field.chars();
        let mut value = String::new();
        while let Some(character) = characters.next() {
            value.push(match character {
                '\\' => match characters.next() {
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('v') => '\u{b}',
                    Some(other) => other,
                    None => '\\',
                },
                other => other,
            });
        }
        Some(value)
    };
    text.split_terminator('\n').map(|row| row.split('\t').map(field).collect()).collect()
}

/// The answers to a message, by the section that asked for them.
#[derive(Debug, Default)]
pub struct Sections(BTreeMap<String, Vec<Rows>>);

impl Sections {
    /// Sorts the answers to a message with [`Message::push_section`] in it.
    pub fn new(answers: Vec<Rows>) -> Sections {
        let mut sections = Sections::default();
        let mut current = String::new();
        for rows in answers {
            match rows.first().map(Vec::as_slice) {
                Some([Some(mark), Some(name)]) if mark == "authmig section" => current.clone_from(name),
                _ => sections.0.entry(current.clone()).or_default().push(rows),
            }
        }
        sections
    }

    /// The result sets of this section; none if it was not asked.
    pub fn get(&self, name: &str) -> &[Rows] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes the result sets out, so that they need not be copied.
    pub fn take(&mut self, name: &str) -> Vec<Rows> {
        self.0.get_mut(name).map(std::mem::take).unwrap_or_default()
    }
}

/// A string literal that means the same whatever `standard_conforming_strings` says: a
/// message is taken apart as a whole, before anything in it could set that.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("e'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Has the functions that are made from here on checked; see `lock.sql`.
pub const CHECKED: &str = "set local check_function_bodies = on;\n";

/// The other way around.
pub const UNCHECKED: &str = "set local check_function_bodies = off;\n";

/// A file of ours without its comments and what lines are moved in by: they are a part of the binary
/// that nobody reads. A literal of several lines does not compile.
macro_rules! bare {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const BARE: [u8; $crate::message::without_comments::<0>(TEXT).1] =
            $crate::message::without_comments(TEXT).0;
        match std::str::from_utf8(&BARE) {
            Ok(text) => text,
            Err(_) => panic!(),
        }
    }};
}
pub(crate) use bare;

/// The front of that text, and how long all of it is.
pub(crate) const fn without_comments<const LENGTH: usize>(text: &str) -> ([u8; LENGTH], usize) {
    let text = text.as_bytes();
    let (mut bare, mut length, mut at) = ([0; LENGTH], 0, 0);
    while at < text.len() {
        while at < text.len() && text[at] == b' ' {
            at += 1;
        }
        let is_comment = at + 1 < text.len() && text[at] == b'-' && text[at + 1] == b'-';
        let mut in_literal = false;
        while at < text.len() {
            if !is_comment {
                if length < LENGTH {
                    bare[length] = text[at];
                }
                length += 1;
                in_literal ^= text[at] == b'\'';
            }
            at += 1;
            if text[at - 1] == b'\n' {
                break;
            }
        }
        assert!(!in_literal);
    }
    (bare, length)
}

/// Opens the transaction of a run that will change something, with the lock taken.
pub const LOCK: &str = bare!(concat!(include_str!("sql/lock.sql"), include_str!("sql/ledger_is_ours.sql")));

/// Fails where the server's own functions may be somebody's: that is the first thing to know.
pub const MAKERS: &str = bare!(include_str!("sql/makers.sql"));

/// Pins the search path until the transaction ends.
pub const PINNED: &str = "set local search_path = pg_catalog, pg_temp;\n";

/// Statements that give these settings their values until the transaction ends. They answer no
/// rows. A value is one string, never a list: for the search path there is [`PINNED`].
pub fn settings(settings: &[(&str, &str)]) -> String {
    let mut statements = String::new();
    for (name, value) in settings {
        let _ = writeln!(statements, "set local {name} = {};", literal(value));
    }
    statements
}

/// Statements that give the install parameters their values until the transaction ends.
pub fn parameter_settings(parameters: &Values) -> String {
    parameters.iter().map(|(name, value)| settings(&[(&format!("authmig.{name}"), value)])).collect()
}

/// What is written into the journal; see `journal.sql`.
pub fn journal(action: &str, versions: &[i32]) -> String {
    let versions: Vec<_> = versions.iter().map(i32::to_string).collect();
    include_str!("sql/journal.sql")
        .replace("{action}", &literal(action))
        .replace("{versions}", &literal(&format!("{{{}}}", versions.join(","))))
}

/// Announces a script; see `mark.sql`.
pub fn mark(file: &str, sha256: Option<&str>) -> String {
    let sha256 = sha256.map_or_else(String::new, |sha256| settings(&[("authmig.sha256", sha256)]));
    // The names of files are plain: no `$$` can be in one, and no `%`.
    sha256 + &include_str!("sql/mark.sql").replace("{script}", &literal(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_what_lines_are_moved_in_by_are_left_out() {
        assert_eq!(bare!("-- Why.\n  select 1 -- one\n    -- two\n\n  + 2;"), "select 1 -- one\n\n+ 2;");
    }

    #[test]
    fn what_is_copied_is_read_as_it_was() {
        let text = "1\ta b\t\\N\n2\t\\\\N\\t\\n\\x\t\n";
        let row = |fields: [Option<&str>; 3]| fields.map(|field| field.map(str::to_owned)).to_vec();
        assert_eq!(
            copied_rows(text),
            [row([Some("1"), Some("a b"), None]), row([Some("2"), Some("\\N\t\nx"), Some("")])]
        );
        assert!(copied_rows("").is_empty());
    }

    fn at(message: &Message, needle: &str) -> Option<(String, usize, usize)> {
        let bytes = message.text().find(needle).unwrap();
        let position = message.text()[..bytes].chars().count() + 1;
        let place = message.place(u32::try_from(position).unwrap())?;
        let line = place.line.unwrap();
        Some((place.file, line.number, line.column))
    }

    #[test]
    fn a_position_is_found_behind_multi_byte_text() {
        let mut message = Message::new("select 'ünrelated 日本';");
        message.push_script("01-a.up.sql", "select 'é';\n  sélect here;");
        message.push("select 'between';");
        message.push_script("02-b.up.sql", "-- 日本語\nselect '😀' there");
        assert_eq!(at(&message, "here"), Some(("01-a.up.sql".to_owned(), 2, 10)));
        assert_eq!(at(&message, "there"), Some(("02-b.up.sql".to_owned(), 2, 12)));
        assert_eq!(at(&message, "between"), None);
    }

    #[test]
    fn a_position_behind_the_end_is_the_end_of_the_last_script() {
        let mut message = Message::default();
        message.push_script("01-a.up.sql", "select (");
        let end = u32::try_from(message.text().chars().count()).unwrap();
        for position in [9, end, end + 1] {
            let place = message.place(position).map(|place| (place.file, place.line.unwrap().column));
            assert!(place.is_none() || place == Some(("01-a.up.sql".to_owned(), 9)), "{position}");
        }
        assert!(message.place(9).is_some());
        assert_eq!(message.place(0), None);
    }

    #[test]
    fn settings_are_quoted() {
        assert_eq!(
            settings(&[("a.b", "it's"), ("c", "\\")]),
            "set local a.b = 'it''s';\nset local c = e'\\\\';\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn every_character_of_a_script_has_its_own_place(sql in "(?s).{1,40}", front in ".{0,10}") {
            let mut message = Message::new(&front);
            message.push_script("x", &sql);
            let first = front.chars().count() + 2;
            let mut seen = std::collections::BTreeSet::new();
            for index in 0..sql.chars().count() {
                let place = message.place(u32::try_from(first + index).unwrap()).unwrap();
                let line = place.line.unwrap();
                proptest::prop_assert!(seen.insert((line.number, line.column)));
            }
        }
    }
}
