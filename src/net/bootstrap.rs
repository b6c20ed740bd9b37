//! Forms a new cluster: carries the messages of [`annulus_ring::bootstrap`] between the nodes named by
//! `--initial-members`, over the same port that peers use later.
//!
//! Every message travels on a connection of its own, is answered by nothing but the welcome, and may be
//! lost: nodes repeat themselves until all know. The first nodes to finish go on as members; while they
//! run they still answer those that are behind ([`super::Peers::start`] takes the [`Founder`] for that).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use annulus_base::{NodeId, Now};
use annulus_ring::TopologyRecord;
use annulus_ring::bootstrap::{Bootstrap, BootstrapError, Input, Message, Saved, Settings};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::codec;
use super::connection::Connection;
use super::dial::dial;
use super::guests::{Guest, Guests};
use super::handshake::{self, HandshakeError, Opening, Reply, VERSIONS, agree};
use super::peers::Limits;

/// How often time passes for the protocol.
const TICK: Duration = Duration::from_millis(100);
/// How often the log says who is missing.
const REMIND_EVERY: Duration = Duration::from_secs(5);

/// Stores what a founder must not forget, durably, replacing what was stored before.
pub type Save = dyn FnMut(&Saved) -> io::Result<()>;

/// Why a cluster was not formed.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The settings cannot make a cluster.
    #[error(transparent)]
    Settings(#[from] BootstrapError),
    /// This node was part of a cluster, and has forgotten it.
    #[error(
        "{0} says that the cluster was formed, with this node as a member, but the data directory knows nothing of it: \
         its data was lost, or data_dir points elsewhere; start with the directory of before (the others serve \
         without this node as long as a majority of each replica ring is up)"
    )]
    Forgotten(String),
    /// What must not be forgotten could not be stored. Nothing was promised to others.
    #[error("cannot store the state of the cluster's founding: {0}; the node stops, check its data directory")]
    Save(String),
}

/// One node's part in forming a cluster.
pub struct Founder {
    protocol: RefCell<Bootstrap>,
    save: RefCell<Box<Save>>,
    /// Why storing failed. From then on nothing is said any more.
    failed: RefCell<Option<String>>,
    /// Addresses that a message is on its way to; a further one waits for the next repetition.
    under_way: RefCell<BTreeSet<String>>,
    stepped: Notify,
    limits: Limits,
    started: Instant,
}

impl Founder {
    /// A node that begins, or goes on from what it saved. `nonce` is a fresh random number.
    ///
    /// # Errors
    /// [`FoundingError::Settings`].
    pub fn new(
        settings: Settings,
        saved: Option<Saved>,
        nonce: u128,
        limits: Limits,
        save: impl FnMut(&Saved) -> io::Result<()> + 'static,
    ) -> Result<Rc<Self>, FoundingError> {
        Ok(Rc::new(Self {
            protocol: RefCell::new(Bootstrap::start(settings, saved, nonce)?),
            save: RefCell::new(Box::new(save)),
            failed: RefCell::default(),
            under_way: RefCell::default(),
            stepped: Notify::new(),
            limits,
            started: Instant::now(),
        }))
    }

    /// Talks to the other initial members until the cluster is formed; returns this node's number and the
    /// genesis. Both are stored by then. The listener is the caller's again afterwards. Must be called
    /// within a `LocalSet`.
    ///
    /// # Errors
    /// [`FoundingError::Save`]; [`FoundingError::Forgotten`].
    pub async fn form(self: &Rc<Self>, listener: &TcpListener) -> Result<(NodeId, TopologyRecord), FoundingError> {
        let guests = Guests::new(self.limits.guests);
        let mut reminded = Instant::now();
        self.step(Input::Tick);
        loop {
            if let Some(error) = self.failed.borrow().clone() {
                return Err(FoundingError::Save(error));
            }
            if let Some(member) = self.protocol.borrow().forgot() {
                return Err(FoundingError::Forgotten(member.to_owned()));
            }
            if let Some((node, record)) = self.protocol.borrow().decided() {
                tracing::info!(%node, cluster = %record.cluster, members = record.members.len(), "cluster formed");
                return Ok((node, record.clone()));
            }
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => self.greet(stream, from, &guests),
                    Err(error) => tracing::error!(%error, "cannot accept connections; are there too many open files?"),
                },
                () = self.stepped.notified() => {}
                () = sleep(TICK) => self.step(Input::Tick),
            }
            if reminded.elapsed() >= REMIND_EVERY {
                reminded = Instant::now();
                self.remind();
            }
        }
    }

    fn greet(self: &Rc<Self>, stream: TcpStream, from: SocketAddr, guests: &Rc<Guests>) {
        match guests.admit() {
            Some(guest) => drop(spawn_local(self.clone().hear(stream, from, guest))),
            None => handshake::log_refused(from, &HandshakeError::Busy),
        }
    }

    async fn hear(self: Rc<Self>, stream: TcpStream, from: SocketAddr, guest: Guest) {
        let heard = async {
            let mut connection = Connection::new(stream)?;
            match connection.opening().await? {
                Opening::Bootstrap { versions } => match agree(versions) {
                    Ok(version) => self.listen(&mut connection, version).await,
                    Err(error) => connection.refuse(error).await,
                },
                Opening::Member { .. } => connection.refuse(HandshakeError::Phase).await,
            }
        };
        let limit = self.limits.handshake;
        let result = timeout(limit, heard).await.unwrap_or(Err(HandshakeError::TimedOut(limit)));
        drop(guest);
        if let Err(error) = result {
            handshake::log_refused(from, &error);
        }
    }

    /// Welcomes a founder and hears its message.
    pub(super) async fn listen(
        self: &Rc<Self>,
        connection: &mut Connection,
        version: u16,
    ) -> Result<(), HandshakeError> {
        connection.send(&Reply::Welcome { version, identity: None }).await?;
        let frame = connection.frame().await?;
        self.step(Input::Received(codec::decode_short(&frame)?));
        Ok(())
    }

    fn step(self: &Rc<Self>, input: Input) {
        if self.failed.borrow().is_some() {
            return;
        }
        let effects = self.protocol.borrow_mut().step(self.now(), input);
        self.stepped.notify_one();
        if let Some(saved) = effects.save
            && let Err(error) = (self.save.borrow_mut())(&saved)
        {
            tracing::error!(%error, "cannot store the state of the cluster's founding");
            self.failed.replace(Some(error.to_string()));
            return;
        }
        for (address, message) in effects.send {
            if self.under_way.borrow_mut().insert(address.clone()) {
                drop(spawn_local(self.clone().tell(address, message)));
            }
        }
        for (address, problem) in effects.problems {
            tracing::warn!(member = %address, %problem, "the cluster cannot form yet");
        }
    }

    /// Failures are no news here: the member is not up yet. Who is missing is said by the reminder.
    async fn tell(self: Rc<Self>, address: String, message: Message) {
        let said = async {
            let mut connection = Connection::new(dial(&address).await?)?;
            let reply = connection.open(&Opening::Bootstrap { versions: VERSIONS }).await?;
            let (version, _) = handshake::welcome(reply)?;
            agree(handshake::Versions { oldest: version, newest: version })?;
            connection.send(&message).await
        };
        let limit = self.limits.handshake;
        let result = timeout(limit, said).await.unwrap_or(Err(HandshakeError::TimedOut(limit)));
        self.under_way.borrow_mut().remove(&address);
        if let Err(error) = result {
            tracing::debug!(member = %address, %error, "cannot reach another founder");
        }
    }

    fn remind(&self) {
        let protocol = self.protocol.borrow();
        let missing: Vec<&str> = protocol.waiting_for().collect();
        if !missing.is_empty() {
            tracing::info!(missing = missing.join(", "), "waiting for initial members");
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { steady: self.started.elapsed().as_micros() as u64, wall: wall.as_micros() as u64 }
    }
}

#[cfg(test)]
mod tests;
