//! One integration binary, against real PostgreSQL. `bin/test` starts the servers.
#![allow(
    clippy::unwrap_used,
    clippy::needless_raw_string_hashes,
    clippy::needless_pass_by_value,
    clippy::format_collect,
    reason = "tests"
)]

mod support;

mod adopt;
mod auth;
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
mod weather;
mod wire;
