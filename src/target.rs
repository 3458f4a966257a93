//! Which database: what psql would make of the same connection string, variables and
//! files. Source: PostgreSQL manual, "Database Connection Control Functions".
//!
//! In this order: `--database-url`, `AUTHMIG_DATABASE_URL`, `DATABASE_URL`, the service
//! that it or `PGSERVICE` names, `PG*` variables, defaults. Nothing here connects.

mod conninfo;
mod files;
mod keyword;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::failure::Failure;
use crate::report::Exit;

pub use tls::{Negotiation, Roots, SslMode, Tls, Version};

/// A database that can be connected to, at one of several places.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where servers are, in the order in which they are tried.
    pub places: Vec<Place>,
    /// Who logs in.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// What is set at the start of the session, as `options` has it.
    pub options: Option<String>,
    /// What the server calls this session.
    pub application_name: String,
    /// How long each server may take to let us in; zero is for ever, `None` unsaid.
    pub connect_timeout: Option<Duration>,
    /// How the network is watched.
    pub keepalives: Keepalives,
    /// Which servers will do.
    pub session: SessionAttrs,
    /// Whether places and addresses are tried in random order.
    pub shuffled: bool,
    /// Whether the server has to prove that TLS ends there.
    pub channel_binding: ChannelBinding,
    /// How TLS is done.
    pub tls: Tls,
    /// What else the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// What was given: keyword, value unless it is secret, origin.
    given: Vec<(&'static str, Option<String>, Origin)>,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The name that its certificate must have.
    pub host: Option<String>,
    /// Where that is.
    pub address: Address,
    /// The port, for a socket the number in its name.
    pub port: u16,
    /// The password for this place.
    pub password: Option<Password>,
}

/// How a place is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The folder of a unix socket.
    Socket(PathBuf),
    /// An address that needs no resolving.
    Ip(IpAddr),
    /// A name to resolve.
    Name(String),
}

/// A password, and where it comes from. Debug does not show it.
#[derive(Clone)]
pub struct Password {
    /// The password.
    pub secret: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This option or variable, which holds a connection string.
    Given(&'static str),
    /// This variable.
    Variable(&'static str),
    /// A service, and its file.
    Service(String, PathBuf),
    /// This line of a password file.
    PassFile(PathBuf, usize),
}

/// When a silent connection counts as lost; `None` leaves it to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalives {
    /// Whether probes are sent at all.
    pub on: bool,
    /// The silence before the first.
    pub idle: Option<Duration>,
    /// The time between two.
    pub interval: Option<Duration>,
    /// How many may go unanswered.
    pub count: Option<u32>,
    /// How long what was sent may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

/// Which servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAttrs {
    /// Every one.
    Any,
    /// One where transactions are read write unless they say otherwise.
    ReadWrite,
    /// One where they are not.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One that is.
    Standby,
    /// One that is, or else every one.
    PreferStandby,
}

/// Whether the server has to prove that TLS ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// It is not asked to.
    Disable,
    /// If it can.
    Prefer,
    /// Or it is not logged in there.
    Require,
}

/// What surrounds the process: variables, and who runs it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The variables.
    pub variables: BTreeMap<String, String>,
    /// The name of the user in the operating system.
    pub user: Option<String>,
    /// That user's home.
    pub home: Option<PathBuf>,
}

/// Where sockets are, if nobody says otherwise: Debian's folder and PostgreSQL's own.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Where the system's service file is, without `PGSYSCONFDIR`.
const SYSTEM_SERVICES: &str = "/etc/postgresql-common";

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Surroundings {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let account = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let home = variables.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Surroundings {
            home: home.or_else(|| Some(account.as_ref()?.dir.clone())),
            user: account.map(|account| account.name),
            variables,
        }
    }

    /// A variable; an empty one counts as absent.
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file of libpq's in the home.
    fn home_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(name))
    }

    /// The connection string, and where it comes from.
    fn connection_string(&self, option: Option<&str>) -> Result<Option<(String, &'static str)>, Failure> {
        if let Some(text) = option {
            return Ok(Some((text.to_owned(), "--database-url")));
        }
        for (name, file) in
            [("AUTHMIG_DATABASE_URL", "AUTHMIG_DATABASE_URL_FILE"), ("DATABASE_URL", "DATABASE_URL_FILE")]
        {
            match (self.variable(name), self.variable(file)) {
                (Some(_), Some(_)) => {
                    let message = format!("{name} and {file} are both set, and only one can be meant");
                    return Err(Failure::new(Exit::Usage, message));
                }
                (Some(text), None) => return Ok(Some((text.to_owned(), name))),
                (None, Some(path)) => {
                    let text = std::fs::read_to_string(path).map_err(|error| {
                        let message = format!("the file that {file} names, {path}, cannot be read: {error}");
                        Failure::new(Exit::Usage, message)
                    })?;
                    return Ok(Some((text.trim().to_owned(), file)));
                }
                (None, None) => {}
            }
        }
        Ok(None)
    }
}

/// What was given for each keyword, the strongest origin only.
#[derive(Default)]
struct Given(BTreeMap<&'static str, (String, Origin)>);

impl Given {
    /// The value, unless it is empty: that stands for the default.
    fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn origin(&self, keyword: &str) -> Option<&Origin> {
        self.0.get(keyword).map(|(_, origin)| origin)
    }

    /// ` in DATABASE_URL`, ` from PGPORT`: where a wrong value has to be mended.
    fn place(&self, keyword: &str) -> String {
        self.origin(keyword).map_or_else(String::new, |origin| format!(" ({origin})"))
    }

    /// A value that this function understands.
    fn parsed<T>(
        &self,
        keyword: &str,
        takes: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(keyword) else { return Ok(None) };
        match parse(text.trim()) {
            Some(value) => Ok(Some(value)),
            // The value is not shown: in a URL with a stray / it is part of the password.
            None => Err(wrong(format!("{keyword}{} has to be {takes}", self.place(keyword)))),
        }
    }

    /// One of these words.
    fn word<T: Copy>(&self, keyword: &str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let takes = format!("one of {}", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "));
        self.parsed(keyword, &takes, |text| Some(words.iter().find(|(word, _)| *word == text)?.1))
    }

    /// A number of seconds; nothing and zero stand for the default.
    fn seconds(&self, keyword: &str) -> Result<Option<Duration>, Failure> {
        let number = self.parsed(keyword, "a number of seconds", |text| text.parse::<i64>().ok())?;
        Ok(number.and_then(|number| u64::try_from(number).ok()).filter(|n| *n > 0).map(Duration::from_secs))
    }

    fn path(&self, keyword: &str) -> Option<PathBuf> {
        self.get(keyword).map(PathBuf::from)
    }
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message)
}

impl Target {
    /// The target that this option, these variables and the files that they name mean.
    ///
    /// # Errors
    ///
    /// A sentence that never quotes a value: any may be part of a password.
    pub fn resolve(option: Option<&str>, around: &Surroundings) -> Result<Target, Failure> {
        let given = gather(option, around)?;
        let tls = Tls::resolve(&given, around)?;
        let mut warnings = Vec::new();

        let user = given.get("user").map(str::to_owned).or_else(|| around.user.clone());
        let Some(user) = user else {
            return Err(wrong("no user is named, and who runs this is not known")
                .hint("set PGUSER, or name one in the connection string"));
        };
        let dbname = given.get("dbname").unwrap_or(&user).to_owned();

        let pass_file = match given.path("passfile").or_else(|| around.home_file(".pgpass")) {
            Some(path) if given.get("password").is_none() => {
                let file = files::PassFile::read(&path).unwrap_or_else(|warning| {
                    warnings.push(warning);
                    files::PassFile::default()
                });
                Some((path, file))
            }
            _ => None,
        };
        let mut places = places(&given)?;
        for place in &mut places {
            place.password = match (given.get("password"), given.origin("password"), &pass_file) {
                (Some(secret), Some(origin), _) => {
                    Some(Password { secret: secret.to_owned(), origin: origin.clone() })
                }
                (_, _, Some((path, file))) => {
                    let names = place.names_in_password_files();
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    file.password(&names, place.port, &dbname, &user).map(|(secret, line)| Password {
                        secret: secret.to_owned(),
                        origin: Origin::PassFile(path.clone(), line),
                    })
                }
                _ => None,
            };
        }

        Ok(Target {
            places,
            user,
            dbname,
            options: given.get("options").map(str::to_owned),
            application_name: given
                .get("application_name")
                .or_else(|| given.get("fallback_application_name"))
                .unwrap_or("authmig")
                .to_owned(),
            connect_timeout: given
                .parsed("connect_timeout", "a number of seconds", |text| text.parse::<i64>().ok())?
                .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
            keepalives: Keepalives::resolve(&given)?,
            session: given
                .word(
                    "target_session_attrs",
                    &[
                        ("any", SessionAttrs::Any),
                        ("read-write", SessionAttrs::ReadWrite),
                        ("read-only", SessionAttrs::ReadOnly),
                        ("primary", SessionAttrs::Primary),
                        ("standby", SessionAttrs::Standby),
                        ("prefer-standby", SessionAttrs::PreferStandby),
                    ],
                )?
                .unwrap_or(SessionAttrs::Any),
            shuffled: given
                .word("load_balance_hosts", &[("disable", false), ("random", true)])?
                .unwrap_or(false),
            channel_binding: given
                .word(
                    "channel_binding",
                    &[
                        ("disable", ChannelBinding::Disable),
                        ("prefer", ChannelBinding::Prefer),
                        ("require", ChannelBinding::Require),
                    ],
                )?
                .unwrap_or(ChannelBinding::Prefer),
            tls,
            warnings,
            given: given
                .0
                .into_iter()
                .filter(|(_, (value, _))| !value.is_empty())
                .map(|(keyword, (value, origin))| {
                    (keyword, if keyword == "password" { None } else { Some(value) }, origin)
                })
                .collect(),
        })
    }

    /// `user@host:port/dbname`, for people; of several places, all of them.
    pub fn name(&self) -> String {
        let places: Vec<_> = self.places.iter().map(ToString::to_string).collect();
        self.name_at(&places.join(","))
    }

    /// The same for one of the places.
    pub fn name_at(&self, place: &str) -> String {
        format!("{}@{place}/{}", self.user, self.dbname)
    }

    /// The values that were given, and where each comes from: `port=5433 (PGPORT)`.
    pub fn origins(&self) -> Vec<String> {
        let line = |(name, value, origin): &(&str, Option<String>, Origin)| {
            let value = value.as_deref().map_or_else(|| "(not shown)".to_owned(), conninfo::quoted);
            match keyword::find(name).map(|keyword| keyword.treatment) {
                Some(keyword::Treatment::NoEffect(why)) => {
                    format!("{name}={value} ({origin}) has no effect: {why}")
                }
                _ => format!("{name}={value} ({origin})"),
            }
        };
        self.given.iter().map(line).collect()
    }

    /// The origin of what was given for this keyword.
    pub fn origin(&self, keyword: &str) -> Option<&Origin> {
        self.given.iter().find(|(known, ..)| *known == keyword).map(|(.., origin)| origin)
    }
}

/// Everything that was given, each keyword from its strongest origin.
fn gather(option: Option<&str>, around: &Surroundings) -> Result<Given, Failure> {
    let mut given = Given::default();
    let string = around.connection_string(option)?;
    if let Some((text, origin)) = &string {
        let settings = conninfo::parse(text).map_err(|wrong| {
            let failure =
                Failure::new(Exit::Usage, format!("the connection string of {origin} {}", wrong.what));
            match wrong.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        for (keyword, value) in settings {
            given.0.insert(keyword.name, (value, Origin::Given(origin)));
        }
    }
    // Before the other variables: a service is stronger.
    from_variable(&mut given, "service", "PGSERVICE", around);
    if let Some(name) = given.get("service").map(str::to_owned) {
        let (path, settings) = service(&given, around, &name)?;
        for (keyword, value) in settings {
            let origin = Origin::Service(name.clone(), path.clone());
            given.0.entry(keyword.name).or_insert((value, origin));
        }
    }
    for keyword in keyword::ALL {
        if let Some(variable) = keyword.variable {
            from_variable(&mut given, keyword.name, variable, around);
        }
    }
    // The old name of PGSSLMODE=require.
    if around.variable("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
        let require = ("require".to_owned(), Origin::Variable("PGREQUIRESSL"));
        given.0.entry("sslmode").or_insert(require);
    }

    let says_where = ["host", "hostaddr", "port", "dbname", "user", "service"];
    if string.is_none() && !says_where.iter().any(|keyword| given.get(keyword).is_some()) {
        return Err(wrong("no database is named")
            .hint("set DATABASE_URL or PGHOST, PGDATABASE and their like, or give --database-url"));
    }
    for (name, (value, _)) in &given.0 {
        let treatment = keyword::find(name).map(|keyword| keyword.treatment);
        if value.contains('\0') {
            return Err(wrong(format!("{name}{} has a NUL in it", given.place(name))));
        }
        if let Some(keyword::Treatment::Refused(but, why)) = treatment
            && !value.is_empty()
            && !but.contains(&value.as_str())
        {
            let but = if but.is_empty() { String::new() } else { format!(" other than {}", but.join(", ")) };
            return Err(wrong(format!("{name}{}{but} cannot be done: {why}", given.place(name))));
        }
    }
    Ok(given)
}

fn from_variable(given: &mut Given, keyword: &'static str, variable: &'static str, around: &Surroundings) {
    if let Some(value) = around.variable(variable) {
        given.0.entry(keyword).or_insert((value.to_owned(), Origin::Variable(variable)));
    }
}

/// The settings of this service, and the file that has them.
fn service(
    given: &Given,
    around: &Surroundings,
    name: &str,
) -> Result<(PathBuf, Vec<conninfo::Setting>), Failure> {
    let system = around.variable("PGSYSCONFDIR").unwrap_or(SYSTEM_SERVICES);
    let system = Path::new(system).join("pg_service.conf");
    let own = around.variable("PGSERVICEFILE").map(PathBuf::from);
    if let Some(path) = own.as_ref().filter(|path| !path.exists()) {
        return Err(wrong(format!("service file {} (PGSERVICEFILE) is not there", path.display())));
    }
    for path in [own.or_else(|| around.home_file(".pg_service.conf")), Some(system)].into_iter().flatten() {
        if let Some(settings) = files::service(&path, name).map_err(wrong)? {
            return Ok((path, settings));
        }
    }
    Err(wrong(format!("there is no service \"{name}\"{} in any service file", given.place("service"))))
}

/// Hosts, addresses and ports, matched with each other.
fn places(given: &Given) -> Result<Vec<Place>, Failure> {
    let list = |keyword: &str| given.get(keyword).map(|text| text.split(',').collect::<Vec<_>>());
    let hosts = list("host");
    let addresses = list("hostaddr");
    let ports = list("port").unwrap_or_else(|| vec![""]);
    if let (Some(hosts), Some(addresses)) = (&hosts, &addresses)
        && hosts.len() != addresses.len()
    {
        return Err(wrong(format!("{} hosts and {} hostaddrs do not fit", hosts.len(), addresses.len())));
    }
    let count = addresses.as_ref().or(hosts.as_ref()).map_or(1, Vec::len);
    if ports.len() != 1 && ports.len() != count {
        return Err(wrong(format!("{} ports and {count} hosts do not fit", ports.len())));
    }
    (0..count)
        .map(|index| {
            let of = |list: &Option<Vec<&'_ str>>| -> Option<String> {
                list.as_ref().map(|list| list[index].to_owned()).filter(|text| !text.is_empty())
            };
            let port = match ports.get(index).unwrap_or(&ports[0]).trim() {
                "" => 5432,
                port => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                    wrong(format!("port{} has to be a number from 1 to 65535", given.place("port")))
                        .hint("in a user name or password of a URL, write / as %2F and : as %3A")
                })?,
            };
            let (host, address) = match (of(&hosts), of(&addresses)) {
                (host, Some(address)) => {
                    let address = address.trim().parse().map_err(|_| {
                        wrong(format!("hostaddr{} has to be an IP address", given.place("hostaddr")))
                    })?;
                    (host, Address::Ip(address))
                }
                (Some(host), None) if host.starts_with('/') => (None, Address::Socket(PathBuf::from(host))),
                (Some(host), None) if host.starts_with('@') => {
                    return Err(wrong(format!(
                        "host{} is an abstract unix socket, which is not supported",
                        given.place("host")
                    )));
                }
                (Some(host), None) => {
                    let address = named(&host);
                    (Some(host), address)
                }
                (None, None) => match default_socket(port) {
                    Some(folder) => (None, Address::Socket(folder)),
                    None => (Some("localhost".to_owned()), named("localhost")),
                },
            };
            Ok(Place { host, address, port, password: None })
        })
        .collect()
}

fn named(host: &str) -> Address {
    IpAddr::from_str(host).map_or_else(|_| Address::Name(host.to_owned()), Address::Ip)
}

/// The folder of the socket that is there, if one is.
fn default_socket(port: u16) -> Option<PathBuf> {
    let there = |folder: &&&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKETS.iter().find(there).map(PathBuf::from)
}

impl Place {
    /// What may stand for it in a password file.
    fn names_in_password_files(&self) -> Vec<String> {
        match (&self.host, &self.address) {
            (Some(host), _) => vec![host.clone()],
            (None, Address::Socket(folder)) => {
                let folder = folder.display().to_string();
                let localhost = SOCKETS.contains(&folder.as_str()).then(|| "localhost".to_owned());
                [folder].into_iter().chain(localhost).collect()
            }
            (None, Address::Ip(address)) => vec![address.to_string()],
            (None, Address::Name(name)) => vec![name.clone()],
        }
    }
}

impl Keepalives {
    fn resolve(given: &Given) -> Result<Keepalives, Failure> {
        let number = |keyword| given.parsed(keyword, "a number", |text| text.parse::<i64>().ok());
        Ok(Keepalives {
            on: number("keepalives")? != Some(0),
            idle: given.seconds("keepalives_idle")?,
            interval: given.seconds("keepalives_interval")?,
            count: number("keepalives_count")?.and_then(|count| u32::try_from(count).ok()).filter(|n| *n > 0),
            user_timeout: number("tcp_user_timeout")?
                .and_then(|milliseconds| u64::try_from(milliseconds).ok())
                .filter(|n| *n > 0)
                .map(Duration::from_millis),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match (&self.host, &self.address) {
            (Some(host), _) => host.clone(),
            (None, Address::Socket(folder)) => folder.display().to_string(),
            (None, Address::Ip(address)) => address.to_string(),
            (None, Address::Name(name)) => name.clone(),
        };
        if host.contains(':') && !host.starts_with('/') {
            return write!(f, "[{host}]:{}", self.port);
        }
        write!(f, "{host}:{}", self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Given(name) | Origin::Variable(name) => f.write_str(name),
            Origin::Service(name, file) => write!(f, "service {name} in {}", file.display()),
            Origin::PassFile(file, line) => write!(f, "{}, line {line}", file.display()),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            user: Some("me".to_owned()),
            home: Some(PathBuf::from("/nowhere")),
        }
    }

    fn resolve(url: &str) -> Result<Target, Failure> {
        Target::resolve(Some(url), &around(&[]))
    }

    #[test]
    fn a_target_is_named_without_its_password() {
        for (url, name) in [
            ("postgres://app:s3cret@db.example:5433/shop", "app@db.example:5433/shop"),
            ("postgresql://app:s3cret@[::1]/shop", "app@[::1]:5432/shop"),
            ("host=/run/pg user=app password=s3cret dbname=shop", "app@/run/pg:5432/shop"),
            ("postgres://app:s3cret@%2Frun%2Fpg:99/shop", "app@/run/pg:99/shop"),
            ("postgres://app:s3cret@a:1,b:2/shop", "app@a:1,b:2/shop"),
            ("hostaddr=127.0.0.1 user=app", "app@127.0.0.1:5432/app"),
            ("host=db.example", "me@db.example:5432/me"),
        ] {
            let target = resolve(url).unwrap();
            assert_eq!(target.name(), name);
            assert!(!format!("{target:?} {:?}", target.origins()).contains("s3cret"));
        }
    }

    #[test]
    fn a_wrong_value_is_not_quoted_but_its_origin_is() {
        for (url, message) in [
            ("postgres://app:12s3cret/x", "port (--database-url) has to be a number from 1 to 65535"),
            (
                "host=h sslmode=s3cret",
                "sslmode (--database-url) has to be one of disable, allow, prefer, require, verify-ca, verify-full",
            ),
            (
                "host=h connect_timeout=s3cret",
                "connect_timeout (--database-url) has to be a number of seconds",
            ),
            ("hostaddr=s3cret", "hostaddr (--database-url) has to be an IP address"),
            (
                "host=h password=s3cret s3cret",
                "the connection string of --database-url has a word without a = behind it",
            ),
        ] {
            let failure = resolve(url).unwrap_err();
            assert_eq!((failure.exit, &*failure.message), (Exit::Usage, message));
            assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
        }
        let failure = Target::resolve(None, &around(&[("PGHOST", "h"), ("PGPORT", "x")])).unwrap_err();
        assert_eq!(failure.message, "port (PGPORT) has to be a number from 1 to 65535");
    }

    #[test]
    fn every_parameter_and_its_variable_is_in_the_documentation() {
        let documentation = include_str!("../docs/operations.md");
        for keyword in keyword::ALL {
            let names = [Some(keyword.name), keyword.variable].into_iter().flatten();
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            let mut rows = documentation.lines().filter(|line| line.starts_with('|'));
            assert!(rows.any(|row| names.iter().all(|name| row.contains(name))), "{names:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_string_and_any_variables_are_a_target_or_refused(
            url in "(postgres://|host=|service=)?.{0,60}",
            variables in proptest::collection::btree_map(
                proptest::sample::select(vec!["PGHOST", "PGPORT", "PGHOSTADDR", "PGSSLMODE", "PGSERVICE", "PGPASSFILE", "PGOPTIONS"]),
                ".{0,20}",
                0..4,
            ),
        ) {
            let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let _ = Target::resolve(Some(&url), &around(&variables));
            let _ = Target::resolve(None, &around(&variables));
        }

        #[test]
        fn the_name_of_a_target_leads_to_the_same_target(
            user in "[a-z]{1,8}", host in "([a-z]{1,8}(\\.[a-z]{1,5})?|\\[::1\\]|127\\.0\\.0\\.1)", port in 1_u16.., dbname in "[a-z]{1,8}",
        ) {
            let url = format!("postgres://{user}@{host}:{port}/{dbname}");
            let name = resolve(&url).unwrap().name();
            proptest::prop_assert_eq!(format!("postgres://{name}"), url);
            proptest::prop_assert_eq!(resolve(&format!("postgres://{name}")).unwrap().name(), name);
        }
    }
}
