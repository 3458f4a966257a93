//! Which database: from the option, `AUTHMIG_DATABASE_URL` or `DATABASE_URL`.

use std::path::Path;
use std::time::Duration;

use postgres::Config;
use postgres::config::{Host, SslMode};

use crate::failure::Failure;
use crate::report::Exit;

/// A database that can be connected to. Its password is in `config` alone, whose
/// Debug output hides it.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the driver wants to know.
    pub config: Config,
    /// `user@host:port/dbname`, for people.
    pub name: String,
}

impl Target {
    /// The target that this connection string names.
    ///
    /// # Errors
    ///
    /// A sentence that never quotes the string: it may hold a password.
    pub fn parse(url: Option<&str>, connect_timeout: Duration) -> Result<Target, Failure> {
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Err(Failure::new(Exit::Usage, "no database is named")
                .hint("set DATABASE_URL, or give --database-url"));
        };
        let mut config: Config = url.parse().map_err(|error| unusable(&error))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(Failure::new(
                Exit::Usage,
                "the connection string asks for sslmode=require, and this authmig cannot do TLS",
            )
            .hint("use a unix socket, or a tunnel that encrypts"));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if config.get_user().is_none() {
            let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
            config.user(user.as_deref().unwrap_or("postgres"));
        }
        if config.get_dbname().is_none() {
            let user = config.get_user().unwrap_or("postgres").to_owned();
            config.dbname(&user);
        }
        if config.get_application_name().is_none() {
            config.application_name(concat!("authmig ", env!("CARGO_PKG_VERSION")));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(connect_timeout);
        }
        Ok(Target { name: name(&config), config })
    }
}

fn name(config: &Config) -> String {
    let hosts: Vec<_> = if config.get_hosts().is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        config.get_hosts().iter().map(host).collect()
    };
    let ports = config.get_ports();
    let places: Vec<_> = hosts
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).unwrap_or(&5432);
            format!("{host}:{port}")
        })
        .collect();
    format!(
        "{}@{}/{}",
        config.get_user().unwrap_or_default(),
        places.join(","),
        config.get_dbname().unwrap_or_default()
    )
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => Path::new(folder).display().to_string(),
    }
}

fn unusable(error: &postgres::Error) -> Failure {
    // The driver's source names the option, never its value.
    let reason = std::error::Error::source(error).map_or_else(String::new, |source| {
        let source = source.to_string();
        let known = ["unknown option", "invalid value for option", "invalid connection string"];
        if known.iter().any(|start| source.starts_with(start)) && !source.contains("://") {
            format!(": {source}")
        } else {
            String::new()
        }
    });
    Failure::new(Exit::Usage, format!("the connection string cannot be understood{reason}"))
        .hint("it looks like postgres://user@host:5432/dbname, or host=… user=… dbname=…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, Failure> {
        Target::parse(Some(url), Duration::from_secs(1))
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
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.name, name);
            assert!(!format!("{target:?}").contains("s3cret"));
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_not_quoted() {
        for url in [
            "postgres://app:s3cret@db.example:nonsense/shop",
            "postgres://app:s3cret@db.example/shop?sslmodus=s3cret",
            "postgres://app:s3cret@db.example/shop?sslmode=s3cret",
            "mysql://app:s3cret@db.example/shop",
            "s3cret",
            "password='s3cret",
        ] {
            let failure = parse(url).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{url}");
            assert!(!format!("{failure:?}").contains("s3cret"), "{url}: {failure:?}");
        }
        assert_eq!(Target::parse(None, Duration::ZERO).unwrap_err().exit, Exit::Usage);
    }

    proptest::proptest! {
        #[test]
        fn any_string_is_parsed_or_refused(url in "(postgres://)?.{0,60}") {
            let _ = parse(&url);
        }
    }
}
