//! One integration binary, against real PostgreSQL. `bin/test` starts the servers.
#![allow(clippy::unwrap_used, clippy::needless_raw_string_hashes, reason = "tests")]

mod support;

mod adopt;
mod auth;
mod commands;
mod concurrency;
mod failures;
mod privileges;
mod readme;
mod rollback;
mod scripts;
mod secret;
mod signals;
mod walking;
mod wire;
