//! PostgreSQL through tokio-postgres, with prepared statements.
//!
//! A transfer takes five round trips, as SQL programs make them: `BEGIN`, `SELECT`, `UPDATE`, `UPDATE`, `COMMIT`.

use std::net::SocketAddr;
use std::ops::Range;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Statement};

use super::{Refusal, moved};
use crate::data::{ACCOUNTS, AMOUNTS, BALANCE, RANGE, ROWS};

/// The tables of the data set.
pub const TABLES: &str = "CREATE TABLE kv (k BIGINT PRIMARY KEY, v TEXT NOT NULL);
     CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL);
     CREATE TABLE rows100k (id BIGINT PRIMARY KEY, amount INT NOT NULL, pad TEXT NOT NULL)";

/// A connection to a database with [`TABLES`].
pub struct Client {
    connection: tokio_postgres::Client,
    put: Statement,
    get: Statement,
    balances: Statement,
    balance: Statement,
    update: Statement,
    range: Statement,
    aggregate: Statement,
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED].contains(&code) => {
                Self::Conflict
            }
            _ => Self::Failed(error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)),
        }
    }
}

/// A plain connection to a database.
pub async fn connect(address: SocketAddr, database: &str) -> Result<tokio_postgres::Client, Refusal> {
    let mut config = Config::new();
    config.host(address.ip().to_string()).port(address.port()).user("bench").dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with its client; its errors are seen there.
    tokio::spawn(connection);
    Ok(client)
}

impl Client {
    /// Prepares the statements on a plain connection.
    pub async fn prepared(connection: tokio_postgres::Client) -> Result<Self, Refusal> {
        let put = "INSERT INTO kv (k, v) VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v";
        Ok(Self {
            put: connection.prepare(put).await?,
            get: connection.prepare("SELECT v FROM kv WHERE k = $1").await?,
            balances: connection.prepare("SELECT id, balance FROM accounts WHERE id IN ($1, $2)").await?,
            balance: connection.prepare("UPDATE accounts SET balance = $2 WHERE id = $1").await?,
            update: connection.prepare("UPDATE kv SET v = $2 WHERE k = $1").await?,
            range: connection
                .prepare("SELECT id, amount, pad FROM rows100k WHERE id BETWEEN $1 AND $2 ORDER BY id")
                .await?,
            aggregate: connection.prepare("SELECT count(*), sum(amount) FROM rows100k").await?,
            connection,
        })
    }

    /// See [`super::Client::load`].
    pub async fn load(&mut self, batch: &[(u32, String)]) -> Result<(), Refusal> {
        let rows: Vec<String> = batch.iter().map(|(key, value)| format!("({key},'{value}')")).collect();
        Ok(self.connection.batch_execute(&insert("kv", &rows.join(","))).await?)
    }

    /// See [`super::Client::load_accounts`].
    pub async fn load_accounts(&mut self, accounts: Range<u32>) -> Result<(), Refusal> {
        let rows: Vec<String> = accounts.map(|account| format!("({account},{BALANCE})")).collect();
        Ok(self.connection.batch_execute(&insert("accounts", &rows.join(","))).await?)
    }

    /// See [`super::Client::load_rows`].
    pub async fn load_rows(&mut self, rows: &str) -> Result<(), Refusal> {
        Ok(self.connection.batch_execute(&insert("rows100k", rows)).await?)
    }

    /// Gives the planner its statistics: without them it scans tables, whose locks make transactions fail.
    pub async fn loaded(&mut self) -> Result<(), Refusal> {
        Ok(self.connection.batch_execute("VACUUM ANALYZE").await?)
    }

    /// See [`super::Client::put`].
    pub async fn put(&mut self, key: u32, value: &str) -> Result<(), Refusal> {
        self.write_one(&self.put, &[&i64::from(key), &value]).await
    }

    /// See [`super::Client::get`].
    pub async fn get(&mut self, key: u32) -> Result<usize, Refusal> {
        let row = self.connection.query_one(&self.get, &[&i64::from(key)]).await?;
        Ok(row.try_get::<_, &str>(0)?.len())
    }

    /// See [`super::Client::update`].
    pub async fn update(&mut self, key: u32, value: &str) -> Result<(), Refusal> {
        self.write_one(&self.update, &[&i64::from(key), &value]).await
    }

    /// See [`super::Client::range`].
    pub async fn range(&mut self, first: u32) -> Result<(), Refusal> {
        let (first, last) = (i64::from(first), i64::from(first + RANGE - 1));
        let rows = self.connection.query(&self.range, &[&first, &last]).await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
        if ids.into_iter().eq(first..=last) { Ok(()) } else { Refusal::failed(format!("rows from {first} are wrong")) }
    }

    /// See [`super::Client::aggregate`].
    pub async fn aggregate(&mut self) -> Result<(), Refusal> {
        let row = self.connection.query_one(&self.aggregate, &[]).await?;
        match (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?) {
            (count, sum) if (count, sum) == (ROWS.into(), AMOUNTS) => Ok(()),
            found => Refusal::failed(format!("the aggregate is {found:?}")),
        }
    }

    /// See [`super::Client::transfer`].
    pub async fn transfer(&mut self, from: u32, to: u32, amount: i64) -> Result<(), Refusal> {
        let outcome = self.try_transfer(from.into(), to.into(), amount).await;
        if matches!(outcome, Err(Refusal::Conflict)) {
            // After a failed COMMIT there is nothing left to roll back, which is a warning only.
            self.connection.batch_execute("ROLLBACK").await?;
        }
        outcome
    }

    async fn try_transfer(&self, from: i64, to: i64, amount: i64) -> Result<(), Refusal> {
        self.connection.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
        let rows = self.connection.query(&self.balances, &[&from, &to]).await?;
        let balances = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, Refusal>>()?;
        for (account, balance) in moved(balances, from, amount)? {
            self.write_one(&self.balance, &[&account, &balance]).await?;
        }
        Ok(self.connection.batch_execute("COMMIT").await?)
    }

    async fn write_one(&self, statement: &Statement, values: &[&(dyn ToSql + Sync)]) -> Result<(), Refusal> {
        match self.connection.execute(statement, values).await? {
            1 => Ok(()),
            rows => Refusal::failed(format!("wrote {rows} rows instead of one")),
        }
    }

    /// See [`super::Client::total`].
    pub async fn total(&mut self) -> Result<i64, Refusal> {
        let row = self.connection.query_one("SELECT count(*), sum(balance)::bigint FROM accounts", &[]).await?;
        match (row.try_get::<_, i64>(0)?, row.try_get::<_, Option<i64>>(1)?) {
            (count, Some(total)) if count == i64::from(ACCOUNTS) => Ok(total),
            (count, _) => Refusal::failed(format!("{count} accounts instead of {ACCOUNTS}")),
        }
    }
}

/// Inserts rows, some of which may be there already: a batch whose answer was lost is sent again.
fn insert(table: &str, rows: &str) -> String {
    format!("INSERT INTO {table} VALUES {rows} ON CONFLICT DO NOTHING")
}
