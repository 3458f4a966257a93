//! Who may do what: rights on objects, attributes of roles, and their members.

use super::{Change, Installed, findings, first_mend};
use crate::support::server::Server;
use crate::support::{TestDb, major, of_a_migrator, own_roles, role, unique, with_options};

const GRANTS: &[Change] = &[
    (
        "grant execute on function auth.issue_tokens(text, text) to public",
        "grants",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "grant execute on function auth.issue_tokens(text, text) to {anon}",
        "grants",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "grant execute on function auth.sign_raw(json, text, text) to {service}",
        "grants",
        "function auth.sign_raw(json,text,text)",
    ),
    (
        "grant execute on function auth.refresh_tokens() to {anon} with grant option",
        "grants",
        "function auth.refresh_tokens()",
    ),
    (
        "revoke execute on function auth.refresh_tokens() from {anon}",
        "grants",
        "function auth.refresh_tokens()",
    ),
    (
        "revoke execute on function auth.issue_tokens(text, text) from {service}",
        "grants",
        "function auth.issue_tokens(text,text)",
    ),
    (
        "revoke execute on function auth_private.postgrest_config() from {authenticator}",
        "grants",
        "function auth_private.postgrest_config()",
    ),
    ("grant select on auth.refresh_token to {anon}", "grants", "table auth.refresh_token"),
    (
        "grant select on auth.refresh_token to {anon} with grant option; set role {anon}; \
         grant select on auth.refresh_token to {service}; reset role",
        "grants",
        "table auth.refresh_token",
    ),
    ("grant select (subject) on auth.refresh_token to {anon}", "grants", "column auth.refresh_token.subject"),
    ("grant all on auth_private.config to {service}", "grants", "table auth_private.config"),
    ("grant truncate on auth.refresh_token to public", "grants", "table auth.refresh_token"),
    ("grant usage on schema auth_private to {anon}", "grants", "schema auth_private"),
    ("grant create on schema auth to {service}", "grants", "schema auth"),
    ("revoke usage on schema auth from {anon}", "grants", "schema auth"),
    ("grant usage on schema auth to public", "grants", "schema auth"),
    (
        "alter default privileges in schema auth grant select on tables to {anon}",
        "grants",
        "default privileges for role postgres in schema auth",
    ),
    ("grant insert, select on authmig.journal to {service}", "grants", "table authmig.journal"),
    // To read it is for whoever it was granted to, and for nobody else.
    ("grant select on authmig.journal to {service} with grant option", "grants", "table authmig.journal"),
    // What the owner needs to do as the one whom the functions run as.
    ("revoke delete on auth.refresh_token from {owner}", "grants", "table auth.refresh_token"),
    ("revoke all on auth_private.config from {owner}", "grants", "table auth_private.config"),
    ("revoke usage on schema auth_private from {owner}", "grants", "schema auth_private"),
    (
        "revoke execute on function auth_private.key_from_settings() from {owner}",
        "grants",
        "function auth_private.key_from_settings()",
    ),
    (
        "revoke execute on function auth.url_encode(bytea) from {owner}",
        "grants",
        "function auth.url_encode(bytea)",
    ),
    // The ledger is nothing for requests.
    ("grant select on all tables in schema authmig to {anon}", "grants", "table authmig.parameter"),
    ("grant usage on schema authmig to {authenticator}", "grants", "schema authmig"),
    ("grant select (value) on authmig.parameter to {service}", "grants", "column authmig.parameter.value"),
    (
        "grant usage on schema authmig to public; grant select on authmig.schema_history to public",
        "grants",
        "table authmig.schema_history",
    ),
    (
        "create role {anon}_9; grant {anon}_9 to {authenticated}; grant select on authmig.created to {anon}_9",
        "grants",
        "table authmig.created",
    ),
    ("revoke insert on authmig.journal from postgres", "grants", "table authmig.journal"),
    ("grant create on schema authmig to public", "grants", "schema authmig"),
    // The comment is all else that there is of it.
    (
        "comment on schema authmig is null; grant create on schema authmig to public",
        "grants",
        "schema authmig",
    ),
    ("alter role {anon} login", "grants", "role {anon}"),
    ("alter role {anon} superuser", "grants", "role {anon}"),
    ("alter role {service} bypassrls", "grants", "role {service}"),
    ("alter role {authenticated} createrole", "grants", "role {authenticated}"),
    ("alter role {service} replication", "grants", "role {service}"),
    ("alter role {owner} login", "grants", "role {owner}"),
    ("alter role {owner} createdb", "grants", "role {owner}"),
    ("alter role {authenticator} inherit", "grants", "role {authenticator}"),
    ("alter role {authenticator} nologin", "grants", "role {authenticator}"),
    ("grant {owner} to {anon}", "grants", "role {anon}"),
    ("grant {owner} to {authenticator}", "grants", "role {authenticator}"),
    ("grant {service} to {anon}", "grants", "role {anon}"),
    ("grant {authenticated} to {anon}", "grants", "role {anon}"),
    ("grant {service} to {authenticated}", "grants", "role {authenticated}"),
    ("create role {anon}_more; grant {owner} to {anon}_more", "grants", "role {anon}_more"),
    ("create role {anon}_3; grant {authenticator} to {anon}_3", "grants", "role {anon}_3"),
    // By somebody else than whoever mends it, and once more by him.
    (
        "create role \"{anon}_G, \" createrole; grant {owner} to \"{anon}_G, \" with admin option; create role {anon}_4; \
         set role \"{anon}_G, \"; grant {owner} to {anon}_4; reset role; grant {owner} to {anon}_4; \
         grant {service} to \"{anon}_G, \" with admin option; set role \"{anon}_G, \"; \
         grant {service} to {anon}; reset role",
        "grants",
        "role {anon}_4",
    ),
    // Over another role.
    ("create role {anon}_1; grant postgres to {anon}_1; grant {anon}_1 to {anon}", "grants", "role {anon}"),
    (
        "create role {anon}_2; grant pg_execute_server_program to {anon}_2; grant {anon}_2 to {service}",
        "grants",
        "role {service}",
    ),
    (
        "create role {anon}_files; grant execute on function pg_read_file(text) to {anon}_files; grant {anon}_files to {anon}",
        "grants",
        "role {anon}",
    ),
    (
        "create role {anon}_hashes; grant select on pg_catalog.pg_authid to {anon}_hashes; grant {anon}_hashes to {service}",
        "grants",
        "role {service}",
    ),
    ("create role {anon}_5 bypassrls; grant {anon}_5 to {service}", "grants", "role {service}"),
    ("create role {anon}_6 createrole; grant {anon}_6 to {authenticated}", "grants", "role {authenticated}"),
    ("create role {anon}_7 replication; grant {anon}_7 to {anon}", "grants", "role {anon}"),
    (
        "create role {anon}_8; grant {owner} to {anon}_8; grant {anon}_8 to {authenticated}",
        "grants",
        "role {authenticated}",
    ),
    ("grant {authenticator} to {owner}", "grants", "role {owner}"),
    ("grant pg_read_all_data to {service}", "grants", "role {service}"),
    ("grant pg_signal_backend to {owner}", "grants", "role {owner}"),
    ("revoke {anon} from {authenticator}", "grants", "role {authenticator}"),
    ("drop owned by {anon}; drop role {anon}", "objects", "role {anon}"),
    ("drop owned by {authenticator}; drop role {authenticator}", "objects", "role {authenticator}"),
    ("drop owned by {service}; drop role {service}", "grants", "role {authenticator}"),
];

/// What a role of requests was given of the server's own, and the weight of that.
const GIVEN: &[(&str, &str, i32)] = &[
    (
        "execute on function pg_read_file(text) to {anon}",
        "may use function pg_catalog.pg_read_file(pg_catalog.text)",
        4,
    ),
    ("select on pg_authid to {anon}", "may use table pg_catalog.pg_authid", 4),
    ("select (rolpassword) on pg_authid to {authenticator}", "may use table pg_catalog.pg_authid", 4),
    ("select on pg_shadow to {anon}", "may use view pg_catalog.pg_shadow", 4),
    ("select on pg_statistic to {service}", "may use table pg_catalog.pg_statistic", 4),
    ("update on pg_settings to {authenticated}", "may use view pg_catalog.pg_settings", 0),
    ("select on pg_largeobject to {authenticated}", "may use table pg_catalog.pg_largeobject", 0),
    ("set on parameter session_replication_role to {anon}", "may use parameter session_replication_role", 4),
    // Everybody, so they as well.
    (
        "execute on function pg_read_file(text) to public",
        "may use function pg_catalog.pg_read_file(pg_catalog.text)",
        4,
    ),
    (
        "execute on function lo_export(oid, text) to public",
        "may use function pg_catalog.lo_export(pg_catalog.oid,pg_catalog.text)",
        4,
    ),
    ("select on pg_authid to public", "may use table pg_catalog.pg_authid", 4),
    ("select (rolpassword) on pg_authid to public", "may use table pg_catalog.pg_authid", 4),
    ("select on pg_shadow to public", "may use view pg_catalog.pg_shadow", 4),
    ("select on pg_statistic to public", "may use table pg_catalog.pg_statistic", 4),
    ("select on pg_largeobject to public", "may use table pg_catalog.pg_largeobject", 0),
];

#[test]
fn every_change_of_a_right_is_found_named_and_mended() {
    // Roles that may do too much are seen in each database of the server.
    let server = Server::new("");
    let installed = Installed::on(TestDb::on(server.config(), "template0"));
    for change in GRANTS {
        installed.try_out(*change);
    }
}

/// As a dump without roles is restored in a server that does not have them.
#[test]
fn what_is_printed_can_be_pasted_from_top_to_bottom() {
    let installed = Installed::new();
    let db = &installed.db;
    for role in ["{anon}", "{authenticated}", "{service}", "{authenticator}", "{owner}"] {
        installed
            .sql(&format!("reassign owned by {role} to postgres; drop owned by {role}; drop role {role}"));
    }
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    installed.mend(&report);
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_is_no_right_of_requests_yet_is_advice() {
    let installed = Installed::new();
    let modern = major() >= 16;
    let mut changes = vec![
        ("grant {service} to {other}", "is a member of {service}"),
        // What a migration makes is closed all the same.
        (
            "alter default privileges for role {owner} grant execute on functions to {other}",
            "open functions to {other}",
        ),
        (
            "alter default privileges for role {owner} grant usage on schemas to {other}",
            "open schemas to {other}",
        ),
    ];
    if modern {
        changes.extend([(
            "grant {authenticator} to {other} with admin true, inherit false, set false",
            "may make itself a member of {authenticator}",
        )]);
    }
    for (change, said) in changes {
        let other = role(&installed.db, "");
        let named = |text: &str| installed.named(text).replace("{other}", &other);
        installed.db.sql(&named(change));
        installed.db.authmig(&["verify"]).exits(0);
        let report = installed.db.authmig(&["verify", "--strict", "--format", "json"]).exits(4).json();
        let finding = &findings(&report, "grants")[0];
        assert_eq!((&finding["severity"], &finding["message"]), (&"error".into(), &named(said).into()));
        if said.starts_with("is a member of ") {
            assert!(
                finding["why"].as_str().unwrap().contains("another database may need this"),
                "{finding:#}"
            );
        }
        let hint = || finding["hint"].as_str().unwrap().split_once(", then ").unwrap().1;
        installed.db.sql(finding["mend"].as_str().unwrap_or_else(hint));
        installed.db.authmig(&["verify", "--strict"]).exits(0);
    }
    if modern {
        for (change, subject) in [
            ("grant {service} to {authenticator} with inherit true", "role {authenticator}"),
            ("grant {service} to {anon} with admin true, inherit false, set false", "role {anon}"),
            ("grant pg_read_all_data to {anon} with admin true, inherit false, set false", "role {anon}"),
        ] {
            installed.try_out((change, "grants", subject));
        }
    }
    installed.try_out((
        "create role {anon}_4; grant {anon}_4 to {authenticator}; grant {service} to {anon}_4",
        "grants",
        "role {anon}_4",
    ));
}

#[test]
fn a_role_with_the_name_of_the_schema_is_no_role_of_ours() {
    let (db, own) = (TestDb::new(), own_roles());
    let other = role(&db, "login");
    let schema = format!("--api-schema={other}");
    db.authmig(&with_options(&["migrate", "--to", "4", &schema], &own)).exits(0);
    let service = own.iter().find_map(|option| option.strip_prefix("--service-role=")).unwrap();
    db.sql(&format!("grant {service} to {other}"));
    db.authmig(&["migrate"]).exits(0);
    let run = db.authmig(&["verify", "--only", "grants"]).exits(0);
    assert!(run.stdout.contains(&format!("role {other}: is a member of {service}")), "{}", run.stdout);
}

#[test]
fn whom_row_level_security_does_not_keep_out_is_named() {
    // Roles are of the whole server, and others are tested on the one that is there.
    let server = Server::new("");
    let installed = Installed::on(TestDb::on(server.config(), "template0"));
    let db = &installed.db;
    let other = role(db, "login bypassrls");
    db.authmig(&["verify", "--strict"]).exits(0);
    db.sql(&format!("grant pg_read_all_data to {other}"));
    let told = db.authmig(&["verify", "--strict"]).exits(4).stdout;
    let said = format!(
        "grants: role {other}: may read or write what {{owner}} owns, row level security or not: \
         bypassrls, pg_read_all_data\n  why: "
    );
    assert!(told.contains(&installed.named(&said)), "{told}");
    // To write is enough.
    db.sql(&format!("revoke pg_read_all_data from {other}; grant pg_write_all_data to {other}"));
    let told = db.authmig(&["verify", "--strict"]).exits(4).stdout;
    assert!(told.contains("row level security or not: bypassrls, pg_write_all_data\n"), "{told}");
    // Not who may not come into this database.
    installed.sql(&format!(
        "revoke connect on database {0} from public; grant connect on database {0} to {{authenticator}}",
        db.name
    ));
    db.authmig(&["verify", "--strict"]).exits(0);
    db.sql(&format!("grant connect on database {} to public", db.name));
    db.authmig(&["verify", "--strict"]).exits(4);
    db.sql(&format!("alter role {other} nobypassrls"));
    db.authmig(&["verify", "--strict"]).exits(0);
    // All rows go to who replicates, and to who may become it.
    db.sql(&format!("alter role {other} replication"));
    let told = db.authmig(&["verify", "--strict"]).exits(4).stdout;
    assert!(told.contains("row level security or not: replication\n"), "{told}");
    db.authmig(&["verify"]).exits(0);
    db.sql(&format!("alter role {other} nologin"));
    db.authmig(&["verify", "--strict"]).exits(0);
    let (between, member) = (role(db, ""), role(db, "login"));
    db.sql(&format!("grant {other} to {between}; grant {between} to {member}"));
    db.authmig(&["verify", "--strict"]).exits(4);
    db.sql(&format!("revoke {other} from {between}; alter role {other} login"));
}

#[test]
fn what_a_message_says_is_not_said_twice() {
    let installed = Installed::new();
    installed.sql(
        "alter role {authenticator} inherit; alter role {anon} login; \
         revoke usage on schema auth from {service}; create function auth.mine() returns int return 1",
    );
    let told = installed.db.authmig(&["verify"]).exits(4).stdout;
    for (said, next) in [
        ("grants: role {authenticator}: has inherit\n", "why"),
        ("grants: role {anon}: has login\n", "why"),
        ("grants: schema auth: {service} may not use\n", "expected"),
        ("objects: function auth.mine(): is not authmig's\n", "why"),
    ] {
        let said = format!("{}  {next}: ", installed.named(said));
        assert!(told.contains(&said), "{said}{told}");
    }
}

#[test]
fn an_authenticator_that_inherits_what_others_may_call_is_no_other_finding() {
    let installed = Installed::new();
    installed.sql("alter role {authenticator} inherit");
    let told = installed.db.authmig(&["verify"]).exits(4).stdout;
    assert!(told.contains("\n  scripts    passed") && told.contains("\n  grants     FAILED"), "{told}");
}

#[test]
fn who_may_act_as_the_owner_over_whoever_migrates_is_advice() {
    let (db, migrator) = of_a_migrator();
    let installed = Installed::on(db);
    let db = &installed.db;
    let other = role(db, "login");
    db.authmig(&["verify", "--strict"]).exits(0);
    db.sql(&format!("grant {migrator} to {other}"));
    let told = db.authmig(&["verify"]).exits(0).stdout;
    let said = format!("advice: role {other}: may act as {{owner}}, as a member of {migrator}\n");
    assert!(told.contains(&installed.named(&said)), "{told}");
    assert!(told.contains("why:      it reads the secret; roles are of the whole server"), "{told}");
    db.sql(first_mend(&told).unwrap());
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn whoever_migrates_without_the_rights_of_the_owner_is_found_and_mended() {
    let (db, migrator) = of_a_migrator();
    let installed = Installed::on(db);
    let (db, owner) = (&installed.db, installed.named("{owner}"));
    db.sql(&format!("set role {migrator}; revoke {owner} from {migrator}"));
    if major() >= 16 {
        db.authmig(&["verify", "--only", "objects"]).exits(4);
    }
    db.sql(&format!("revoke {owner} from {migrator}"));
    let told = db.authmig(&["verify"]).exits(4).stdout;
    let said = format!("objects: role {migrator}: does not have the rights of {owner}\n");
    assert!(told.contains(&said), "{told}");
    let mend = first_mend(&told).unwrap();
    let options = if major() >= 16 { " with inherit true, set true" } else { "" };
    assert_eq!(mend, format!("grant {owner} to {migrator}{options};"));
    db.sql(mend);
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_a_role_of_requests_was_given_of_the_servers_own_is_found() {
    let installed = Installed::new();
    let db = &installed.db;
    for (grant, said, code) in GIVEN {
        if grant.contains("parameter") && major() < 15 {
            continue;
        }
        installed.sql(&format!("grant {grant}"));
        let run = db.authmig(&["verify"]).exits(*code);
        assert!(run.stdout.contains(&format!(": {said}\n")), "{grant}\n{}", run.stdout);
        db.sql(first_mend(&run.stdout).unwrap());
        db.authmig(&["verify", "--strict"]).exits(0);
    }
    installed.sql(&format!("alter database {} owner to {{anon}}", db.name));
    let run = db.authmig(&["verify"]).exits(4);
    let said = installed.named("grants: role {anon}: owns the database\n");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    let mend = format!("mend:     alter database {} owner to current_user;\n", db.name);
    assert!(run.stdout.contains(&mend), "{}", run.stdout);
    db.sql(&format!("alter database {} owner to current_user", db.name));
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_everybody_was_given_of_the_servers_own_is_found() {
    // A parameter is of the whole server, and others are tested on the one that is there.
    let server = Server::new("");
    let Installed { db, .. } = Installed::on(TestDb::on(server.config(), "template1"));
    db.authmig(&["verify", "--strict"]).exits(0);
    // All of it, for there is no other word for what was there before.
    db.sql("grant select (subconninfo) on pg_subscription to public");
    let run = db.authmig(&["verify"]).exits(4);
    let said = "grants: role public: may use table pg_catalog.pg_subscription\n  why:      anybody who can connect may do this\n";
    assert!(run.stdout.contains(said) && !run.stdout.contains("mend:"), "{}", run.stdout);
    db.sql("revoke select (subconninfo) on pg_subscription from public");
    if major() >= 15 {
        db.sql("grant set, alter system on parameter session_replication_role to public; grant set on parameter work_mem to public");
        let run = db.authmig(&["verify"]).exits(4);
        for parameter in ["session_replication_role", "work_mem"] {
            let said = format!("grants: role public: may use parameter {parameter}\n");
            assert_eq!(run.stdout.matches(&said).count(), 1, "{}", run.stdout);
            let mend = format!("mend:     revoke all on parameter {parameter} from public;\n");
            assert!(run.stdout.contains(&mend), "{}", run.stdout);
            db.sql(&format!("revoke all on parameter {parameter} from public"));
        }
    }
    // What extensions give to everybody is theirs.
    db.sql(
        "do $$ declare name text; begin
            for name in select e.name from pg_available_extensions as e where e.name = any (
                '{pg_stat_statements, pg_buffercache, citext, hstore, ltree, pg_trgm, uuid-ossp, dblink, postgres_fdw, file_fdw, amcheck, \
                  adminpack, tablefunc, unaccent, lo, isn, cube}')
            loop execute format('create extension if not exists %I', name); end loop; end $$",
    );
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn who_waits_for_a_migration_may_read_what_it_was_granted() {
    let Installed { db, .. } = Installed::new();
    let reader = role(&db, "login");
    let read_me = include_str!("../../../examples/kubernetes/README.md");
    let grants = read_me.lines().filter(|line| line.starts_with("grant "));
    db.sql(&grants.collect::<String>().replace("authmig_reader", &reader));
    db.authmig(&["verify", "--strict"]).exits(0);
    db.run_by(&reader).authmig(&["status", "--wait", "10s"]).exits(0);
}

/// Where the letter I has another small one.
#[test]
fn rights_are_told_in_a_turkish_database_as_in_any() {
    let Some(db) = TestDb::turkish() else { return };
    let installed = Installed::on(db);
    let db = &installed.db;
    db.authmig(&["verify", "--strict"]).exits(0);
    installed.sql(
        "grant insert, trigger on auth.refresh_token to {anon}; grant insert, trigger on auth.refresh_token to public; \
         alter default privileges in schema auth grant insert on tables to {service}",
    );
    let told = db.authmig(&["verify"]).exits(4).stdout;
    for said in [
        "grants: table auth.refresh_token: {anon} may insert, trigger\n",
        "grants: table auth.refresh_token: public may insert, trigger\n",
        "  found:    insert\n",
    ] {
        assert!(told.contains(&installed.named(said)), "{said}{told}");
    }
    let report = db.authmig(&["grants", "--format", "json"]).exits(0).json();
    let objects = report["objects"].as_array().unwrap();
    let table = objects.iter().find(|object| object["name"] == "auth.refresh_token").unwrap();
    for role in ["public", "{anon}"] {
        let role = installed.named(role);
        assert_eq!(table["privileges"][&role], serde_json::json!(["insert", "trigger"]), "{table:#}");
    }
    installed.mend(&db.authmig(&["verify", "--format", "json"]).json());
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_a_role_of_requests_may_create_and_who_is_sent_the_tables_is_told() {
    let installed = Installed::new();
    let db = &installed.db;
    let verify = |code: i32| db.authmig(&["verify", "--skip", "self-test"]).exits(code).stdout;
    installed.sql(&format!("grant create on database {} to {{anon}}", db.name));
    assert!(verify(0).contains(&installed.named("advice: role {anon}: may create schemas\n")));
    installed.sql(&format!("revoke create on database {} from {{anon}}", db.name));
    installed.sql("grant create on schema api to {service}");
    assert!(verify(0).contains(&installed.named("advice: role {service}: may create in api\n")));
    installed.sql("revoke create on schema api from {service}");
    db.sql("create publication sessions for table auth.refresh_token");
    let told = verify(0);
    assert!(told.contains("advice: publication relation auth.refresh_token in publication sessions: is bound to auth.refresh_token"), "{told}");
    db.sql("drop publication sessions; create publication secrets for table auth_private.config");
    let told = verify(4);
    assert!(
        told.contains("objects: publication relation auth_private.config in publication secrets"),
        "{told}"
    );
    db.sql("drop publication secrets");
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_keeps_postgrest_from_logging_in_is_found_and_mended() {
    let installed = Installed::new();
    let db = &installed.db;
    for (change, said) in [
        (
            format!("revoke connect on database {} from public", db.name),
            format!(": may not connect to {}\n", db.name),
        ),
        ("alter role {authenticator} connection limit 0".to_owned(), ": may have no connection\n".to_owned()),
        (
            format!("alter database {} connection limit 0", db.name),
            format!(": may have no connection to {}\n", db.name),
        ),
        (
            "alter role {authenticator} valid until '2001-01-01'".to_owned(),
            ": its password is not valid any more\n".to_owned(),
        ),
    ] {
        installed.sql(&change);
        let run = db.authmig(&["verify"]).exits(0);
        let said = installed.named(&format!("grants: advice: role {{authenticator}}{said}"));
        assert!(run.stdout.contains(&said), "{}", run.stdout);
        db.sql(first_mend(&run.stdout).unwrap());
        db.authmig(&["verify", "--strict"]).exits(0);
    }
    // Who migrates need not be able to grant it.
    let (fresh, own) = (TestDb::new(), own_roles());
    fresh.sql(&format!("revoke connect on database {} from public", fresh.name));
    let run = fresh.authmig(&with_options(&["migrate"], &own)).exits(0);
    assert!(run.stdout.contains("applied"), "{}", run.stdout);
}

/// Since 16 who created a role may join it, and what that one granted goes with it.
#[test]
fn who_may_join_a_shared_role_is_named_to_every_tenant() {
    if major() < 16 {
        return;
    }
    let (theirs, other) = of_a_migrator();
    let own = own_roles();
    theirs.authmig(&with_options(&["migrate"], &own)).exits(0);
    let (mine, me) = of_a_migrator();
    let owner = unique("owner");
    let options: Vec<_> = own.iter().filter(|option| !option.starts_with("--owner-role")).cloned().collect();
    let options = with_options(&[], &options);
    let owner_option = format!("--owner-role={owner}");
    let named =
        |name: &str| own.iter().find_map(|option| option.strip_prefix(&format!("--{name}="))).unwrap();
    mine.authmig(&[&["migrate", &owner_option][..], &options].concat()).exits(0);
    let verified = mine.authmig(&["verify"]).exits(0).stdout;
    for role in ["authenticator-role", "service-role"].map(named) {
        let said = format!("advice: role {other}: may make itself a member of {role}\n");
        assert!(verified.contains(&said), "{verified}");
        let hint = format!(
            "have a superuser grant what {other} granted of it, then revoke {role} from {other} granted by postgres cascade;\n"
        );
        assert!(verified.contains(&hint), "{verified}");
    }
    assert!(!verified.contains(&format!("role {me}: ")), "{verified}");
    assert!(!theirs.authmig(&["verify"]).exits(0).stdout.contains("may make itself"));
}

/// To be able to pass on what it has anyway makes the owner lose nothing.
#[test]
fn an_owner_that_may_pass_its_rights_on_has_them() {
    let installed = Installed::new();
    installed.sql(
        "grant execute on function auth.logout() to {owner} with grant option; \
         grant select on auth.refresh_token to {owner} with grant option",
    );
    installed.db.authmig(&["verify", "--strict"]).exits(0);
    installed.sql("revoke execute on function auth.logout() from {owner} cascade");
    let told = installed.db.authmig(&["verify"]).exits(4).stdout;
    assert!(told.contains(&installed.named("{owner} may not execute\n")), "{told}");
}
