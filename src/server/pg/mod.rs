//! SQL over PostgreSQL's protocol, version 3.0 and 3.2: any driver of PostgreSQL connects.
//!
//! Promises:
//! - What a client is told has happened, has: the answer of a statement that commits is made after its commit.
//!   Statements of one simple query, and those between two Syncs, are one transaction, as in PostgreSQL.
//! - A statement ends at once when its client goes or somebody cancels it, and its transaction is rolled back; only
//!   a commit under way is waited for, since nobody would know its outcome ([`session::Shield`]).
//! - No client can make the node panic, hang or balloon ([`protocol`], `wire`, [`config`]).
//! - Nothing here knows SQL: sessions do ([`session`]).
//!
//! The way of a message: `wire` reads bytes, [`protocol`] makes a message of them, `connection` tells whether it is
//! to be carried out (after an error nothing is, up to the next Sync), `statements` does so with the session, and
//! `run` takes the rows to the client.
//!
//! Not supported: encryption (declined), passwords (ports listen on loopback only, see `insecure`), the function call
//! message, replication connections.

pub mod clients;
pub mod config;
mod connection;
mod failure;
mod greeting;
mod portal;
pub mod protocol;
mod run;
pub mod session;
pub mod shared;
mod statements;
mod values;
mod wire;

#[cfg(test)]
mod testing;

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use annulus_relation::SqlError;
use annulus_relation::error::SqlState;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use clients::{Client, Clients};
pub use config::Config;
use connection::{Connection, farewell};
use failure::Failure;
use protocol::backend;
use session::{Sessions, Severity};
use shared::{Shared, WallClock};
use wire::Wire;

use super::accept::{accept, turn_away};
use crate::metrics::Metrics;

/// A node's PostgreSQL server.
pub struct Server<S> {
    /// What statements are carried out by.
    pub sessions: S,
    /// Everything else.
    pub shared: Rc<Shared>,
}

impl<S: Sessions> Server<S> {
    /// A server for those sessions. `wall` is the node's wall clock, microseconds since the Unix epoch.
    #[must_use]
    pub fn new(sessions: S, clients: Rc<Clients>, config: Config, wall: WallClock, metrics: Rc<Metrics>) -> Self {
        let shared = Shared { config, clients, metrics, wall, buffered: Cell::new(0) };
        Self { sessions, shared: Rc::new(shared) }
    }
}

/// Serves clients until `shutdown` is cancelled; then lets statements at work finish, at most for
/// [`Config::drain_timeout`]. Must run inside of a `LocalSet`.
pub async fn serve<S: Sessions>(listener: TcpListener, server: Rc<Server<S>>, shutdown: CancellationToken) {
    let receive = |stream, connections: &mut JoinSet<()>| receive(&server, stream, connections, &shutdown);
    accept(listener, &shutdown, server.shared.config.drain_timeout, receive).await;
}

/// Serves an accepted socket, or says that there is no room for it.
fn receive<S: Sessions>(
    server: &Rc<Server<S>>,
    stream: TcpStream,
    connections: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) {
    let shared = &server.shared;
    shared.metrics.sql.accepted.increment(1);
    // Without it answers would wait for the client's acknowledgements; it is only slower then.
    let _ = stream.set_nodelay(true);
    if shared.clients.count() >= shared.config.max_clients {
        shared.metrics.sql.refused.increment(1);
        let clients = Rc::clone(&shared.clients);
        turn_away(connections, shared.config.max_clients, async move { drop(refuse(stream, &clients).await) });
    } else if let Ok(peer) = stream.peer_addr() {
        let guest = Guest::new(shared, shared.clients.add(peer, (shared.wall)()));
        let (server, shutdown) = (Rc::clone(server), shutdown.clone());
        // How a connection ends concerns nobody else.
        connections.spawn_local(async move { drop(attend(&server, stream, &guest, &shutdown).await) });
    }
}

/// A connection in the list of all, as long as it lasts.
struct Guest {
    shared: Rc<Shared>,
    client: Rc<Client>,
}

impl Guest {
    fn new(shared: &Rc<Shared>, client: Rc<Client>) -> Self {
        shared.metrics.sql.connected.increment(1.0);
        Self { shared: Rc::clone(shared), client }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.metrics.sql.connected.decrement(1.0);
        self.shared.clients.remove(self.client.id);
    }
}

/// Greets a client and serves it.
async fn attend<S: Sessions>(
    server: &Server<S>,
    mut stream: TcpStream,
    guest: &Guest,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    let mut input = BytesMut::new();
    let first = greeting::first(&mut stream, &mut input, &server.shared.clients);
    let introduction = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        introduction = timeout(server.shared.config.startup_timeout, first) => introduction?,
    };
    let mut wire = Wire::new(stream, input, Rc::clone(&server.shared), Rc::clone(&guest.client));
    let opened = match introduction {
        Ok(None) => return Ok(()),
        Ok(Some(introduction)) => greeting::open(server, &mut wire, introduction).await,
        Err(failure) => {
            server.shared.metrics.sql.broken.increment(1);
            Err(failure)
        }
    };
    match opened {
        Ok(session) => Connection::new(wire, session).serve(shutdown).await,
        Err(Failure::Gone(error)) => Err(error),
        Err(Failure::Statement(error) | Failure::Fatal(error)) => farewell(&mut wire, &error).await,
    }
}

/// Says that there is no room, once the client listens; a request to cancel is carried out.
async fn refuse(mut stream: TcpStream, clients: &Clients) -> Result<(), Failure> {
    let mut input = BytesMut::new();
    if greeting::first(&mut stream, &mut input, clients).await?.is_some() {
        let error = SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
            .hint("Connect to another node of the cluster, or raise max_sql_clients.");
        let mut output = Vec::new();
        backend::report(&mut output, Severity::Fatal, &error);
        stream.write_all(&output).await?;
        stream.shutdown().await?;
        // Closing first could cost the client the message.
        let mut unread = [0; 512];
        while stream.read(&mut unread).await? > 0 {}
    }
    Ok(())
}
