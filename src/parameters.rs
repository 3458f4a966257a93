//! Names that differ from stack to stack: chosen at the first migration, kept in
//! `authmig.parameter`, read from there ever after.

use std::collections::BTreeMap;

use crate::secret::shown;
use crate::target::is_connection_string;

/// One install parameter.
#[derive(Debug)]
pub struct Parameter {
    /// The setting is `authmig.` and this.
    pub name: &'static str,
    /// The value where none is given.
    pub default: &'static str,
}

/// All install parameters.
pub const ALL: [Parameter; 6] = [
    Parameter { name: "anon_role", default: "anon" },
    Parameter { name: "authenticated_role", default: "authenticated" },
    Parameter { name: "service_role", default: "service" },
    Parameter { name: "authenticator_role", default: "authenticator" },
    Parameter { name: "owner_role", default: "auth_owner" },
    Parameter { name: "api_schema", default: "api" },
];

/// Whether this parameter is the name of a role.
pub fn is_role(parameter: &str) -> bool {
    parameter.ends_with("_role")
}

/// The values of a run: name and value, in the order of [`ALL`].
pub type Values = Vec<(&'static str, String)>;

/// Settles every parameter: as stored, else as given, else the default.
///
/// # Errors
///
/// A sentence, if a given value is not the one that the database was installed
/// with, or is not a name that can be used. It quotes no secret.
pub fn resolve(
    given: &BTreeMap<&'static str, String>,
    stored: &BTreeMap<String, String>,
) -> Result<Values, String> {
    let mut values = Values::new();
    for Parameter { name, default } in ALL {
        let given = given.get(name);
        let flag = name.replace('_', "-");
        if given.is_some_and(|given| is_connection_string(given)) {
            return Err(format!("--{flag} is a connection string"));
        }
        let value = match (stored.get(name), given) {
            (Some(stored), Some(given)) if stored != given => {
                let (given, stored) = (shown(given), shown(stored));
                return Err(format!(
                    "--{flag} is {given:?}, but this database was installed with {stored:?}"
                ));
            }
            (Some(value), _) | (None, Some(value)) => value.clone(),
            (None, None) => default.to_owned(),
        };
        usable(name, &flag, &value)?;
        values.push((name, value));
    }
    for (index, (name, value)) in values.iter().enumerate() {
        if let Some((other, _)) =
            values[..index].iter().find(|(other, known)| known == value && is_role(name) && is_role(other))
        {
            let (name, other, value) = (name.replace('_', "-"), other.replace('_', "-"), shown(value));
            return Err(format!("--{other} and --{name} are both {value:?}; these must be two roles"));
        }
    }
    Ok(values)
}

fn usable(name: &str, flag: &str, value: &str) -> Result<(), String> {
    // NAMEDATALEN - 1; PostgreSQL would cut a longer name short.
    if value.is_empty() || value.len() > 63 || value.contains('\0') {
        return Err(format!("--{flag} is {:?}, but a name has 1 to 63 bytes", shown(value)));
    }
    let reserved = value.starts_with("pg_")
        || match name {
            "api_schema" => ["auth", "auth_private", "authmig", "information_schema"].contains(&value),
            _ => ["public", "none", "current_role", "current_user", "session_user"].contains(&value),
        };
    if reserved {
        return Err(format!("--{flag} is {:?}, which has a meaning of its own", shown(value)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    fn stored(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn stored_comes_before_given_comes_before_default() {
        let values = resolve(
            &given(&[("service_role", "svc"), ("anon_role", "web")]),
            &stored(&[("anon_role", "web"), ("owner_role", "keeper")]),
        )
        .unwrap();
        let expected = [
            ("anon_role", "web"),
            ("authenticated_role", "authenticated"),
            ("service_role", "svc"),
            ("authenticator_role", "authenticator"),
            ("owner_role", "keeper"),
            ("api_schema", "api"),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn another_value_than_the_stored_one_is_refused_with_both() {
        assert_eq!(
            resolve(&given(&[("anon_role", "web")]), &stored(&[("anon_role", "anon")])),
            Err("--anon-role is \"web\", but this database was installed with \"anon\"".to_owned())
        );
    }

    #[test]
    fn a_connection_string_in_place_of_a_name_is_refused_and_not_quoted() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let (long, url) =
            (format!("postgres://app:hunter2@{}/d", "h".repeat(64)), "postgres://a:hunter2@h/d");
        for (value, error) in [
            (url, "--owner-role is a connection string"),
            (&long, "--owner-role is a connection string"),
            ("host=h password=hunter2", "--owner-role is a connection string"),
            (key, "--owner-role is \"…\", but this database was installed with \"keeper\""),
            ("pass word=hunter2", "--owner-role is \"…\", but this database was installed with \"keeper\""),
        ] {
            let stored = stored(&[("owner_role", "keeper")]);
            assert_eq!(resolve(&given(&[("owner_role", value)]), &stored), Err(error.to_owned()));
        }
        assert_eq!(
            resolve(&given(&[("owner_role", &key.repeat(4))]), &stored(&[])),
            Err("--owner-role is \"…\", but a name has 1 to 63 bytes".to_owned())
        );
        assert_eq!(
            resolve(&given(&[("owner_role", key), ("service_role", key)]), &stored(&[])),
            Err("--service-role and --owner-role are both \"…\"; these must be two roles".to_owned())
        );
        resolve(&given(&[("owner_role", "a=b")]), &stored(&[])).unwrap();
    }

    #[test]
    fn names_that_cannot_be_used_are_refused() {
        for (name, value) in [
            ("anon_role", ""),
            ("anon_role", "public"),
            ("anon_role", "pg_monitor"),
            ("anon_role", "none"),
            ("anon_role", "authenticated"),
            ("api_schema", "auth"),
            ("api_schema", "authmig"),
            ("owner_role", &"x".repeat(64)),
        ] {
            assert!(resolve(&given(&[(name, value)]), &stored(&[])).is_err(), "{name}={value}");
        }
        for (name, value) in [("api_schema", "public"), ("api_schema", "anon"), ("anon_role", "We \"ird' ü")]
        {
            assert!(resolve(&given(&[(name, value)]), &stored(&[])).is_ok(), "{name}={value}");
        }
    }
}
