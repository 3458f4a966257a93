//! Any row that the ledger can hold yields a finding or an error: no panic, no harm.

use postgres::types::ToSql;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Site, Tally, often};

/// A row of `authmig.schema_history`, in the order of its columns.
type Row = (i32, String, String, String, String, String, String);

/// Text that the database can hold, of up to this many characters; half of it from what
/// stands there otherwise.
fn text(limit: usize, usual: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(usual).prop_map(str::to_owned),
        proptest::collection::vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..limit)
            .prop_map(|characters| characters.into_iter().collect()),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop_oneof![-2..9, any::<i32>()],
        text(60, &["extensions", "auth_schema", "grants", "", "a-b", "'; drop schema auth; --"]),
        text(38, &["2026-01-01T00:00:00Z", "infinity", "", "-4712-01-01T00:00:00Z", "9999-12-31T23:59:60Z"]),
        text(18, &["0", "-1", "18446744073709551615", "99999999999999999999", "1e3"]),
        text(60, &["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]),
        // Bytes are counted here, not characters.
        text(15, &["postgres", ""]),
        text(38, &["0.1.0", "99.0.0", ""]),
    )
}

/// What is done to the ledger that was there.
#[derive(Clone, Debug)]
struct Damage {
    emptied: bool,
    rows: Vec<Row>,
    removed: Vec<i32>,
    parameters: Vec<(String, String)>,
    created: Vec<(String, String, i32)>,
}

fn damage() -> impl Strategy<Value = Damage> {
    (
        any::<bool>(),
        proptest::collection::vec(row(), 0..4),
        proptest::collection::vec(1..6, 0..3),
        proptest::collection::vec(
            (
                text(30, &["anon_role", "owner_role", "api_schema", "unknown"]),
                text(15, &["anon", "postgres", "", "\"", "{owner_role}"]),
            ),
            0..3,
        ),
        proptest::collection::vec(
            (
                text(10, &["schema", "grant", "extension", "role"]),
                text(
                    60,
                    &["public", "auth", "pgcrypto", "postgres", "public cascade; drop table public.precious"],
                ),
                -1..7,
            ),
            0..3,
        ),
    )
        .prop_map(|(emptied, rows, removed, parameters, created)| Damage {
            emptied,
            rows,
            removed,
            parameters,
            created,
        })
}

fn inflict(damage: &Damage, client: &mut postgres::Client) {
    if damage.emptied {
        client.batch_execute("delete from authmig.schema_history").unwrap();
    }
    client
        .execute("delete from authmig.schema_history where version = any ($1)", &[&damage.removed])
        .unwrap();
    for (version, name, on, checksum, sha256, by, authmig) in &damage.rows {
        let values: [&(dyn ToSql + Sync); 7] = [version, name, on, checksum, sha256, by, authmig];
        client
            .execute(
                "insert into authmig.schema_history (version, name, applied_on, checksum, sha256, applied_by, authmig_version) \
                 values ($1, $2, $3, $4, $5, $6::text, $7) on conflict (version) do update set name = excluded.name, \
                 applied_on = excluded.applied_on, checksum = excluded.checksum, sha256 = excluded.sha256",
                &values,
            )
            .unwrap();
    }
    for (name, value) in &damage.parameters {
        client
            .execute(
                "insert into authmig.parameter (name, value) values ($1, $2::text) on conflict (name) do update set value = excluded.value",
                &[name, value],
            )
            .unwrap();
    }
    for (kind, name, version) in &damage.created {
        client
            .execute("insert into authmig.created (kind, name, version) values ($1, $2, $3) on conflict do nothing", &[kind, name, version])
            .unwrap();
    }
}

#[test]
fn any_row_of_the_ledger_yields_a_finding_or_an_error() {
    let site = Site::new();
    site.db.sql("create table public.precious (id int); insert into public.precious values (1)");
    site.db.authmig(&["migrate"]).exits(0);
    let tables = ["schema_history", "parameter", "created", "journal"];
    for table in tables {
        site.db.sql(&format!("create table public.kept_{table} as table authmig.{table}"));
    }
    let outside = |state: String| {
        state.lines().filter(|line| !line.starts_with("row of authmig.")).collect::<Vec<_>>().join("\n")
    };
    let before = outside(site.state());
    let tally = std::cell::RefCell::new(Tally::of("rows of the ledger, by command"));
    let cases = u32::try_from(often(48, 500)).unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&damage(), |damage| {
        let mut client = site.db.client();
        inflict(&damage, &mut client);
        let commands = [
            &["status"][..],
            &["status", "--check", "--format", "json"],
            &["verify", "--format", "json"],
            &["migrate", "--dry-run"],
            &["rollback", "--all", "--yes", "--discard-data", "--dry-run"],
            &["rollback", "--yes", "--dry-run"],
            &["grants"],
            &["secret", "status"],
        ];
        for command in commands {
            let run = site.db.authmig(command);
            prop_assert!((0..=9).contains(&run.code), "{command:?}: exit {}\n{}", run.code, run.stderr);
            prop_assert!(!run.stderr.contains("panicked"), "{command:?}\n{}", run.stderr);
            tally.borrow_mut().count(match run.code {
                0 => "no objection",
                2 => "refused: a parameter",
                4 => "a finding",
                9 => "refused: newer",
                _ => "an error",
            });
        }
        let restore = tables.map(|table| {
            format!("delete from authmig.{table}; insert into authmig.{table} table public.kept_{table};")
        });
        client.batch_execute(&format!("begin; {} commit;", restore.concat())).unwrap();
        drop(client);
        prop_assert_eq!(&outside(site.state()), &before);
        site.db.authmig(&["migrate"]).exits(0);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
