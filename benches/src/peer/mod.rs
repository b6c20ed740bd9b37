//! The databases that are compared: how each is started, and how clients reach it.

mod annulus;
mod etcd;
mod galera;
mod postgres;
mod redis;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;

use crate::client::{Client, Refusal};
use crate::client::{etcd as etcd_client, mysql, postgres as postgres_client, resp};
use crate::data;
use crate::failure::Failure;
use crate::options::Place;
use crate::server::Server;
use crate::suite::Workload;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Three nodes of ours, as a key-value store; clients on all.
    Annulus,
    /// Three nodes of ours, through SQL; clients on all.
    AnnulusSql,
    /// Three etcd members; clients on all, quorum reads.
    Etcd,
    /// A Galera cluster of three MariaDB servers; clients on all, which read what was committed anywhere.
    Galera,
    /// PostgreSQL with two synchronous standbys, of which one must have flushed a commit.
    Postgres,
    /// Redis with two replicas, of which one must have received a write.
    Redis,
}

impl Kind {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Annulus => "annulus",
            Self::AnnulusSql => "annulus-sql",
            Self::Etcd => "etcd",
            Self::Galera => "galera",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    /// Whether its clients speak SQL.
    pub const fn has_tables(self) -> bool {
        matches!(self, Self::AnnulusSql | Self::Galera | Self::Postgres)
    }

    /// Whether a workload can be run with it.
    pub const fn can(self, workload: Workload) -> bool {
        self.has_tables() || !workload.needs_tables()
    }
}

/// A running database with its data set.
pub struct Peer {
    /// Which.
    pub kind: Kind,
    servers: Vec<Server>,
    /// Where clients connect, in turn.
    addresses: Vec<SocketAddr>,
}

impl Peer {
    /// Starts a database, without data, in a new folder in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not serve.
    pub async fn start(kind: Kind, dir: &Path, place: &Place) -> Result<Self, Failure> {
        let dir = dir.join(kind.name());
        fs::create_dir_all(&dir)?;
        match kind {
            Kind::Annulus | Kind::AnnulusSql => annulus::start(kind, &dir, place.annulus.as_deref()).await,
            Kind::Galera => galera::start(&dir).await,
            Kind::Etcd => etcd::start(&dir).await,
            Kind::Postgres => postgres::start(&dir).await,
            Kind::Redis => redis::start(&dir).await,
        }
    }

    /// Where a client connects: the clients are spread over the servers in turn.
    pub fn endpoint(&self, client: usize) -> Endpoint {
        Endpoint { kind: self.kind, address: self.addresses[client % self.addresses.len()] }
    }

    /// The process ids of its servers.
    pub fn pids(&self) -> Vec<u32> {
        self.servers.iter().map(Server::pid).collect()
    }

    /// Fails if a server has ended by itself.
    ///
    /// # Errors
    /// With the end of the server's log.
    pub fn check_alive(&mut self) -> Result<(), Failure> {
        self.servers.iter_mut().try_for_each(Server::check)
    }

    /// Compares the sum over all accounts, as each server that takes clients tells it, with that at the start.
    ///
    /// # Errors
    /// If it differs or cannot be read.
    pub async fn check_conserved(&self) -> Result<(), Failure> {
        let name = self.kind.name();
        let expected = i64::from(data::ACCOUNTS) * data::BALANCE;
        for number in 0..self.addresses.len() {
            let total = async { self.endpoint(number).connect().await?.total().await };
            let found = total.await.map_err(|refusal| Failure::Client { name, refusal })?;
            if found != expected {
                return Err(Failure::NotConserved { name, found, expected });
            }
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // All at once: one that is left alone waits for the others first.
        self.servers.iter_mut().for_each(Server::ask_to_stop);
    }
}

/// A server that takes clients.
#[derive(Clone, Copy)]
pub struct Endpoint {
    kind: Kind,
    address: SocketAddr,
}

impl Endpoint {
    /// A plain connection to a database that speaks PostgreSQL's protocol.
    ///
    /// # Errors
    /// If the server does not answer as it should.
    pub async fn sql(self) -> Result<tokio_postgres::Client, Refusal> {
        let database = if self.kind == Kind::Postgres { postgres::DATABASE } else { annulus::DATABASE };
        postgres_client::connect(self.address, database).await
    }

    /// Connects a client.
    ///
    /// # Errors
    /// If the server does not answer as it should.
    pub async fn connect(self) -> Result<Client, Refusal> {
        let address = self.address;
        Ok(match self.kind {
            Kind::Annulus => Client::Resp(resp::Client::connect(address, false).await?),
            Kind::Etcd => Client::Etcd(etcd_client::Client::connect(address).await?),
            Kind::AnnulusSql | Kind::Postgres => {
                Client::Postgres(Box::new(postgres_client::Client::prepared(self.sql().await?).await?))
            }
            Kind::Galera => Client::Mysql(Box::new(mysql::Client::connect(address).await?)),
            Kind::Redis => Client::Resp(resp::Client::connect(address, true).await?),
        })
    }
}
