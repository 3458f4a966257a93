//! What psql can and authmig cannot is named, and never passed over in silence.

use crate::support::{TestDb, finish};

#[test]
fn what_is_not_supported_is_a_sentence_that_names_it() {
    let db = TestDb::new();
    for (option, sentence) in [
        (
            "require_auth=scram-sha-256",
            "require_auth (--database-url) cannot be done: how the server authenticates is not checked; channel_binding=require can be had",
        ),
        (
            "requirepeer=postgres",
            "requirepeer (--database-url) cannot be done: whose process it is at the other end of a socket is not checked",
        ),
        (
            "gssencmode=require",
            "gssencmode (--database-url) other than disable, prefer cannot be done: GSSAPI is not supported",
        ),
        ("sslcrl=list.crl", "sslcrl (--database-url) cannot be done: revocation lists are not supported"),
        ("sslcrldir=lists", "sslcrldir (--database-url) cannot be done: revocation lists are not supported"),
        (
            "sslpassword=s3cret",
            "sslpassword (--database-url) cannot be done: encrypted private keys are not supported",
        ),
        (
            "sslkeylogfile=keys",
            "sslkeylogfile (--database-url) cannot be done: the keys of a connection are written nowhere",
        ),
        (
            "sslcertmode=require",
            "sslcertmode (--database-url) other than allow, disable cannot be done: whether the server asked for a certificate is not checked",
        ),
        (
            "min_protocol_version=3.2",
            "min_protocol_version (--database-url) other than 3.0 cannot be done: authmig speaks version 3.0 of the protocol",
        ),
        (
            "replication=database",
            "replication (--database-url) other than false, off, no, 0, f, n cannot be done: migrations do not go through a replication connection",
        ),
        (
            "scram_client_key=s3cret",
            "scram_client_key (--database-url) cannot be done: SCRAM with stored keys is not supported: give the password",
        ),
        (
            "oauth_client_secret=s3cret",
            "oauth_client_secret (--database-url) cannot be done: OAuth is not supported",
        ),
        (
            "ssl_max_protocol_version=TLSv1.1",
            "ssl_max_protocol_version below TLSv1.2 cannot be done: those versions are broken",
        ),
        ("host=@abstract", "host (--database-url) is an abstract unix socket, which is not supported"),
    ] {
        let url = format!("{}?{option}", db.url());
        let run = db.authmig(&["migrate", "--database-url", &url]).exits(2);
        assert_eq!(run.stderr, format!("error: {sentence}\n"), "{option}");
    }
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn the_variables_are_named_as_variables() {
    let db = TestDb::new();
    let mut command = db.command(&["migrate"]);
    command.env("PGREQUIREAUTH", "scram-sha-256");
    let run = finish(command.spawn().unwrap()).exits(2);
    assert!(run.stderr.starts_with("error: require_auth (PGREQUIREAUTH) cannot be done: "), "{}", run.stderr);
}

#[test]
fn what_asks_for_nothing_is_taken_and_shown_to_have_no_effect() {
    let db = TestDb::new();
    let url = format!(
        "{}?gssencmode=prefer&sslcertmode=allow&min_protocol_version=3.0&max_protocol_version=latest&replication=off&client_encoding=LATIN1&krbsrvname=x",
        db.url()
    );
    let run = db.authmig(&["status", "-v", "--database-url", &url]).exits(0);
    assert!(
        run.stderr.contains("client_encoding=LATIN1 (--database-url) has no effect: authmig always speaks UTF-8 with the server\n"),
        "{}",
        run.stderr
    );
}
