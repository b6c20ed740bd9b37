//! Three etcd members with the default configuration: the log is synced before a write is acknowledged, and reads ask a
//! quorum.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use super::{Kind, Peer};
use crate::client::{Refusal, etcd};
use crate::failure::Failure;
use crate::server::{Server, bound_to_us, find_program, free_ports, until_ready};

pub async fn start(dir: &Path) -> Result<Peer, Failure> {
    let program = find_program("etcd")
        .ok_or_else(|| Failure::Missing { program: "etcd".to_owned(), remedy: "apt-get install etcd-server" })?;
    let ports = free_ports::<6>()?;
    let (members, _) = ports.as_chunks::<2>();
    let cluster: Vec<String> =
        members.iter().enumerate().map(|(number, [peer, _])| format!("m{number}=http://{peer}")).collect();
    let mut servers = Vec::new();
    for (number, [peer, client]) in members.iter().enumerate() {
        let name = format!("m{number}");
        let mut command = bound_to_us(&program);
        command.arg("--data-dir").arg(dir.join(&name)).args([
            format!("--name={name}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
            format!("--listen-client-urls=http://{client}"),
            format!("--advertise-client-urls=http://{client}"),
            format!("--initial-cluster={}", cluster.join(",")),
            "--initial-cluster-state=new".to_owned(),
            "--log-level=warn".to_owned(),
        ]);
        servers.push(Server::start(&name, dir, command, Signal::TERM)?);
    }
    let addresses: Vec<SocketAddr> = members.iter().map(|[_, client]| *client).collect();
    let ready = async || {
        for address in &addresses {
            etcd::Client::connect(*address).await?.put(0, "").await?;
        }
        Ok::<(), Refusal>(())
    };
    until_ready("etcd", &mut servers, ready).await?;
    Ok(Peer { kind: Kind::Etcd, servers, addresses })
}
