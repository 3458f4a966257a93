//! Connection strings, as libpq reads them: URLs and lists of key=value. Source:
//! PostgreSQL manual, "Connection Strings"; where that is silent, libpq.
//!
//! No error quotes a piece of the string, for any piece can be part of a password.

use super::given::wrong;
use super::keyword::{self, Keyword};
use crate::failure::Failure;

/// A keyword and the value it is given.
pub(super) type Setting = (&'static Keyword, String);

const PERCENT: &str = "in a user name or password of a URL, write @ as %40, / as %2F, ? as %3F and % as %25";

/// The settings in this string; of two for the same keyword, the last one counts. The error is the
/// end of a sentence about the string.
pub(super) fn parse(text: &str) -> Result<Vec<Setting>, Failure> {
    if text.contains('\0') {
        return Err(wrong("has a NUL in it"));
    }
    // A line break at the end of a URL comes with what was pasted, and is no part of a name.
    let line = text.trim_matches([' ', '\t', '\r', '\n']);
    match behind_scheme(line) {
        Some(rest) => url(rest),
        None if behind_scheme(line.trim_start_matches(['"', '\''])).is_some() => {
            Err(wrong("starts with a quotation mark")
                .hint("a file of variables keeps the quotation marks that a shell would take away"))
        }
        None if !text.contains('=') || text.split('=').next().is_some_and(|name| name.contains("://")) => {
            Err(wrong("is neither a URL that starts with postgres:// nor a list of key=value")
                .hint("it looks like postgres://user@host:5432/dbname, or host=… user=… dbname=…"))
        }
        None => pairs(text),
    }
}

/// Whether this text is a connection string, of whatever driver, and no name: there is a `://` in
/// it, or a keyword in front of its first `=`. A role may be called `a=b`.
pub fn is_connection_string(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name.trim());
    text.contains("://") || name.is_some_and(|name| keyword::find(name).is_some())
}

/// What is behind `postgres://`, in a URL.
fn behind_scheme(text: &str) -> Option<&str> {
    ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme))
}

/// `user:password@host:port,host:port/dbname?keyword=value&…`
fn url(text: &str) -> Result<Vec<Setting>, Failure> {
    let mut settings = Vec::new();
    let mut rest = text;

    let before_slash = &rest[..rest.find('/').unwrap_or(rest.len())];
    if let Some(at) = before_slash.find('@') {
        let (user, password) = match before_slash[..at].split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (&before_slash[..at], None),
        };
        store(&mut settings, "user", user)?;
        store(&mut settings, "password", password.unwrap_or_default())?;
        rest = &rest[at + 1..];
    }

    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    loop {
        let (host, behind) = host(rest)?;
        hosts.push(host);
        rest = behind;
        let port = match rest.strip_prefix(':') {
            Some(behind) => {
                let end = behind.find(['/', '?', ',']).unwrap_or(behind.len());
                rest = &behind[end..];
                &behind[..end]
            }
            None => "",
        };
        ports.push(port);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    if hosts.iter().any(|host| host.contains('@')) {
        return Err(wrong("has more than one @ in front of its hosts").hint(PERCENT));
    }
    store(&mut settings, "host", &hosts.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        store(&mut settings, "port", &ports.join(","))?;
    }

    if let Some(behind) = rest.strip_prefix('/') {
        let end = behind.find('?').unwrap_or(behind.len());
        if behind[..end].contains('@') {
            return Err(wrong("has an @ behind its first /").hint(PERCENT));
        }
        store(&mut settings, "dbname", &behind[..end])?;
        rest = &behind[end..];
    }

    if let Some(query) = rest.strip_prefix('?').filter(|query| !query.is_empty()) {
        for part in query.strip_suffix('&').unwrap_or(query).split('&') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(wrong("has an option without a = behind the ?").hint(PERCENT));
            };
            if value.contains('=') {
                return Err(
                    wrong("has an option with two = behind the ?").hint("inside a value, write = as %3D")
                );
            }
            match (&*decode(name)?, &*decode(value)?) {
                // For JDBC's sake.
                ("ssl", "true") => settings.push((named("sslmode")?, "require".to_owned())),
                ("ssl", _) => {
                    return Err(wrong("has ssl with another value than true").hint("sslmode says it all"));
                }
                (name, value) => settings.push((named(name)?, value.to_owned())),
            }
        }
    }
    Ok(settings)
}

/// One host of a URL, and what is behind it.
fn host(text: &str) -> Result<(&str, &str), Failure> {
    if let Some(address) = text.strip_prefix('[') {
        let Some((address, behind)) = address.split_once(']').filter(|(address, _)| !address.is_empty())
        else {
            return Err(wrong("has a [ without an IPv6 address and a ] behind it"));
        };
        if !behind.is_empty() && !behind.starts_with([':', '/', '?', ',']) {
            return Err(wrong("has something between an IPv6 address and its port"));
        }
        return Ok((address, behind));
    }
    Ok(text.split_at(text.find([':', '/', '?', ',']).unwrap_or(text.len())))
}

/// Adds a value of a URL, unless it is empty.
fn store(settings: &mut Vec<Setting>, name: &str, value: &str) -> Result<(), Failure> {
    if !value.is_empty() {
        settings.push((named(name)?, decode(value)?));
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Keyword, Failure> {
    keyword::find(name).ok_or_else(|| {
        // What was written may be a piece of a password, and what was meant is none.
        let meant = keyword::nearest(name).map_or_else(String::new, |name| format!(": is {name} meant?"));
        wrong(format!("has an option that does not exist{meant}"))
            .hint("options of other drivers (schema, pgbouncer, …) have to go")
    })
}

/// RFC 3986 section 2.1, but NUL.
fn decode(text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|byte| *byte != 0);
        let Some(byte) = byte else {
            return Err(
                wrong("has a % without two hexadecimal digits, other than 00, behind it").hint(PERCENT)
            );
        };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| wrong("has percent signs that do not stand for UTF-8"))
}

/// White space, as libpq sees it.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// `keyword = value keyword = 'value with \' in it'`
fn pairs(text: &str) -> Result<Vec<Setting>, Failure> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(|c| c == '=' || is_space(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let Some(value) = behind.trim_start_matches(is_space).strip_prefix('=') else {
            return Err(
                wrong("has a word without a = behind it").hint("a value with a blank in it stands in '…'")
            );
        };
        let (value, behind) = value_of(value.trim_start_matches(is_space))?;
        settings.push((named(name)?, value));
        rest = behind.trim_start_matches(is_space);
    }
    Ok(settings)
}

/// One value, and what is behind it.
fn value_of(text: &str) -> Result<(String, &str), Failure> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, &text[index + 1..])),
            c if !quoted && is_space(c) => return Ok((value, &text[index..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(wrong("has a ' without a second one"));
    }
    Ok((value, ""))
}

/// A value as it stands behind a `=`.
pub(super) fn quoted(value: &str) -> String {
    let plain = |c: char| !is_space(c) && c != '\'' && c != '\\';
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings as key=value, or what is wrong.
    fn read(text: &str) -> String {
        match parse(text) {
            Ok(settings) => {
                let shown =
                    settings.iter().map(|(keyword, value)| format!("{}={}", keyword.name, quoted(value)));
                shown.collect::<Vec<_>>().join(" ")
            }
            Err(failure) => format!("it {}", failure.message),
        }
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, settings) in [
            ("postgres://", ""),
            ("postgresql:///", ""),
            ("postgres://h", "host=h"),
            ("postgres://u@h", "user=u host=h"),
            ("postgres://u:p@h:1/d", "user=u password=p host=h port=1 dbname=d"),
            ("postgres://u:@h/", "user=u host=h"),
            ("postgres://:p@h/", "password=p host=h"),
            ("postgres://u:a:b@h", "user=u password=a:b host=h"),
            ("postgres://u%40x:p%2Fq@h/d%20e", "user=u@x password=p/q host=h dbname='d e'"),
            ("postgres://a:1,b,c:3/d", "host=a,b,c port=1,,3 dbname=d"),
            ("postgres://:5433/d", "port=5433 dbname=d"),
            ("postgres://h:/d", "host=h dbname=d"),
            ("postgres://[::1]:5/d", "host=::1 port=5 dbname=d"),
            ("postgres://[::1],h/d", "host=::1,h dbname=d"),
            ("postgres://%2Frun%2Fpg/d", "host=/run/pg dbname=d"),
            ("postgres:///d?host=/run/pg&port=9", "dbname=d host=/run/pg port=9"),
            ("postgres://h?user=a%20b", "host=h user='a b'"),
            ("postgres://h/?ssl=true", "host=h sslmode=require"),
            ("postgres://h/d?", "host=h dbname=d"),
            ("postgres://h/d?dbname=", "host=h dbname=d dbname=''"),
            (" postgres://h/d\r\n", "host=h dbname=d"),
            ("\"postgres://u:p@h/d\"", "it starts with a quotation mark"),
        ] {
            assert_eq!(read(url), settings, "{url}");
        }
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        for (pairs, settings) in [
            ("host=h", "host=h"),
            ("  host = h  port=5 ", "host=h port=5"),
            ("host= h port =5", "host=h port=5"),
            ("password='a b' user=u", "password='a b' user=u"),
            (r"password='it\'s' user=u", r"password='it\'s' user=u"),
            (r"password=a\ b\\c", r"password='a b\\c'"),
            ("password='' user=u", "password='' user=u"),
            ("password= user=u", "password=user=u"),
            ("user=u\tport=1\nhost=h", "user=u port=1 host=h"),
            ("user=a'b", r"user='a\'b'"),
            (r"user=a\", "user=a"),
        ] {
            assert_eq!(read(pairs), settings, "{pairs}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_it() {
        for (text, wrong) in [
            ("", "it is neither a URL that starts with postgres:// nor a list of key=value"),
            ("s3cret", "it is neither a URL that starts with postgres:// nor a list of key=value"),
            (
                "mysql://u:s3cret@h/d?a=b",
                "it is neither a URL that starts with postgres:// nor a list of key=value",
            ),
            ("host", "it is neither a URL that starts with postgres:// nor a list of key=value"),
            ("user=u s3cret host=h", "it has a word without a = behind it"),
            ("password='s3cret", "it has a ' without a second one"),
            ("s3cret=h", "it has an option that does not exist"),
            ("sslmodus=s3cret", "it has an option that does not exist: is sslmode meant?"),
            ("postgres://u:s3@cret@h/d", "it has more than one @ in front of its hosts"),
            ("postgres://u:12/s3cret@h/d", "it has an @ behind its first /"),
            ("postgres://h/d?s3cret", "it has an option without a = behind the ?"),
            ("postgres://h/d?s3cret=1", "it has an option that does not exist"),
            ("postgres://h/d?password=s3=cret", "it has an option with two = behind the ?"),
            ("postgres://h/d?ssl=s3cret", "it has ssl with another value than true"),
            ("postgres://u:s3%cret@h", "it has a % without two hexadecimal digits, other than 00, behind it"),
            ("postgres://u:s3%00@h", "it has a % without two hexadecimal digits, other than 00, behind it"),
            ("postgres://u:s3%ff@h", "it has percent signs that do not stand for UTF-8"),
            ("postgres://[::1/d", "it has a [ without an IPv6 address and a ] behind it"),
            ("postgres://[]/d", "it has a [ without an IPv6 address and a ] behind it"),
            ("postgres://[::1]x/d", "it has something between an IPv6 address and its port"),
            ("host=h\0", "it has a NUL in it"),
        ] {
            assert_eq!(read(text), wrong, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_string_is_read_or_refused(text in "(postgres://|host=)?.{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_quoted_is_read_as_it_was(value in "[^\0]{0,30}") {
            let read = parse(&format!("user={} port=1", quoted(&value))).unwrap();
            proptest::prop_assert_eq!(&read[0].1, &value);
            proptest::prop_assert_eq!(read.len(), 2);
        }

        #[test]
        fn what_is_percent_encoded_is_read_as_it_was(user in "[^\0]{1,20}", password in "[^\0]{1,20}", dbname in "[^\0]{1,20}") {
            let encode = |text: &str| text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
            let url = format!("postgres://{}:{}@h/{}", encode(&user), encode(&password), encode(&dbname));
            let read: Vec<String> = parse(&url).unwrap().into_iter().map(|(_, value)| value).collect();
            proptest::prop_assert_eq!(read, [user, password, "h".to_owned(), dbname]);
        }
    }
}
