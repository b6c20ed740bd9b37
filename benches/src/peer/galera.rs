//! Three MariaDB servers that replicate with Galera; clients use all three.
//!
//! MariaDB does not like to run as root: then its package's user runs it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use mysql_async::prelude::Queryable as _;
use rustix::process::Signal;

use super::{Kind, Peer};
use crate::account::Account;
use crate::client::{Refusal, mysql};
use crate::failure::Failure;
use crate::server::{Server, find_program, free_ports, run, until_ready};

/// The user that Debian's package makes.
const USER: &str = "mysql";
const REMEDY: &str = "apt-get install mariadb-server galera-4 rsync";
/// Where Debian keeps the server, which is not in everybody's search path, and the replication.
const SERVER: &str = "/usr/sbin/mariadbd";
const INSTALLER: &str = "mariadb-install-db";
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
/// Ports of a node: clients, replication, and two to hand over state to one that joins.
const PORTS: usize = 4;

pub async fn start(dir: &Path) -> Result<Peer, Failure> {
    let account = find(dir)?;
    let ports = free_ports::<{ 3 * PORTS }>()?;
    let (nodes, _) = ports.as_chunks::<PORTS>();
    let group: Vec<String> = nodes.iter().map(|[_, replication, ..]| replication.to_string()).collect();
    install(&dir.join("n0"), &account).await?;
    let mut servers = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let name = format!("n{number}");
        fs::write(dir.join(format!("{name}.cnf")), configuration(dir, &name, node, &group.join(",")))?;
        if number > 0 {
            make(&dir.join(&name), &account)?;
        }
        let mut command = account.command(Path::new(SERVER));
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

/// Fails unless it is all there. Whom to run it as.
fn find(dir: &Path) -> Result<Account, Failure> {
    let missing = |program: &str| Failure::Missing { program: program.to_owned(), remedy: REMEDY };
    for file in [SERVER, PROVIDER] {
        if !Path::new(file).is_file() {
            return Err(missing(file));
        }
    }
    for program in [INSTALLER, "rsync"] {
        find_program(program).ok_or_else(|| missing(program))?;
    }
    Account::find(USER, dir, REMEDY)
}

fn make(folder: &Path, account: &Account) -> Result<(), Failure> {
    fs::create_dir(folder)?;
    account.own(folder)
}

async fn install(folder: &Path, account: &Account) -> Result<(), Failure> {
    make(folder, account)?;
    let mut command = account.command(Path::new(INSTALLER));
    command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
    command.arg(format!("--datadir={}", folder.display()));
    run(INSTALLER, command).await
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
