//! Tests of the PostgreSQL server over real sockets, with sessions that understand a few words.

mod copying;
mod driver;
mod extended;
mod fake;
mod greeting;
mod interrupts;
mod limits;
mod simple;
mod wire;

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::{Config, Server, serve};
use crate::metrics::Metrics;
use fake::{Fake, World};
use wire::Client;

/// A server on a free port, and what its sessions have done.
pub struct Fixture {
    pub world: Rc<World>,
    pub server: Rc<Server<Fake>>,
    pub port: u16,
    pub shutdown: CancellationToken,
}

impl Fixture {
    /// Waits for a condition, for ten seconds at most.
    pub async fn wait_for(&self, condition: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the condition does not come true");
    }

    /// Waits until all that has come in was looked at: a client that came after it has its answer.
    pub async fn settle(&self) {
        self.client().await.query("rows 0").await;
    }

    /// A client that was greeted.
    pub async fn client(&self) -> Client {
        Client::connect(self.port).await
    }
}

/// Runs a test with a server.
pub fn with_server<F: Future<Output = ()>>(config: Config, test: impl FnOnce(Fixture) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let world = Rc::new(World::default());
        let clients = Rc::new(Clients::new([7; 32]));
        let metrics = Rc::new(Metrics::new());
        let server = Rc::new(Server::new(Fake(Rc::clone(&world)), clients, config, Rc::new(|| 0), metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        tokio::task::spawn_local(serve(listener, Rc::clone(&server), shutdown.clone()));
        let test = test(Fixture { world, server, port, shutdown });
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test does not end");
    });
}
