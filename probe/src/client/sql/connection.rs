//! A connection to one node, with a runtime of its own.

use std::error::Error as _;
use std::iter::successors;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use super::answer::{Answer, Trouble};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer may take: longer than a node tries.
const ANSWER: Duration = Duration::from_secs(4);
/// How long a node may try.
const OPTIONS: &str = "-c statement_timeout=2s";

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    /// Nobody answers, or not as a PostgreSQL server does.
    #[error("{0}")]
    Absent(String),
    /// The server does not want it: there is no such database, for example.
    #[error("{0}")]
    Refused(String),
}

impl NotConnected {
    fn of(error: &Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Self::Refused(refusal.message().to_owned()),
            None => Self::Absent(told(error)),
        }
    }
}

/// One connection to one node.
pub struct Connection {
    runtime: Runtime,
    client: Client,
    usable: bool,
}

impl Connection {
    /// Connects to the node that a connection string names.
    ///
    /// # Errors
    /// If the node cannot be reached, does not answer or does not want it, and why.
    pub fn open(string: &str) -> Result<Self, NotConnected> {
        let absent = |error: &dyn std::fmt::Display| NotConnected::Absent(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| absent(&error))?;
        let mut config: Config = string.parse().map_err(|error| NotConnected::of(&error))?;
        let options = format!("{} {OPTIONS}", config.get_options().unwrap_or_default());
        config.options(options).application_name("annulus-probe");
        let client = runtime.block_on(async {
            let connecting = timeout(CONNECT, config.connect(NoTls)).await.map_err(|_| absent(&"no answer in time"))?;
            let (client, connection) = connecting.map_err(|error| NotConnected::of(&error))?;
            // Its errors are those of the statements.
            tokio::spawn(connection);
            Ok(client)
        })?;
        Ok(Self { runtime, client, usable: true })
    }

    /// Whether requests and answers still go together.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.usable
    }

    /// Sends statements in one message and reads the answers to each. After a lost answer the connection is of no use.
    pub(super) fn ask(&mut self, sql: &str) -> Result<Vec<Answer>, Trouble> {
        let asked = self.runtime.block_on(async { timeout(ANSWER, self.client.simple_query(sql)).await });
        let trouble = match asked {
            Ok(Ok(messages)) => return Ok(answers(&messages)),
            Ok(Err(error)) => Trouble::of(&error),
            Err(_) => Trouble::Lost("no answer in time"),
        };
        self.usable &= matches!(trouble, Trouble::Refused { .. }) && !self.client.is_closed();
        Err(trouble)
    }

    /// Nothing may be asked on it any more.
    pub(super) const fn give_up(&mut self) {
        self.usable = false;
    }
}

/// What the driver says, with its reasons.
pub(super) fn told(error: &Error) -> String {
    let reasons = successors(error.source(), |error| (*error).source());
    std::iter::once(error.to_string()).chain(reasons.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

fn answers(messages: &[SimpleQueryMessage]) -> Vec<Answer> {
    let (mut answers, mut rows) = (Vec::new(), Vec::new());
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => {
                answers.push(Answer { rows: std::mem::take(&mut rows), count: *count });
            }
            _ => {}
        }
    }
    answers
}
