//! Tests of the key-value server over real sockets, with a database in memory behind it.

mod fake;
mod faults;
mod limits;
mod line;
mod pipeline;
mod random;
mod redis;
mod transcripts;
mod walks;
mod wire;

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use annulus_base::time::{MILLISECOND, Micros};
use annulus_base::{Epoch, NamespaceId, NodeId};
use annulus_ring::{Basis, ClusterId, Member, Namespace, Topology, TopologyRecord};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::{Config, Server, serve};
use crate::metrics::Metrics;
use fake::Fake;
use wire::Client;

/// A server on a free port, its database and its clock.
pub struct Fixture {
    pub database: Fake,
    pub server: Rc<Server<Fake>>,
    pub wall: Rc<Cell<Micros>>,
    pub port: u16,
    pub shutdown: CancellationToken,
}

impl Fixture {
    /// Lets the wall clock of the server go on.
    pub fn advance(&self, millis: u64) {
        self.wall.set(self.wall.get() + millis * MILLISECOND);
    }

    /// Waits for a condition, for ten seconds at most.
    pub async fn wait_for(&self, condition: impl Fn(&Server<Fake>) -> bool) {
        let waiting = async {
            while !condition(&self.server) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the condition does not come true");
    }

    /// Waits until no new connection is accepted.
    pub async fn wait_until_refused(&self) {
        let waiting = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the port stays open");
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.port).await
    }

    /// Another node over the same database.
    pub async fn another(&self, config: Config) -> Self {
        start(self.database.clone(), Rc::clone(&self.wall), config).await
    }
}

/// Runs a test with a server.
pub fn with_server<F: Future<Output = ()>>(config: Config, test: impl FnOnce(Fixture) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let wall = Rc::new(Cell::new(now.as_micros() as Micros));
        test(start(Fake::default(), wall, config).await).await;
    });
}

async fn start(database: Fake, wall: Rc<Cell<Micros>>, config: Config) -> Fixture {
    let clock = Rc::clone(&wall);
    let wall_clock = Rc::new(move || clock.get());
    let metrics = Rc::new(Metrics::new());
    let server = Rc::new(Server::new(database.clone(), &topology(), config, wall_clock, metrics));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    tokio::task::spawn_local(serve(listener, Rc::clone(&server), shutdown.clone()));
    Fixture { database, server, wall, port, shutdown }
}

/// One node, sixteen databases of eight slots, and the system namespace.
fn topology() -> Topology {
    let database = |db: u32| Namespace::new(NamespaceId(db + 1), format!("db{db}"), Basis::ByKey { slots: 8 });
    let mut namespaces: Vec<Namespace> = (0..16).map(database).collect();
    namespaces.push(Namespace::new(NamespaceId::SYSTEM, "system", Basis::ByName));
    let member = Member { id: NodeId(1), weight: 100, zone: "z".to_owned(), peer_address: "127.0.0.1:1".to_owned() };
    let record = TopologyRecord { epoch: Epoch(1), cluster: ClusterId(1), members: vec![member], namespaces };
    Topology::from_record(record).unwrap()
}
