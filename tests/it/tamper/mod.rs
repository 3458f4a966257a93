//! Every change of what was installed is found, named, and mended by what is printed.

mod checks;
mod foreign_code;
mod grants;
mod objects;
mod settings;
mod strangers;

use serde_json::Value;

use crate::support::{TestDb, own_roles, with_options};

/// A change, the check that finds it, and the subject that it is found under.
type Change = (&'static str, &'static str, &'static str);

/// authmig with a secret, and roles that have names of the test's own.
struct Installed {
    db: TestDb,
    own: Vec<String>,
}

impl Installed {
    fn new() -> Installed {
        Installed::on(TestDb::new())
    }

    /// The same where something was there before.
    fn on(db: TestDb) -> Installed {
        let own = own_roles();
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["secret", "generate"]).exits(0);
        Installed { db, own }
    }

    /// The text with the names of the roles, which are `{anon}` and so on in it.
    fn named(&self, text: &str) -> String {
        self.own.iter().fold(text.to_owned(), |text, option| {
            let (role, name) = option.strip_prefix("--").unwrap().split_once("-role=").unwrap();
            text.replace(&format!("{{{role}}}"), name)
        })
    }

    /// Runs statements that name the roles like that.
    fn sql(&self, sql: &str) {
        self.db.sql(&self.named(sql));
    }

    /// Makes the change, looks, mends what was found with what was printed, looks again.
    fn try_out(&self, (change, check, subject): Change) {
        let (change, subject) = (self.named(change), self.named(subject));
        self.db.sql(&change);
        let run = self.db.authmig(&["verify", "--format", "json"]);
        assert_eq!(run.code, 4, "{change}: {}", run.stdout);
        let report = run.json();
        let found = findings(&report, check);
        assert!(found.iter().any(|finding| finding["subject"] == subject), "{change}: {found:#?}");
        self.mend(&report);
        let run = self.db.authmig(&["verify", "--strict"]);
        assert_eq!(run.code, 0, "{change}\n{}", run.stdout);
    }

    /// Runs what is printed to mend each finding, from top to bottom.
    fn mend(&self, report: &Value) {
        let checks = report["checks"].as_array().unwrap();
        for finding in checks.iter().flat_map(|check| check["findings"].as_array().unwrap()) {
            assert!(finding["why"].is_string() || finding["mend"].is_null(), "{finding:#}");
            if let Some(mend) = finding["mend"].as_str() {
                self.db.sql(mend);
            } else if finding["hint"]
                == "look at what is in it, then drop it, or move it where no request looks"
            {
                self.db.sql(&format!("drop {}", finding["subject"].as_str().unwrap()));
            }
        }
    }
}

/// What this check has found.
fn findings<'a>(report: &'a Value, check: &str) -> &'a [Value] {
    let mut checks = report["checks"].as_array().unwrap().iter();
    checks.find(|found| found["name"] == check).unwrap()["findings"].as_array().unwrap()
}

/// The first line of the first statement that is printed to mend something.
fn first_mend(told: &str) -> Option<&str> {
    told.split("mend:     ").nth(1)?.lines().next()
}
