//! What is written about a connection, and that no secret is.

use crate::support::{JWT_SECRET, TestDb, finish, role};

#[test]
fn verbose_says_where_each_setting_comes_from() {
    let db = TestDb::new();
    let mut command = db.command(&["status", "-v"]);
    command.env("PGAPPNAME", "x y").env("PGPASSWORD", "s3cret");
    let run = finish(command.spawn().unwrap()).exits(0);
    let said: Vec<_> = run
        .stderr
        .lines()
        .map(|line| line.split_once(" INFO authmig::database::connect: ").unwrap().1)
        .collect();
    assert_eq!(
        said,
        [
            "application_name='x y' (PGAPPNAME)".to_owned(),
            format!("dbname={} (DATABASE_URL)", db.name),
            "host=127.0.0.1 (DATABASE_URL)".to_owned(),
            "password=(not shown) (PGPASSWORD)".to_owned(),
            format!("port={} (DATABASE_URL)", db.port()),
            "user=postgres (DATABASE_URL)".to_owned(),
        ]
    );
}

#[test]
fn logs_can_be_filtered_and_written_as_json() {
    let db = TestDb::new();
    let run = db.authmig(&["migrate", "--log-format", "json", "-vv"]).exits(0);
    let lines: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["fields"]["message"].as_str().unwrap()).collect();
    let sizes = lines.iter().filter(|line| line["fields"]["message"] == "message to the server");
    let sizes: Vec<_> = sizes.filter_map(|line| line["fields"]["bytes"].as_u64()).collect();
    // What is there, and what is done about it.
    assert!(matches!(sizes[..], [question, work] if question < work), "{sizes:?}");
    assert!(messages.contains(&"running 02-auth_schema.up.sql"), "{messages:?}");

    let run = db.authmig(&["migrate", "--log-format", "json", "--to", "9999"]).exits(2);
    let line: serde_json::Value = serde_json::from_str(run.stderr.trim_end()).unwrap();
    assert_eq!((line["level"].as_str(), line["fields"]["exit"].as_u64()), (Some("ERROR"), Some(2)));
    assert!(line["fields"]["message"].as_str().unwrap().starts_with("error: "), "{line}");

    for (arguments, variable) in [
        (&["migrate", "--log-format", "json", "--bogus"][..], ""),
        (&["migrate", "--bogus", "--log-format=json"], ""),
        (&["migrate", "--bogus"], "json"),
    ] {
        let mut command = db.command(arguments);
        let run = finish(command.env("AUTHMIG_LOG_FORMAT", variable).spawn().unwrap()).exits(2);
        let line: serde_json::Value = serde_json::from_str(run.stderr.trim_end()).unwrap();
        assert_eq!((line["level"].as_str(), line["fields"]["exit"].as_u64()), (Some("ERROR"), Some(2)));
        assert!(
            line["fields"]["message"].as_str().unwrap().starts_with("error: unexpected argument"),
            "{line}"
        );
    }

    // What refuses is an error like another, beside the result.
    let run = db.authmig(&["rollback", "--log-format", "json"]).exits(7);
    let line: serde_json::Value = serde_json::from_str(run.stderr.trim_end()).unwrap();
    assert_eq!(line["fields"]["exit"], 7);
    assert!(line["fields"]["message"].as_str().unwrap().starts_with("error: refused: "), "{line}");

    // What the driver would log is whole statements.
    let fresh = TestDb::new();
    let run = fresh.authmig(&["migrate", "--log", "trace"]).exits(0);
    assert!(run.stderr.contains("DEBUG authmig::database: message to the server"), "{}", run.stderr);
    assert!(!run.stderr.contains("create table"), "{}", run.stderr);

    assert_eq!(db.authmig(&["status", "-v", "--log", "error"]).exits(0).stderr, "");
    let run = db.authmig(&["status", "--log", "authmig::database=debug"]).exits(0);
    assert!(run.stderr.contains("DEBUG authmig::database: message to the server"), "{}", run.stderr);
    let run = db.authmig(&["status", "--log", "no=such=level"]).exits(2);
    assert!(
        run.stderr.contains("a filter looks like debug, or authmig::database=debug,info"),
        "{}",
        run.stderr
    );
}

#[test]
fn no_secret_is_written_at_any_level_whatever_goes_wrong() {
    let db = TestDb::new();
    let user = role(&db, "login superuser password 's3cret'");
    let secret = JWT_SECRET;
    let (port, name) = (db.port(), &db.name);
    let strings = [
        format!("postgres://{user}:s3cret@127.0.0.1:{port}/{name}"),
        format!("postgres://{user}:s3cret@127.0.0.1:{port}/nowhere"),
        format!("postgres://{user}:s3cret@127.0.0.1:1/{name}"),
        format!("postgres://{user}:s3cret@127.0.0.1:{port}/{name}?sslmode=require"),
        format!("postgres://nobody_here:s3cret@127.0.0.1:{port}/{name}"),
        format!("postgres://{user}:s3/cret@127.0.0.1:{port}/{name}"),
        format!("postgres://{user}:s3@cret@127.0.0.1:{port}/{name}"),
        format!("postgres://{user}:12/s3cret@127.0.0.1:{port}/{name}"),
        format!("postgres://{user}:s3cret?@127.0.0.1:{port}/{name}?s3cret"),
        format!("postgres://{user}:s3cret%@127.0.0.1:{port}/{name}"),
        format!("postgres://{user}@127.0.0.1:s3cret/{name}"),
        format!("postgres://{user}@127.0.0.1:{port}/{name}?password=s3cret&sslmode=s3cret"),
        format!("postgres://{user}@127.0.0.1:{port}/{name}?password=s3cret&s3cret=1"),
        format!("host=127.0.0.1 port={port} user={user} password='s3cret"),
        format!("host=127.0.0.1 port={port} user={user} password=s3cret s3cret"),
        format!("mysql://{user}:s3cret@127.0.0.1:{port}/{name}"),
        "s3cret".to_owned(),
    ];
    for string in &strings {
        for arguments in [
            &["migrate", "-vv"][..],
            &["status", "-vv", "--format", "json"],
            &["verify", "--log", "trace", "--log-format", "json"],
            &["secret", "set", "--replace", "-vv"],
            &["rollback", "--all", "--dry-run", "-vv"],
        ] {
            let mut command = db.command(arguments);
            command
                .env("DATABASE_URL", string)
                .env("AUTHMIG_JWT_SECRET", secret)
                .env("RUST_LOG", "trace")
                .env("RUST_BACKTRACE", "1");
            let run = finish(command.spawn().unwrap());
            let said = format!("{}{}", run.stdout, run.stderr);
            for part in ["s3", "cret", secret] {
                assert!(!said.replace("secret", "").contains(part), "{string} {arguments:?}: {said}");
            }
        }
    }
    assert_eq!(db.ask("select jwt_secret from auth_private.config"), secret);

    // Where a connection string does not belong.
    let string = "postgres://u:s3cret@127.0.0.1:1/x";
    for variable in ["DATABASE_URL_FILE", "PGSERVICE", "PGDATABASE", "PGOPTIONS", "PGSERVICEFILE"] {
        let mut command = db.command(&["status", "-vv"]);
        command.env_remove("DATABASE_URL").env("PGHOST", "127.0.0.1").env("PGPORT", "1");
        command.env(variable, string).env("PGAPPNAME", "x");
        let run = finish(command.spawn().unwrap());
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cret"), "{variable}: {}", run.stderr);
    }
}
