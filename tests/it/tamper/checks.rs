//! Which checks are made, what a failed one leads to, and what is no alarm.

use super::Installed;
use crate::support::{Files, TestDb, own_roles, setting, with_options};

#[test]
fn checks_can_be_chosen() {
    let Installed { db, .. } = Installed::new();
    db.sql("drop index auth.refresh_token_subject");
    db.authmig(&["verify"]).exits(4);
    db.authmig(&["verify", "--only", "history,grants"]).exits(0);
    db.authmig(&["verify", "--skip", "objects", "--skip", "scripts"]).exits(0);
    db.authmig(&["verify", "--only", "nonsense"]).exits(2);
}

#[test]
fn a_check_that_was_named_and_cannot_be_made_fails() {
    let (db, own) = (TestDb::new(), own_roles());
    for check in ["scripts", "objects", "grants", "self-test", "postgrest"] {
        let run = db.authmig(&["verify", "--only", check]).exits(4);
        assert!(
            run.stdout.contains(&format!("{check}: there is nothing that it could look at")),
            "{}",
            run.stdout
        );
    }
    db.authmig(&with_options(&["migrate", "--to", "4"], &own)).exits(0);
    db.authmig(&["verify", "--only", "scripts,objects,grants"]).exits(0);
    db.authmig(&["verify", "--only", "self-test"]).exits(4);
    db.authmig(&["verify", "--skip", "history"]).exits(0);
}

#[test]
fn a_verification_that_looks_at_nothing_proves_nothing() {
    let db = TestDb::new();
    let run = db.authmig(&["verify", "--skip", "history"]).exits(4);
    assert!(run.stderr.contains("could be checked, so nothing is proven"), "{}", run.stderr);
}

#[test]
fn a_script_that_raises_hides_no_other_check() {
    let Installed { db, .. } = Installed::new();
    db.sql("alter table auth.refresh_token disable row level security");
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let verdicts: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| format!("{} {}", check["name"].as_str().unwrap(), check["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(
        verdicts,
        [
            "history passed",
            "scripts failed",
            "objects failed",
            "grants passed",
            "self-test passed",
            "postgrest passed"
        ]
    );
}

#[test]
fn what_does_not_pass_verification_is_not_committed() {
    let db = TestDb::new();
    let own = own_roles();
    let before = db.dump(&[]);
    for (file, addition, check) in [
        (
            "05-grants.up.sql",
            "grant execute on function auth.sign_raw(json, text, text) to public;",
            "select auth.sign_raw(",
        ),
        ("02-auth_schema.up.sql", "create table auth.more (id int);", "objects: table auth.more: "),
        ("05-grants.up.sql", "delete from auth_private.config;", "auth_private.config has no row"),
    ] {
        let files = Files::embedded()
            .append(file, addition)
            .replace("05-grants.verify.sql", "")
            .replace("02-auth_schema.verify.sql", "");
        let run = db.authmig_with(&files, &with_options(&["migrate"], &own)).exits(8);
        assert!(run.stderr.contains(check), "{addition}: {}", run.stderr);
        assert!(run.stderr.contains("nothing was changed"), "{}", run.stderr);
        assert_eq!(db.dump(&[]), before, "{addition}");
    }
}

/// The manifest is written anew with every change of a function; that it still does what it should
/// is for the self-test to see.
#[test]
fn a_function_that_does_not_do_what_it_should_does_not_pass_the_self_test() {
    let (db, own) = (TestDb::new(), own_roles());
    let before = db.dump(&[]);
    let issued =
        "auth_private.token_headers(config, selector, verifier, subject, role, config.refresh_seconds)";
    let successor = "encode(auth_private.hmac('sha256', session.salt, convert_to(verifier, 'UTF8')), 'hex')";
    let minted = "auth_private.may_be_minted(role, config.authenticator_role)) is not true";
    for (right, wrong, said) in [
        (issued, "'[]'", "issue_tokens did not set two cookies"),
        (issued, r#"'[{"Set-Cookie":"a=b"}, {"Set-Cookie":"c=d"}]'"#, "issue_tokens did not forbid caching"),
        (successor, "verifier", "refresh_tokens did not replace the refresh token"),
        (successor, "encode(auth_private.random_bytes(), 'hex')", "a parallel refresh got another successor"),
        ("> config.grace_seconds", "> 99999", "a refresh token that was replaced long ago was accepted"),
        (
            "set revoked_at = now, revoked_why",
            "set revoked_why",
            "a session went on after its refresh token was used twice",
        ),
        (minted, "true) is false", "(23502) instead of 22023"),
        (minted, "role <> '') is not true", "a token was issued for the role that PostgREST logs in as"),
        (
            minted,
            "role <> config.authenticator_role) is not true",
            "a token was issued for the role that owns the schema",
        ),
        (
            "set revoked_at = clock_timestamp(),\n",
            "set revoked_at = null,\n",
            "a session went on after logout",
        ),
    ] {
        let with_mistake = |text: &str| {
            assert!(text.contains(right), "{right}");
            text.replace(right, wrong)
        };
        let files = Files::embedded()
            .replace(
                "02-auth_schema.up.sql",
                &with_mistake(include_str!("../../../migrations/02-auth_schema.up.sql")),
            )
            .replace("manifest.txt", &with_mistake(include_str!("../../../migrations/manifest.txt")));
        let run = db.authmig_with(&files, &with_options(&["migrate"], &own)).exits(8);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
        assert_eq!(db.dump(&[]), before, "{said}");
    }
}

#[test]
fn names_may_look_like_the_placeholders_of_the_manifest() {
    let (db, own) = (TestDb::new(), own_roles());
    let odd: Vec<_> = own
        .iter()
        .map(|option| match option.split('=').next().unwrap() {
            option @ "--anon-role" => format!("{option}={{owner_role}}"),
            option @ "--authenticator-role" => format!("{option}={{api_schema}}"),
            option @ "--service-role" => format!("{option}='{{anon_role}}'"),
            _ => option.clone(),
        })
        .collect();
    db.authmig(&with_options(&["migrate"], &odd)).exits(0);
    db.authmig(&["verify"]).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    db.sql(r#"drop role "{owner_role}", "{api_schema}", "'{anon_role}'" "#);
}

#[test]
fn the_self_test_leaves_nothing_behind() {
    use postgres::fallible_iterator::FallibleIterator;
    let installed = Installed::new();
    let db = &installed.db;
    db.sql("select auth.issue_tokens('alice')");
    let secret = db.ask("select jwt_secret from auth_private.config");
    let before = db.dump(&[]);
    let mut listener = db.client();
    listener.batch_execute("listen pgrst").unwrap();
    // Somebody refreshes meanwhile: the self-test waits for nobody, and nobody for it.
    let mut other = db.client();
    other.batch_execute("begin; update auth.refresh_token set rotated_at = rotated_at").unwrap();
    db.authmig(&["verify"]).exits(0);
    other.batch_execute("rollback").unwrap();
    assert_eq!(db.dump(&[]), before);
    assert_eq!(db.ask("select jwt_secret from auth_private.config"), secret);
    let mut notifications = listener.notifications();
    assert!(notifications.timeout_iter(std::time::Duration::from_millis(200)).next().unwrap().is_none());
    // Nor in the server's log, where a cookie that is used again is told.
    let Ok(log) = std::fs::read(setting("AUTHMIG_TEST_LOG")) else { return };
    let told = installed.named("of role {authenticated} ended");
    assert!(!String::from_utf8_lossy(&log).contains(&told), "{told}");
}

#[test]
fn a_restored_dump_and_a_vacuumed_table_are_no_alarm() {
    let Installed { db, own } = Installed::new();
    db.sql("select auth.issue_tokens(n::text) from generate_series(1, 100) as n");
    db.sql("vacuum full auth.refresh_token");
    db.sql("analyze");
    db.authmig(&["verify", "--strict"]).exits(0);
    let other = TestDb::new();
    other.sql(&db.dump(&["--inserts"]));
    other.authmig(&with_options(&["verify", "--strict"], &own)).exits(0);
    other.authmig(&["migrate"]).exits(0);
}
