//! The manifest is what the migrations create, on every supported PostgreSQL.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authmig::checks::facts;
use authmig::database::{Database, Limits, Patience};
use authmig::interrupt::Interrupt;
use authmig::manifest::{Facts, facts_at};
use authmig::message::Sections;
use authmig::parameters;
use authmig::target::{Surroundings, Target};

use crate::support::{Files, TestDb, own_roles, with_options};

/// The facts after each migration, by its version.
#[derive(Default)]
struct Manifest {
    versions: BTreeMap<i32, (String, Facts)>,
}

impl Manifest {
    /// Adds the facts after a migration.
    fn insert(&mut self, number: i32, label: &str, facts: Facts) {
        self.versions.insert(number, (label.to_owned(), facts));
    }

    /// The text that [`facts_at`] reads.
    fn render(&self) -> String {
        let mut text = String::new();
        let mut before = &Facts::new();
        for (label, facts) in self.versions.values() {
            let _ = writeln!(text, "# {label}");
            for (kind, name) in before.keys().filter(|object| !facts.contains_key(object)) {
                let _ = writeln!(text, "- {kind}: {name}");
            }
            for (object, properties) in facts {
                if before.get(object) == Some(properties) {
                    continue;
                }
                let _ = writeln!(text, "{}: {}", object.0, object.1);
                for (property, value) in properties {
                    if value.contains('\n') {
                        let _ = writeln!(text, "  {property}");
                        for line in value.lines() {
                            let bar = if line.is_empty() { "    |" } else { "    | " };
                            let _ = writeln!(text, "{bar}{line}");
                        }
                    } else {
                        let _ = writeln!(text, "  {property}: {value}");
                    }
                }
            }
            before = facts;
        }
        text
    }
}

/// The live facts with placeholders in place of names, for a new manifest.
fn with_placeholders(live: &facts::Live) -> Facts {
    let hide = |text: &str| {
        live.names.iter().fold(text.to_owned(), |text, (placeholder, name, literal)| {
            text.replace(literal, &format!("'{placeholder}'")).replace(name, placeholder)
        })
    };
    live.facts.iter().fold(Facts::new(), |mut facts, ((kind, name), properties)| {
        let block = facts.entry((kind.clone(), hide(name))).or_default();
        block.extend(properties.iter().map(|(property, value)| (hide(property), hide(value))));
        facts
    })
}

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
        manifest.insert(version, &label, with_placeholders(&live));
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

fn facts_of(rows: &[(&str, &str, &str, &str)]) -> Facts {
    let mut facts = Facts::new();
    for (kind, name, property, value) in rows {
        facts
            .entry(((*kind).to_owned(), (*name).to_owned()))
            .or_default()
            .insert((*property).to_owned(), (*value).to_owned());
    }
    facts
}

#[test]
fn a_manifest_is_read_as_it_is_written() {
    let mut manifest = Manifest::default();
    let first = facts_of(&[
        ("function", "auth.f(text, int)", "definition", "\none\n\n  two: 2\nthree"),
        ("function", "auth.f(text, int)", "owner", "{owner_role}"),
        ("table", "auth.t", "row security", "enabled"),
        ("column", "auth.t.c", "comment", "with: a colon"),
    ]);
    let second = facts_of(&[
        ("function", "auth.f(text, int)", "owner", "somebody"),
        ("table", "auth.t", "row security", "enabled"),
    ]);
    manifest.insert(1, "01-a", first.clone());
    manifest.insert(2, "02-b", second.clone());
    let text = manifest.render();
    for (version, facts) in [(1, Some(first)), (2, Some(second)), (3, None)] {
        assert_eq!(facts_at(&text, version), Ok(facts), "{text}");
    }
    assert!(text.contains("\n- column: auth.t.c\n"), "{text}");
}
