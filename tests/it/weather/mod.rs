//! Bad weather: connections that break anywhere, processes and servers that die, disks
//! that are full, settings and objects that are hostile. Whatever happens, the database
//! is then exactly as before or exactly as after, and the next run ends well.
//!
//! `bin/test` runs the short form; `bin/weather` the long one, and writes what came of
//! it into docs/reliability.md.
//!
//! - `AUTHMIG_WEATHER=long` is the long form, `brief` that of every major but the first.
//! - `AUTHMIG_WEATHER_SEED` repeats the choices of a run.
//! - `AUTHMIG_WEATHER_REPORT` is a file to which each test adds a line on what it did.

mod cookies;
mod death;
mod faults;
mod history;
mod scanning;
mod servers;
mod settings;
mod versions;
mod wire;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use postgres::SimpleQueryMessage;

use crate::support::{Run, TestDb, own_roles, until};

/// This many in the short form, that many in the long one, and a tenth in the brief one.
fn often(short: usize, long: usize) -> usize {
    match std::env::var("AUTHMIG_WEATHER").as_deref() {
        Ok("long") => long,
        Ok("brief") => short.div_ceil(10),
        _ => short,
    }
}

/// Numbers that look random and can be had again: `SplitMix64`.
struct Dice(u64);

impl Dice {
    /// Those of this run; each test has a stream of its own.
    fn new(stream: &str) -> Dice {
        static SEED: OnceLock<u64> = OnceLock::new();
        let seed = *SEED.get_or_init(|| {
            let given = std::env::var("AUTHMIG_WEATHER_SEED").ok().and_then(|seed| seed.parse().ok());
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let seed = given.unwrap_or(u64::from(now.subsec_nanos()));
            say(&format!("weather: AUTHMIG_WEATHER_SEED={seed}"));
            seed
        });
        Dice(stream.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below this number.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    /// Up to this long.
    fn pause(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(f64::from(u32::try_from(self.next() >> 40).unwrap()) / f64::from(1_u32 << 24))
    }
}

/// A line on standard error, also of a test that passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What was done, how often, and what came of it.
struct Tally {
    what: String,
    outcomes: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn of(what: impl Into<String>) -> Tally {
        Tally { what: what.into(), outcomes: BTreeMap::new() }
    }

    fn count(&mut self, outcome: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Ok(file) = std::env::var("AUTHMIG_WEATHER_REPORT") else { return };
        if std::thread::panicking() {
            return;
        }
        let total: usize = self.outcomes.values().sum();
        let parts: Vec<_> =
            self.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        let mut file = std::fs::File::options().append(true).create(true).open(file).unwrap();
        writeln!(file, "| {} | {total} | {} |", self.what, parts.join(", ")).unwrap();
    }
}

/// A database, the roles that authmig makes for it, and how it starts out.
struct Site {
    db: TestDb,
    roles: Vec<String>,
}

const PURGE: &[&str] = &["rollback", "--all", "--purge", "--yes", "--discard-data"];
const ROLLBACK: &[&str] = &["rollback", "--all", "--yes", "--discard-data"];

impl Site {
    /// An empty database, roles of its own.
    fn new() -> Site {
        Site::of(TestDb::new())
    }

    fn of(db: TestDb) -> Site {
        let mut site = Site { db, roles: Vec::new() };
        for option in own_roles() {
            let (name, role) = option.trim_start_matches('-').split_once('=').unwrap();
            let variable = format!("AUTHMIG_{}", name.replace('-', "_").to_uppercase());
            site.roles.push(role.to_owned());
            site.db = site.db.with(Box::leak(variable.into_boxed_str()), role);
        }
        site
    }

    /// The arguments with the options that name the roles, for a run in this process.
    fn with_roles<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        let options = ["anon", "authenticated", "service", "authenticator", "owner"].iter().zip(&self.roles);
        let options = options.map(|(name, role)| &*format!("--{name}-role={role}").leak());
        arguments.iter().copied().chain(options).collect()
    }

    /// Back to an empty database, without the roles.
    fn clear(&self) {
        self.db.authmig(PURGE).exits(0);
        self.db.sql(&format!("drop role if exists {}", self.roles.join(", ")));
    }

    /// All that is in the database, and the roles; without the times of runs.
    fn state(&self) -> String {
        let mut client = self.db.client();
        // The server must have noticed that authmig is gone.
        let busy = "select count(*) from pg_stat_activity where datname = current_database() \
                    and application_name like 'authmig%'";
        until(|| client.query_one(busy, &[]).unwrap().get::<_, i64>(0) == 0);
        let roles = format!("set weather.roles = '{{{}}}';", self.roles.join(","));
        let rows = client.simple_query(&(roles + include_str!("state.sql"))).unwrap();
        let lines = rows.iter().filter_map(|row| match row {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned() + "\n"),
            _ => None,
        });
        lines.collect()
    }
}

/// Where the database stands after a run that was disturbed, when it may only stand
/// at one of two places; and that the run has not said anything else.
#[track_caller]
fn judge(run: &Run, now: &str, before: &str, after: &str, context: &str) -> &'static str {
    let told = format!("{context}: exit {}\n{}{}", run.code, run.stdout, run.stderr);
    assert!(!run.stderr.contains("panicked"), "{told}");
    if now == before {
        assert_ne!(run.code, 0, "a success that changed nothing; {told}");
        return "before";
    }
    same(now, after, &told);
    assert!(!run.stderr.contains("nothing was changed"), "something was; {told}");
    "after"
}

/// The same state, or the lines in which it differs.
#[track_caller]
fn same(now: &str, expected: &str, context: &str) {
    let lines = |one: &str, other: &str| {
        one.lines().filter(|line| !other.lines().any(|other| other == *line)).collect::<Vec<_>>().join("\n")
    };
    assert!(
        now == expected,
        "{context}\nneither before nor after; too much:\n{}\nmissing:\n{}",
        lines(now, expected),
        lines(expected, now)
    );
}
