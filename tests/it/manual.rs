//! Completions, manual pages, `--version` and `help exit-codes`: what packagers and
//! newcomers look at first.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::support::tools::tool;
use crate::support::{Run, TestDb, finish};

/// Runs authmig with no database anywhere.
fn authmig(arguments: &[&str]) -> Run {
    let mut command = TestDb::new().command(arguments);
    finish(command.env_remove("DATABASE_URL").spawn().unwrap())
}

const COMMANDS: [&str; 11] = [
    "migrate",
    "status",
    "rollback",
    "verify",
    "install",
    "grants",
    "secret",
    "export",
    "completions",
    "man",
    "exit-codes",
];

#[test]
fn bash_completes_commands_and_options() {
    let bash = tool("bash").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authmig(&["completions", "bash"]).exits(0).stdout).unwrap();
    let complete = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _authmig authmig \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[*]}}\"",
            file.path().display()
        );
        let output = Command::new(&bash).args(["--norc", "-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("authmig mig"), "migrate");
    assert_eq!(complete("authmig rollback --dis"), "--discard-data");
    assert_eq!(complete("authmig export --format sq"), "sqitch");
    assert_eq!(complete("authmig verify --only self"), "self-test");
}

#[test]
fn zsh_and_fish_read_their_completions_and_powershell_has_some() {
    for shell in ["zsh", "fish"] {
        let Some(program) = tool(shell) else { continue };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authmig(&["completions", shell]).exits(0).stdout).unwrap();
        let output = Command::new(program).arg("-n").arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    if let Some(fish) = tool("fish") {
        let script =
            format!("{}\ncomplete --do-complete 'authmig se'", authmig(&["completions", "fish"]).stdout);
        let output = Command::new(fish).args(["--no-config", "--command", &script]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("secret\t"), "{said}");
    }
    let text = authmig(&["completions", "powershell"]).exits(0).stdout;
    for command in COMMANDS {
        assert!(text.contains(&format!("'authmig;{command}'")), "{command}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    authmig(&["man", folder.path().to_str().unwrap()]).exits(0);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let secret = ["set", "generate", "status"].map(|command| format!("authmig-secret-{command}.1"));
    let mut expected: Vec<_> = COMMANDS
        .iter()
        .map(|command| format!("authmig-{command}.1"))
        .chain(secret)
        .chain(["authmig.1".to_owned()])
        .collect();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let main = std::fs::read_to_string(folder.path().join("authmig.1")).unwrap();
    assert_eq!(authmig(&["man"]).exits(0).stdout, main);
    if let Some(mandoc) = tool("mandoc") {
        for name in names {
            let page = Command::new(&mandoc)
                .args(["-T", "utf8", "-W", "error,stop"])
                .arg(folder.path().join(&name))
                .output()
                .unwrap();
            assert!(page.status.success(), "{name}: {}", String::from_utf8_lossy(&page.stderr));
        }
    }
}

#[test]
fn the_version_names_the_set_of_migrations() {
    let run = authmig(&["--version"]).exits(0);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("authmig {}", env!("CARGO_PKG_VERSION")));
    // A test is a debug build, which does not ask git.
    assert_eq!(lines[1], "commit      unknown");
    assert!(lines[2].starts_with("target      ") && lines[2].contains('-'), "{}", lines[2]);
    let hex =
        |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let listed: String = files
        .iter()
        .map(|path| {
            format!("{}  {}\n", hex(&std::fs::read(path).unwrap()), path.file_name().unwrap().display())
        })
        .collect();
    let migrations = files.iter().filter(|path| path.to_string_lossy().ends_with(".up.sql")).count();
    assert_eq!(lines[3], format!("migrations  {migrations}, sha256 {}", hex(listed.as_bytes())));
    assert_eq!(lines.len(), 4);
    assert_eq!(authmig(&["-V"]).exits(0).stdout, run.stdout);
}

#[test]
fn help_exit_codes_says_what_to_do_about_each() {
    let run = authmig(&["help", "exit-codes"]).exits(0);
    for code in 0..=9 {
        assert!(run.stdout.contains(&format!("\n  {code}  ")), "{code}");
    }
    assert_eq!(authmig(&["exit-codes"]).exits(0).stdout.trim(), run.stdout.trim());
    // Short enough to stand in a manual page as it is.
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 70), "{}", run.stdout);
    assert!(authmig(&["exit-codes", "--format", "json"]).exits(2).stderr.contains("no such --format"));
}

#[test]
fn every_help_page_fits_a_terminal_of_eighty_columns() {
    for command in COMMANDS {
        for help in ["--help", "-h"] {
            let run = authmig(&[command, help]).exits(0);
            assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
        }
    }
}

#[test]
fn a_format_that_is_exported_for_other_commands_is_nothing_to_them() {
    let exported = TestDb::new().with("AUTHMIG_FORMAT", "json");
    for arguments in [&["completions", "bash"][..], &["man"], &["exit-codes"]] {
        assert_eq!(exported.authmig(arguments).exits(0).stdout, authmig(arguments).stdout, "{arguments:?}");
        authmig(&[arguments, &["--format", "json"]].concat()).exits(2);
    }
    for layout in [&[][..], &["--format", "sqitch"]] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("sql");
        let arguments = [&["export", folder.to_str().unwrap()], layout].concat();
        let said = exported.authmig(&arguments).exits(0).stdout;
        assert!(said.ends_with("README.md says how to run them\n"), "{said}");
    }
}
