//! The JWT secret on its way into the database: read, checked, and never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::failure::Failure;
use crate::message::{Rows, column};
use crate::migration::sha256;
use crate::report::{Exit, SecretSource};

/// Where authmig keeps one.
pub const KEPT: &str = "auth_private.config";

/// The variable that holds a secret.
pub const VARIABLE: &str = "AUTHMIG_JWT_SECRET";

/// The variable that holds the name of a file with one.
const FILE_VARIABLE: &str = "AUTHMIG_JWT_SECRET_FILE";

/// RFC 7518 section 3.2: a key for HS256 has at least as many bytes as its hash.
pub const SHORTEST: u64 = 32;

/// No secret is longer than this; a file that is, is not a secret.
const LONGEST: usize = 4096;

/// What is read of a file that holds a line; one that goes on is not meant.
const LIMIT: u64 = 65_536;

/// What `self_test.sql` signs with: the SHA-256 of a text that everybody can read.
const SELF_TEST: &str = "iccdlYtK6AJHwN+yn9fkE7p+fywdDLa8ml7w0rVjJRA=";

/// Asks where a JWT secret comes from; [`sources`] reads its one result set.
pub const SOURCES: &str = include_str!("sql/secret_status.sql");

/// Where a JWT secret comes from, first the one that is used.
pub fn sources(rows: &Rows) -> Vec<SecretSource> {
    rows.iter()
        .map(|row| SecretSource {
            source: column(row, 0),
            bytes: column(row, 1).parse().unwrap_or_default(),
            fingerprint: column(row, 2),
            goes_first: column(row, 3) == "t",
            reset: row.get(4).cloned().flatten(),
        })
        .collect()
}

/// A checked secret in base64 with padding, on one line: what PostgREST takes with
/// `jwt-secret-is-base64`. Its Debug output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one of 256 bits from the operating system.
    pub fn generate() -> Result<Secret, Failure> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::new(Exit::Failure, format!("the operating system gives no random bytes: {error}"))
        })?;
        Ok(Secret(engine(&alphabet::STANDARD).encode(bytes)))
    }

    /// The secret in this text: base64 of either alphabet, padded or not, white space
    /// around it and line breaks inside ignored. `source` is where it came from.
    pub fn parse(text: &str, source: &str) -> Result<Secret, Failure> {
        let refused = |reason: &str| Failure::new(Exit::Usage, format!("the secret in {source} {reason}"));
        let text: String = text.trim().chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        if text.is_empty() {
            return Err(refused("is empty").hint("`authmig secret generate` makes one"));
        }
        let bytes = decoded(&text).ok_or_else(|| {
            refused("is not base64")
                .hint("`authmig secret generate` makes one; one that is plain text is given as `printf %s \"$SECRET\" | base64`")
        })?;
        if (bytes.len() as u64) < SHORTEST {
            return Err(refused(&format!("has {} bytes, and HS256 needs {SHORTEST} or more", bytes.len())));
        }
        if bytes.len() > LONGEST {
            return Err(refused(&format!("has more than {LONGEST} bytes")));
        }
        let secret = engine(&alphabet::STANDARD).encode(&bytes);
        if secret == SELF_TEST || bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(refused("is one that anybody can guess").hint("`authmig secret generate` makes one"));
        }
        Ok(Secret(secret))
    }

    /// The secret of the file that `option` names, or [`FILE_VARIABLE`], or else that in
    /// [`VARIABLE`].
    pub fn given(file: Option<&Path>, option: &str) -> Result<Option<Secret>, Failure> {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        match file {
            None => Secret::from_variable(),
            Some(file) if variable(FILE_VARIABLE) == *file && !variable(VARIABLE).is_empty() => {
                let message =
                    format!("{VARIABLE} and {FILE_VARIABLE} are both set, and only one can be meant");
                Err(Failure::new(Exit::Usage, message))
            }
            Some(file) => Secret::read_file(file, option).map(Some),
        }
    }

    fn read_file(path: &Path, option: &str) -> Result<Secret, Failure> {
        let name = path.display().to_string();
        let text = text_in(path).map_err(|error| {
            // It can be the secret itself, given in the wrong place.
            let shown = if name.starts_with(['/', '.']) { shown(&name) } else { HIDDEN };
            let message =
                format!("the file that {option} or {FILE_VARIABLE} names, {shown}, cannot be read: {error}");
            Failure::new(Exit::Usage, message)
        })?;
        Secret::parse(&text, &name)
    }

    /// The secret on standard input.
    pub fn read_standard_input() -> Result<Secret, Failure> {
        let text = text_of(&mut io::stdin())
            .map_err(|error| Failure::new(Exit::Usage, format!("standard input cannot be read: {error}")))?;
        Secret::parse(&text, "standard input")
    }

    /// The secret in [`VARIABLE`], if it is set and not empty.
    fn from_variable() -> Result<Option<Secret>, Failure> {
        match std::env::var_os(VARIABLE).unwrap_or_default().into_string() {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Secret::parse(&text, VARIABLE).map(Some),
            Err(_) => Err(Failure::new(Exit::Usage, format!("{VARIABLE} is not UTF-8"))),
        }
    }

    /// What is said of it where it is kept, as [`SOURCES`] says it.
    pub fn source(&self) -> SecretSource {
        let bytes = engine(&alphabet::STANDARD).decode(&self.0).unwrap_or_default();
        SecretSource {
            source: KEPT.to_owned(),
            bytes: bytes.len() as u64,
            fingerprint: sha256(&bytes).chars().take(8).collect(),
            goes_first: false,
            reset: None,
        }
    }

    /// The base64 text. Whoever calls this takes care that it is not shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text of a file that holds a secret, or a connection string, and nothing else.
pub fn text_in(path: &Path) -> io::Result<String> {
    text_of(&mut File::open(path)?)
}

/// The text, without the mark with which some editors say that it is UTF-8.
fn text_of(source: &mut dyn Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::other(format!("it has more than {LIMIT} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// Whether this text may be a secret, or have a password in it: a connection string, a
/// `key=value`, base64 as long as a key. Such a text is not quoted.
pub fn may_be_in(text: &str) -> bool {
    text.contains("://")
        || text.contains('=')
        || decoded(text).is_some_and(|key| key.len() as u64 >= SHORTEST)
}

/// What stands for a text that is not quoted.
pub const HIDDEN: &str = "…";

/// The text as it is quoted: not, if it may be a secret.
pub fn shown(text: &str) -> &str {
    if may_be_in(text) { HIDDEN } else { text }
}

/// The bytes of this base64 of either alphabet, padded or not.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    engine(&alphabet).decode(text).ok()
}

fn engine(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_secret_becomes_padded_base64_on_one_line() {
        let padded = "+/+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for text in [
            padded,
            "+/+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            &format!("  {}\r\n{}\n", &padded[..20], &padded[20..]),
        ] {
            assert_eq!(Secret::parse(text, "x").unwrap().reveal(), padded, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_quoted() {
        for text in [
            "",
            " \n",
            "hunter2!hunter2!",
            "aHVudGVyMg==",
            "-_-/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA AAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            &"A".repeat(8000),
        ] {
            let failure = Secret::parse(text, "x").unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            let shown = format!("{failure:?}");
            assert!(text.trim().is_empty() || !shown.contains(text.trim()), "{shown}");
            assert!(!shown.contains("hunter2"));
        }
    }

    #[test]
    fn what_everybody_knows_is_no_secret() {
        let hexadecimal = sha256(b"authmig self-test");
        let byte = |index: usize| u8::from_str_radix(&hexadecimal[2 * index..2 * index + 2], 16).unwrap();
        let self_test: Vec<u8> = (0..32).map(byte).collect();
        assert_eq!(decoded(SELF_TEST).unwrap(), self_test);
        assert!(include_str!("sql/self_test.sql").contains("sha256('authmig self-test')"));
        for key in [vec![0; 32], vec![0; 48], vec![255; 64], vec![b'x'; 32], self_test] {
            for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
                let text = engine(&alphabet).encode(&key);
                let failure = Secret::parse(&text, "x").unwrap_err();
                assert_eq!(failure.exit, Exit::Usage);
                assert_eq!(failure.message, "the secret in x is one that anybody can guess");
            }
        }
        let mut almost = [0; 32];
        almost[31] = 1;
        Secret::parse(&engine(&alphabet::STANDARD).encode(almost), "x").unwrap();
    }

    #[test]
    fn generated_secrets_differ_and_are_long_enough() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(Secret::parse(one.reveal(), "x").unwrap(), one);
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_secret_or_refused(text in ".{0,60}") {
            let _ = Secret::parse(&text, "x");
        }
    }
}
