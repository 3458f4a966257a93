//! The manifest is what the migrations create, on every supported PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authmig::checks::facts;
use authmig::database::{Database, Limits, Patience};
use authmig::interrupt::Interrupt;
use authmig::manifest::Manifest;
use authmig::message::Sections;
use authmig::parameters;
use authmig::target::{Surroundings, Target};

use crate::support::{Files, TestDb, own_roles, with_options};

/// The manifest of a freshly migrated database. The roles have names of their own, so
/// that each is told from every other word.
fn generate() -> Manifest {
    let db = TestDb::new();
    let own = own_roles();
    let mut manifest = Manifest::default();
    let catalog = authmig::catalog::Catalog::embedded().unwrap();
    for version in catalog.migrations().iter().map(|migration| migration.version.number()) {
        let files = Files::embedded().without_manifest();
        let version_text = version.to_string();
        let arguments = ["migrate", "--api-schema", "manifest_api", "--to", &version_text];
        db.authmig_with(&files, &with_options(&arguments, &own)).exits(0);
        let limits = Limits {
            lock_wait: Duration::ZERO,
            lock_timeout: Duration::ZERO,
            statement_timeout: Duration::ZERO,
        };
        let target = Target::resolve(Some(&db.url()), &Surroundings::default()).unwrap();
        let mut database = Database::connect(
            &target,
            Patience::default(),
            limits,
            &Interrupt::default(),
            &(Arc::new(|_| ()) as _),
        )
        .unwrap();
        let history = database.history().unwrap();
        let values = parameters::resolve(&std::collections::BTreeMap::new(), &history.parameters).unwrap();
        let mut message = authmig::checks::begin("begin read only;", &database, &values);
        message.push_section("facts", facts::SQL);
        let mut answers = Sections::new(database.send(&message).unwrap());
        let live = facts::live(answers.take("facts")).unwrap();
        let label = db.ask(&format!(
            "select to_char(version, 'FM00') || '-' || name from authmig.schema_history where version = {version}"
        ));
        manifest.insert(version, &label, facts::with_placeholders(&live));
    }
    manifest
}

#[test]
fn the_manifest_is_what_the_migrations_create() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/manifest.txt");
    let fresh = generate().render();
    if std::env::var_os("AUTHMIG_UPDATE_MANIFEST").is_some() {
        std::fs::write(&file, fresh).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == fresh,
        "migrations/manifest.txt is stale: bin/new-manifest writes it anew\n{}",
        snapbox::Data::text(fresh)
    );
}

/// The kinds of which `src/sql/facts.sql` says all that can be changed. A composite type is its
/// columns. What the owner role has elsewhere is the verify script's to look at. Of others, such as
/// a view, it says little more than that they are there, and whose.
const DESCRIBED: &[&str] = &[
    "column",
    "constraint",
    "default privileges",
    "dependent",
    "extension",
    "function",
    "index",
    "policy",
    "procedure",
    "role",
    "rule",
    "schema",
    "table",
    "trigger",
];

/// The objects in this manifest that could be changed and still pass `verify`.
fn not_described(manifest: &str) -> Vec<String> {
    let headings = manifest.lines().filter(|line| !line.starts_with([' ', '#', '-']));
    let objects: Vec<_> = headings.map(|line| line.split_once(": ").unwrap()).collect();
    let is_composite = |name: &str| {
        let columns = format!("{name}.");
        objects.iter().any(|(kind, column)| *kind == "column" && column.starts_with(&columns))
    };
    let described =
        |kind: &str, name: &str| DESCRIBED.contains(&kind) || kind == "type" && is_composite(name);
    let missing = objects.iter().filter(|(kind, name)| !described(kind, name));
    missing.map(|(kind, name)| format!("{kind} {name}")).collect()
}

#[test]
fn what_the_manifest_names_it_also_describes() {
    let missing = not_described(include_str!("../../migrations/manifest.txt"));
    assert!(
        missing.is_empty(),
        "another {} would pass `verify`: add the facts of that kind to src/sql/facts.sql first, and then it to DESCRIBED",
        missing.join(", ")
    );
}

#[test]
fn what_has_little_more_than_a_name_and_an_owner_is_not_described() {
    let manifest = "# 06-kinds
aggregate: auth.total(integer)
  owner: {owner_role}
column: auth.live_session.subject
  type: text
column: auth.pair.a
  type: integer
domain: auth.short
  owner: {owner_role}
materialized view: auth.daily
  owner: {owner_role}
sequence: auth_private.n
  owner: {owner_role}
type: auth.kind
  owner: {owner_role}
type: auth.pair
  owner: {owner_role}
view: auth.live_session
  options: security_barrier=true
  owner: {owner_role}
";
    assert_eq!(
        not_described(manifest),
        [
            "aggregate auth.total(integer)",
            "domain auth.short",
            "materialized view auth.daily",
            "sequence auth_private.n",
            "type auth.kind",
            "view auth.live_session",
        ]
    );
}
