//! A PostgreSQL server of our own, in a new folder on a free port, without durability. It is stopped when dropped.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use annulus_jepsen::cluster::ports;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::super::client::Sql;
use crate::wait::until;

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root: then its package's user runs it.
const USER: &str = "postgres";
const START: Duration = Duration::from_secs(60);

pub struct Postgres {
    server: Child,
    port: u16,
    _dir: TempDir,
}

impl Postgres {
    /// # Panics
    /// If it is not installed or does not start.
    pub fn start() -> Self {
        let programs = programs();
        let dir = tempfile::tempdir().expect("a folder");
        let as_user = fs::metadata(dir.path()).expect("it is there").uid() == 0;
        if as_user {
            let (user, group) = account();
            chown(dir.path(), Some(user), Some(group)).expect("we are root");
        }
        let command = |program: &str| {
            let program = programs.join(program);
            let mut command = Command::new("setpriv");
            if as_user {
                command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
            }
            command.args(["--pdeathsig", "INT", "--"]).arg(program).current_dir("/");
            command
        };
        let data = dir.path().join("data");
        let made = command("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
            .output()
            .expect("initdb can be started");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let [port, ..] = ports::free::<1>();
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "timezone=UTC", "-c", "max_parallel_workers_per_gather=0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres can be started");
        let postgres = Self { server, port, _dir: dir };
        until("PostgreSQL serves", START, || Sql::connect_to(port, USER, "postgres").ok());
        postgres
    }

    /// A connection to a new database.
    pub fn database(&self, name: &str) -> Sql {
        let first = Sql::connect_to(self.port, USER, "postgres").expect("it connects");
        first.must(&format!("CREATE DATABASE {name}"));
        Sql::connect_to(self.port, USER, name).expect("it connects")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Fast shutdown: it ends its clients' sessions.
        let pid = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::INT));
        let _ = self.server.wait();
    }
}

fn programs() -> PathBuf {
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let folders = fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = folders.filter(|path| path.join("bin/initdb").is_file()).max_by_key(version);
    newest.expect("PostgreSQL has to be installed (apt-get install postgresql)").join("bin")
}

/// The numbers of the package's user and group.
fn account() -> (u32, u32) {
    let table = fs::read_to_string(Path::new("/etc/passwd")).expect("a table of users");
    let line = table.lines().find_map(|line| line.strip_prefix(USER)?.strip_prefix(':'));
    let mut numbers =
        line.expect("the package's user").split(':').skip(1).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a user"), numbers.next().expect("a group"))
}
