//! Makes cargo see new migrations, and says what `authmig --version` cannot know by itself.

use std::path::Path;
use std::process::Command;

fn main() {
    // `include_dir!` alone sees only changes of files that it already knows.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rustc-env=AUTHMIG_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rustc-env=AUTHMIG_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
}

/// The commit that this is built from: as the package says, else as git does. A debug
/// build does not ask: it would be built anew behind every commit.
fn commit() -> Option<String> {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(info) = std::fs::read_to_string(".cargo_vcs_info.json") {
        let sha1 = info.split("\"sha1\": \"").nth(1)?.split('"').next()?;
        let dirty = if info.contains("\"dirty\": true") { "-dirty" } else { "" };
        return Some(sha1.get(..12)?.to_owned() + dirty);
    }
    if std::env::var("PROFILE").ok()? != "release" || !Path::new(".git").exists() {
        return None;
    }
    // What goes into the binary: with a change there it is dirty, or no longer.
    let sources = ["src", "migrations", "build.rs", "Cargo.toml", "Cargo.lock"];
    for path in sources {
        println!("cargo::rerun-if-changed={path}");
    }
    for file in ["HEAD", "logs/HEAD", "index"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // `describe --dirty` would write the index, and have cargo build once more for that.
    let status = ["--no-optional-locks", "status", "--porcelain", "--"];
    let changes = git(&[&status[..], &sources].concat())?;
    Some(if changes.is_empty() { commit } else { commit + "-dirty" })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
