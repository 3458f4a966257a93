//! `scripts`: the verify script of every applied migration finds what it looks for.

use crate::catalog::Catalog;
use crate::database::Database;
use crate::failure::Failure;
use crate::history::History;
use crate::migration::{Script, Version};
use crate::parameters::Values;
use crate::report::{Check, Finding, Verdict};

/// Runs the scripts, each of them whatever the others say, in a read-only transaction.
pub fn run(
    database: &mut Database,
    catalog: &Catalog,
    history: &History,
    parameters: &Values,
) -> Result<Check, Failure> {
    let scripts: Vec<&Script> = history
        .applied
        .iter()
        .filter_map(|row| catalog.get(Version::new(row.version)?))
        .map(|migration| &migration.verify)
        .collect();
    let findings: Vec<_> = database
        .run_read_only(&scripts, parameters)?
        .into_iter()
        .map(|(file, failure)| {
            let server = failure.server.as_ref();
            Finding {
                subject: file,
                message: server.map_or(failure.message.clone(), |server| {
                    format!("{} ({})", server.message, server.sqlstate)
                }),
                hint: server.and_then(|server| server.hint.clone()),
            }
        })
        .collect();
    let mut check = super::check("scripts", "each verify script finds what it looks for", findings);
    if scripts.is_empty() {
        check.verdict = Verdict::Skipped;
    }
    Ok(check)
}
