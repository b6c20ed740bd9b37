//! Who is connected, what they do, and how they are cancelled.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It introduces itself.
    Starting,
    /// Its statement is at work.
    Active,
    /// It waits for its client.
    Idle,
    /// It waits for its client in a transaction.
    IdleInTransaction,
    /// It waits for its client in a transaction that has failed.
    IdleInFailedTransaction,
}

impl Activity {
    /// What `pg_stat_activity` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::IdleInTransaction => "idle in transaction",
            Self::IdleInFailedTransaction => "idle in transaction (aborted)",
        }
    }
}

/// Most bytes of a statement's text that are kept for `pg_stat_activity`.
const SHOWN: usize = 1024;

/// What is known about one connection.
#[derive(Debug)]
pub struct Client {
    /// Its number, what clients know as a process id; not used again while the node runs.
    pub id: i32,
    /// The client's end.
    pub peer: SocketAddr,
    /// Since when, on the node's wall clock, microseconds since the Unix epoch.
    pub since: u64,
    /// Who it is.
    pub user: RefCell<String>,
    /// Its database.
    pub database: RefCell<String>,
    /// What the program calls itself.
    pub application: RefCell<String>,
    /// The beginning of its last statement.
    pub query: RefCell<String>,
    /// When that was begun, as [`Client::since`].
    pub query_since: Cell<u64>,
    /// What it does.
    pub activity: Cell<Activity>,
    /// When it began to.
    pub changed: Cell<Instant>,
    /// Bytes that it holds.
    pub holds: Cell<usize>,
    cancelled: Cell<bool>,
    terminated: Cell<bool>,
    wake: Notify,
}

impl Client {
    /// Cancels the statement at work, if there is one.
    pub fn cancel(&self) {
        if self.activity.get() == Activity::Active {
            self.cancelled.set(true);
            self.wake.notify_one();
        }
    }

    /// Ends the connection; its statement at work is cancelled.
    pub fn terminate(&self) {
        self.terminated.set(true);
        self.wake.notify_one();
    }

    /// Whether it is to be ended.
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        self.terminated.get()
    }

    /// Whether its statement is to be cancelled, or it is to be ended.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        self.cancelled.get() || self.terminated.get()
    }

    /// Ends when it is to be ended.
    pub async fn terminated(&self) {
        while !self.terminated.get() {
            self.wake.notified().await;
        }
    }

    /// Ends when its statement is to be cancelled, or it is to be ended.
    pub async fn interrupted(&self) {
        while !self.is_interrupted() {
            self.wake.notified().await;
        }
    }

    /// What it does now.
    pub fn set_activity(&self, activity: Activity) {
        // A request to cancel is about the statement that was at work when it came.
        self.cancelled.set(self.cancelled.get() && activity == Activity::Active);
        if self.activity.replace(activity) != activity {
            self.changed.set(Instant::now());
        }
    }

    /// A statement is begun, at `wall` (microseconds since the Unix epoch).
    pub fn begin(&self, sql: &str, wall: u64) {
        self.set_activity(Activity::Active);
        self.query_since.set(wall);
        let mut query = self.query.borrow_mut();
        query.clear();
        query.push_str(&sql[..sql.floor_char_boundary(SHOWN)]);
    }

    /// The request to cancel was followed.
    pub fn clear_cancel(&self) {
        self.cancelled.set(false);
    }
}

/// All connections, and the key that their secrets come from.
pub struct Clients {
    key: [u8; blake3::KEY_LEN],
    last_id: Cell<i32>,
    connected: RefCell<BTreeMap<i32, Rc<Client>>>,
}

impl Clients {
    /// Nobody yet. Who knows `key` can cancel: it must be random.
    #[must_use]
    pub fn new(key: [u8; blake3::KEY_LEN]) -> Self {
        Self { key, last_id: Cell::new(0), connected: RefCell::default() }
    }

    /// A new connection, at `wall` (microseconds since the Unix epoch).
    pub fn add(&self, peer: SocketAddr, wall: u64) -> Rc<Client> {
        let mut connected = self.connected.borrow_mut();
        let mut id = self.last_id.get();
        loop {
            id = id.checked_add(1).unwrap_or(1);
            if !connected.contains_key(&id) {
                break;
            }
        }
        self.last_id.set(id);
        let client = Rc::new(Client {
            id,
            peer,
            since: wall,
            user: RefCell::default(),
            database: RefCell::default(),
            application: RefCell::default(),
            query: RefCell::default(),
            query_since: Cell::new(wall),
            activity: Cell::new(Activity::Starting),
            changed: Cell::new(Instant::now()),
            holds: Cell::new(0),
            cancelled: Cell::new(false),
            terminated: Cell::new(false),
            wake: Notify::new(),
        });
        connected.insert(id, Rc::clone(&client));
        client
    }

    /// A connection has ended.
    pub fn remove(&self, id: i32) {
        self.connected.borrow_mut().remove(&id);
    }

    /// The one of that number.
    #[must_use]
    pub fn find(&self, id: i32) -> Option<Rc<Client>> {
        self.connected.borrow().get(&id).cloned()
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

    /// What a client must know to cancel that connection's statements; its first bytes for older protocols.
    #[must_use]
    pub fn secret(&self, id: i32) -> [u8; 32] {
        *blake3::keyed_hash(&self.key, &id.to_be_bytes()).as_bytes()
    }

    /// A request to cancel, with a secret of four bytes or more. A wrong one is ignored.
    pub fn cancel(&self, id: i32, secret: &[u8]) {
        let Some(client) = self.find(id) else { return };
        let right = self.secret(id);
        let Some(prefix) = right.get(..secret.len()).filter(|prefix| prefix.len() >= 4) else { return };
        // All bytes are looked at, so that the time taken says nothing about how many are right.
        let different = prefix.iter().zip(secret).fold(0, |sum, (one, other)| sum | (one ^ other));
        if different == 0 {
            client.cancel();
        }
    }
}
