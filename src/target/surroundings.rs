//! What surrounds the process: its variables, and who runs it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::report::Exit;
use crate::secret;

/// What surrounds the process: variables, and who runs it.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The variables.
    pub variables: BTreeMap<String, String>,
    /// The name of the user in the operating system; without it, that is asked when it matters.
    pub user: Option<String>,
    /// That user's home.
    pub home: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    ///
    /// A variable that says where to connect is not UTF-8.
    pub fn of_this_process() -> Result<Surroundings, Failure> {
        let mut variables = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if name.starts_with("PG") || name.contains("DATABASE_URL") => {
                    return Err(Failure::new(Exit::Usage, format!("{name} is not UTF-8")));
                }
                Err(_) => {}
            }
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Ok(Surroundings { home: home.or_else(|| Some(account()?.dir)), user: None, variables })
    }

    /// The name of who runs this.
    pub(super) fn user(&self) -> Option<String> {
        self.user.clone().or_else(|| Some(account()?.name))
    }

    /// A variable; an empty one counts as absent.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file of libpq's in the home.
    pub(super) fn home_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(name))
    }

    /// The connection string, and where it comes from.
    pub(super) fn connection_string(
        &self,
        option: Option<&str>,
    ) -> Result<Option<(String, &'static str)>, Failure> {
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
                    let shown = secret::shown(path);
                    let text = secret::text_in(path.as_ref()).map_err(|error| {
                        let message = format!("the file that {file} names, {shown}, cannot be read: {error}");
                        Failure::new(Exit::Usage, message)
                    })?;
                    if text.trim().is_empty() {
                        let message = format!("the file that {file} names, {shown}, is empty");
                        return Err(Failure::new(Exit::Usage, message));
                    }
                    return Ok(Some((text.trim().to_owned(), file)));
                }
                (None, None) => {}
            }
        }
        Ok(None)
    }
}

/// Who runs this, as the system's directories know: that can be files, and can be a server.
fn account() -> Option<nix::unistd::User> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten()
}
