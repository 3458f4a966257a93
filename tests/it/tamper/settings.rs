//! What is written down: in the ledger, in the settings, and for PostgREST.

use super::{Installed, first_mend};
use crate::support::server::Server;
use crate::support::{TestDb, role};

#[test]
fn a_lost_name_of_the_installation_is_found() {
    let installed = Installed::new();
    let db = &installed.db;
    db.sql("delete from authmig.parameter where name = 'anon_role'");
    let anon = installed.own.iter().find(|option| option.starts_with("--anon-role=")).unwrap();
    let report = db.authmig(&["verify", anon, "--only", "history", "--format", "json"]).exits(4).json();
    let finding = &report["checks"][0]["findings"][0];
    assert_eq!(finding["message"], "has no anon_role");
    db.sql(finding["mend"].as_str().unwrap());
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn an_edited_history_row_is_found() {
    let Installed { db, .. } = Installed::new();
    db.sql("update authmig.schema_history set sha256 = repeat('0', 64) where version = 2");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("history: 02-auth_schema: "), "{}", run.stdout);
}

#[test]
fn a_table_of_the_ledger_that_is_somebody_elses_is_found() {
    let installed = Installed::new();
    installed.sql("alter table authmig.created owner to {service}");
    let run = installed.db.authmig(&["verify"]).exits(1);
    let said =
        installed.named("this installation belongs to {service}, who could run code as whoever else looks");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    // A superuser could do so anyway.
    let superuser = role(&installed.db, "superuser");
    installed.db.sql(&format!("alter table authmig.created owner to {superuser}"));
    let run = installed.db.authmig(&["verify"]).exits(4);
    assert!(
        run.stdout.contains("objects: table authmig.created: its owner is another one"),
        "{}",
        run.stdout
    );
}

#[test]
fn settings_that_their_trigger_would_not_let_pass_are_found() {
    let installed = Installed::new();
    for (change, back, said) in [
        ("grace_seconds = 999999", "grace_seconds = 10", "grace_seconds must be 0 to 60"),
        (
            "authenticator_role = 'mallory'",
            "authenticator_role = '{authenticator}'",
            "auth_private.config has mallory as the authenticator",
        ),
    ] {
        let write = |what: &str| {
            installed.sql(&format!(
                "alter table auth_private.config disable trigger all; update auth_private.config set {what}; \
                 alter table auth_private.config enable trigger all"
            ));
        };
        write(change);
        let run = installed.db.authmig(&["verify"]).exits(4);
        assert!(run.stdout.contains(&format!("self-test: {said}")), "{}", run.stdout);
        if change.starts_with("authenticator_role") {
            let mend = format!("mend:     update auth_private.config set {};\n", installed.named(back));
            assert!(run.stdout.contains(&mend), "{}", run.stdout);
        }
        write(back);
        installed.db.authmig(&["verify", "--strict"]).exits(0);
    }
}

#[test]
fn a_key_that_is_not_that_of_the_secret_is_found() {
    let Installed { db, .. } = Installed::new();
    db.sql(
        "alter table auth_private.config disable trigger check_config; \
         update auth_private.config set inner_pad = outer_pad; \
         alter table auth_private.config enable trigger check_config",
    );
    let report = db.authmig(&["verify", "--format", "json"]).exits(4).json();
    let finding = &report["checks"][1]["findings"][0];
    assert!(
        finding["message"].as_str().unwrap().contains("another key than that of the secret"),
        "{report:#}"
    );
    db.sql(finding["mend"].as_str().unwrap());
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn a_missing_row_of_settings_is_found() {
    let Installed { db, .. } = Installed::new();
    db.sql("delete from auth_private.config");
    let run = db.authmig(&["verify"]).exits(4);
    assert!(run.stdout.contains("self-test: auth_private.config has no row"), "{}", run.stdout);
    db.sql(first_mend(&run.stdout).unwrap());
    db.authmig(&["secret", "generate"]).exits(0);
    db.authmig(&["verify", "--strict"]).exits(0);
}

#[test]
fn what_postgrest_is_told_wrongly_is_found() {
    let installed = Installed::new();
    let db = &installed.db;
    let run = |setting: &str, code: i32| {
        installed.sql(&format!("alter role {{authenticator}} in database {} set {setting}", db.name));
        let run = db.authmig(&["verify", "--only", "postgrest"]).exits(code);
        if let Some(mend) = first_mend(&run.stdout) {
            db.sql(mend);
            db.authmig(&["verify", "--only", "postgrest"]).exits(0);
        }
        installed.sql(&format!("alter role {{authenticator}} in database {} reset all", db.name));
        run.stdout
    };
    assert!(run("pgrst.db_schemas = 'api'", 4).contains("the schema auth is not exposed"));
    assert!(
        run("pgrst.db_schemas = 'api, auth, auth_private'", 4).contains("the schema auth_private is exposed")
    );
    assert!(
        run("pgrst.db_extra_search_path = 'public, authmig'", 4).contains("the schema authmig is exposed")
    );
    assert!(run("pgrst.jwt_secret = 'AAAA'", 4).contains("another JWT secret is set here"));
    run("pgrst.db_schemas = 'api, auth'", 0);
    assert!(run("pgrst.db_anon_role = '{service}'", 4).contains("run as another role"));
    run("pgrst.db_anon_role = '{anon}'", 0);
    assert!(run("pgrst.jwt_role_claim_key = '.sub'", 4).contains("the role is read from another claim"));
    run("pgrst.jwt_role_claim_key = '.role'", 0);
    assert!(run("pgrst.jwt_secret_is_base64 = 'false'", 4).contains("taken for the key itself"));
    run("pgrst.jwt_secret_is_base64 = 'true'", 0);
    // It chooses the key.
    assert!(run("pgrst.db_pre_config = 'public.mine'", 4).contains("from a function that is not there"));
    let other = role(db, "");
    db.sql(&format!(
        "create function public.mine() returns void language sql as ''; alter function public.mine() owner to {other}"
    ));
    assert!(run("pgrst.db_pre_config = 'public.mine'", 4).contains("that somebody else could replace"));
    db.sql("alter function public.mine() owner to postgres");
    assert!(
        run("pgrst.db_pre_config = 'public.mine'", 0).contains("advice: pgrst.db_pre_config: the secret")
    );
    // Who owns the schema can put another one there.
    db.sql(&format!("alter schema public owner to {other}"));
    assert!(run("pgrst.db_pre_config = 'public.mine'", 4).contains("that somebody else could replace"));
    db.sql("alter schema public owner to postgres");
    run("pgrst.jwt_aud = 'shop'", 0);
    db.sql("update auth_private.config set audience = 'shop'");
    run("pgrst.jwt_aud = 'shop'", 0);
    assert!(run("pgrst.jwt_aud = 'stop'", 4).contains("another audience is wanted"));
    db.sql("update auth_private.config set audience = null");
    run("pgrst.db_pre_config = 'auth_private.postgrest_config'", 0);
    assert!(run("pgrst.db_tx_end = 'commit-allow-override'", 4).contains("may be taken back"));
    run("pgrst.db_tx_end = 'commit'", 0);
    assert!(run("pgrst.db_pre_request = 'public.mine'", 0).contains("a function runs before each request"));
    assert!(run("role = '{service}'", 4).contains("PostgREST begins as another role"));
    assert!(run("session_replication_role = 'replica'", 4).contains("triggers do not run in requests"));
    // An empty value is none. What is set for this database goes before what is set for all.
    run("pgrst.db_schemas = ''", 0);
    installed.sql("alter role {authenticator} set pgrst.db_schemas = 'api'");
    let everywhere = db.authmig(&["verify", "--only", "postgrest"]).exits(4).stdout;
    assert!(everywhere.contains("the schema auth is not exposed"), "{everywhere}");
    let mend = first_mend(&everywhere).unwrap();
    assert!(mend.starts_with(&installed.named("alter role {authenticator} set ")), "{mend}");
    run("pgrst.db_schemas = 'api, auth'", 0);
    installed.sql("alter role {authenticator} reset all");
    // What somebody pastes does what it says and no more.
    let injected = run("pgrst.db_schemas = 'x''; select 1/0; --'", 4);
    assert!(injected.contains(" set pgrst.db_schemas = 'x''; select 1/0; --, auth';"), "{injected}");
    db.sql("update auth_private.config set jwt_secret = null");
    assert!(run("pgrst.jwt_secret = 'AAAA'", 4).contains("the JWT secret cannot be used"));
    let advice = db.authmig(&["verify", "--only", "postgrest"]).exits(0).stdout;
    assert!(advice.contains("advice: JWT secret: none is set"), "{advice}");
    db.authmig(&["verify", "--only", "postgrest", "--strict"]).exits(4);
}

/// What a database or all roles are set to, a login takes as well; the more special one counts.
#[test]
fn what_everybody_is_told_wrongly_is_found() {
    // All roles are those of every test.
    let server = Server::new("");
    let installed = Installed::on(TestDb::on(server.config(), "template0"));
    let db = &installed.db;
    let replica = (
        "session_replication_role = replica",
        4,
        "session_replication_role: triggers do not run in requests",
    );
    let isolation =
        "advice: pgrst.db_hoisted_tx_settings: default_transaction_isolation is not among the settings";
    let settings = [
        replica,
        ("pgrst.db_hoisted_tx_settings = ''", 0, isolation),
        (
            "pgrst.db_hoisted_tx_settings = 'statement_timeout, my.default_transaction_isolation'",
            0,
            isolation,
        ),
    ];
    // Behind a pre-config, PostgREST sees them whoever they are for.
    let behind = [
        ("pgrst.db_anon_role = 'postgres'", 4, "pgrst.db_anon_role: requests without a token run as another"),
        ("pgrst.jwt_role_claim_key = '.sub'", 4, "pgrst.jwt_role_claim_key: the role is read from another"),
        ("pgrst.db_tx_end = 'rollback'", 4, "pgrst.db_tx_end: what a request did may be taken back"),
        ("pgrst.db_schemas = 'api'", 4, "pgrst.db_schemas: the schema auth is not exposed"),
    ];
    for whose in [
        format!("database {}", db.name),
        "role all".to_owned(),
        format!("role all in database {}", db.name),
        installed.named("role {authenticator}"),
        installed.named(&format!("role {{authenticator}} in database {}", db.name)),
    ] {
        let everybodys = whose.starts_with("database ") || whose == "role all";
        for (setting, code, said) in settings.into_iter().chain(behind.into_iter().filter(|_| everybodys)) {
            db.sql(&format!("alter {whose} set {setting}"));
            let told = db.authmig(&["verify", "--only", "postgrest"]).exits(code).stdout;
            assert!(told.contains(said), "{whose} {setting}\n{told}");
            db.authmig(&["verify", "--only", "postgrest", "--strict"]).exits(4);
            db.sql(first_mend(&told).unwrap());
            db.authmig(&["verify", "--strict"]).exits(0);
        }
        db.sql(&format!("alter {whose} reset all"));
    }
    db.sql(&format!("alter database {} set session_replication_role = replica", db.name));
    installed.sql(
        "alter role {authenticator} set session_replication_role = origin; \
         alter role {authenticator} set pgrst.db_hoisted_tx_settings = 'work_mem, default_transaction_isolation'",
    );
    db.authmig(&["verify", "--only", "postgrest", "--strict"]).exits(0);
}

/// It may be meant for others, so it stops no commit.
#[test]
fn what_everybody_is_told_wrongly_is_told_when_it_is_installed() {
    let server = Server::new("");
    let db = TestDb::on(server.config(), "template0");
    // A role that is called like everybody is one role.
    let migrate = ["migrate", "--authenticator-role", "allison"];
    db.sql("create role allison noinherit login; alter role allison set pgrst.db_anon_role = 'postgres'");
    let run = db.authmig(&migrate).exits(8);
    assert!(run.stderr.contains("pgrst.db_anon_role: requests without a token"), "{}", run.stderr);
    db.sql("alter role allison reset all");
    db.sql(&format!("alter database {} set pgrst.jwt_secret_is_base64 = 'false'", db.name));
    let run = db.authmig(&migrate).exits(0);
    let told = format!(
        "notice: pgrst.jwt_secret_is_base64: the secret is taken for the key itself: \
         alter database {} reset pgrst.jwt_secret_is_base64;\n",
        db.name
    );
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    db.authmig(&["verify"]).exits(4);
}
