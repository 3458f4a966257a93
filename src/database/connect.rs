//! From a target to a connection: every place, every address, with and without TLS, as
//! libpq would try them.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::config::{SslMode as DriverMode, SslNegotiation};
use postgres::{Client, Config, SimpleQueryMessage};
use rustls::pki_types::ServerName;
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::{debug, info};

use super::errors::plain;
use super::handshake::{Begun, Noting};
use super::refusal::Refusal;
use super::{Tell, tls};
use crate::failure::Failure;
use crate::interrupt::{Cancel, Interrupt};
use crate::report::{Event, Exit, Weight};
use crate::target::{Address, ChannelBinding, Negotiation, Place, SessionAttrs, SslMode, Target, Tls};

/// How long to try to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// How long each address may take, to the end of the login; zero is for ever, and
    /// `None` leaves it to the target.
    pub attempt: Option<Duration>,
    /// Until when what can heal is to be tried again; without it, there is one try.
    pub until: Option<Instant>,
    /// Whether a database that does not exist counts among that.
    pub missing_database: bool,
}

/// How long an address may take if nobody says.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A connection that stands.
pub(super) struct Connected {
    pub(super) client: Client,
    /// `user@host:port/dbname` of the place that it leads to.
    pub(super) name: String,
    /// Asks the server to end what it is doing.
    pub(super) cancel: Cancel,
}

/// Tells where each setting of the target comes from, and what of it is not used. Once, however
/// often it is connected to.
pub fn announce(target: &Target, tell: &Tell) {
    for line in target.origins() {
        info!("{line}");
    }
    for warning in &target.warnings {
        tell(Event::Notice { weight: Weight::Warning, text: warning.clone(), hint: None });
    }
}

/// Connects, in one round through all places. `config` has what is not the target's.
pub(super) fn connect(
    target: &Target,
    config: &Config,
    patience: Patience,
    interrupt: &Interrupt,
) -> Result<Connected, Failure> {
    // It reads files, and a socket needs none.
    let is_socket = |place: &Place| matches!(place.address, Address::Socket(_));
    let tls = if target.places.iter().all(is_socket) { &Tls::OFF } else { &target.tls };
    let round = Round {
        target,
        interrupt,
        config: with_target(config, target),
        tls: tls::connector(tls)?,
        attempt: patience.attempt.or(target.connect_timeout).unwrap_or(ATTEMPT),
        until: patience.until,
    };
    let connected = interrupt.blocked(|| round.run()).map_err(|tried| failure(target, &tried, patience))?;
    debug!(database = connected.name, "connected");
    Ok(connected)
}

/// What the driver is told in every attempt.
fn with_target(config: &Config, target: &Target) -> Config {
    let mut config = config.clone();
    config.user(&target.user).dbname(&target.dbname).application_name(&target.application_name);
    if let Some(options) = &target.options {
        config.options(options);
    }
    let keepalives = &target.keepalives;
    config.keepalives(keepalives.on);
    if let Some(idle) = keepalives.idle {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = keepalives.interval {
        config.keepalives_interval(interval);
    }
    if let Some(count) = keepalives.count {
        config.keepalives_retries(count);
    }
    if let Some(timeout) = keepalives.user_timeout {
        config.tcp_user_timeout(timeout);
    }
    config.channel_binding(match target.channel_binding {
        ChannelBinding::Disable => postgres::config::ChannelBinding::Disable,
        ChannelBinding::Prefer => postgres::config::ChannelBinding::Prefer,
        ChannelBinding::Require => postgres::config::ChannelBinding::Require,
    });
    config.ssl_negotiation(match target.tls.negotiation {
        Negotiation::Postgres => SslNegotiation::Postgres,
        Negotiation::Direct => SslNegotiation::Direct,
    });
    config
}

/// One round through all places.
struct Round<'a> {
    target: &'a Target,
    interrupt: &'a Interrupt,
    config: Config,
    /// The driver wants one also where it does not use it.
    tls: MakeRustlsConnect,
    /// How long an attempt may take; zero is for ever.
    attempt: Duration,
    /// When patience ends.
    until: Option<Instant>,
}

/// What came of one attempt.
struct Tried<'a> {
    place: &'a Place,
    address: Option<SocketAddr>,
    /// With or without TLS, where both were tried.
    how: &'static str,
    refusal: Refusal,
}

impl<'a> Round<'a> {
    /// How long the next attempt may take: a server that says nothing must not outlast the
    /// patience by much.
    fn limit(&self) -> Option<Duration> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| left.max(Duration::from_secs(1)));
        let attempt = Some(self.attempt).filter(|attempt| !attempt.is_zero());
        attempt.into_iter().chain(left).min()
    }

    /// Whether there was an attempt, and patience is at its end.
    fn is_over(&self, tried: &[Tried<'_>]) -> bool {
        !tried.is_empty() && self.until.is_some_and(|until| Instant::now() >= until)
    }

    fn run(&self) -> Result<Connected, Vec<Tried<'a>>> {
        let mut tried = Vec::new();
        let wishes: &[SessionAttrs] = match self.target.session {
            SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
            other => &[other],
        };
        for wish in wishes {
            tried.clear();
            let mut places: Vec<_> = self.target.places.iter().collect();
            if self.target.shuffled {
                shuffle(&mut places);
            }
            for place in places {
                if let Some(connected) = self.place(place, *wish, &mut tried) {
                    return Ok(connected);
                }
                if tried.last().is_some_and(|tried| tried.refusal.ends_the_round()) || self.is_over(&tried) {
                    return Err(tried);
                }
            }
        }
        Err(tried)
    }

    /// All addresses of a place.
    fn place(&self, place: &'a Place, wish: SessionAttrs, tried: &mut Vec<Tried<'a>>) -> Option<Connected> {
        let addresses = match &place.address {
            Address::Socket(_) => vec![None],
            Address::Ip(address) => vec![Some(SocketAddr::new(*address, place.port))],
            Address::Name(name) => match self.resolve(name, place.port) {
                Ok(addresses) => addresses.into_iter().map(Some).collect(),
                Err(refusal) => {
                    tried.push(Tried { place, address: None, how: "", refusal });
                    return None;
                }
            },
        };
        for address in addresses {
            // A socket stays on this machine: there is nothing to encrypt.
            let mode = if address.is_some() { self.target.tls.mode } else { SslMode::Disable };
            let ways: &[(DriverMode, &str)] = match mode {
                SslMode::Disable => &[(DriverMode::Disable, "")],
                SslMode::Allow => &[(DriverMode::Disable, "without TLS"), (DriverMode::Require, "with TLS")],
                SslMode::Prefer => &[(DriverMode::Prefer, "with TLS"), (DriverMode::Disable, "without TLS")],
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[(DriverMode::Require, "")],
            };
            for (index, (driver_mode, how)) in ways.iter().enumerate() {
                let begun = Begun::default();
                let refusal = match self.attempt(place, address, *driver_mode, wish, &begun) {
                    Ok(connected) => return Some(connected),
                    Err(refusal) => refusal,
                };
                // `Prefer` was without TLS already if the server can do none: to try that again
                // would count as one more failed login.
                let was_without = *driver_mode == DriverMode::Prefer && !begun.get();
                let again = index + 1 < ways.len() && !was_without && refusal.depends_on_tls();
                let how = if again || index > 0 { how } else { "" };
                tried.push(Tried { place, address, how, refusal });
                if !again {
                    break;
                }
            }
            if tried.last().is_some_and(|tried| tried.refusal.ends_the_round()) {
                break;
            }
        }
        None
    }

    fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Refusal> {
        let host = (name.to_owned(), port);
        let found =
            self.in_time(self.limit(), move || host.to_socket_addrs().map(Iterator::collect::<Vec<_>>))?;
        let mut addresses = match found {
            Ok(addresses) if !addresses.is_empty() => addresses,
            Ok(_) => return Err(Refusal::Unresolved("it has no address".to_owned())),
            Err(error) => return Err(Refusal::Unresolved(plain(&error.to_string()))),
        };
        addresses.dedup();
        if self.target.shuffled {
            shuffle(&mut addresses);
        }
        Ok(addresses)
    }

    fn in_time<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        match self.interrupt.in_time(limit, work) {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(Refusal::Silent(limit.unwrap_or_default())),
            Err(error) => Err(Refusal::Other(format!("no thread can be made to connect in: {error}"), None)),
        }
    }

    fn attempt(
        &self,
        place: &Place,
        address: Option<SocketAddr>,
        mode: DriverMode,
        wish: SessionAttrs,
        begun: &Begun,
    ) -> Result<Connected, Refusal> {
        let mut config = self.config.clone();
        config.port(place.port).ssl_mode(mode);
        match (&place.address, address) {
            (Address::Socket(folder), _) => {
                config.host_path(folder);
            }
            (_, Some(address)) => {
                // The name is what the certificate has to have. One that no certificate can
                // have does no harm where nobody looks at it.
                let address_name = address.ip().to_string();
                let host = place.host.as_deref().unwrap_or(&address_name);
                let can_be_named = ServerName::try_from(host).is_ok();
                if !can_be_named && self.target.tls.mode == SslMode::VerifyFull {
                    let why = "the name of this host cannot stand in a certificate".to_owned();
                    return Err(Refusal::Other(why, None));
                }
                config.host(if can_be_named { host } else { &address_name });
                config.hostaddr(address.ip());
            }
            (_, None) => {}
        }
        if let Some(password) = &place.password {
            config.password(&password.secret);
        }
        let limit = self.limit();
        if let Some(limit) = limit {
            config.connect_timeout(limit);
        }
        self.connect(config, limit, place, wish, begun)
    }

    fn connect(
        &self,
        config: Config,
        limit: Option<Duration>,
        place: &Place,
        wish: SessionAttrs,
        begun: &Begun,
    ) -> Result<Connected, Refusal> {
        let tls = Noting::new(self.tls.clone(), begun.clone());
        let for_cancel = tls.clone();
        let connected = self.in_time(limit, move || {
            let mut client = config.connect(tls)?;
            let unwanted = if wish == SessionAttrs::Any { None } else { unwanted(&mut client, wish)? };
            Ok((client, unwanted))
        })?;
        match connected {
            Ok((_, Some(unwanted))) => Err(Refusal::Unwanted(unwanted)),
            Ok((client, None)) => {
                let token = client.cancel_token();
                Ok(Connected {
                    client,
                    name: self.target.name_at(&place.to_string()),
                    cancel: Arc::new(move || {
                        // A request that does not arrive is made again.
                        let _ = token.cancel_query(for_cancel.clone());
                    }),
                })
            }
            Err(error) => {
                let host = place.host.clone().unwrap_or_else(|| place.to_string());
                Err(Refusal::new(error, &host, &self.target.tls.roots))
            }
        }
    }
}

/// Why this server is not the one that was wished for, if it is not.
fn unwanted(client: &mut Client, wish: SessionAttrs) -> Result<Option<&'static str>, postgres::Error> {
    let question =
        "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
    let answer = client.simple_query(question)?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
        _ => None,
    });
    let (standby, read_only) = row.unwrap_or_default();
    Ok(match wish {
        SessionAttrs::ReadWrite if read_only => Some("it only reads"),
        SessionAttrs::ReadOnly if !read_only => Some("it does not only read"),
        SessionAttrs::Primary if standby => Some("it is a standby"),
        SessionAttrs::Standby if !standby => Some("it is no standby"),
        _ => None,
    })
}

impl Tried<'_> {
    /// Whether the same server was tried. What is no IP address is told by its place alone.
    fn is_at_that_of(&self, other: &Tried<'_>) -> bool {
        std::ptr::eq(self.place, other.place) && self.address == other.address
    }
}

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.to_string();
        f.write_str(&place)?;
        if let Some(address) = self.address.filter(|address| !place.contains(&address.ip().to_string())) {
            write!(f, " ({})", address.ip())?;
        }
        if !self.how.is_empty() {
            write!(f, " {}", self.how)?;
        }
        write!(f, ": {}", self.refusal.why())
    }
}

/// Everything that was tried, as one error.
fn failure(target: &Target, tried: &[Tried<'_>], patience: Patience) -> Failure {
    let name = target.name();
    let mut whys: Vec<_> = tried.iter().map(|tried| tried.refusal.why()).collect();
    whys.dedup();
    // A server that was found and has said no says so again, whoever else cannot be reached. Of
    // its two ways, with TLS and without, one may heal.
    let said_no = tried.last().filter(|last| last.refusal.ends_the_round());
    let heals = tried
        .iter()
        .filter(|tried| said_no.is_none_or(|last| tried.is_at_that_of(last)))
        .any(|tried| tried.refusal.heals(patience.missing_database));
    // That it does no TLS is no advice where the server has said something without.
    let telling = match tried {
        [.., said, Tried { refusal: Refusal::NoTls, how, .. }] if !how.is_empty() => Some(said),
        // Who got as far as the password was let in by pg_hba.conf.
        [.., said, last] if said.is_at_that_of(last) && said.refusal.is_of_password() => Some(said),
        _ => tried.last(),
    };
    let hint = telling.and_then(|tried| tried.refusal.hint(target, tried.place.password.as_ref(), patience));
    let (message, findings) = match (&whys[..], target.places.len()) {
        ([why], 1) => (format!("cannot connect to {name}: {why}"), Vec::new()),
        _ => (
            format!("cannot connect to {name}"),
            tried.iter().map(|tried| tried.to_string().into()).collect(),
        ),
    };
    Failure { heals, findings, hint, ..Failure::new(Exit::Unreachable, message) }
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let random = getrandom::u32().unwrap_or_default();
        items.swap(last, random as usize % (last + 1));
    }
}
