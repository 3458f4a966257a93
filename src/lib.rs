//! authmig: token management for PostgREST, in your database.
//!
//! Data flows one way:
//!
//! - [`cli`] is what was asked for,
//! - [`catalog`] what this binary has, [`migration`] by migration, each checked by [`scanner`], and the [`manifest`] of what they create,
//! - [`target`] which database, [`database`] the connection to it, [`message`] what is said there,
//! - [`history`] what the database has, [`parameters`] the names it was installed with,
//! - [`plan`] what is to be done, a pure function of the two,
//! - [`commands`] do it, and [`checks`] look at it,
//! - [`export`] writes it for other tools,
//! - [`report`] is what came of it, or a [`failure`],
//! - [`output`] writes that, and nobody else writes anything.
//!
//! [`interrupt`] ends a run early; a [`secret`] passes through unseen. [`run`] is the whole line in one function.

pub mod catalog;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod database;
pub mod export;
pub mod failure;
pub mod history;
pub mod interrupt;
pub mod manifest;
pub mod message;
pub mod migration;
pub mod output;
pub mod parameters;
pub mod plan;
pub mod report;
pub mod scanner;
pub mod secret;
pub mod target;

use std::io;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::cli::{Cli, Command, Complaint};
use crate::commands::Context;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{LogFormat, Streams};
use crate::report::{Event, Exit, Report};
use crate::target::{Surroundings, Target};

/// Takes the command line, does what it says, writes the result, and returns the
/// status to exit with. `catalog` gives the migrations.
pub fn run<E: Into<anyhow::Error>>(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    catalog: impl FnOnce() -> Result<Catalog, E>,
    streams: &Streams,
    interrupt: &Interrupt,
) -> Exit {
    let cli = match Cli::parse(arguments) {
        Ok(cli) => cli,
        Err(complaint) => return usage(&complaint, streams),
    };
    let mut streams = streams.spoken(cli.format(), cli.common.log_format, cli.common.verbose > 0);
    if cli.command.hands_over() {
        // Standard output is that of the command which comes after.
        streams.out = streams.err.clone();
        streams.colour_out = streams.colour;
    }
    interrupt.on_end({
        let streams = streams.clone();
        move |failure| streams.failure(failure)
    });
    let result = execute(&cli, catalog, &streams, interrupt);
    interrupt.conclude();
    let exit = match result {
        Ok(Some(report)) => {
            let done = report.lasting().map_or_else(String::new, |what| format!("; {what}"));
            let result = streams.report(&report);
            // What is told on standard error need not be heard by anybody.
            let result = if cli.command.hands_over() { Ok(()) } else { result };
            written(result, report.exit(), &done, &streams)
        }
        Ok(None) => Exit::Success,
        Err(error) => {
            // What is not a failure with a code of its own is an error like any other.
            let failure = error
                .downcast::<Failure>()
                .unwrap_or_else(|error| Failure::new(Exit::Failure, format!("{error:#}")));
            streams.failure(&failure);
            failure.exit
        }
    };
    let Command::Install(args) = &cli.command else { return exit };
    let Some(program) = args.command.first() else { return exit };
    if exit != Exit::Success {
        streams.event(&Event::notice(format!("{} was not started", program.to_string_lossy())));
        return exit;
    }
    let failure = commands::install::hand_over(program, args, interrupt);
    streams.failure(&failure);
    failure.exit
}

/// What a run ends with when its result was written, or was not: then standard error says so,
/// and what was done all the same.
fn written(result: io::Result<()>, exit: Exit, done: &str, streams: &Streams) -> Exit {
    match result {
        // Done is done, also if the reader has left, as in `authmig status | head -1`.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            streams.failure(&unwritable(&error, done));
            Exit::Failure
        }
        _ => exit,
    }
}

fn unwritable(error: &io::Error, done: &str) -> Failure {
    Failure::new(Exit::Failure, format!("standard output cannot be written: {error}{done}"))
}

/// The report, unless it has been written already.
fn execute<E: Into<anyhow::Error>>(
    cli: &Cli,
    catalog: impl FnOnce() -> Result<Catalog, E>,
    streams: &Streams,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Report>> {
    streams.start_log(cli.common.verbose, cli.common.log.clone());
    if !cli.command.takes(cli.format()) {
        let message = "this command has no such --format: json is for all that work with a database, github for migrate, status and verify, junit and sarif for verify";
        return Err(Failure::new(Exit::Usage, message).into());
    }
    let catalog = catalog().map_err(|error| error.into().context("a migration cannot be used"))?;
    let told = streams.clone();
    let ask = |report: &report::RollbackReport| streams.ask(report);
    let ask_secret = || streams.ask_secret(|pause| interrupt.sleep(pause));
    let hand_out = |report: &Report| {
        streams.hand_out(report).map_err(|error| unwritable(&error, "; nothing was changed"))
    };
    let tell: database::Tell = Arc::new(move |event| told.event(&event));
    // Only for commands that need a database: the others need none to be named.
    let context = || -> Result<Context<'_>, Failure> {
        let target = Target::resolve(cli.common.database_url.as_deref(), &Surroundings::of_this_process()?)?;
        database::announce(&target, &tell);
        Ok(Context {
            catalog: &catalog,
            target,
            patience: cli.patience(),
            limits: cli.common.limits(),
            given: cli.common.parameters.given(),
            interrupt: interrupt.clone(),
            tell: tell.clone(),
            ask: &ask,
            ask_secret: &ask_secret,
            hand_out: &hand_out,
        })
    };
    Ok(Some(match &cli.command {
        Command::Migrate(args) => Report::Migrate(commands::migrate::run(&context()?, args)?),
        Command::Status(args) => Report::Status(commands::status::run(&context()?, args)?),
        Command::Rollback(args) => Report::Rollback(commands::rollback::run(&context()?, args)?),
        Command::Grants => Report::Grants(commands::grants::run(&context()?)?),
        Command::Secret(args) => return Ok(commands::secret::run(&context()?, args)?.map(Report::Secret)),
        Command::Verify(args) => Report::Verify(commands::verify::run(&context()?, args)?),
        Command::Install(args) => Report::Install(commands::install::run(&context()?, args)?),
        Command::Export(args) => Report::Export(commands::export::run(cli, args, &catalog)?),
        Command::Completions { shell } => Report::Text(commands::manual::completions(*shell)?),
        Command::Man { folder } => Report::Text(commands::manual::pages(folder.as_deref())?),
        Command::ExitCodes => Report::Text(report::EXIT_CODES.to_owned()),
    }))
}

/// Help and version go to standard output, complaints to standard error.
fn usage(Complaint { error, format, log }: &Complaint, streams: &Streams) -> Exit {
    let streams = &streams.spoken(*format, *log, false);
    streams.start_log(0, None);
    if error.kind() == clap::error::ErrorKind::DisplayVersion {
        let result = output::write(&streams.out, &version());
        return written(result, Exit::Success, "", streams);
    }
    let colour = if error.use_stderr() { streams.colour } else { streams.colour_out };
    let text = if colour { error.render().ansi().to_string() } else { error.render().to_string() };
    if error.use_stderr() {
        let said = error.render().to_string();
        let said = said.strip_prefix("error: ").unwrap_or(&said).trim_end();
        let failure = Failure::new(Exit::Usage, said);
        match log {
            LogFormat::Text => {
                // If this cannot be written, there is nowhere to say so.
                let _ = output::write(&streams.err, &text);
                streams.failure_for_programs(&failure);
            }
            LogFormat::Json => {
                streams.failure(&failure);
            }
        }
        return Exit::Usage;
    }
    written(output::write(&streams.out, &text), Exit::Success, "", streams)
}

/// What `--version` says. The digest is that of `LC_ALL=C sha256sum * | sha256sum` in
/// the folder of the migrations, so anybody can compare it with a clone.
fn version() -> String {
    let count = Catalog::embedded().map_or(0, |catalog| catalog.migrations().len());
    format!(
        "authmig {}\ncommit      {}\ntarget      {}\nmigrations  {count}, sha256 {}\n",
        report::VERSION,
        env!("AUTHMIG_COMMIT"),
        env!("AUTHMIG_TARGET"),
        catalog::embedded_digest()
    )
}
