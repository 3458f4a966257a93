//! How TLS is done, as `ssl*` keywords say it. Source: PostgreSQL manual, "SSL Support"
//! of libpq.

use std::path::PathBuf;

use super::Surroundings;
use super::given::{Given, wrong};
use crate::failure::Failure;
use crate::secret;

/// How TLS is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether, and what the server's certificate has to prove.
    pub mode: SslMode,
    /// Who opens it.
    pub negotiation: Negotiation,
    /// Who is trusted to sign the server's certificate.
    pub roots: Roots,
    /// Our own certificate and its key, for a server that asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The oldest and the newest version of the protocol.
    pub versions: (TlsVersion, TlsVersion),
    /// Whether the server is told which name it was called by.
    pub sni: bool,
}

/// Whether TLS is used, and what the server's certificate has to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// Only if the server does not let us in without.
    Allow,
    /// If the server can.
    Prefer,
    /// Always.
    Require,
    /// Always, and somebody who is trusted has signed the certificate.
    VerifyCa,
    /// And it has the name of the host.
    VerifyFull,
}

/// How TLS is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// The server is asked first.
    Postgres,
    /// At once.
    Direct,
}

/// Who is trusted to sign the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Everybody: what it says is not looked at.
    Unchecked,
    /// Those in this file.
    File(PathBuf),
    /// Those that the system trusts.
    System,
}

/// A version of TLS. Older ones than 1.2 are never spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

const MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

impl Tls {
    /// None.
    pub const OFF: Tls = Tls {
        mode: SslMode::Disable,
        negotiation: Negotiation::Postgres,
        roots: Roots::Unchecked,
        identity: None,
        versions: (TlsVersion::Tls12, TlsVersion::Tls13),
        sni: true,
    };

    pub(super) fn resolve(given: &Given, around: &Surroundings) -> Result<Tls, Failure> {
        let system = given.get("sslrootcert") == Some("system");
        let mode = given.word("sslmode", &MODES)?;
        let mode = mode.unwrap_or(if system { SslMode::VerifyFull } else { SslMode::Prefer });
        if system && mode != SslMode::VerifyFull {
            return Err(wrong(
                "sslrootcert=system wants sslmode=verify-full: with less, whoever has any certificate passes",
            ));
        }
        let negotiation = given
            .word("sslnegotiation", &[("postgres", Negotiation::Postgres), ("direct", Negotiation::Direct)])?
            .unwrap_or(Negotiation::Postgres);
        if negotiation == Negotiation::Direct && mode < SslMode::Require {
            return Err(wrong("sslnegotiation=direct wants sslmode=require or more"));
        }
        let sni = given.get("sslsni").is_none_or(|value| value.starts_with('1'));
        let versions = versions(given)?;
        if mode == SslMode::Disable {
            return Ok(Tls::OFF);
        }
        Ok(Tls {
            mode,
            negotiation,
            roots: if system { Roots::System } else { roots(given, around, mode)? },
            identity: identity(given, around)?,
            versions,
            sni,
        })
    }
}

/// A file with certificates makes every mode check who signed the server's.
fn roots(given: &Given, around: &Surroundings, mode: SslMode) -> Result<Roots, Failure> {
    let default = around.home_file(".postgresql/root.crt");
    let file = given.path("sslrootcert").or_else(|| default.clone());
    match file.filter(|file| file.exists()) {
        Some(file) => {
            let lists = around.home_file(".postgresql/root.crl");
            if let Some(lists) = lists.filter(|lists| lists.exists()) {
                return Err(wrong(format!(
                    "{} cannot be used: revocation lists are not supported",
                    lists.display()
                )));
            }
            Ok(Roots::File(file))
        }
        None if mode >= SslMode::VerifyCa => {
            let named = given.path("sslrootcert").or(default);
            let named = named.unwrap_or_else(|| PathBuf::from("~/.postgresql/root.crt"));
            let (named, place) = (named.to_string_lossy(), given.place("sslrootcert"));
            Err(wrong(format!("root certificate file {}{place} is not there", secret::shown(&named)))
                .hint("name one with sslrootcert, or trust who the system trusts with sslrootcert=system"))
        }
        None => Ok(Roots::Unchecked),
    }
}

/// Our certificate, if there is one, and its key.
fn identity(given: &Given, around: &Surroundings) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
    if given.get("sslcertmode") == Some("disable") {
        return Ok(None);
    }
    let certificate = given.path("sslcert").or_else(|| around.home_file(".postgresql/postgresql.crt"));
    let key = given.path("sslkey").or_else(|| around.home_file(".postgresql/postgresql.key"));
    let (Some(certificate), Some(key)) = (certificate.filter(|file| file.exists()), key) else {
        return Ok(None);
    };
    if key.exists() {
        return Ok(Some((certificate, key)));
    }
    Err(wrong(format!(
        "there is a certificate, {}, but not its private key, {}",
        certificate.display(),
        secret::shown(&key.to_string_lossy())
    )))
}

fn versions(given: &Given) -> Result<(TlsVersion, TlsVersion), Failure> {
    let parse = |text: &str| match &*text.to_ascii_lowercase() {
        "tlsv1" | "tlsv1.1" => Some(None),
        "tlsv1.2" => Some(Some(TlsVersion::Tls12)),
        "tlsv1.3" => Some(Some(TlsVersion::Tls13)),
        _ => None,
    };
    let takes = "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3";
    // Without a wish, and where an older one would do, too, 1.2 is the oldest.
    let oldest =
        given.parsed("ssl_min_protocol_version", takes, parse)?.flatten().unwrap_or(TlsVersion::Tls12);
    let newest = match given.parsed("ssl_max_protocol_version", takes, parse)? {
        Some(None) => {
            return Err(wrong(
                "ssl_max_protocol_version below TLSv1.2 cannot be done: those versions are broken",
            ));
        }
        Some(Some(version)) => version,
        None => TlsVersion::Tls13,
    };
    if newest < oldest {
        return Err(wrong("ssl_max_protocol_version is below ssl_min_protocol_version"));
    }
    Ok((oldest, newest))
}
