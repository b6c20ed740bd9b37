//! Who is connected, and what `CLIENT LIST` says about them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::protocol::Version;

/// What is known about one connection.
#[derive(Debug)]
pub struct Client {
    /// Its number, never reused while the node runs.
    pub id: u64,
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Since when.
    pub since: Instant,
    /// What it calls itself (`CLIENT SETNAME`).
    pub name: RefCell<String>,
    /// The driver's name and version (`CLIENT SETINFO`).
    pub library: RefCell<(String, String)>,
    /// The selected database.
    pub db: Cell<u8>,
    /// The protocol spoken.
    pub version: Cell<Version>,
    /// How many commands are queued by `MULTI`.
    pub queued: Cell<Option<usize>>,
    /// The last command.
    pub command: Cell<&'static str>,
    /// When it was begun.
    pub active: Cell<Instant>,
    /// Bytes held in unfinished requests and queued commands.
    pub buffered: Cell<usize>,
    killed: Cell<bool>,
    kill: Notify,
}

impl Client {
    /// Closes the connection, after the command at hand.
    pub fn kill(&self) {
        self.killed.set(true);
        self.kill.notify_one();
    }

    /// Whether it is to be closed.
    #[must_use]
    pub const fn is_killed(&self) -> bool {
        self.killed.get()
    }

    /// Ends when it is to be closed.
    pub async fn killed(&self) {
        while !self.killed.get() {
            self.kill.notified().await;
        }
    }

    /// Its line in `CLIENT LIST`.
    #[must_use]
    pub fn describe(&self) -> String {
        let (library, version) = &*self.library.borrow();
        let multi = self.queued.get().map_or(-1, |queued| queued as i64);
        let buffered = self.buffered.get();
        format!(
            "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi={multi} \
             qbuf={buffered} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem={buffered} \
             events=r cmd={} user=default redir=-1 resp={} lib-name={library} lib-ver={version}",
            self.id,
            self.peer,
            self.local,
            self.name.borrow(),
            self.since.elapsed().as_secs(),
            self.active.get().elapsed().as_secs(),
            if self.queued.get().is_some() { "x" } else { "N" },
            self.db.get(),
            if self.command.get().is_empty() { "NULL" } else { self.command.get() },
            if self.version.get() == Version::Resp3 { 3 } else { 2 },
        )
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Clients {
    last_id: Cell<u64>,
    connected: RefCell<BTreeMap<u64, Rc<Client>>>,
}

impl Clients {
    /// A new connection.
    pub fn add(&self, peer: SocketAddr, local: SocketAddr) -> Rc<Client> {
        self.last_id.set(self.last_id.get() + 1);
        let now = Instant::now();
        let client = Rc::new(Client {
            id: self.last_id.get(),
            peer,
            local,
            since: now,
            name: RefCell::default(),
            library: RefCell::default(),
            db: Cell::new(0),
            version: Cell::default(),
            queued: Cell::new(None),
            command: Cell::new(""),
            active: Cell::new(now),
            buffered: Cell::new(0),
            killed: Cell::new(false),
            kill: Notify::new(),
        });
        self.connected.borrow_mut().insert(client.id, Rc::clone(&client));
        client
    }

    /// A connection has ended.
    pub fn remove(&self, id: u64) {
        self.connected.borrow_mut().remove(&id);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.connected.borrow().len()
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Rc<Client>> {
        self.connected.borrow().values().cloned().collect()
    }
}
