//! A line of the terminal that is not shown while it is typed.

use std::io;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

use crate::failure::Failure;
use crate::report::Exit;

/// What is typed behind these is lost. Linux, termios(3), "Canonical and noncanonical mode".
const LONGEST: usize = 4095;

/// How often the main thread looks whether the line has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The line, or the signal that came in its place. Either way the terminal is as it was.
/// `ask` shows what is asked for; `sleep` ends with an error as soon as a signal comes.
pub(super) fn line(
    sleep: impl Fn(Duration) -> Result<(), Failure>,
    ask: impl FnOnce(),
) -> Result<String, Failure> {
    let unreadable =
        |error: io::Error| Failure::new(Exit::Failure, format!("the terminal cannot be read: {error}"));
    // From now on a signal is waited for, and does not end the process where it stands.
    sleep(Duration::ZERO)?;
    let _echo = Echo::off().map_err(unreadable)?;
    ask();
    let (sender, receiver) = mpsc::channel();
    // What reads a terminal cannot be interrupted, but it can be left behind.
    let read = move || {
        let mut text = String::new();
        let _ = sender.send(io::stdin().read_line(&mut text).map(|_| text));
    };
    thread::Builder::new().spawn(read).map_err(unreadable)?;
    loop {
        match receiver.try_recv() {
            Ok(Ok(line)) if line.trim_end_matches('\n').len() >= LONGEST => {
                let message = format!(
                    "what was typed may be cut: a terminal hands over {LONGEST} characters of a line; nothing was changed"
                );
                return Err(Failure::new(Exit::Usage, message).hint("give it in a file, or by a pipe"));
            }
            Ok(result) => return result.map_err(unreadable),
            Err(TryRecvError::Empty) => sleep(LOOK_EVERY)?,
            Err(TryRecvError::Disconnected) => return Ok(String::new()),
        }
    }
}

/// The terminal as it was; dropped, it is so again.
struct Echo(Termios);

impl Echo {
    fn off() -> io::Result<Echo> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut after = before.clone();
        after.local_flags.remove(LocalFlags::ECHO);
        after.local_flags.insert(LocalFlags::ECHONL);
        // Nobody would turn it on again after these.
        for key in [SpecialCharacterIndices::VQUIT, SpecialCharacterIndices::VSUSP] {
            after.control_chars[key as usize] = termios::_POSIX_VDISABLE;
        }
        termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &after)?;
        Ok(Echo(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}
