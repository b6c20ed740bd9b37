//! A client for tests: sends commands, reads replies, and shows them as one line each.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A reply of either version of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    Line(String),
    Many(char, Vec<Shown>),
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(text) => f.write_str(text),
            Self::Many(kind, items) => {
                let prefix = match kind {
                    '*' => "[",
                    '~' => "~[",
                    _ => "%[",
                };
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "{prefix}{}]", items.join(", "))
            }
        }
    }
}

impl Shown {
    /// The items of a list.
    pub fn items(self) -> Vec<Self> {
        match self {
            Self::Many(_, items) => items,
            line => panic!("no list: {line}"),
        }
    }

    /// The items of all lists in order, for answers whose order has no meaning.
    pub fn sorted(self) -> Self {
        match self {
            Self::Many(kind, items) => {
                let mut items: Vec<Self> = items.into_iter().map(Self::sorted).collect();
                items.sort();
                Self::Many(kind, items)
            }
            line => line,
        }
    }
}

/// Takes one reply off the front; `None` if it is incomplete.
pub fn take(buffer: &mut BytesMut) -> Option<Shown> {
    let mut rest = &buffer[..];
    let shown = parse(&mut rest)?;
    let used = buffer.len() - rest.len();
    buffer.advance(used);
    Some(shown)
}

fn parse(rest: &mut &[u8]) -> Option<Shown> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, text) = (char::from(rest[0]), String::from_utf8_lossy(&rest[1..end]).into_owned());
    *rest = &rest[end + 2..];
    let length = || text.parse::<i64>().unwrap_or_else(|_| panic!("no length in {kind}{text}"));
    Some(match kind {
        '+' => Shown::Line(text),
        '-' => Shown::Line(format!("(error) {text}")),
        ':' => Shown::Line(format!("(integer) {text}")),
        '_' => Shown::Line("(null)".to_owned()),
        '$' | '=' if length() < 0 => Shown::Line("(nil)".to_owned()),
        '$' | '=' => {
            let length = length() as usize;
            let payload = rest.get(..length)?;
            let prefix = if kind == '=' { "=" } else { "" };
            let shown = format!("{prefix}\"{}\"", payload.escape_ascii());
            *rest = rest.get(length + 2..)?;
            Shown::Line(shown)
        }
        '*' if length() < 0 => Shown::Line("(nil array)".to_owned()),
        '*' | '~' | '%' => {
            let count = length() * if kind == '%' { 2 } else { 1 };
            Shown::Many(kind, (0..count).map(|_| parse(rest)).collect::<Option<_>>()?)
        }
        other => panic!("no reply begins with {other:?}"),
    })
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    buffer: BytesMut,
}

fn words(command: &str) -> Vec<Vec<u8>> {
    command.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

impl Client {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    pub async fn send(&mut self, words: &[Vec<u8>]) {
        self.stream.write_all(&encode(words)).await.unwrap();
    }

    /// Sends commands given as words, in one piece.
    pub async fn send_all(&mut self, commands: &[&str]) {
        let out: Vec<u8> = commands.iter().flat_map(|command| encode(&words(command))).collect();
        self.stream.write_all(&out).await.unwrap();
    }

    /// The next reply; an error once the connection is closed.
    pub async fn reply(&mut self) -> io::Result<Shown> {
        loop {
            if let Some(shown) = take(&mut self.buffer) {
                return Ok(shown);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a command given as words, and shows its reply.
    pub async fn ask(&mut self, command: &str) -> String {
        self.ask_words(&words(command)).await.to_string()
    }

    pub async fn ask_words(&mut self, words: &[Vec<u8>]) -> Shown {
        self.send(words).await;
        self.reply().await.unwrap()
    }
}
