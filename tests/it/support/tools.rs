//! Programs of others that tests use: there, or the test is skipped and says so.

use std::path::PathBuf;

/// The program, if this machine has it.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// Says that something is not there, and that what needs it is not tested. `.ci/run` installs
/// everything, and sets `AUTHMIG_TEST_REQUIRE_TOOLS`, with which this fails the test.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn missing(name: &str) {
    let required = std::env::var_os("AUTHMIG_TEST_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{name} is not installed");
    eprintln!("skipped: {name} is not installed");
}
