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
mod connecting;
mod docs;
mod examples;
mod export;
mod failures;
mod formats;
mod hostile;
mod install;
mod launcher;
mod manifest;
mod manual;
mod privileges;
mod quiet;
mod races;
mod readme;
mod release;
mod rollback;
mod scripts;
mod secret;
mod signals;
mod tamper;
mod terminal;
mod unwritable;
mod variables;
mod walking;
mod weather;
mod wire;
