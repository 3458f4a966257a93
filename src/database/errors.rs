//! What an error of the server means here, in words.

use std::fmt::Write as _;
use std::time::Duration;

use postgres::error::DbError;

use crate::failure::{Failure, Found, ServerError};
use crate::interrupt::Changed;
use crate::message::Rows;
use crate::report::Exit;

/// The first PostgreSQL that is supported, as `server_version_num`.
const OLDEST: i32 = 140_000;

/// Whether this refusal is of a server where not everybody may use PL/pgSQL. The name alone is the
/// same in every language.
fn is_about_language(message: &str) -> bool {
    message.contains("plpgsql")
}

pub(super) fn check_version(rows: Option<&Rows>) -> Result<(), Failure> {
    let number =
        rows.and_then(|rows| rows.first()?.first()?.as_ref()?.parse::<i32>().ok()).unwrap_or_default();
    if number >= OLDEST {
        return Ok(());
    }
    Err(too_old(&version(number)))
}

/// The version that is this `server_version_num`. Before 10, the major one had two numbers.
fn version(number: i32) -> String {
    match (number / 10_000, number % 10_000) {
        (major @ ..10, rest) => format!("{major}.{}.{}", rest / 100, rest % 100),
        (major, minor) => format!("{major}.{minor}"),
    }
}

fn too_old(version: &str) -> Failure {
    Failure::new(Exit::Failure, format!("this server is PostgreSQL {version}, and authmig needs 14 or newer"))
        .hint("PostgreSQL 13 and older get no more fixes; upgrade the server first")
}

pub(super) fn no_ledger(failure: &Failure) -> bool {
    let server = failure.server.as_ref().map(|server| (server.sqlstate.as_str(), server.message.as_str()));
    failure.place.is_none()
        && server.is_some_and(|(state, said)| state == "42P01" && said.contains("authmig.schema_history"))
}

pub(super) fn is_odd_ledger(failure: &Failure) -> bool {
    failure.place.is_none()
        && matches!(failure.sqlstate(), Some("42P01" | "42703" | "42501" | "42804" | "42809"))
}

pub(super) fn odd_ledger(failure: Failure) -> Failure {
    let policy =
        failure.server.as_ref().is_some_and(|server| server.routine.as_deref() == Some("check_enable_rls"));
    if failure.server.as_ref().is_some_and(|server| is_about_language(&server.message)) {
        return failure;
    }
    let refused = failure.server.as_ref().filter(|server| server.sqlstate == "42501" && !policy);
    if let Some(server) = refused {
        // The names are the same in every language.
        let of_history = ["schema_history", "parameter", "authmig"].iter().any(|name| {
            server.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == *name)
        });
        if !of_history {
            let message = "this takes what the role that migrated may do".to_owned();
            return Failure { message, ..failure }.hint("run it as that role; `authmig status` takes less");
        }
        return Failure {
            message: "the history of this database may not be read by this role".to_owned(),
            ..failure
        }
        .hint(
            "authmig runs as the role that migrated; for `authmig status`, a role that is only to read needs: \
             grant usage on schema authmig to ROLE; \
             grant select on authmig.schema_history, authmig.parameter to ROLE;",
        );
    }
    Failure {
        exit: Exit::Drift,
        message: "the tables in the schema authmig are not the tables that authmig made".to_owned(),
        ..failure
    }
    .hint("look at what stands there; what is lost comes from a backup of the schema authmig")
}

/// The errors of `lock.sql`, `ledger_is_ours.sql` and `planned.sql` in words.
pub(super) fn words(failure: Failure) -> Failure {
    let said = failure.server.as_ref().map_or_else(String::new, |server| server.message.clone());
    let detail = failure.server.as_ref().and_then(|server| server.detail.clone()).unwrap_or_default();
    match failure.sqlstate() {
        Some("AMV01") => too_old(&said),
        Some("AMR01") => Failure::new(
            Exit::Failure,
            "session_replication_role is replica here, so no trigger would run; nothing was changed",
        )
        .hint("run authmig as a superuser, or when the setting is origin again"),
        Some("0A000") => Failure::new(
            Exit::Failure,
            "this server is in recovery, a read replica or a restore; nothing was changed",
        )
        .hint("run it on the primary; the change reaches the replica by itself"),
        Some("AMO01") => Failure::new(
            Exit::Failure,
            format!("the schema authmig belongs to {detail}, who could run code as whoever writes there; nothing was changed"),
        )
        .hint(format!("run authmig as {detail}, or look at what is in it and change its owner")),
        Some("AMO04") => Failure::new(
            Exit::Failure,
            format!("{detail} is a superuser, and acts as {said}, whose code could be a superuser again; nothing was changed"),
        )
        .hint(format!("log in as {said}, or look where the setting `role` comes from")),
        Some("AMO03") => Failure::new(
            Exit::Drift,
            format!("there is a {detail}, which would run with what authmig writes; nothing was changed"),
        )
        .hint(format!("look at what it does, then: drop {detail};")),
        Some("AMO02") => no_history(),
        _ if is_odd_ledger(&failure) => odd_ledger(failure),
        _ => failure,
    }
}

/// What a preflight has found: each what stands in the way, and what helps.
pub(super) fn obstacles(failure: Failure, name: &str) -> Failure {
    let found = failure.server.as_ref().and_then(|server| server.detail.as_deref()).unwrap_or_default();
    let Ok(found) = serde_json::from_str::<Vec<(i32, String, String)>>(found) else {
        return failure;
    };
    let things = if found.len() == 1 { "one thing stands" } else { "several things stand" };
    Failure {
        findings: found.into_iter().map(|(_, what, help)| Found::new(what, help)).collect(),
        ..Failure::new(Exit::Failure, format!("{things} in the way in {name}; nothing was changed"))
    }
}

/// What `makers.sql` has found, in words, each with the statement that takes it away.
pub(super) fn makers(failure: Failure, changed: Changed) -> Failure {
    if failure.sqlstate() != Some("AMC01") {
        return failure;
    }
    let found = failure.server.and_then(|server| server.detail).unwrap_or_default();
    let in_words = |line: &str| match line.split('\u{1f}').collect::<Vec<_>>()[..] {
        ["", who] => {
            let mend = format!("revoke create on schema pg_catalog from {who};");
            Found::new(format!("{who} may create in pg_catalog"), mend)
        }
        [kind, name, ref extension @ ..] => {
            let let_go = extension
                .first()
                .map(|extension| format!("alter extension {extension} drop {kind} {name}; "));
            let mend = format!("{}drop {kind} {name};", let_go.unwrap_or_default());
            Found::new(format!("{kind} {name} is not the server's"), mend)
        }
        _ => line.to_owned().into(),
    };
    let message = format!("what runs here could be somebody's and not the server's; {}", changed.words());
    Failure { findings: found.lines().map(in_words).collect(), ..Failure::new(Exit::Drift, message) }
}

pub(super) fn not_utf8(name: &str, changed: Changed) -> Failure {
    Failure::new(Exit::Failure, format!("{name} answered what is not UTF-8; {}", changed.words()))
}

pub(super) fn lost_ledger() -> Failure {
    let message = "authmig is installed here, and the ledger that says so is lost; nothing was changed";
    Failure::new(Exit::Drift, message).hint(
        "restore the schema authmig from a backup; drop nothing, for auth.refresh_token has the sessions",
    )
}

/// What was read is not true any more. The next look finds what is.
pub fn changed() -> Failure {
    let message = "another run has changed the history in the meantime; nothing was changed";
    Failure { heals: true, ..Failure::new(Exit::Refused, message) }.hint("run the same command again")
}

pub(super) fn no_history() -> Failure {
    Failure::new(Exit::Drift, "there is a schema authmig without a history; nothing was changed")
        .hint("restore authmig.schema_history, or, if nothing is installed, drop the schema")
}

/// What helps against an error that is no script's.
pub(super) fn hint(error: &DbError) -> Option<&'static str> {
    match error.code().code() {
        "42501" if is_about_language(error.message()) => {
            Some("as a superuser: grant usage on language plpgsql to the role that runs authmig")
        }
        "42501" => Some(
            "run authmig as the role that migrated; it is a member of the role that owns what was installed",
        ),
        "42P01" if error.message().contains("authmig.") => {
            Some("`authmig verify` says what is lost, and how it is made again")
        }
        _ => None,
    }
}

/// Advice to wait longer than this was given, and at least as long as is usual.
pub(super) fn longer(option: &str, given: Duration, usual: Duration) -> String {
    let longer = humantime::format_duration(given.saturating_mul(2).max(usual)).to_string();
    // One word, as a shell takes it.
    format!("{option} {} waits longer", longer.replace(' ', ""))
}

/// Who holds a lock, and what kind on what, from a row of `holders.sql`.
pub(super) fn holder(row: &[Option<String>]) -> String {
    let text = |index: usize| row.get(index).and_then(Option::as_deref).filter(|text| !text.is_empty());
    let role = text(1).unwrap_or("?");
    let mut holder = match text(5) {
        Some(name) => format!("the prepared transaction {name} of {role} until `rollback prepared {name}`"),
        None => format!("process {} of {role} from {}", text(0).unwrap_or("?"), text(3).unwrap_or("?")),
    };
    if let Some(application) = text(2) {
        let _ = write!(holder, " ({application})");
    }
    if let Some(since) = text(4) {
        let _ = write!(holder, ", since {since}");
    }
    if let Some(locks) = text(6) {
        let _ = write!(holder, ", which has {locks}");
    }
    holder
}

/// The parts of this error.
pub(super) fn server_error(error: &DbError) -> ServerError {
    ServerError {
        message: error.message().to_owned(),
        sqlstate: error.code().code().to_owned(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        context: error.where_().map(str::to_owned),
        routine: error.routine().map(str::to_owned),
    }
}

/// What the server said, or else the innermost cause.
pub(super) fn reason(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    plain(&cause.to_string())
}

/// The text of a system's error as a part of a sentence: without what it adds about itself, and with
/// a small letter in front, unless it is an abbreviation's.
pub(super) fn plain(text: &str) -> String {
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(text);
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(_) if characters.clone().next().is_some_and(char::is_uppercase) => text.to_owned(),
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_as_the_server_writes_it() {
        for (number, expected) in
            [(90_624, "9.6.24"), (100_023, "10.23"), (130_000, "13.0"), (130_023, "13.23")]
        {
            assert_eq!(version(number), expected);
        }
    }

    #[test]
    fn to_wait_longer_is_longer_than_it_was() {
        let hint = |given| longer("--lock-wait", given, Duration::from_mins(5));
        for given in [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(150)] {
            assert_eq!(hint(given), "--lock-wait 5m waits longer");
        }
        assert_eq!(hint(Duration::from_secs(300)), "--lock-wait 10m waits longer");
        assert_eq!(hint(Duration::from_millis(200_500)), "--lock-wait 6m41s waits longer");
        assert_eq!(humantime::parse_duration("6m41s"), Ok(Duration::from_secs(401)));
        assert!(hint(Duration::MAX).ends_with(" waits longer"));
    }

    #[test]
    fn a_systems_error_becomes_a_part_of_a_sentence() {
        for (text, expected) in [
            ("Connection refused (os error 111)", "connection refused"),
            ("failed to lookup address information: Name or service not known", "name or service not known"),
            ("EOF while reading", "EOF while reading"),
            ("", "no reason given"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
