//! The only place that writes: results to standard output, everything else to
//! standard error.

mod diagnostics;
mod format;
mod github;
mod hidden;
mod human;
mod json;
mod junit;
mod live;
mod sarif;
mod text;

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use format::{Format, LogFormat};
pub use live::Live;
use live::Screen;
use text::guarded;

use crate::failure::Failure;
use crate::report::{Event, Exit, Report, RollbackReport};

/// The target of what is written to standard error anyway, when that is a log.
const EVENTS: &str = "authmig::events";

/// Where text goes.
pub type Sink = Arc<Mutex<dyn Write + Send>>;

/// The streams of a process, or of a test.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of a stream")]
pub struct Streams {
    /// Results.
    pub out: Sink,
    /// Progress, questions, errors.
    pub err: Sink,
    /// Whether a person sits at both ends, and so can be asked.
    pub interactive: bool,
    /// Whether colour is welcome on standard error.
    pub colour: bool,
    /// Whether it is on standard output.
    pub colour_out: bool,
    /// Whether nobody can get what is written to standard output.
    pub nowhere: bool,
    /// What goes on, where standard error is a terminal.
    pub live: Option<Live>,
    /// How results are written.
    format: Format,
    /// How errors, progress and logs are written.
    log: LogFormat,
    /// Whether each step is told.
    verbose: bool,
    /// Whether a result is written: a program reads one.
    answered: Arc<AtomicBool>,
}

impl Streams {
    /// Those of this process.
    pub fn standard() -> Streams {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
        let streams = Streams {
            interactive: io::stdin().is_terminal() && err,
            nowhere: is_null(io::stdout()).unwrap_or(false),
            colour: err && !no_colour && !dumb,
            colour_out: out && !no_colour && !dumb,
            ..Streams::plain(Arc::new(Mutex::new(io::stdout())), Arc::new(Mutex::new(io::stderr())))
        };
        if !err || dumb {
            return streams;
        }
        let live = Live::default();
        Streams {
            out: Arc::new(Mutex::new(Screen { stream: io::stdout(), live: live.clone() })),
            err: Arc::new(Mutex::new(Screen { stream: io::stderr(), live: live.clone() })),
            live: Some(live),
            ..streams
        }
    }

    /// Two that are no terminal.
    pub fn plain(out: Sink, err: Sink) -> Streams {
        Streams {
            out,
            err,
            interactive: false,
            colour: false,
            colour_out: false,
            nowhere: false,
            live: None,
            format: Format::Human,
            log: LogFormat::Text,
            verbose: false,
            answered: Arc::default(),
        }
    }

    /// The same, written to in this way.
    #[must_use]
    pub fn spoken(&self, format: Format, log: LogFormat, verbose: bool) -> Streams {
        Streams { format, log, verbose, ..self.clone() }
    }

    /// Writes a result.
    pub fn report(&self, report: &Report) -> io::Result<()> {
        self.nothing_goes_on();
        self.answered.store(true, Ordering::SeqCst);
        let text = match (self.format, report) {
            (Format::Json, _) => json::report(report)?,
            (Format::Github, _) => github::report(report),
            (Format::Junit, Report::Verify(report)) => junit::verify(report),
            (Format::Sarif, Report::Verify(report)) => sarif::verify(report)?,
            _ => self.paint_table(&human::report(report)),
        };
        write(&self.out, &text)?;
        if let (Format::Human, Report::Rollback(RollbackReport { refusal: Some(refusal), .. })) =
            (self.format, report)
        {
            let message = format!("refused: {refusal}; nothing was changed");
            self.failure(&Failure::new(Exit::Refused, message));
        }
        Ok(())
    }

    /// Writes a result that is worth nothing unless somebody gets it.
    pub fn hand_out(&self, report: &Report) -> io::Result<()> {
        if self.nowhere {
            return Err(io::Error::other("it is closed, or /dev/null"));
        }
        self.report(report)
    }

    /// Writes an error: to standard error for people, and as the one JSON object.
    pub fn failure(&self, failure: &Failure) {
        self.nothing_goes_on();
        let text = guarded(&diagnostics::failure(failure));
        match self.log {
            // If it cannot be written, there is nowhere to say so.
            LogFormat::Text => drop(write(&self.err, &self.paint(&text))),
            LogFormat::Json => {
                tracing::error!(target: EVENTS, exit = failure.exit.code(), "{}", text.trim_end());
            }
        }
        self.failure_for_programs(failure);
    }

    /// Writes an error as the one result, where a program reads it and there is none yet.
    pub fn failure_for_programs(&self, failure: &Failure) {
        if self.answered.load(Ordering::SeqCst) {
            return;
        }
        let text = match self.format {
            Format::Human => return,
            Format::Junit => Ok(junit::failure(failure)),
            Format::Sarif => sarif::failure(failure),
            Format::Json => json::failure(failure),
            Format::Github => Ok(github::failure(failure)),
        };
        // If it cannot be written, there is nowhere to say so.
        let _ = text.and_then(|text| write(&self.out, &text));
    }

    /// Writes what happens, if it is of interest at this level of detail.
    pub fn event(&self, event: &Event) {
        if let (Some(live), Some(doing)) = (&self.live, diagnostics::doing(event)) {
            live.show(doing);
        }
        let Some(line) = diagnostics::event(event, self.verbose) else { return };
        let hint = diagnostics::hint(event);
        match self.log {
            // Progress that nobody can read stops nothing.
            LogFormat::Text => {
                let hint = hint.map(|hint| diagnostics::part("hint", &hint)).unwrap_or_default();
                drop(write(&self.err, &self.paint(&guarded(&(line + &hint)))));
            }
            LogFormat::Json => tracing::info!(target: EVENTS, hint, "{}", line.trim_end()),
        }
    }

    /// Shows what a rollback would do, and asks.
    pub fn ask(&self, report: &RollbackReport) -> Option<bool> {
        if !self.interactive {
            return None;
        }
        self.nothing_goes_on();
        write(&self.err, &human::question(report)).ok()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        if !answer.ends_with('\n') {
            let _ = write(&self.err, "\n");
        }
        Some(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
    }

    /// Asks for a secret, which is not shown while it is typed; `None` if standard input is no
    /// terminal. `sleep` ends with an error as soon as a signal comes.
    pub fn ask_secret(
        &self,
        sleep: impl Fn(Duration) -> Result<(), Failure>,
    ) -> Result<Option<String>, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        self.nothing_goes_on();
        let line = hidden::line(sleep, || {
            // Where nobody sees the question, it can be answered all the same.
            let _ = write(&self.err, "JWT secret, base64, not shown here: ");
        });
        if line.is_err() {
            let _ = write(&self.err, "\n");
        }
        line.map(Some)
    }

    /// Starts the log, on standard error. A process has one; later calls do nothing.
    ///
    /// What the driver logs does not come here, and what refinery does is capped, whatever the
    /// filter says: debug lines hold whole statements, and a statement can hold a secret.
    pub fn start_log(&self, verbosity: u8, filter: Option<Targets>) {
        if verbosity == 0 && filter.is_none() && self.log == LogFormat::Text {
            // Nothing that authmig logs is a warning.
            return;
        }
        let own = match verbosity {
            0 => LevelFilter::WARN,
            1 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let filter = filter
            .unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN).with_target("authmig", own))
            .with_target(EVENTS, LevelFilter::INFO);
        let cap = filter_fn(|metadata| {
            *metadata.level() <= tracing::Level::INFO || !metadata.target().starts_with("refinery")
        });
        let sink = self.err.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || Log(sink.clone()));
        let registry = tracing_subscriber::registry().with(filter).with(cap);
        let _ = match self.log {
            LogFormat::Text => registry.with(layer).try_init(),
            LogFormat::Json => registry.with(layer.json()).try_init(),
        };
    }

    fn nothing_goes_on(&self) {
        if let Some(live) = &self.live {
            live.end();
        }
    }

    /// Colours the words of a table that say how something stands.
    fn paint_table(&self, text: &str) -> String {
        if !self.colour_out {
            return text.to_owned();
        }
        let mut painted = String::new();
        for line in text.split_inclusive('\n') {
            let word =
                line.strip_prefix("  ").and_then(|row| row.split_once("  ")).map(|(_, rest)| rest.trim());
            let colour = word.and_then(|rest| {
                let word = rest.split("  ").next()?;
                let colour = match word {
                    "passed" | "applied" => "32",
                    "skipped" | "pending" => "33",
                    "FAILED" | "changed" | "missing" | "out of order" | "newer" => "1;31",
                    _ => return None,
                };
                Some((word, colour))
            });
            match colour {
                Some((word, colour)) => {
                    painted.push_str(&line.replacen(word, &format!("\x1b[{colour}m{word}\x1b[0m"), 1));
                }
                None => painted.push_str(line),
            }
        }
        painted
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
    /// `bytes` are a whole entry.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&self.0, &guarded(&String::from_utf8_lossy(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether what is written there is thrown away. A Rust program has /dev/null for a stream
/// that was closed.
fn is_null(stream: impl AsFd) -> io::Result<bool> {
    let stream = File::from(stream.as_fd().try_clone_to_owned()?).metadata()?;
    let null = fs::metadata("/dev/null")?;
    Ok(stream.file_type().is_char_device() && stream.rdev() == null.rdev())
}

/// Writes it all, and flushes.
pub fn write(sink: &Sink, text: &str) -> io::Result<()> {
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    sink.write_all(text.as_bytes())?;
    sink.flush()
}
