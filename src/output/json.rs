//! One JSON object on one line; the keys are documented in `docs/schema`.

use std::io;

use serde::Serialize;

use crate::failure::Failure;
use crate::report::{ErrorReport, Report};

pub(super) fn report(report: &Report) -> io::Result<String> {
    line(report)
}

pub(super) fn failure(failure: &Failure) -> io::Result<String> {
    line(&ErrorReport::new(failure))
}

fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}
