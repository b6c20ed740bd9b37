//! Three nodes with the default configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::{Kind, Peer};
use crate::client::{Refusal, postgres, resp};
use crate::failure::Failure;
use crate::server::{Server, bound_to_us, free_ports, until_ready};

/// The database that every cluster has.
pub const DATABASE: &str = "annulus";

/// Starts them for clients of the key-value protocol or, with empty tables, of SQL.
pub async fn start(kind: Kind, dir: &Path, program: Option<&Path>) -> Result<Peer, Failure> {
    let program = program.map_or_else(built_beside, |path| Ok(path.to_owned()))?;
    if !program.is_file() {
        let remedy = "cargo build --release --package annulus";
        return Err(Failure::Missing { program: program.display().to_string(), remedy });
    }
    let ports = free_ports::<12>()?;
    let (nodes, _) = ports.as_chunks::<4>();
    let members: Vec<String> = nodes.iter().map(|[peer, ..]| peer.to_string()).collect();
    let mut servers = Vec::new();
    for (number, [peer, kv, sql, http]) in nodes.iter().enumerate() {
        let name = format!("node{}", number + 1);
        let mut command = bound_to_us(&program);
        command.arg("start").arg(format!("--data-dir={}", dir.join(&name).display())).args([
            format!("--node-name={name}"),
            format!("--listen-peer={peer}"),
            format!("--listen-kv={kv}"),
            format!("--listen-sql={sql}"),
            format!("--listen-http={http}"),
            format!("--initial-members={}", members.join(",")),
        ]);
        servers.push(Server::start(&name, dir, command, Signal::TERM)?);
    }
    let ready = async || {
        for [_, address, ..] in nodes {
            resp::Client::connect(*address, false).await?.put(0, "").await?;
        }
        Ok::<(), Refusal>(())
    };
    until_ready(kind.name(), &mut servers, ready).await?;
    let addresses: Vec<SocketAddr> =
        nodes.iter().map(|[_, kv, sql, _]| if kind.has_tables() { *sql } else { *kv }).collect();
    if kind.has_tables() {
        let created = create_tables(addresses[0]).await;
        created.map_err(|refusal| Failure::Client { name: kind.name(), refusal })?;
    }
    Ok(Peer { kind, servers, addresses })
}

async fn create_tables(address: SocketAddr) -> Result<(), Refusal> {
    Ok(postgres::connect(address, DATABASE).await?.batch_execute(postgres::TABLES).await?)
}

/// The node in the folder of this program.
fn built_beside() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name("annulus"))
}
