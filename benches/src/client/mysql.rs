//! MariaDB through mysql_async, with prepared statements in the binary protocol. A transfer takes the same five round
//! trips as PostgreSQL's.

use std::net::SocketAddr;
use std::ops::Range;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Params, Statement};

use super::{Refusal, moved};
use crate::data::{ACCOUNTS, AMOUNTS, BALANCE, RANGE, ROWS};

/// The tables of the data set.
pub const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS kv (k BIGINT PRIMARY KEY, v VARCHAR(255) NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS rows100k (id BIGINT PRIMARY KEY, amount INT NOT NULL, pad VARCHAR(255) NOT NULL) \
     ENGINE=InnoDB",
];
/// The database that clients use.
pub const DATABASE: &str = "bench";
/// "Record has changed", "lock wait timeout", "deadlock": the last one also for a lost certification.
const CONFLICTS: [u16; 3] = [1020, 1205, 1213];

/// A connection to a database with [`TABLES`].
pub struct Client {
    connection: Conn,
    put: Statement,
    get: Statement,
    balances: Statement,
    balance: Statement,
    update: Statement,
    range: Statement,
    aggregate: Statement,
}

impl From<mysql_async::Error> for Refusal {
    fn from(error: mysql_async::Error) -> Self {
        match &error {
            mysql_async::Error::Server(told) if CONFLICTS.contains(&told.code) => Self::Conflict,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// A plain connection as the administrator, to no database.
pub async fn administrator(address: SocketAddr) -> Result<Conn, Refusal> {
    Ok(Conn::new(options(address).user(Some("root"))).await?)
}

fn options(address: SocketAddr) -> OptsBuilder {
    let options = OptsBuilder::default().ip_or_hostname(address.ip().to_string()).tcp_port(address.port());
    // Rows count as written also if they had these values already.
    options.prefer_socket(false).client_found_rows(true)
}

impl Client {
    /// Connects and prepares the statements. Reads wait for what is under way to this server, as they must to be
    /// linearizable.
    pub async fn connect(address: SocketAddr) -> Result<Self, Refusal> {
        let mut connection = Conn::new(options(address).user(Some("root")).db_name(Some(DATABASE))).await?;
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE").await?;
        connection.query_drop("SET SESSION wsrep_sync_wait = 1").await?;
        Ok(Self {
            put: connection.prep("INSERT INTO kv (k, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)").await?,
            get: connection.prep("SELECT v FROM kv WHERE k = ?").await?,
            balances: connection.prep("SELECT id, balance FROM accounts WHERE id IN (?, ?)").await?,
            balance: connection.prep("UPDATE accounts SET balance = ? WHERE id = ?").await?,
            update: connection.prep("UPDATE kv SET v = ? WHERE k = ?").await?,
            range: connection.prep("SELECT id, amount, pad FROM rows100k WHERE id BETWEEN ? AND ? ORDER BY id").await?,
            aggregate: connection.prep("SELECT count(*), CAST(sum(amount) AS SIGNED) FROM rows100k").await?,
            connection,
        })
    }

    /// See [`super::Client::load`].
    pub async fn load(&mut self, batch: &[(u32, String)]) -> Result<(), Refusal> {
        let rows: Vec<String> = batch.iter().map(|(key, value)| format!("({key},'{value}')")).collect();
        Ok(self.connection.query_drop(format!("REPLACE INTO kv VALUES {}", rows.join(","))).await?)
    }

    /// See [`super::Client::load_accounts`].
    pub async fn load_accounts(&mut self, accounts: Range<u32>) -> Result<(), Refusal> {
        let rows: Vec<String> = accounts.map(|account| format!("({account},{BALANCE})")).collect();
        Ok(self.connection.query_drop(format!("REPLACE INTO accounts VALUES {}", rows.join(","))).await?)
    }

    /// See [`super::Client::load_rows`].
    pub async fn load_rows(&mut self, rows: &str) -> Result<(), Refusal> {
        Ok(self.connection.query_drop(format!("REPLACE INTO rows100k VALUES {rows}")).await?)
    }

    /// Gives the planner its statistics.
    pub async fn loaded(&mut self) -> Result<(), Refusal> {
        Ok(self.connection.query_drop("ANALYZE TABLE kv, accounts, rows100k").await?)
    }

    /// See [`super::Client::put`].
    pub async fn put(&mut self, key: u32, value: &str) -> Result<(), Refusal> {
        Ok(self.connection.exec_drop(&self.put, (i64::from(key), value)).await?)
    }

    /// See [`super::Client::get`].
    pub async fn get(&mut self, key: u32) -> Result<usize, Refusal> {
        let value: Option<String> = self.connection.exec_first(&self.get, (i64::from(key),)).await?;
        value.map_or_else(|| Refusal::failed("a key is missing"), |value| Ok(value.len()))
    }

    /// See [`super::Client::update`].
    pub async fn update(&mut self, key: u32, value: &str) -> Result<(), Refusal> {
        let statement = self.update.clone();
        self.write_one(statement, (value, i64::from(key)).into()).await
    }

    /// See [`super::Client::range`].
    pub async fn range(&mut self, first: u32) -> Result<(), Refusal> {
        let (first, last) = (i64::from(first), i64::from(first + RANGE - 1));
        let rows: Vec<(i64, i32, String)> = self.connection.exec(&self.range, (first, last)).await?;
        let right = rows.iter().map(|(id, ..)| *id).eq(first..=last);
        if right { Ok(()) } else { Refusal::failed(format!("rows from {first} are wrong")) }
    }

    /// See [`super::Client::aggregate`].
    pub async fn aggregate(&mut self) -> Result<(), Refusal> {
        match self.connection.exec_first(&self.aggregate, ()).await? {
            Some((count, sum)) if (count, sum) == (i64::from(ROWS), AMOUNTS) => Ok(()),
            found => Refusal::failed(format!("the aggregate is {found:?}")),
        }
    }

    /// See [`super::Client::transfer`].
    pub async fn transfer(&mut self, from: u32, to: u32, amount: i64) -> Result<(), Refusal> {
        let outcome = self.try_transfer(from.into(), to.into(), amount).await;
        if matches!(outcome, Err(Refusal::Conflict)) {
            self.connection.query_drop("ROLLBACK").await?;
        }
        outcome
    }

    async fn try_transfer(&mut self, from: i64, to: i64, amount: i64) -> Result<(), Refusal> {
        self.connection.query_drop("BEGIN").await?;
        let balances = self.connection.exec(&self.balances, (from, to)).await?;
        for (account, balance) in moved(balances, from, amount)? {
            let statement = self.balance.clone();
            self.write_one(statement, (balance, account).into()).await?;
        }
        Ok(self.connection.query_drop("COMMIT").await?)
    }

    async fn write_one(&mut self, statement: Statement, values: Params) -> Result<(), Refusal> {
        self.connection.exec_drop(&statement, values).await?;
        match self.connection.affected_rows() {
            1 => Ok(()),
            rows => Refusal::failed(format!("wrote {rows} rows instead of one")),
        }
    }

    /// See [`super::Client::total`].
    pub async fn total(&mut self) -> Result<i64, Refusal> {
        let sums = "SELECT count(*), CAST(sum(balance) AS SIGNED) FROM accounts";
        match self.connection.query_first::<(i64, i64), _>(sums).await? {
            Some((count, total)) if count == i64::from(ACCOUNTS) => Ok(total),
            found => Refusal::failed(format!("accounts and their sum: {found:?}")),
        }
    }
}
