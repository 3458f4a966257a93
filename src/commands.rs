//! One file a command: take options, return a report.

pub mod export;
pub mod grants;
pub mod install;
pub mod manual;
pub mod migrate;
pub mod rollback;
pub mod secret;
pub mod status;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::database::{Database, Limits, Patience, Pauses, Tell};
use crate::failure::{Failure, Found};
use crate::history::History;
use crate::interrupt::Interrupt;
use crate::message::{Message, Sections};
use crate::migration::Version;
use crate::parameters::{self, Values};
use crate::plan::{Obstacle, Plan, Until};
use crate::report::{Event, Exit, Report, RollbackReport};
use crate::target::Target;

/// What every command works with.
pub struct Context<'a> {
    /// The migrations of this binary.
    pub catalog: &'a Catalog,
    /// The database.
    pub target: Target,
    /// How long to try to connect.
    pub patience: Patience,
    /// How long to wait for what.
    pub limits: Limits,
    /// The install parameters that were given.
    pub given: BTreeMap<&'static str, String>,
    /// SIGINT and SIGTERM.
    pub interrupt: Interrupt,
    /// Who is told what happens.
    pub tell: Tell,
    /// Shows what is planned and asks whether to go on; `None` where nobody can be asked.
    pub ask: &'a dyn Fn(&RollbackReport) -> Option<bool>,
    /// Asks a person for a secret; `None` where standard input is no terminal.
    pub ask_secret: &'a dyn Fn() -> Result<Option<String>, Failure>,
    /// Writes a result before anything is committed; an error if nobody gets it.
    pub hand_out: &'a dyn Fn(&Report) -> Result<(), Failure>,
}

impl<'a> Context<'a> {
    /// Connects to the database, and reads the history and the answers to these questions.
    ///
    /// `--wait` is for both: a pooler lets one log in before it has a server.
    pub fn open(&self, questions: &Message) -> Result<(Database, History, Sections), Failure> {
        let mut waiting = Waiting::new(self);
        loop {
            let failure = match self.try_open(questions) {
                Err(failure) if failure.heals => failure,
                result => return result,
            };
            if !waiting.goes_on(failure.in_short())? {
                return Err(failure);
            }
        }
    }

    /// The same, and nothing is waited for.
    fn try_open(&self, questions: &Message) -> Result<(Database, History, Sections), Failure> {
        let mut database =
            Database::connect(&self.target, self.patience, self.limits, &self.interrupt, &self.tell)?;
        let (history, answers) = database.history_and(questions)?;
        Ok((database, history, answers))
    }

    /// The install parameters for a database with this history.
    pub fn parameters(&self, history: &History) -> Result<Values, Failure> {
        let mut stored = history.parameters.clone();
        // Where nothing is installed any more, others may be chosen.
        if history.applied.is_empty() {
            stored.retain(|name, _| !self.given.contains_key(name.as_str()));
        }
        parameters::resolve(&self.given, &stored).map_err(|message| Failure::new(Exit::Usage, message))
    }

    /// What there is to apply.
    pub fn up(
        &self,
        database: &Database,
        history: &History,
        to: Option<Version>,
    ) -> Result<Plan<'a>, Failure> {
        Plan::up(self.catalog, history, to).map_err(|obstacle| refused(database.name(), obstacle))
    }

    /// What there is to revert.
    pub fn down(&self, database: &Database, history: &History, until: Until) -> Result<Plan<'a>, Failure> {
        Plan::down(self.catalog, history, until).map_err(|obstacle| refused(database.name(), obstacle))
    }
}

/// Why there is no plan, in words.
fn refused(name: &str, obstacle: Obstacle) -> Failure {
    let (exit, message, findings, hint) = match obstacle {
        Obstacle::Target(message) => return Failure::new(Exit::Usage, message),
        Obstacle::Drift(findings) => (
            Exit::Drift,
            format!("{name} does not fit this binary; nothing was changed"),
            findings,
            "use the authmig that applied these, or restore what was edited or lost; `authmig status` shows all",
        ),
        Obstacle::Newer(findings) => (
            Exit::Newer,
            format!("{name} is newer than this binary; nothing was changed"),
            findings,
            "use an authmig at least as new as the one that migrated",
        ),
    };
    let findings = findings.into_iter().map(Found::from).collect();
    Failure { findings, ..Failure::new(exit, message) }.hint(hint)
}

/// What `--wait` does between two looks.
struct Waiting<'a> {
    context: &'a Context<'a>,
    pauses: Pauses,
    /// For which reasons, as far as they were told.
    told: BTreeSet<String>,
}

impl<'a> Waiting<'a> {
    fn new(context: &'a Context<'a>) -> Waiting<'a> {
        Waiting { context, pauses: Pauses::default(), told: BTreeSet::new() }
    }

    /// Tells why, once for each reason, and pauses. Whether there is time for another look.
    fn goes_on(&mut self, why: String) -> Result<bool, Failure> {
        let Context { patience, tell, interrupt, .. } = self.context;
        let left = patience.until.map(|until| until.saturating_duration_since(Instant::now()));
        let Some(left) = left.filter(|left| !left.is_zero()) else { return Ok(false) };
        if self.told.insert(why.clone()) {
            tell(Event::Waiting(why));
        }
        let pause = self.pauses.pause();
        interrupt.sleep(pause.min(left))?;
        Ok(pause < left)
    }
}
