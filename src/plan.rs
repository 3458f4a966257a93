//! What is to be done, from what the binary has and what the database has. Pure.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::history::{Applied, History};
use crate::migration::{Migration, Version, label};

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Applied, and the script is the one in this binary.
    Applied,
    /// Not applied, and newer than all that is.
    Pending,
    /// Applied, but from another script or under another name.
    Changed,
    /// Applied, and not in this binary, which has newer ones.
    Missing,
    /// Not applied, while a newer one is.
    OutOfOrder,
    /// Applied, and newer than all that this binary has.
    Newer,
}

impl State {
    /// The word for people and for JSON.
    pub fn word(self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Changed => "changed",
            State::Missing => "missing",
            State::OutOfOrder => "out of order",
            State::Newer => "newer",
        }
    }
}

/// One version with its state: in the binary, in the database, or in both.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The version, as the history spells it: not necessarily a valid one.
    pub number: i32,
    /// How it stands.
    pub state: State,
    /// The migration in this binary.
    pub migration: Option<&'a Migration>,
    /// The row in the history.
    pub applied: Option<&'a Applied>,
}

impl Entry<'_> {
    /// `02-auth_schema`; the history's name where the two differ.
    pub fn label(&self) -> String {
        label(self.number, self.name())
    }

    /// The name alone.
    pub fn name(&self) -> &str {
        let known = self.migration.map(|migration| &migration.name);
        self.applied.map(|row| &row.name).or(known).map_or("", String::as_str)
    }

    /// One line on what is wrong with it; `None` where nothing is.
    pub fn drift(&self) -> Option<String> {
        let label = self.label();
        match self.state {
            State::Applied | State::Pending => None,
            State::Changed => Some(match self.migration {
                Some(migration) if self.name() != migration.name => {
                    format!("{label} was applied under this name; this binary calls it {migration}")
                }
                _ => format!("{label} was applied from another script than the one in this binary"),
            }),
            State::Missing => Some(format!("{label} was applied, and this binary does not have it")),
            State::OutOfOrder => Some(format!("{label} was not applied, while a newer migration was")),
            State::Newer => Some(format!("{label} was applied by a newer authmig than this one")),
        }
    }
}

/// Every version of binary and database, oldest first, with its state.
pub fn entries<'a>(catalog: &'a Catalog, history: &'a History) -> Vec<Entry<'a>> {
    let newest_applied = history.newest().map(|row| row.version);
    let newest_known = catalog.newest().map(Version::number);
    let mut both: BTreeMap<i32, (Option<&Migration>, Option<&Applied>)> = BTreeMap::new();
    for migration in catalog.migrations() {
        both.entry(migration.version.number()).or_default().0 = Some(migration);
    }
    for row in &history.applied {
        both.entry(row.version).or_default().1 = Some(row);
    }
    both.into_iter()
        .map(|(number, (migration, applied))| Entry {
            number,
            migration,
            applied,
            state: match (migration, applied) {
                (Some(migration), Some(row)) => {
                    if row.sha256 == migration.sha256() && row.name == migration.name {
                        State::Applied
                    } else {
                        State::Changed
                    }
                }
                (Some(_), None) if newest_applied.is_some_and(|newest| number < newest) => State::OutOfOrder,
                (_, None) => State::Pending,
                (None, Some(_)) if newest_known.is_none_or(|newest| number > newest) => State::Newer,
                (None, Some(_)) => State::Missing,
            },
        })
        .collect()
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Binary and database do not fit together; a line for each finding.
    Drift(Vec<String>),
    /// The database has migrations that only a newer binary knows.
    Newer(Vec<String>),
    /// The wished version is not one that can be reached from here.
    Target(String),
}

/// Where a rollback ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The newest migration only.
    OneBack,
    /// This version stays, all above it go.
    Version(Version),
    /// Nothing stays.
    Empty,
}

/// The migrations to apply or to revert, in the order of doing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// What is to be done.
    pub steps: Vec<&'a Migration>,
    /// What is applied afterwards, oldest first.
    pub remaining: Vec<&'a Migration>,
}

impl<'a> Plan<'a> {
    /// The migrations to apply, oldest first: all that are pending, up to `to`.
    pub fn up(catalog: &'a Catalog, history: &History, to: Option<Version>) -> Result<Plan<'a>, Obstacle> {
        let entries = sound_entries(catalog, history)?;
        if let Some(to) = to {
            known(catalog, to)?;
            if let Some(newest) = history.newest().filter(|row| row.version > to.number()) {
                return Err(Obstacle::Target(format!(
                    "the database is at {}, above {to}; `authmig rollback --to {to}` goes back",
                    label(newest.version, &newest.name)
                )));
            }
        }
        let wished = |migration: &Migration| to.is_none_or(|to| migration.version <= to);
        let (applied, pending): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| entry.state == State::Applied);
        let steps: Vec<_> = migrations(catalog, &pending).into_iter().filter(|m| wished(m)).collect();
        let mut remaining = migrations(catalog, &applied);
        remaining.extend(&steps);
        Ok(Plan { steps, remaining })
    }

    /// The migrations to revert, newest first. Versions at or below the target stay.
    pub fn down(catalog: &'a Catalog, history: &History, until: Until) -> Result<Plan<'a>, Obstacle> {
        let entries = sound_entries(catalog, history)?;
        let mut remaining = migrations(
            catalog,
            &entries.iter().filter(|entry| entry.state == State::Applied).collect::<Vec<_>>(),
        );
        let keep = match until {
            Until::OneBack => remaining.len().saturating_sub(1),
            Until::Empty => 0,
            Until::Version(to) => {
                known(catalog, to)?;
                if remaining.last().is_none_or(|newest| newest.version < to) {
                    return Err(Obstacle::Target(format!(
                        "version {to} is not applied; `authmig migrate --to {to}` goes there"
                    )));
                }
                remaining.iter().filter(|migration| migration.version <= to).count()
            }
        };
        let mut steps = remaining.split_off(keep);
        steps.reverse();
        Ok(Plan { steps, remaining })
    }
}

fn migrations<'a>(catalog: &'a Catalog, entries: &[&Entry<'_>]) -> Vec<&'a Migration> {
    entries.iter().filter_map(|entry| catalog.get(Version::new(entry.number)?)).collect()
}

fn sound_entries<'a>(catalog: &'a Catalog, history: &'a History) -> Result<Vec<Entry<'a>>, Obstacle> {
    let entries = entries(catalog, history);
    let of = |wanted: fn(State) -> bool| -> Vec<String> {
        entries.iter().filter(|entry| wanted(entry.state)).filter_map(Entry::drift).collect()
    };
    let newer = of(|state| state == State::Newer);
    if !newer.is_empty() {
        return Err(Obstacle::Newer(newer));
    }
    let drift = of(|_| true);
    if !drift.is_empty() {
        return Err(Obstacle::Drift(drift));
    }
    Ok(entries)
}

fn known(catalog: &Catalog, version: Version) -> Result<(), Obstacle> {
    if catalog.get(version).is_some() {
        return Ok(());
    }
    let all: Vec<_> = catalog.migrations().iter().map(|m| m.version.to_string()).collect();
    Err(Obstacle::Target(format!("this binary has no migration {version}; it has {}", all.join(", "))))
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    /// A catalog of these versions, named `m`, each with a script of its own.
    fn catalog(versions: &[i32]) -> Catalog {
        Catalog::from_files(versions.iter().flat_map(|number| {
            ["up", "down", "verify"].map(|part| {
                (format!("{number:02}-m.{part}.sql"), format!("select {number}").into_bytes().into())
            })
        }))
        .unwrap()
    }

    /// A history in which these versions of the catalog were applied.
    fn history(versions: &[i32]) -> History {
        let catalog = catalog(versions);
        let rows = catalog.migrations().iter().map(|migration| Applied {
            version: migration.version.number(),
            name: migration.name.clone(),
            applied_on: "2026-01-02T03:04:05Z".to_owned(),
            checksum: "1".to_owned(),
            sha256: migration.sha256(),
            applied_by: "postgres".to_owned(),
            authmig_version: "0.1.0".to_owned(),
        });
        History { ledger: true, applied: rows.collect(), parameters: BTreeMap::new(), stranger: None }
    }

    fn version(number: i32) -> Version {
        Version::new(number).unwrap()
    }

    fn numbers(steps: &[&Migration]) -> Vec<i32> {
        steps.iter().map(|migration| migration.version.number()).collect()
    }

    #[test]
    fn an_empty_database_wants_everything() {
        let catalog = catalog(&[1, 2, 3]);
        let history = History::default();
        assert_eq!(numbers(&Plan::up(&catalog, &history, None).unwrap().steps), [1, 2, 3]);
        assert_eq!(numbers(&Plan::up(&catalog, &history, Some(version(2))).unwrap().steps), [1, 2]);
        assert!(Plan::down(&catalog, &history, Until::OneBack).unwrap().steps.is_empty());
        assert!(Plan::down(&catalog, &history, Until::Empty).unwrap().steps.is_empty());
    }

    #[test]
    fn rollback_takes_the_newest_first() {
        let catalog = catalog(&[1, 2, 3]);
        let history = history(&[1, 2, 3]);
        let down = |until| numbers(&Plan::down(&catalog, &history, until).unwrap().steps);
        assert_eq!(down(Until::OneBack), [3]);
        assert_eq!(down(Until::Version(version(1))), [3, 2]);
        assert_eq!(down(Until::Version(version(3))), [] as [i32; 0]);
        assert_eq!(down(Until::Empty), [3, 2, 1]);
    }

    #[test]
    fn each_kind_of_drift_has_its_word() {
        let binary = catalog(&[1, 2, 4, 5]);
        let mut database = history(&[1, 3, 5]);
        database.applied[0].sha256 = "0".repeat(64);
        let states: Vec<_> = entries(&binary, &database).iter().map(|e| (e.number, e.state)).collect();
        assert_eq!(
            states,
            [
                (1, State::Changed),
                (2, State::OutOfOrder),
                (3, State::Missing),
                (4, State::OutOfOrder),
                (5, State::Applied),
            ]
        );
        assert_eq!(
            Plan::up(&binary, &database, None),
            Err(Obstacle::Drift(vec![
                "01-m was applied from another script than the one in this binary".to_owned(),
                "02-m was not applied, while a newer migration was".to_owned(),
                "03-m was applied, and this binary does not have it".to_owned(),
                "04-m was not applied, while a newer migration was".to_owned(),
            ]))
        );
    }

    #[test]
    fn a_rename_is_a_change() {
        let binary = catalog(&[1]);
        let mut database = history(&[1]);
        database.applied[0].name = "old".to_owned();
        assert_eq!(
            Plan::down(&binary, &database, Until::OneBack),
            Err(Obstacle::Drift(vec![
                "01-old was applied under this name; this binary calls it 01-m".to_owned()
            ]))
        );
    }

    #[test]
    fn a_newer_database_is_told_from_drift() {
        let binary = catalog(&[1]);
        let database = history(&[1, 2]);
        let newer = Obstacle::Newer(vec!["02-m was applied by a newer authmig than this one".to_owned()]);
        assert_eq!(Plan::up(&binary, &database, None), Err(newer.clone()));
        assert_eq!(Plan::down(&binary, &database, Until::Empty), Err(newer));
    }

    #[test]
    fn a_target_must_exist_and_lie_ahead() {
        let binary = catalog(&[1, 2, 3]);
        let database = history(&[1, 2]);
        let wrong = |plan: Result<Plan<'_>, Obstacle>| matches!(plan, Err(Obstacle::Target(_)));
        assert!(wrong(Plan::up(&binary, &database, Some(version(9)))));
        assert!(wrong(Plan::up(&binary, &database, Some(version(1)))));
        assert!(wrong(Plan::down(&binary, &database, Until::Version(version(3)))));
        assert!(wrong(Plan::down(&binary, &database, Until::Version(version(9)))));
    }

    #[test]
    fn impossible_rows_are_drift() {
        let binary = catalog(&[1]);
        for number in [0, -1, i32::MIN] {
            let mut database = history(&[1]);
            database.applied[0].version = number;
            assert!(matches!(Plan::up(&binary, &database, None), Err(Obstacle::Drift(_))), "{number}");
        }
    }

    proptest! {
        #[test]
        fn every_version_has_exactly_one_state(
            binary in btree_set(1..30i32, 0..10), database in btree_set(1..30i32, 0..10),
        ) {
            let all: Vec<i32> = binary.union(&database).copied().collect();
            let (binary, database): (Vec<_>, Vec<_>) = (binary.into_iter().collect(), database.into_iter().collect());
            let (catalog, history) = (catalog(&binary), history(&database));
            let entries = entries(&catalog, &history);
            prop_assert_eq!(entries.iter().map(|e| e.number).collect::<Vec<_>>(), all);
            for entry in &entries {
                let known = binary.contains(&entry.number);
                let applied = database.contains(&entry.number);
                prop_assert_eq!(known && applied, entry.state == State::Applied);
                prop_assert_eq!(known && !applied, matches!(entry.state, State::Pending | State::OutOfOrder));
                prop_assert_eq!(!known && applied, matches!(entry.state, State::Missing | State::Newer));
                prop_assert_eq!(entry.drift().is_some(), !matches!(entry.state, State::Applied | State::Pending));
            }
        }

        #[test]
        fn up_then_down_comes_back(known in btree_set(1..50i32, 1..12), applied in 0..12usize, to in 0..12usize) {
            let known: Vec<_> = known.into_iter().collect();
            let applied = applied.min(known.len());
            let to = to.min(known.len() - 1);
            let catalog = catalog(&known);
            let before = history(&known[..applied]);
            if let Ok(plan) = Plan::up(&catalog, &before, Some(version(known[to]))) {
                let after: Vec<_> = known[..applied.max(to + 1)].to_vec();
                prop_assert_eq!(numbers(&plan.steps), &after[applied..]);
                prop_assert_eq!(numbers(&plan.remaining), after.clone());
                let history = history(&after);
                let until = if applied == 0 { Until::Empty } else { Until::Version(version(known[applied - 1])) };
                let mut back = numbers(&Plan::down(&catalog, &history, until).unwrap().steps);
                back.reverse();
                prop_assert_eq!(back, &after[applied..]);
            } else {
                prop_assert!(to + 1 < applied);
            }
        }

        #[test]
        fn no_plan_touches_a_database_that_drifted(
            known in btree_set(1..20i32, 1..8), damaged in 0..8usize, all in any::<bool>(),
        ) {
            let known: Vec<_> = known.into_iter().collect();
            let catalog = catalog(&known);
            let mut history = history(&known);
            let damaged = damaged.min(known.len() - 1);
            history.applied[damaged].sha256 = String::new();
            prop_assert!(Plan::up(&catalog, &history, None).is_err());
            let until = if all { Until::Empty } else { Until::OneBack };
            prop_assert!(Plan::down(&catalog, &history, until).is_err());
        }
    }
}
