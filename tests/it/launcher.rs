//! `bin/postgres`: authmig, psql and the rest on the database that is meant.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;

use crate::support::{Run, TestDb, finish, setting};

/// A copy of `bin/` beside a `.postgres/` of somebody else, so that no private server can be
/// made: asked for the name of the database.
fn ask(variables: &[(&str, &str)]) -> Run {
    call(&["-AXtc", "select current_database()"], variables)
}

/// The same copy, asked this. The authmig that is built there is the one that is tested.
fn call(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["bin", ".postgres", "target", "target/release"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    for name in ["bin/postgres", "bin/server"] {
        std::fs::copy(root.join(name), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join(".postgres/foreign"), "").unwrap();
    // There is nothing to build it from.
    symlink("/usr/bin/true", folder.join("cargo")).unwrap();
    symlink(env!("CARGO_BIN_EXE_authmig"), folder.join("target/release/authmig")).unwrap();
    let clients = setting("AUTHMIG_TEST_CLIENTS");
    let path = format!("{}:{clients}:{}", folder.display(), std::env::var("PATH").unwrap());
    let child = Command::new(folder.join("bin/postgres"))
        .args(arguments)
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    finish(child.unwrap())
}

#[test]
fn it_goes_to_the_database_that_a_variable_or_its_file_names() {
    let db = TestDb::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!(" {}\n\n", db.url())).unwrap();
    let (url, file) = (db.url(), file.path().to_str().unwrap());
    let wrong = "postgres://nobody@127.0.0.1:1/nothing";
    for variables in [
        &[("DATABASE_URL", &*url)][..],
        &[("DATABASE_URL_FILE", file)],
        &[("AUTHMIG_DATABASE_URL_FILE", file), ("DATABASE_URL", wrong)],
        &[("AUTHMIG_DATABASE_URL", &url), ("DATABASE_URL_FILE", "/nowhere")],
    ] {
        let run = ask(variables).exits(0);
        assert_eq!(run.stdout, format!("{}\n", db.name), "{variables:?}");
    }
}

#[test]
fn a_variable_that_cannot_be_followed_makes_no_private_server() {
    let run = ask(&[("DATABASE_URL", "postgres://one"), ("DATABASE_URL_FILE", "two")]).exits(1);
    assert_eq!(
        run.stderr,
        "bin/postgres: DATABASE_URL and DATABASE_URL_FILE are both set, and only one can be meant\n"
    );
    let run = ask(&[("DATABASE_URL_FILE", "postgres://me:secret@here")]).exits(1);
    assert_eq!(
        run.stderr,
        "bin/postgres: the file that DATABASE_URL_FILE names cannot be read, or is empty\n"
    );
}

#[test]
fn it_goes_nowhere_without_an_option_that_cannot_be_handed_on() {
    let db = TestDb::new();
    let ask_with = |options: &str| ask(&[("DATABASE_URL", &format!("{}?{options}", db.url()))]);
    for options in [
        "sslmode=disable",
        "application_name=a%20b&connect_timeout=5&",
        "options=-c%20geqo%3Doff",
        "keepalives_idle=30&tcp_user_timeout=5",
    ] {
        assert_eq!(ask_with(options).exits(0).stdout, format!("{}\n", db.name), "{options}");
    }
    // The server has no TLS.
    for options in ["sslmode=require", "ssl=true"] {
        let run = ask_with(options).exits(2);
        assert!(run.stderr.contains("server does not support SSL, but SSL was required"), "{}", run.stderr);
    }
    let unknown = "has an option that psql does not know, or takes from no variable";
    for (options, wrong) in [
        ("sslmod=require", unknown),
        ("pgbouncer=true", unknown),
        ("ssl=false", "has ssl with another value than true"),
        ("SSLMODE=require", "has something behind its ? that is no option"),
        ("sslmode", "has something behind its ? that is no option"),
        ("sslmode=disable&&", "has something behind its ? that is no option"),
        ("sslmode=a=b", "has something behind its ? that is no option"),
    ] {
        let run = ask_with(options).exits(1);
        assert_eq!(run.stderr, format!("bin/postgres: DATABASE_URL {wrong}\n"), "{options}");
    }
}

#[test]
fn it_hands_on_every_option_that_has_a_variable() {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bin/postgres")).unwrap();
    let handed_on = script.split("with_variable='").nth(1).unwrap().split('\'').next().unwrap();
    let handed_on: BTreeSet<_> = handed_on.split_whitespace().collect();
    let page = include_str!("../../docs/operations.md");
    let table = page.split("\n### Parameter by parameter\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let column = |number: usize| {
        let rows = table.lines().filter(|line| line.starts_with("| "));
        rows.filter_map(move |row| row.split('|').nth(number))
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
    };
    let variables: BTreeSet<_> = column(2).map(|name| name.replace('_', "")).collect();
    let with_variable: BTreeSet<_> = column(1)
        .filter(|parameter| {
            let name = match *parameter {
                "dbname" => "database",
                "application_name" => "appname",
                name => name,
            };
            variables.contains(&format!("PG{}", name.replace('_', "").to_uppercase()))
        })
        .collect();
    assert_eq!(handed_on, with_variable);
}

#[test]
fn who_asks_for_help_or_a_version_gets_no_server_made_or_removed() {
    for (arguments, begins) in [
        (&["--help"][..], "postgres: authmig, psql "),
        (&["-h"], "postgres: authmig, psql "),
        (&["stop", "--help"], "postgres: authmig, psql "),
        (&["destroy", "-h"], "postgres: authmig, psql "),
        (&["--version"], "psql (PostgreSQL) "),
        (&["-V"], "psql (PostgreSQL) "),
        (&["psql", "--help"], "psql is the PostgreSQL interactive terminal."),
        (&["pg_dump", "-?"], "pg_dump "),
        (&["pg_dump", "--version"], "pg_dump (PostgreSQL) "),
        (&["help"], "Token management for PostgREST"),
        (&["migrate", "-h"], "Apply "),
        (&["install", "--help"], "Wait "),
        (&["secret", "help"], ""),
    ] {
        let run = call(arguments, &[]).exits(0);
        assert!(run.stdout.starts_with(begins), "{arguments:?}: {}", run.stdout);
    }
    // To others it is an argument, or none at all.
    for arguments in [&["-h", "here"][..], &["install", "--", "sh", "-h"], &["sh", "-V"]] {
        let run = call(arguments, &[]).exits(1);
        assert!(run.stderr.contains("/.postgres was not made by bin/postgres here"), "{}", run.stderr);
    }
    let run = call(&["destroy", "this"], &[]).exits(1);
    assert_eq!(run.stderr, "bin/postgres: destroy takes no words\n");
}

#[test]
fn every_command_of_authmig_is_one_of_its_words() {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bin/postgres")).unwrap();
    let words = script.lines().find_map(|line| line.strip_suffix(") run_authmig \"$@\" ;;")).unwrap();
    let words: BTreeSet<_> = words.trim().split(" | ").collect();
    let cli = authmig::cli::Cli::command();
    let commands: BTreeSet<_> = cli.get_subcommands().map(clap::Command::get_name).chain(["help"]).collect();
    assert_eq!(words, commands);
    let heading = script.lines().find_map(|line| line.strip_prefix("#   bin/postgres migrate|")).unwrap();
    for word in heading.split(' ').next().unwrap().split('|') {
        assert!(commands.contains(word), "{word}");
    }
}
