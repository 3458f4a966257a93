//! `bin/postgres`: authmig, psql and the rest on the database that is meant.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;

use crate::support::{Run, TestDb, finish, setting};

/// A copy of `bin/` beside a `.postgres/` of somebody else, so that no private server can be
/// made: asked for the name of the database.
fn ask(variables: &[(&str, &str)]) -> Run {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["bin", ".postgres"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    for name in ["bin/postgres", "bin/server"] {
        std::fs::copy(root.join(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join(".postgres/foreign"), "").unwrap();
    let path = format!("{}:{}", setting("AUTHMIG_TEST_CLIENTS"), std::env::var("PATH").unwrap());
    let child = Command::new(folder.path().join("bin/postgres"))
        .args(["-AXtc", "select current_database()"])
        .env("PATH", path)
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
