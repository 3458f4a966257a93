//! One JSON object on one line; the keys are documented in `docs/schema`.

use std::io;

use serde::Serialize;

use crate::failure::Failure;
use crate::report::{Exit, Report, VERSION};

pub(super) fn report(report: &Report) -> io::Result<String> {
    line(report)
}

pub(super) fn failure(failure: &Failure) -> io::Result<String> {
    line(&ErrorReport { schema: "authmig.error/1", authmig: VERSION, error: failure, exit: failure.exit })
}

fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

/// What is written instead of a report.
#[derive(Serialize)]
struct ErrorReport<'a> {
    schema: &'static str,
    authmig: &'static str,
    error: &'a Failure,
    exit: Exit,
}
