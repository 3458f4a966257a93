//! SIGINT and SIGTERM: cancel what the server is doing, roll back, exit 130 or 143.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::failure::Failure;
use crate::report::Exit;

/// How long the main thread has to roll back and say so. After that the process
/// ends without it, and the server rolls back when it sees the connection gone.
const GRACE: Duration = Duration::from_secs(5);

/// How long the last word may take: nobody may be reading any more.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A cancel request may come just before the statement that it is for: it is
/// repeated for as long as a statement runs.
const CANCEL_EVERY: Duration = Duration::from_millis(500);

/// What to do if nobody knows whether a commit was done.
pub const COMMIT_HINT: &str = "`authmig status` tells what is applied; look there before another run";

/// How often a thread that waits looks for signals while nobody listens.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks the server to end what it is doing.
pub type Cancel = Arc<dyn Fn() + Send + Sync>;

/// Writes what ends the process.
type Say = Arc<dyn Fn(&Failure) + Send + Sync>;

/// Whether the process was asked to end, and how that reaches the main thread.
#[derive(Clone, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when a signal has come.
    woken: Condvar,
    /// The last signal that came, set before any thread knows of it.
    arrived: Arc<AtomicUsize>,
    /// Whether a signal ends the process where it stands: while nobody listens yet, and when
    /// nobody will any more.
    at_once: Arc<AtomicBool>,
    /// What tells of them, until a thread has taken it to listen.
    signals: Mutex<Option<Signals>>,
    say: OnceLock<Say>,
    /// Whether somebody has begun to say how the run ends: one does.
    concluded: AtomicBool,
}

#[derive(Default)]
struct State {
    signal: Option<u8>,
    phase: Phase,
    changed: Changed,
}

/// What the run has changed so far.
#[derive(Clone, Copy, Default)]
pub enum Changed {
    /// Nothing that would stay.
    #[default]
    Nothing,
    /// A commit is under way.
    Unknown,
    /// What was committed.
    Something,
}

impl Changed {
    /// How a message about an error ends.
    pub fn words(self) -> &'static str {
        match self {
            Changed::Nothing => "nothing was changed",
            Changed::Unknown => "whether the commit was done is not known",
            Changed::Something => "what was committed stays",
        }
    }
}

/// What the main thread is doing.
#[derive(Clone, Default)]
enum Phase {
    /// Something that has changed nothing and does not look up: connecting, asking.
    #[default]
    Blocked,
    /// Waiting for the server to answer.
    Running(Cancel),
    /// About to look.
    Attentive,
}

impl Interrupt {
    /// Signals end the process with the code that is meant for them from now on; who listens
    /// comes with [`Interrupt::listen`], since a thread costs more than most of a short run.
    /// Call it once in a process.
    pub fn install() -> std::io::Result<Interrupt> {
        let interrupt = Interrupt::default();
        interrupt.shared.at_once.store(true, Ordering::SeqCst);
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or(0);
            flag::register_usize(signal, interrupt.shared.arrived.clone(), number)?;
            flag::register_conditional_shutdown(signal, 128 + signal, interrupt.shared.at_once.clone())?;
        }
        let signals = Signals::new([SIGINT, SIGTERM])?;
        if std::process::id() == 1 {
            signals.add_signal(SIGCHLD)?;
            reap();
        }
        *interrupt.signals() = Some(signals);
        // One may have come between the two handlers.
        match interrupt.shared.arrived.load(Ordering::SeqCst) {
            0 => Ok(interrupt),
            signal => std::process::exit(128 + i32::try_from(signal).unwrap_or(0)),
        }
    }

    /// How to say that a signal ends the process, if the main thread cannot.
    pub fn on_end(&self, say: impl Fn(&Failure) + Send + Sync + 'static) {
        // It is said one time, so who comes second is not needed.
        let _ = self.shared.say.set(Arc::new(say));
    }

    /// The main thread is about to say how the run ends. If the process is ending with
    /// another word already, this does not return.
    pub fn conclude(&self) {
        if self.shared.concluded.swap(true, Ordering::SeqCst) && self.state().signal.is_some() {
            loop {
                thread::park();
            }
        }
    }

    /// Has a thread listen, unless one does.
    pub fn listen(&self) {
        if self.signals().is_some() {
            let this = self.clone();
            self.shared.at_once.store(false, Ordering::SeqCst);
            let spawned = thread::Builder::new().name("signals".to_owned()).spawn(move || this.listen_here());
            self.shared.at_once.store(spawned.is_err(), Ordering::SeqCst);
        }
    }

    /// Listens for as long as the process lives, unless another thread does.
    fn listen_here(&self) {
        let Some(mut signals) = self.signals().take() else { return };
        for signal in signals.forever() {
            match signal {
                SIGCHLD => reap(),
                signal => self.raise(u8::try_from(signal).unwrap_or(0)),
            }
        }
    }

    /// What `work` returns; none if it takes longer than this: then it is left behind, in a
    /// thread that ends when the network lets it. A signal meanwhile ends the process. An
    /// error if there can be no thread.
    ///
    /// The first of these threads that is done goes on as the one that listens.
    pub fn in_time<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        // `work` changes nothing, so a signal may end the process at once.
        self.state().phase = Phase::Blocked;
        let Some(limit) = limit else {
            self.listen();
            return Ok(Some(work()));
        };
        let (sender, receiver) = mpsc::channel();
        let this = self.clone();
        self.shared.at_once.store(false, Ordering::SeqCst);
        let spawned = thread::Builder::new().name("connect".to_owned()).spawn(move || {
            // If nobody waits any more, what came of it does not matter.
            let _ = sender.send(work());
            this.listen_here();
        });
        if let Err(error) = spawned {
            self.shared.at_once.store(true, Ordering::SeqCst);
            return Err(error);
        }
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(result) => return Ok(Some(result)),
                Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return Ok(None),
            }
            // Nobody listens while that thread is busy.
            let signal = u8::try_from(self.shared.arrived.load(Ordering::SeqCst)).unwrap_or(0);
            if signal != 0 && self.signals().is_some() {
                self.raise(signal);
            }
        }
    }

    fn raise(&self, signal: u8) {
        let (repeated, phase) = {
            let mut state = self.state();
            (state.signal.replace(signal).is_some(), state.phase.clone())
        };
        self.shared.woken.notify_all();
        if repeated || matches!(phase, Phase::Blocked) {
            self.end(signal);
        }
        let (cancelling, ending) = (self.clone(), self.clone());
        let threads = [
            thread::Builder::new().spawn(move || {
                loop {
                    // The request may hang, as the server may: it is not to hold up the end.
                    let phase = cancelling.state().phase.clone();
                    if let Phase::Running(cancel) = phase {
                        cancel();
                    }
                    thread::sleep(CANCEL_EVERY);
                }
            }),
            thread::Builder::new().spawn(move || {
                thread::sleep(GRACE);
                ending.end(signal);
            }),
        ];
        if threads.iter().any(Result::is_err) {
            self.end(signal);
        }
    }

    /// Ends the process without the main thread.
    fn end(&self, signal: u8) -> ! {
        let failure = interrupted(signal, self.state().changed);
        if let Some(say) =
            self.shared.say.get().filter(|_| !self.shared.concluded.swap(true, Ordering::SeqCst))
        {
            let (sender, receiver) = mpsc::channel();
            let say = say.clone();
            let said = thread::Builder::new().spawn(move || {
                say(&failure);
                let _ = sender.send(());
            });
            if said.is_ok() {
                let _ = receiver.recv_timeout(LAST_WORD);
            }
        }
        std::process::exit(i32::from(Exit::Signal(signal).code()))
    }

    /// The last thing before another program takes over: from now on a signal ends the
    /// process where it stands, since nobody would hear of it; an error if one has come.
    pub fn leave(&self) -> Result<(), Failure> {
        self.shared.at_once.store(true, Ordering::SeqCst);
        match u8::try_from(self.shared.arrived.load(Ordering::SeqCst)).unwrap_or(0) {
            0 => Ok(()),
            signal => Err(Failure::new(Exit::Signal(signal), format!("interrupted by {}", name(signal)))),
        }
    }

    /// An error if a signal has come.
    pub fn check(&self) -> Result<(), Failure> {
        let state = self.state();
        match state.signal {
            None => Ok(()),
            Some(signal) => Err(interrupted(signal, state.changed)),
        }
    }

    /// What the run has changed so far.
    pub fn changed(&self) -> Changed {
        self.state().changed
    }

    /// What is true from here on, also if a signal ends the process.
    pub fn note(&self, changed: Changed) {
        self.state().changed = changed;
    }

    /// Runs `work` while a signal calls `cancel`.
    pub fn running<T>(&self, cancel: Cancel, work: impl FnOnce() -> T) -> T {
        self.during(Phase::Running(cancel), work)
    }

    /// Runs `work` while a signal ends the process at once.
    pub fn blocked<T>(&self, work: impl FnOnce() -> T) -> T {
        self.during(Phase::Blocked, work)
    }

    fn during<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        self.state().phase = phase;
        let result = work();
        self.state().phase = Phase::Attentive;
        result
    }

    /// Sleeps; an error as soon as a signal comes.
    pub fn sleep(&self, duration: Duration) -> Result<(), Failure> {
        self.listen();
        let end = Instant::now() + duration;
        let mut state = self.state();
        state.phase = Phase::Attentive;
        loop {
            if let Some(signal) = state.signal {
                return Err(interrupted(signal, state.changed));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            (state, _) = self.shared.woken.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signals(&self) -> MutexGuard<'_, Option<Signals>> {
        self.shared.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn interrupted(signal: u8, changed: Changed) -> Failure {
    let name = name(signal);
    let failure = Failure::new(Exit::Signal(signal), format!("interrupted by {name}; {}", changed.words()));
    if matches!(changed, Changed::Unknown) { failure.hint(COMMIT_HINT) } else { failure }
}

fn name(signal: u8) -> &'static str {
    match i32::from(signal) {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        _ => "a signal",
    }
}

/// Takes note of the orphans that have ended. To process 1 of a container they all fall,
/// and it has no children of its own.
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}
