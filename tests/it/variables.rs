//! The variables of the options: what is empty is absent, and a flag's says yes or no.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use clap::CommandFactory as _;

use crate::support::{TestDb, all_applied, finish, versions};

/// The variables of this command and of those below it: all, or those of flags.
fn variables(command: &clap::Command, flags: bool) -> BTreeSet<String> {
    let own = command.get_arguments().filter(|argument| !flags || !argument.get_action().takes_values());
    let own = own.filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned()));
    let below = command.get_subcommands().flat_map(|command| variables(command, flags));
    own.chain(below).collect()
}

/// The history after one step back.
fn without_the_newest() -> Vec<i32> {
    versions().split_last().unwrap().1.to_owned()
}

#[test]
fn an_empty_variable_is_an_absent_one() {
    let db = TestDb::new();
    let all = variables(&authmig::cli::Cli::command(), false);
    assert!(all.len() > 15, "{all:?}");
    let run = |arguments: &[&str]| {
        let mut command = db.command(arguments);
        finish(command.envs(all.iter().map(|name| (name, ""))).spawn().unwrap()).exits(0)
    };
    assert!(run(&["install", "--", "true"]).stderr.contains(&all_applied()));
    let all = format!("{} applied, 0 pending\n", versions().len());
    assert!(run(&["status"]).stdout.ends_with(&all));
    run(&["secret", "generate"]);
    run(&["verify"]);
    run(&["rollback", "--yes"]);
    assert_eq!(db.history(), without_the_newest());
}

#[test]
fn a_flags_variable_says_yes_or_no_and_nothing_else() {
    let db = TestDb::new();
    let flags = variables(&authmig::cli::Cli::command(), true);
    assert!(flags.contains("AUTHMIG_WAIT_FOR_DATABASE") && flags.contains("AUTHMIG_DRY_RUN"), "{flags:?}");
    for command in [&["migrate"][..], &["status"], &["install"], &["verify"], &["rollback", "--yes"]] {
        let mut run = db.command(command);
        finish(run.envs(flags.iter().map(|name| (name, "false"))).spawn().unwrap()).exits(0);
    }
    assert_eq!(db.history(), without_the_newest());
    for (command, flag) in [
        ("migrate", "AUTHMIG_DRY_RUN"),
        ("migrate", "AUTHMIG_ADOPT"),
        ("status", "AUTHMIG_CHECK"),
        ("verify", "AUTHMIG_STRICT"),
        ("install", "AUTHMIG_KEEP_ENV"),
        ("status", "AUTHMIG_WAIT_FOR_DATABASE"),
    ] {
        let run = finish(db.command(&[command]).env(flag, "maybe").spawn().unwrap()).exits(2);
        assert!(run.stderr.starts_with("error: invalid value 'maybe' for '--"), "{}", run.stderr);
    }
    assert_eq!(db.history(), without_the_newest());
    // What the flag is needed for is refused without it.
    finish(db.command(&["migrate", "--show-sql"]).env("AUTHMIG_DRY_RUN", "no").spawn().unwrap()).exits(2);
}

#[test]
fn install_waits_for_a_database_as_long_as_it_waits_for_the_server() {
    let db = TestDb::new();
    for said in ["true", "1", "YES"] {
        let mut install = db.command(&["install"]);
        finish(install.env("AUTHMIG_WAIT_FOR_DATABASE", said).spawn().unwrap()).exits(0);
    }
    db.authmig(&["install", "--wait-for-database"]).exits(0);
    db.authmig(&["status", "--wait-for-database", "--wait", "1s"]).exits(0);
    // One environment for all of a stack: what does not wait has no use for it.
    for command in [&["migrate"][..], &["status"], &["secret", "status"], &["exit-codes"]] {
        let mut run = db.command(command);
        finish(run.env("AUTHMIG_WAIT_FOR_DATABASE", "1").spawn().unwrap()).exits(0);
    }
    let run = db.authmig(&["status", "--wait-for-database"]).exits(2);
    assert!(
        run.stderr
            .starts_with("error: --wait-for-database (AUTHMIG_WAIT_FOR_DATABASE) needs --wait DURATION\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_complaint_names_the_variable_that_a_value_comes_from() {
    let db = TestDb::new();
    let run = |arguments: &[&str], variable: &str| {
        let mut command = db.command(arguments);
        finish(command.env(variable, "bad").spawn().unwrap()).exits(2).stderr
    };
    for (arguments, variable) in [
        (&["status"][..], "AUTHMIG_WAIT"),
        (&["status"], "AUTHMIG_FORMAT"),
        (&["migrate"], "AUTHMIG_ADOPT"),
        (&["secret", "status"], "AUTHMIG_LOG_FORMAT"),
    ] {
        let said = run(arguments, variable);
        assert!(said.contains(&format!("tip: it comes from the variable {variable}\n")), "{said}");
    }
    let run = |arguments: &[&str], variable: &str| {
        let mut command = db.command(arguments);
        command
            .env(variable, OsStr::from_bytes(b"\xff"))
            .env("AUTHMIG_JWT_SECRET_FILE", OsStr::from_bytes(b"\xfe"));
        finish(command.spawn().unwrap()).exits(2).stderr
    };
    for (arguments, variable) in [
        (&["migrate"][..], "AUTHMIG_TO"),
        (&["status"], "AUTHMIG_WAIT"),
        (&["status"], "AUTHMIG_OWNER_ROLE"),
        (&["secret", "status"], "AUTHMIG_LOG"),
    ] {
        let said = run(arguments, variable);
        assert!(
            said.contains("UTF-8") && said.contains(&format!("tip: it comes from the variable {variable}\n")),
            "{said}"
        );
    }
    for given in [&["status", "--wait", "worse"][..], &["status", "--wait=worse"]] {
        let said = run(given, "AUTHMIG_WAIT");
        assert!(said.contains("'worse'") && !said.contains("AUTHMIG_WAIT"), "{said}");
    }
}

#[test]
fn help_names_every_variable_whatever_it_says() {
    let db = TestDb::new();
    let help = |value: &str| {
        let mut command = db.command(&["migrate", "--help"]);
        finish(command.env("AUTHMIG_DRY_RUN", value).env("AUTHMIG_TO", value).spawn().unwrap())
            .exits(0)
            .stdout
    };
    for value in ["", "no"] {
        let said = help(value);
        assert!(said.contains("[env: AUTHMIG_DRY_RUN]") && said.contains("[env: AUTHMIG_TO]"), "{said}");
    }
}

#[test]
fn help_and_manual_show_of_no_variable_what_it_says() {
    let db = TestDb::new();
    let definition = authmig::cli::Cli::command();
    let all = variables(&definition, false);
    let commands = definition.get_subcommands().map(|command| vec![command.get_name()]);
    let secret = ["set", "generate", "status"].map(|command| vec!["secret", command]);
    for command in commands.chain(secret).chain([vec![]]) {
        for arguments in [[&["help"], &*command], [&*command, &["-h"]], [&*command, &["--help"]]] {
            let mut command = db.command(&arguments.concat());
            let said = "postgres://u:hunter2@h/db";
            let run = finish(command.envs(all.iter().map(|name| (name, said))).spawn().unwrap()).exits(0);
            assert!(!run.stdout.is_empty() && !run.stdout.contains("hunter2"), "{}", run.stdout);
        }
    }
    let manual = db.with("AUTHMIG_ANON_ROLE", "hunter2").authmig(&["man"]).exits(0).stdout;
    assert!(manual.contains("AUTHMIG_ANON_ROLE") && !manual.contains("hunter2"), "{manual}");
}

#[test]
fn a_variable_that_is_misspelled_changes_nothing_and_is_told() {
    let db = TestDb::new();
    for (given, meant) in [
        ("AUTHMIG_DRYRUN", "AUTHMIG_DRY_RUN"),
        ("AUTHMIG_JWT_SECRETFILE", "AUTHMIG_JWT_SECRET_FILE"),
        ("AUTHMIG_LOCK_WAI", "AUTHMIG_LOCK_WAIT"),
        ("AUTHMIG_DATABASEURL", "AUTHMIG_DATABASE_URL"),
        ("AUTHMIG_T0", "AUTHMIG_TO"),
        ("AUTHMIG_CHEKC", "AUTHMIG_CHECK"),
        ("AUTHMIG_FROMAT", "AUTHMIG_FORMAT"),
        ("AUTHMIG_WIAT", "AUTHMIG_WAIT"),
    ] {
        let mut command = db.command(&["migrate"]);
        let run = finish(command.env(given, "true").spawn().unwrap()).exits(2);
        let said = format!("error: {given} is no variable of authmig: is {meant} meant?\n");
        assert!(run.stderr.starts_with(&said), "{}", run.stderr);
    }
    assert_eq!(db.history(), [0; 0]);
    // Kubernetes sets such ones for a service that is called authmig; others are of the tests.
    for other in ["AUTHMIG_PORT", "AUTHMIG_SERVICE_HOST", "AUTHMIG_PORT_5432_TCP_ADDR", "AUTHMIG_TEST_X"] {
        let mut command = db.command(&["migrate", "--dry-run"]);
        finish(command.env(other, "1").spawn().unwrap()).exits(0);
    }
}
