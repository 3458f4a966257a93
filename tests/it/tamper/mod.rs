//! Every change of what was installed is found, named, and mended by what is printed.

mod checks;
mod foreign_code;
mod grants;
mod objects;
mod settings;
mod strangers;

use crate::support::{TestDb, own_roles, with_options};

/// A change, the check that finds it, and the subject that it is found under.
type Change = (&'static str, &'static str, &'static str);

struct Installed {
    db: TestDb,
    own: Vec<String>,
}

impl Installed {
    fn new() -> Installed {
        let (db, own) = (TestDb::new(), own_roles());
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["secret", "generate"]).exits(0);
        Installed { db, own }
    }

    fn named(&self, text: &str) -> String {
        ["anon", "authenticated", "service", "authenticator", "owner"].iter().fold(
            text.to_owned(),
            |text, role| {
                let name = self
                    .own
                    .iter()
                    .find_map(|option| option.strip_prefix(&format!("--{role}-role=")))
                    .unwrap();
                text.replace(&format!("{{{role}}}"), name)
            },
        )
    }

    /// Makes the change, looks, mends what was found with what was printed, looks again.
    fn try_out(&self, (change, check, subject): Change) {
        let (change, subject) = (self.named(change), self.named(subject));
        self.db.sql(&change);
        let run = self.db.authmig(&["verify", "--format", "json"]);
        assert_eq!(run.code, 4, "{change}: {}", run.stdout);
        let report = run.json();
        let findings: Vec<&serde_json::Value> = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|check| check["findings"].as_array().unwrap())
            .collect();
        let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == check).unwrap();
        assert!(
            found["findings"].as_array().unwrap().iter().any(|finding| finding["subject"] == subject),
            "{change}: {found:#}"
        );
        for finding in findings {
            assert!(finding["why"].is_string() || finding["mend"].is_null(), "{change}: {finding:#}");
            if let Some(mend) = finding["mend"].as_str() {
                self.db.sql(mend);
            }
        }
        let run = self.db.authmig(&["verify", "--strict"]);
        assert_eq!(run.code, 0, "{change}\n{}", run.stdout);
    }
}
