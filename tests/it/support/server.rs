//! A server of a test's own, for what the shared one cannot have: other settings, other
//! rules of who may come in, TLS.

use std::io::Write as _;
use std::process::{Command, Stdio};

use postgres::{Client, Config, NoTls};

use super::setting;

/// A server that is gone when the test is over.
pub(crate) struct Server {
    /// Everybody may look into it; `data` in it is the server's.
    pub(crate) folder: String,
    pub(crate) port: u16,
}

impl Server {
    /// A server with these lines in `pg_hba.conf` and these settings; `{folder}` in them
    /// stands for its folder. `files` are put into `data`, readable by the server alone.
    pub(crate) fn start(hba: &str, settings: &[(&str, &str)], files: &[(&str, &str)]) -> Server {
        let folder = as_server("mktemp -d -t authmig.XXXXXX", "");
        let port = free_port();
        let server = Server { folder, port };
        let Server { folder, port } = &server;
        let home = setting("AUTHMIG_TEST_BIN");
        as_server(
            &format!(
                "chmod 755 '{folder}' && '{home}/initdb' -D '{folder}/data' -U postgres -A trust -N -E UTF8 --locale=C"
            ),
            "",
        );
        for (name, text) in files {
            server.put(name, text);
        }
        server.put("pg_hba.conf", hba);
        let configuration = format!(
            "listen_addresses = '127.0.0.1,::1'\nport = {port}\nunix_socket_directories = '{folder}'\nfsync = off\n"
        );
        let configuration = settings.iter().fold(configuration, |lines, (name, value)| {
            lines + &format!("{name} = '{}'\n", value.replace("{folder}", folder))
        });
        as_server(&format!("cat >>'{folder}/data/postgresql.conf'"), &configuration);
        server.control("-w start");
        server
    }

    /// Puts a file into `data`, readable by the server alone.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = format!("{}/data/{name}", self.folder);
        as_server(&format!("umask 077 && cat >'{path}' && chmod 600 '{path}'"), text);
    }

    /// `pg_ctl` with these words.
    pub(crate) fn control(&self, words: &str) {
        let home = setting("AUTHMIG_TEST_BIN");
        let folder = &self.folder;
        as_server(&format!("'{home}/pg_ctl' -D '{folder}/data' -l '{folder}/log' {words}"), "");
    }

    /// A superuser's connection, through the socket.
    pub(crate) fn client(&self) -> Client {
        Config::new().host_path(&self.folder).port(self.port).user("postgres").connect(NoTls).unwrap()
    }

    /// Runs statements as superuser, each a transaction of its own.
    pub(crate) fn sql(&self, statements: &[&str]) {
        let mut client = self.client();
        for sql in statements {
            client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let home = setting("AUTHMIG_TEST_BIN");
        let folder = &self.folder;
        let stop = format!("'{home}/pg_ctl' -D '{folder}/data' -w -m immediate stop; rm -rf '{folder}'");
        let words = setting("AUTHMIG_TEST_AS");
        let _ = Command::new("sh")
            .args(["-c", &format!("exec {words} sh -c \"$1\""), "sh", &stop])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a shell command as the server's user; what it prints.
pub(crate) fn as_server(command: &str, input: &str) -> String {
    let words = setting("AUTHMIG_TEST_AS");
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {words} sh -c \"$1\""), "sh", command])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
