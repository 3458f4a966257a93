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
