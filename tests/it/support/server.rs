//! A server of a test's own, for what the shared one cannot have: other settings, other
//! rules of who may come in, TLS, being stopped.

use std::io::Write as _;
use std::process::{Command, Stdio};

use postgres::{Client, Config, NoTls};

use super::setting;

/// A server, stopped and gone when the test is over.
pub(crate) struct Server {
    /// Everybody may look into it; `data` in it is the server's.
    pub(crate) folder: String,
    pub(crate) port: u16,
    mounted: bool,
}

impl Server {
    /// Makes a server with these settings that lets everybody in, and starts it.
    pub(crate) fn new(settings: &str) -> Server {
        Server::make(None, settings, "", &[])
    }

    /// The same with these lines in `pg_hba.conf`. `files` are put into `data`, readable by
    /// the server alone.
    pub(crate) fn guarded(hba: &str, settings: &str, files: &[(&str, &str)]) -> Server {
        Server::make(None, settings, hba, files)
    }

    /// The same as [`Server::new`] with all that it writes in a file system of this size;
    /// `None` where none may be mounted.
    pub(crate) fn in_little_room(size: &str, settings: &str) -> Option<Server> {
        let folder = as_server("mktemp -d -t authmig.XXXXXX", "");
        let mount = ["-t", "tmpfs", "-o", &format!("size={size},mode=1777"), "tmpfs", &folder];
        if Command::new("mount").args(mount).output().is_ok_and(|output| output.status.success()) {
            return Some(Server::make(Some(folder), settings, "", &[]));
        }
        as_server(&format!("rmdir '{folder}'"), "");
        None
    }

    fn make(mounted: Option<String>, settings: &str, hba: &str, files: &[(&str, &str)]) -> Server {
        let server = Server {
            mounted: mounted.is_some(),
            folder: mounted.unwrap_or_else(|| as_server("mktemp -d -t authmig.XXXXXX", "")),
            port: free_port(),
        };
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &server.folder);
        if !server.mounted {
            as_server(&format!("chmod 755 '{folder}'"), "");
        }
        as_server(
            &format!(
                "'{home}/initdb' -D '{folder}/data' -U postgres -A trust -N -E UTF8 --locale=C --wal-segsize=1"
            ),
            "",
        );
        for (name, text) in files {
            server.put(name, text);
        }
        if !hba.is_empty() {
            server.put("pg_hba.conf", hba);
        }
        let settings = format!(
            "listen_addresses = '127.0.0.1,::1'\nport = {}\nunix_socket_directories = '{folder}'\n\
             fsync = off\nmin_wal_size = 2MB\nmax_wal_size = 8MB\n{settings}\n",
            server.port
        );
        as_server(&format!("cat >>'{folder}/data/postgresql.conf'"), &settings);
        server.start();
        server
    }

    /// Puts a file into `data`, readable by the server alone.
    fn put(&self, name: &str, text: &str) {
        let path = format!("{}/data/{name}", self.folder);
        as_server(&format!("umask 077 && cat >'{path}' && chmod 600 '{path}'"), text);
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self) {
        self.control("start");
    }

    /// Stops it in this mode: `fast` or `immediate`.
    pub(crate) fn stop(&self, mode: &str) {
        self.control(&format!("-m {mode} stop"));
    }

    fn control(&self, words: &str) {
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &self.folder);
        // What it says would hold the pipe open for as long as the server runs.
        as_server(
            &format!("'{home}/pg_ctl' -D '{folder}/data' -w -l '{folder}/log' {words} >/dev/null 2>&1"),
            "",
        );
    }

    /// What it has written into its log.
    pub(crate) fn log(&self) -> String {
        as_server(&format!("cat '{}/log'", self.folder), "")
    }

    /// Makes it believe that it is a standby from the next start on: that takes no primary.
    pub(crate) fn be_a_standby(&self) {
        self.put("standby.signal", "");
    }

    /// The superuser's connection to its own database.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("postgres").dbname("postgres");
        config
    }

    /// Whether there is a process, answering or not.
    pub(crate) fn is_running(&self) -> bool {
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &self.folder);
        let line = format!("{} '{home}/pg_ctl' -D '{folder}/data' status", setting("AUTHMIG_TEST_AS"));
        Command::new("sh").args(["-c", &line]).output().unwrap().status.success()
    }

    /// Whether it answers.
    pub(crate) fn is_up(&self) -> bool {
        self.config().connect(NoTls).is_ok()
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
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &self.folder);
        // It may be stopped already.
        let stop = format!("'{home}/pg_ctl' -D '{folder}/data' -w -m immediate stop >/dev/null 2>&1; true");
        as_server(&stop, "");
        if self.mounted {
            // Lazily: what ends with the server may be a moment behind it.
            let umount = Command::new("umount").args(["--lazy", folder]).output().unwrap();
            assert!(umount.status.success(), "umount {folder}: {}", String::from_utf8_lossy(&umount.stderr));
        }
        as_server(&format!("rm -rf '{folder}'"), "");
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
