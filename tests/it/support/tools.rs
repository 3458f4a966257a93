//! Programs of others that tests use: there, or the test is skipped and says so.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{TestDb, setting};

/// The program, if this machine has it.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// psql as a careful person starts it, on this database.
pub(crate) fn psql(url: &str) -> Command {
    let mut command = Command::new(PathBuf::from(setting("AUTHMIG_TEST_CLIENTS")).join("psql"));
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url]);
    command.stdin(Stdio::null());
    command
}

/// authmig on a terminal that `script` gives it, with pipes to it and from it.
pub(crate) fn on_a_terminal(db: &TestDb, arguments: &str) -> Option<Command> {
    let mut command = Command::new(tool("script")?);
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_authmig"));
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    command.env("DATABASE_URL", db.url()).stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(command)
}

/// Says that something is not there, and that what needs it is not tested. `.ci/run` installs
/// everything, and sets `AUTHMIG_TEST_REQUIRE_TOOLS`, with which this fails the test.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn missing(name: &str) {
    let required = std::env::var_os("AUTHMIG_TEST_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{name} is not installed");
    eprintln!("skipped: {name} is not installed");
}
