//! The two files that belong to a connection string: passwords and services. Source:
//! PostgreSQL manual, "The Password File" and "The Connection Service File".

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::conninfo::Setting;
use super::keyword;
use crate::secret;

/// A password file: lines of `host:port:database:user:password`.
#[derive(Default)]
pub(super) struct PassFile {
    /// Number, and the five fields.
    lines: Vec<(usize, [String; 5])>,
}

impl PassFile {
    /// Reads it. A file that is not there holds nothing; one that others may read is
    /// not used, and the error says so.
    pub(super) fn read(path: &Path) -> Result<PassFile, String> {
        let Ok(metadata) = fs::metadata(path) else {
            return Ok(PassFile::default());
        };
        let shown = path.display();
        if !metadata.is_file() {
            return Err(format!("password file {shown} is not used: it is not a plain file"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(format!(
                "password file {shown} is not used: others may read it; chmod 600 mends that"
            ));
        }
        let text = fs::read(path).map_err(|error| format!("password file {shown} is not used: {error}"))?;
        Ok(PassFile::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> PassFile {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        PassFile { lines: lines.filter_map(|(index, line)| Some((index + 1, fields(line)?))).collect() }
    }

    /// The password for this connection, and its line.
    pub(super) fn password(
        &self,
        hosts: &[&str],
        port: u16,
        dbname: &str,
        user: &str,
    ) -> Option<(&str, usize)> {
        let port = port.to_string();
        let fits = |field: &str, value: &str| field == "*" || unescaped(field) == value;
        let (number, line) = self.lines.iter().find(|(_, line)| {
            hosts.iter().any(|host| fits(&line[0], host))
                && fits(&line[1], &port)
                && fits(&line[2], dbname)
                && fits(&line[3], user)
        })?;
        Some((&line[4], *number))
    }
}

/// The first four fields as they are, and the password without its backslashes.
fn fields(line: &str) -> Option<[String; 5]> {
    let mut fields: [String; 5] = Default::default();
    let mut index = 0;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if index < 4 => fields[index].extend([c].into_iter().chain(characters.next())),
            '\\' => fields[index].extend(characters.next()),
            ':' if index < 4 => index += 1,
            // So libpq has it: what is behind one more is not looked at.
            ':' => break,
            c => fields[index].push(c),
        }
    }
    (index == 4).then_some(fields)
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        plain.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    plain
}

/// The settings of a service in this file; `None` if it has no such service, or is not
/// there.
pub(super) fn service(path: &Path, name: &str) -> Result<Option<Vec<Setting>>, String> {
    let shown = path.to_string_lossy();
    let shown = secret::shown(&shown);
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("service file {shown} cannot be read: {error}")),
    };
    settings(&String::from_utf8_lossy(&text), name)
        .map_err(|(line, why)| format!("service file {shown}, line {line}: {why}"))
}

fn settings(text: &str, name: &str) -> Result<Option<Vec<Setting>>, (usize, String)> {
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = |why: &str| (index + 1, why.to_owned());
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if title.strip_prefix(name).is_some_and(|rest| rest.starts_with(']')) {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(settings) = &mut found else { continue };
        if line.starts_with("ldap") {
            return Err(wrong("LDAP is not supported"));
        }
        let Some((keyword, value)) = line.split_once('=') else {
            return Err(wrong("there is no = in it"));
        };
        match keyword::find(keyword) {
            None => return Err(wrong("there is no such option")),
            Some(keyword) if keyword.name == "service" => {
                return Err(wrong("a service cannot name another one"));
            }
            Some(keyword) => settings.push((keyword, value.to_owned())),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = PassFile::parse(
            "# comment\n\
             db.example:5432:shop:app:first\n\
             db.example:*:*:app:se\\:co\\\\nd:x\n\
             \\::1:1:a\\:b:u:six\n\
             localhost:*:*:*:socket\r\n\
             too:few:fields\n\
             *:*:*:last:\n",
        );
        let of = |host, port, dbname, user| file.password(&[host], port, dbname, user);
        assert_eq!(of("db.example", 5432, "shop", "app"), Some(("first", 2)));
        assert_eq!(of("db.example", 5433, "shop", "app"), Some(("se:co\\nd", 3)));
        assert_eq!(of("db.example", 5433, "shop", "other"), None);
        assert_eq!(of(":", 1, "a:b", "u"), None);
        assert_eq!(of("localhost", 1, "a", "u"), Some(("socket", 5)));
        assert_eq!(of("x", 1, "a", "last"), Some(("", 7)));
        assert_eq!(file.password(&["/run/pg", "localhost"], 1, "a", "u"), Some(("socket", 5)));
    }

    #[test]
    fn a_service_is_the_lines_below_its_name() {
        let text = "[other]\nhost=o\n\n[mine]\n# comment\n  host=h  \nport=5\nuser= u\n[mine]\nhost=late\n";
        let settings = settings(text, "mine").unwrap().unwrap();
        let settings: Vec<_> =
            settings.iter().map(|(keyword, value)| (keyword.name, value.as_str())).collect();
        assert_eq!(settings, [("host", "h"), ("port", "5"), ("user", " u")]);
        assert!(super::settings(text, "none").unwrap().is_none());
        for (text, line) in
            [("[s]\nhost", 2), ("[s]\nhost=h\nbad=1", 3), ("[s]\nservice=t", 2), ("[s]\nldap://h", 2)]
        {
            assert_eq!(super::settings(text, "s").unwrap_err().0, line, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_password_file_and_a_service_file_or_refused(text in "(?s).{0,80}") {
            let _ = PassFile::parse(&text).password(&["h"], 1, "d", "u");
            let _ = settings(&text, "s");
            let _ = settings(&format!("[s]\n{text}"), "s");
        }
    }
}
