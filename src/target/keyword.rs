//! The keywords of a connection string, the variables that stand for them, and what
//! becomes of each here. Source: PostgreSQL 18 manual, "Parameter Key Words" and
//! "Environment Variables".

/// What authmig does with a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// What libpq does.
    Same,
    /// Nothing, and why that changes nothing.
    NoEffect(&'static str),
    /// It is refused, unless its value is one of these, which ask for nothing; and why.
    Refused(&'static [&'static str], &'static str),
}

/// One keyword.
#[derive(Debug)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    /// The variable that stands for it.
    pub(super) variable: Option<&'static str>,
    pub(super) treatment: Treatment,
}

use Treatment::{NoEffect, Refused, Same};

const fn keyword(name: &'static str, variable: &'static str, treatment: Treatment) -> Keyword {
    Keyword { name, variable: if variable.is_empty() { None } else { Some(variable) }, treatment }
}

const GSS: Treatment = NoEffect("it is about GSSAPI, which is refused when a server asks for it");
const CRL: Treatment = Refused(&[], "revocation lists are not supported");
const OAUTH: Treatment = Refused(&[], "OAuth is not supported");
const SCRAM: Treatment = Refused(&[], "SCRAM with stored keys is not supported: give the password");

/// All of them, in the order of libpq.
pub(super) const ALL: &[Keyword] = &[
    keyword("service", "PGSERVICE", Same),
    keyword("user", "PGUSER", Same),
    keyword("password", "PGPASSWORD", Same),
    keyword("passfile", "PGPASSFILE", Same),
    keyword("channel_binding", "PGCHANNELBINDING", Same),
    keyword("connect_timeout", "PGCONNECT_TIMEOUT", Same),
    keyword("dbname", "PGDATABASE", Same),
    keyword("host", "PGHOST", Same),
    keyword("hostaddr", "PGHOSTADDR", Same),
    keyword("port", "PGPORT", Same),
    keyword("client_encoding", "PGCLIENTENCODING", NoEffect("authmig always speaks UTF-8 with the server")),
    keyword("options", "PGOPTIONS", Same),
    keyword("application_name", "PGAPPNAME", Same),
    keyword("fallback_application_name", "", Same),
    keyword("keepalives", "", Same),
    keyword("keepalives_idle", "", Same),
    keyword("keepalives_interval", "", Same),
    keyword("keepalives_count", "", Same),
    keyword("tcp_user_timeout", "", Same),
    keyword("sslmode", "PGSSLMODE", Same),
    keyword("sslnegotiation", "PGSSLNEGOTIATION", Same),
    keyword(
        "sslcompression",
        "PGSSLCOMPRESSION",
        NoEffect("TLS does not compress any more, in libpq neither"),
    ),
    keyword("sslcert", "PGSSLCERT", Same),
    keyword("sslkey", "PGSSLKEY", Same),
    keyword(
        "sslcertmode",
        "PGSSLCERTMODE",
        Refused(&["allow", "disable"], "whether the server asked for a certificate is not checked"),
    ),
    keyword("sslpassword", "", Refused(&[], "encrypted private keys are not supported")),
    keyword("sslrootcert", "PGSSLROOTCERT", Same),
    keyword("sslcrl", "PGSSLCRL", CRL),
    keyword("sslcrldir", "PGSSLCRLDIR", CRL),
    keyword("sslsni", "PGSSLSNI", Same),
    keyword("sslkeylogfile", "", Refused(&[], "the keys of a connection are written nowhere")),
    keyword(
        "requirepeer",
        "PGREQUIREPEER",
        Refused(&[], "whose process it is at the other end of a socket is not checked"),
    ),
    keyword(
        "require_auth",
        "PGREQUIREAUTH",
        Refused(&[], "how the server authenticates is not checked; channel_binding=require can be had"),
    ),
    keyword(
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        Refused(&["3.0"], "authmig speaks version 3.0 of the protocol"),
    ),
    keyword(
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        Refused(&["3.0", "3.2", "latest"], "authmig speaks version 3.0 of the protocol"),
    ),
    keyword("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Same),
    keyword("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Same),
    keyword("gssencmode", "PGGSSENCMODE", Refused(&["disable", "prefer"], "GSSAPI is not supported")),
    keyword("krbsrvname", "PGKRBSRVNAME", GSS),
    keyword("gsslib", "PGGSSLIB", GSS),
    keyword("gssdelegation", "PGGSSDELEGATION", GSS),
    keyword(
        "replication",
        "",
        Refused(
            &["false", "off", "no", "0", "f", "n"],
            "migrations do not go through a replication connection",
        ),
    ),
    keyword("target_session_attrs", "PGTARGETSESSIONATTRS", Same),
    keyword("load_balance_hosts", "PGLOADBALANCEHOSTS", Same),
    keyword("scram_client_key", "", SCRAM),
    keyword("scram_server_key", "", SCRAM),
    keyword("oauth_issuer", "", OAUTH),
    keyword("oauth_client_id", "", OAUTH),
    keyword("oauth_client_secret", "", OAUTH),
    keyword("oauth_scope", "", OAUTH),
];

/// The keyword of this name.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    ALL.iter().find(|keyword| keyword.name == name)
}

/// The keyword that was probably meant. What nobody can have meant may be a piece of a
/// password, and must not be shown.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    ALL.iter()
        .map(|keyword| (strsim::jaro_winkler(keyword.name, name), keyword.name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
