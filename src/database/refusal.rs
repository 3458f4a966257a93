//! Why a server did not let us in: in words, with advice, and whether that can heal.

use std::error::Error;
use std::io;
use std::time::Duration;

use postgres::error::DbError;

use super::connect::Patience;
use super::errors::{longer, reason};
use super::tls;
use crate::target::{Password, Roots, Target};

/// Why an attempt did not end in a connection.
pub(super) enum Refusal {
    /// It took too long.
    Silent(Duration),
    /// The name has no address.
    Unresolved(String),
    /// The server is of the wrong kind.
    Unwanted(&'static str),
    /// The server refused, and said why.
    Server(Box<postgres::Error>),
    /// The certificate is not accepted, or TLS fails otherwise: what is wrong, what may help.
    Tls(String, Option<&'static str>),
    /// The connection could not be made, or broke.
    Network(String),
    /// It broke while TLS was being opened.
    Handshake(String),
    /// The server can do no TLS.
    NoTls,
    /// What does not change by itself: what is wrong, what may help.
    Other(String, Option<&'static str>),
}

impl Refusal {
    /// What this error of the driver means.
    pub(super) fn new(error: postgres::Error, host: &str, roots: &Roots) -> Refusal {
        if error.as_db_error().is_some() {
            return Refusal::Server(Box::new(error));
        }
        if let Some(error) = rustls_error(&error) {
            let (why, hint) = tls::explain(error, host, roots);
            // What only we cannot do is no reason to go on without TLS.
            return if why == tls::VERSION_1 { Refusal::Other(why, hint) } else { Refusal::Tls(why, hint) };
        }
        // The driver's kinds of error can be told apart by their texts alone.
        let kind = error.to_string();
        let reason = reason(&error);
        match (kind.split(": ").next().unwrap_or_default(), &*reason) {
            ("error performing TLS handshake", "server does not support TLS") => Refusal::NoTls,
            ("connection closed", _)
            | (_, "early eof" | "unexpected end of file" | "bytes remaining on stream") => {
                Refusal::Network("it closed the connection".to_owned())
            }
            ("error performing TLS handshake", _) => Refusal::Handshake(format!("TLS fails: {reason}")),
            (_, reason) if reason.starts_with("invalid message length") => {
                Refusal::Other("what answers there is no PostgreSQL server".to_owned(), None)
            }
            ("error connecting to server" | "error communicating with the server", _) => {
                Refusal::Network(reason)
            }
            ("unexpected message from server" | "error parsing response from server", _) => {
                Refusal::Other("what answers there is no PostgreSQL server".to_owned(), None)
            }
            (_, "password missing") => Refusal::Other(
                "it asks for a password, and none was given".to_owned(),
                Some("set PGPASSWORD, or use a password file, ~/.pgpass"),
            ),
            _ => Refusal::Other(reason, None),
        }
    }

    /// The SQLSTATE, if the server said something.
    fn code(&self) -> Option<&str> {
        match self {
            Refusal::Server(error) => Some(error.code()?.code()),
            _ => None,
        }
    }

    /// Whether the server may say something else with TLS, or without.
    pub(super) fn depends_on_tls(&self) -> bool {
        matches!(self, Refusal::Tls(..) | Refusal::Handshake(_))
            || self.code().is_some_and(|code| code.starts_with("28"))
    }

    /// Whether it is the password that the server refuses.
    pub(super) fn is_of_password(&self) -> bool {
        self.code() == Some("28P01")
    }

    /// Whether no other place is tried: a server that was found has said no.
    pub(super) fn ends_the_round(&self) -> bool {
        match self {
            Refusal::Silent(_) | Refusal::Unresolved(_) | Refusal::Unwanted(_) | Refusal::Network(_) => false,
            Refusal::Tls(..) | Refusal::Handshake(_) | Refusal::NoTls | Refusal::Other(..) => true,
            Refusal::Server(_) => self.code() != Some("57P03"),
        }
    }

    /// Whether the same attempt may succeed later, with nobody doing anything about it.
    /// Whether somebody will make a `missing_database`, only the user knows.
    pub(super) fn heals(&self, missing_database: bool) -> bool {
        match self {
            Refusal::Silent(_)
            | Refusal::Unresolved(_)
            | Refusal::Unwanted(_)
            | Refusal::Network(_)
            | Refusal::Handshake(_) => true,
            Refusal::Tls(..) | Refusal::NoTls | Refusal::Other(..) => false,
            // Starting up or shutting down, no connection free.
            Refusal::Server(error) => match self.code() {
                Some("57P01" | "57P02" | "57P03" | "53300") => true,
                Some("08P01") => waits_in_pooler(error),
                code => code == Some("3D000") && missing_database,
            },
        }
    }

    pub(super) fn why(&self) -> String {
        match self {
            Refusal::Silent(limit) => {
                format!("no answer within {}", humantime::format_duration(rounded(*limit)))
            }
            Refusal::Unresolved(why) => format!("the name does not resolve: {why}"),
            Refusal::Unwanted(why) => format!("{why}, and target_session_attrs wants another one"),
            Refusal::Server(error) => reason(error),
            Refusal::NoTls => "it does not do TLS".to_owned(),
            Refusal::Tls(why, _)
            | Refusal::Network(why)
            | Refusal::Handshake(why)
            | Refusal::Other(why, _) => why.clone(),
        }
    }

    pub(super) fn hint(
        &self,
        target: &Target,
        password: Option<&Password>,
        patience: Patience,
    ) -> Option<String> {
        let wait = if patience.until.is_some() { "a longer --wait" } else { "--wait 60s" };
        Some(match (self, self.code()) {
            (Refusal::Tls(_, hint) | Refusal::Other(_, hint), _) => (*hint)?.to_owned(),
            (Refusal::NoTls, _) => {
                "sslmode=prefer goes on without it; `ssl = on` turns it on at the server".to_owned()
            }
            // Then it was not the limit of one attempt that ended this.
            (Refusal::Silent(_), _) if patience.until.is_some() => format!("{wait} waits on"),
            (Refusal::Silent(limit), _) => {
                let longer = longer("--connect-timeout", *limit, Duration::from_secs(30));
                format!("{longer} for an answer")
            }
            (Refusal::Network(_) | Refusal::Unresolved(_), _) => {
                let origin = target.origin("host").or(target.origin("hostaddr"));
                let origin = origin.map_or_else(String::new, |origin| format!(", as {origin} says"));
                format!("is the server there{origin}, and may it be reached from here? {wait} waits for it")
            }
            (_, Some("28P01")) => match password {
                Some(password) => {
                    format!("check user and password; the password came from {}", password.origin)
                }
                None => "check user and password".to_owned(),
            },
            (_, Some("28000")) => "check the user, and the server's pg_hba.conf".to_owned(),
            (_, Some("3D000")) => match (patience.until, patience.missing_database) {
                (Some(_), true) => format!("create the database first; {wait} waits for it"),
                (Some(_), false) => {
                    "create the database first, or wait for it with --wait-for-database".to_owned()
                }
                (None, _) => {
                    "create the database first, or wait for it with --wait 60s --wait-for-database".to_owned()
                }
            },
            (Refusal::Server(error), Some("53300")) => {
                // Where the server says so, which is the same in every language.
                let limit = match error.as_db_error().and_then(DbError::routine) {
                    Some("InitializeSessionUserId") => "`alter role … connection limit`",
                    Some("CheckMyDatabase") => "`alter database … connection limit`",
                    _ => "max_connections",
                };
                format!("{wait} waits for a free connection; {limit} allows more")
            }
            (Refusal::Server(error), Some("08P01")) if said(error).contains("startup parameter") => {
                "a pooler takes no options: connect to the server itself, or set for the role what they set"
                    .to_owned()
            }
            (_, Some("57P03")) => format!("{wait} waits for a server that is starting"),
            _ => return None,
        })
    }
}

/// Whether PgBouncer has no server for this one yet, or no room: it calls that a protocol violation,
/// as it does what will never be right, and is the same in every language.
fn waits_in_pooler(error: &postgres::Error) -> bool {
    let said = said(error);
    ["server_login_retry", "query_wait_timeout", "cannot connect to server", "max_client_conn"]
        .iter()
        .any(|word| said.contains(word))
}

fn said(error: &postgres::Error) -> &str {
    error.as_db_error().map_or("", DbError::message)
}

/// Without the digits that nobody asked for.
fn rounded(duration: Duration) -> Duration {
    let unit = if duration < Duration::from_secs(1) { 10 } else { 1000 };
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds.saturating_add(unit / 2) / unit * unit)
}

/// What rustls said, if it is among the causes.
fn rustls_error(error: &postgres::Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
