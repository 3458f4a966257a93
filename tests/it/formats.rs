//! The formats for CI, each read by a parser of somebody else.

use crate::support::proxy::Proxy;
use crate::support::{Files, TestDb, finish, own_roles, role, unique, with_options};

fn tampered() -> TestDb {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    db.sql(
        "create function auth.\"<&\"\"'>\n\"() returns int language sql as 'select 1';
            drop index auth.refresh_token_subject",
    );
    db
}

#[test]
fn junit_is_xml_with_a_case_a_check() {
    let db = tampered();
    let run = db.authmig(&["verify", "--format", "junit"]).exits(4);
    let document = roxmltree::Document::parse(&run.stdout).unwrap();
    let cases: Vec<_> = document.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    let names: Vec<_> = cases.iter().map(|case| case.attribute("name").unwrap()).collect();
    assert_eq!(names, authmig::report::CheckName::ALL.map(authmig::report::CheckName::word));
    let failed = |case: &roxmltree::Node<'_, '_>| case.children().any(|node| node.has_tag_name("failure"));
    assert_eq!(cases.iter().map(failed).collect::<Vec<_>>(), [false, false, true, false, false, false]);
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    assert_eq!((suite.attribute("tests"), suite.attribute("failures")), (Some("6"), Some("1")));
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert!(
        failure.attribute("message").unwrap().contains("function auth.\"<&\"\"'>\n\"()"),
        "{}",
        run.stdout
    );
    assert!(failure.text().unwrap().contains("CREATE INDEX refresh_token_subject"), "{}", run.stdout);
}

#[test]
fn junit_says_why_a_check_was_skipped() {
    let reasons = |db: &TestDb, exit: i32| {
        let run = db.authmig(&["verify", "--format", "junit"]).exits(exit);
        let document = roxmltree::Document::parse(&run.stdout).unwrap();
        let skipped = document.descendants().filter(|node| node.has_tag_name("skipped"));
        skipped.map(|node| node.attribute("message").unwrap().to_owned()).collect::<Vec<_>>()
    };
    let nothing = reasons(&TestDb::new(), 4);
    assert!(nothing.iter().all(|reason| reason == "there is nothing that it could look at"), "{nothing:?}");
    let foreign = TestDb::new();
    foreign.authmig(&["migrate"]).exits(0);
    foreign.sql("create function auth.f() returns int language sql as 'select 1'");
    let foreign = reasons(&foreign, 4);
    assert!(foreign.iter().all(|reason| reason.contains(": not tried: it would run ")), "{foreign:?}");
    assert!(!nothing.is_empty() && !foreign.is_empty(), "{nothing:?} {foreign:?}");
}

#[test]
fn sarif_is_sarif() {
    let db = tampered();
    let run = db.authmig(&["verify", "--format", "sarif"]).exits(4);
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&run.stdout).unwrap();
    let results = log.runs[0].results.as_ref().unwrap();
    let errors =
        results.iter().filter(|result| result.level == Some(serde_sarif::sarif::ResultLevel::Error)).count();
    // What would run the foreign function is not tried: three notes.
    assert_eq!((errors, results.len()), (2, 5), "{}", run.stdout);
    assert!(results.iter().all(|result| result.rule_id.is_some()));
    // GitHub takes no result without a place in a file.
    for result in results {
        let location = &result.locations.as_ref().unwrap()[0];
        let place = location.physical_location.as_ref().unwrap();
        let uri = place.artifact_location.as_ref().unwrap().uri.as_deref();
        assert_eq!(uri, Some(&*format!("authmig/{}", result.rule_id.as_ref().unwrap())), "{}", run.stdout);
        assert_eq!(place.region.as_ref().unwrap().start_line, Some(1));
        assert!(location.logical_locations.as_ref().unwrap()[0].name.is_some());
    }
}

#[test]
fn a_name_is_no_command_to_the_terminal_or_the_runner() {
    let db = TestDb::new();
    db.authmig(&["migrate"]).exits(0);
    let role = format!("{}\u{1b}[2J\n::error title=forged::", unique("r"));
    db.sql(&format!("create role \"{role}\"; grant execute on function auth.logout() to \"{role}\""));
    for format in ["github", "human"] {
        let run = db.authmig(&["verify", "--only", "grants", "--format", format]).exits(4);
        assert!(run.stdout.contains("[2J") && !run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
        let commands = run.stdout.lines().filter(|line| line.trim_start().starts_with("::"));
        assert_eq!(commands.clone().count(), usize::from(format == "github"), "{}", run.stdout);
        assert!(commands.clone().all(|line| line.starts_with("::error title=authmig verify")));
    }
    db.sql(&format!("drop owned by \"{role}\"; drop role \"{role}\""));
    let url = format!("{}?application_name=a%0A::error::forged", db.url());
    let run = db.authmig(&["status", "-v", "--format", "github", "--database-url", &url]).exits(0);
    assert!(run.stderr.contains("forged") && !run.stderr.contains("\n::"), "{}", run.stderr);
}

#[test]
fn a_notice_is_no_command_to_a_runner_in_any_format() {
    let told =
        r"E'x\n::error title=x::forged\n \u00a0::error::forged\n##[error]forged\n##vso[task.complete]forged'";
    for format in [&["--format", "human"][..], &["--format", "json"], &["--format", "github"], &["-v"]] {
        let db = TestDb::new();
        db.sql(&format!(
            "create function public.speak() returns event_trigger language plpgsql as $$ begin raise notice {told}; end $$;
             create event trigger speak on ddl_command_end execute function public.speak()"
        ));
        let run = db.authmig(&[&["migrate"], format].concat()).exits(0);
        assert!(run.stderr.contains("notice: x\n") && run.stderr.contains("forged"), "{}", run.stderr);
        let is_command = |line: &&str| {
            line.trim_start().starts_with("::") || line.contains("##[") || line.contains("##vso[")
        };
        assert_eq!(run.stderr.lines().find(is_command), None, "{format:?}");
    }
}

#[test]
fn each_format_says_what_was_expected_and_what_was_found() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    db.sql("comment on schema auth is 'mine'");
    let line =
        "schema auth: its comment is another one%nexpected: Login sessions and access tokens%nfound: mine%n";
    for (format, line_end) in [("github", "%0A"), ("junit", "&#10;"), ("sarif", "\\n")] {
        let run = db.authmig(&["verify", "--format", format]).exits(4);
        assert!(run.stdout.contains(&line.replace("%n", line_end)), "{format}\n{}", run.stdout);
    }
}

#[test]
fn each_format_says_what_helps_where_a_run_ends() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let maker = role(&db, "");
    db.sql(&format!("grant create on schema pg_catalog to {maker}"));
    let mend = format!("revoke create on schema pg_catalog from {maker};");
    let lines = format!("; nothing was changed%n  - {maker} may create in pg_catalog%n      {mend}");
    for (format, line_end) in [("github", "%0A"), ("junit", "&#10;"), ("sarif", "\\n")] {
        let run = db.authmig(&["verify", "--format", format]).exits(4);
        assert!(run.stdout.contains(&lines.replace("%n", line_end)), "{format}\n{}", run.stdout);
    }
    let found = &db.authmig(&["verify", "--format", "json"]).exits(4).json()["error"]["findings"];
    let expected =
        serde_json::json!([{"message": format!("{maker} may create in pg_catalog"), "help": mend}]);
    assert_eq!(*found, expected);
    db.sql(&mend);
    let changed = Files::embedded().append("01-extensions.up.sql", "select 1;");
    let run = db.authmig_with(&changed, &["migrate", "--format", "github"]).exits(4);
    assert!(run.stdout.contains("%0Ahint: use the authmig that applied these"), "{}", run.stdout);
}

#[test]
fn advice_that_counts_is_an_error_in_each_format() {
    let (db, own) = (TestDb::new(), own_roles());
    db.authmig(&with_options(&["migrate"], &own)).exits(0);
    let verify = |format: &str, option: &[&str], exit: i32| {
        db.authmig(&[&["verify", "--only", "postgrest", "--format", format], option].concat())
            .exits(exit)
            .stdout
    };
    for (format, advice, error) in [
        ("human", "postgrest: advice: JWT secret: ", "postgrest: JWT secret: "),
        (
            "json",
            r#""subject":"JWT secret","severity":"advice""#,
            r#""subject":"JWT secret","severity":"error""#,
        ),
        ("junit", "<system-out>advice: JWT secret: ", ">JWT secret: "),
        ("sarif", r#""level":"note""#, r#""level":"error""#),
        (
            "github",
            "::notice title=authmig verify%3A postgrest::",
            "::error title=authmig verify%3A postgrest::",
        ),
    ] {
        let (told, counted) = (verify(format, &[], 0), verify(format, &["--strict"], 4));
        assert!(told.contains(advice) && !told.contains(error), "{format}: {told}");
        assert!(counted.contains(error) && !counted.contains(advice), "{format}: {counted}");
    }
    // What a check that was asked for could not look at, counts as well.
    db.sql("create function auth.f() returns int language sql as 'select 1'");
    let told = db.authmig(&["verify", "--only", "self-test,objects", "--format", "github"]).exits(4).stdout;
    assert!(told.contains("::error title=authmig verify%3A self-test::self-test: not tried: "), "{told}");
}

#[test]
fn github_annotates_what_is_wrong() {
    let db = tampered();
    let run = db.authmig(&["verify", "--format", "github"]).exits(4);
    assert!(
        run.stdout.contains(
            "::error title=authmig verify%3A objects::index auth.refresh_token_subject: is missing%0A"
        ),
        "{}",
        run.stdout
    );
    let db = TestDb::new();
    let files = Files::tables(1..=2);
    let run = db.authmig_with(&files, &["status", "--format", "github", "--check"]).exits(3);
    assert!(
        run.stdout.contains("::warning title=authmig status::2 of 2 migrations are pending\n"),
        "{}",
        run.stdout
    );
    let broken = files.clone().append("02-t2.up.sql", "\nselect nonsense;");
    let run = db.authmig_with(&broken, &["migrate", "--format", "github"]).exits(8);
    assert_eq!(
        run.stdout,
        "::error title=authmig,file=migrations/02-t2.up.sql,line=3,col=8::02-t2 failed; nothing was changed%0A  \
         --> 02-t2.up.sql:3:8%0A   |%0A 3 | select nonsense;%0A   |        ^ column \"nonsense\" does not exist (42703)\n"
    );
    let run = db.authmig_with(&files, &["migrate", "--format", "github"]).exits(0);
    assert!(run.stdout.ends_with("::notice title=authmig migrate::01-t1, 02-t2\n"), "{}", run.stdout);
    let changed = files.append("01-t1.up.sql", "\nselect 1;");
    let run = db.authmig_with(&changed, &["migrate", "--format", "github"]).exits(4);
    assert!(
        run.stdout.contains("; nothing was changed%0A  - 01-t1 was applied from another script"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_format_that_a_command_does_not_have_is_refused() {
    let db = TestDb::new();
    for arguments in [
        &["migrate", "--format", "junit"][..],
        &["status", "--format", "sarif"],
        &["rollback", "--format", "github"],
    ] {
        db.authmig(arguments).exits(2);
    }
    assert_eq!(db.history(), [0; 0]);
}

#[test]
fn a_report_for_ci_is_there_also_if_nothing_could_be_checked() {
    let db = TestDb::new();
    let nowhere = db.url_at(crate::support::server::free_port());
    let verify = |format: &str| {
        db.authmig(&["verify", "--format", format, "--database-url", &nowhere]).exits(5).stdout
    };
    let junit = verify("junit");
    let document = roxmltree::Document::parse(&junit).unwrap();
    let error = document.descendants().find(|node| node.has_tag_name("error")).unwrap();
    assert!(error.attribute("message").unwrap().starts_with("cannot connect to "), "{junit}");
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&verify("sarif")).unwrap();
    let invocation = &log.runs[0].invocations.as_ref().unwrap()[0];
    assert_eq!((invocation.execution_successful, invocation.exit_code), (false, Some(5)));
    // One format for all of a job: what has none like that writes for people.
    for command in [&["install"][..], &["rollback", "--dry-run"], &["grants"], &["exit-codes"]] {
        let mut run = db.command(command);
        finish(run.env("AUTHMIG_FORMAT", "github").spawn().unwrap()).exits(0);
    }
}

#[test]
fn wrong_usage_is_an_object_too() {
    let db = TestDb::new();
    for arguments in [
        &["status", "--chek", "--format", "json"][..],
        &["--format=json", "status", "--wait", "90"],
        &["statu", "--format", "json"],
        &["export", "--json"],
    ] {
        let run = db.authmig(arguments).exits(2);
        let report = run.json();
        assert_eq!((&report["schema"], &report["exit"]), (&"authmig.error/1".into(), &2.into()), "{report}");
        let said = report["error"]["message"].as_str().unwrap();
        assert!(run.stderr.starts_with(&format!("error: {said}")), "{}{}", run.stdout, run.stderr);
    }
    let run = db.authmig(&["status", "--chek", "--format", "github"]).exits(2);
    assert!(
        run.stdout.starts_with("::error title=authmig::unexpected argument '--chek' found%0A"),
        "{}",
        run.stdout
    );
    // Standard output is another program's, or is for a reader.
    for arguments in [&["install", "--chek", "--", "true"][..], &["man", "--chek"]] {
        let mut command = db.command(arguments);
        let run = finish(command.env("AUTHMIG_FORMAT", "json").spawn().unwrap()).exits(2);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_verification_that_fails_in_migrate_is_an_annotation() {
    let (db, own) = (TestDb::new(), own_roles());
    let files = Files::embedded().append("02-auth_schema.up.sql", "create table auth.more (id int);");
    let run = db.authmig_with(&files, &with_options(&["migrate", "--format", "github"], &own)).exits(8);
    assert!(run.stdout.contains("%0Aobjects: table auth.more: is not authmig's"), "{}", run.stdout);
}

#[test]
fn there_is_one_object_also_if_what_was_written_did_not_come_true() {
    let made = || {
        let db = TestDb::new();
        db.authmig(&["migrate"]).exits(0);
        db
    };
    let generate = |db: &TestDb, proxy: &Proxy| {
        let url = format!("{}?sslmode=disable", db.url_at(proxy.port));
        db.authmig(&["secret", "generate", "--print", "--format", "json", "--database-url", &url])
    };
    let (db, proxy) = (made(), Proxy::to(made().port()));
    generate(&db, &proxy).exits(0);
    let (_, turns) = proxy.counts();
    let (db, proxy) = (made(), Proxy::to(db.port()));
    let name = db.name.clone();
    let mut killer = db.client();
    proxy.before(turns, move || {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()";
        killer.execute(kill, &[&name]).unwrap();
    });
    let run = generate(&db, &proxy).exits(5);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    assert!(run.json()["secret"].is_string() && run.stderr.contains("was lost during the commit"), "{run:?}");
}

#[test]
fn what_has_several_lines_is_not_indented_in_a_report() {
    let run = TestDb::new().authmig(&["verify", "--only", "nonsense", "--format", "junit"]).exits(2);
    assert!(run.stdout.contains("&gt;'&#10;  [possible values: history, "), "{}", run.stdout);
}
