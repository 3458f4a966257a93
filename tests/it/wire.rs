//! Round trips and connections, counted on the wire.

use crate::support::TestDb;
use crate::support::proxy::Proxy;

#[test]
fn every_command_takes_one_connection_and_few_turns() {
    let db = TestDb::new();
    let proxy = Proxy::to(db.port());
    let run = |arguments: &[&str], code: i32| {
        let url = format!("{}?sslmode=disable", db.url_at(proxy.port));
        db.authmig(&[arguments, &["--database-url", &url]].concat()).exits(code);
        proxy.counts()
    };

    // Turns: the startup packet is one of them.
    assert_eq!(run(&["status"], 0), (1, 3), "status, no ledger: the version is asked for");
    assert_eq!(run(&["migrate"], 0), (1, 4), "fresh apply");
    assert_eq!(run(&["migrate"], 0), (1, 2), "nothing pending");
    assert_eq!(run(&["status"], 0), (1, 2), "status");
    assert_eq!(run(&["status", "--check"], 0), (1, 2), "status --check");
    assert_eq!(run(&["verify"], 0), (1, 3), "verify");
    assert_eq!(run(&["migrate", "--anon-role", "somebody"], 2), (1, 2), "refused parameter");
    assert_eq!(run(&["rollback"], 7), (1, 3), "rollback, not confirmed");
    assert_eq!(run(&["rollback", "--all", "--yes", "--discard-data"], 0), (1, 6), "rollback");
}
