//! Connection strings from files, and warnings about files.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{TestDb, versions};

#[test]
fn a_file_can_hold_the_connection_string() {
    let db = TestDb::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    // Some editors mark a file as UTF-8.
    std::fs::write(&file, format!("\u{feff}  {}\n", db.url())).unwrap();
    let file = file.display().to_string();
    for variable in ["DATABASE_URL_FILE", "AUTHMIG_DATABASE_URL_FILE"] {
        let mut command = db.command(&["migrate"]);
        command.env_remove("DATABASE_URL").env(variable, &file);
        crate::support::finish(command.spawn().unwrap()).exits(0);
    }
    let with = |name: &str, value: &str, url: bool| {
        let mut command = db.command(&["migrate"]);
        if !url {
            command.env_remove("DATABASE_URL");
        }
        crate::support::finish(command.env(name, value).spawn().unwrap()).exits(2).stderr
    };
    assert_eq!(
        with("DATABASE_URL_FILE", &file, true),
        "error: DATABASE_URL and DATABASE_URL_FILE are both set, and only one can be meant\n"
    );
    assert_eq!(
        with("DATABASE_URL_FILE", "/nowhere/url", false),
        "error: the file that DATABASE_URL_FILE names, /nowhere/url, cannot be read: \
         No such file or directory (os error 2)\n"
    );
}

#[test]
fn the_strongest_origin_wins() {
    let db = TestDb::new();
    let good = db.url();
    let bad = "postgres://nobody_here@127.0.0.1:1/nowhere";
    let run = |option: Option<&str>, own: Option<&str>, general: Option<&str>, host: &str| {
        let mut command = db.command(&["status"]);
        command.env_remove("DATABASE_URL").env("PGHOST", host);
        if let Some(url) = option {
            command.args(["--database-url", url]);
        }
        for (name, value) in [("AUTHMIG_DATABASE_URL", own), ("DATABASE_URL", general)] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        crate::support::finish(command.spawn().unwrap()).code
    };
    assert_eq!(run(Some(&good), Some(bad), Some(bad), "127.0.0.2"), 0);
    assert_eq!(run(None, Some(&good), Some(bad), "127.0.0.2"), 0);
    assert_eq!(run(None, None, Some(&good), "127.0.0.2"), 0);
    assert_eq!(run(None, Some(""), Some(&good), "127.0.0.2"), 0);
    assert_eq!(run(Some(bad), Some(&good), Some(&good), "127.0.0.1"), 5);
}

#[test]
fn no_database_named_at_all_is_refused() {
    let db = TestDb::new();
    let mut command = db.command(&["migrate"]);
    command.env_remove("DATABASE_URL");
    let run = crate::support::finish(command.spawn().unwrap()).exits(2);
    assert_eq!(
        run.stderr,
        "error: no database is named\n\
         hint: set DATABASE_URL or PGHOST, PGDATABASE and their like, or give --database-url\n"
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;
    let db = TestDb::new();
    for variable in ["PGSSLMODE", "DATABASE_URL", "PGPASSWORD"] {
        let mut command = db.command(&["status"]);
        command.env(variable, std::ffi::OsStr::from_bytes(b"requ\xe4re"));
        let run = crate::support::finish(command.spawn().unwrap()).exits(2);
        assert_eq!(run.stderr, format!("error: {variable} is not UTF-8\n"));
    }
}

#[test]
fn a_password_file_that_others_may_read_is_not_used_and_said_so() {
    let db = TestDb::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, "*:*:*:*:s3cret\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warning = format!(
        "warning: password file {} is not used: others may read it; chmod 600 mends that\n",
        file.display()
    );
    let run = |arguments: &[&str]| {
        crate::support::finish(db.command(arguments).env("PGPASSFILE", &file).spawn().unwrap())
    };
    assert_eq!(run(&["status"]).exits(0).stderr, warning);
    // However often it looks.
    let waited = run(&["status", "--wait", "1200ms"]).exits(3);
    let count = versions().len();
    assert_eq!(waited.stderr, format!("{warning}waiting: {count} of {count} migrations are pending\n"));
}
