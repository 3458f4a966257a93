//! A migration: a version, a name and three scripts; and the grammar of its file
//! names, `NN-name.{up,down,verify}.sql`.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

/// The migration that makes `auth_private.config`, where the secret is kept, and the sessions.
pub const AUTH_SCHEMA: &str = "auth_schema";

/// The migration that lets requests in: without it nobody logs in, and there is nothing to try.
pub const GRANTS: &str = "grants";

/// The number of a migration, 1 to 2,147,483,647.
///
/// It is an `int4` in the history because refinery's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(i32);

impl Version {
    /// The version with this number, or `None` if it is not positive.
    pub fn new(number: i32) -> Option<Version> {
        (number > 0).then_some(Version(number))
    }

    /// The number as the history keeps it.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Version {
    /// At least two digits, as in the file name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:02}", self.0))
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        text.parse()
            .ok()
            .and_then(Version::new)
            .ok_or_else(|| "a version is the number of a migration, such as 3 or 03".to_owned())
    }
}

/// What a script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Creates.
    Up,
    /// Takes back what `Up` created.
    Down,
    /// Raises if what `Up` created is not there or not right. Writes nothing.
    Verify,
}

impl Part {
    /// All parts, each of which a migration must have.
    pub const ALL: [Part; 3] = [Part::Up, Part::Down, Part::Verify];

    /// The word in the file name.
    pub fn word(self) -> &'static str {
        match self {
            Part::Up => "up",
            Part::Down => "down",
            Part::Verify => "verify",
        }
    }
}

/// One file of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The file's name, without folder.
    pub file: String,
    /// The SQL, its line ends normalised to LF. What is compiled in is not copied.
    pub sql: Cow<'static, str>,
}

/// A version with its name and its three scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The number in front of the name.
    pub version: Version,
    /// Lower-case letters, digits and underscores; a letter first.
    pub name: String,
    /// Creates.
    pub up: Script,
    /// Takes back.
    pub down: Script,
    /// Asserts.
    pub verify: Script,
}

impl Migration {
    /// SHA-256 of the up script in hexadecimal, as recorded in the history.
    pub fn sha256(&self) -> String {
        sha256(self.up.sql.as_bytes())
    }

    /// refinery's checksum of the up script, as recorded in the history beside it: SipHash-1-3
    /// of name, version and text, in the way of [`std::hash::Hash`].
    pub fn checksum(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        self.name.hash(&mut hasher);
        self.version.number().hash(&mut hasher);
        self.up.sql.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Display for Migration {
    /// `02-auth_schema`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&label(self.version.number(), &self.name))
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// How a migration is called: `02-auth_schema`.
pub fn label(number: i32, name: &str) -> String {
    format!("{number:02}-{name}")
}

/// A file name taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    /// The number in front.
    pub version: Version,
    /// The name between number and endings.
    pub name: &'a str,
    /// The first ending.
    pub part: Part,
}

/// Takes a file name apart. The error says what is wrong with it.
///
/// Strict, because refinery is not: it records `V1__auth-schema` as `auth`.
pub fn parse_file_name(file: &str) -> Result<FileName<'_>, &'static str> {
    let stem = file.strip_suffix(".sql").ok_or("its name does not end in .sql")?;
    let (stem, part) = Part::ALL
        .into_iter()
        .find_map(|part| Some((stem.strip_suffix(part.word())?.strip_suffix('.')?, part)))
        .ok_or("its name does not end in .up.sql, .down.sql or .verify.sql")?;
    let (number, name) = stem.split_once('-').ok_or("its name does not start with a number and a hyphen")?;
    let version: Version = (number.bytes().all(|byte| byte.is_ascii_digit()) && number.len() >= 2)
        .then(|| number.parse().ok())
        .flatten()
        .ok_or("its name does not start with a number of two digits or more, from 01 on")?;
    if version.to_string() != number {
        return Err("its number has more zeros in front than it needs");
    }
    let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !well_formed || name.len() > 200 {
        return Err("the name behind the number must be lower-case letters, digits and \
                    underscores, a letter first, 200 at most");
    }
    Ok(FileName { version, name, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_number_name_part() {
        assert_eq!(
            parse_file_name("02-auth_schema.down.sql"),
            Ok(FileName { version: Version(2), name: "auth_schema", part: Part::Down })
        );
        assert_eq!(parse_file_name("100-x.up.sql").map(|f| f.version), Ok(Version(100)));
    }

    #[test]
    fn names_that_refinery_would_cut_short_are_refused() {
        for file in [
            "02-auth-schema.up.sql",
            "02-auth.schema.up.sql",
            "02-Auth.up.sql",
            "02-.up.sql",
            "02-2auth.up.sql",
            "2-auth.up.sql",
            "002-auth.up.sql",
            "00-auth.up.sql",
            "-1-auth.up.sql",
            "+2-auth.up.sql",
            "99999999999-auth.up.sql",
            "02_auth.up.sql",
            "02-auth.sql",
            "02-auth.up.SQL",
            "02-authup.sql",
            "02-äuth.up.sql",
            "",
        ] {
            assert!(parse_file_name(file).is_err(), "{file}");
        }
    }

    fn migration(number: i32, name: &str, up: &str) -> Migration {
        let script = |sql: &str| Script { file: String::new(), sql: sql.to_owned().into() };
        Migration {
            version: Version(number),
            name: name.to_owned(),
            up: script(up),
            down: script(""),
            verify: script(""),
        }
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let migration = migration(1, "x", "abc");
        assert_eq!(migration.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_checksum_is_that_of_refinery() {
        for (number, name, sql) in [(1, "x", "abc"), (2, "auth_schema", ""), (i32::MAX, "a_2", "sélect 1;\n")]
        {
            let ours = migration(number, name, sql);
            let theirs = refinery::Migration::unapplied(&format!("V{number}__{name}"), sql).unwrap();
            assert_eq!(ours.checksum(), theirs.checksum(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_file_name_is_parsed_or_refused(file in ".{0,40}") {
            let _ = parse_file_name(&file);
        }

        #[test]
        fn a_parsed_name_writes_itself(number in 1..i32::MAX, name in "[a-z][a-z0-9_]{0,20}") {
            let file = format!("{}.verify.sql", label(number, &name));
            let parsed = parse_file_name(&file);
            proptest::prop_assert_eq!(parsed.map(|f| (f.version.number(), f.name)), Ok((number, &*name)));
        }
    }
}
