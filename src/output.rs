//! The only place that writes: results to standard output, everything else to
//! standard error.

mod github;
mod human;
mod json;
mod junit;
mod sarif;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Format, LogFormat};
use crate::failure::Failure;
use crate::report::{Event, Report, RollbackReport};

/// The target of what is written to standard error anyway, when that is a log.
const EVENTS: &str = "authmig::events";

/// Where text goes.
pub type Sink = Arc<Mutex<dyn Write + Send>>;

/// The streams of a process, or of a test.
#[derive(Clone)]
pub struct Streams {
    /// Results.
    pub out: Sink,
    /// Progress, questions, errors.
    pub err: Sink,
    /// Whether a person sits at both ends, and so can be asked.
    pub interactive: bool,
    /// Whether colour is welcome on standard error.
    pub colour: bool,
}

impl Streams {
    /// Those of this process.
    pub fn standard() -> Streams {
        use std::io::IsTerminal as _;
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Streams {
            out: Arc::new(Mutex::new(io::stdout())),
            err: Arc::new(Mutex::new(io::stderr())),
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            colour: io::stderr().is_terminal() && !no_colour,
        }
    }

    /// Writes a result.
    pub fn report(&self, report: &Report, format: Format) -> io::Result<()> {
        match format {
            Format::Human | Format::Files(_) => {
                let text = human::report(report);
                write(&self.out, &text)?;
                if let Some(refusal) = human::refusal(report) {
                    write(&self.err, &self.paint(&refusal))?;
                }
                Ok(())
            }
            Format::Json => write(&self.out, &json::report(report)?),
            Format::Github => write(&self.out, &github::report(report)),
            Format::Junit | Format::Sarif => match report {
                Report::Verify(report) if format == Format::Junit => write(&self.out, &junit::verify(report)),
                Report::Verify(report) => write(&self.out, &sarif::verify(report)?),
                // `Command::takes` has refused these.
                _ => write(&self.out, &human::report(report)),
            },
        }
    }

    /// Writes an error: to standard error for people, and as the one JSON object.
    pub fn failure(&self, failure: &Failure, format: Format, log: LogFormat) -> io::Result<()> {
        let text = human::failure(failure);
        match log {
            LogFormat::Text => write(&self.err, &self.paint(&text))?,
            LogFormat::Json => {
                tracing::error!(target: EVENTS, exit = failure.exit.code(), "{}", text.trim_end());
            }
        }
        match format {
            Format::Human | Format::Files(_) | Format::Junit | Format::Sarif => Ok(()),
            Format::Json => write(&self.out, &json::failure(failure)?),
            Format::Github => write(&self.out, &github::failure(failure)),
        }
    }

    /// Writes what happens, if it is of interest at this level of detail.
    pub fn event(&self, event: &Event, verbose: bool, log: LogFormat) {
        let Some(line) = human::event(event, verbose) else { return };
        match log {
            // Progress that nobody can read stops nothing.
            LogFormat::Text => drop(write(&self.err, &line)),
            LogFormat::Json => tracing::info!(target: EVENTS, "{}", line.trim_end()),
        }
    }

    /// Shows what a rollback would do, and asks.
    pub fn ask(&self, report: &RollbackReport) -> Option<bool> {
        if !self.interactive {
            return None;
        }
        write(&self.err, &human::question(report)).ok()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
    }

    /// Starts the log, on standard error. A process has one; later calls do nothing.
    ///
    /// What the driver logs is capped, whatever the filter says: its debug lines hold whole
    /// statements, and a statement can hold a secret.
    pub fn log(&self, verbosity: u8, filter: Option<Targets>, format: LogFormat) {
        let own = match verbosity {
            0 => LevelFilter::WARN,
            1 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let filter = filter
            .unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN).with_target("authmig", own))
            .with_target(EVENTS, LevelFilter::INFO);
        let cap = filter_fn(|metadata| {
            let drivers = ["tokio_postgres", "postgres", "refinery"];
            *metadata.level() <= tracing::Level::INFO
                || !drivers.iter().any(|driver| metadata.target().starts_with(driver))
        });
        let sink = self.err.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || Log(sink.clone()));
        let registry = tracing_subscriber::registry().with(filter).with(cap);
        let _ = match format {
            LogFormat::Text => registry.with(layer).try_init(),
            LogFormat::Json => registry.with(layer.json()).try_init(),
        };
    }

    fn paint(&self, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let mut painted = String::new();
        for line in text.split_inclusive('\n') {
            match ["error:", "hint:"].iter().find(|word| line.starts_with(**word)) {
                Some(&"error:") => painted.push_str(&line.replacen("error:", "\x1b[1;31merror:\x1b[0m", 1)),
                Some(_) => painted.push_str(&line.replacen("hint:", "\x1b[1;36mhint:\x1b[0m", 1)),
                None => painted.push_str(line),
            }
        }
        painted
    }
}

/// A sink as the log wants it.
struct Log(Sink);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// Writes it all, and flushes.
pub fn write(sink: &Sink, text: &str) -> io::Result<()> {
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    sink.write_all(text.as_bytes())?;
    sink.flush()
}
