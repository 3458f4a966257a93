//! A rollback cannot surprise.

use std::process::Output;

use snapbox::{assert_data_eq, str};

use crate::support::tools::{on_a_terminal, psql};
use crate::support::{
    Files, TestDb, finish, first_line, major, of_a_migrator, own_roles, role, versions, with_options,
};

#[test]
fn the_newest_one_goes_by_default() {
    let db = TestDb::new();
    let files = Files::tables(1..=3);
    db.authmig_with(&files, &["migrate"]).exits(0);
    let run = db.authmig_with(&files, &["rollback", "--yes"]).exits(0);
    assert!(run.stdout.ends_with("1 migration reverted and committed; 2 still applied\n"), "{}", run.stdout);
    assert_eq!(db.history(), [1, 2]);
    db.authmig_with(&files, &["rollback", "--yes", "--to", "1"]).exits(0);
    assert_eq!(db.history(), [1]);
    let run = db.authmig_with(&files, &["rollback", "--yes", "--to", "1"]).exits(0);
    assert!(
        run.stdout.ends_with("nothing to do: 1 migration applied, none of them newer\n"),
        "{}",
        run.stdout
    );
    db.authmig_with(&files, &["rollback", "--yes", "--all"]).exits(0);
    assert_eq!(db.history(), [0; 0]);
    let run = db.authmig_with(&files, &["rollback", "--yes"]).exits(0);
    assert!(run.stdout.ends_with("nothing to do: no migration is applied\n"), "{}", run.stdout);
}

#[test]
fn what_went_and_who_was_logged_out_is_said_afterwards_too() {
    let (db, own) = (TestDb::new(), crate::support::own_roles());
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql("select auth.issue_tokens('alice'), auth.issue_tokens('bob')");
    let run = db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    for said in ["\ndropped\n", "  table      auth.refresh_token   2 rows\n", "\nended 2 live sessions\n"] {
        assert!(run.stdout.contains(said), "{said}\n{}", run.stdout);
    }
}

#[test]
fn sessions_end_with_the_functions_wherever_the_table_stays() {
    for keeps in [
        "create table public.device (session uuid references auth.refresh_token)",
        "create view public.sessions as select subject from auth.refresh_token",
        "create table public.child () inherits (auth.refresh_token)",
    ] {
        let (db, own) = (TestDb::new(), own_roles());
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["secret", "generate"]).exits(0);
        db.sql(
            "select auth.issue_tokens('alice'), auth.issue_tokens('bob'), auth.issue_tokens('carol'); \
             select auth.revoke_subject('carol')",
        );
        // Where the functions stay, so do the sessions.
        let run = db.authmig(&["rollback", "--to", "2", "--dry-run", "--format", "json"]).exits(0);
        assert_eq!(run.json()["live_sessions"], 0);
        db.sql(keeps);
        let run = db.authmig(&["rollback", "--to", "1", "--dry-run", "--format", "json"]).exits(0);
        assert_eq!(run.json()["live_sessions"], 2, "{keeps}");
        let run = db.authmig(&["rollback", "--to", "1", "--yes", "--discard-data"]).exits(0);
        assert!(run.stdout.contains("\nended 2 live sessions\n"), "{keeps}\n{}", run.stdout);
        assert!(!run.stdout.contains("auth.refresh_token"), "{keeps}\n{}", run.stdout);
        assert_eq!(db.ask("select count(*) from auth.refresh_token"), "3");
    }
}

#[test]
fn what_another_run_has_done_meanwhile_is_looked_at_anew() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql(
        "select auth.issue_tokens('alice'); create table public.kept as select * from authmig.schema_history",
    );
    for (arguments, sessions, refused) in [(&["--all"][..], 1, None), (&[], 0, Some("05-grants"))] {
        db.sql("delete from authmig.schema_history where version > 1");
        let mut other = db.client();
        other.batch_execute("begin; select pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
        let dry_run = ["rollback", "--dry-run", "--format", "json"];
        let mut child = db.command(&[&dry_run[..], arguments].concat()).spawn().unwrap();
        assert!(first_line(&mut child).starts_with("waiting: "));
        db.sql("insert into authmig.schema_history select * from public.kept where version > 1");
        other.batch_execute("rollback").unwrap();
        let report = finish(child).exits(0).json();
        assert_eq!(report["live_sessions"], sessions);
        assert_eq!(report["refused_until"].as_str(), refused);
        assert_eq!(report["total"], versions().len());
    }
}

#[test]
fn what_is_gone_before_the_next_migrate_is_told_with_what_makes_it_again() {
    let (db, own) = (TestDb::new(), own_roles());
    let service = name(&own, "service");
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    for (gone, told) in [
        (format!("drop owned by {service}; drop role {service}"), format!("role {service}: does not exist")),
        (format!("alter role {service} superuser"), format!("role {service}: has superuser")),
    ] {
        db.authmig(&["rollback", "--yes"]).exits(0);
        db.sql(&gone);
        let run = db.authmig(&["migrate"]).exits(4);
        assert!(
            run.stderr.starts_with("error: what is installed is not as authmig installed it; "),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        let mends = run.stderr.lines().filter_map(|line| line.strip_prefix("  mend:     "));
        mends.for_each(|mend| db.sql(mend));
        db.authmig(&["migrate"]).exits(0);
        db.authmig(&["verify"]).exits(0);
    }
}

#[test]
fn that_nobody_may_log_in_afterwards_is_said() {
    let (db, own) = (TestDb::new(), crate::support::own_roles());
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.sql("select auth.issue_tokens('alice')");
    let grants = serde_json::json!("05-grants");
    let would = "\nlogins and refreshes would be refused until 05-grants is applied again, and\n\
        every token where auth_private.postgrest_config is PostgREST's pre-config\n";
    let are = "\nlogins and refreshes are refused until 05-grants is applied again, and\n\
        every token where auth_private.postgrest_config is PostgREST's pre-config\n";
    for (arguments, code, said) in [
        (&["--to", "4", "--dry-run"][..], 0, Some(would)),
        (&["--to", "4"], 7, Some(would)),
        (&["--to", "2", "--dry-run"], 0, Some(would)),
        // Where there is nothing to call, that is said.
        (&["--to", "1", "--dry-run"], 0, None),
        (&["--all", "--dry-run"], 0, None),
        (&["--to", "4", "--yes"], 0, Some(are)),
        (&["--to", "3", "--yes"], 0, None),
    ] {
        let arguments = [&["rollback"], arguments].concat();
        let mut rehearsed = db.command(&[&arguments[..], &["--format", "json"]].concat());
        let rehearsed = crate::support::finish(rehearsed.env("AUTHMIG_DRY_RUN", "1").spawn().unwrap());
        assert_eq!(rehearsed.json().get("refused_until"), said.map(|_| &grants), "{arguments:?}");
        let run = db.authmig(&arguments).exits(code);
        match said {
            Some(said) => assert!(run.stdout.contains(said), "{arguments:?}\n{}", run.stdout),
            None => assert!(!run.stdout.contains("logins and refreshes"), "{arguments:?}\n{}", run.stdout),
        }
    }
    assert_eq!(db.history(), [1, 2, 3]);
    assert_eq!(db.ask("select count(*) from auth.refresh_token"), "1");
}

#[test]
fn what_it_had_to_leave_is_named_by_the_next_migrate() {
    let (db, own) = (TestDb::new(), crate::support::own_roles());
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    db.sql("create view public.sessions as select subject from auth.refresh_token");
    let run = db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert!(run.stderr.contains("auth.refresh_token"), "{}", run.stderr);
    let run = db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(1);
    assert!(run.stderr.contains("a rollback left it, since something else depends on it"), "{}", run.stderr);
    db.sql("drop view public.sessions; drop table auth.refresh_token");
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
}

#[test]
fn a_lost_ledger_is_told_from_what_a_rollback_left() {
    let (db, own) = (TestDb::new(), crate::support::own_roles());
    let migrate = crate::support::with_options(&["migrate"], &own);
    db.authmig(&migrate).exits(0);
    let commands: [&[&str]; 6] =
        [&["status"], &["verify"], &["rollback", "--yes"], &["grants"], &["secret", "status"], &migrate];
    db.sql("drop table authmig.schema_history");
    for command in commands {
        let run = db.authmig(command).exits(4);
        assert!(
            run.stderr.contains("there is a schema authmig without a history"),
            "{command:?}\n{}",
            run.stderr
        );
    }
    let adopt = crate::support::with_options(&["migrate", "--adopt"], &own);
    for (reverted, lost) in [
        (false, "truncate authmig.parameter, authmig.created"),
        (false, "drop schema authmig cascade"),
        // What a rollback has left, and what it did not come to.
        (true, "truncate authmig.parameter"),
    ] {
        let db = TestDb::new();
        db.authmig(&migrate).exits(0);
        if reverted {
            db.authmig(&["rollback", "--yes"]).exits(0);
        }
        db.sql(&format!("truncate authmig.schema_history; {lost}"));
        let before = db.dump(&[]);
        for command in [
            &migrate[..],
            &adopt,
            &["status"],
            &["verify"],
            &["grants"],
            &["secret", "status"],
            &["rollback", "--yes"],
            &["rollback", "--all", "--purge", "--yes"],
        ] {
            let run = db.authmig(command).exits(4);
            let said = "error: authmig is installed here, and the ledger that says so is lost; nothing was changed\n";
            assert!(run.stderr.starts_with(said), "{lost} {command:?}\n{}", run.stderr);
        }
        assert_eq!(db.dump(&[]), before);
    }
}

#[test]
fn sessions_without_the_rest_of_an_installation_are_not_to_be_dropped() {
    let own = crate::support::own_roles();
    // As `pg_dump -n auth` restored, before and after a rollback of something else.
    let part = "create schema auth; create table auth.refresh_token (selector uuid, subject text); \
        insert into auth.refresh_token values (null, 'alice')";
    let functions = "create function auth.logout() returns void language sql as ''";
    for (rolled_back, part) in [
        (false, part.to_owned()),
        (false, format!("{part}; {functions}")),
        (true, format!("{part}; {functions}")),
    ] {
        let db = TestDb::new();
        if rolled_back {
            db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
            db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
        }
        db.sql(&part);
        for command in [&["migrate"][..], &["migrate", "--adopt"], &["install"]] {
            let run = db.authmig(&crate::support::with_options(command, &own)).exits(1);
            let help = "\n      it is part of an installation whose rest is missing: restore that, the schemas \
                auth_private and authmig, from the backup; drop nothing, for auth.refresh_token has the sessions\n";
            assert!(
                run.stderr.contains("\n  - schema auth already holds auth."),
                "{command:?}\n{}",
                run.stderr
            );
            assert!(run.stderr.contains(help), "{command:?}\n{}", run.stderr);
            assert!(!run.stderr.contains("drop table"), "{command:?}\n{}", run.stderr);
        }
        assert_eq!(db.ask("select count(*) from auth.refresh_token"), "1");
    }
    let db = TestDb::new();
    db.sql("create schema auth_private; create table auth_private.config (jwt_secret text)");
    let run = db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(1);
    assert!(
        run.stderr.contains("drop nothing, for auth_private.config has the settings and the secret"),
        "{}",
        run.stderr
    );
}

/// The name of this test's own role.
fn name<'a>(own: &'a [String], role: &str) -> &'a str {
    own.iter().find_map(|option| option.strip_prefix(&format!("--{role}-role="))).unwrap()
}

#[test]
fn a_role_that_was_dropped_does_not_stop_it() {
    for role in ["anon", "authenticated", "service", "authenticator"] {
        let (db, own) = (TestDb::new(), crate::support::own_roles());
        db.sql("create schema api; create table api.todo (id int)");
        db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
        let role = name(&own, role);
        db.sql(&format!("drop owned by {role}; drop role {role}"));
        // What stays is verified.
        let run = db.authmig(&["rollback", "--to", "4", "--yes"]).exits(8);
        assert!(run.stderr.contains(&format!("   = role {role} is missing (P0001)\n")), "{}", run.stderr);
        assert!(run.stderr.contains("--> 04-roles.verify.sql"), "{}", run.stderr);
        db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
        assert_eq!(db.history(), [0; 0]);
    }
}

#[test]
fn what_was_dropped_already_does_not_stop_it() {
    for gone in [
        "table auth.refresh_token",
        "table auth_private.config cascade",
        "function auth_private.accepted_seconds(text) cascade",
        "schema auth_private cascade",
        "schema api",
    ] {
        let (db, own) = (TestDb::new(), own_roles());
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.sql(&format!("drop {gone}"));
        db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
        assert_eq!(db.history(), [0; 0], "{gone}");
    }
}

#[test]
fn what_somebody_else_has_by_now_is_not_passed_over() {
    let (db, migrator) = of_a_migrator();
    let (own, other) = (own_roles(), crate::support::role(&db, ""));
    db.sql(&format!(
        "create schema api authorization {migrator}; set role {migrator}; create table api.todo (id int)"
    ));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.sql(&format!("alter table api.todo owner to {other}"));
    let before = db.dump(&[]);
    let run = db.authmig(&["rollback", "--to", "4", "--yes"]).exits(8);
    let said = format!("   = {migrator} may not take back all that was granted (P0001)\n");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let revoke = format!("revoke select on table api.todo from {};", name(&own, "service"));
    assert!(run.stderr.contains(&revoke), "{}", run.stderr);
    assert_eq!(db.dump(&[]), before);
    // What the hint says is enough.
    db.sql(
        run.stderr.lines().find_map(|line| line.strip_prefix("hint: ")?.split("superuser: ").nth(1)).unwrap(),
    );
    db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
}

#[test]
fn a_schema_of_the_api_that_somebody_else_has_by_now_stays() {
    for keeps in ["", "create table api.todo (id int)"] {
        let (db, _) = of_a_migrator();
        let (own, other) = (own_roles(), crate::support::role(&db, ""));
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.sql(&format!("{keeps}; alter schema api owner to {other}"));
        // What the new owner has by then, only that one may take back.
        db.sql(&format!("revoke usage on schema api from {}", name(&own, "service")));
        let rollback = ["rollback", "--all", "--yes", "--discard-data"];
        let run = db.authmig(&rollback).exits(0);
        let said = format!(
            "notice: schema api stays: it belongs to {other}\n\
             hint: If nothing is in it, as that role: drop schema api;\n"
        );
        assert!(run.stderr.contains(&said), "{}", run.stderr);
        assert_eq!(db.history(), [0; 0]);
        // Nor is it taken by a later one.
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&rollback).exits(0);
        assert_eq!(db.ask("select to_regnamespace('api')"), "api");
    }
}

#[test]
fn a_ledger_that_a_superuser_owns_is_one_to_go_on_with() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let superuser = crate::support::role(&db, "superuser login");
    let db = db.run_by(&superuser);
    db.authmig(&["rollback", "--yes"]).exits(0);
    db.authmig(&["migrate"]).exits(0);
    assert_eq!(db.history(), versions());
}

#[test]
fn who_may_not_drop_what_the_owner_has_is_told_what_helps() {
    let (db, migrator) = of_a_migrator();
    let own = own_roles();
    // Where it has nothing yet, nothing has to be dropped.
    db.sql(&format!("create role {}", name(&own, "owner")));
    db.authmig(&with_options(&["migrate", "--to", "1"], &own)).exits(0);
    db.authmig(&["rollback", "--all", "--purge", "--yes"]).exits(0);
    db.sql(&format!("drop role {}", name(&own, "owner")));

    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let owner = name(&own, "owner");
    db.sql(&format!("revoke {owner} from {migrator} cascade"));
    let run = db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(1);
    let options = if major() < 16 { "" } else { " with inherit true, set true" };
    let said = format!(
        "{migrator} must have the rights of {owner}, who owns what is to be dropped\n      \
         grant {owner} to {migrator}{options};\n"
    );
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert_eq!(db.history(), versions());
}

#[test]
fn what_is_left_to_a_role_that_was_renamed_is_not_passed_over() {
    for (role, signature) in [
        ("anon", "auth.refresh_tokens()"),
        ("authenticated", "auth.refresh_tokens()"),
        ("service", "auth.issue_tokens(text, text)"),
        ("authenticator", "auth_private.postgrest_config()"),
    ] {
        let (db, own) = (TestDb::new(), crate::support::own_roles());
        db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
        let role = name(&own, role);
        db.sql(&format!("alter role {role} rename to new_{role}"));
        for back in [&["--to", "4"][..], &["--all", "--discard-data"]] {
            let run = db.authmig(&[&["rollback", "--yes"], back].concat()).exits(8);
            for said in [
                format!("\n   = role {role} is missing, and new_{role} may call {signature} (P0001)\n"),
                format!(
                    "\nhint: If it was renamed: alter role new_{role} rename to {role}; \
                     else: revoke execute on function {signature} from new_{role};\n"
                ),
            ] {
                assert!(run.stderr.contains(&said), "{said}\n{}", run.stderr);
            }
        }
        db.sql(&format!("alter role new_{role} rename to {role}"));
        db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
    }
}

#[test]
fn default_privileges_of_who_migrated_are_taken_back() {
    let (db, own) = (TestDb::new(), crate::support::own_roles());
    let (old, new) = (crate::support::role(&db, "login createrole"), crate::support::role(&db, "login"));
    db.sql(&format!("alter database {} owner to {old}", db.name));
    let db = db.run_by(&old);
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    let (owner, service) = (name(&own, "owner"), name(&own, "service"));
    let defaults = "select count(*) from pg_default_acl";

    // Whoever it was is called otherwise now.
    db.sql(&format!("alter role {old} rename to {old}_x"));
    let db = db.run_by(&format!("{old}_x"));
    db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
    assert_eq!(db.ask(defaults), "0");
    db.sql(&format!("alter role {old}_x rename to {old}"));
    let db = db.run_by(&old);
    db.authmig(&["migrate"]).exits(0);
    assert_eq!(db.ask(defaults), "2");

    // It is somebody else's by now, who may not speak for the old one.
    db.sql(&format!(
        "reassign owned by {old} to {new}; grant {owner} to {new}; revoke {owner} from {old} cascade"
    ));
    let db = db.run_by(&new);
    let run = db.authmig(&["rollback", "--to", "4", "--yes"]).exits(8);
    let said = format!("   = {new} may not take back all that was granted (P0001)\n");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let hint = run.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    let help = hint.strip_prefix("as who has granted it, or as a superuser: ").unwrap();
    assert_eq!(
        help,
        format!(
            "alter default privileges for role {old} in schema api revoke select, usage on sequences from {service}; \
             alter default privileges for role {old} in schema api revoke delete, insert, select, update on tables from {service};"
        )
    );
    db.sql(help);
    db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
    assert_eq!(db.ask(defaults), "0");
}

/// The blocks about it in the manual: to hand over, to rename a role, to rename the schema.
fn handing_over() -> [&'static str; 3] {
    let manual = include_str!("../../docs/operations.md").split("\n## Handing over, ").nth(1).unwrap();
    [1, 2, 3].map(|number| manual.split("```sql\n").nth(number).unwrap().split("```").next().unwrap())
}

/// Runs such a block in psql, with these names in place of its own.
fn in_psql(url: &str, block: &str, names: [(&str, &str); 2]) -> Output {
    let block = names.iter().fold(block.to_owned(), |block, (variable, name)| {
        let start = format!("\\set {variable} ");
        let line = block.lines().find(|line| line.starts_with(&start)).unwrap();
        block.replacen(line, &format!("{start}'{}'", name.replace('\'', "''")), 1)
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.sql");
    std::fs::write(&file, block).unwrap();
    // Whether it stops at an error is the block's to say.
    psql(url).arg("--set=ON_ERROR_STOP=0").arg("--file").arg(file).output().unwrap()
}

#[track_caller]
fn succeeds(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[test]
fn without_a_superuser_the_old_migrator_hands_an_installation_over() {
    let (db, old) = of_a_migrator();
    let (own, new) = (own_roles(), crate::support::role(&db, "login createrole"));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let [block, ..] = handing_over();
    let mut block = block.to_owned();
    if major() >= 16 {
        let manual = include_str!("../../docs/operations.md");
        let instead = manual.split('`').find(|code| code.ends_with(" granted by :\"old\";")).unwrap();
        let last = block.rfind("\nrevoke ").unwrap();
        block.replace_range(last.., &format!("\n{instead}\ncommit;\n"));
    }
    db.sql(&format!("grant {new} to {old}"));
    succeeds(in_psql(&db.url(), &block, [("old", &old), ("new", &new)]));
    db.sql(&format!("revoke {new} from {old}"));
    let db = db.run_by(&new);
    let run = db.authmig(&["verify"]).exits(0);
    assert_eq!(run.stdout.matches("  passed  ").count(), 6, "{}", run.stdout);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    db.authmig(&["migrate"]).exits(0);
}

#[test]
fn an_installation_is_handed_over_and_renamed_as_the_manual_says() {
    for from_postgres in [false, true] {
        let (db, other) = (TestDb::new(), TestDb::new());
        // Names that SQL wants in quotes, and one that psql does.
        let own: Vec<_> = own_roles().iter().map(|option| option.replacen('=', "=My-", 1)).collect();
        let own = [own, vec!["--api-schema=my-api".to_owned()]].concat();
        let [old, new] = ["old-one", "It's \"new\""].map(crate::support::unique);
        let service = name(&own, "service");
        for role in [&old, &new] {
            db.sql(&format!("create role {} login createrole", quoted(role)));
        }
        let (old, db) =
            if from_postgres { ("postgres".to_owned(), db) } else { (old.clone(), db.run_by(&old)) };
        for database in [&db.name, &other.name] {
            db.sql(&format!("alter database {database} owner to {}", quoted(&old)));
        }
        db.authmig(&with_options(&["migrate", "--to", "3"], &own)).exits(0);
        // One is called like the schema, one like the role.
        for table in ["my-api", service] {
            let table = format!("\"my-api\".{}", quoted(table));
            db.sql(&format!(
                "create table {table} (id serial); alter table {table} owner to {}",
                quoted(&old)
            ));
        }
        db.authmig(&["migrate"]).exits(0);
        let [block, role_block, schema_block] = handing_over();
        let superuser = db.superuser_url();

        // All of it, or nothing.
        let before = db.dump(&[]);
        assert!(!in_psql(&superuser, block, [("old", &old), ("new", "nobody")]).status.success());
        let stopped = block.replacen("\nrevoke ", "\nselect 1 / 0;\nrevoke ", 1);
        assert!(!in_psql(&superuser, &stopped, [("old", &old), ("new", &new)]).status.success());
        assert_eq!(db.dump(&[]), before);

        succeeds(in_psql(&superuser, block, [("old", &old), ("new", &new)]));
        let owned = format!(
            "select string_agg(datname, ' ' order by datname) from pg_database
              where datname in ('{}', '{}') and datdba = quote_ident('{old}')::regrole",
            db.name, other.name
        );
        assert_eq!(db.ask(&owned).split(' ').count(), 2);
        let db = db.run_by(&new);
        let passed = |db: &TestDb| {
            let run = db.authmig(&["verify", "--strict"]).exits(0);
            assert_eq!(run.stdout.matches("  passed  ").count(), 6, "{}", run.stdout);
        };
        db.authmig(&["secret", "generate"]).exits(0);
        passed(&db);
        if !from_postgres {
            // Nothing of the installation depends on it any more.
            drop(other);
            let old = quoted(&old);
            db.sql(&format!("reassign owned by {old} to postgres; drop owned by {old}; drop role {old}"));
            passed(&db);
        }

        let [worker, authenticator] = ["We \"ird' worker", "New-authenticator"].map(crate::support::unique);
        let schema = "v1-\"x\"";
        for (role, renamed) in [("service", &worker), ("authenticator", &authenticator)] {
            db.sql(&format!("alter role {} rename to {}", quoted(name(&own, role)), quoted(renamed)));
        }
        db.sql(&format!("alter schema \"my-api\" rename to {}", quoted(schema)));
        db.authmig(&["verify"]).exits(4);
        for (role, renamed) in [("service", &worker), ("authenticator", &authenticator)] {
            succeeds(in_psql(&superuser, role_block, [("before", name(&own, role)), ("after", renamed)]));
        }
        succeeds(in_psql(&superuser, schema_block, [("before", "my-api"), ("after", schema)]));
        passed(&db);
        // Nothing in the ledger has a name that is gone.
        for gone in [name(&own, "service"), name(&own, "authenticator"), "my-api", &old] {
            let gone = db.ask(&format!(
                "select string_agg(kind || ' ' || name, ', ') from authmig.created
                  where name ~ ('(^| )' || quote_ident('{gone}') || '($|[. ])')"
            ));
            assert_eq!(gone, "");
        }
        let run = db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0);
        assert!(!run.stderr.contains("notice"), "{}", run.stderr);
        assert_eq!(db.ask("select count(*) from pg_default_acl"), "0");
        let granted = "select count(*) from pg_class as c, aclexplode(c.relacl) as a
            where c.relnamespace = to_regnamespace(quote_ident('v1-\"x\"')) and a.grantee <> c.relowner";
        assert_eq!(db.ask(granted), "0");
        for table in ["my-api", service] {
            db.sql(&format!("drop table {}.{}", quoted(schema), quoted(table)));
        }
        db.authmig(&["migrate"]).exits(0);
        let run = db.authmig(&["rollback", "--all", "--purge", "--yes", "--discard-data"]).exits(0);
        assert!(
            run.stderr.contains("notice: extension pgcrypto stays: it belongs to postgres\n"),
            "{}",
            run.stderr
        );
        for renamed in [&worker, &authenticator] {
            assert!(run.stderr.contains(&quoted(renamed)), "{}", run.stderr);
        }
        assert_eq!(
            db.ask("select string_agg(nspname, ' ') from pg_namespace where nspname ~ '^(auth|my-api|v1)'"),
            ""
        );
    }
}

#[test]
fn a_variable_can_keep_it_from_changing_anything() {
    let (db, own) = (TestDb::new().with("AUTHMIG_DRY_RUN", "1"), crate::support::own_roles());
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    assert_eq!(db.ask("select to_regnamespace('authmig') is null"), "true");
    let db = db.with("AUTHMIG_DRY_RUN", "0");
    db.authmig(&crate::support::with_options(&["migrate"], &own)).exits(0);
    let db = db.with("AUTHMIG_DRY_RUN", "1");
    let run = db.authmig(&["rollback", "--yes"]).exits(0);
    assert!(run.stdout.ends_with("dry run: tried and rolled back; nothing was changed\n"), "{}", run.stdout);
    assert_eq!(db.history(), versions());
}

#[test]
fn without_a_terminal_it_says_what_it_would_do_and_wants_yes() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate"]).exits(0);
    let run = db.authmig_with(&files, &["rollback", "--all"]).exits(7);
    assert_data_eq!(
        run.stdout,
        str![[r#"
[..]@127.0.0.1:[..]/t_[..]
would revert 2 migrations
  02-t2
  01-t1
would drop
  table  public.t1  0 rows
  table  public.t2  0 rows
would end 0 live sessions

"#]]
    );
    assert_eq!(
        run.stderr,
        "error: refused: there is no terminal to ask on; --yes goes on without asking; nothing was changed\n"
    );
    assert_eq!(db.history(), [1, 2]);
}

#[test]
fn rows_are_not_lost_without_discard_data() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate"]).exits(0);
    db.sql("insert into public.t2 values (1), (2), (3)");
    let run = db.authmig_with(&files, &["rollback", "--yes", "--format", "json"]).exits(7);
    let report = run.json();
    assert_eq!(report["outcome"], "refused");
    assert_eq!(report["losses"], serde_json::json!(["table public.t2 holds 3 rows"]));
    assert_eq!(report["drops"], serde_json::json!([{"kind": "table", "name": "public.t2", "rows": 3}]));
    assert_eq!(db.ask("select count(*) from public.t2"), "3");
    assert_eq!(db.history(), [1, 2]);
    db.authmig_with(&files, &["rollback", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.history(), [1]);
}

#[test]
fn a_column_that_goes_is_a_loss() {
    let db = TestDb::new();
    let files = Files::tables(1..=1).and(
        "02-more",
        "alter table public.t1 add column more text;",
        "alter table public.t1 drop column more;",
        "",
    );
    db.authmig_with(&files, &["migrate"]).exits(0);
    let run = db.authmig_with(&files, &["rollback", "--yes", "--format", "json"]).exits(7);
    assert_eq!(run.json()["losses"], serde_json::json!(["column public.t1.more would lose what is in it"]));
}

#[test]
fn the_embedded_set_counts_live_sessions_and_the_exposed_schema() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.authmig(&["rollback", "--to", "4", "--yes"]).exits(0); // 05-grants: nothing is lost
    db.authmig(&["migrate"]).exits(0);
    db.sql(
        "select set_config('app.settings.jwt_secret', encode(sha256('x'), 'base64'), false);
            select auth.issue_tokens('alice'); select auth.issue_tokens('bob');
            select auth.issue_tokens('carol'); select auth.issue_tokens('dave');
            select auth.revoke_subject('carol');
            update auth.refresh_token set expires_at = now() where subject = 'dave'",
    );
    let run = db.authmig(&["rollback", "--all", "--yes"]).exits(7);
    assert!(run.stdout.contains("would end 2 live sessions\n"), "{}", run.stdout);
    assert!(run.stdout.contains("  - table auth.refresh_token holds 4 rows\n"), "{}", run.stdout);
    assert!(run.stdout.contains("  - schema auth goes: "), "{}", run.stdout);
    assert_eq!(db.ask("select count(*) from auth.refresh_token"), "4");
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate"]).exits(0);
    let before = db.dump(&[]);
    let run = db.authmig_with(&files, &["rollback", "--all", "--purge", "--dry-run"]).exits(0);
    assert!(run.stdout.contains("  and the ledger, with its journal\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("dry run: tried and rolled back; nothing was changed\n"), "{}", run.stdout);
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn purge_also_takes_the_ledger_of_an_installation_that_is_gone_already() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    let before = db.dump(&[]);
    db.authmig_with(&files, &["migrate"]).exits(0);
    db.authmig_with(&files, &["rollback", "--all", "--yes"]).exits(0);
    assert_eq!(db.ask("select count(*) from authmig.journal"), "2");
    db.authmig_with(&files, &["rollback", "--all", "--purge", "--yes"]).exits(0);
    assert_eq!(db.dump(&[]), before);
    db.authmig_with(&files, &["rollback", "--all", "--purge", "--yes"]).exits(0);
}

#[test]
fn purge_leaves_nothing_behind_or_is_refused() {
    for (keeps, left, free) in [
        (
            "create table public.device (session uuid references auth.refresh_token)",
            "table auth.refresh_token, because of table constraint device_session_fkey on public.device",
            "drop table public.device",
        ),
        (
            "create view public.issuer as select issuer from auth_private.config",
            "function auth_private.check_config(), table auth_private.config, because of view public.issuer",
            "drop view public.issuer",
        ),
        (
            "create table public.coded (code text default auth.url_encode('x'))",
            "function auth.url_encode(pg_catalog.bytea), because of default value for public.coded.code",
            "drop table public.coded",
        ),
        (
            "create view public.runs as select at from authmig.journal",
            "table authmig.journal, because of view public.runs",
            "drop view public.runs",
        ),
        (
            "create table authmig.mine (id int)",
            "schema authmig, because of table authmig.mine",
            "drop table authmig.mine",
        ),
    ] {
        let (db, own) = (TestDb::new(), own_roles());
        let migrate = with_options(&["migrate"], &own);
        db.authmig(&migrate).exits(0);
        db.sql(keeps);
        let before = db.dump(&[]);
        let would = format!("\nwould revert {} migrations\n", versions().len());
        let refusal = format!("--purge would have to leave {left}; drop that first, or do without --purge");
        let purge = ["rollback", "--all", "--purge", "--yes", "--discard-data"];
        for more in [&[][..], &["--dry-run"]] {
            let run = db.authmig(&[&purge, more].concat()).exits(7);
            assert!(run.stdout.contains(&would), "{keeps}\n{}", run.stdout);
            let said = format!("error: refused: {refusal}; nothing was changed\n");
            assert!(run.stderr.ends_with(&said), "{keeps}\n{}", run.stderr);
            let run = db.authmig(&[&purge, more, &["--format", "json"]].concat()).exits(7).json();
            assert_eq!((&run["outcome"], &run["exit"]), (&"refused".into(), &7.into()), "{keeps}");
            assert_eq!(run["refusal"], *refusal, "{keeps}");
        }
        assert_eq!(db.dump(&[]), before, "{keeps}");

        // Without, it leaves what it has to; and the ledger stays as long as that does.
        db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
        let run = db.authmig(&[&purge[..], &["--format", "json"]].concat()).exits(7).json();
        assert_eq!(run["refusal"], *refusal, "{keeps}");
        db.sql(free);
        let rest = left.split(", because").next().unwrap();
        if !rest.contains("authmig") {
            let run = db.authmig(&[&purge[..], &["--format", "json"]].concat()).exits(7).json();
            assert_eq!(run["refusal"], *refusal.replace(left, rest), "{keeps}");
            for object in rest.split(", ").collect::<Vec<_>>().iter().rev() {
                db.sql(&format!("drop {object}"));
            }
        }
        db.authmig(&purge).exits(0);
        assert_eq!(db.ask("select to_regnamespace('authmig') is null"), "true");
        db.authmig(&migrate).exits(0);
    }
}

#[test]
fn purge_sees_what_a_later_migration_has_made() {
    let up = "create function auth.extra() returns int language sql as 'select 1'; \
        create view auth.extras as select 1 as one; \
        do $$ begin \
            execute format('alter function auth.extra() owner to %I', current_setting('authmig.owner_role')); \
            execute format('alter view auth.extras owner to %I', current_setting('authmig.owner_role')); \
        end $$;";
    let down = |object: &str| {
        format!(
            "do $$ begin drop {object}; exception when dependent_objects_still_exist then \
                raise notice '{object} stays: other objects use it'; end $$;"
        )
    };
    let down = down("function auth.extra()") + &down("view auth.extras");
    let files = Files::embedded().without_manifest().and("9999-extra", up, &down, "");
    for (keeps, left) in [
        (
            "create table public.mine (extra int default auth.extra())",
            "function auth.extra(), because of default value for public.mine.extra",
        ),
        (
            "create view public.mine as select one from auth.extras",
            "view auth.extras, because of view public.mine",
        ),
    ] {
        let (db, own) = (TestDb::new(), own_roles());
        db.authmig_with(&files, &with_options(&["migrate"], &own)).exits(0);
        db.sql(keeps);
        let purge = ["rollback", "--all", "--purge", "--yes", "--discard-data"];
        let run = db.authmig_with(&files, &purge).exits(7);
        let said = format!("--purge would have to leave {left}; drop that first");
        assert!(run.stderr.contains(&said), "{}", run.stderr);
    }
}

#[test]
fn what_comes_to_need_it_while_a_person_thinks_stops_a_purge() {
    let db = TestDb::new();
    let Some(mut command) = on_a_terminal(&db, "rollback --all --purge --discard-data") else { return };
    db.authmig(&["migrate"]).exits(0);
    let mut child = command.spawn().unwrap();
    db.until(
        "select count(*) from pg_stat_activity where datname = current_database() \
          and application_name = 'authmig' and state = 'idle' and query ~ 'authmig.tables'",
    );
    db.sql("create table public.device (session uuid references auth.refresh_token)");
    crate::support::feed(&mut child, "y\n");
    let run = crate::support::finish(child).exits(7);
    let said = "refused: --purge would have to leave table auth.refresh_token, because of \
        table constraint device_session_fkey on public.device; drop that first, or do without --purge; nothing was changed";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    assert_eq!(db.history(), versions());
}

#[test]
fn purge_passes_over_what_others_have_in_the_schemas() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.sql(
        "create table auth.mine (id int); create function auth.own() returns int language sql as 'select 1'",
    );
    db.authmig(&["rollback", "--all", "--purge", "--yes", "--discard-data"]).exits(0);
    assert_eq!(
        db.ask("select to_regnamespace('authmig') is null and to_regclass('auth.mine') is not null"),
        "true"
    );
}

#[test]
fn a_changed_script_is_not_reverted() {
    let db = TestDb::new();
    db.authmig_with(&Files::tables(1..=2), &["migrate"]).exits(0);
    let other = Files::tables(1..=2).append("01-t1.up.sql", "-- changed");
    let run = db.authmig_with(&other, &["rollback", "--yes"]).exits(4);
    assert!(
        run.stderr.contains("  - 01-t1 was applied from another script than the one in this binary\n"),
        "{}",
        run.stderr
    );
    let older = Files::tables(1..=1);
    db.authmig_with(&older, &["rollback", "--yes"]).exits(9);
    db.authmig_with(&older, &["migrate"]).exits(9);
    assert_eq!(db.history(), [1, 2]);
}

#[test]
fn on_a_terminal_it_asks() {
    // It gives the process a terminal.
    let db = TestDb::new();
    db.authmig(&["migrate", "--to", "5"]).exits(0);
    for (answer, code, history) in [("n", 7, &[1, 2, 3, 4, 5][..]), ("y", 0, &[1, 2, 3, 4][..])] {
        let Some(mut command) = on_a_terminal(&db, "rollback") else { return };
        let mut child = command.spawn().unwrap();
        crate::support::feed(&mut child, &format!("{answer}\n"));
        let run = crate::support::finish(child).exits(code);
        assert!(run.stdout.contains("would revert 1 migration"), "{}", run.stdout);
        assert!(run.stdout.contains("go on? [y/N]"), "{}", run.stdout);
        assert_eq!(db.history(), history);
    }
}

#[test]
fn an_extension_of_somebody_else_by_now_stays() {
    // As after pg_upgrade, or after a superuser has restored a dump.
    let (db, _) = of_a_migrator();
    let own = own_roles();
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.sql("drop extension pgcrypto; create extension pgcrypto with schema public");
    let run = db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert!(
        run.stderr.contains("notice: extension pgcrypto stays: it belongs to postgres\n"),
        "{}",
        run.stderr
    );
    assert_eq!(db.history(), [0; 0]);
    // Nor is it taken by a later one.
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    assert_eq!(db.ask("select extname from pg_extension where extname = 'pgcrypto'"), "pgcrypto");
}

#[test]
fn what_others_drop_meanwhile_is_not_told_as_dropped() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql("create table public.foo (a int, b int); create view public.v as select 1 as one; create table public.bar ()");
    let mut holder = db.client();
    holder.batch_execute("begin; lock table auth.refresh_token in access share mode").unwrap();
    let run = db.command(&["rollback", "--to", "1", "--dry-run"]).spawn().unwrap();
    db.until_blocked();
    db.sql("alter table public.foo drop column b; drop view public.v; drop table public.bar");
    holder.batch_execute("commit").unwrap();
    let run = crate::support::finish(run).exits(0);
    assert!(run.stdout.contains("auth.refresh_token"), "{}", run.stdout);
    assert!(!run.stdout.contains("public."), "{}", run.stdout);
}

/// Of what somebody else has granted by now, the server only warns, where one may do anything at all there.
#[test]
fn what_somebody_else_granted_by_now_stops_it_and_the_hint_helps() {
    let (db, migrator) = of_a_migrator();
    let own = own_roles();
    let service = own.iter().find_map(|option| option.strip_prefix("--service-role=")).unwrap();
    let other = role(&db, "");
    db.authmig(&with_options(&["migrate", "--to", "04"], &own)).exits(0);
    db.sql(&format!("set role {migrator}; create table api.t (i int)"));
    db.authmig(&["migrate"]).exits(0);
    db.sql(&format!(
        "alter table api.t owner to {other}; grant select on api.t to {migrator}; \
         alter schema api owner to {other}; grant usage on schema api to {migrator}; \
         alter function auth.logout() owner to {other}"
    ));
    let all = ["rollback", "--all", "--purge", "--yes", "--discard-data"];
    let run = db.authmig(&all).exits(8);
    assert!(run.stderr.contains("may not take back all that was granted"), "{}", run.stderr);
    let hint = run.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    db.sql(hint.strip_prefix("as who has granted it, or as a superuser: ").unwrap());
    db.sql(&format!("alter function auth.logout() owner to {migrator}"));
    db.authmig(&all).exits(0);
    let left = "select count(*) from pg_class as c, aclexplode(c.relacl) as a \
                 where c.oid = 'api.t'::regclass and a.grantee = ";
    assert_eq!(db.ask(&format!("{left} '{service}'::regrole")), "0");
}
