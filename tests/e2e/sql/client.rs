//! A client over tokio-postgres.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Error, NoTls, SimpleQueryMessage};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// One connection, with the thread's own runtime.
pub struct Sql {
    pub runtime: Runtime,
    pub client: tokio_postgres::Client,
}

impl Sql {
    pub fn connect(port: u16) -> Result<Self, Error> {
        Self::connect_to(port, "annulus", "annulus")
    }

    /// As some user, to some database.
    pub fn connect_to(port: u16, user: &str, database: &str) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(port).user(user).dbname(database).connect_timeout(CONNECT);
            let (client, connection) = config.connect(NoTls).await?;
            // Its errors are those of the statements.
            tokio::spawn(connection);
            Ok::<_, Error>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// The rows of statements, values separated by `|`.
    pub fn ask(&self, sql: &str) -> Result<Vec<String>, Error> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
                Some(values.collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        Ok(messages.iter().filter_map(row).collect())
    }

    /// The rows of statements that must succeed.
    ///
    /// # Panics
    /// If they fail.
    pub fn must(&self, sql: &str) -> Vec<String> {
        self.ask(sql).unwrap_or_else(|error| panic!("{sql}: {}", told(&error)))
    }

    /// The code and text of the error of statements that must fail.
    ///
    /// # Panics
    /// If they succeed.
    pub fn refused(&self, sql: &str) -> String {
        match self.ask(sql) {
            Ok(rows) => panic!("{sql} must be refused: {rows:?}"),
            Err(error) => told(&error),
        }
    }
}

/// The SQLSTATE of an error; nothing for one of the connection.
pub fn code(error: &Error) -> &str {
    error.code().map_or("", |code| code.code())
}

/// The SQLSTATE and the message of an error.
pub fn told(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |told| format!("{} {}", told.code().code(), told.message()))
}
