//! Redis' protocol, version 2, pipelined: what an operation needs goes out in one write.
//!
//! Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::net::SocketAddr;
use std::ops::Range;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Refusal;
use crate::data::{ACCOUNTS, BALANCE, account, key};

/// How long `WAIT` waits for a replica, in milliseconds.
const WAIT_MILLISECONDS: &str = "5000";
/// Accounts read by one `MGET`.
const ACCOUNTS_AT_ONCE: u32 = 1_000;

/// A connection.
pub struct Client {
    stream: TcpStream,
    requests: Vec<u8>,
    /// Commands in `requests` and not answered yet.
    unanswered: usize,
    received: BytesMut,
    /// Whether every write is followed by `WAIT 1`.
    wait: bool,
}

#[derive(Debug, PartialEq)]
enum Reply {
    Status(String),
    Error(String),
    Number(i64),
    /// A null of either kind.
    Null,
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

impl Client {
    /// Connects; `wait` makes every write wait until one replica has it.
    pub async fn connect(address: SocketAddr, wait: bool) -> Result<Self, Refusal> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, requests: Vec::new(), unanswered: 0, received: BytesMut::new(), wait })
    }

    /// See [`super::Client::load`].
    pub async fn load(&mut self, batch: &[(u32, String)]) -> Result<(), Refusal> {
        let pairs = batch.iter().flat_map(|(number, value)| [key(*number), value.clone()]);
        self.set_many(pairs.collect()).await
    }

    /// See [`super::Client::load_accounts`].
    pub async fn load_accounts(&mut self, accounts: Range<u32>) -> Result<(), Refusal> {
        self.set_many(accounts.flat_map(|number| [account(number), BALANCE.to_string()]).collect()).await
    }

    async fn set_many(&mut self, pairs: Vec<String>) -> Result<(), Refusal> {
        let words: Vec<&str> = std::iter::once("MSET").chain(pairs.iter().map(String::as_str)).collect();
        self.add(&words);
        let [stored] = self.replies().await?;
        stored.ok()
    }

    /// See [`super::Client::put`].
    pub async fn put(&mut self, number: u32, value: &str) -> Result<(), Refusal> {
        self.add(&["SET", &key(number), value]);
        if !self.wait {
            let [stored] = self.replies().await?;
            return stored.ok();
        }
        self.add(&["WAIT", "1", WAIT_MILLISECONDS]);
        let [stored, replicas] = self.replies().await?;
        stored.ok()?;
        replicas.at_least_one()
    }

    /// See [`super::Client::get`].
    pub async fn get(&mut self, number: u32) -> Result<usize, Refusal> {
        self.add(&["GET", &key(number)]);
        match self.replies().await? {
            [Reply::Bytes(value)] => Ok(value.len()),
            [other] => other.unexpected(),
        }
    }

    /// See [`super::Client::transfer`].
    pub async fn transfer(&mut self, from: u32, to: u32, amount: i64) -> Result<(), Refusal> {
        let (from, to) = (account(from), account(to));
        self.add(&["WATCH", &from, &to]);
        self.add(&["MGET", &from, &to]);
        let [watched, balances] = self.replies().await?;
        watched.ok()?;
        let [from_balance, to_balance] = balances.numbers()?[..] else {
            return Refusal::failed("MGET answered the wrong number of values");
        };
        self.add(&["MULTI"]);
        self.add(&["SET", &from, &(from_balance - amount).to_string()]);
        self.add(&["SET", &to, &(to_balance + amount).to_string()]);
        self.add(&["EXEC"]);
        if !self.wait {
            let [multi, first, second, executed] = self.replies().await?;
            return executed.committed([multi, first, second]);
        }
        self.add(&["WAIT", "1", WAIT_MILLISECONDS]);
        let [multi, first, second, executed, replicas] = self.replies().await?;
        executed.committed([multi, first, second])?;
        replicas.at_least_one()
    }

    /// See [`super::Client::total`].
    pub async fn total(&mut self) -> Result<i64, Refusal> {
        let mut total = 0;
        for first in (0..ACCOUNTS).step_by(ACCOUNTS_AT_ONCE as usize) {
            let keys: Vec<String> = (first..(first + ACCOUNTS_AT_ONCE).min(ACCOUNTS)).map(account).collect();
            let words: Vec<&str> = std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
            self.add(&words);
            let [balances] = self.replies().await?;
            total += balances.numbers()?.iter().sum::<i64>();
        }
        Ok(total)
    }

    /// Fails unless that many replicas follow.
    pub async fn expect_replicas(&mut self, count: i64) -> Result<(), Refusal> {
        self.add(&["SET", "ready", "yes"]);
        self.add(&["WAIT", &count.to_string(), "1000"]);
        let [stored, replicas] = self.replies().await?;
        stored.ok()?;
        if replicas == Reply::Number(count) { Ok(()) } else { replicas.unexpected() }
    }

    fn add(&mut self, words: &[&str]) {
        encode(words, &mut self.requests);
        self.unanswered += 1;
    }

    /// Sends what was added and reads all answers.
    async fn replies<const N: usize>(&mut self) -> Result<[Reply; N], Refusal> {
        debug_assert_eq!(self.unanswered, N, "every command has one reply");
        self.stream.write_all(&self.requests).await?;
        self.requests.clear();
        self.unanswered = 0;
        let mut replies = Vec::with_capacity(N);
        while replies.len() < N {
            match decode(&self.received)? {
                Some((reply, length)) => {
                    self.received.advance(length);
                    replies.push(reply);
                }
                None if self.stream.read_buf(&mut self.received).await? == 0 => {
                    return Refusal::failed("the server closed the connection");
                }
                None => {}
            }
        }
        replies.try_into().or_else(|_| Refusal::failed("wrong number of replies"))
    }
}

impl Reply {
    fn unexpected<T>(self) -> Result<T, Refusal> {
        match self {
            Self::Error(text) => Refusal::failed(text),
            other => Refusal::failed(format!("unexpected reply {other:?}")),
        }
    }

    fn ok(self) -> Result<(), Refusal> {
        match self {
            Self::Status(_) => Ok(()),
            other => other.unexpected(),
        }
    }

    fn at_least_one(self) -> Result<(), Refusal> {
        match self {
            Self::Number(count) if count >= 1 => Ok(()),
            other => other.unexpected(),
        }
    }

    /// The balances in an answer to `MGET`.
    fn numbers(self) -> Result<Vec<i64>, Refusal> {
        let Self::List(values) = self else { return self.unexpected() };
        let number = |value| match value {
            Self::Bytes(bytes) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .map_or_else(|| Refusal::failed("a balance is not a number"), Ok),
            other => other.unexpected(),
        };
        values.into_iter().map(number).collect()
    }

    /// What `EXEC` says, after the answers to the commands before it.
    fn committed(self, before: [Self; 3]) -> Result<(), Refusal> {
        for reply in before {
            reply.ok()?;
        }
        match self {
            Self::List(results) => results.into_iter().try_for_each(Self::ok),
            Self::Null => Err(Refusal::Conflict),
            other => other.unexpected(),
        }
    }
}

fn encode(words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// The first reply and its length, `None` if it is not complete yet.
fn decode(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Refusal> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
    let after = end + 2;
    let number = || rest.parse::<i64>().or_else(|_| Refusal::failed(format!("malformed reply {line:?}")));
    Ok(Some(match kind {
        "+" => (Reply::Status(rest.to_owned()), after),
        "-" => (Reply::Error(rest.to_owned()), after),
        ":" => (Reply::Number(number()?), after),
        "$" => match usize::try_from(number()?) {
            Err(_) => (Reply::Null, after),
            Ok(length) => match bytes.get(after..after + length + 2) {
                Some(value) => (Reply::Bytes(value[..length].to_vec()), after + length + 2),
                None => return Ok(None),
            },
        },
        "*" => match usize::try_from(number()?) {
            Err(_) => (Reply::Null, after),
            Ok(count) => return decode_list(bytes, after, count),
        },
        _ => return Refusal::failed(format!("malformed reply {line:?}")),
    }))
}

fn decode_list(bytes: &[u8], mut at: usize, count: usize) -> Result<Option<(Reply, usize)>, Refusal> {
    let mut items = Vec::new();
    while items.len() < count {
        let Some((item, length)) = decode(&bytes[at..])? else { return Ok(None) };
        items.push(item);
        at += length;
    }
    Ok(Some((Reply::List(items), at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_written_as_lists_of_strings() {
        let mut out = Vec::new();
        encode(&["SET", "k", ""], &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }

    #[test]
    fn replies_are_read_only_when_complete() {
        let bytes = b"*4\r\n$3\r\na\r\n\r\n:-7\r\n$-1\r\n+OK\r\n-ERR no\r\n";
        let list = 28;
        for length in 0..list {
            assert_eq!(decode(&bytes[..length]).unwrap(), None, "{length}");
        }
        let (reply, length) = decode(bytes).unwrap().unwrap();
        let items = vec![Reply::Bytes(b"a\r\n".to_vec()), Reply::Number(-7), Reply::Null, Reply::Status("OK".into())];
        assert_eq!((reply, length), (Reply::List(items), list));
        let (reply, length) = decode(&bytes[list..]).unwrap().unwrap();
        assert_eq!((reply, list + length), (Reply::Error("ERR no".into()), bytes.len()));
        assert!(decode(b"HTTP/1.1 400\r\n").is_err() && decode(b":x\r\n").is_err());
    }

    #[test]
    fn a_lost_watch_is_a_conflict_and_an_error_is_not() {
        let before = || ["OK", "QUEUED", "QUEUED"].map(|text| Reply::Status(text.into()));
        let done = Reply::List(vec![Reply::Status("OK".into()), Reply::Status("OK".into())]);
        assert!(done.committed(before()).is_ok());
        assert!(matches!(Reply::Null.committed(before()), Err(Refusal::Conflict)));
        let unknown = Reply::Error("UNKNOWN outcome".into()).committed(before());
        assert!(matches!(unknown, Err(Refusal::Failed(text)) if text == "UNKNOWN outcome"));
    }
}
