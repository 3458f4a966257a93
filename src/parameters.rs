//! Names that differ from stack to stack: chosen at the first migration, kept in
//! `authmig.parameter`, read from there ever after.

use std::collections::BTreeMap;

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

/// The values of a run: name and value, in the order of [`ALL`].
pub type Values = Vec<(&'static str, String)>;

/// Settles every parameter: as stored, else as given, else the default.
///
/// # Errors
///
/// A sentence, if a given value is not the one that the database was installed
/// with, or is not a name that can be used.
pub fn resolve(
    given: &BTreeMap<&'static str, String>,
    stored: &BTreeMap<String, String>,
) -> Result<Values, String> {
    let mut values = Values::new();
    for Parameter { name, default } in ALL {
        let given = given.get(name);
        let value = match (stored.get(name), given) {
            (Some(stored), Some(given)) if stored != given => {
                let flag = name.replace('_', "-");
                return Err(format!(
                    "--{flag} is {given:?}, but this database was installed with {stored:?}"
                ));
            }
            (Some(value), _) | (None, Some(value)) => value.clone(),
            (None, None) => default.to_owned(),
        };
        usable(name, &value)?;
        values.push((name, value));
    }
    for (index, (name, value)) in values.iter().enumerate() {
        let is_role = |name: &str| name.ends_with("_role");
        if let Some((other, _)) =
            values[..index].iter().find(|(other, known)| known == value && is_role(name) && is_role(other))
        {
            let (name, other) = (name.replace('_', "-"), other.replace('_', "-"));
            return Err(format!("--{other} and --{name} are both {value:?}; these must be two roles"));
        }
    }
    Ok(values)
}

fn usable(name: &str, value: &str) -> Result<(), String> {
    let flag = name.replace('_', "-");
    // NAMEDATALEN - 1; PostgreSQL would cut a longer name short.
    if value.is_empty() || value.len() > 63 || value.contains('\0') {
        return Err(format!("--{flag} is {value:?}, but a name has 1 to 63 bytes"));
    }
    let reserved = value.starts_with("pg_")
        || match name {
            "api_schema" => ["auth", "auth_private", "authmig", "information_schema"].contains(&value),
            _ => ["public", "none", "current_role", "current_user", "session_user"].contains(&value),
        };
    if reserved {
        return Err(format!("--{flag} is {value:?}, which has a meaning of its own"));
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
