//! Connection strings and surroundings, each with what it leads to, in psql as in authmig.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use authmig::database::{Database, Limits, Patience};
use authmig::interrupt::Interrupt;
use authmig::message::Message;
use authmig::target::{Surroundings, Target};

use super::certificates::{Authority, self_signed, self_signed_client, self_signed_expired};
use crate::support::server::{Server, free_port};
use crate::support::setting;
use crate::support::tools::missing;

/// Who may come in how, on every server here.
const HBA: &str = "\
local   all       postgres                trust
local   all       peer_user               reject
local   all       scram_user              scram-sha-256
local   all       all                     peer
host    all       postgres  samehost      trust
hostssl only_tls  all       samehost      trust
hostnossl only_tls all      samehost      reject
hostssl only_plain all      samehost      reject
hostnossl only_plain all    samehost      trust
hostssl all       cert_user samehost      cert
host    all       scram_user samehost     scram-sha-256
host    all       md5_user  samehost      md5
host    all       plain_user samehost     password
host    all       trusted   samehost      trust
";

/// What authmig and psql are started with, and what comes of it: database, user and
/// way, or `refused`.
struct Case {
    string: &'static str,
    variables: &'static [(&'static str, &'static str)],
    expected: &'static str,
    psql: Psql,
}

/// Which psql can be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Psql {
    /// Any that can do TLS.
    Old,
    /// Version 18, which need not do TLS for it.
    New,
    /// None at hand: it takes 16 or newer with TLS.
    None,
}

const fn case(string: &'static str, expected: &'static str) -> Case {
    Case { string, variables: &[], expected, psql: Psql::Old }
}

const fn with(
    variables: &'static [(&'static str, &'static str)],
    string: &'static str,
    expected: &'static str,
) -> Case {
    Case { string, variables, expected, psql: Psql::Old }
}

impl Case {
    const fn new_psql(self) -> Case {
        Case { psql: Psql::New, ..self }
    }

    const fn no_psql(self) -> Case {
        Case { psql: Psql::None, ..self }
    }
}

const TLS: &str = "app postgres tls";
const PLAIN: &str = "app postgres plain";
const SOCKET: &str = "app postgres socket";
const REFUSED: &str = "refused";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // URLs.
    case("postgres://postgres@localhost:{port}/app", TLS),
    case("postgresql://postgres@localhost:{port}/app", TLS),
    case("postgres://postgres@127.0.0.1:{port}/app", TLS),
    case("postgres://postgres@[::1]:{port}/app", TLS),
    case("postgres://postgres@localhost:{port}/app?sslmode=disable", PLAIN),
    case("postgres://postgres@localhost:{port}/a%70p", TLS),
    case("postgres://%70ostgres@localhost:{port}/app", TLS),
    case("postgres://localhost:{port}/app?user=postgres", TLS),
    case("postgres://localhost/app?user=postgres&port={port}", TLS),
    case("postgres:///app?host=localhost&user=postgres&port={port}", TLS),
    case("postgres://postgres@:{port}/app?host=localhost", TLS),
    case("postgres://postgres@localhost:{port}", "postgres postgres tls"),
    case("postgres://postgres@localhost:{port}/", "postgres postgres tls"),
    case("postgres://postgres@localhost:{port}/app?", TLS),
    case("postgres://postgres@localhost:{port}/other?dbname=app", TLS),
    case("postgres://postgres@localhost:{port}/app?application_name=x&fallback_application_name=y", TLS),
    case("postgres://postgres@localhost:{port}/app?ssl=true", TLS),
    case("postgres://postgres@%6cocalhost:{port}/app", TLS),
    case("postgres://postgres@{escaped}:{port}/app", SOCKET),
    case("postgres://postgres@/app?host={folder}&port={port}", SOCKET),
    case("postgres://postgres@{escaped}:{port},localhost:{port}/app", SOCKET),
    case("postgres://scram_user:s3cret%2F%40%3A@localhost:{port}/app", "app scram_user tls"),
    case("postgres://postgres@localhost:{port}/app?sslmode=disabled", REFUSED),
    case("postgres://postgres@localhost:{port}/app?sslmodus=disable", REFUSED),
    case("postgres://postgres@localhost:{port}/app?sslmode", REFUSED),
    case("postgres://postgres@localhost:{port}/app?sslmode=disable=1", REFUSED),
    case("postgres://postgres@localhost:{port}/app?&", REFUSED),
    case("postgres://postgres@localhost:{port}/app?application_name=x&", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=' prefer'", REFUSED),
    case("host=localhost port=' {port} ' user=postgres dbname=app connect_timeout=' 5 '", TLS),
    case("postgres://postgres@localhost:{port}/%zz", REFUSED),
    case("postgres://postgres@localhost:{port}/%00", REFUSED),
    case("postgres://postgres@localhost:port/app", REFUSED),
    case("postgres://postgres@localhost:0/app", REFUSED),
    case("postgres://postgres@localhost:65536/app", REFUSED),
    case("postgres://postgres@[::1:{port}/app", REFUSED),
    case("postgres://postgres@[]:{port}/app", REFUSED),
    case("postgres://postgres@localhost:{port}/nowhere", REFUSED),
    case("postgres://nobody_here@localhost:{port}/app", REFUSED),
    case("postgres://postgres@localhost:{closed}/app", REFUSED),
    case("postgres://postgres@no-such-host.invalid:{port}/app", REFUSED),
    // Keywords and values.
    case("host=localhost port={port} user=postgres dbname=app", TLS),
    case("host = localhost port = {port} user = postgres dbname = app", TLS),
    case("host='localhost' port='{port}' user='postgres' dbname='app'", TLS),
    case(r"host=local\host port={port} user='post\gres' dbname=app", TLS),
    case("host=elsewhere host=localhost port={port} user=postgres dbname=app", TLS),
    case("host=localhost port={port} user=postgres dbname='with space'", "with space postgres tls"),
    case("host=localhost port={port} user=postgres dbname=with\\ space", "with space postgres tls"),
    case("hostaddr=127.0.0.1 port={port} user=postgres dbname=app", TLS),
    case("hostaddr=::1 port={port} user=postgres dbname=app", TLS),
    case("host=anything.test hostaddr=127.0.0.1 port={port} user=postgres dbname=app", TLS),
    case("host={folder} port={port} user=postgres dbname=app", SOCKET),
    case("host={folder} port={port} user=postgres dbname=app sslmode=require", SOCKET),
    case("host={folder} port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", SOCKET),
    case("host=localhost port={port} user=postgres dbname=app connect_timeout=5", TLS),
    case("host=localhost port={port} user=postgres dbname=app connect_timeout=soon", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app keepalives=0", TLS),
    case("host=localhost port={port} user=postgres dbname=app keepalives=1 keepalives_idle=30 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=5000", TLS),
    case("host=localhost port={port} user=postgres dbname=app keepalives=yes", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app client_encoding=UTF8", TLS),
    case("host=localhost port={port} user=postgres dbname=app client_encoding=LATIN1", TLS),
    case("host=localhost port={port} user=postgres dbname=app options='-c statement_timeout=9s'", TLS),
    case("host=localhost port={port} user=postgres dbname=app options='-c no_such_setting=1'", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app gssencmode=disable", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslcompression=0 sslsni=1", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslsni=0", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslsni=2", TLS),
    case("host=localhost port={port} user=postgres dbname", REFUSED),
    case("host=localhost port={port} user=postgres dbname='app", REFUSED),
    case("host=localhost hostname=localhost port={port} user=postgres dbname=app", REFUSED),
    case("hostaddr=localhost port={port} user=postgres dbname=app", REFUSED),
    case("host={folder} port={port} user={me} dbname=app", "app {me} socket"),
    case("host={folder} port={port} dbname=app", "app {me} socket"),
    case("host={folder} port={port} user=trusted dbname=app", REFUSED),
    case("host={folder} port={port} user=peer_user dbname=app", REFUSED),
    // Several places.
    case("postgres://postgres@localhost:{closed},localhost:{port}/app", TLS),
    case("postgres://postgres@127.0.0.1:{closed},[::1]:{port}/app", TLS),
    case("postgres://postgres@no-such-host.invalid:{port},localhost:{port}/app", TLS),
    case("host=/nowhere,localhost port={port} user=postgres dbname=app", TLS),
    case("host=localhost,localhost port={closed},{port} user=postgres dbname=app", TLS),
    case("hostaddr=127.0.0.1,::1 port={closed},{port} user=postgres dbname=app", TLS),
    case("host=localhost,localhost port={closed} user=postgres dbname=app", REFUSED),
    case("host=localhost,localhost port=1,2,{port} user=postgres dbname=app", REFUSED),
    case("host=localhost,localhost hostaddr=127.0.0.1 port={port} user=postgres dbname=app", REFUSED),
    case("host=localhost,localhost port={port} user=postgres dbname=app load_balance_hosts=random", TLS).new_psql(),
    case("host=localhost port={port} user=postgres dbname=app load_balance_hosts=always", REFUSED).new_psql(),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=any", TLS),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=read-write", TLS),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=read-only", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=primary", TLS),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=standby", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=prefer-standby", TLS),
    case("host=localhost port={port} user=postgres dbname=app target_session_attrs=master", REFUSED),
    case("host=localhost port={port} user=postgres dbname=read_only target_session_attrs=read-write", REFUSED),
    case("host=localhost port={port} user=postgres dbname=read_only target_session_attrs=read-only", "read_only postgres tls"),
    case("host=localhost,localhost port={plain},{port} user=postgres dbname=app sslmode=require", REFUSED),
    case("host=localhost,localhost port={plain},{port} user=trusted dbname=only_tls sslmode=allow", REFUSED),
    case("host=localhost,localhost port={plain},{port} user=postgres dbname=nowhere", REFUSED),
    // TLS, by a certificate for localhost, 127.0.0.1 and ::1.
    case("host=localhost port={port} user=postgres dbname=app sslmode=disable", PLAIN),
    case("host=localhost port={port} user=postgres dbname=app sslmode=allow", PLAIN),
    case("host=localhost port={port} user=postgres dbname=app sslmode=prefer", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-ca", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-full", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require sslrootcert={ca}", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert={ca}", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", TLS),
    case("host=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", TLS),
    case("host=::1 port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", TLS),
    case("postgres://postgres@localhost:{port}/app?sslmode=verify-full&sslrootcert={ca}", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={both}", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=prefer sslrootcert={stranger}", PLAIN),
    case("host=localhost port={port} user=postgres dbname=app sslmode=allow sslrootcert={stranger}", PLAIN),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require sslrootcert={stranger}", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert={stranger}", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={stranger}", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require sslrootcert=/nowhere/root.crt", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert=/nowhere/root.crt", REFUSED),
    case("host=other.test hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert={ca}", TLS),
    case("host=other.test hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", REFUSED),
    case("host=a.wild.test hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", TLS),
    case("host=a.b.wild.test hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", REFUSED),
    case("hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert={ca}", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require ssl_min_protocol_version=TLSv1.3", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require ssl_max_protocol_version=TLSv1.2", TLS),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=require ssl_min_protocol_version=SSLv3", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert=system", REFUSED).no_psql(),
    case("host=localhost port={port} user=postgres dbname=app sslrootcert=system", REFUSED).no_psql(),
    with(&[("SSL_CERT_FILE", "{ca}")], "host=localhost port={port} user=postgres dbname=app sslnegotiation=direct", REFUSED).no_psql(),
    with(&[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "{ca}")], "host=localhost port={port} user=postgres dbname=app", TLS),
    with(&[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "{stranger}")], "host=localhost port={port} user=postgres dbname=app", REFUSED),
    with(&[("PGSSLMODE", "disable")], "host=localhost port={port} user=postgres dbname=app", PLAIN),
    with(&[("PGSSLMODE", "disable")], "host=localhost port={port} user=postgres dbname=app sslmode=require", TLS),
    with(&[("PGREQUIRESSL", "1")], "host=localhost port={port} user=postgres dbname=app", TLS),
    with(&[("PGREQUIRESSL", "1")], "host=localhost port={plain} user=postgres dbname=app", REFUSED),
    with(&[("HOME", "{trusting}")], "host=localhost port={port} user=postgres dbname=app sslmode=verify-full", TLS),
    with(&[("HOME", "{trusting}")], "host=other.test hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-full", REFUSED),
    // Other certificates.
    case("host=localhost port={expired} user=postgres dbname=app sslmode=require", TLS),
    case("host=localhost port={expired} user=postgres dbname=app sslmode=require sslrootcert={ca}", REFUSED),
    case("host=localhost port={expired} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", REFUSED),
    case("host=localhost port={expired} user=postgres dbname=app sslmode=prefer sslrootcert={ca}", PLAIN),
    case("host=localhost port={selfsigned} user=postgres dbname=app sslmode=require", TLS),
    case("host=localhost port={selfsigned} user=postgres dbname=app sslmode=verify-ca sslrootcert={ca}", REFUSED),
    case("host=localhost port={selfsigned} user=postgres dbname=app sslmode=verify-ca sslrootcert={itself}", TLS),
    case("host=localhost port={selfsigned} user=postgres dbname=app sslmode=verify-full sslrootcert={itself}", TLS),
    case("host=127.0.0.1 port={selfsigned} user=postgres dbname=app sslmode=verify-full sslrootcert={itself}", REFUSED),
    case("host=localhost port={outdated} user=postgres dbname=app sslmode=require", TLS),
    case("host=localhost port={outdated} user=postgres dbname=app sslmode=require sslrootcert={outdatedcert}", REFUSED),
    case("host=localhost port={outdated} user=postgres dbname=app sslmode=verify-ca sslrootcert={outdatedcert}", REFUSED),
    case("host=localhost port={outdated} user=postgres dbname=app sslmode=verify-full sslrootcert={outdatedcert}", REFUSED),
    case("host=localhost port={cn} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", TLS),
    case("host=other.test hostaddr=127.0.0.1 port={cn} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", REFUSED),
    // Certificates that are trusted, but not for that.
    case("host=localhost port={forged} user=postgres dbname=app sslmode=require", TLS),
    case("host=localhost port={forged} user=postgres dbname=app sslmode=verify-ca sslrootcert={leaf}", REFUSED),
    case("host=localhost port={forged} user=postgres dbname=app sslmode=verify-full sslrootcert={leaf}", REFUSED),
    case("host=localhost port={forged} user=postgres dbname=app sslmode=require sslrootcert={leaf}", REFUSED),
    case("host=localhost port={outlived} user=postgres dbname=app sslmode=verify-full sslrootcert={oldca}", REFUSED),
    case("host=localhost port={outlived} user=postgres dbname=app sslmode=require sslrootcert={oldca}", REFUSED),
    case("host=localhost port={client} user=postgres dbname=app sslmode=verify-full sslrootcert={clientcert}", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={goodcert}", REFUSED),
    case("host=localhost port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert={goodcert}", REFUSED),
    // Names that cannot stand in a certificate.
    case("host=/nowhere hostaddr=127.0.0.1 port={port} user=postgres dbname=app", TLS),
    case("host=a..b hostaddr=127.0.0.1 port={port} user=postgres dbname=app", TLS),
    case("host=a..b hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-ca sslrootcert={ca}", TLS),
    case("host=a..b hostaddr=127.0.0.1 port={port} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", REFUSED),
    // A server without TLS.
    case("host=localhost port={plain} user=postgres dbname=app", PLAIN),
    case("host=localhost port={plain} user=postgres dbname=app sslmode=disable", PLAIN),
    case("host=localhost port={plain} user=postgres dbname=app sslmode=allow", PLAIN),
    case("host=localhost port={plain} user=postgres dbname=app sslmode=require", REFUSED),
    case("host=localhost port={plain} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}", REFUSED),
    // Rules that depend on TLS.
    case("host=localhost port={port} user=postgres dbname=only_tls sslmode=disable", "only_tls postgres plain"),
    case("host=localhost port={port} user=trusted dbname=only_tls sslmode=disable", REFUSED),
    case("host=localhost port={port} user=trusted dbname=only_tls sslmode=allow", "only_tls trusted tls"),
    case("host=localhost port={port} user=trusted dbname=only_tls sslmode=prefer", "only_tls trusted tls"),
    case("host=localhost port={port} user=trusted dbname=only_plain sslmode=prefer", "only_plain trusted plain"),
    case("host=localhost port={port} user=trusted dbname=only_plain sslmode=require", REFUSED),
    // Passwords.
    case("postgres://scram_user:wrong@localhost:{port}/app", REFUSED),
    case("postgres://scram_user@localhost:{port}/app", REFUSED),
    case("host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app", "app scram_user tls"),
    case("host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app sslmode=disable", "app scram_user plain"),
    case("host={folder} port={port} user=scram_user password='s3cret/@:' dbname=app", "app scram_user socket"),
    case("host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app channel_binding=require", "app scram_user tls"),
    case("host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app channel_binding=require sslmode=disable", REFUSED),
    case("host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app channel_binding=disable", "app scram_user tls"),
    case("host=localhost port={port} user=trusted dbname=app channel_binding=require", REFUSED),
    case("host=localhost port={port} user=trusted dbname=app channel_binding=maybe", REFUSED),
    case("host=localhost port={port} user=md5_user password=md5 dbname=app", "app md5_user tls"),
    case("host=localhost port={port} user=plain_user password=plain dbname=app", "app plain_user tls"),
    with(&[("PGPASSWORD", "s3cret/@:")], "host=localhost port={port} user=scram_user dbname=app", "app scram_user tls"),
    with(&[("PGPASSWORD", "wrong")], "host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app", "app scram_user tls"),
    with(&[("PGPASSFILE", "{pgpass}")], "host=localhost port={port} user=scram_user dbname=app", "app scram_user tls"),
    with(&[("PGPASSFILE", "{pgpass}")], "host=localhost port={port} user=md5_user dbname=app", REFUSED),
    with(&[("PGPASSFILE", "{pgpass}")], "host={folder} port={port} user=scram_user dbname=app", "app scram_user socket"),
    with(&[("PGPASSFILE", "{open}")], "host=localhost port={port} user=scram_user dbname=app", REFUSED),
    with(&[("PGPASSFILE", "/nowhere/pgpass")], "host=localhost port={port} user=scram_user dbname=app", REFUSED),
    with(&[("PGPASSFILE", "/nowhere/pgpass")], "host=localhost port={port} user=scram_user dbname=app passfile={pgpass}", "app scram_user tls"),
    with(&[("HOME", "{home}")], "host=localhost port={port} user=scram_user dbname=app", "app scram_user tls"),
    with(&[("PGPASSFILE", "{pgpass}")], "host=localhost,localhost port={closed},{port} user=scram_user dbname=app", "app scram_user tls"),
    // A certificate of our own.
    case("host=localhost port={port} user=cert_user dbname=app", REFUSED),
    case("host=localhost port={port} user=cert_user dbname=app sslcert={cert} sslkey={key}", "app cert_user tls"),
    case("host=localhost port={port} user=cert_user dbname=app sslcert={cert} sslkey={openkey}", REFUSED),
    case("host=localhost port={port} user=cert_user dbname=app sslcert={cert} sslkey=/nowhere/key", REFUSED),
    case("host=localhost port={port} user=cert_user dbname=app sslcert={strangercert} sslkey={strangerkey}", REFUSED),
    with(&[("PGSSLCERT", "{cert}"), ("PGSSLKEY", "{key}")], "host=localhost port={port} user=cert_user dbname=app", "app cert_user tls"),
    with(&[("HOME", "{home}")], "host=localhost port={port} user=cert_user dbname=app", "app cert_user tls"),
    // Variables and services.
    with(&[("PGHOST", "localhost"), ("PGPORT", "{port}"), ("PGUSER", "postgres"), ("PGDATABASE", "app")], "", TLS),
    with(&[("PGHOST", "{folder}"), ("PGPORT", "{port}"), ("PGUSER", "postgres"), ("PGDATABASE", "app")], "", SOCKET),
    with(&[("PGHOSTADDR", "127.0.0.1"), ("PGPORT", "{port}"), ("PGUSER", "postgres"), ("PGDATABASE", "app")], "", TLS),
    with(&[("PGHOST", "localhost"), ("PGPORT", "{port}"), ("PGUSER", "postgres")], "", "postgres postgres tls"),
    with(&[("PGHOST", "elsewhere.invalid"), ("PGPORT", "1"), ("PGUSER", "x"), ("PGDATABASE", "y")], "postgres://postgres@localhost:{port}/app", TLS),
    with(&[("PGPORT", "{port}"), ("PGUSER", "postgres")], "postgres://localhost/app", TLS),
    with(&[("PGHOST", "localhost"), ("PGPORT", "five"), ("PGUSER", "postgres")], "", REFUSED),
    with(&[("PGOPTIONS", "-c no_such_setting=1")], "postgres://postgres@localhost:{port}/app", REFUSED),
    with(&[("PGAPPNAME", "x"), ("PGCONNECT_TIMEOUT", "5"), ("PGCLIENTENCODING", "LATIN1")], "postgres://postgres@localhost:{port}/app", TLS),
    with(&[("PGTARGETSESSIONATTRS", "standby")], "postgres://postgres@localhost:{port}/app", REFUSED),
    with(&[("PGCHANNELBINDING", "require")], "host=localhost port={port} user=scram_user password='s3cret/@:' dbname=app sslmode=disable", REFUSED),
    with(&[("PGGSSENCMODE", "disable")], "postgres://postgres@localhost:{port}/app", TLS),
    with(&[("PGSERVICEFILE", "{services}")], "service=here", TLS),
    with(&[("PGSERVICEFILE", "{services}"), ("PGSERVICE", "here")], "", TLS),
    with(&[("PGSERVICEFILE", "{services}"), ("PGSERVICE", "here"), ("PGPORT", "1")], "", TLS),
    with(&[("PGSERVICEFILE", "{services}")], "service=here dbname=postgres", "postgres postgres tls"),
    with(&[("PGSERVICEFILE", "{services}")], "postgres:///postgres?service=here", "postgres postgres tls"),
    with(&[("PGSERVICEFILE", "{services}")], "service=gone", REFUSED),
    with(&[("PGSERVICEFILE", "{services}")], "service=broken", REFUSED),
    with(&[("PGSERVICEFILE", "/nowhere/services")], "service=here", REFUSED),
    with(&[("HOME", "{home}")], "service=here", TLS),
    with(&[("PGSYSCONFDIR", "{home}/system")], "service=system", TLS),
    with(&[("PGSERVICEFILE", "{services}")], "service=here servicefile={services}", REFUSED),
];

/// The servers and files of the table.
struct World {
    _servers: Vec<Server>,
    _folder: tempfile::TempDir,
    names: BTreeMap<&'static str, String>,
}

/// What every server has.
const SETUP: &[&str] = &[
    "create role trusted login",
    "create role cert_user login",
    "create role scram_user login password 's3cret/@:'",
    "create role plain_user login password 'plain'",
    "set password_encryption = md5",
    "create role md5_user login password 'md5'",
    "create database app",
    "create database \"with space\"",
    "create database only_tls",
    "create database only_plain",
    "create database read_only",
    "alter database read_only set default_transaction_read_only = on",
];

fn world() -> World {
    let (ca, stranger) = (Authority::new("Test authority"), Authority::new("Another authority"));
    let names = ["localhost", "127.0.0.1", "::1", "*.wild.test"];
    let (itself, outdated_certificate) = (self_signed("localhost"), self_signed_expired("localhost"));
    let client = ca.sign("cert_user", &[]);
    let foreign = stranger.sign("cert_user", &[]);

    let me = Command::new("id").arg("-un").output().unwrap().stdout;
    let me = String::from_utf8(me).unwrap().trim().to_owned();
    let create_me = format!("create role \"{me}\" login");
    let start = |certificate: Option<(&str, &str)>| {
        let server = match certificate {
            None => Server::guarded(HBA, "", &[]),
            Some((certificate, key)) => Server::guarded(
                HBA,
                "ssl = on\nssl_ca_file = 'root.crt'",
                &[("server.crt", certificate), ("server.key", key), ("root.crt", &ca.certificate)],
            ),
        };
        server.sql(&[&create_me]);
        server.sql(SETUP);
        server
    };
    let signed = |signed: &super::certificates::Signed| start(Some((&signed.certificate, &signed.key)));
    let good_certificate = ca.sign("test", &names);
    let good = signed(&good_certificate);
    let expired = signed(&ca.sign_expired("test", &names));
    let selfsigned = signed(&itself);
    let outdated = signed(&outdated_certificate);
    let cn = signed(&ca.sign("localhost", &[]));
    let plain = start(None);
    let (leaf, old_ca) = (Authority::false_one("leaf.test"), Authority::expired("Old authority"));
    let for_clients = self_signed_client("localhost");
    let forged = signed(&leaf.sign("localhost", &["localhost"]));
    let outlived = signed(&old_ca.sign("localhost", &["localhost"]));
    let client_server = signed(&for_clients);

    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let pgpass = format!(
        "# passwords\nlocalhost:{port}:app:scram_user:s3cret/@\\:\n{}:*:*:scram_user:s3cret/@\\:\nlocalhost:1:*:md5_user:md5\n",
        good.folder,
        port = good.port
    );
    let service = |name: &str| {
        format!("[{name}]\nhost=localhost\nport={}\nuser=postgres\ndbname=app\n\n[broken]\nhost\n", good.port)
    };
    put("home/.postgresql/postgresql.crt", &client.certificate, 0o644);
    put("home/.postgresql/postgresql.key", &client.key, 0o600);
    put("home/.pgpass", &pgpass, 0o600);
    put("home/.pg_service.conf", &service("here"), 0o644);
    put("home/system/pg_service.conf", &service("system"), 0o644);
    put("trusting/.postgresql/root.crt", &ca.certificate, 0o644);
    put("empty/nothing", "", 0o644);
    let home = |name: &str| folder.path().join(name).display().to_string();
    let names = BTreeMap::from([
        ("port", good.port.to_string()),
        ("expired", expired.port.to_string()),
        ("selfsigned", selfsigned.port.to_string()),
        ("outdated", outdated.port.to_string()),
        ("cn", cn.port.to_string()),
        ("plain", plain.port.to_string()),
        ("closed", free_port().to_string()),
        ("folder", good.folder.clone()),
        ("escaped", good.folder.replace('/', "%2F")),
        ("home", home("home")),
        ("trusting", home("trusting")),
        ("empty", home("empty")),
        ("ca", put("ca.crt", &ca.certificate, 0o644)),
        ("stranger", put("stranger.crt", &stranger.certificate, 0o644)),
        ("both", put("both.crt", &format!("{}{}", stranger.certificate, ca.certificate), 0o644)),
        ("itself", put("itself.crt", &itself.certificate, 0o644)),
        ("outdatedcert", put("outdated.crt", &outdated_certificate.certificate, 0o644)),
        ("cert", put("client.crt", &client.certificate, 0o644)),
        ("key", put("client.key", &client.key, 0o600)),
        ("openkey", put("open.key", &client.key, 0o644)),
        ("strangercert", put("foreign.crt", &foreign.certificate, 0o644)),
        ("strangerkey", put("foreign.key", &foreign.key, 0o600)),
        ("pgpass", put("pgpass", &pgpass, 0o600)),
        ("open", put("open.pgpass", &pgpass, 0o644)),
        ("me", me),
        ("forged", forged.port.to_string()),
        ("outlived", outlived.port.to_string()),
        ("client", client_server.port.to_string()),
        ("leaf", put("leaf.crt", &leaf.certificate, 0o644)),
        ("oldca", put("old.crt", &old_ca.certificate, 0o644)),
        ("clientcert", put("for_clients.crt", &for_clients.certificate, 0o644)),
        ("goodcert", put("good.crt", &good_certificate.certificate, 0o644)),
        ("services", put("services", &service("here"), 0o644)),
    ]);
    World {
        _servers: vec![good, expired, selfsigned, outdated, cn, plain, forged, outlived, client_server],
        _folder: folder,
        names,
    }
}

impl World {
    fn fill(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// The variables of a case, and a home without anything in it unless it has one.
    fn variables(&self, case: &Case) -> BTreeMap<String, String> {
        let given = case.variables.iter().map(|(name, value)| ((*name).to_owned(), self.fill(value)));
        [("HOME".to_owned(), self.names["empty"].clone())].into_iter().chain(given).collect()
    }
}

const QUESTION: &str = "select concat_ws(' ', current_database(), current_user, \
    case when inet_server_port() is null then 'socket' \
         when (select s.ssl from pg_catalog.pg_stat_ssl as s where s.pid = pg_backend_pid()) then 'tls' else 'plain' end)";

/// Where authmig comes to, or why it does not.
fn authmig(world: &World, case: &Case) -> Result<String, String> {
    let string = world.fill(case.string);
    let variables = world.variables(case);
    let around = Surroundings {
        home: Some(PathBuf::from(&variables["HOME"])),
        user: Some(world.names["me"].clone()),
        variables,
    };
    let target = Target::resolve(Some(&*string).filter(|string| !string.is_empty()), &around)
        .map_err(|failure| failure.message)?;
    let limits =
        Limits { lock_wait: Duration::ZERO, lock_timeout: Duration::ZERO, statement_timeout: Duration::ZERO };
    let mut database = Database::connect(
        &target,
        Patience::default(),
        limits,
        &Interrupt::default(),
        &(Arc::new(|_| ()) as _),
    )
    .map_err(|failure| format!("{}: {:?}", failure.message, failure.findings))?;
    let rows = database.send(&Message::new(QUESTION)).unwrap();
    Ok(rows[0][0][0].clone().unwrap())
}

/// Where psql comes to.
fn psql(world: &World, case: &Case, program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    let string = world.fill(case.string);
    command.args(["-X", "-A", "-t", "-q", "-w", "-c", QUESTION]);
    if !string.is_empty() {
        command.args(["-d", &string]);
    }
    command.env_clear().envs(world.variables(case)).stdin(Stdio::null());
    let output = command.output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A psql of this machine that can do TLS.
fn psql_with_tls() -> Option<PathBuf> {
    let mut folders = vec![setting("AUTHMIG_TEST_CLIENTS"), setting("AUTHMIG_TEST_BIN")];
    folders.extend((14..=18).map(|major| format!("/usr/lib/postgresql/{major}/bin")));
    folders.into_iter().map(|folder| Path::new(&folder).join("psql")).find(|program| {
        let asked = Command::new(program).args(["-w", "-d", "host=/nowhere sslmode=require"]).output();
        asked.is_ok_and(|output| !String::from_utf8_lossy(&output.stderr).contains("not compiled in"))
    })
}

#[test]
fn every_connection_string_leads_where_psql_is_led() {
    let world = world();
    let old = psql_with_tls();
    if old.is_none() {
        missing("psql with TLS, to compare with");
    }
    let new = Path::new(&setting("AUTHMIG_TEST_CLIENTS")).join("psql");
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for case in CASES {
        let said = authmig(&world, case);
        let came = said.clone().unwrap_or_else(|_| REFUSED.to_owned());
        let program = match case.psql {
            Psql::Old => old.as_deref(),
            Psql::New => Some(&*new),
            Psql::None => None,
        };
        let theirs = program.map(|program| psql(&world, case, program));
        compared += usize::from(theirs.is_some());
        let led = theirs.as_ref().map(|theirs| theirs.clone().unwrap_or_else(|_| REFUSED.to_owned()));
        // A psql without TLS goes where it can.
        let as_psql = led
            .as_ref()
            .is_none_or(|led| *led == came || case.psql == Psql::New && led.replace("plain", "tls") == came);
        if came != world.fill(case.expected) || !as_psql {
            wrong.push(format!(
                "{} {:?}\n  expected {}\n  authmig  {said:?}\n  psql     {theirs:?}",
                case.string, case.variables, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
    assert!(CASES.len() >= 120);
    assert!(old.is_none() || compared >= CASES.len() - 4, "{compared}");
}
