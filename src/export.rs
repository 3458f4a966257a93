//! The embedded migrations as files for other tools: psql, SuperStack's script, dbmate,
//! Sqitch, refinery.
//!
//! Each file brings what it needs: the settings it reads, the lock, the checks that
//! authmig makes, and the rows it leaves in the ledger, so that `authmig status` and
//! `authmig verify` accept the result. A migration's file depends on that migration and
//! nothing else: the next release exports the same one to the byte.

use clap::ValueEnum;

use crate::catalog::Catalog;
use crate::message::{journal, literal, settings};
use crate::migration::{Migration, label};
use crate::parameters::Values;

/// What an export is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// SQL for psql or any other client, up and down apart.
    Plain,
    /// For `bin/postgres migrate` of SuperStack.
    Superstack,
    /// dbmate.
    Dbmate,
    /// Sqitch, a project with plan.
    Sqitch,
    /// refinery, its library or its command.
    Refinery,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFile {
    /// Its path in the folder, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// One step of an export: the ledger, or a migration.
struct Step {
    /// 0 for the ledger.
    number: i32,
    name: String,
    up: String,
    down: String,
    verify: String,
}

/// The ledger's step: it makes the schema `authmig` and chooses the names.
const LEDGER: &str = "authmig_ledger";

/// The files of an export.
pub fn files(catalog: &Catalog, parameters: &Values, layout: Layout) -> Vec<ExportFile> {
    let mut steps = vec![ledger(parameters)];
    let mut before = 0;
    for migration in catalog.migrations() {
        steps.push(step(migration, before));
        before = migration.version.number();
    }
    let file = |path: String, text: String| ExportFile { path, text };
    let mut files = vec![file("README.md".to_owned(), read_me(layout).to_owned())];
    for step in &steps {
        let Step { number, name, up, down, verify } = step;
        match layout {
            Layout::Plain => {
                files.push(file(format!("{number:02}-{name}.up.sql"), up.clone()));
                files.push(file(format!("{number:02}-{name}.down.sql"), down.clone()));
            }
            Layout::Superstack => files.push(file(format!("{number:02}-{name}.sql"), transaction(up))),
            Layout::Dbmate => files.push(file(
                format!("{number:02}_{name}.sql"),
                format!("-- migrate:up\n{up}\n-- migrate:down\n{down}"),
            )),
            Layout::Sqitch => {
                files.push(file(format!("deploy/{name}.sql"), transaction(up)));
                files.push(file(format!("revert/{name}.sql"), transaction(down)));
                let verify = format!("begin;\n{verify}rollback;\n");
                files.push(file(format!("verify/{name}.sql"), verify));
            }
            Layout::Refinery => files.push(file(format!("V{number}__{name}.sql"), up.clone())),
        }
    }
    if layout == Layout::Sqitch {
        files.push(file("sqitch.conf".to_owned(), "[core]\n\tengine = pg\n".to_owned()));
        files.push(file("sqitch.plan".to_owned(), sqitch_plan(&steps)));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read_me(layout: Layout) -> &'static str {
    match layout {
        Layout::Plain => include_str!("export/plain.md"),
        Layout::Superstack => include_str!("export/superstack.md"),
        Layout::Dbmate => include_str!("export/dbmate.md"),
        Layout::Sqitch => include_str!("export/sqitch.md"),
        Layout::Refinery => include_str!("export/refinery.md"),
    }
}

fn transaction(sql: &str) -> String {
    format!("begin;\n{sql}commit;\n")
}

fn ledger(parameters: &Values) -> Step {
    let script = label(0, LEDGER);
    let open = |action: &str| {
        let own = [("authmig.step", "0"), ("authmig.action", action), ("authmig.script", script.as_str())];
        format!("-- {script}, exported by authmig.\n{}\n{}", settings(&own), OPEN)
    };
    Step {
        number: 0,
        name: LEDGER.to_owned(),
        up: [
            &open("migrate"),
            "\n",
            include_str!("sql/ledger.sql"),
            "\n",
            &names(parameters),
            "\n",
            include_str!("sql/parameters.sql"),
            CLOSE,
        ]
        .concat(),
        down: [&open("rollback"), "\n", include_str!("sql/purge.sql"), CLOSE].concat(),
        verify: include_str!("export/verify_ledger.sql").to_owned(),
    }
}

/// The install parameters, without a dollar: SuperStack's script has envsubst rewrite a name behind one.
fn names(parameters: &Values) -> String {
    let settings = parameters.iter().map(|(name, value)| {
        let mut quoted = literal(value);
        if quoted.contains('$') {
            let escapes = if quoted.starts_with('e') { "" } else { "e" };
            quoted = format!("{escapes}{}", quoted.replace('$', "\\x24"));
        }
        format!("set local authmig.{name} = {quoted};\n")
    });
    settings.collect()
}

const OPEN: &str = concat!(
    include_str!("export/open.sql"),
    include_str!("sql/ledger_is_ours.sql"),
    include_str!("export/turn.sql")
);
const CLOSE: &str = include_str!("export/close.sql");
const NOTIFY: &str = include_str!("sql/notify.sql");

fn step(migration: &Migration, before: i32) -> Step {
    let number = migration.version.number();
    let open = |action: &str| {
        let own = settings(&[
            ("authmig.step", &number.to_string()),
            ("authmig.before", &before.to_string()),
            ("authmig.action", action),
            ("authmig.script", &migration.to_string()),
            ("authmig.name", &migration.name),
            ("authmig.sha256", &migration.sha256()),
            ("authmig.checksum", &migration.checksum().to_string()),
            // Not this binary's version: the file is the same in every release.
            ("authmig.version", "export"),
        ]);
        format!("-- {migration}, exported by authmig. Do not edit.\n{own}\n{OPEN}")
    };
    let script = |file: &str, sql: &str| format!("\n-- {file}\n{}\n\n", ended(sql));
    Step {
        number,
        name: migration.name.clone(),
        up: [
            &open("migrate"),
            &script(&migration.up.file, &migration.up.sql),
            include_str!("export/record.sql"),
            &script(&migration.verify.file, &migration.verify.sql),
            &journal("migrate", &[number]),
            NOTIFY,
            CLOSE,
        ]
        .concat(),
        down: [
            &open("rollback"),
            &script(&migration.down.file, &migration.down.sql),
            include_str!("sql/forget.sql"),
            &journal("rollback", &[number]),
            NOTIFY,
            CLOSE,
        ]
        .concat(),
        verify: [include_str!("export/verify.sql"), &script(&migration.verify.file, &migration.verify.sql)]
            .concat(),
    }
}

/// The script, its last statement ended: some leave that to the end of the file.
fn ended(sql: &str) -> String {
    let sql = sql.trim_end();
    if sql.ends_with(';') { sql.to_owned() } else { format!("{sql}\n;") }
}

/// Sqitch's plan: a line a change, each requiring the one before.
fn sqitch_plan(steps: &[Step]) -> String {
    use std::fmt::Write as _;
    let mut plan = "%syntax-version=1.0.0\n%project=authmig\n\n".to_owned();
    let mut before: Option<&str> = None;
    for step in steps {
        let requires = before.map_or_else(String::new, |name| format!(" [{name}]"));
        // Sqitch makes a change's identity of all of this, so the time and the planner never differ.
        let _ = writeln!(
            plan,
            "{}{requires} 2026-01-01T00:00:00Z authmig <authmig@localhost> # {}",
            step.name,
            label(step.number, &step.name)
        );
        before = Some(&step.name);
    }
    plan
}
