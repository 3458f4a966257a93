//! Which database: what psql would make of the same connection string, variables and
//! files. Source: PostgreSQL manual, "Database Connection Control Functions".
//!
//! In this order: `--database-url`, `AUTHMIG_DATABASE_URL`, `DATABASE_URL`, the service
//! that it or `PGSERVICE` names, `PG*` variables, defaults. Nothing here connects.

mod conninfo;
mod files;
mod given;
mod keyword;
mod places;
mod surroundings;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;
use crate::secret;

use given::{Given, gather, wrong};
use places::places;

pub use conninfo::is_connection_string;
pub use places::{Address, Place};
pub use surroundings::Surroundings;
pub use tls::{Negotiation, Roots, SslMode, Tls, TlsVersion};

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
    /// What was given: keyword, value unless it may be secret, origin.
    given: Vec<(&'static str, Option<String>, Origin)>,
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

        let user = given.get("user").map(str::to_owned).or_else(|| around.user());
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
                .parsed("connect_timeout", "a number of seconds", |text| text.trim().parse::<i32>().ok())?
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
                    let hidden = ["password", "options"].contains(&keyword) || secret::may_be_in(&value);
                    (keyword, if hidden { None } else { Some(value) }, origin)
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

impl Keepalives {
    fn resolve(given: &Given) -> Result<Keepalives, Failure> {
        let number = |keyword| given.parsed(keyword, "a number", |text| text.trim().parse::<i32>().ok());
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
    use crate::report::Exit;

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
    fn a_connection_string_in_the_wrong_place_is_not_quoted() {
        let here = env!("CARGO_MANIFEST_DIR");
        let certificate = format!("{here}/Cargo.toml");
        for string in ["postgres://u:hunter2@h/d", "host=h password=hunter2", " password = hunter2 x"] {
            for (name, keyword) in [("PGHOST", "host"), ("PGUSER", "user"), ("PGDATABASE", "dbname")] {
                let failure =
                    Target::resolve(None, &around(&[("PGDATABASE", "d"), (name, string)])).unwrap_err();
                assert_eq!(failure.message, format!("{keyword} ({name}) is a connection string"));
                assert_eq!(failure.exit, Exit::Usage);
            }
            for (name, more, message) in [
                ("PGSERVICEFILE", ("PGSERVICE", "s"), "service file … (PGSERVICEFILE) is not there"),
                ("PGSERVICE", ("PGPORT", "1"), "there is no service \"…\" (PGSERVICE) in any service file"),
                (
                    "PGSSLROOTCERT",
                    ("PGSSLMODE", "verify-full"),
                    "root certificate file … (PGSSLROOTCERT) is not there",
                ),
                (
                    "PGSSLKEY",
                    ("PGSSLCERT", &certificate),
                    &format!("there is a certificate, {certificate}, but not its private key, …"),
                ),
                (
                    "DATABASE_URL_FILE",
                    ("PGPORT", "1"),
                    "the file that DATABASE_URL_FILE names, …, cannot be read: No such file or directory (os error 2)",
                ),
            ] {
                let variables = around(&[("PGDATABASE", "d"), more, (name, string)]);
                assert_eq!(Target::resolve(None, &variables).unwrap_err().message, message);
            }
            let target = Target::resolve(None, &around(&[("PGHOST", "h"), ("PGAPPNAME", string)])).unwrap();
            assert_eq!(target.origins(), ["application_name=(not shown) (PGAPPNAME)", "host=h (PGHOST)"]);
        }
        for (name, value) in [
            ("PGUSER", "a=b"),
            ("PGUSER", "hostess=1"),
            ("PGDATABASE", "=x"),
            ("PGHOST", "/run/host=a/pg"),
            ("PGHOST", "a,b.example,::1"),
        ] {
            Target::resolve(None, &around(&[("PGPORT", "1"), ("PGDATABASE", "d"), (name, value)])).unwrap();
        }
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
