//! TLS with the real binary: signals, system roots, direct negotiation, errors.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::certificates::{Authority, Signed, self_signed};
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::tools::{missing, tool};
use crate::support::{Run, TestDb, finish, major, until};

const HBA: &str = "local all all trust\nhostssl all all samehost trust\n";

struct World {
    server: Server,
    folder: tempfile::TempDir,
    db: TestDb,
}

impl World {
    fn new() -> World {
        World::with("")
    }

    /// One whose server has these settings.
    fn with(settings: &str) -> World {
        let ca = Authority::new("Test authority");
        let signed = ca.sign("localhost", &["localhost"]);
        World::of(&ca, &signed, settings)
    }

    /// One whose server shows this certificate.
    fn of(ca: &Authority, signed: &Signed, settings: &str) -> World {
        let server = Server::guarded(
            HBA,
            &format!("ssl = on\n{settings}"),
            &[("server.crt", &signed.certificate), ("server.key", &signed.key)],
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &ca.certificate).unwrap();
        World { server, folder, db: TestDb::new() }
    }

    fn command(&self, arguments: &[&str], options: &str) -> Command {
        let mut command = self.db.command(arguments);
        let url = format!("postgres://postgres@localhost:{}/postgres?{options}", self.server.port);
        command.env("DATABASE_URL", url).env("HOME", "/nowhere");
        command
    }

    fn run(&self, arguments: &[&str], options: &str) -> Run {
        finish(self.command(arguments, options).spawn().unwrap())
    }

    fn ca(&self) -> String {
        self.folder.path().join("ca.crt").display().to_string()
    }
}

#[test]
fn every_command_works_with_tls_that_is_verified() {
    let world = World::new();
    let options = format!("sslmode=verify-full&sslrootcert={}", world.ca());
    for (arguments, code) in [
        (&["status"][..], 0),
        (&["migrate"], 0),
        (&["secret", "generate"], 0),
        (&["verify"], 0),
        (&["grants"], 0),
        (&["rollback", "--all", "--yes", "--discard-data"], 0),
    ] {
        let run = world.run(arguments, &options).exits(code);
        assert!(!run.stderr.contains("error"), "{}", run.stderr);
    }
    // Nothing else was let in.
    world.run(&["status"], "sslmode=disable").exits(5);
}

#[test]
fn the_authorities_of_the_system_are_asked_if_that_is_wished() {
    let world = World::new();
    let with = |file: &str, options: &str| {
        let mut command = world.command(&["status"], options);
        command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
        finish(command.spawn().unwrap())
    };
    with(&world.ca(), "sslrootcert=system").exits(0);
    with(&world.ca(), "sslrootcert=system&sslmode=verify-full").exits(0);
    let refused = with(&world.ca(), "sslrootcert=system&sslmode=verify-ca").exits(2);
    assert!(refused.stderr.contains("sslrootcert=system wants sslmode=verify-full"), "{}", refused.stderr);
    let refused = with("/nowhere/ca.crt", "sslrootcert=system").exits(2);
    assert!(refused.stderr.contains("no certificates of authorities"), "{}", refused.stderr);
    let other = Authority::new("Another authority");
    let file = world.folder.path().join("other.crt");
    std::fs::write(&file, other.certificate).unwrap();
    let refused = with(&file.display().to_string(), "sslrootcert=system").exits(5);
    assert!(
        refused.stderr.contains("its certificate is signed by nobody that this system trusts"),
        "{}",
        refused.stderr
    );
}

#[test]
fn tls_at_once_works_where_the_server_can() {
    let world = World::new();
    let options = format!("sslmode=verify-full&sslrootcert={}&sslnegotiation=direct", world.ca());
    let run = world.run(&["status"], &options);
    if major() >= 17 {
        run.exits(0);
    } else {
        run.exits(5);
    }
    let run = world.run(&["status"], "sslnegotiation=direct").exits(2);
    assert_eq!(run.stderr, "error: sslnegotiation=direct wants sslmode=require or more\n");
}

#[test]
fn errors_say_what_is_wrong_with_the_certificate() {
    let world = World::new();
    let port = world.server.port;
    let name = format!("error: cannot connect to postgres@localhost:{port}/postgres: ");
    let stranger = world.folder.path().join("stranger.crt");
    std::fs::write(&stranger, Authority::new("Another authority").certificate).unwrap();
    let stranger = stranger.display();
    let run = world.run(&["status"], &format!("sslmode=verify-full&sslrootcert={stranger}")).exits(5);
    assert_eq!(
        run.stderr,
        format!(
            "{name}its certificate is signed by nobody in {stranger}\nhint: sslrootcert names the file with the authority's certificate\n"
        )
    );
    let ca = world.ca();
    let run = world
        .run(&["status"], &format!("sslmode=verify-full&sslrootcert={ca}&host=other.test&hostaddr=127.0.0.1"))
        .exits(5);
    assert!(run.stderr.contains("its certificate is not for other.test\n"), "{}", run.stderr);
    let run = world.run(&["status"], "sslmode=verify-full").exits(2);
    assert!(
        run.stderr.contains("root certificate file /nowhere/.postgresql/root.crt is not there"),
        "{}",
        run.stderr
    );
    let itself = World::of(&Authority::new("Another authority"), &self_signed("localhost"), "");
    let run = itself.run(&["status"], &format!("sslmode=verify-full&sslrootcert={ca}")).exits(5);
    let said = ": its certificate is an authority's own\n\
        hint: the server needs one that is not; if it signed itself, sslrootcert may name the file with it\n";
    assert!(run.stderr.ends_with(said), "{}", run.stderr);
    // With prefer, both ways are tried, and both are said.
    let run = world.run(&["status"], &format!("sslmode=prefer&sslrootcert={stranger}")).exits(5);
    assert!(run.stderr.contains(" with TLS: its certificate is signed by nobody in "), "{}", run.stderr);
    assert!(run.stderr.contains(" without TLS: no pg_hba.conf entry for host "), "{}", run.stderr);
}

#[test]
fn a_certificate_of_ours_may_be_of_version_1() {
    if tool("openssl").is_none() {
        return;
    }
    let ca = Authority::new("Test authority");
    let signed = ca.sign("localhost", &["localhost"]);
    let server = Server::guarded(
        "local all all trust\nhostssl all all samehost cert\n",
        "ssl = on\nssl_ca_file = 'ca.crt'",
        &[("server.crt", &signed.certificate), ("server.key", &signed.key), ("ca.crt", &ca.certificate)],
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), &ca.certificate).unwrap();
    std::fs::write(folder.path().join("ca.key"), ca.key()).unwrap();
    for line in [
        "req -new -newkey rsa:2048 -nodes -subj /CN=postgres -keyout a.key -out a.csr",
        "x509 -req -in a.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 2 -out a.crt",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out b.key",
        "x509 -in a.crt -noout -text -out a.txt",
    ] {
        let run = Command::new("openssl").args(line.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
    }
    for key in ["a.key", "b.key"] {
        std::fs::set_permissions(folder.path().join(key), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let text = std::fs::read_to_string(folder.path().join("a.txt")).unwrap();
    if !text.contains("Version: 1 ") {
        return missing("an openssl that makes certificates of version 1");
    }
    let file = |name: &str| folder.path().join(name).display().to_string();
    let world = World { server, folder: tempfile::tempdir().unwrap(), db: TestDb::new() };
    for version in ["TLSv1.2", "TLSv1.3"] {
        let with_key = |key: &str| {
            let options = format!(
                "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}&ssl_min_protocol_version={version}&ssl_max_protocol_version={version}",
                file("ca.crt"),
                file("a.crt"),
                file(key)
            );
            world.run(&["status"], &options)
        };
        with_key("a.key").exits(0);
        let run = with_key("b.key").exits(2);
        let said = format!(
            "error: TLS cannot be set up: certificate {} and its key: keys may not be consistent: KeyMismatch\n",
            file("a.crt")
        );
        assert_eq!(run.stderr, said);
    }
}

#[test]
fn a_signal_cancels_through_tls() {
    let world = World::new();
    let options = format!("sslmode=verify-full&sslrootcert={}", world.ca());
    let (mut other, mut looking) = (world.server.client(), world.server.client());
    // A role of this name that is not committed yet keeps 02-auth_schema waiting.
    other.batch_execute("begin; create role waited_for").unwrap();
    let arguments = ["migrate", "--lock-timeout", "0s", "--owner-role", "waited_for"];
    let child = world.command(&arguments, &options).spawn().unwrap();
    let waits = "select count(*) from pg_stat_activity where application_name = 'authmig' and wait_event_type = 'Lock'";
    until(|| looking.query_one(waits, &[]).unwrap().get::<_, i64>(0) > 0);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let run = finish(child).exits(143);
    assert_eq!(run.stderr.lines().last(), Some("error: interrupted by SIGTERM; nothing was changed"));
}

#[test]
fn tls_is_opened_at_the_first_try() {
    // With a curve in front that the server does not take by default, it would ask again.
    let world = World::new();
    let proxy = Proxy::to(world.server.port);
    let options =
        format!("sslmode=verify-full&sslrootcert={}&hostaddr=127.0.0.1&port={}", world.ca(), proxy.port);
    world.run(&["status"], &options).exits(0);
    assert_eq!(proxy.counts().0, 1);
    // Behind the wish for TLS come records: kind, version, length. 22 is a handshake in
    // plain text, and its message 1 the client's greeting.
    let sent = proxy.sent();
    let mut records = &sent[8..];
    let mut greetings = 0;
    while let [kind, _, _, high, low, rest @ ..] = records {
        greetings += usize::from(*kind == 22 && rest[0] == 1);
        records = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    assert_eq!(greetings, 1);
}

#[test]
fn no_version_of_tls_is_spoken_that_was_ruled_out() {
    let old = World::with("ssl_max_protocol_version = 'TLSv1.2'");
    let new = World::with("ssl_min_protocol_version = 'TLSv1.3'");
    let spoken = |world: &World, options: &str| {
        let run = world.run(&["status"], &format!("sslmode=require&{options}"));
        assert_eq!(run.stderr.contains("TLS"), run.code == 5, "{}", run.stderr);
        run.code
    };
    for (options, with_old, with_new) in [
        ("", 0, 0),
        ("ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.3", 0, 0),
        ("ssl_min_protocol_version=TLSv1.3", 5, 0),
        ("ssl_max_protocol_version=TLSv1.2", 0, 5),
        ("ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.2", 0, 5),
    ] {
        assert_eq!((spoken(&old, options), spoken(&new, options)), (with_old, with_new), "{options}");
    }
}

#[test]
fn the_host_is_named_in_plain_text_unless_that_is_forbidden() {
    let world = World::new();
    for (sni, is_named) in [("", true), ("&sslsni=1", true), ("&sslsni=0", false)] {
        let proxy = Proxy::to(world.server.port);
        let options = format!(
            "sslmode=verify-full&sslrootcert={}&hostaddr=127.0.0.1&port={}{sni}",
            world.ca(),
            proxy.port
        );
        world.run(&["status"], &options).exits(0);
        // Nothing but the client's greeting is in plain text.
        let named = proxy.sent().windows(9).any(|bytes| bytes == b"localhost");
        assert_eq!(named, is_named, "{sni}");
    }
}
