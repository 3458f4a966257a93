//! SARIF 2.1.0, as code scanning reads it: a rule a check, a result a finding. Source:
//! OASIS, "Static Analysis Results Interchange Format".

use std::io;

use serde_json::{Value, json};

use super::diagnostics::told;
use crate::failure::Failure;
use crate::report::{Check, Finding, Severity, VERSION, VerifyReport};

pub(super) fn verify(report: &VerifyReport) -> io::Result<String> {
    let rules: Vec<Value> = report
        .checks
        .iter()
        .map(|check| json!({"id": check.name, "shortDescription": {"text": check.proves}}))
        .collect();
    let results: Vec<Value> = report
        .checks
        .iter()
        .flat_map(|check| check.findings.iter().map(move |finding| result(report, check, finding)))
        .collect();
    log(&json!({
        "tool": {"driver": {"name": "authmig", "version": VERSION, "rules": rules}},
        "results": results,
    }))
}

/// What is written if nothing could be checked.
pub(super) fn failure(failure: &Failure) -> io::Result<String> {
    log(&json!({
        "tool": {"driver": {"name": "authmig", "version": VERSION}},
        "invocations": [{
            "executionSuccessful": false,
            "exitCode": failure.exit.code(),
            "toolExecutionNotifications": [{"level": "error", "message": {"text": told(failure)}}],
        }],
        "results": [],
    }))
}

fn log(run: &Value) -> io::Result<String> {
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    Ok(serde_json::to_string(&log)? + "\n")
}

fn result(report: &VerifyReport, check: &Check, finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Advice => "note",
    };
    json!({
        "ruleId": check.name,
        "level": level,
        "message": {"text": finding.lines()},
        "locations": [{
            // Code scanning of GitHub wants a file and a line. This one is nowhere.
            "physicalLocation": {
                "artifactLocation": {"uri": format!("authmig/{}", check.name.word())},
                "region": {"startLine": 1},
            },
            "logicalLocations": [{
                "name": finding.subject,
                "fullyQualifiedName": format!("{}/{}", report.database, finding.subject),
            }],
        }],
    })
}
