//! From a target to a connection: what can heal is waited for.

use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls};
use tracing::debug;

use super::{Pauses, Tell, reason};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::{Event, Exit};
use crate::target::Target;

/// How long to try to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// Until when what can heal is tried again; without it, there is one try.
    pub until: Option<Instant>,
    /// Whether a database that does not exist counts among that.
    pub missing_database: bool,
}

/// Connects; while `patience` lasts, again and again if it may yet succeed.
pub(super) fn connect(
    target: &Target,
    config: &Config,
    patience: Patience,
    interrupt: &Interrupt,
    tell: &Tell,
) -> Result<Client, Failure> {
    let mut pauses = Pauses::new();
    let mut told = false;
    loop {
        let error = match interrupt.blocked(|| config.connect(NoTls)) {
            Ok(client) => {
                debug!(database = target.name, "connected");
                return Ok(client);
            }
            Err(error) => error,
        };
        let failure = Failure { heals: heals(&error, patience), ..unreachable(&target.name, &error) };
        let left =
            patience.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() || !failure.heals {
            return Err(failure);
        }
        if !told {
            tell(Event::Waiting(failure.message));
            told = true;
        }
        interrupt.sleep(pauses.next().min(left))?;
    }
}

/// Whether the same try may succeed later, with nobody doing anything about it.
fn heals(error: &postgres::Error, patience: Patience) -> bool {
    match error.code().map(postgres::error::SqlState::code) {
        // Starting up or shutting down, no connection free; nothing heard of a server.
        Some("57P01" | "57P02" | "57P03" | "53300") | None => true,
        Some("3D000") => patience.missing_database,
        Some(_) => false,
    }
}

fn unreachable(name: &str, error: &postgres::Error) -> Failure {
    let message = format!("cannot connect to {name}: {}", reason(error));
    let failure = Failure::new(Exit::Unreachable, message);
    match error.code().map(postgres::error::SqlState::code) {
        Some("28P01" | "28000") => failure.hint("check user and password, and the server's pg_hba.conf"),
        Some("3D000") => failure.hint("create the database first: authmig makes schemas, not databases"),
        Some("53300") => {
            failure.hint("the server has no free connection; try again, or raise max_connections")
        }
        Some("57P03") => failure.hint("the server is starting up or shutting down; try again"),
        Some(_) => failure,
        None => failure.hint("is the server running there, and does it accept connections from here?"),
    }
}
