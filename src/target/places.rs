//! Where servers are: hosts, addresses and ports, matched with each other.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use nix::unistd::{Uid, User, geteuid};

use super::Password;
use super::given::{Given, wrong};
use crate::failure::Failure;

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

/// Where sockets are, if nobody says otherwise: Debian's folder and PostgreSQL's own.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Hosts, addresses and ports, matched with each other.
pub(super) fn places(given: &Given) -> Result<Vec<Place>, Failure> {
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
                (None, None) => (None, Address::Socket(default_socket(port))),
            };
            Ok(Place { host, address, port, password: None })
        })
        .collect()
}

fn named(host: &str) -> Address {
    IpAddr::from_str(host).map_or_else(|_| Address::Name(host.to_owned()), Address::Ip)
}

/// The folder of the socket. Everybody may make one in the second folder, and would be
/// told our password: there, it counts only if it belongs to somebody who may know it.
fn default_socket(port: u16) -> PathBuf {
    let [system, open] = SOCKETS;
    let socket = |folder: &str| Path::new(folder).join(format!(".s.PGSQL.{port}"));
    let owner = std::fs::metadata(socket(open)).map(|metadata| Uid::from_raw(metadata.uid()));
    let server = User::from_name("postgres").ok().flatten().map(|user| user.uid);
    let trusted = owner.is_ok_and(|owner| owner.is_root() || owner == geteuid() || Some(owner) == server);
    PathBuf::from(if !socket(system).exists() && trusted { open } else { system })
}

impl Place {
    /// What may stand for it in a password file.
    pub(super) fn names_in_password_files(&self) -> Vec<String> {
        let name = self.called();
        let is_default = matches!(self.address, Address::Socket(_)) && SOCKETS.contains(&&*name);
        let localhost = is_default.then(|| "localhost".to_owned());
        [name].into_iter().chain(localhost).collect()
    }

    /// The name, address or folder of this place.
    fn called(&self) -> String {
        match (&self.host, &self.address) {
            (Some(name), _) | (None, Address::Name(name)) => name.clone(),
            (None, Address::Socket(folder)) => folder.display().to_string(),
            (None, Address::Ip(address)) => address.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.called();
        if host.contains(':') && !host.starts_with('/') {
            return write!(f, "[{host}]:{}", self.port);
        }
        write!(f, "{host}:{}", self.port)
    }
}
