//! The incoming side: greets whoever connects, and hands over what peers send, one batch per read.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulus_base::NodeId;
use annulus_replica::message::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::bootstrap::Founder;
use super::codec::{self, CodecError};
use super::connection::Connection;
use super::guests::{Guest, Guests};
use super::handshake::{self, HandshakeError, Identity, Opening, Reply, Versions, agree, check_dialler};
use super::link::Link;
use super::peers::{Handler, Shared};
use super::wire::Envelope;

/// Pause after the system refused to accept (mostly: too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every incoming connection needs.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) shared: Rc<Shared>,
    pub(super) handler: Rc<dyn Handler>,
    /// Answers nodes that are still forming the cluster.
    pub(super) founder: Option<Rc<Founder>>,
}

/// Accepts connections until the task is aborted.
pub(super) async fn run(reception: Reception, listener: TcpListener) {
    let guests = Guests::new(reception.shared.limits.guests);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => match guests.admit() {
                Some(guest) => drop(spawn_local(reception.clone().greet(stream, from, guest))),
                None => handshake::log_refused(from, &HandshakeError::Busy),
            },
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; are there too many open files?");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Reception {
    async fn greet(self, stream: TcpStream, from: SocketAddr, guest: Guest) {
        let limit = self.shared.limits.handshake;
        let greeting = timeout(limit, self.welcome(stream)).await;
        drop(guest);
        match greeting.unwrap_or(Err(HandshakeError::TimedOut(limit))) {
            Ok(Some((connection, link))) if !self.shared.closed.get() => {
                let reader = spawn_local(receive(self.shared, link.clone(), connection, self.handler));
                link.read_by(Some(reader.abort_handle()));
                link.retry.notify_one();
            }
            Ok(_) => {}
            Err(error) => handshake::log_refused(from, &error),
        }
    }

    /// The connection of a peer; `None` if it was that of a founder, who has been heard.
    async fn welcome(&self, stream: TcpStream) -> Result<Option<(Connection, Rc<Link>)>, HandshakeError> {
        let mut connection = Connection::new(stream)?;
        match connection.opening().await? {
            Opening::Member { versions, from, to } => match self.judge(versions, from, to) {
                Ok((version, link)) => {
                    let identity = Some(self.shared.identity());
                    connection.send(&Reply::Welcome { version, identity }).await?;
                    connection.frames.allow_large();
                    Ok(Some((connection, link)))
                }
                Err(error) => connection.refuse(error).await,
            },
            Opening::Bootstrap { versions } => match (agree(versions), &self.founder) {
                (Ok(version), Some(founder)) => founder.listen(&mut connection, version).await.map(|()| None),
                (Ok(_), None) => connection.refuse(HandshakeError::Phase).await,
                (Err(error), _) => connection.refuse(error).await,
            },
        }
    }

    fn judge(&self, versions: Versions, from: Identity, to: NodeId) -> Result<(u16, Rc<Link>), HandshakeError> {
        let version = agree(versions)?;
        check_dialler(self.shared.identity(), from, to)?;
        let link = self.shared.links.get(&from.node).ok_or(HandshakeError::NotMember(from.node))?;
        link.introduce(from)?;
        Ok((version, link.clone()))
    }
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
