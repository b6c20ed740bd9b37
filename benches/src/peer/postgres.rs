//! A PostgreSQL primary and two streaming standbys; a commit waits until one of them has flushed it.
//!
//! Clients use the primary. PostgreSQL refuses to run as root: then its package's user runs it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::{Kind, Peer};
use crate::account::Account;
use crate::client::{Refusal, postgres};
use crate::failure::Failure;
use crate::server::{Server, free_ports, run, until_ready};

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
const REMEDY: &str = "apt-get install postgresql";
/// The user that Debian's package makes.
const USER: &str = "postgres";
/// The database that a new server has.
pub const DATABASE: &str = "postgres";
const STANDBYS: [&str; 2] = ["s1", "s2"];

pub async fn start(dir: &Path) -> Result<Peer, Failure> {
    let programs = Programs::find(dir)?;
    let [primary, standby1, standby2] = free_ports()?;
    programs
        .run("initdb", |command| {
            command.arg("-D").arg(dir.join("p")).args(["-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
        })
        .await?;
    configure(&dir.join("p"), primary)?;
    let mut servers = vec![programs.start("p", dir)?];
    let ready = async || {
        postgres::connect(primary, DATABASE).await?.batch_execute(postgres::TABLES).await?;
        Ok::<(), Refusal>(())
    };
    until_ready("postgres", &mut servers, ready).await?;
    for (name, address) in STANDBYS.into_iter().zip([standby1, standby2]) {
        let from = format!("host=127.0.0.1 port={} user=bench application_name={name}", primary.port());
        programs
            .run("pg_basebackup", |command| {
                command
                    .arg("-D")
                    .arg(dir.join(name))
                    .args(["-R", "-X", "stream", "-c", "fast", "-C", "-S", name, "-d", &from])
            })
            .await?;
        configure(&dir.join(name), address)?;
        servers.push(programs.start(name, dir)?);
    }
    until_ready("postgres", &mut servers, async || wait_for_standbys(primary).await).await?;
    Ok(Peer { kind: Kind::Postgres, servers, addresses: vec![primary] })
}

/// Makes commits wait for a standby, once both follow.
async fn wait_for_standbys(primary: SocketAddr) -> Result<(), Refusal> {
    let client = postgres::connect(primary, DATABASE).await?;
    let query = "SELECT count(*) FILTER (WHERE state = 'streaming'), count(*) FILTER (WHERE sync_state = 'quorum') \
                 FROM pg_stat_replication";
    let row = client.query_one(query, &[]).await?;
    match (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?) {
        (2, 2) => Ok(()),
        (2, _) => {
            let names = STANDBYS.join(",");
            client.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({names})'")).await?;
            client.batch_execute("SELECT pg_reload_conf()").await?;
            Refusal::failed("standbys are not synchronous yet")
        }
        (streaming, _) => Refusal::failed(format!("{streaming} of 2 standbys follow")),
    }
}

/// Appends what differs from the defaults; a standby's copy of the primary's settings is overruled by that.
fn configure(data: &Path, address: SocketAddr) -> Result<(), Failure> {
    let mut file = OpenOptions::new().append(true).open(data.join("postgresql.auto.conf"))?;
    writeln!(
        file,
        "port = {}\nlisten_addresses = '{}'\nunix_socket_directories = ''\nmax_connections = 300\n\
         shared_buffers = 512MB\nfsync = on\nsynchronous_commit = on",
        address.port(),
        address.ip(),
    )?;
    Ok(())
}

/// The programs of the newest version, and whom they are run as.
struct Programs {
    folder: PathBuf,
    account: Account,
}

impl Programs {
    fn find(dir: &Path) -> Result<Self, Failure> {
        let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let folders = fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
        let newest = folders.filter(|path| path.join("bin/postgres").is_file()).max_by_key(version);
        let folder = newest
            .map(|path| path.join("bin"))
            .ok_or_else(|| Failure::Missing { program: "postgresql".to_owned(), remedy: REMEDY })?;
        Ok(Self { folder, account: Account::find(USER, dir, REMEDY)? })
    }

    fn start(&self, name: &str, dir: &Path) -> Result<Server, Failure> {
        let mut command = self.account.command(&self.folder.join("postgres"));
        command.arg("-D").arg(dir.join(name)).current_dir(dir);
        // Fast shutdown: it ends its clients' sessions.
        Server::start(name, dir, command, Signal::INT)
    }

    async fn run(&self, program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<(), Failure> {
        let mut command = self.account.command(&self.folder.join(program));
        arguments(&mut command);
        run(program, command).await
    }
}
