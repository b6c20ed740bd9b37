//! Key-value commands over the Redis protocol (RESP2 and RESP3), as in Redis 7.
//!
//! Promises:
//! - A command is one strictly serializable transaction, and so is `MULTI` ... `EXEC`, whatever keys of
//!   the cluster they touch; any node answers for any key. Transactions are tried again inside, until the
//!   request's time is up.
//! - An error that says "not executed" is true ([`errors`]); an outcome that could not be learned is told
//!   as such, with an id to ask by ([`outcome`]).
//! - No two nodes disagree whether a key is there: an expired key is absent only once its deletion is
//!   committed ([`value`]).
//! - No client can make the node panic, hang or balloon ([`protocol`], [`connection`], [`config`]).
//!
//! The way of a command: [`connection`] reads bytes, [`protocol`] makes a request of them, `execute` finds
//! its row in the table of [`commands`] and runs it; one that touches data goes through `transaction`,
//! which fetches its keys into a [`view`], runs it as a pure function there, and commits. Those that write
//! the same keys through this node at the same time share one transaction (`line`), and reads that one client
//! sends without waiting for answers share one read (`pipeline`).
//!
//! On purpose otherwise than in Redis 7.0:
//! - Other types, scripts, publish/subscribe, ACLs and `CONFIG SET` are refused: "not supported yet".
//! - A value may have 8 MiB, a key 4 KiB; more is `-LIMIT`, and the connection goes on.
//! - `AUTH` is refused (there are no passwords), so that nobody believes to be protected by one.
//! - `WAIT` answers at once how many other nodes hold every acknowledged write (a majority of the ring).
//! - A key that is born dead (`SET k v EXAT 1`) is never counted; expired keys never are.
//! - A `FLUSHDB` lets every `WATCH` in that database fail, also of keys that were absent.
//! - `KEYS`, `DBSIZE` and `RANDOMKEY` of more than a few thousand keys are like a `SCAN`: see `walk`.
//! - `SCAN` returns a key of a slot twice where its cursor is continued on another node.
//! - `INFO` counts keys only when `keyspace` is asked for by name: it takes a walk through all of them.

mod assemble;
pub mod clients;
pub mod commands;
pub mod config;
pub mod connection;
mod contention;
mod cursors;
pub mod errors;
mod execute;
mod fetch;
mod info;
mod keyspace;
mod line;
pub mod outcome;
mod pipeline;
pub mod protocol;
mod session;
pub mod shared;
mod slow_log;
pub mod stats;
pub mod sweeper;
mod transaction;
pub mod value;
pub mod view;
mod walk;
mod watch;

#[cfg(test)]
mod testing;

use std::io;
use std::rc::Rc;

use annulus_ring::Topology;
use annulus_txn::interface::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use connection::Connection;
use shared::{Shared, WallClock};

use super::accept::{accept, turn_away};
use crate::metrics::Metrics;

/// A node's key-value server.
pub struct Server<D> {
    /// Where the data is.
    pub database: D,
    /// Everything else.
    pub shared: Shared,
}

impl<D: Database> Server<D> {
    /// A server for the databases `db0` to `db15` of a topology, as far as it has them.
    ///
    /// `wall` is the node's wall clock, microseconds since the Unix epoch. It decides when keys expire.
    #[must_use]
    pub fn new(database: D, topology: &Topology, config: Config, wall: WallClock, metrics: Rc<Metrics>) -> Self {
        Self { database, shared: Shared::new(topology, config, wall, metrics) }
    }
}

/// Serves clients until `shutdown` is cancelled; then lets commands at work finish, at most for
/// [`Config::drain_timeout`]. Must run inside of a `LocalSet`.
pub async fn serve<D: Database>(listener: TcpListener, server: Rc<Server<D>>, shutdown: CancellationToken) {
    let receive = |stream, connections: &mut JoinSet<()>| receive(&server, stream, connections, &shutdown);
    accept(listener, &shutdown, server.shared.config.drain_timeout, receive).await;
}

/// Serves an accepted socket, or says that there is no room for it.
fn receive<D: Database>(
    server: &Rc<Server<D>>,
    stream: TcpStream,
    connections: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) {
    let shared = &server.shared;
    shared.stats.connections.add(1);
    if shared.clients.count() >= shared.config.max_clients {
        shared.stats.rejected.add(1);
        turn_away(connections, shared.config.max_clients, refuse(stream));
    } else if let Some(connection) = admit(server, stream) {
        let shutdown = shutdown.clone();
        // How a connection ends concerns nobody else.
        connections.spawn_local(async move { drop(connection.serve(&shutdown).await) });
    }
}

/// A connection for an accepted socket; `None` if it is gone already.
fn admit<D: Database>(server: &Rc<Server<D>>, stream: TcpStream) -> Option<Connection<D>> {
    // Without it answers would wait for the client's acknowledgements; it is only slower then.
    let _ = stream.set_nodelay(true);
    let (peer, local) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    let client = server.shared.clients.add(peer, local);
    Some(Connection::new(Rc::clone(server), stream, client))
}

/// Says that there is no room. Reads until the client closes: closing first could cost it the message.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"-ERR max number of clients reached\r\n").await?;
    stream.shutdown().await?;
    let mut unread = [0; 512];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
