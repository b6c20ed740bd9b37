//! Three MariaDB servers that replicate with Galera; clients use all three.
//!
//! MariaDB does not like to run as root: then its package's user runs it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use mysql_async::prelude::Queryable as _;
use rustix::process::Signal;

use super::{Kind, Peer};
use crate::account::account_of;
use crate::client::{Refusal, mysql};
use crate::failure::Failure;
use crate::server::{Server, find_program, free_ports, until_ready};

/// The user that Debian's package makes.
const USER: &str = "mysql";
const REMEDY: &str = "apt-get install mariadb-server galera-4 rsync";
/// Where Debian keeps the server, which is not in everybody's search path, and the replication.
const SERVER: &str = "/usr/sbin/mariadbd";
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
/// Ports of a node: clients, replication, and two to hand over state to one that joins.
const PORTS: usize = 4;

pub async fn start(dir: &Path) -> Result<Peer, Failure> {
    let account = find(dir)?;
    let ports = free_ports::<{ 3 * PORTS }>()?;
    let (nodes, _) = ports.as_chunks::<PORTS>();
    let group: Vec<String> = nodes.iter().map(|[_, replication, ..]| replication.to_string()).collect();
    install(&dir.join("n0"), account).await?;
    let mut servers = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let name = format!("n{number}");
        fs::write(dir.join(format!("{name}.cnf")), configuration(dir, &name, node, &group.join(",")))?;
        if number > 0 {
            owned(&dir.join(&name), account)?;
        }
        let mut command = command(account, Path::new(SERVER));
        command.arg(format!("--defaults-file={}", dir.join(format!("{name}.cnf")).display()));
        if number == 0 {
            command.arg("--wsrep-new-cluster");
        }
        servers.push(Server::start(&name, dir, command, Signal::TERM)?);
        // One after the other: a node that joins takes another one's state.
        let address = node[0];
        until_ready("galera", &mut servers, async || joined(address, number + 1).await).await?;
    }
    let addresses: Vec<SocketAddr> = nodes.iter().map(|[clients, ..]| *clients).collect();
    let created = create_tables(addresses[0]).await;
    created.map_err(|refusal| Failure::Client { name: Kind::Galera.name(), refusal })?;
    Ok(Peer { kind: Kind::Galera, servers, addresses })
}

/// Fails unless it is all there. The user and group to run as, if not our own.
fn find(dir: &Path) -> Result<Option<(u32, u32)>, Failure> {
    let missing = |program: &str| Failure::Missing { program: program.to_owned(), remedy: REMEDY };
    for file in [SERVER, PROVIDER] {
        if !Path::new(file).is_file() {
            return Err(missing(file));
        }
    }
    for program in ["mariadb-install-db", "rsync"] {
        find_program(program).ok_or_else(|| missing(program))?;
    }
    if fs::metadata(dir)?.uid() != 0 {
        return Ok(None);
    }
    let account = account_of(USER, REMEDY)?;
    chown(dir, Some(account.0), Some(account.1))?;
    Ok(Some(account))
}

fn owned(folder: &Path, account: Option<(u32, u32)>) -> Result<(), Failure> {
    fs::create_dir(folder)?;
    if let Some((user, group)) = account {
        chown(folder, Some(user), Some(group))?;
    }
    Ok(())
}

fn command(account: Option<(u32, u32)>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if account.is_some() {
        command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
    }
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

async fn install(folder: &Path, account: Option<(u32, u32)>) -> Result<(), Failure> {
    owned(folder, account)?;
    let program = "mariadb-install-db";
    let mut command = command(account, &PathBuf::from(program));
    command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
    command.arg(format!("--datadir={}", folder.display())).current_dir("/");
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Err(Failure::Helper { program: program.to_owned(), how: output.status.to_string(), output: text })
}

/// Durable commits; what Galera requires; the same memory as PostgreSQL's.
fn configuration(dir: &Path, name: &str, node: &[SocketAddr; PORTS], group: &str) -> String {
    let [clients, replication, state, increments] = node;
    let (dir, port) = (dir.display(), clients.port());
    format!(
        "[mariadbd]\ndatadir = {dir}/{name}\nsocket = {dir}/{name}.sock\npid-file = {dir}/{name}.pid\n\
         bind-address = 127.0.0.1\nport = {port}\nskip-name-resolve\nmax_connections = 300\nbinlog_format = ROW\n\
         default_storage_engine = InnoDB\ninnodb_autoinc_lock_mode = 2\ninnodb_flush_log_at_trx_commit = 1\n\
         innodb_buffer_pool_size = 512M\nwsrep_on = ON\nwsrep_provider = {PROVIDER}\nwsrep_cluster_name = bench\n\
         wsrep_cluster_address = gcomm://{group}\nwsrep_node_name = {name}\nwsrep_node_address = 127.0.0.1\n\
         wsrep_slave_threads = 4\nwsrep_sst_method = rsync\nwsrep_sst_receive_address = {state}\n\
         wsrep_provider_options = \"base_port={};gmcast.listen_addr=tcp://{replication};ist.recv_addr={increments};\
         gcache.size=256M\"\n",
        replication.port(),
    )
}

/// Fails unless the cluster has so many nodes and this one has their state.
async fn joined(address: SocketAddr, nodes: usize) -> Result<(), Refusal> {
    let mut connection = mysql::administrator(address).await?;
    let query = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
                 WHERE VARIABLE_NAME IN ('WSREP_CLUSTER_SIZE', 'WSREP_LOCAL_STATE_COMMENT') ORDER BY VARIABLE_NAME";
    let state: Vec<String> = connection.query(query).await?;
    if state == [nodes.to_string(), "Synced".to_owned()] {
        return Ok(());
    }
    Refusal::failed(format!("the node's cluster size and state: {state:?}"))
}

async fn create_tables(address: SocketAddr) -> Result<(), Refusal> {
    let mut connection = mysql::administrator(address).await?;
    connection.query_drop(format!("CREATE DATABASE {}", mysql::DATABASE)).await?;
    connection.query_drop(format!("USE {}", mysql::DATABASE)).await?;
    for table in mysql::TABLES {
        connection.query_drop(table).await?;
    }
    Ok(())
}
