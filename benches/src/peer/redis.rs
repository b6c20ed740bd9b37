//! A Redis primary and two replicas that sync their log after every turn that wrote.
//!
//! Clients use the primary, and let every write be followed by `WAIT 1`: it counts replicas that have received the
//! write, which is no guarantee of a transaction.

use std::path::Path;

use rustix::process::Signal;

use super::{Kind, Peer};
use crate::client::resp;
use crate::failure::Failure;
use crate::server::{Server, bound_to_us, find_program, free_ports, until_ready};

pub async fn start(dir: &Path) -> Result<Peer, Failure> {
    let program = find_program("redis-server").ok_or_else(|| Failure::Missing {
        program: "redis-server".to_owned(),
        remedy: "apt-get install redis-server",
    })?;
    let ports = free_ports::<3>()?;
    let mut servers = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let name = format!("r{number}");
        let data = dir.join(&name);
        std::fs::create_dir_all(&data)?;
        let mut command = bound_to_us(&program);
        command.arg("--dir").arg(data).args(["--port", &port.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        if number > 0 {
            command.args(["--replicaof", "127.0.0.1", &ports[0].port().to_string()]);
        }
        servers.push(Server::start(&name, dir, command, Signal::TERM)?);
    }
    let ready = async || resp::Client::connect(ports[0], true).await?.expect_replicas(2).await;
    until_ready("redis", &mut servers, ready).await?;
    Ok(Peer { kind: Kind::Redis, servers, addresses: vec![ports[0]] })
}
