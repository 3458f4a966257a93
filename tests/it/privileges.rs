//! Who may migrate, and which servers.

use crate::support::server::Server;
use crate::support::{Files, TestDb, major, of_a_migrator, own_roles, role, versions, with_options};

#[test]
fn the_owner_of_the_database_with_createrole_is_enough() {
    let (db, _) = of_a_migrator();
    let own = own_roles();
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["verify"]).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn that_who_created_the_migrator_may_become_it_is_no_finding_that_nobody_could_mend() {
    let (db, own) = (TestDb::new(), own_roles());
    // As an administrator of a platform without superuser.
    let admin = role(&db, "login createrole");
    let migrator = format!("{admin}_m");
    db.sql(&format!(
        "set role {admin}; create role {migrator} login createrole; reset role; \
         grant create on database {} to {migrator}",
        db.name
    ));
    let db = db.run_by(&migrator);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["secret", "generate"]).exits(0);
    db.authmig(&["verify", "--strict"]).exits(0);
    db.authmig(&["rollback", "--all", "--purge", "--yes", "--discard-data"]).exits(0);
    db.sql(&format!("drop owned by {migrator}"));
}

#[test]
fn whoever_migrates_may_have_any_name() {
    // As of a platform that logs people in by their addresses.
    let db = TestDb::new();
    let migrator = format!("{}@Example.com Ünique", role(&db, ""));
    db.sql(&format!(
        "create role \"{migrator}\" login createrole; alter database {} owner to \"{migrator}\"; \
         create schema auth authorization \"{migrator}\"; create schema api authorization \"{migrator}\"",
        db.name
    ));
    let own = own_roles();
    let db = db.run_by(&migrator);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["verify"]).exits(0);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
}

#[test]
fn where_no_trigger_runs_nothing_is_changed() {
    let (db, own) = (TestDb::new(), own_roles());
    let migrator = role(&db, "login createrole");
    db.sql(&format!(
        "alter database {0} owner to {migrator}; alter database {0} set session_replication_role = replica",
        db.name
    ));
    let superuser = TestDb::new();
    superuser.sql(&format!("alter database {} set session_replication_role = replica", superuser.name));
    let db = db.run_by(&migrator);
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    assert!(run.stderr.starts_with("error: session_replication_role is replica here"), "{}", run.stderr);
    assert_eq!(db.history(), [0; 0]);
    db.sql(&format!("alter database {} reset session_replication_role", db.name));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.sql(&format!("alter database {} set session_replication_role = replica", db.name));
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("session_replication_role is replica here"), "{}", run.stdout);
    // Who may turn them on does.
    superuser.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
    superuser.authmig(&["secret", "generate"]).exits(0);
    superuser.authmig(&["verify", "--skip", "postgrest"]).exits(0);
    // PostgREST may not, and its requests are what it is for.
    let run = superuser.authmig(&["verify"]).exits(4);
    let found: Vec<_> =
        run.stdout.lines().filter(|line| line.contains(": ") && !line.starts_with(' ')).collect();
    assert_eq!(
        found,
        ["postgrest: session_replication_role: triggers do not run in requests"],
        "{}",
        run.stdout
    );
}

#[test]
fn who_may_not_use_the_language_is_told_what_helps() {
    let (db, own) = (TestDb::new(), own_roles());
    let migrator = role(&db, "login createrole");
    db.sql(&format!(
        "alter database {} owner to {migrator}; revoke usage on language plpgsql from public",
        db.name
    ));
    let db = db.run_by(&migrator);
    let hint = "hint: as a superuser: grant usage on language plpgsql to ";
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    assert!(run.stderr.contains(hint) && !run.stderr.contains("may not be read"), "{}", run.stderr);
    db.sql(&format!("grant usage on language plpgsql to {migrator}"));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.sql(&format!("revoke usage on language plpgsql from {migrator}"));
    let run = db.authmig(&["secret", "generate"]).exits(1);
    assert!(run.stderr.contains(hint), "{}", run.stderr);
}

#[test]
fn a_list_of_permitted_extensions_is_a_notice() {
    // As some platforms keep it: an event trigger that raises.
    let (db, own) = (TestDb::new(), own_roles());
    db.sql(
        "create function public.permitted() returns event_trigger language plpgsql as \
         $$ begin raise exception 'this extension is not permitted'; end $$; \
         create event trigger permitted on ddl_command_start when tag in ('CREATE EXTENSION') \
         execute function public.permitted()",
    );
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let said = "notice: extension pgcrypto was not installed: this extension is not permitted\n\
                hint: nothing of authmig needs it; if you do: create extension pgcrypto;\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn a_schema_that_is_missing_need_not_be_exposed_before_it_is_there() {
    let (db, own) = (TestDb::new(), own_roles());
    let named = |name: &str| own.iter().find_map(|option| option.strip_prefix(name)).unwrap();
    let (anon, authenticator) = (named("--anon-role="), named("--authenticator-role="));
    db.sql(&format!(
        "create role {anon}; create role {authenticator} login noinherit; grant {anon} to {authenticator}; \
         alter role {authenticator} in database {} set pgrst.db_schemas = 'api'",
        db.name
    ));
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let mend =
        format!("alter role {authenticator} in database {} set pgrst.db_schemas = 'api, auth';", db.name);
    let said = format!("notice: pgrst.db_schemas: the schema auth is not exposed: {mend}\n");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("the schema auth is not exposed"), "{}", run.stdout);
    db.sql(&mend);
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn an_owner_role_of_others_is_refused() {
    let own = own_roles();
    let owner = own.iter().find_map(|option| option.strip_prefix("--owner-role=")).unwrap();
    let db = TestDb::new();
    let other = role(&db, "");
    db.sql(&format!("create role {owner}; grant {owner} to {other}"));
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    let said = format!("others may act as {owner}, which is to own the sessions and the secret: {other}");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let how = if major() < 16 { "" } else { " granted by postgres cascade" };
    let revoke = format!("revoke {owner} from {other}{how}; -- or name another role with --owner-role");
    assert!(run.stderr.contains(&revoke), "{}", run.stderr);
    // What another installation needs is not to be taken from it.
    let elsewhere = TestDb::new();
    elsewhere.sql(&format!("create schema taken authorization {owner}"));
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    let said = format!(
        "\n      name another role with --owner-role (for another tenant, all five roles): this one is in use, database {}\n",
        elsewhere.name
    );
    assert!(run.stderr.contains(&said) && !run.stderr.contains("revoke "), "{}", run.stderr);
    elsewhere.sql("drop schema taken");
    db.sql(&revoke);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
}

/// As in a stack of another database, whose service role is above row level security.
#[test]
fn nothing_is_taken_from_a_role_that_another_database_uses_nor_given() {
    let own = own_roles();
    let name = |option: &str| own.iter().find_map(|one| one.strip_prefix(option)).unwrap();
    let (owner, authenticator) = (name("--owner-role="), name("--authenticator-role="));
    let (db, elsewhere) = (TestDb::new(), TestDb::new());
    let migrator = role(&db, "login createrole");
    let (storage, service) = (role(&db, ""), role(&db, "bypassrls"));
    elsewhere.sql(&format!(
        "create role {owner}; grant {owner} to {storage}; create schema taken authorization {owner};
         create role {authenticator} login noinherit; grant {authenticator} to {storage};
         grant {service} to {authenticator}; grant usage on schema taken to {service}"
    ));
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    let options: Vec<_> = own
        .iter()
        .filter(|option| !option.starts_with("--service-role="))
        .chain([&format!("--service-role={service}")])
        .cloned()
        .collect();
    let db = db.run_by(&migrator);
    let run = db.authmig(&with_options(&["migrate"], &options)).exits(1);
    let used = format!("this one is in use, database {}", elsewhere.name);
    let expected = [
        (
            format!("others may act as {authenticator}, which is to read the secret: {storage}"),
            "authenticator-role",
        ),
        (
            format!("others may act as {owner}, which is to own the sessions and the secret: {storage}"),
            "owner-role (for another tenant, all five roles)",
        ),
        (format!("role {service} may do more than it should: bypassrls"), "service-role"),
    ];
    let expected: String = expected
        .iter()
        .map(|(what, option)| format!("  - {what}\n      name another role with --{option}: {used}\n"))
        .collect();
    assert_eq!(run.stderr.split_once('\n').unwrap().1, expected);
    // Nor where its own service role is another one, and that of the other stack a stranger.
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    let said = format!(
        "role {authenticator} may do more than it should: it is a member of {service}\n      name another"
    );
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    for taken in ["revoke ", "grant ", "alter "] {
        assert!(!run.stderr.contains(taken), "{}", run.stderr);
    }
}

#[test]
fn nobody_joins_an_owner_role_that_another_database_uses() {
    let (own, elsewhere) = (own_roles(), TestDb::new());
    elsewhere.authmig(&with_options(&["migrate"], &own)).exits(0);
    // Until 16 whoever has CREATEROLE could make himself a member, and read the secret there.
    for attributes in ["login", "login createrole"] {
        let db = TestDb::new();
        let migrator = role(&db, attributes);
        db.sql(&format!("alter database {} owner to {migrator}", db.name));
        let run = db.run_by(&migrator).authmig(&with_options(&["migrate"], &own)).exits(1);
        let owner = own.iter().find_map(|option| option.strip_prefix("--owner-role=")).unwrap();
        let said = format!(
            "  - {migrator} must be a member of {owner}, and may not make itself one\n      \
             name another role with --owner-role (for another tenant, all five roles): this one is in use, database {}\n",
            elsewhere.name
        );
        assert!(run.stderr.ends_with(&said), "{}", run.stderr);
    }
    elsewhere.authmig(&["verify"]).exits(0);
}

/// It is a member of `pg_database_owner`, of which nobody can be freed.
#[test]
fn a_role_of_requests_that_owns_the_database_is_told_what_helps() {
    let (db, own) = (TestDb::new(), own_roles());
    let service = own.iter().find_map(|option| option.strip_prefix("--service-role=")).unwrap();
    db.sql(&format!("create role {service}; alter database {} owner to {service}", db.name));
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(8);
    let mend = format!("alter database {} owner to current_user;", db.name);
    let said =
        format!("grants: role {service}: owns the database\n  why:      it may drop it, and create schemas");
    assert!(run.stderr.contains(&said) && run.stderr.contains(&mend), "{}", run.stderr);
    db.sql(&mend);
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
}

#[test]
fn who_inherits_nothing_is_told_so_until_16() {
    for attributes in ["login noinherit", "login noinherit createrole"] {
        let (db, own) = (TestDb::new(), own_roles());
        let migrator = role(&db, attributes);
        let named = |name: &str| own.iter().find_map(|option| option.strip_prefix(name)).unwrap();
        let owner = named("--owner-role=");
        db.sql(&format!(
            "alter database {} owner to {migrator}; create role {}; create role {}; create role {}; \
             create role {} login noinherit; create role {owner}",
            db.name,
            named("--anon-role="),
            named("--authenticated-role="),
            named("--service-role="),
            named("--authenticator-role="),
        ));
        let db = db.run_by(&migrator);
        let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
        let helps: Vec<_> = run.stderr.lines().filter_map(|line| line.strip_prefix("      ")).collect();
        let inherit = format!("alter role {migrator} inherit;");
        assert_eq!(helps.contains(&&*inherit), major() < 16, "{}", run.stderr);
        for help in helps {
            db.sql(help);
        }
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["verify"]).exits(0);
        if major() < 16 {
            db.sql(&format!("alter role {migrator} noinherit"));
            let told = db.authmig(&["verify", "--only", "grants,objects"]).exits(4).stdout;
            assert!(told.contains(&format!("mend:     {inherit}\n")), "{told}");
        } else {
            db.sql(&format!("grant {owner} to {migrator} with inherit false, set true"));
        }
        let run = db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(1);
        db.sql(run.stderr.lines().find_map(|line| line.strip_prefix("      ")).unwrap());
        db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    }
}

#[test]
fn what_verify_would_say_of_a_role_stands_in_the_way() {
    let cluster = TestDb::new();
    let (monitor, other) = (role(&cluster, ""), role(&cluster, "createrole"));
    let (reader, sender) = (role(&cluster, "bypassrls"), role(&cluster, "replication"));
    cluster.sql(&format!("grant pg_monitor to {monitor}"));
    for (made, said) in [
        ("create role {anon} login".to_owned(), "role {anon} may do more than it should: login".to_owned()),
        (
            "create role {service} bypassrls createdb".to_owned(),
            "role {service} may do more than it should: bypassrls, createdb".to_owned(),
        ),
        (
            "create role {authenticated} replication".to_owned(),
            "role {authenticated} may do more than it should: replication".to_owned(),
        ),
        (
            "create role {authenticator} login".to_owned(),
            "role {authenticator} may do more than it should: inherit".to_owned(),
        ),
        ("create role {authenticator} noinherit".to_owned(), "role {authenticator} cannot log in".to_owned()),
        (
            format!("create role {{anon}} in role {monitor}"),
            format!("role {{anon}} may do more than it should: it is a member of {monitor}"),
        ),
        // Since 16 who has granted it is to be named.
        (
            format!(
                "create role {{anon}}; grant {monitor} to {other} with admin option; set role {other}; \
                 grant {monitor} to {{anon}}; reset role"
            ),
            format!("role {{anon}} may do more than it should: it is a member of {monitor}"),
        ),
        (
            format!("create role {{service}} in role {reader}"),
            format!("role {{service}} may do more than it should: it is a member of {reader}"),
        ),
        (
            format!("create role {{service}} in role {sender}"),
            format!("role {{service}} may do more than it should: it is a member of {sender}"),
        ),
        (
            format!("create role {{authenticator}} login noinherit in role {other}"),
            format!("role {{authenticator}} may do more than it should: it is a member of {other}"),
        ),
        (
            format!("create role {{authenticator}} login noinherit role {other}"),
            format!("others may act as {{authenticator}}, which is to read the secret: {other}"),
        ),
        (
            format!("create role {{owner}} in role {other}"),
            format!("role {{owner}} may do more than it should: it is a member of {other}"),
        ),
        (
            "create role {service}; create role {authenticated} in role {service}".to_owned(),
            "role {authenticated} may do more than it should: it is a member of {service}".to_owned(),
        ),
        (
            "create role {authenticated}; create role {anon} in role {authenticated}".to_owned(),
            "role {anon} may do more than it should: it is a member of {authenticated}".to_owned(),
        ),
        (
            "create role {authenticator} login noinherit; create role {service} in role {authenticator}"
                .to_owned(),
            "role {service} may do more than it should: it is a member of {authenticator}".to_owned(),
        ),
    ] {
        let own = own_roles();
        let named = |text: &str| {
            own.iter().fold(text.to_owned(), |text, option| {
                let (name, value) = option[2..].split_once("-role=").unwrap();
                text.replace(&format!("{{{name}}}"), value)
            })
        };
        let db = TestDb::new();
        db.sql(&named(&made));
        let before = db.dump(&[]);
        let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
        let said = named(&said);
        assert!(run.stderr.contains(&said), "{said}\n{}", run.stderr);
        assert_eq!(db.dump(&[]), before);
        // What helps stands below it.
        let help = run.stderr.split(&said).nth(1).unwrap().lines().nth(1).unwrap().trim();
        db.sql(help);
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["verify"]).exits(0);
    }
}

#[test]
fn nobody_is_told_to_take_the_rights_of_who_migrates_or_of_a_superuser() {
    let (db, own) = (TestDb::new(), own_roles());
    let migrator = role(&db, "login createrole");
    db.sql(&format!("alter database {} owner to {migrator}", db.name));
    let before = db.dump(&[]);
    let refused = |db: &TestDb, owner: &str| {
        let owner = format!("--owner-role={owner}");
        let options: Vec<_> =
            own.iter().filter(|option| !option.starts_with("--owner")).chain([&owner]).cloned().collect();
        let run = db.authmig(&with_options(&["migrate"], &options)).exits(1);
        assert!(run.stderr.contains("\n      name another role with --owner-role\n"), "{}", run.stderr);
        assert!(!run.stderr.contains("alter role"), "{}", run.stderr);
    };
    refused(&db, "postgres");
    let db = db.run_by(&migrator);
    refused(&db, &migrator);
    assert_eq!(db.run_by("postgres").dump(&[]), before);
}

#[test]
fn nobody_becomes_a_member_of_a_role_that_is_refused() {
    let (db, own) = (TestDb::new(), own_roles());
    let name = |option: &str| own.iter().find_map(|one| one.strip_prefix(option)).unwrap().to_owned();
    let migrator = role(&db, "login");
    let (mighty, member) = (role(&db, "createrole"), role(&db, ""));
    db.sql(&format!(
        "alter database {} owner to {migrator}; create role {} login noinherit; grant {mighty} to {member}",
        db.name,
        name("--authenticator-role=")
    ));
    let db = db.run_by(&migrator);
    for (parameter, refused) in
        [("service", "postgres"), ("service", &mighty), ("anon", &member), ("authenticator", "postgres")]
    {
        let other = format!("--{parameter}-role={refused}");
        let options: Vec<_> = own
            .iter()
            .filter(|option| !option.starts_with(&format!("--{parameter}-role=")))
            .chain([&other])
            .cloned()
            .collect();
        let run = db.authmig(&with_options(&["migrate"], &options)).exits(1);
        let said = format!("\n  - role {refused} may do more than it should: ");
        assert!(run.stderr.contains(&said), "{}", run.stderr);
        assert!(
            run.stderr.contains(&format!("name another role with --{parameter}-role\n")),
            "{}",
            run.stderr
        );
        let grants = run.stderr.lines().filter(|line| line.starts_with("      grant "));
        assert_eq!(grants.filter(|line| line.contains(refused)).count(), 0, "{}", run.stderr);
    }
}

#[test]
fn what_helps_is_said_all_at_once_and_in_an_order_that_works() {
    let own = own_roles();
    let name = |option: &str| own.iter().find_map(|one| one.strip_prefix(option)).unwrap().to_owned();
    // Those that exist before, who migrates, and how many statements help.
    for (made, attributes, before_16, since_16) in [
        (&[][..], "login", 9, 9),
        (&["anon", "owner"], "login", 7, 7),
        (&["authenticator"], "login", 8, 8),
        // Since 16, CREATEROLE says nothing of roles that others have created.
        (&["anon", "service"], "login createrole", 0, 3),
        (&["owner", "authenticator", "anon"], "login createrole", 0, 2),
    ] {
        let db = TestDb::new();
        let migrator = role(&db, attributes);
        db.sql(&format!("alter database {} owner to {migrator}", db.name));
        for made in made {
            let kind = if *made == "authenticator" { "login noinherit" } else { "nologin" };
            db.sql(&format!("create role {} {kind}", name(&format!("--{made}-role="))));
        }
        let db = db.run_by(&migrator);
        let statements = if major() < 16 { before_16 } else { since_16 };
        if statements > 0 {
            let run = db.authmig(&with_options(&["migrate", "--format", "json"], &own)).exits(1);
            let report = run.json();
            let findings = report["error"]["findings"].as_array().unwrap();
            assert_eq!(findings.len(), statements, "{made:?} {attributes} {findings:#?}");
            for finding in findings {
                db.sql(finding["help"].as_str().unwrap());
            }
        }
        db.authmig(&with_options(&["migrate"], &own)).exits(0);
        db.authmig(&["verify"]).exits(0);
        db.authmig(&["rollback", "--all", "--purge", "--yes", "--discard-data"]).exits(0);
        for role in ["authenticator", "anon", "authenticated", "service", "owner"] {
            db.sql(&format!("drop role {}", name(&format!("--{role}-role="))));
        }
    }
}

#[test]
fn without_createrole_it_is_enough_that_the_roles_exist() {
    let db = TestDb::new();
    let own = own_roles();
    // Another database has made them.
    let first = TestDb::new();
    first.authmig(&with_options(&["migrate"], &own)).exits(0);
    let migrator = role(&db, "login");
    let owner = own.iter().find_map(|option| option.strip_prefix("--owner-role=")).unwrap();
    db.sql(&format!("grant {owner} to {migrator}; alter database {} owner to {migrator}", db.name));
    let db = db.run_by(&migrator);
    // It may not become what the requests are.
    let untried = "so its requests cannot be tried; to have them tried: grant ";
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(0);
    assert!(
        run.stderr.starts_with(&format!("notice: self-test: {migrator} may not become ")),
        "{}",
        run.stderr
    );
    let (_, grant) = run.stderr.trim_end().split_once(untried).unwrap();
    let run = db.authmig(&["verify"]).exits(0);
    assert!(run.stdout.contains(untried), "{}", run.stdout);
    db.sql(&format!("grant {grant}"));
    let run = db.authmig(&["verify"]).exits(0);
    assert!(run.stdout.contains("  self-test  passed"), "{}", run.stdout);
    db.authmig(&["rollback", "--all", "--yes", "--discard-data"]).exits(0);
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_role_that_may_nothing_is_told_so_and_changes_nothing() {
    let db = TestDb::new();
    let nobody = role(&db, "login");
    let before = db.dump(&[]);
    let db = db.run_by(&nobody);
    let own = own_roles();
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    // All at once, each with what helps.
    for line in [
        format!("  - {nobody} may not create schemas in this database: api, auth, auth_private, authmig\n"),
        format!("      grant create on database {} to {nobody};\n", db.name),
        format!(
            "  - role {}_owner is missing, and {nobody} may not create it\n",
            &own[0][12..own[0].len() - 5]
        ),
        "      create role o_".to_owned(),
        "_authenticator login noinherit;\n".to_owned(),
    ] {
        assert!(run.stderr.contains(&line), "{line}\n{}", run.stderr);
    }
    // Its CREATE, five roles, and four memberships.
    assert_eq!(run.stderr.matches("\n  - ").count(), 10, "{}", run.stderr);
    assert_eq!(db.dump(&[]), before);
    // What is there already need not be created.
    db.sql("create schema api");
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    let line = format!("  - {nobody} may not create schemas in this database: auth, auth_private, authmig\n");
    assert!(run.stderr.contains(&line), "{}", run.stderr);
}

#[test]
fn what_a_superuser_has_stands_in_nobodys_way() {
    let (db, own) = (TestDb::new(), own_roles());
    let owner = own.iter().find_map(|option| option.strip_prefix("--owner-role=")).unwrap();
    let superuser = role(&db, "superuser");
    db.sql(&format!(
        "create role {owner} role {superuser}; create schema auth authorization {superuser}; \
         create schema auth_private; grant create on schema auth_private to {superuser}"
    ));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn everything_that_stands_in_the_way_is_said_at_once_and_helps() {
    let db = TestDb::new();
    let stranger = role(&db, "");
    let own = own_roles();
    let name =
        |role: &str| own.iter().find_map(|option| option.strip_prefix(&format!("--{role}-role="))).unwrap();
    db.sql(&format!(
        "create role {anon} superuser; create role {owner} login createdb; \
         create schema auth authorization {stranger}; create schema auth_private; \
         grant create on schema auth_private to public",
        anon = name("anon"),
        owner = name("owner"),
    ));
    let before = db.dump(&[]);
    let run = db.authmig(&with_options(&["migrate", "--format", "json"], &own)).exits(1);
    assert_eq!(db.dump(&[]), before);
    let report = run.json();
    let findings = report["error"]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 4, "{findings:#?}");
    for finding in findings {
        db.sql(finding["help"].as_str().unwrap());
    }
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
}

#[test]
fn what_stands_in_a_schema_that_is_to_be_handed_over_stands_in_the_way() {
    let (db, own) = (TestDb::new(), own_roles());
    let other = role(&db, "");
    db.sql(&format!(
        "create schema auth; create schema auth_private; \
         create function auth_private.f() returns int language sql as 'select 1'; create table auth_private.t (a int); \
         alter default privileges in schema auth grant select on tables to {other}"
    ));
    let before = db.dump(&[]);
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    for said in [
        "\n  - schema auth_private already holds function auth_private.f(), table auth_private.t\n",
        &format!(
            "\n      alter default privileges for role postgres in schema auth revoke all on tables from {other};\n"
        ),
    ] {
        assert!(run.stderr.contains(said), "{said}\n{}", run.stderr);
    }
    assert_eq!(db.dump(&[]), before);
}

#[test]
fn a_schema_of_somebody_else_with_other_things_in_it_is_left_to_them() {
    let (cluster, own) = (TestDb::new(), own_roles());
    let (migrator, service) = (role(&cluster, "login createrole"), role(&cluster, ""));
    let platform = role(&cluster, "superuser");
    // Where nothing can be shared, nothing else is to be done either.
    let other = own.iter().find_map(|option| option.strip_prefix("--anon-role=")).unwrap();
    cluster.sql(&format!("create role {other} superuser"));
    for (schema, owner) in [("auth", &service), ("auth", &platform), ("auth_private", &service)] {
        let mut db = TestDb::new();
        db.sql(&format!(
            "alter database {} owner to {migrator}; create schema {schema} authorization {owner}; \
             create table {schema}.users (id bigserial primary key); create type {schema}.factor as enum ('totp'); \
             create function {schema}.uid() returns uuid language sql as 'select null::uuid'; \
             create table {schema}.refresh_tokens (); create table {schema}.sessions (); \
             grant create on schema {schema} to public; \
             alter default privileges in schema {schema} grant select on tables to {owner}",
            db.name
        ));
        let before = db.dump(&[]);
        for by in [&migrator[..], "postgres"] {
            // Superusers share with each other.
            if by == "postgres" && *owner == platform {
                continue;
            }
            db = db.run_by(by);
            db.authmig(&["status"]).exits(0);
            for adopt in [&["migrate"][..], &["migrate", "--adopt"]] {
                let run = db.authmig(&with_options(adopt, &own)).exits(1);
                let said = format!(
                    "  - schema {schema} belongs to {owner}, and holds what is not authmig's: type {schema}.factor, \
                     table {schema}.refresh_tokens, table {schema}.sessions, function {schema}.uid(), table {schema}.users, \
                     and 1 more\n      authmig cannot share it: use another database\n"
                );
                assert!(run.stderr.contains(&said), "{said}\n{}", run.stderr);
                assert!(!run.stderr.contains("      alter "), "{}", run.stderr);
                assert!(!run.stderr.contains("      revoke "), "{}", run.stderr);
            }
        }
        assert_eq!(db.dump(&[]), before);
    }
    cluster.sql(&format!("drop role {other}"));
    // What is empty can be given.
    let db = TestDb::new();
    db.sql(&format!("alter database {} owner to {migrator}; create schema auth", db.name));
    let db = db.run_by(&migrator);
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    assert!(run.stderr.contains("schema auth belongs to postgres, who could"), "{}", run.stderr);
    db.sql(&format!("alter schema auth owner to {migrator};"));
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
}

#[test]
fn a_reader_may_look_at_the_status_if_it_was_granted() {
    let db = TestDb::new();
    let files = Files::tables(1..=1);
    db.authmig_with(&files, &["migrate"]).exits(0);
    let reader = role(&db, "login");
    let db = db.run_by(&reader);
    let run = db.authmig_with(&files, &["status"]).exits(1);
    assert!(run.stderr.contains("may not be read by this role"), "{}", run.stderr);
    db.sql(&format!(
        "grant usage on schema authmig to {reader}; \
        grant select on authmig.schema_history, authmig.parameter to {reader}"
    ));
    db.authmig_with(&files, &["status", "--check"]).exits(0);
    // To verify takes more, which is not granted table by table.
    let run = db.authmig_with(&files, &["verify"]).exits(1);
    assert_eq!(
        run.stderr,
        "error: this takes what the role that migrated may do\n   \
         = permission denied for table created (42501)\n\
         hint: run it as that role; `authmig status` takes less\n"
    );
}

#[test]
fn a_ledger_of_somebody_else_is_not_written_to() {
    let db = TestDb::new();
    let stranger = role(&db, "login");
    db.sql(&format!("create schema authmig authorization {stranger}"));
    let run = db.authmig_with(&Files::tables(1..=1), &["migrate"]).exits(1);
    assert!(run.stderr.contains(&format!("the schema authmig belongs to {stranger}")), "{}", run.stderr);

    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate", "--to", "1"]).exits(0);
    db.sql(&format!("alter table authmig.schema_history owner to {stranger}"));
    db.authmig_with(&files, &["migrate"]).exits(1);
    assert_eq!(db.history(), [1]);
}

#[test]
fn what_stands_in_the_place_of_the_ledger_is_not_run() {
    let roles = TestDb::new();
    let stranger = role(&roles, "login");
    let migrator = role(&roles, "login createrole");
    let rows = "1 as version, 'x' as name, 'x' as applied_on, '1' as checksum, 'x' as sha256, 'x' as applied_by, \
        'x' as authmig_version";
    let planted = [
        format!(
            "create view authmig.schema_history as select {rows} \
               from (select authmig.evil() as ran offset 0) as one where ran is not null; \
             create table authmig.parameter (name text, value text)"
        ),
        format!(
            "create table authmig.schema_history as select {rows}; \
             create view authmig.parameter as select authmig.evil()::text as name, 'x' as value"
        ),
        format!(
            "create table authmig.schema_history as select {rows}; \
             create type authmig.word as (text text); \
             create function authmig.evil(authmig.word) returns text language sql as 'select authmig.evil()::text'; \
             create cast (authmig.word as text) with function authmig.evil(authmig.word) as implicit; \
             create table authmig.parameter as select row('anon_role')::authmig.word as name, row('x')::authmig.word as value"
        ),
        format!(
            "create table authmig.schema_history as select {rows}; \
             create table authmig.parameter as select 'x' as name, 'x' as value; \
             alter table authmig.parameter enable row level security; \
             create policy evil on authmig.parameter using (authmig.evil() = 1)"
        ),
    ];
    for planted in planted {
        for by in ["postgres", &migrator] {
            let db = TestDb::new();
            db.sql(&format!(
                "alter database {} owner to {migrator}; create schema authmig; \
                 grant all on schema authmig to public; set role {stranger}; \
                 create function authmig.evil() returns int language plpgsql as \
                    $$ begin raise exception 'ran as %', current_user; end $$; \
                 {planted}; grant all on all tables in schema authmig to public",
                db.name
            ));
            let db = db.run_by(by);
            for command in [
                &["status"][..],
                &["migrate"],
                &["migrate", "--dry-run"],
                &["verify"],
                &["grants"],
                &["secret", "status"],
                &["rollback", "--all", "--dry-run"],
            ] {
                let run = db.authmig(command);
                assert!(!run.stderr.contains("ran as"), "{planted}, {command:?}\n{}", run.stderr);
                if planted.contains("create policy") && by == "postgres" {
                    // A superuser sees past a policy: the answer is that of the table without it.
                    db.sql("alter table authmig.parameter disable row level security");
                    let without = db.authmig(command);
                    assert_eq!((run.code, run.stdout), (without.code, without.stdout), "{command:?}");
                    db.sql("alter table authmig.parameter enable row level security");
                    continue;
                }
                if planted.contains("create cast") {
                    // What is copied is not cast: words of another type are no names of ours.
                    continue;
                }
                assert_eq!(run.code, 4, "{planted}, {command:?}\n{}", run.stderr);
                assert!(run.stderr.contains("not the tables that authmig made"), "{}", run.stderr);
            }
        }
    }
}

#[test]
fn what_stands_in_the_place_of_what_was_created_is_not_run() {
    let db = TestDb::new();
    db.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
    db.sql(
        "create function public.evil() returns boolean language plpgsql as \
            $$ begin raise exception 'ran as %', current_user; end $$; \
         create type public.word as (text text); \
         create function public.evil(public.word) returns text language sql as 'select public.evil()::text'; \
         create cast (public.word as text) with function public.evil(public.word) as implicit; \
         alter table authmig.created rename to made",
    );
    for (planted, gone) in [
        ("create view authmig.created as select * from authmig.made where public.evil()", "view"),
        (
            "create table authmig.created as select row(kind)::public.word as kind, row(name)::public.word as name, version \
               from authmig.made",
            "table",
        ),
    ] {
        db.sql(planted);
        let run = db.authmig(&["verify"]).exits(4);
        assert!(!run.stderr.contains("ran as"), "{planted}\n{}", run.stderr);
        assert!(run.stderr.contains("not the tables that authmig made"), "{planted}\n{}", run.stderr);
        db.sql(&format!("drop {gone} authmig.created"));
    }
    db.sql("alter table authmig.made rename to created");
    db.authmig(&["verify"]).exits(0);
}

#[test]
fn what_would_run_with_a_line_of_the_ledger_is_refused() {
    let db = TestDb::new();
    let own = own_roles();
    db.authmig(&with_options(&["migrate", "--to", "1"], &own)).exits(0);
    for (planted, name) in [
        (
            "create trigger evil before insert on authmig.journal for each row execute function public.evil()",
            "trigger",
        ),
        ("create rule evil as on insert to authmig.journal do also select public.evil()", "rule"),
        ("create policy evil on authmig.created using (public.evil() is null)", "policy"),
    ] {
        db.sql(&format!(
            "create function public.evil() returns trigger language plpgsql as \
                $$ begin raise exception 'ran as %', current_user; end $$; {planted}"
        ));
        for command in [&["migrate"][..], &["rollback", "--yes"]] {
            let run = db.authmig(command).exits(4);
            let said = format!("error: there is a {name} evil on authmig.");
            assert!(run.stderr.starts_with(&said), "{planted}, {command:?}\n{}", run.stderr);
            let hint = format!("hint: look at what it does, then: drop {name} evil on authmig.");
            assert!(run.stderr.contains(&hint), "{}", run.stderr);
        }
        db.sql("drop function public.evil() cascade");
    }
    db.authmig(&["migrate"]).exits(0);
}

#[test]
fn a_history_table_of_another_shape_is_drift() {
    let db = TestDb::new();
    db.sql("create schema authmig; create table authmig.schema_history (version int, name text)");
    let run = db.authmig_with(&Files::tables(1..=1), &["status"]).exits(4);
    assert!(run.stderr.contains("not the tables that authmig made"), "{}", run.stderr);
    db.authmig_with(&Files::tables(1..=1), &["migrate"]).exits(4);
}

#[test]
fn roles_of_another_database_do_not_matter_before_their_own_migration() {
    let own = own_roles();
    TestDb::new().authmig(&with_options(&["migrate"], &own)).exits(0);
    let db = TestDb::new();
    for version in versions().iter().map(ToString::to_string) {
        db.authmig(&with_options(&["migrate", "--to", &version], &own)).exits(0);
        db.authmig(&["verify", "--skip", "history"]).exits(0);
    }

    // But what it could read if it belonged to the owner's role does.
    let db = TestDb::new();
    db.authmig(&with_options(&["migrate", "--to", "2"], &own)).exits(0);
    let name = |option: &str| own.iter().find_map(|one| one.strip_prefix(option)).unwrap().to_owned();
    let (anon, owner) = (name("--anon-role="), name("--owner-role="));
    db.sql(&format!("grant {owner} to {anon}"));
    let run = db.authmig(&["verify", "--skip", "history"]).exits(4);
    db.sql(&format!("revoke {owner} from {anon}"));
    assert!(run.stdout.contains(&format!("grants: role {anon}: is a member of {owner}\n")), "{}", run.stdout);
    assert!(!run.stdout.contains("does not exist"), "{}", run.stdout);
}

#[test]
fn half_a_ledger_is_drift_and_not_none() {
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    db.authmig_with(&files, &["migrate", "--to", "1"]).exits(0);
    let half = |gone: &str, command: &[&str], said: &str| {
        let before = db.ask("select count(*) from pg_class");
        let run = db.authmig_with(&files, command).exits(4);
        assert!(run.stderr.contains(said), "{gone}, {command:?}\n{}", run.stderr);
        assert_eq!(db.ask("select count(*) from pg_class"), before);
    };
    db.sql("drop table authmig.parameter");
    for command in [&["status"][..], &["migrate"], &["rollback", "--all", "--yes"], &["verify"]] {
        half("parameter", command, "relation \"authmig.parameter\" does not exist");
    }
    db.sql("drop table authmig.schema_history");
    half("both", &["migrate"], "there is a schema authmig without a history; nothing was changed");
}

#[test]
fn impossible_rows_in_the_history_are_drift_and_no_panic() {
    let db = TestDb::new();
    let files = Files::tables(1..=3);
    db.authmig_with(&files, &["migrate", "--to", "2"]).exits(0);
    for (edit, back) in [
        ("checksum = 'many'", "checksum = old.checksum"),
        ("checksum = '-1'", "checksum = old.checksum"),
        ("checksum = '7'", "checksum = old.checksum"),
        ("applied_on = 'yesterday'", "applied_on = old.applied_on"),
        ("sha256 = ''", "sha256 = old.sha256"),
        ("name = E'\\n'", "name = old.name"),
        ("version = -5", "version = old.version"),
    ] {
        db.sql("create table public.old as select * from authmig.schema_history where version = 2");
        db.sql(&format!("update authmig.schema_history set {edit} where version = 2"));
        let run = db.authmig_with(&files, &["migrate"]).exits(4);
        // refinery's words around ours would say it again.
        assert_eq!(run.stderr.matches("nothing was changed").count(), 1, "{edit}: {}", run.stderr);
        db.sql(&format!(
            "update authmig.schema_history as h set {back} from public.old as old where h.version in (2, -5)"
        ));
        db.sql("drop table public.old");
    }
    db.authmig_with(&files, &["migrate"]).exits(0);
}

#[test]
fn a_server_in_recovery_is_refused_and_can_be_read() {
    let server = Server::new("");
    let db = TestDb::on(server.config(), "template0");
    db.authmig(&["migrate", "--to", "1"]).exits(0);
    server.stop("fast");
    server.be_a_standby();
    server.start();
    let refused = db.authmig(&["migrate"]).exits(1);
    assert!(refused.stderr.contains("in recovery"), "{}", refused.stderr);
    db.authmig(&["status", "--check"]).exits(3);
    db.authmig(&["verify"]).exits(4);
}

#[test]
fn a_server_that_is_too_old_is_refused_with_a_sentence() {
    // `bin/test 13` runs this test alone; on the others there is nothing to refuse.
    if major() >= 14 {
        return;
    }
    let db = TestDb::new();
    for arguments in [&["migrate"][..], &["status"], &["verify"], &["rollback", "--yes"]] {
        let run = db.authmig(arguments).exits(1);
        assert!(
            run.stderr.starts_with("error: this server is PostgreSQL 13."),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn a_role_of_postgrest_is_told_to_leave_it_to_another() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let authenticator = own[3].strip_prefix("--authenticator-role=").unwrap();
    let db = TestDb::new().run_by(authenticator);
    let run = db.authmig(&with_options(&["migrate"], &own)).exits(1);
    let said = format!(
        "{authenticator} is a role of PostgREST, and who installs can read the secret\n      run authmig as another role, such as the owner of the database\n"
    );
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert!(!run.stderr.contains("grant "), "{}", run.stderr);
}

/// Whoever calls it now could not before: requests may use the schema from here on.
#[test]
fn what_requests_may_call_in_a_schema_that_is_shared_is_told() {
    let (db, migrator) = of_a_migrator();
    db.sql(&format!(
        "set role {migrator}; create schema auth; create function auth.wipe() returns int language sql as 'select 1'"
    ));
    let run = db.authmig(&with_options(&["migrate"], &own_roles())).exits(0);
    let said = "notice: function auth.wipe(): is not authmig's: look whether requests may call it: they may use the schema\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}
