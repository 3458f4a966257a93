//! What was given, keyword by keyword, each from its strongest origin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Origin, Surroundings, conninfo, files, keyword};
use crate::failure::Failure;
use crate::report::Exit;
use crate::secret;

/// Where the system's service file is, without `PGSYSCONFDIR`.
const SYSTEM_SERVICES: &str = "/etc/postgresql-common";

/// What was given for each keyword, the strongest origin only.
#[derive(Default)]
pub(super) struct Given(pub(super) BTreeMap<&'static str, (String, Origin)>);

impl Given {
    /// The value, unless it is empty: that stands for the default.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn origin(&self, keyword: &str) -> Option<&Origin> {
        self.0.get(keyword).map(|(_, origin)| origin)
    }

    /// ` (DATABASE_URL)`, ` (PGPORT)`: where a wrong value has to be mended.
    pub(super) fn place(&self, keyword: &str) -> String {
        self.origin(keyword).map_or_else(String::new, |origin| format!(" ({origin})"))
    }

    /// A value that this function understands.
    pub(super) fn parsed<T>(
        &self,
        keyword: &str,
        takes: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(keyword) else { return Ok(None) };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            // The value is not shown: in a URL with a stray / it is part of the password.
            None => Err(wrong(format!("{keyword}{} has to be {takes}", self.place(keyword)))),
        }
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&self, keyword: &str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let takes = format!("one of {}", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "));
        self.parsed(keyword, &takes, |text| Some(words.iter().find(|(word, _)| *word == text)?.1))
    }

    /// A number of seconds; nothing and zero stand for the default.
    pub(super) fn seconds(&self, keyword: &str) -> Result<Option<Duration>, Failure> {
        let number = self.parsed(keyword, "a number of seconds", |text| text.trim().parse::<i32>().ok())?;
        Ok(number.and_then(|number| u64::try_from(number).ok()).filter(|n| *n > 0).map(Duration::from_secs))
    }

    pub(super) fn path(&self, keyword: &str) -> Option<PathBuf> {
        self.get(keyword).map(PathBuf::from)
    }
}

pub(super) fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message)
}

/// Everything that was given, each keyword from its strongest origin.
pub(super) fn gather(option: Option<&str>, around: &Surroundings) -> Result<Given, Failure> {
    let mut given = Given::default();
    let string = around.connection_string(option)?;
    if let Some((text, origin)) = &string {
        let settings = conninfo::parse(text).map_err(|failure| Failure {
            message: format!("the connection string of {origin} {}", failure.message),
            ..failure
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
        if ["host", "user", "dbname"].contains(name) && conninfo::is_connection_string(value) {
            let message = format!("{name}{} is a connection string", given.place(name));
            return Err(wrong(message).hint("DATABASE_URL and --database-url take one"));
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
        let path = path.to_string_lossy();
        return Err(wrong(format!("service file {} (PGSERVICEFILE) is not there", secret::shown(&path))));
    }
    for path in [own.or_else(|| around.home_file(".pg_service.conf")), Some(system)].into_iter().flatten() {
        if let Some(settings) = files::service(&path, name).map_err(wrong)? {
            return Ok((path, settings));
        }
    }
    let (name, place) = (secret::shown(name), given.place("service"));
    Err(wrong(format!("there is no service \"{name}\"{place} in any service file")))
}
