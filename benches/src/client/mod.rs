//! One client connection to a peer. The peers' protocols differ, the operations do not.

pub mod etcd;
pub mod mysql;
pub mod postgres;
pub mod resp;

use std::ops::Range;

/// Why an operation did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The transaction lost against a concurrent one: try again.
    #[error("lost a conflict")]
    Conflict,
    /// Anything else; the connection is of no use any more.
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    /// Something that is not as it must be.
    pub fn failed<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self::Failed(what.into()))
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A connection.
pub enum Client {
    /// Redis' protocol: Redis and Annulus.
    Resp(resp::Client),
    /// etcd's gRPC.
    Etcd(etcd::Client),
    /// PostgreSQL's protocol.
    Postgres(Box<postgres::Client>),
    /// MariaDB's protocol.
    Mysql(Box<mysql::Client>),
}

/// Calls a method of whatever client it is.
macro_rules! each {
    ($client:expr, $name:ident => $call:expr) => {
        match $client {
            Client::Resp($name) => $call.await,
            Client::Etcd($name) => $call.await,
            Client::Postgres($name) => $call.await,
            Client::Mysql($name) => $call.await,
        }
    };
}

/// The same for what only a database with tables has.
macro_rules! with_tables {
    ($client:expr, $name:ident => $call:expr) => {
        match $client {
            Client::Postgres($name) => $call.await,
            Client::Mysql($name) => $call.await,
            Client::Resp(_) | Client::Etcd(_) => Refusal::failed("it has no tables"),
        }
    };
}

impl Client {
    /// Writes keys while filling the data set.
    pub async fn load(&mut self, batch: &[(u32, String)]) -> Result<(), Refusal> {
        each!(self, client => client.load(batch))
    }

    /// Gives accounts their balance at the start.
    pub async fn load_accounts(&mut self, accounts: Range<u32>) -> Result<(), Refusal> {
        each!(self, client => client.load_accounts(accounts))
    }

    /// Says that the data set is complete.
    pub async fn loaded(&mut self) -> Result<(), Refusal> {
        match self {
            Self::Postgres(client) => client.loaded().await,
            Self::Mysql(client) => client.loaded().await,
            Self::Resp(_) | Self::Etcd(_) => Ok(()),
        }
    }

    /// Inserts rows `(id, amount, pad)` into the table of [`crate::data::ROWS`], written as SQL's `VALUES`.
    pub async fn load_rows(&mut self, rows: &str) -> Result<(), Refusal> {
        with_tables!(self, client => client.load_rows(rows))
    }

    /// Changes the value of one key that must exist, durably.
    pub async fn update(&mut self, key: u32, value: &str) -> Result<(), Refusal> {
        with_tables!(self, client => client.update(key, value))
    }

    /// Reads [`crate::data::RANGE`] successive rows, in order.
    pub async fn range(&mut self, first: u32) -> Result<(), Refusal> {
        with_tables!(self, client => client.range(first))
    }

    /// Counts the rows and adds up their amounts, which must be right.
    pub async fn aggregate(&mut self) -> Result<(), Refusal> {
        with_tables!(self, client => client.aggregate())
    }

    /// Writes one key, durably.
    pub async fn put(&mut self, key: u32, value: &str) -> Result<(), Refusal> {
        each!(self, client => client.put(key, value))
    }

    /// Reads one key, linearizably; the length of its value.
    pub async fn get(&mut self, key: u32) -> Result<usize, Refusal> {
        each!(self, client => client.get(key))
    }

    /// One try to read two balances and write both.
    pub async fn transfer(&mut self, from: u32, to: u32, amount: i64) -> Result<(), Refusal> {
        each!(self, client => client.transfer(from, to, amount))
    }

    /// The sum over all accounts, each of which must be there.
    pub async fn total(&mut self) -> Result<i64, Refusal> {
        each!(self, client => client.total())
    }
}

/// What a transfer makes of two accounts with their balances. The lower account comes first: in any order two transfers
/// deadlock.
///
/// # Errors
/// If an account is missing.
fn moved(mut balances: Vec<(i64, i64)>, from: i64, amount: i64) -> Result<Vec<(i64, i64)>, Refusal> {
    if balances.len() != 2 {
        return Refusal::failed("an account is missing");
    }
    balances.sort_unstable();
    for (account, balance) in &mut balances {
        *balance += if *account == from { -amount } else { amount };
    }
    Ok(balances)
}
