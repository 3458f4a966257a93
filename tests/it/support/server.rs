//! A server of a test's own, to be stopped and started as the test likes.

use std::process::Command;

use postgres::{Config, NoTls};

use super::setting;

/// A server, stopped and gone when the test is over.
pub(crate) struct Server {
    pub(crate) folder: String,
    port: u16,
    mounted: bool,
}

/// Runs a command line as the server's user.
fn run(command: &str) -> String {
    let line = format!("{} {command}", setting("AUTHMIG_TEST_AS"));
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Server {
    /// Makes a server with these settings, and starts it.
    pub(crate) fn new(settings: &str) -> Server {
        Server::make(Server { folder: run("mktemp -d"), port: free_port(), mounted: false }, settings)
    }

    /// The same with all that it writes in a file system of this size; `None` where
    /// none may be mounted.
    pub(crate) fn in_little_room(size: &str, settings: &str) -> Option<Server> {
        let folder = run("mktemp -d");
        let mount = ["-t", "tmpfs", "-o", &format!("size={size},mode=1777"), "tmpfs", &folder];
        let mounted = Command::new("mount").args(mount).output().is_ok_and(|output| output.status.success());
        if !mounted {
            run(&format!("rmdir '{folder}'"));
            return None;
        }
        Some(Server::make(Server { folder, port: free_port(), mounted }, settings))
    }

    fn make(server: Server, settings: &str) -> Server {
        let home = setting("AUTHMIG_TEST_BIN");
        let folder = &server.folder;
        run(&format!(
            "'{home}/initdb' -D '{folder}/data' -U postgres -A trust -N -E UTF8 --locale=C --wal-segsize=1"
        ));
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{folder}'\n\
             fsync = off\nmin_wal_size = 2MB\nmax_wal_size = 8MB\n{settings}\n",
            server.port
        );
        run(&format!("sh -c \"cat >>'{folder}/data/postgresql.conf'\" <<'CONF'\n{settings}CONF"));
        server.start();
        server
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self) {
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &self.folder);
        run(&format!("'{home}/pg_ctl' -D '{folder}/data' -w -l '{folder}/log' start"));
    }

    /// Stops it in this mode: `fast` or `immediate`.
    pub(crate) fn stop(&self, mode: &str) {
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &self.folder);
        run(&format!("'{home}/pg_ctl' -D '{folder}/data' -w -m {mode} stop"));
    }

    /// Makes it believe that it is a standby from the next start on: that takes no primary.
    pub(crate) fn be_a_standby(&self) {
        run(&format!("touch '{}/data/standby.signal'", self.folder));
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
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Server {
    fn drop(&mut self) {
        let (home, folder) = (setting("AUTHMIG_TEST_BIN"), &self.folder);
        let line = format!("'{home}/pg_ctl' -D '{folder}/data' -w -m immediate stop");
        let _ = Command::new("sh").args(["-c", &format!("{} {line}", setting("AUTHMIG_TEST_AS"))]).output();
        if self.mounted {
            let _ = Command::new("umount").arg(folder).output();
        }
        run(&format!("rm -rf '{folder}'"));
    }
}
