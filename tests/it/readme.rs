//! The README is true: its console blocks, its table of exit codes, its help.

use std::collections::BTreeSet;
use std::process::Command;

use authmig::report::Exit;
use clap::CommandFactory as _;

use crate::support::{TestDb, finish};

const README: &str = include_str!("../../README.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The text between this fence and the next one.
fn blocks<'a>(text: &'a str, fence: &str) -> Vec<&'a str> {
    text.split(fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_console_blocks_show_what_the_commands_print() {
    shows_what_is_printed(README);
}

#[test]
fn the_console_blocks_of_the_operators_guide_do_so_too() {
    shows_what_is_printed(OPERATIONS);
}

#[test]
fn the_rust_that_is_asked_for_is_no_older_than_what_the_locked_packages_ask_for() {
    let declared = env!("CARGO_PKG_RUST_VERSION");
    assert!(README.contains(&format!("With Rust {declared} or newer installed")), "{declared}");
    // Of this machine's target only: the packages of others need not have been downloaded.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let target = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version=1", "--filter-platform", target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').take(2).map(|part| part.parse().unwrap()).collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.iter().any(|package| package["name"] == "refinery"));
    for package in packages {
        if let Some(wanted) = package["rust_version"].as_str() {
            assert!(numbers(wanted) <= numbers(declared), "{} asks for {wanted}", package["name"]);
        }
    }
}

/// Runs the console blocks of a page from top to bottom, on one database.
fn shows_what_is_printed(page: &str) {
    // The roles are there already, so that none of them is said to stay.
    TestDb::new().authmig(&["migrate"]).exits(0);
    let db = TestDb::new();
    let folder = tempfile::tempdir().unwrap();
    for block in blocks(page, "```console\n") {
        for case in block.trim().split("$ ").filter(|case| !case.is_empty()) {
            let (command, expected) = case.split_once('\n').unwrap();
            if let Some(sql) = command.strip_prefix("psql -c ") {
                // What psql says is psql's.
                db.sql(sql.trim_matches('\''));
                continue;
            }
            assert!(command.starts_with("authmig "), "{command}");
            let arguments: Vec<_> = command.split(' ').skip(1).collect();
            let run = finish(db.command(&arguments).current_dir(folder.path()).spawn().unwrap());
            let printed = normal(&format!("{}{}", run.stdout, run.stderr), &db);
            let shown = normal(expected.trim_end(), &db);
            assert_eq!(printed.trim_end(), shown, "$ {command}");
        }
    }
}

/// The text without what is different each time: target, user, times.
fn normal(text: &str, db: &TestDb) -> String {
    let target = format!("postgres@127.0.0.1:{}/{}", db.port(), db.name);
    let words = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let same = words.iter().enumerate().filter(|(_, word)| !word.is_empty()).map(|(index, word)| {
            let next = words.get(index + 1);
            match *word {
                word if word == target || word == "app@db.example:5432/app" => "TARGET".to_owned(),
                "postgres" | "app" => "USER".to_owned(),
                word if next == Some(&"ms") && word.parse::<u32>().is_ok() => "N".to_owned(),
                word if word.starts_with("20") && word.matches('-').count() == 2 => "DAY".to_owned(),
                word if word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    "DIGEST".to_owned()
                }
                word if word.len() == 8 && word.matches(':').count() == 2 => "TIME".to_owned(),
                word => word.to_owned(),
            }
        });
        same.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_binary() {
    let all = [
        Exit::Success,
        Exit::Failure,
        Exit::Usage,
        Exit::Pending,
        Exit::Drift,
        Exit::Unreachable,
        Exit::Locked,
        Exit::Refused,
        Exit::ScriptFailed,
        Exit::Newer,
    ];
    let rows: Vec<&str> = README
        .split("| exit code | meaning |\n| --- | --- |\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(rows.len(), all.len() + 2);
    let help = TestDb::new().authmig(&["--help"]).exits(0).stdout;
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    for (exit, row) in all.into_iter().zip(&rows) {
        let meaning = row.strip_prefix(&format!("| {} | ", exit.code())).unwrap();
        let first = meaning.split(" (").next().unwrap().trim_end_matches(" |").replace('`', "");
        assert!(help.contains(&format!("  {}  {first}", exit.code())), "{first}\n{help}");
    }
    assert!(rows[all.len()].starts_with("| 126, 127 | "));
    assert_eq!((Exit::NotExecutable.code(), Exit::NotFound.code()), (126, 127));
    assert!(rows[all.len() + 1].starts_with("| 130, 143 | "));
    assert_eq!((Exit::Signal(2).code(), Exit::Signal(15).code()), (130, 143));
}

#[test]
fn the_operators_guide_says_of_each_exit_code_what_to_do() {
    let codes = |page: &str, heading: &str| {
        let rows = page.split(heading).nth(1).unwrap().lines().take_while(|line| line.starts_with('|'));
        rows.map(|row| row.split(" | ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let operations = codes(OPERATIONS, "| exit code | meaning | what to do |\n| --- | --- | --- |\n");
    assert_eq!(operations, codes(README, "| exit code | meaning |\n| --- | --- |\n"));
}

#[test]
fn every_file_that_is_linked_to_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/operations.md",
        "docs/sql-api.md",
        "docs/migrations.md",
        "docs/architecture.md",
        "docs/performance.md",
        "docs/reliability.md",
        "examples/README.md",
    ] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let folder = root.join(page).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            assert!(target.starts_with("https://") || folder.join(target).exists(), "{page}: {target}");
        }
    }
}

#[test]
fn every_option_in_the_tables_exists() {
    let db = TestDb::new();
    for command in ["migrate", "status", "verify", "rollback", "install", "export"] {
        let row = README.lines().find(|line| line.starts_with(&format!("| `{command}` | "))).unwrap();
        let help = db.authmig(&[command, "--help"]).exits(0).stdout;
        for option in row.split("`--").skip(1).map(|rest| rest.split(['`', ' ']).next().unwrap()) {
            assert!(help.contains(&format!("--{option}")), "{command} --{option}");
        }
    }
}

#[test]
fn the_options_without_a_variable_are_those_that_it_names() {
    /// The options of this command and of those below it, by where they are said.
    fn collect(command: &clap::Command, without: &mut BTreeSet<String>, with: &mut BTreeSet<String>) {
        for argument in command.get_arguments() {
            let Some(name) = argument.get_long().filter(|name| !["help", "version"].contains(name)) else {
                continue;
            };
            let options = if argument.get_env().is_some() { &mut *with } else { &mut *without };
            options.insert(format!("--{name} of {}", command.get_name()));
        }
        command.get_subcommands().for_each(|command| collect(command, without, with));
    }
    let (mut without, mut with) = (BTreeSet::new(), BTreeSet::new());
    collect(&authmig::cli::Cli::command(), &mut without, &mut with);
    // Its variables are read with psql's.
    assert!(without.remove("--database-url of authmig"));
    let name = |option: &String| option.split(' ').next().unwrap().to_owned();
    let with: BTreeSet<_> = with.iter().map(name).collect();
    let without: BTreeSet<_> = without
        .iter()
        .map(|option| if with.contains(&name(option)) { option.clone() } else { name(option) })
        .collect();
    let list = README.split("has no variable:").nth(1).unwrap();
    let list = list.split("\n\n").next().unwrap().replace(['\n', '`'], " ");
    let words: Vec<_> = list.split([' ', ',', '.']).filter(|word| !word.is_empty()).collect();
    let named: BTreeSet<_> = (0..words.len())
        .filter(|&index| words[index].starts_with("--"))
        .map(|index| match words.get(index + 1) {
            Some(&"of") => words[index..index + 3].join(" "),
            _ => words[index].to_owned(),
        })
        .collect();
    assert_eq!(named, without);
}
