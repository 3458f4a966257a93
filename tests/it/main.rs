//! One integration binary, against real PostgreSQL. `bin/test` starts the servers.
#![allow(clippy::unwrap_used, clippy::needless_raw_string_hashes, reason = "tests")]

mod support;

mod adopt;
mod commands;
mod concurrency;
mod docs;
mod failures;
mod formats;
mod manifest;
mod privileges;
mod readme;
mod rollback;
mod scripts;
mod secret;
mod signals;
mod tamper;
mod walking;
mod wire;
