//! The process dies, or is asked to, at any moment.

use std::time::{Duration, Instant};

use super::{Dice, ROLLBACK, Site, Tally, judge, often, same};
use crate::adopt::{AUTH_SCHEMA, installed};
use crate::signals::kill;
use crate::support::{Run, TestDb, finish};

const SIGNALS: [(&str, i32); 3] = [("-KILL", -1), ("-TERM", 143), ("-INT", 130)];

/// Runs the command, and sends the signal within this time.
fn strike(site: &Site, command: &[&str], (name, code): (&str, i32), pause: Duration) -> Run {
    let child = site.db.command(command).spawn().unwrap();
    std::thread::sleep(pause);
    kill(name, child.id());
    let run = finish(child);
    // Before it listens for signals, any of them ends it.
    assert!([code, 0, -1].contains(&run.code), "{name} after {pause:?}: exit {}\n{}", run.code, run.stderr);
    run
}

/// How long the command takes here, and a bit.
fn duration(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed() * 11 / 10
}

#[test]
fn migrate_and_rollback_survive_a_signal_at_any_moment() {
    let site = Site::new();
    let mut dice = Dice::new("migrate and rollback");
    let migrate = duration(|| drop(site.db.authmig(&["migrate"]).exits(0)));
    let whole = site.state();
    let rollback = duration(|| drop(site.db.authmig(ROLLBACK).exits(0)));
    let reverted = site.state();
    site.clear();
    let empty = site.state();
    let mut tallies: Vec<_> = SIGNALS
        .iter()
        .map(|(name, _)| {
            ["migrate", "rollback"].map(|command| Tally::of(format!("{command}: SIG{}", &name[1..])))
        })
        .collect();
    for index in 0..often(300, 300) {
        let (which, signal) = (index % 3, SIGNALS[index % 3]);
        let pause = dice.pause(migrate);
        let run = strike(&site, &["migrate"], signal, pause);
        let context = format!("migrate {index}, {signal:?} after {pause:?}");
        let outcome = judge(&run, &site.state(), &empty, &whole, &context);
        tallies[which][0].count(outcome);
        site.db.authmig(&["migrate"]).exits(0);

        let pause = dice.pause(rollback);
        let run = strike(&site, ROLLBACK, signal, pause);
        let context = format!("rollback {index}, {signal:?} after {pause:?}");
        let outcome = judge(&run, &site.state(), &whole, &reverted, &context);
        tallies[which][1].count(outcome);
        site.db.authmig(&["migrate"]).exits(0);
        site.clear();
    }
    same(&site.state(), &empty, "the end");
}

#[test]
fn adopt_survives_a_signal_at_any_moment() {
    let base = TestDb::new();
    installed(&base, AUTH_SCHEMA);
    let mut dice = Dice::new("adopt");
    let adopt = ["migrate", "--adopt"];
    let copy = || Site { db: TestDb::copy_of(&base), roles: Vec::new() };
    // The first one makes the roles.
    copy().db.authmig(&adopt).exits(0);
    let site = copy();
    let before = site.state();
    let time = duration(|| drop(site.db.authmig(&adopt).exits(0)));
    let after = site.state();
    let mut tallies: Vec<_> =
        SIGNALS.iter().map(|(name, _)| Tally::of(format!("migrate --adopt: SIG{}", &name[1..]))).collect();
    for index in 0..often(300, 300) {
        let site = copy();
        let signal = SIGNALS[index % 3];
        let pause = dice.pause(time);
        let run = strike(&site, &adopt, signal, pause);
        let context = format!("adopt {index}, {signal:?} after {pause:?}");
        tallies[index % 3].count(judge(&run, &site.state(), &before, &after, &context));
        site.db.authmig(&adopt).exits(0);
        same(&site.state(), &after, &context);
    }
}
