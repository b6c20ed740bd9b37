//! The incoming side: greets whoever connects, and hands over what peers send, one batch per read.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulus_replica::message::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::codec::{self, CodecError};
use super::connection::Connection;
use super::handshake::{self, HandshakeError, Opening, Reply, agree, check_dialler};
use super::link::Link;
use super::peers::{Handler, Shared};
use super::wire::Envelope;

/// Pause after the system refused to accept (mostly: too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the task is aborted.
pub(super) async fn run(shared: Rc<Shared>, listener: TcpListener, handler: Rc<dyn Handler>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let Some(guest) = Guest::admit(&shared) else {
                    handshake::log_refused(from, &HandshakeError::Busy);
                    continue;
                };
                spawn_local(greet(shared.clone(), stream, from, guest, handler.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; are there too many open files?");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection that has not said who it is. They are few, so that nobody can exhaust the node.
struct Guest(Rc<Shared>);

impl Guest {
    fn admit(shared: &Rc<Shared>) -> Option<Self> {
        let room = shared.guests.get() < shared.limits.guests;
        room.then(|| {
            shared.guests.set(shared.guests.get() + 1);
            Self(shared.clone())
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.guests.set(self.0.guests.get() - 1);
    }
}

async fn greet(shared: Rc<Shared>, stream: TcpStream, from: SocketAddr, guest: Guest, handler: Rc<dyn Handler>) {
    let limit = shared.limits.handshake;
    let greeting = timeout(limit, welcome(&shared, stream)).await;
    drop(guest);
    match greeting.unwrap_or(Err(HandshakeError::TimedOut(limit))) {
        Ok((connection, link)) if !shared.closed.get() => {
            let reader = spawn_local(receive(shared, link.clone(), connection, handler));
            link.read_by(Some(reader.abort_handle()));
            link.retry.notify_one();
        }
        Ok(_) => {}
        Err(error) => handshake::log_refused(from, &error),
    }
}

async fn welcome(shared: &Shared, stream: TcpStream) -> Result<(Connection, Rc<Link>), HandshakeError> {
    let mut connection = Connection::new(stream)?;
    let opening = connection.opening().await?;
    match judge(shared, &opening) {
        Ok((version, link)) => {
            connection.send(&Reply::Welcome { version, identity: Some(shared.identity()) }).await?;
            connection.frames.allow_large();
            Ok((connection, link))
        }
        Err(error) => {
            connection.send(&handshake::refusal(&error)).await?;
            Err(error)
        }
    }
}

fn judge(shared: &Shared, opening: &Opening) -> Result<(u16, Rc<Link>), HandshakeError> {
    let Opening::Member { versions, from, to } = opening else { return Err(HandshakeError::Phase) };
    let version = agree(*versions)?;
    check_dialler(shared.identity(), *from, *to)?;
    let link = shared.links.get(&from.node).ok_or(HandshakeError::NotMember(from.node))?;
    link.introduce(*from)?;
    Ok((version, link.clone()))
}

/// Reads until the connection ends; the handler gets all messages of one read at once.
async fn receive(shared: Rc<Shared>, link: Rc<Link>, mut connection: Connection, handler: Rc<dyn Handler>) {
    let mut batch = Vec::new();
    loop {
        match connection.fill().await {
            Ok(bytes) => link.heard(bytes),
            Err(error) => {
                tracing::info!(peer = %link.node, %error, "the peer's connection ended");
                return;
            }
        }
        let result = unpack(&shared, &link, &mut connection, &mut batch, &*handler);
        if !batch.is_empty() {
            handler.messages(link.node, &mut batch);
            batch.clear();
        }
        if let Err(error) = result {
            tracing::warn!(peer = %link.node, %error, "closed the peer's connection");
            return;
        }
    }
}

/// Takes all whole frames out of the buffer. Messages about transactions go to `batch`.
fn unpack(
    shared: &Shared,
    link: &Link,
    connection: &mut Connection,
    batch: &mut Vec<Message>,
    handler: &dyn Handler,
) -> Result<(), CodecError> {
    while let Some(frame) = connection.frames.next(&mut connection.buffer)? {
        link.received(1);
        match codec::decode(&frame)? {
            Envelope::Transaction(message) => batch.push(message),
            Envelope::Gossip(bytes) => handler.gossip(link.node, bytes),
            Envelope::Ping(asked) => shared.send(&[link.node], &Envelope::Pong(asked))?,
            Envelope::Pong(asked) => link.measured(Duration::from_micros(shared.micros().saturating_sub(asked))),
        }
    }
    Ok(())
}
