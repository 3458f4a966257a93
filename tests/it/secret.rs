//! The JWT secret: stored, never shown.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use authmig::message::literal;
use postgres::{Config, NoTls};

use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::{
    JWT_SECRET, OTHER_JWT_SECRET, Run, TestDb, all_applied, feed, finish, major, own_roles, role,
    with_options,
};

fn set(db: &TestDb, arguments: &[&str], text: &str) -> Run {
    let mut command = db.command(&[&["secret", "set"], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    feed(&mut child, text);
    finish(child)
}

fn stored(db: &TestDb) -> String {
    db.ask("select jwt_secret from auth_private.config")
}

#[test]
fn a_secret_is_set_from_standard_input_a_file_or_the_variable() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let run = set(&db, &[], &format!("{}\n", JWT_SECRET.trim_end_matches('='))).exits(0);
    assert!(run.stdout.contains("stored; PostgREST was told"), "{}", run.stdout);
    assert_eq!(stored(&db), JWT_SECRET);
    set(&db, &[], JWT_SECRET).exits(0);

    let refused = set(&db, &[], OTHER_JWT_SECRET).exits(7);
    assert!(refused.stderr.contains("--replace"), "{}", refused.stderr);
    assert_eq!(stored(&db), JWT_SECRET);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), OTHER_JWT_SECRET).unwrap();
    db.authmig(&["secret", "set", "--replace", "--file", file.path().to_str().unwrap()]).exits(0);
    assert_eq!(stored(&db), OTHER_JWT_SECRET);

    let db = db.with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    db.authmig(&["secret", "set", "--replace"]).exits(0);
    assert_eq!(stored(&db), JWT_SECRET);
    assert_eq!(
        db.ask("select string_agg(action, ' ' order by id) from authmig.journal"),
        "migrate secret secret secret"
    );
}

#[test]
fn what_is_no_secret_is_refused_before_connecting_and_changes_nothing() {
    let db = TestDb::new();
    for (text, why) in [
        ("", "is empty"),
        ("not base64 at all!", "is not base64"),
        ("c2hvcnQ=", "has 5 bytes"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "is one that anybody can guess"),
        ("iccdlYtK6AJHwN-yn9fkE7p-fywdDLa8ml7w0rVjJRA", "is one that anybody can guess"),
    ] {
        let run = set(&db, &["--database-url", "postgres://x@127.0.0.1:1/x"], text).exits(2);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert!(text.is_empty() || !run.stderr.contains(text), "{}", run.stderr);
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_quoted() {
    let db = TestDb::new();
    let missing = "cannot be read: No such file or directory (os error 2)\n";
    let quoted = |run: Run| run.exits(2).stderr;
    let named = "error: the file that --file or AUTHMIG_JWT_SECRET_FILE names";
    assert_eq!(
        quoted(db.authmig(&["secret", "set", "--file", JWT_SECRET])),
        format!("{named}, …, {missing}")
    );
    assert_eq!(
        quoted(db.authmig(&["secret", "set", "--file", "/run/secrets/jwt"])),
        format!("{named}, /run/secrets/jwt, {missing}")
    );
    let db = db.with("AUTHMIG_JWT_SECRET_FILE", OTHER_JWT_SECRET);
    for command in ["migrate", "install"] {
        assert_eq!(
            quoted(db.authmig(&[command])),
            format!("error: the file that --jwt-secret-file or AUTHMIG_JWT_SECRET_FILE names, …, {missing}")
        );
    }
    for command in [&["migrate"][..], &["install"], &["secret", "set"]] {
        db.authmig(&[command, &["--help"]].concat()).exits(0);
    }
    // What is refused is that, and not an absent variable.
    let mut command = db.command(&["migrate"]);
    command.env_remove("AUTHMIG_JWT_SECRET_FILE");
    command.env("AUTHMIG_JWT_SECRET", OsStr::from_bytes(b"\xff"));
    assert_eq!(quoted(finish(command.spawn().unwrap())), "error: AUTHMIG_JWT_SECRET is not UTF-8\n");
    let db = TestDb::new().with("DATABASE_URL", "").with("DATABASE_URL_FILE", "host=h password=s3cret");
    quoted(db.authmig(&["status"]));
}

#[test]
fn what_has_no_end_is_not_read_to_its_end_and_the_mark_of_an_editor_is_passed_over() {
    let db = TestDb::new();
    let long = "cannot be read: it has more than 65536 bytes\n";
    let run = db.authmig(&["secret", "set", "--file", "/dev/zero"]).exits(2);
    assert_eq!(
        run.stderr,
        format!("error: the file that --file or AUTHMIG_JWT_SECRET_FILE names, /dev/zero, {long}")
    );
    let run = set(&db, &[], &"A".repeat(65537)).exits(2);
    assert_eq!(run.stderr, format!("error: standard input {long}"));
    let other = TestDb::new().with("DATABASE_URL", "").with("DATABASE_URL_FILE", "/dev/zero");
    assert_eq!(
        other.authmig(&["status"]).exits(2).stderr,
        format!("error: the file that DATABASE_URL_FILE names, /dev/zero, {long}")
    );

    db.authmig(&["migrate"]).exits(0);
    let marked = format!("\u{feff}{JWT_SECRET}\r\n");
    set(&db, &[], &marked).exits(0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &marked).unwrap();
    db.authmig(&["secret", "set", "--file", file.path().to_str().unwrap()]).exits(0);
    assert_eq!(stored(&db), JWT_SECRET);
    std::fs::write(file.path(), b"\xff").unwrap();
    let run = db.authmig(&["secret", "set", "--file", file.path().to_str().unwrap()]).exits(2);
    assert!(run.stderr.ends_with("cannot be read: it is not UTF-8\n"), "{}", run.stderr);
}

#[test]
fn two_variables_for_one_secret_are_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), OTHER_JWT_SECRET).unwrap();
    let file = file.path().to_str().unwrap();
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", JWT_SECRET).with("AUTHMIG_JWT_SECRET_FILE", file);
    for command in [&["migrate"][..], &["install"], &["secret", "set"]] {
        assert_eq!(
            db.authmig(command).exits(2).stderr,
            "error: AUTHMIG_JWT_SECRET and AUTHMIG_JWT_SECRET_FILE are both set, and only one can be meant\n"
        );
    }
    assert_eq!(db.history(), [0; 0]);
    let db = db.with("AUTHMIG_JWT_SECRET_FILE", "");
    db.authmig(&["migrate"]).exits(0);
    assert_eq!(stored(&db), JWT_SECRET);
    // The option is stronger than both.
    let db = db.with("AUTHMIG_JWT_SECRET_FILE", "/nowhere");
    db.authmig(&["secret", "set", "--replace", "--file", file]).exits(0);
    assert_eq!(stored(&db), OTHER_JWT_SECRET);
}

#[test]
fn generate_prints_the_secret_only_if_asked_to() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let run = db.authmig(&["secret", "generate", "-vv"]).exits(0);
    let first = stored(&db);
    assert_eq!(first.len(), 44);
    assert!(!format!("{run:?}").contains(&first));
    db.authmig(&["secret", "generate"]).exits(7);
    assert_eq!(stored(&db), first);
    let run = db.authmig(&["secret", "generate", "--replace", "--print"]).exits(0);
    assert_eq!(run.stdout.trim_end(), stored(&db));
    assert_ne!(stored(&db), first);
}

#[test]
fn a_secret_that_the_commit_would_refuse_is_not_printed() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    // Somebody keeps count of the tables that are made, and what he writes down is looked at
    // in the end: too late, when the secret is printed already.
    db.sql(
        "create table public.made (id int unique deferrable initially deferred);
         create function public.note() returns event_trigger language plpgsql as
             $$ begin insert into public.made values (1), (1); end $$;
         create event trigger note on ddl_command_end when tag in ('CREATE TABLE') execute function public.note()",
    );
    let run = db.authmig(&["secret", "generate", "--print"]).exits(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("duplicate key value violates unique constraint"), "{}", run.stderr);
    assert_eq!(stored(&db), "");
}

#[test]
fn a_secret_is_not_sent_through_a_table_that_something_has_changed() {
    let server = Server::new("wal_level = logical");
    let db = TestDb::on(server.config(), "template0");
    db.authmig(&["migrate"]).exits(0);
    // What goes through the table is not replicated.
    db.sql("create publication everything for all tables");
    db.ask("select pg_create_logical_replication_slot('slot', 'test_decoding')");
    set(&db, &[], JWT_SECRET).exits(0);
    let changes = "select count(*) from pg_logical_slot_get_changes('slot', null, null) where data like '%secret_in_transit%'";
    assert_eq!(db.ask(changes), "0");
    for change in [
        "add column more int",
        "add check (secret = '')",
        "add column more int default 1 / (random() - random())::int",
    ] {
        db.sql(&format!(
            "create or replace function public.change() returns event_trigger language plpgsql as \
             $$ begin \
                if to_regclass('authmig.secret_in_transit') is not null and tg_tag = 'CREATE TABLE' then \
                    execute 'alter table authmig.secret_in_transit {}'; \
                end if; \
             end $$; \
             drop event trigger if exists change; \
             create event trigger change on ddl_command_end execute function public.change()",
            change.replace('\'', "''")
        ));
        let run = set(&db, &["--replace"], OTHER_JWT_SECRET).exits(1);
        let said =
            "an event trigger changes each new table, and the secret could be shown; nothing was changed";
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert!(!run.stderr.contains(OTHER_JWT_SECRET), "{}", run.stderr);
    }
    assert!(!server.log().contains(OTHER_JWT_SECRET));
    assert_eq!(stored(&db), JWT_SECRET);
}

#[test]
fn status_tells_source_length_and_fingerprint() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let run = db.authmig(&["secret", "status"]).exits(0);
    assert!(run.stdout.contains("no secret is set"), "{}", run.stdout);
    db.sql(&format!("alter database {} set app.settings.jwt_secret = '{OTHER_JWT_SECRET}'", db.name));
    db.sql(&format!("alter role authenticator in database {} set pgrst.jwt_secret = 'c2hvcnQ='", db.name));
    let told = set(&db, &["--replace", "--format", "json"], JWT_SECRET).exits(0);
    let run = db.authmig(&["secret", "status", "--format", "json"]).exits(0);
    assert_eq!(told.json()["sources"], run.json()["sources"]);
    // sha256sum of the 32 bytes 0 to 31, and of `short`.
    assert_eq!(
        run.json()["sources"],
        serde_json::json!([
            {"source": "auth_private.config", "bytes": 32, "fingerprint": "630dcd29"},
            {"source": "pgrst.jwt_secret of the role authenticator in this database", "bytes": 5, "fingerprint": "f9b0078b"},
            {"source": "app.settings.jwt_secret of the database", "bytes": 32, "fingerprint": db.ask(
                &format!("select left(encode(sha256(decode('{OTHER_JWT_SECRET}', 'base64')), 'hex'), 8)"))},
            {"source": "app.settings.jwt_secret of this session", "bytes": 32, "fingerprint": db.ask(
                &format!("select left(encode(sha256(decode('{OTHER_JWT_SECRET}', 'base64')), 'hex'), 8)"))},
        ])
    );
    assert!(!run.stdout.contains(JWT_SECRET) && !run.stdout.contains(OTHER_JWT_SECRET));
}

#[test]
fn of_several_settings_the_one_is_used_that_the_session_of_postgrest_has() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let authenticator = own.iter().find_map(|one| one.strip_prefix("--authenticator-role=")).unwrap();
    let sources = |setting: &str| {
        [
            (format!("role {authenticator} in database {}", db.name), "of the role {} in this database"),
            (format!("role {authenticator}"), "of the role {}"),
            (format!("database {}", db.name), "of the database"),
        ]
        .map(|(whose, source)| (whose, format!("{setting} {}", source.replace("{}", authenticator))))
    };
    for (setting, severity) in [("pgrst.jwt_secret", "error"), ("app.settings.jwt_secret", "advice")] {
        let sources = sources(setting);
        let secrets = ["A", "B", "C"].map(|letter| letter.repeat(44).replace("AAAA", "QUFB"));
        for ((whose, _), secret) in sources.iter().zip(&secrets) {
            db.sql(&format!("alter {whose} set {setting} = '{secret}'"));
        }
        for (index, (whose, source)) in sources.iter().enumerate() {
            let mut session = Config::new();
            session.host("127.0.0.1").port(db.port()).dbname(&db.name).user(authenticator);
            let question = format!("select current_setting('{setting}')");
            let had = session.connect(NoTls).unwrap().query_one(&question, &[]).unwrap();
            assert_eq!(had.get::<_, &str>(0), secrets[index], "{source}");
            let told = db.authmig(&["secret", "status", "--format", "json"]).exits(0).json();
            assert_eq!(told["sources"][0]["source"], *source);
            let report = db.authmig(&["verify", "--format", "json"]).json();
            let postgrest = report["checks"].as_array().unwrap().last().unwrap();
            let others: Vec<_> = postgrest["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|finding| finding["message"] == "another JWT secret is set here")
                .map(|finding| (finding["subject"].as_str().unwrap(), finding["severity"].as_str().unwrap()))
                // That of who verifies is the database's.
                .filter(|(subject, _)| !subject.ends_with(" of this session"))
                .collect();
            // A setting of the database is no setting of PostgREST's own role.
            let expected: Vec<_> = sources[index + 1..]
                .iter()
                .map(|(_, other)| (&**other, if other.contains(" role ") { severity } else { "advice" }))
                .collect();
            assert_eq!(others, expected);
            db.sql(&format!("alter {whose} reset {setting}"));
        }
    }
}

#[test]
fn a_setting_that_postgrest_takes_first_is_told_with_what_takes_it_away() {
    let (db, own) = (TestDb::new(), own_roles());
    let authenticator = own.iter().find_map(|one| one.strip_prefix("--authenticator-role=")).unwrap();
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    for whose in [format!("role {authenticator}"), format!("role {authenticator} in database {}", db.name)] {
        db.sql(&format!("alter {whose} set pgrst.jwt_secret = '{JWT_SECRET}'"));
        let reset = format!("alter {whose} reset pgrst.jwt_secret;");
        let run = db.authmig(&["secret", "generate"]).exits(7);
        let hint =
            format!("--replace stores the new one, and PostgREST goes on with the old one until: {reset}\n");
        assert!(run.stderr.ends_with(&hint), "{}", run.stderr);
        // The same one is readable by every role, wherever else it is kept.
        set(&db, &[], JWT_SECRET).exits(0);
        let run = db.authmig(&["verify"]).exits(0);
        assert!(run.stdout.contains("the JWT secret stands in a setting, too\n"), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("  mend:     {reset}\n")), "{}", run.stdout);

        let run = db.authmig(&["secret", "generate", "--replace"]).exits(0);
        let warning = format!("and refuses what is signed with the one that is stored, until: {reset}\n");
        assert!(
            run.stderr.starts_with("warning: PostgREST goes on with pgrst.jwt_secret of "),
            "{}",
            run.stderr
        );
        assert!(run.stderr.ends_with(&warning), "{}", run.stderr);
        let run = db.authmig(&["verify"]).exits(4);
        assert!(run.stdout.contains(&format!("  mend:     {reset}\n")), "{}", run.stdout);
        // It stops no migration, which tells it as well.
        db.authmig(&["rollback", "--yes"]).exits(0);
        let run = db.authmig(&["migrate"]).exits(0);
        assert!(run.stderr.contains(&format!("another JWT secret is set here: {reset}\n")), "{}", run.stderr);
        db.sql(&reset);
        db.authmig(&["verify", "--strict"]).exits(0);
        db.sql("update auth_private.config set jwt_secret = null");
    }
}

#[test]
fn no_migration_stores_a_secret_that_somebody_could_read() {
    // Until 16, everybody with CREATEROLE may join any role, and is not told of.
    if major() < 16 {
        return;
    }
    let (db, own) = (TestDb::new(), own_roles());
    let owner = own.iter().find_map(|one| one.strip_prefix("--owner-role=")).unwrap();
    let other = role(&db, "createrole");
    db.sql(&format!("set role {other}; create role {owner}"));
    let run = db.with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    let told = run.authmig(&with_options(&["migrate", "--format", "json"], &own)).exits(0);
    assert_eq!(told.json()["secret_stored"], false);
    assert_eq!(
        told.stderr,
        "notice: the JWT secret that was given was not stored: somebody could read it; `authmig verify` says who\n"
    );
    assert_eq!(stored(&run), "");
    run.sql(&format!("revoke {owner} from {other} granted by postgres"));
    run.authmig(&["migrate"]).exits(0);
    assert_eq!(stored(&run), JWT_SECRET);
}

#[test]
fn a_setting_that_cannot_be_used_stands_in_nobodys_way() {
    let own = own_roles();
    for value in ["REALLYREALLYREALLYREALLYVERYSAFE", "no base64 at all!"] {
        let db = TestDb::new();
        db.sql(&format!("alter database {} set app.settings.jwt_secret = '{value}'", db.name));
        let run = db.authmig(&with_options(&["migrate"], &own)).exits(0);
        let reset = format!("alter database {} reset app.settings.jwt_secret;", db.name);
        let told = format!(": the JWT secret cannot be used: {reset}\n");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        let run = db.authmig(&["verify"]).exits(4);
        assert!(
            run.stdout.contains("  hint:     `authmig secret generate` makes a good one\n"),
            "{}",
            run.stdout
        );
        db.authmig(&["secret", "generate"]).exits(0);
        let run = db.authmig(&["verify"]).exits(0);
        assert_eq!(run.stdout.matches("another JWT secret is set here").count(), 1, "{}", run.stdout);
        db.sql("update auth_private.config set jwt_secret = null");
        db.with("AUTHMIG_JWT_SECRET", JWT_SECRET).authmig(&["migrate"]).exits(0);
    }
}

#[test]
fn status_runs_nothing_that_somebody_could_have_put_there() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    for planted in [
        "create or replace function auth_private.decode_secret(secret text) returns bytea language plpgsql immutable \
         set search_path = pg_catalog, pg_temp as $$ begin raise exception 'ran'; end $$",
        "create function public.ran() returns text language plpgsql as $$ begin raise exception 'ran'; end $$; \
         alter table auth_private.config rename to kept; \
         create view auth_private.config as select public.ran() as jwt_secret, authenticator_role from auth_private.kept",
    ] {
        db.sql(planted);
        let run = db.authmig(&["secret", "status"]).exits(4);
        assert_eq!(
            run.stderr,
            "error: something here is not as authmig installed it, and could run as whoever goes on; nothing was changed\n\
             hint: `authmig verify` names it, and what mends it\n"
        );
    }
}

#[test]
fn status_tells_a_fingerprint_of_the_same_bytes_in_any_alphabet() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    for (secret, bytes) in [
        ("+/+/".repeat(11), "33"),
        ("-_-_".repeat(11), "33"),
        (format!(" {}\n{}== ", "+/+/".repeat(10), "+w"), "31"),
        (format!("{}+w", "+/+/".repeat(10)), "31"),
        ("abc!".repeat(11), "0"),
        ("a".repeat(45), "0"),
    ] {
        db.sql(&format!("alter database {} set app.settings.jwt_secret = {}", db.name, literal(&secret)));
        let report = db.authmig(&["secret", "status", "--format", "json"]).exits(0).json();
        let source = &report["sources"][0];
        let wanted = db.ask(&format!(
            "select coalesce(left(encode(sha256(auth_private.decode_secret({})), 'hex'), 8), '')",
            literal(&secret)
        ));
        assert_eq!(
            (source["bytes"].to_string(), &source["fingerprint"]),
            (bytes.to_owned(), &wanted.into()),
            "{secret}"
        );
    }
}

/// What `alter role all` sets counts in every database of the server, so it has its own.
#[test]
fn a_setting_of_all_roles_is_not_one_of_the_database() {
    let server = Server::new("");
    let db = TestDb::on(server.config(), "template0");
    db.authmig(&["migrate"]).exits(0);
    db.sql(&format!("alter role all set app.settings.jwt_secret = '{OTHER_JWT_SECRET}'"));
    let run = db.authmig(&["secret", "status", "--format", "json"]).exits(0);
    assert_eq!(run.json()["sources"][0]["source"], "app.settings.jwt_secret of all roles");
}

#[test]
fn migrate_stores_the_secret_of_the_first_installation() {
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    let run = db.authmig(&["migrate", "-vv"]).exits(0);
    assert!(run.stdout.contains("  the JWT secret that was given is stored\n"), "{}", run.stdout);
    assert!(!format!("{run:?}").contains(JWT_SECRET), "{run:?}");
    assert_eq!(stored(&db), JWT_SECRET);
    let db = db.with("AUTHMIG_JWT_SECRET", OTHER_JWT_SECRET);
    db.authmig(&["rollback", "--yes"]).exits(0);
    let run = db.authmig(&["migrate", "--format", "json"]).exits(0);
    assert_eq!(run.json()["secret_stored"], false);
    assert_eq!(run.stderr, ANOTHER_IS_KEPT);
    assert_eq!(stored(&db), JWT_SECRET);
    TestDb::new().with("AUTHMIG_JWT_SECRET", "short").authmig(&["migrate"]).exits(2);
}

const ANOTHER_IS_KEPT: &str = "notice: another JWT secret is kept, and the one that was given was not stored; \
    `authmig secret set --replace` does that\n";

#[test]
fn a_secret_in_use_elsewhere_is_not_displaced_unasked() {
    let own = own_roles();
    let authenticator = own.iter().find_map(|one| one.strip_prefix("--authenticator-role=")).unwrap();
    for setting in ["pgrst.jwt_secret", "app.settings.jwt_secret"] {
        let db = TestDb::new();
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.sql(&format!("alter role {authenticator} in database {} set {setting} = '{JWT_SECRET}'", db.name));
        let used = format!("{setting} of the role {authenticator} in this database");
        let source = format!("another secret is in use, {used}; nothing was changed\n");
        for run in [db.authmig(&["secret", "generate"]), set(&db, &[], OTHER_JWT_SECRET)] {
            let run = run.exits(7);
            assert!(
                run.stderr.starts_with(&format!("error: {source}hint: --replace stores")),
                "{}",
                run.stderr
            );
        }
        let other = db.with("AUTHMIG_JWT_SECRET", OTHER_JWT_SECRET);
        let notice = format!(
            "notice: another JWT secret is in use, {used}, and the one that was given was not \
             stored; `authmig secret set --replace` does that\n"
        );
        // With something to apply, and with nothing.
        other.authmig(&["rollback", "--yes"]).exits(0);
        for command in [&["migrate", "--dry-run"][..], &["migrate"], &["migrate"], &["install"]] {
            let run = other.authmig(&[command, &["--format", "json"]].concat()).exits(0);
            assert_eq!(run.stderr, notice, "{command:?}");
            assert_eq!(stored(&other), "");
        }
        assert_eq!(other.ask("select to_regclass('authmig.secret_in_transit') is null"), "true");
        // The same one is welcome, and then the one that is kept counts.
        let same = other.with("AUTHMIG_JWT_SECRET", JWT_SECRET);
        let run = same.authmig(&["migrate", "--format", "json"]).exits(0);
        assert_eq!((&run.json()["secret_stored"], &*run.stderr), (&serde_json::json!(true), ""));
        assert_eq!(stored(&same), JWT_SECRET);
        same.authmig(&["secret", "set"]).exits(0);
        same.sql("update auth_private.config set jwt_secret = null");
        same.authmig(&["secret", "set"]).exits(0);
        assert_eq!(stored(&same), JWT_SECRET);
        same.sql("update auth_private.config set jwt_secret = null");
        same.authmig(&["secret", "generate", "--replace"]).exits(0);
        assert_ne!(stored(&same), JWT_SECRET);
    }
    // As in a stack that had one before.
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", OTHER_JWT_SECRET);
    db.sql(&format!("alter database {} set app.settings.jwt_secret = '{JWT_SECRET}'", db.name));
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(0);
    assert!(
        run.stderr
            .starts_with("notice: another JWT secret is in use, app.settings.jwt_secret of the database, ")
    );
    assert_eq!(stored(&db), "");
}

#[test]
fn a_secret_that_comes_later_is_stored_if_none_is() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let db = db.with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    let run = db.authmig(&["migrate", "--dry-run"]).exits(0);
    assert!(
        run.stdout.ends_with(
            "  the JWT secret that was given would be stored\ndry run: no migration is pending; nothing was changed\n"
        ),
        "{}",
        run.stdout
    );
    assert_eq!(db.authmig(&["migrate", "--dry-run", "--format", "json"]).json()["outcome"], "dry_run");
    assert_eq!(stored(&db), "");

    let run = db.authmig(&["migrate"]).exits(0);
    let said =
        format!("  the JWT secret that was given is stored\nno migration was pending: {}\n", all_applied());
    assert!(run.stdout.ends_with(&said), "{}", run.stdout);
    assert_eq!(stored(&db), JWT_SECRET);
    assert_eq!(db.ask("select string_agg(action, ' ' order by id) from authmig.journal"), "migrate secret");
    db.authmig(&["verify"]).exits(0);

    // It is there: one question more than without one, and no lock.
    let proxy = Proxy::to(db.port());
    let url = format!("{}?sslmode=disable", db.url_at(proxy.port));
    for command in [&["migrate"][..], &["migrate", "--dry-run"]] {
        let run = db.authmig(&[command, &["--database-url", &url]].concat()).exits(0);
        let said = format!("nothing to do: {}\n", all_applied());
        assert!(run.stdout.ends_with(&said), "{}", run.stdout);
        assert_eq!((run.stderr.as_str(), proxy.counts()), ("", (1, 3)));
    }
    let db = db.with("AUTHMIG_JWT_SECRET", OTHER_JWT_SECRET);
    let run = db.authmig(&["migrate", "--format", "json"]).exits(0);
    assert_eq!((&run.json()["secret_stored"], &*run.stderr), (&serde_json::json!(false), ANOTHER_IS_KEPT));
    assert_eq!(db.authmig(&["install"]).exits(0).stderr, ANOTHER_IS_KEPT);
    assert_eq!(stored(&db), JWT_SECRET);

    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let db = db.with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    let run = db.authmig(&["install", "--format", "json"]).exits(0);
    assert_eq!(run.json()["migrate"]["secret_stored"], true);
    assert_eq!(stored(&db), JWT_SECRET);
}

#[test]
fn where_there_is_no_row_of_settings_no_secret_is_said_to_be_kept() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql("delete from auth_private.config");
    let run = db.authmig(&["secret", "generate", "--replace"]).exits(4);
    assert_eq!(
        run.stderr,
        "error: auth_private.config has no row to keep a secret in; nothing was changed\n\
         hint: `authmig verify` shows the statement that puts it there\n"
    );
    let db = db.with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    db.authmig(&["migrate"]).exits(4);
}

#[test]
fn a_variable_that_keeps_runs_from_changing_anything_keeps_this_one_too() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let db = db.with("AUTHMIG_DRY_RUN", "1");
    let run = db.authmig(&["secret", "generate"]).exits(2);
    assert_eq!(run.stderr, "error: secret has no dry run (AUTHMIG_DRY_RUN); nothing was changed\n");
    assert_eq!(stored(&db), "");
    db.authmig(&["secret", "status"]).exits(0);
}

#[test]
fn a_secret_waits_for_the_table_that_keeps_it() {
    let db = TestDb::new().with("AUTHMIG_JWT_SECRET", JWT_SECRET);
    let notice =
        "notice: the JWT secret that was given was not stored: auth_schema, which keeps it, is not applied\n";
    for _ in 0..2 {
        let run = db.authmig(&["migrate", "--to", "1"]).exits(0);
        assert_eq!(run.stderr, notice);
    }
    db.authmig(&["migrate"]).exits(0);
    assert_eq!(stored(&db), JWT_SECRET);
}

#[test]
fn the_secret_travels_as_the_data_of_a_copy_and_in_no_statement() {
    // The server logs statements and their parameters, not the data of a COPY.
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let proxy = Proxy::to(db.port());
    let run = set(&db, &["-vv", "--database-url", &db.url_at(proxy.port)], JWT_SECRET).exits(0);
    assert!(!format!("{run:?}").contains(JWT_SECRET), "{run:?}");
    assert_eq!(stored(&db), JWT_SECRET);
    let sent = proxy.sent();
    let places: Vec<_> = sent
        .windows(JWT_SECRET.len())
        .enumerate()
        .filter(|(_, part)| *part == JWT_SECRET.as_bytes())
        .collect();
    assert_eq!(places.len(), 1);
    let length = u32::try_from(JWT_SECRET.len() + 4).unwrap().to_be_bytes();
    assert_eq!(
        sent[places[0].0 - 5..places[0].0],
        [&b"d"[..], &length].concat(),
        "a CopyData message of its own"
    );
}

#[test]
fn without_an_installation_there_is_nowhere_to_put_it() {
    let db = TestDb::new();
    let run = set(&db, &[], JWT_SECRET).exits(1);
    assert!(run.stderr.contains("run `authmig migrate` first"), "{}", run.stderr);
    db.authmig(&["secret", "status"]).exits(1);
}
