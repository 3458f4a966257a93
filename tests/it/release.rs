//! What `bin/release` makes, and the images that are built of it. No container engine is
//! needed: the tree that a Dockerfile describes is built here, and run in a chroot.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::support::{Run, TestDb, finish, versions};

/// Where `bin/release` has put its files, if it has run; `.ci/run` has it run.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn release() -> Option<PathBuf> {
    let folder = std::env::var_os("AUTHMIG_TEST_RELEASE").map(PathBuf::from);
    if folder.is_none() {
        let required = std::env::var_os("AUTHMIG_TEST_REQUIRE_TOOLS").is_some_and(|value| value == "1");
        assert!(!required, "AUTHMIG_TEST_RELEASE is not set");
        eprintln!("skipped: bin/release has not run, or AUTHMIG_TEST_RELEASE does not say where");
    }
    folder
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// The archive, unpacked: its one folder.
fn unpacked(release: &Path) -> (tempfile::TempDir, PathBuf) {
    let name = format!("authmig-{}-{}", env!("CARGO_PKG_VERSION"), target());
    let folder = tempfile::tempdir().unwrap();
    let archive = release.join(format!("{name}.tar.gz"));
    let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(tar.success());
    let path = folder.path().join(name);
    (folder, path)
}

/// Runs a program of this tree as the user of an image, seeing nothing but the tree.
fn in_tree(tree: &Path, db: &TestDb, program: &[&str]) -> Run {
    let user = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    let mut words = match user.trim() {
        "0" => vec!["chroot", "--userspec=65532:65532"],
        // Not root: a user namespace of its own in which chroot is allowed.
        _ => vec!["unshare", "--map-root-user", "chroot"],
    };
    let tree = tree.to_str().unwrap();
    words.push(tree);
    words.extend(program);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("DATABASE_URL", db.url());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(command.spawn().unwrap())
}

#[test]
fn the_static_binary_runs_in_an_empty_folder() {
    let Some(release) = release() else { return };
    let (_folder, path) = unpacked(&release);
    let tree = tempfile::tempdir().unwrap();
    Command::new("chmod").arg("755").arg(tree.path()).status().unwrap();
    std::fs::copy(path.join("authmig"), tree.path().join("authmig")).unwrap();
    let db = TestDb::new();
    in_tree(tree.path(), &db, &["/authmig", "migrate"]).exits(0);
    in_tree(tree.path(), &db, &["/authmig", "verify"]).exits(0);
    let version = in_tree(tree.path(), &db, &["/authmig", "--version"]).exits(0).stdout;
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().unwrap();
    let commit = String::from_utf8(commit.stdout).unwrap();
    assert!(version.contains(&format!("\ncommit      {}", commit.trim())), "{version}");
    assert!(version.contains(&format!("\ntarget      {}\n", target())), "{version}");
    let bytes = std::fs::read(path.join("authmig")).unwrap();
    for place in [root().to_str().unwrap(), "/.cargo/registry"] {
        assert!(!bytes.windows(place.len()).any(|part| part == place.as_bytes()), "{place}");
    }
}

#[test]
fn the_archive_is_what_its_checksum_says_and_is_whole() {
    let Some(release) = release() else { return };
    let sums = std::fs::read_to_string(release.join("SHA256SUMS")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut names = Vec::new();
    for (sum, name) in sums.lines().map(|line| line.split_once("  ").unwrap()) {
        let digest = Sha256::digest(std::fs::read(release.join(name)).unwrap());
        assert_eq!(sum, digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), "{name}");
        names.push(name);
    }
    names.sort_unstable();
    let archive = format!("authmig-{version}-{}.tar.gz", target());
    let crate_file = format!("authmig-{version}.crate");
    let mut expected = [archive, format!("authmig-{version}.cdx.json"), crate_file];
    expected.sort();
    assert_eq!(names, expected);

    let (_folder, path) = unpacked(&release);
    for file in ["README.md", "LICENSE", "CHANGELOG.md", "man/authmig.1", "completions/zsh", "sbom.cdx.json"]
    {
        assert!(path.join(file).is_file(), "{file}");
    }
    let others = std::fs::read_to_string(path.join("LICENSES-OF-OTHERS.txt")).unwrap();
    assert!(others.contains("postgres ") && others.contains("Permission is hereby granted"));
}

#[test]
fn the_sbom_names_the_packages_inside_and_no_other() {
    let Some(release) = release() else { return };
    let path = release.join(format!("authmig-{}.cdx.json", env!("CARGO_PKG_VERSION")));
    let bom: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bom["metadata"]["component"]["name"], "authmig");
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let components = bom["components"].as_array().unwrap();
    for component in components {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        let sum = component["hashes"][0]["content"].as_str().unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let locked = lock.split(&entry).nth(1).unwrap().split("\n\n").next().unwrap();
        assert!(locked.contains(&format!("checksum = \"{sum}\"")), "{name}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
    }
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    // What tests use is not inside.
    assert!(has("postgres") && has("refinery-core") && !has("proptest") && !has("jsonschema"));
}

/// The tree of the last stage of this Dockerfile: what it copies, from where it says.
fn tree_of(dockerfile: &str, sources: &[(&str, &Path)]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    Command::new("chmod").arg("755").arg(tree.path()).status().unwrap();
    let stage = dockerfile.rsplit("\nFROM ").next().unwrap();
    for line in stage.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [from, source, destination] = words[..] else { panic!("{line}") };
        let from = from.strip_prefix("--from=").unwrap();
        let name = format!("{from}:{source}");
        let (_, file) = sources.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        let path = tree.path().join(destination.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(file, path).unwrap();
    }
    tree
}

/// The words of an instruction in exec form.
fn words(dockerfile: &str, instruction: &str) -> Vec<String> {
    let start = format!("{instruction} ");
    let line = dockerfile.lines().rfind(|line| line.starts_with(&start)).unwrap();
    serde_json::from_str(&line[start.len()..]).unwrap()
}

#[test]
fn the_image_holds_the_binary_and_the_certificates_and_is_small() {
    let Some(release) = release() else { return };
    let (_folder, path) = unpacked(&release);
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    assert!(dockerfile.contains("\nFROM scratch\n") && dockerfile.contains("\nUSER 65532:65532\n"));
    let (certificates, binary) = (Path::new("/etc/ssl/certs/ca-certificates.crt"), path.join("authmig"));
    let sources = [
        ("build:/etc/ssl/certs/ca-certificates.crt", certificates),
        ("build:/authmig/authmig", binary.as_path()),
    ];
    let tree = tree_of(&dockerfile, &sources);
    let size: u64 = [certificates, &binary].iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(size < 7_000_000, "{size}: the Dockerfile and docs/operations.md say about 6 MB");
    let db = TestDb::new();
    let entry = words(&dockerfile, "ENTRYPOINT");
    let run = |arguments: &[&str]| {
        let command: Vec<_> = entry.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        in_tree(tree.path(), &db, &command)
    };
    assert!(run(&["--help"]).exits(0).stdout.starts_with("Token management"));
    run(&["migrate"]).exits(0);
    run(&["status", "--check"]).exits(0);
}

#[test]
fn the_image_of_postgrest_with_authmig_starts_its_command() {
    let Some(release) = release() else { return };
    let (_folder, path) = unpacked(&release);
    let dockerfile = std::fs::read_to_string(root().join("examples/postgrest-image/Dockerfile")).unwrap();
    let binary = path.join("authmig");
    let tree = tree_of(&dockerfile, &[("authmig:/bin/authmig", binary.as_path())]);
    // PostgREST cannot be had here: what stands in its place prints which arguments it got.
    std::fs::copy(&binary, tree.path().join("bin/postgrest")).unwrap();
    let mut command = words(&dockerfile, "ENTRYPOINT");
    assert_eq!(words(&dockerfile, "CMD"), ["postgrest"]);
    command.extend(words(&dockerfile, "CMD"));
    command.push("--version".to_owned());
    let db = TestDb::new();
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let run = in_tree(tree.path(), &db, &command).exits(0);
    assert!(run.stdout.starts_with("authmig "), "{}", run.stdout);
    assert_eq!(db.history(), versions());
}
