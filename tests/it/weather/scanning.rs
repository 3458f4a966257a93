//! The scanner against the server's own lexer: what it lets pass cannot end the
//! transaction or outlive it in the session, and what is only text or comment is let pass.

use std::cell::RefCell;

use authmig::scanner::first_objection;
use postgres::{Client, SimpleQueryMessage};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::{Tally, often};
use crate::support::{LEFT_IN_SESSION, TestDb};

/// Runs a script as authmig would, and says what became of the transaction.
struct Judge(Client);

impl Judge {
    fn new(db: &TestDb) -> Judge {
        db.sql("create table marker (n int); create table t (a int)");
        Judge(db.client())
    }

    fn one(&mut self, sql: &str) -> Option<String> {
        self.0.simple_query(sql).unwrap().into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    fn session(&mut self) -> Option<String> {
        self.one(LEFT_IN_SESSION)
    }

    /// Whether the script ran, and whether the transaction is still the one it ran in; and
    /// if so, that nothing is left of it when that is rolled back, and nothing in the
    /// session when it is committed.
    fn run(&mut self, script: &str) -> (bool, bool) {
        let before = self.session();
        let mine = self.one("begin; insert into marker values (1); select txid_current()").unwrap();
        let done = self.0.simple_query(script);
        let ran = done.is_ok();
        let same = match self.0.simple_query("select txid_current()") {
            Ok(rows) => rows
                .iter()
                .any(|row| matches!(row, SimpleQueryMessage::Row(row) if row.get(0) == Some(&*mine))),
            // In a transaction that has failed, but has not ended.
            Err(error) => error.code().is_some_and(|code| code.code() == "25P02"),
        };
        self.0.batch_execute("rollback").unwrap();
        let nothing = self.one("select count(*) from marker").as_deref() == Some("0");
        let mut clean = self.session() == before;
        if ran && same && nothing && clean {
            self.0.batch_execute("begin").unwrap();
            self.0.simple_query(script).unwrap();
            self.0.batch_execute("commit").unwrap();
            clean = self.session() == before;
        }
        self.0.batch_execute("discard all").unwrap();
        self.0.batch_execute("truncate marker; drop function if exists f()").unwrap();
        (ran, same && nothing && clean)
    }
}

fn runner(short: usize, long: usize) -> TestRunner {
    let cases = u32::try_from(often(short, long)).unwrap();
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// Blanks and comments, with what would be a statement if they were none.
fn gap() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        " ",
        "\n",
        "\t",
        "\x0c",
        "-- ; commit\n",
        "-- '\n",
        "/* ; commit; */",
        "/* /* ' */ ; commit */",
        "/* $$ -- */",
        "--\n",
        "/*/**/*/",
    ]);
    proptest::collection::vec(pieces, 0..4).prop_map(|pieces| format!(" {}", pieces.concat()))
}

/// A string constant of any kind.
fn string() -> impl Strategy<Value = String> {
    select(vec![
        "'; commit; --'",
        "'it''s; commit'",
        "''",
        "'\\'",
        "e'\\'; commit; --'",
        "E'\\\\'",
        "e'a'\n'\\''",
        "e'a' -- '\n  '\\'; commit; --'",
        "'a'\n'\\'",
        "u&'\\0041; commit'",
        "n'; commit'",
        "b'01'",
        "X'1F'",
        "$$; commit; '$$",
        "$a$ $$; commit; $b$ $a$",
        "$ünï$;commit$ünï$",
    ])
    .prop_map(str::to_owned)
}

/// A statement that runs, of words with gaps between them.
fn statement() -> impl Strategy<Value = String> {
    let name = select(vec!["a", "\"com\"\"mit\"", "\"; commit\"", "ü$$", "commit_", "U&\"d\\0061t\""]);
    prop_oneof![
        (gap(), string(), gap()).prop_map(|(a, text, b)| format!("select{a}{text}{b}")),
        (gap(), string(), gap(), name).prop_map(|(a, text, b, name)| format!("select{a}{text}{b}as {name}")),
        (gap(), gap()).prop_map(|(a, b)| format!("do{a}$x$ begin perform 1; end $x${b}")),
        (gap(), gap(), string()).prop_map(|(a, b, text)| format!(
            "create or replace function f() returns text language sql{a}begin atomic{b}select case when true then {text}::text end; end"
        )),
        (gap(), string()).prop_map(|(a, text)| format!("set local{a}authmig.x = {}", if text.starts_with('\'') { text } else { "'; commit'".to_owned() })),
        Just("set constraints all deferred".to_owned()),
        gap(),
    ]
}

#[test]
fn text_and_comments_are_no_statements_and_statements_are_no_text() {
    let db = TestDb::new();
    let judge = RefCell::new(Judge::new(&db));
    let tally = RefCell::new(Tally::of("scripts of statements, strings and comments"));
    let ends =
        proptest::option::of((select(vec!["commit", "END", "rollback", "abort", "commit and chain"]), gap()));
    let scripts =
        (proptest::collection::vec(statement(), 0..5), ends, proptest::collection::vec(statement(), 0..3));
    let result = runner(300, 5000).run(&scripts, |(before, end, after)| {
        let mut statements = before;
        let ends = end.is_some();
        statements.extend(end.map(|(word, gap)| format!("{gap}{word}")));
        statements.extend(after);
        let script = statements.join(";");
        let (ran, stayed) = judge.borrow_mut().run(&script);
        prop_assert!(ran || ends, "the server does not take: {}", script);
        prop_assert_eq!(stayed, !ends, "{}", script);
        prop_assert_eq!(
            first_objection(&script).is_none(),
            stayed,
            "{}: {:?}",
            script,
            first_objection(&script)
        );
        tally.borrow_mut().count(if ends { "refused" } else { "let pass" });
        Ok(())
    });
    result.unwrap();
}

#[test]
fn whatever_is_let_pass_cannot_end_the_transaction() {
    let db = TestDb::new();
    let judge = RefCell::new(Judge::new(&db));
    let tally = RefCell::new(Tally::of("scripts of pieces at random"));
    let piece = select(vec![
        "'",
        "''",
        "\\",
        "\\'",
        "e'",
        "E'",
        "u&'",
        "u&\"",
        "n'",
        "x'",
        "\"",
        "$$",
        "$a$",
        "$a",
        "a$$",
        "1$$",
        "$1",
        "/*",
        "*/",
        "--",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\u{a0}",
        "\u{feff}",
        ";",
        ";",
        ";",
        "commit",
        "commit",
        "rollback",
        "begin",
        "atomic",
        "end",
        "case",
        "select 1",
        "select",
        "create function f() returns int language sql ",
        "(",
        ")",
        "é",
        "é$$",
        "set search_path = x",
        "set role pg_monitor",
        "set session x.y = 1",
        "reset all",
        "prepare p as select 1",
        "listen l",
        "load 'auto_explain'",
        "discard plans",
        "declare c cursor with hold for select 1",
        "declare c cursor for select 1",
        "create temp table v as select 1",
        "create local temporary table v on commit drop as select 1",
        "create or replace temporary view v as select 1",
        "create table pg_temp.v as select 1",
        "create table \"pg_temp\".v as select 1",
        "select 1 as a into table pg_temp.v",
        "select 1 as a into temporary v",
        "(select 1 as a into temp v)",
        "explain analyze ",
        "1",
        "e",
        "U&",
        "uescape '!'",
        ",",
        "::",
        "/",
        "-",
        "*",
        "do $$ begin end $$",
    ]);
    let script =
        proptest::collection::vec(piece, 1..14).prop_map(|pieces| pieces.concat().replace("\r\n", "\n"));
    let result = runner(1000, 50_000).run(&script, |script| {
        if first_objection(&script).is_some() {
            tally.borrow_mut().count("refused");
            return Ok(());
        }
        let (ran, stayed) = judge.borrow_mut().run(&script);
        prop_assert!(stayed, "let pass: {:?}", script);
        tally.borrow_mut().count(if ran {
            "let pass, and run"
        } else {
            "let pass, and an error of the server"
        });
        Ok(())
    });
    result.unwrap();
}
