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
    /// If the node cannot be reached or does not answer, and why.
    pub fn open(string: &str) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let mut config: Config = string.parse().map_err(|error| told(&error))?;
        let options = format!("{} {OPTIONS}", config.get_options().unwrap_or_default());
        config.options(options).application_name("annulus-probe");
        let client = runtime.block_on(async {
            let connecting =
                timeout(CONNECT, config.connect(NoTls)).await.map_err(|_| "no answer in time".to_owned())?;
            let (client, connection) = connecting.map_err(|error| told(&error))?;
            // Its errors are those of the statements.
            tokio::spawn(connection);
            Ok::<_, String>(client)
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
