//! The last line of a terminal, which says what goes on and for how long. Whatever else
//! is written takes its place.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthChar as _;

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// To the first column, and blank from there.
const ERASE: &str = "\r\x1b[K";

/// The line. All copies are one.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What goes on, and since when.
    doing: Option<(String, Instant)>,
    drawn: bool,
    ticking: bool,
}

impl Live {
    /// Says what goes on now.
    pub(super) fn show(&self, doing: String) {
        let mut state = self.state();
        state.doing = Some((doing, Instant::now()));
        state.draw();
        if !state.ticking {
            let this = self.clone();
            // Without a thread, the line does not say for how long.
            let ticks = thread::Builder::new().spawn(move || {
                loop {
                    thread::sleep(TICK);
                    this.state().draw();
                }
            });
            state.ticking = ticks.is_ok();
        }
    }

    /// Nothing goes on any more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.doing = None;
        state.erase();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    // If a terminal takes no more, nothing is lost but this line.
    fn draw(&mut self) {
        let Some((doing, since)) = &self.doing else { return };
        let seconds = since.elapsed().as_secs();
        let line = if seconds == 0 { doing.clone() } else { format!("{doing} {seconds} s") };
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        // The cursor waits at the front, so that what is written past us overwrites it.
        let _ = write!(io::stderr(), "{ERASE}{}\r", cut(&line, width.max(20) - 1));
        self.drawn = true;
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "{ERASE}");
        }
    }
}

/// The front of the text, as far as it fits.
fn cut(text: &str, width: usize) -> String {
    let mut left = width;
    text.chars()
        .take_while(|c| {
            let needed = c.width().unwrap_or(0);
            let fits = needed <= left;
            left = left.saturating_sub(needed);
            fits
        })
        .collect()
}

/// A stream of the terminal: what is written to it erases the line first.
pub(super) struct Screen<W> {
    pub(super) stream: W,
    pub(super) live: Live,
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.live.state().erase();
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_the_terminal_ends() {
        assert_eq!(cut("running 日本", 9), "running ");
        assert_eq!(cut("running 日本", 10), "running 日");
        assert_eq!(cut("short", 80), "short");
    }
}
