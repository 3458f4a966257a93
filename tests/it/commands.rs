//! status, verify, migrate: options, exit codes, JSON.

use snapbox::{assert_data_eq, str};

use crate::support::{
    Files, TestDb, all_applied, finish, first_line, major, migrations, own_roles, role, versions,
    with_options,
};

#[test]
fn status_shows_a_line_a_migration() {
    let db = TestDb::new();
    let files = Files::tables(1..=3);
    db.authmig_with(&files, &["migrate", "--to", "2"]).exits(0);
    assert_data_eq!(
        db.authmig_with(&files, &["status"]).exits(0).stdout,
        str![[r#"
postgres@127.0.0.1:[..]/t_[..]
  01-t1  applied  20[..]-[..]-[..] [..]:[..]:[..] UTC  postgres
  02-t2  applied  20[..]-[..]-[..] [..]:[..]:[..] UTC  postgres
  03-t3  pending
2 applied, 1 pending

"#]]
    );
    db.authmig_with(&files, &["status", "--check"]).exits(3);
    db.authmig_with(&files, &["migrate", "--to", "03"]).exits(0);
    db.authmig_with(&files, &["status", "--check"]).exits(0);
}

#[test]
fn status_shows_every_kind_of_drift() {
    let db = TestDb::new();
    db.authmig_with(&Files::tables(1..=4), &["migrate"]).exits(0);
    db.sql(
        "delete from authmig.schema_history where version = 2; \
            update authmig.schema_history set sha256 = 'x' where version = 1;",
    );
    let others = Files::tables(1..=3).and("05-t5", "", "", "");
    let run = db.authmig_with(&others, &["status"]).exits(0);
    let states: Vec<_> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("  0"))
        .map(|line| line[2..].split("  ").take(2).collect::<Vec<_>>().join("="))
        .collect();
    assert_eq!(
        states,
        ["01-t1=changed", "02-t2=out of order", "03-t3=applied", "04-t4=missing", "05-t5=pending"]
    );
    assert_eq!(run.stdout.lines().nth(6), Some("1 applied, 1 pending, 3 wrong"), "{}", run.stdout);
    db.authmig_with(&others, &["status", "--check"]).exits(4);
    db.authmig_with(&others, &["migrate"]).exits(4);
    for looks in [&["status", "--check"][..], &["verify"], &["verify", "--skip", "history"]] {
        db.authmig_with(&Files::tables(1..=3), looks).exits(9);
    }
    let verify = db.authmig_with(&others, &["verify"]).exits(4).stdout;
    assert!(verify.contains("put its row back into authmig.schema_history"), "{verify}");
}

#[test]
fn status_wait_ends_when_another_run_has_migrated() {
    let db = TestDb::new();
    let mut waiting = db.command(&["status", "--wait", "60s"]).spawn().unwrap();
    let count = versions().len();
    assert_eq!(first_line(&mut waiting), format!("waiting: {count} of {count} migrations are pending\n"));
    db.authmig(&["migrate"]).exits(0);
    assert_eq!(finish(waiting).exits(0).stderr, "");
    let empty = TestDb::new();
    empty.authmig(&["status", "--wait", "100ms"]).exits(3);
}

#[test]
fn grants_of_nothing_are_told_as_that() {
    let db = TestDb::new();
    // Neither what was there before is authmig's, nor is what it has applied anybody's to use.
    db.sql("create schema auth; create function auth.uid() returns int language sql as 'select 1'");
    let nothing = |db: &TestDb| {
        let run = db.authmig(&["grants"]).exits(0);
        assert_eq!(run.stdout.lines().skip(1).collect::<Vec<_>>(), ["nothing is installed"]);
        let json = db.authmig(&["grants", "--format", "json"]).exits(0).json();
        assert_eq!(json["objects"], serde_json::json!([]));
    };
    nothing(&db);
    db.sql("drop schema auth cascade");
    db.authmig(&["migrate", "--to", "1"]).exits(0);
    nothing(&db);
    db.authmig(&["migrate"]).exits(0);
    assert!(db.authmig(&["grants"]).exits(0).stdout.contains("  function  auth.logout()"));
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    nothing(&db);
}

#[test]
fn status_and_verify_create_nothing() {
    let db = TestDb::new();
    let before = db.dump(&[]);
    db.authmig(&["status"]).exits(0);
    db.authmig(&["status", "--check"]).exits(3);
    db.authmig(&["verify"]).exits(4);
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn a_dry_run_does_it_all_and_leaves_nothing() {
    let db = TestDb::new();
    let own = crate::support::own_roles();
    let before = db.dump(&[]);
    let run =
        db.authmig(&crate::support::with_options(&["migrate", "--dry-run", "--show-sql"], &own)).exits(0);
    let (ledger, scripts) = (["ledger.sql".to_owned()], migrations());
    let scripts = scripts.iter().map(|migration| format!("{migration}.up.sql"));
    assert_eq!(shown(&run.stdout), ledger.into_iter().chain(scripts).collect::<Vec<_>>());
    let said = format!("dry run: {}, verified and rolled back in ", all_applied());
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    assert_eq!(db.dump(&[]), before);
    assert_eq!(
        db.ask(&format!(
            "select count(*) from pg_roles where rolname = '{}'",
            own[0].split('=').nth(1).unwrap()
        )),
        "0"
    );
    // It fails as the real thing would.
    let broken = Files::tables(1..=1).append("01-t1.verify.sql", "select 1/0");
    db.authmig_with(&broken, &["migrate", "--dry-run"]).exits(8);
}

#[test]
fn a_verification_in_part_says_that_it_was_one() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    // No secret is set, which is advice.
    for (arguments, end) in [
        (&["--only", "history"][..], "verified: nothing is wrong in what was checked\n"),
        (&["--skip", "history"], "verified: nothing is wrong in what was checked; see the advice\n"),
        (&[], "verified: nothing is wrong; see the advice\n"),
    ] {
        let run = db.authmig(&[&["verify"], arguments].concat()).exits(0);
        assert!(run.stdout.ends_with(end), "{}", run.stdout);
    }
    db.authmig(&["secret", "generate"]).exits(0);
    assert!(db.authmig(&["verify"]).exits(0).stdout.ends_with("verified: nothing is wrong\n"));
    db.authmig(&["verify", "--only", "history", "--skip", "history"]).exits(2);
}

#[test]
fn what_is_left_out_of_a_verification_is_not_done() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let mut other = db.client();
    let mut holding = other.transaction().unwrap();
    holding.batch_execute("lock table auth_private.config, auth.refresh_token in share mode").unwrap();
    let verify =
        |options: [&str; 2]| db.authmig(&[&["verify", "--lock-timeout", "200ms"], &options[..]].concat());
    verify(["--only", "self-test"]).exits(6);
    verify(["--only", "history,scripts"]).exits(0);
    verify(["--skip", "self-test"]).exits(0);
}

#[test]
fn what_a_newer_authmig_made_is_not_to_be_dropped() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql(
        "insert into authmig.schema_history select 9999, 'newer', applied_on, checksum, sha256, applied_by, '9.9.9' \
           from authmig.schema_history where version = 5; \
         alter table auth.refresh_token add column seen timestamptz",
    );
    let run = db.authmig(&["verify"]).exits(9);
    assert!(
        run.stdout.contains("history: 9999-newer: was applied by a newer authmig than this one"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("mend:") && run.stdout.contains("see history"), "{}", run.stdout);
    for command in [&["secret", "generate"][..], &["secret", "status"], &["migrate"]] {
        assert!(db.authmig(command).exits(9).stderr.contains("is newer than this binary"));
    }
    // A secret that is given does not change what is said.
    let given = db.with("AUTHMIG_JWT_SECRET", crate::support::JWT_SECRET);
    given.authmig(&["migrate"]).exits(9);
}

/// The names of the scripts that `--show-sql` has printed.
fn shown(text: &str) -> Vec<&str> {
    let comments = text.lines().filter_map(|line| line.strip_prefix("-- "));
    comments.filter(|name| !name.contains(' ') && name.contains(".sql")).collect()
}

#[test]
fn show_sql_shows_an_adoption_too() {
    let db = TestDb::new();
    crate::adopt::installed(&db, crate::adopt::AUTH_SCHEMA);
    let run = db.authmig(&["migrate", "--adopt", "--dry-run", "--show-sql", "--to", "02"]).exits(0);
    let expected = [
        "ledger.sql",
        "adopt_prepare.sql",
        "01-extensions.up.sql",
        "02-auth_schema.up.sql",
        "adopt_finish.sql",
    ];
    assert_eq!(shown(&run.stdout), expected);
    let adoption = include_str!("../../src/sql/adopt_prepare.sql").trim_end();
    assert!(run.stdout.contains(adoption), "{}", run.stdout);
}

#[test]
fn verify_reports_every_script_that_raises() {
    let db = TestDb::new();
    let files = Files::tables(1..=4);
    db.authmig_with(&files, &["migrate"]).exits(0);
    let run = db.authmig_with(&files, &["verify"]).exits(0);
    // These migrations have no manifest.
    let said = "verified: nothing is wrong in what could be checked\n";
    assert!(run.stdout.ends_with(said), "{}", run.stdout);
    db.sql("drop table public.t1, public.t3");
    assert_data_eq!(
        db.authmig_with(&files, &["verify"]).exits(4).stdout,
        str![[r#"
postgres@127.0.0.1:[..]/t_[..]
  history    passed   every script of this binary is applied, and no other
  scripts    FAILED   each verify script finds what it looks for
  objects    skipped  what is in the schemas is what was installed, no more
  grants     skipped  nobody may do more, or less, than was granted
  self-test  skipped  tokens are issued, refreshed, ended, refused as they should
  postgrest  skipped  PostgREST can use it: roles, schemas, secret
scripts: 01-t1.verify.sql: table public.t1 is missing (P0001)
scripts: 03-t3.verify.sql: table public.t3 is missing (P0001)
1 check failed

"#]]
    );
}

#[test]
fn a_verify_script_cannot_write() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).replace("01-t1.verify.sql", "insert into public.t1 values (1);");
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(db.ask("select count(*) from public.t1"), "1", "inside a migration it is one of the scripts");
    let run = db.authmig_with(&files, &["verify"]).exits(4);
    assert!(run.stdout.contains("read-only transaction (25006)"), "{}", run.stdout);
    assert_eq!(db.ask("select count(*) from public.t1"), "1");
}

#[test]
fn parameters_are_kept_and_cannot_change() {
    let db = TestDb::new();
    let own = crate::support::own_roles();
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["verify"]).exits(0);
    db.authmig(&crate::support::with_options(&["verify"], &own)).exits(0);
    let run = db.authmig(&["migrate", "--anon-role", "somebody_else"]).exits(2);
    assert!(
        run.stderr.starts_with(
            "error: --anon-role is \"somebody_else\", but this database was installed with \"o_"
        ),
        "{}",
        run.stderr
    );
    let as_variable = db.with("AUTHMIG_ANON_ROLE", "somebody_else");
    as_variable.authmig(&["migrate"]).exits(2);
    as_variable.authmig(&["rollback", "--yes"]).exits(2);
    // Where there is nothing to do, too.
    as_variable.authmig(&["rollback", "--to", "5"]).exits(2);
}

#[test]
fn another_login_upgrades_by_becoming_the_role_that_installed() {
    let db = TestDb::new();
    let installer = crate::support::role(&db, "login createrole");
    let member = crate::support::role(&db, &format!("login in role {installer}"));
    db.sql(&format!("alter database {} owner to {installer}", db.name));
    let own = crate::support::own_roles();
    let db = db.run_by(&installer);
    db.authmig(&crate::support::with_options(&["migrate", "--to", "03"], &own)).exits(0);
    let url_of = |user: &str| format!("postgres://{user}@127.0.0.1:{}/{}", db.port(), db.name);
    let as_installer = |user: &str| format!("{}?options=-c%20role%3D{installer}", url_of(user));
    for other in [&*member, "postgres"] {
        let run = db.authmig(&["migrate", "--database-url", &url_of(other)]).exits(1);
        assert!(run.stderr.contains(&format!("hint: run authmig as {installer}, or")), "{}", run.stderr);
    }
    let url = as_installer(&member);
    db.authmig(&["migrate", "--database-url", &url]).exits(0);
    db.authmig(&["verify", "--database-url", &url]).exits(0);
    db.authmig(&["rollback", "--to", "03", "--yes", "--database-url", &url]).exits(0);
    let who = "select string_agg(distinct who, ' ') from authmig.journal where action = 'rollback'";
    assert_eq!(db.ask(who), member);
    // What belongs to the installer could make itself a superuser again.
    let url = as_installer("postgres");
    for command in [&["migrate"][..], &["verify"], &["rollback", "--yes"], &["secret", "generate"]] {
        db.authmig(&[command, &["--database-url", &url]].concat()).exits(1);
    }
    db.authmig(&["status", "--database-url", &url]).exits(0);
}

#[test]
fn a_superuser_that_a_setting_makes_somebody_else_neither_reads_nor_installs() {
    let db = TestDb::new();
    let owner = crate::support::role(&db, "login createrole");
    db.sql(&format!(
        "alter database {0} owner to {owner}; set role {owner}; create schema authmig; \
         create table authmig.schema_history (version int4 primary key, name varchar(200), applied_on varchar(40), \
            checksum varchar(20), sha256 varchar(64), applied_by name, authmig_version varchar(40)); \
         create table authmig.parameter (name varchar(40) primary key, value name not null); \
         create function public.evil(t text) returns text immutable language sql as 'select t'; \
         create index on authmig.schema_history ((name)) where name <> public.evil('x'); \
         create or replace function public.evil(t text) returns text immutable language plpgsql as \
            $$ begin raise exception 'evil ran'; end $$; \
         alter database {0} set role = '{owner}'",
        db.name
    ));
    for command in [
        &["status"][..],
        &["verify"],
        &["migrate", "--dry-run"],
        &["secret", "status"],
        &["grants"],
        &["rollback", "--dry-run"],
    ] {
        let run = db.authmig(command);
        assert!(!run.stderr.contains("evil ran"), "{command:?}: {}", run.stderr);
    }
    // Where there is no ledger yet, the secret would be the owner's.
    db.sql("reset role; drop schema authmig cascade");
    let run = db.authmig(&crate::support::with_options(&["migrate"], &crate::support::own_roles())).exits(1);
    let said =
        format!("error: postgres is a superuser, and acts as {owner}, whose code could be a superuser again");
    assert!(run.stderr.starts_with(&said), "{}", run.stderr);
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn after_rolling_everything_back_the_names_are_the_same_unless_others_are_given() {
    let db = TestDb::new();
    let names = || db.ask("select string_agg(value, ' ' order by name) from authmig.parameter");
    let migrate = |names: &[String]| {
        db.authmig(&crate::support::with_options(&["migrate"], names)).exits(0);
        db.authmig(&["verify"]).exits(0);
    };
    let rollback = || db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    let own = crate::support::own_roles();
    migrate(&own);
    let chosen = names();
    rollback();
    migrate(&[]);
    assert_eq!(names(), chosen);
    rollback();
    migrate(&crate::support::own_roles());
    assert_ne!(names(), chosen);
}

#[test]
fn every_json_object_is_as_its_schema_says() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("postgres://x@127.0.0.1:{free}/x");
    let folder = tempfile::tempdir().unwrap();
    let broken = files.clone().append("02-t2.up.sql", "\nselect nonsense;");
    let runs = [
        (db.authmig_with(&broken, &["migrate", "--format", "json"]), 8),
        (db.authmig_with(&files, &["status", "--format", "json", "--check"]), 3),
        (db.authmig_with(&files, &["migrate", "--format", "json", "--dry-run", "--show-sql"]), 0),
        (db.authmig_with(&files, &["migrate", "--format", "json"]), 0),
        (db.authmig_with(&files, &["migrate", "--format", "json"]), 0),
        (db.authmig_with(&files, &["status", "--format", "json"]), 0),
        (db.authmig_with(&files, &["verify", "--format", "json"]), 0),
        (db.authmig_with(&broken, &["verify", "--format", "json"]), 4),
        (db.authmig_with(&broken, &["migrate", "--format", "json"]), 4),
        (db.authmig_with(&files, &["rollback", "--format", "json"]), 7),
        (db.authmig_with(&files, &["rollback", "--format", "json", "--dry-run"]), 0),
        (db.authmig_with(&files, &["rollback", "--format", "json", "--yes"]), 0),
        (db.authmig_with(&files, &["rollback", "--format", "json", "--yes", "--all", "--purge"]), 0),
        (db.authmig_with(&files, &["rollback", "--format", "json", "--yes"]), 0),
        (db.authmig(&["status", "--format", "json", "--database-url", &nowhere]), 5),
        (db.authmig(&["migrate", "--format", "json"]), 0),
        (db.authmig(&["secret", "generate", "--print", "--format", "json"]), 0),
        (db.authmig(&["secret", "status", "--format", "json"]), 0),
        (db.authmig(&["grants", "--format", "json"]), 0),
        (db.authmig(&["install", "--format", "json"]), 0),
        (db.authmig(&["export", folder.path().to_str().unwrap(), "--json"]), 0),
    ];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let mut seen = std::collections::BTreeSet::new();
    for (run, code) in runs {
        let object = run.exits(code).json();
        let name = object["schema"].as_str().unwrap().strip_prefix("authmig.").unwrap().replace('/', "-");
        let schema = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&object).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{object}");
        assert_eq!(object["exit"], code);
        seen.insert(name);
    }
    let documented: std::collections::BTreeSet<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(seen, documented);
}

#[test]
fn grants_shows_who_may_do_what() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql("grant execute on function auth.logout() to public");
    let run = db.authmig(&["grants"]).exits(0);
    let line = |start: &str| {
        let line = run.stdout.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("object"), "object anon authenticated service authenticator auth_owner public");
    assert_eq!(
        line("function  auth.issue_tokens"),
        "function auth.issue_tokens(text,text) - - execute - execute -"
    );
    assert_eq!(
        line("function  auth.logout()"),
        "function auth.logout() execute execute execute execute execute execute"
    );
    assert_eq!(line("table     auth.refresh_token"), "table auth.refresh_token - - - - all -");
    assert_eq!(line("schema    auth "), "schema auth usage usage usage - create usage -");
    assert_eq!(
        line("function  auth_private.postgrest_config()"),
        "function auth_private.postgrest_config() - - - execute execute -"
    );
    // A right on one column is one.
    db.sql(
        "grant select (jwt_secret) on auth_private.config to anon; \
         grant update (subject) on auth.refresh_token to public",
    );
    let run = db.authmig(&["grants"]).exits(0);
    let line = |start: &str| {
        let line = run.stdout.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("table     auth_private.config"), "table auth_private.config select - - - all -");
    assert_eq!(
        line("table     auth.refresh_token"),
        "table auth.refresh_token update update update update all update"
    );
    TestDb::new().authmig(&["grants"]).exits(0);
}

#[test]
fn grants_hides_nothing_that_others_may_do() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let told = || db.authmig(&["grants"]).exits(0).stdout;
    let hidden = |told: &str| -> u32 {
        let line = told
            .lines()
            .find(|line| line.ends_with(" functions of auth_private that only their owner may call"));
        line.unwrap_or_else(|| panic!("{told}")).split(' ').nth(1).unwrap().parse().unwrap()
    };
    let before = told();
    assert!(before.ends_with(" may call\n"), "{before}");
    let (evil, group) = (role(&db, "login"), role(&db, ""));
    let anon = own[0].strip_prefix("--anon-role=").unwrap();
    db.sql(&format!(
        "grant {group} to {evil}; grant usage on schema auth_private to {evil}; \
         grant execute on function auth_private.hmac(text, bytea, bytea), auth_private.decode_secret(text) to {evil}; \
         grant select on auth_private.config to {group}; grant insert (subject), delete on auth.refresh_token to {group}; \
         grant execute on function auth_private.hmac_pad(bytea, int, text) to {anon}; \
         grant select, insert, update, delete on auth.refresh_token to {anon}"
    ));
    let after = told();
    assert_eq!(hidden(&before) - hidden(&after), 3, "{after}");
    let others: Vec<_> = after.lines().skip_while(|line| !line.starts_with("other roles ")).collect();
    let words: Vec<_> =
        others.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        words,
        [
            "other roles that were granted something, or own it:".to_owned(),
            format!("{evil} usage schema auth_private"),
            format!("{group} delete insert table auth.refresh_token"),
            format!("{group} select table auth_private.config"),
            format!("{evil} execute function auth_private.decode_secret(text)"),
            format!("{evil} execute function auth_private.hmac(text,bytea,bytea)"),
        ]
    );
    assert!(others.iter().all(|line| line.len() <= 80), "{after}");
    let shown =
        |start: &str| after.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_default();
    assert!(shown("function  auth_private.hmac_pad(").contains("execute"), "{after}");
    // What is not all is not called that.
    assert!(shown("table     auth.refresh_token ").contains(" delete insert select update "), "{after}");
    let report = db.authmig(&["grants", "--format", "json"]).exits(0).json();
    let objects = report["objects"].as_array().unwrap();
    let object = |name: &str| objects.iter().find(|object| object["name"] == name).unwrap();
    let mut wanted = serde_json::json!({});
    wanted[&group] = serde_json::json!(["select"]);
    assert_eq!(object("auth_private.config")["others"], wanted);
    assert_eq!(object("auth.issue_tokens(text,text)")["others"], serde_json::json!({}));
    if major() >= 17 {
        db.sql(&format!("grant maintain on auth_private.config to {anon}"));
        let report = db.authmig(&["grants", "--format", "json"]).exits(0).json();
        let objects = report["objects"].as_array().unwrap();
        let config = objects.iter().find(|object| object["name"] == "auth_private.config").unwrap();
        assert_eq!(config["privileges"][anon], serde_json::json!(["maintain"]));
        assert!(told().contains(" maintain "), "{}", told());
    }
}

#[test]
fn verbose_tells_what_runs_and_no_statement() {
    let db = TestDb::new();
    let run = db.authmig(&["migrate", "-v"]).exits(0);
    let (log, running): (Vec<_>, Vec<_>) =
        run.stderr.lines().partition(|line| line.contains(" INFO authmig::"));
    assert!(log.iter().all(|line| line.contains("::connect: ")), "{}", run.stderr);
    let scripts = ["up", "verify"]
        .map(|part| migrations().into_iter().map(move |name| format!("running {name}.{part}.sql")));
    let scripts = scripts.into_iter().flatten();
    assert_eq!(running, scripts.chain(["running self_test.sql".to_owned()]).collect::<Vec<_>>());
    let run = TestDb::new().authmig(&["migrate", "-vv"]).exits(0);
    assert!(run.stderr.contains("message to the server"), "{}", run.stderr);
    for word in ["set local", "set_config", "select ", "create ", "insert "] {
        assert!(!run.stderr.to_lowercase().contains(word), "{word}: {}", run.stderr);
    }
}

#[test]
fn what_scripts_raise_is_passed_on() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).append(
        "01-t1.up.sql",
        "create table if not exists public.t1 (id int); do $$ begin raise notice 'look here' using hint = E'a\nb'; raise warning 'take care'; end $$;",
    );
    let run = db.authmig_with(&files, &["migrate", "--dry-run"]).exits(0);
    assert_eq!(run.stderr, "notice: look here\nhint: a\n      b\nwarning: take care\n");
    let run = db.authmig_with(&files, &["migrate", "--log-format", "json"]).exits(0);
    let entries: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = entries.iter().map(|entry| &entry["fields"]).collect();
    assert_eq!(
        said,
        [
            &serde_json::json!({"message": "notice: look here", "hint": "a\nb"}),
            &serde_json::json!({"message": "warning: take care"}),
        ]
    );
}

#[test]
fn another_name_than_the_installed_one_is_refused_by_whoever_asks() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    for command in [&["status"][..], &["secret", "status"], &["verify"], &["grants"], &["migrate"]] {
        let run = db.authmig(&with_options(command, &["--anon-role=web".to_owned()])).exits(2);
        assert!(run.stderr.contains("this database was installed with"), "{command:?}: {}", run.stderr);
    }
}
