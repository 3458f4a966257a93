//! The connection breaks at any message.

use super::faults::{Fault, From, Plan, Proxy};
use super::{Dice, ROLLBACK, Site, Tally, judge, often};
use crate::adopt::{AUTH_SCHEMA, installed};
use crate::support::TestDb;

/// Breaks the command at each message of the client and at many of the server's, and
/// looks each time. `again` runs it once more, undisturbed, and gives the database back
/// as it was at first; `happened` says whether there is nothing left to do.
fn break_everywhere(name: &str, command: &[&str], mut site: Site, again: impl Fn(Site, bool) -> Site) {
    let mut dice = Dice::new(name);
    let proxy = Proxy::to(site.db.port());
    let run = |site: &Site| {
        // No turn of the driver's own: messages are counted.
        let url = format!("{}?sslmode=disable", site.db.url_at(proxy.port));
        site.db.authmig(&[command, &["--database-url", &url]].concat())
    };
    let before = site.state();
    run(&site).exits(0);
    let after = site.state();
    site = again(site, true);
    let (client, server) = proxy.counts();
    assert!(client >= 5 && server > 50, "{client} {server}");

    let mut plans = Vec::new();
    for message in 1..=client {
        for fault in [Fault::Cut, Fault::Halve, Fault::Garble(0), Fault::Delay] {
            plans.push(Plan { from: From::Client, message, fault });
        }
    }
    let some = often(12, 50);
    for index in 0..some {
        // The last ones are about the commit.
        let message =
            server.checked_sub(index).filter(|_| index < 3).unwrap_or_else(|| 1 + dice.below(server));
        for fault in [Fault::Cut, Fault::Halve, Fault::Garble(dice.below(1000))] {
            plans.push(Plan { from: From::Server, message, fault });
        }
        if index % 10 == 0 {
            plans.push(Plan { from: From::Server, message, fault: Fault::Delay });
        }
    }
    let mut tallies = std::collections::BTreeMap::new();
    for plan in plans {
        proxy.plan(plan);
        let run = run(&site);
        let context = format!("{name}, {plan:?}");
        assert!((0..=9).contains(&run.code), "{context}: exit {}\n{}", run.code, run.stderr);
        if plan.fault == Fault::Delay {
            assert_eq!(run.code, 0, "{context}\n{}", run.stderr);
        }
        let outcome = judge(&run, &site.state(), &before, &after, &context);
        let (word, whose) = match plan.fault {
            Fault::Cut => ("cut behind", plan.from),
            Fault::Halve => ("cut inside", plan.from),
            Fault::Delay => ("late", plan.from),
            Fault::Garble(_) => ("garbled", plan.from),
        };
        let whose = if whose == From::Client { "the client's" } else { "the server's" };
        tallies
            .entry((whose, word))
            .or_insert_with(|| Tally::of(format!("{name}: {whose} message, {word}")))
            .count(outcome);
        site = again(site, outcome == "after");
    }
}

#[test]
fn migrate_survives_a_connection_that_breaks_at_any_message() {
    break_everywhere("migrate", &["migrate"], Site::new(), |site, _| {
        site.db.authmig(&["migrate"]).exits(0);
        site.clear();
        site
    });
}

#[test]
fn rollback_survives_a_connection_that_breaks_at_any_message() {
    let site = Site::new();
    site.db.authmig(&["migrate"]).exits(0);
    break_everywhere("rollback", ROLLBACK, site, |site, happened| {
        site.db.authmig(&["migrate"]).exits(0);
        if happened {
            site.clear();
            site.db.authmig(&["migrate"]).exits(0);
        }
        site
    });
}

#[test]
fn adopt_survives_a_connection_that_breaks_at_any_message() {
    let base = TestDb::new();
    installed(&base, AUTH_SCHEMA);
    let copy = || Site { db: TestDb::copy_of(&base), roles: Vec::new() };
    // The first one makes the roles.
    copy().db.authmig(&["migrate", "--adopt"]).exits(0);
    break_everywhere("migrate --adopt", &["migrate", "--adopt"], copy(), |site, _| {
        site.db.authmig(&["migrate", "--adopt"]).exits(0);
        copy()
    });
}
