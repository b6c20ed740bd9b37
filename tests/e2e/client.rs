//! A client over the `redis` crate, and what its errors mean.

use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisError, RedisResult, Value};

/// How long a connection may take to come about: a starting node accepts clients once it serves.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take: longer than a node tries.
const ANSWER: Duration = Duration::from_secs(12);

/// One connection.
pub struct Kv(Connection);

impl Kv {
    pub fn connect(port: u16) -> RedisResult<Self> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
        let connection = client.get_connection_with_timeout(CONNECT)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(Self(connection))
    }

    /// Sends the words of a command and reads its answer.
    pub fn ask<T: FromRedisValue>(&mut self, command: &str) -> RedisResult<T> {
        self.ask_words(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    pub fn ask_words<T: FromRedisValue>(&mut self, words: &[&[u8]]) -> RedisResult<T> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query(&mut self.0)
    }

    /// The answer of a command that must succeed.
    ///
    /// # Panics
    /// If it fails.
    pub fn must<T: FromRedisValue>(&mut self, command: &str) -> T {
        self.ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The error's text of a command that must fail, code first.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn refused(&mut self, words: &[&[u8]]) -> String {
        match self.ask_words::<Value>(words) {
            Ok(value) => panic!("must be refused: {value:?}"),
            Err(error) => text(&error),
        }
    }
}

/// An error reply as it stood on the wire; other errors in the client's words.
pub fn text(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), detail) => format!("{code} {}", detail.unwrap_or_default()),
        _ => error.to_string(),
    }
}

/// What is known about a command that failed.
#[derive(Debug)]
pub enum Failure {
    /// It was not executed; the error's code.
    Refused(String),
    /// Whether it was executed can be asked by this id.
    Unknown(String),
    /// The answer was lost with the connection.
    Lost,
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("UNKNOWN") => {
                let id = error.detail().and_then(|detail| detail.rsplit(' ').next());
                Self::Unknown(id.expect("the id is the last word").to_owned())
            }
            Some(code) => Self::Refused(code.to_owned()),
            None => Self::Lost,
        }
    }
}
