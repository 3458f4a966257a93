//! `authmig install`: the entrypoint of a container. Waits for the server, migrates,
//! verifies, and becomes the command that was meant to run.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process;

use super::{Context, migrate, verify};
use crate::checks;
use crate::cli::{InstallArgs, MigrateArgs, VerifyArgs};
use crate::failure::{Failure, Found};
use crate::interrupt::Interrupt;
use crate::report::{Exit, InstallReport, MigrateReport, VERSION};

/// Runs the command, up to where the other one takes over.
pub fn run(context: &Context<'_>, args: &InstallArgs) -> Result<InstallReport, Failure> {
    if args.dry_run {
        return Err(Failure::new(
            Exit::Usage,
            "install has no dry run (AUTHMIG_DRY_RUN); nothing was changed",
        )
        .hint("authmig migrate --dry-run has one"));
    }
    if args.to.is_some() {
        return Err(Failure::new(
            Exit::Usage,
            "install applies everything that is pending, and stops at no version (AUTHMIG_TO); nothing was changed",
        )
        .hint("authmig migrate --to VERSION does"));
    }
    let migrating = MigrateArgs {
        to: None,
        dry_run: false,
        show_sql: false,
        adopt: args.adopt,
        jwt_secret_file: args.jwt_secret_file.clone(),
    };
    let verifying = VerifyArgs { only: Vec::new(), skip: Vec::new(), strict: args.strict };
    let secret = migrate::given(&migrating)?;
    let (mut database, migrated) = migrate::migrate(context, &migrating, secret)?;
    let verified = database
        .history_and(&checks::questions_of_fact())
        .and_then(|(history, answers)| verify::verify(context, &verifying, &mut database, history, answers))
        .map_err(|failure| with_applied(failure, &migrated))?;
    Ok(InstallReport {
        database: database.name().to_owned(),
        authmig: VERSION,
        exit: verified.exit,
        migrate: migrated,
        verify: verified,
    })
}

/// A failure behind the commit, with what was committed.
fn with_applied(mut failure: Failure, migrated: &MigrateReport) -> Failure {
    let applied = migrated.applied.iter().map(|step| format!("{} was applied, and stays", step.label()));
    failure.findings.extend(applied.map(Found::from));
    failure
}

/// Becomes the command. Returns only if that cannot be.
pub fn hand_over(program: &OsStr, args: &InstallArgs, interrupt: &Interrupt) -> Failure {
    let mut command = process::Command::new(program);
    command.args(args.command.iter().skip(1));
    if !args.keep_env {
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_own(&name.to_string_lossy())) {
            command.env_remove(name);
        }
    }
    let name = program.to_string_lossy();
    if let Err(failure) = interrupt.leave() {
        let message = format!("{}; {name} was not started; the migrations are applied", failure.message);
        return Failure { message, ..failure };
    }
    // Handlers and mask are the default ones in the new program.
    let error = command.exec();
    let (exit, reason) = match error.kind() {
        io::ErrorKind::NotFound if program.is_empty() => (Exit::NotFound, "it has no name".to_owned()),
        // A name without a slash is looked for on PATH, not here.
        io::ErrorKind::NotFound if name.contains('/') && Path::new(program).exists() => {
            (Exit::NotFound, "the program that its first line names is missing".to_owned())
        }
        io::ErrorKind::NotFound => (Exit::NotFound, error.to_string()),
        _ => (Exit::NotExecutable, error.to_string()),
    };
    let name = if program.is_empty() { "the command".into() } else { name };
    Failure::new(exit, format!("{name} cannot be run: {reason}; the migrations are applied"))
}

/// Whether this variable is meant for authmig, or may hold the password with which it
/// connects. Where the server is (`PGHOST`, …) is no secret, and the command may want it.
fn is_own(name: &str) -> bool {
    name.starts_with("AUTHMIG_") || ["DATABASE_URL", "DATABASE_URL_FILE", "PGPASSWORD"].contains(&name)
}
