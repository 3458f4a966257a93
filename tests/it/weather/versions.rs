//! Two binaries of different versions at once.

use super::{Tally, often};
use crate::support::{Files, TestDb};

#[test]
fn binaries_of_different_versions_end_at_the_newer_one() {
    let mut tally = Tally::of("two versions at once, by start");
    for _ in 0..often(5, 25) {
        let db = TestDb::new();
        let (old, new) = (Files::tables(1..=3), Files::tables(1..=5));
        let runs = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..12)
                .map(|index| {
                    let files = if index % 2 == 0 { &old } else { &new };
                    let db = &db;
                    scope.spawn(move || db.authmig_with(files, &["migrate"]))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        for (index, run) in runs.into_iter().enumerate() {
            let allowed: &[i32] = if index % 2 == 0 { &[0, 9] } else { &[0] };
            assert!(allowed.contains(&run.code), "exit {}\n{}", run.code, run.stderr);
            tally.count(if run.code == 0 { "succeeded" } else { "refused: the database is newer" });
        }
        assert_eq!(db.history(), [1, 2, 3, 4, 5]);
        assert_eq!(db.ask("select count(*) from pg_class where relname ~ '^t[1-5]$'"), "5");
        let applied = "select count(*) from (select unnest(versions) from authmig.journal) as t";
        assert_eq!(db.ask(applied), "5");
    }
}

#[test]
fn binaries_that_disagree_about_a_version_do_not_mix() {
    let mut tally = Tally::of("two binaries with another 02 each, by start");
    for _ in 0..often(5, 25) {
        let db = TestDb::new();
        let one = Files::tables(1..=2);
        let other = one.clone().append("02-t2.up.sql", "comment on table public.t2 is 'other';");
        let runs = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|index| {
                    let files = if index % 2 == 0 { &one } else { &other };
                    let db = &db;
                    scope.spawn(move || db.authmig_with(files, &["migrate"]))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let is_other = db.ask("select obj_description('public.t2'::regclass)") == "other";
        for (index, run) in runs.into_iter().enumerate() {
            let wins = (index % 2 == 1) == is_other;
            assert_eq!(run.code, if wins { 0 } else { 4 }, "{}", run.stderr);
            tally.count(if wins { "succeeded" } else { "refused: changed" });
        }
        assert_eq!(db.history(), [1, 2]);
    }
}
