//! Finds what a migration script must not contain: transaction control, session
//! settings and whatever else stays in the session, psql commands, `copy` from the client.
//!
//! authmig runs every pending script in one transaction of its own (a `commit`
//! inside would end it half-way), and leaves no trace in the session, which behind a
//! pooler goes on with somebody else. What functions do is for review. The scanner
//! follows PostgreSQL's lexical rules for quotes, dollar quotes, comments and
//! `begin atomic` bodies, so a word inside any of them counts for nothing.
//! Source: PostgreSQL manual, "Lexical Structure".

/// Something that may not stand in a script, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Objection {
    /// Byte offset into the script.
    pub offset: usize,
    /// What is wrong, as the end of "02-x.up.sql:3:1: ".
    pub what: String,
}

/// The first thing in `sql` that may not stand in a script.
pub fn first_objection(sql: &str) -> Option<Objection> {
    let mut statement = Statement::default();
    let mut lexer = Lexer { sql, at: 0 };
    loop {
        match lexer.next_token() {
            Err(finding) => return Some(finding),
            Ok(None) => return statement.objection(),
            Ok(Some(token)) => {
                if token.kind == Kind::Semicolon && statement.is_complete() {
                    if let Some(finding) = statement.objection() {
                        return Some(finding);
                    }
                    statement = Statement::default();
                } else if token.kind == Kind::Backslash {
                    return Some(Objection {
                        offset: token.offset,
                        what: "a psql command (\\) is not SQL".to_owned(),
                    });
                } else {
                    statement.push(token);
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A word that is not quoted: a keyword or a name.
    Word,
    /// A quoted name, a string, a number or an operator.
    Other,
    Semicolon,
    Open,
    Close,
    Backslash,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: Kind,
    offset: usize,
    text: &'a str,
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// The name between these quotation marks, or the word itself. Unicode escapes stay as they are.
fn unquoted(word: &str) -> &str {
    let name = word.strip_prefix(['u', 'U']).and_then(|rest| rest.strip_prefix('&')).unwrap_or(word);
    name.trim_matches('"')
}

/// What is remembered of the statement that is being read.
#[derive(Default)]
struct Statement<'a> {
    offset: usize,
    words: Vec<&'a str>,
    parentheses: usize,
    /// How many `end`s a `begin atomic` body still wants.
    blocks: usize,
}

impl<'a> Statement<'a> {
    fn push(&mut self, token: Token<'a>) {
        if self.words.is_empty() {
            self.offset = token.offset;
        }
        match token.kind {
            Kind::Open => self.parentheses += 1,
            Kind::Close => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        let is = |word: &str| token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word);
        if self.blocks > 0 {
            if is("case") {
                self.blocks += 1;
            } else if is("end") {
                self.blocks -= 1;
            }
        } else if is("atomic") && self.last_is("begin") && self.word_is(0, "create") {
            self.blocks = 1;
        }
        // What is not a word keeps its place, and its quotation marks: in `"set" …` there is no `set`.
        self.words.push(token.text);
    }

    fn is_complete(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn word_is(&self, index: usize, word: &str) -> bool {
        self.words.get(index).is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    fn last_is(&self, word: &str) -> bool {
        self.word_is(self.words.len().wrapping_sub(1), word)
    }

    fn contains(&self, first: &str, second: &str) -> bool {
        (1..self.words.len()).any(|index| self.word_is(index - 1, first) && self.word_is(index, second))
    }

    /// The index of the first word from this one on that is none of these.
    fn index_behind(&self, from: usize, words: &[&str]) -> usize {
        from + self.words.iter().skip(from).take_while(|word| is_one_of(word, words)).count()
    }

    /// Does it say here that what is made is temporary?
    fn says_temporary(&self, index: usize) -> bool {
        self.words.get(index).is_some_and(|word| is_one_of(word, &["temp", "temporary"]))
            && !self.word_is(index + 1, ".")
    }

    /// Is this the schema of a name, and that of what is temporary? It is `pg_temp_3`, too.
    fn is_temporary_schema(&self, index: usize) -> bool {
        let name = self.words.get(index).map(|word| unquoted(word).to_ascii_lowercase());
        name.is_some_and(|name| name == "pg_temp" || name.starts_with("pg_temp_"))
            && self.word_is(index + 1, ".")
    }

    /// Is this `create … temporary …`, or is the name one in `pg_temp`?
    fn creates_temporary(&self) -> bool {
        let names = self.words.iter().take_while(|word| word.starts_with(|c| c == '"' || is_word_start(c)));
        self.says_temporary(self.index_behind(1, &["or", "replace", "local", "global"]))
            || (1..names.count()).any(|index| self.is_temporary_schema(index))
    }

    /// Is this `select … into temporary …`, or is the name behind `into` one in `pg_temp`?
    fn selects_into_temporary(&self) -> bool {
        (1..self.words.len()).any(|index| {
            let name = self.index_behind(index + 1, &["local", "global", "unlogged", "table"]);
            self.word_is(index, "into") && (self.says_temporary(name) || self.is_temporary_schema(name))
        })
    }

    fn objection(&self) -> Option<Objection> {
        // A query may stand in parentheses, which are no words.
        let first = self.words.iter().find(|word| word.starts_with(is_word_start)).unwrap_or(&"");
        let first = first.to_ascii_lowercase();
        let local = self.words.get(2).map_or("", |word| unquoted(word));
        let what = match &*first {
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
                format!("{first} is transaction control, and the transaction is authmig's")
            }
            "prepare" if self.word_is(1, "transaction") => {
                "prepare transaction is transaction control, and the transaction is authmig's".to_owned()
            }
            "set" if self.word_is(1, "transaction") || self.contains("characteristics", "as") => {
                "set transaction is transaction control, and the transaction is authmig's".to_owned()
            }
            "set" if self.word_is(1, "constraints") => return None,
            "set" if self.word_is(1, "local") => {
                if !is_one_of(local, &["role", "session", "session_authorization"]) {
                    return None;
                }
                "set local role would hold for the scripts behind it, too".to_owned()
            }
            "set" | "reset" => {
                format!("{first} outlives the transaction; write the names in full, or use set local")
            }
            "prepare" | "deallocate" | "listen" | "unlisten" | "load" | "discard" => {
                format!("{first} changes the session, and that outlives the transaction")
            }
            "declare" if self.contains("with", "hold") => {
                "a cursor with hold outlives the transaction; leave that out".to_owned()
            }
            "create" if self.creates_temporary() && !self.contains("commit", "drop") => {
                "what is temporary outlives the transaction, but for a table on commit drop".to_owned()
            }
            "select" | "with" if self.selects_into_temporary() => {
                "a temporary table outlives the transaction; use create temporary table … on commit drop"
                    .to_owned()
            }
            "explain" => {
                "explain shows its plan to nobody here, and with analyze does what it explains".to_owned()
            }
            "copy" if self.contains("from", "stdin") || self.contains("to", "stdout") => {
                "copy with the client is not possible here; use insert".to_owned()
            }
            _ => return None,
        };
        Some(Objection { offset: self.offset, what })
    }
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next_token(&mut self) -> Result<Option<Token<'a>>, Objection> {
        self.skip_blanks_and_comments()?;
        let offset = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let kind = match first {
            ';' => self.advance(1, Kind::Semicolon),
            '(' => self.advance(1, Kind::Open),
            ')' => self.advance(1, Kind::Close),
            '\\' => self.advance(1, Kind::Backslash),
            '\'' => self.quoted('\'', false, "string")?,
            '"' => self.quoted('"', false, "name")?,
            '$' => self.dollar_quoted()?,
            _ if is_word_start(first) => self.word()?,
            // Digits swallow letters: in `1e5` or `0x1F` there is no word.
            _ if first.is_ascii_digit() => {
                self.at += self.length_while(is_word_part);
                Kind::Other
            }
            _ => self.advance(first.len_utf8(), Kind::Other),
        };
        Ok(Some(Token { kind, offset, text: &self.sql[offset..self.at] }))
    }

    fn rest(&self) -> &'a str {
        &self.sql[self.at..]
    }

    fn advance(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    fn length_while(&self, part: fn(char) -> bool) -> usize {
        let rest = self.rest();
        rest.find(|c| !part(c)).unwrap_or(rest.len())
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), Objection> {
        loop {
            self.at += self.length_while(char::is_whitespace);
            if self.rest().starts_with("--") {
                self.at += self.length_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Comments nest, unlike C's.
    fn block_comment(&mut self) -> Result<(), Objection> {
        let offset = self.at;
        let mut depth = 0;
        loop {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if let Some(next) = self.rest().chars().next() {
                self.at += next.len_utf8();
            } else {
                return Err(unterminated(offset, "comment"));
            }
        }
    }

    /// A word, or the string or name that it is the prefix of (`e'…'`, `u&"…"`).
    fn word(&mut self) -> Result<Kind, Objection> {
        let offset = self.at;
        self.at += self.length_while(is_word_part);
        let word = &self.sql[offset..self.at];
        if self.rest().starts_with('\'') {
            let escapes = word.eq_ignore_ascii_case("e");
            if escapes {
                self.quoted('\'', true, "string")?;
                while self.continues() {
                    self.quoted('\'', true, "string")?;
                }
                return Ok(Kind::Other);
            }
            if ["b", "x", "n"].iter().any(|prefix| word.eq_ignore_ascii_case(prefix)) {
                return self.quoted('\'', false, "string");
            }
        }
        if word.eq_ignore_ascii_case("u") {
            for quote in ['\'', '"'] {
                if self.rest().strip_prefix('&').is_some_and(|rest| rest.starts_with(quote)) {
                    self.at += 1;
                    return self.quoted(quote, false, "string");
                }
            }
        }
        Ok(Kind::Word)
    }

    /// Goes to the quote with which the string goes on, if it does: behind a line break and
    /// nothing but blanks and `--` comments. It is the same string, so a backslash still escapes.
    fn continues(&mut self) -> bool {
        let mut rest = self.rest();
        let mut line_break = false;
        loop {
            let blank = rest.find(|c: char| !c.is_ascii_whitespace() && c != '\x0b').unwrap_or(rest.len());
            line_break |= rest[..blank].contains('\n');
            rest = &rest[blank..];
            if !rest.starts_with("--") {
                break;
            }
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        }
        let continues = line_break && rest.starts_with('\'');
        if continues {
            self.at = self.sql.len() - rest.len();
        }
        continues
    }

    fn quoted(&mut self, quote: char, escapes: bool, what: &str) -> Result<Kind, Objection> {
        let offset = self.at;
        self.at += 1;
        let mut rest = self.rest().char_indices().peekable();
        while let Some((index, next)) = rest.next() {
            if escapes && next == '\\' {
                rest.next();
            } else if next == quote {
                if rest.peek().is_some_and(|(_, following)| *following == quote) {
                    rest.next();
                } else {
                    self.at += index + 1;
                    return Ok(Kind::Other);
                }
            }
        }
        Err(unterminated(offset, what))
    }

    /// `$$…$$`, `$tag$…$tag$`, or a parameter such as `$1`.
    fn dollar_quoted(&mut self) -> Result<Kind, Objection> {
        let offset = self.at;
        let inside = &self.rest()[1..];
        let tag = &inside[..inside.find(|c| !is_word_part(c) || c == '$').unwrap_or(inside.len())];
        let is_tag = !tag.starts_with(|first: char| first.is_ascii_digit());
        if !is_tag || !inside[tag.len()..].starts_with('$') {
            return Ok(self.advance(1 + tag.len(), Kind::Other));
        }
        let delimiter = &self.rest()[..tag.len() + 2];
        match self.rest()[delimiter.len()..].find(delimiter) {
            Some(length) => Ok(self.advance(length + 2 * delimiter.len(), Kind::Other)),
            None => Err(unterminated(offset, "dollar quote")),
        }
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_word_part(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

fn unterminated(offset: usize, what: &str) -> Objection {
    Objection { offset, what: format!("this {what} has no end") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(sql: &str, at: &str, word: &str) {
        let finding = first_objection(sql).unwrap_or_else(|| panic!("not refused: {sql}"));
        assert!(sql[finding.offset..].starts_with(at), "{sql}: at {}", finding.offset);
        assert!(finding.what.contains(word), "{sql}: {}", finding.what);
    }

    #[test]
    fn transaction_control_is_refused() {
        for sql in [
            "begin;",
            "BEGIN",
            "start transaction;",
            "commit;",
            "end;",
            "rollback;",
            "rollback to savepoint a",
            "abort;",
            "savepoint a;",
            "release a;",
            "prepare transaction 'x';",
            "set transaction read only;",
            "set session characteristics as transaction read only;",
            "/* x */ -- y\n CoMmIt /* z */ ;",
        ] {
            let start = sql.find(|c: char| "bBsceraCp".contains(c)).unwrap();
            let start = if sql.starts_with("/*") { sql.find("CoM").unwrap() } else { start };
            refused(sql, &sql[start..], "transaction");
            refused(&format!("select 1; {sql}"), &sql[start..], "transaction");
        }
    }

    #[test]
    fn session_settings_are_refused() {
        for sql in [
            "set search_path to auth;",
            "set session search_path = auth",
            "set role postgres",
            "SET TIME ZONE 'UTC';",
            "reset all;",
            "reset role;",
        ] {
            refused(sql, sql, "outlives the transaction; write");
        }
        refused("set local role x;", "set", "set local role");
        refused("set local session authorization x;", "set", "set local role");
        refused("set local session_authorization = x", "set", "set local role");
        refused("set local \"ROLE\" = x", "set", "set local role");
        refused("set local u&\"session_authorization\" to x", "set", "set local role");
    }

    #[test]
    fn what_stays_in_the_session_is_refused() {
        for sql in [
            "prepare p as select 1;",
            "deallocate all;",
            "LISTEN news;",
            "unlisten *;",
            "load 'auto_explain';",
            "discard all;",
        ] {
            refused(sql, sql, "changes the session");
        }
        refused("declare c cursor with hold for select 1;", "declare", "with hold");
        refused("declare c no scroll cursor\n  WITH /* */ HOLD for select 1", "declare", "with hold");
        for sql in [
            "create temp table a (b int);",
            "create temporary table if not exists a as select 1;",
            "CREATE GLOBAL TEMP TABLE a (b int) on commit delete rows",
            "create local temporary table a (b int)",
            "create temp sequence a",
            "create or replace temporary view a as select 1",
            "create temporary recursive view a (b) as select 1",
            "create table pg_temp.a (b int)",
            "create or replace function pg_temp.f() returns int language sql return 1",
            "create table \"pg_temp\".a (b int)",
            "create table if not exists PG_TEMP_3 /* */ . a (b int)",
            "create view U&\"pg_temp_12\".a as select 1",
        ] {
            refused(sql, sql, "what is temporary");
        }
        refused("select 1 as b into temp a;", "select", "a temporary table");
        refused("with b as (select 1) select * INTO TEMPORARY TABLE a from b;", "with", "a temporary table");
        for name in
            ["pg_temp.a", "table pg_temp.a", "\"pg_temp\".a", "unlogged table pg_temp_3.a", "local temp a"]
        {
            refused(&format!("select 1 as b into {name}"), "select", "a temporary table");
        }
        refused("(select 1 as b into temp a);", "(select", "a temporary table");
        refused("( (with b as (select 1) select * into temp a from b))", "(", "a temporary table");
        refused("explain analyze create temp table a as select 1;", "explain", "to nobody here");
    }

    #[test]
    fn what_ends_with_the_transaction_is_let_pass() {
        for sql in [
            "declare c cursor for select 1; fetch c; close c;",
            "declare c cursor without hold for select 1",
            "create temp table a (b int) on commit drop;",
            "create temporary table a on commit drop as select 1",
            "create table pg_temp.a (b int) on commit drop",
            "create table public.temp (temporary int); insert into public.temp select 1;",
            "create schema temp; create role temporary;",
            "create table \"temp\" (a int); create table temp.a (b int); select 1 as b into temp.a;",
            "select 1 as b into table public.pg_temp; create table pg_temp_3 (a int);",
            "create table public.a as select * from pg_temp.b;",
            "insert into pg_temp.a values (1);",
            "set local \"my.role\" = x",
            "create function f() returns int language sql set search_path = pg_catalog, pg_temp return 1;",
            "notify news; execute 'x'; lock table public.t;",
        ] {
            assert_eq!(first_objection(sql), None, "{sql}");
        }
    }

    #[test]
    fn psql_commands_and_copy_from_the_client_are_refused() {
        refused("select 1;\n\\i other.sql\n", "\\i", "psql");
        refused("select 1 \\gset", "\\gset", "psql");
        refused("copy t from stdin;", "copy", "insert");
        refused("copy t (a, b) FROM STDIN with (format csv);\n1\t2\n\\.\n", "copy", "insert");
        refused("copy t to stdout", "copy", "insert");
    }

    #[test]
    fn what_has_no_end_is_refused() {
        refused("select 'a", "'a", "string");
        refused("select \"a", "\"a", "name");
        refused("do $x$ begin end $y$;", "$x$", "dollar quote");
        refused("/* /* */ select 1;", "/*", "comment");
        refused("select e'a\\'", "'a", "string");
    }

    #[test]
    fn the_same_words_in_quotes_comments_and_bodies_count_for_nothing() {
        for sql in [
            "",
            "-- commit;\nselect 1",
            "/* begin; /* commit; */ rollback; */ select 1;",
            "do $$ begin commit; end $$;",
            "do $body$ begin perform 1; $$ commit; $$; end $body$;",
            "select 'x; commit; ''y; begin;'",
            "select e'\\'; commit; '",
            "select E'\\\\'; select 2",
            "select U&'\\0041; commit;', n'; commit;', b'01'",
            "create table \"; commit;\" (a int)",
            "create table u&\"; commit;\" (a int)",
            "comment on table a is 'set search_path; \\i x'",
            "set local lock_timeout = '1s';",
            "set constraints all deferred;",
            "create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end;",
            "create or replace function f() returns int language sql begin atomic; end;",
            "create function f() returns int language sql set search_path = '' as $$ select 1 $$;",
            "create rule r as on insert to t do also (insert into a values (1); insert into b values (2));",
            "alter table t set (fillfactor = 70);",
            "update t set a = 1;",
            "select $1, a$b from t;",
            "copy t to '/x';",
            "select 1 as \"set\"; ;;",
            "grant set on parameter x to y;",
            "select 'ü', 'é'; select \"日本\" from 日本;",
        ] {
            assert_eq!(first_objection(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_statement_behind_an_atomic_body_is_seen() {
        refused(
            "create function f() returns int language sql begin atomic select 1; end; commit;",
            "commit",
            "transaction",
        );
    }

    #[test]
    fn a_string_with_escapes_goes_on_in_the_next_line() {
        refused("select e'a'\n'\\''; commit; -- '", "commit", "transaction");
        refused("select e'a' -- '\n  '\\'' ; commit; -- '", "commit", "transaction");
        assert_eq!(first_objection("select e'a'\n'\\'; commit; --'"), None);
        // In one line it is another string, and so is that of a plain one.
        assert_eq!(first_objection("select e'a' '\\'; select '; commit'"), None);
        assert_eq!(first_objection("select 'a'\n'\\'; select '; commit'"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_scanned_to_its_end(sql in "(?s).{0,80}") {
            let _ = first_objection(&sql);
        }

        #[test]
        fn quoted_and_commented_text_is_inert(text in "[^'\"$*/\\\\]{0,40}") {
            let sql = format!("select '{text}', $q${text}$q$, \"a{text}\" /* {text} */;");
            proptest::prop_assert_eq!(first_objection(&sql), None);
        }
    }
}
