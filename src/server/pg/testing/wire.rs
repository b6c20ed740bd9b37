//! A client for tests: sends messages, and shows those of the server as one line each.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A message of a client.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A first message of that version, with such parameters.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    body.extend_from_slice(&(types.len() as u16).to_be_bytes());
    types.iter().for_each(|ty| body.extend_from_slice(&ty.to_be_bytes()));
    message(b'P', &body)
}

fn put_formats(body: &mut Vec<u8>, formats: &[u16]) {
    body.extend_from_slice(&(formats.len() as u16).to_be_bytes());
    formats.iter().for_each(|format| body.extend_from_slice(&format.to_be_bytes()));
}

pub fn bind(portal: &str, statement: &str, formats: &[u16], parameters: &[Option<&[u8]>], results: &[u16]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    put_formats(&mut body, formats);
    body.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        let length = parameter.map_or(-1, |bytes| bytes.len() as i32);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(parameter.unwrap_or_default());
    }
    put_formats(&mut body, results);
    message(b'B', &body)
}

pub fn execute(portal: &str, most: i32) -> Vec<u8> {
    message(b'E', &[format!("{portal}\0").as_bytes(), &most.to_be_bytes()].concat())
}

pub fn describe(target: &str) -> Vec<u8> {
    message(b'D', format!("{target}\0").as_bytes())
}

pub fn close(target: &str) -> Vec<u8> {
    message(b'C', format!("{target}\0").as_bytes())
}

pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// All messages for running a statement without parameters.
pub fn run(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat()
}

pub struct Client {
    pub stream: TcpStream,
    buffer: BytesMut,
    /// What its statements can be cancelled with.
    pub key: (i32, Vec<u8>),
}

impl Client {
    /// A connection that has not said anything.
    pub async fn silent(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self { stream, buffer: BytesMut::new(), key: (0, Vec::new()) }
    }

    /// A connection that was greeted.
    pub async fn connect(port: u16) -> Self {
        let mut client = Self::silent(port).await;
        client.send(&startup(0x3_0000, &[("user", "u"), ("database", "d")])).await;
        assert_eq!(client.until_ready().await.last().unwrap(), "Z I");
        client
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((kind, body)) = take(&mut self.buffer) {
                if kind == b'K' {
                    self.key = (i32::from_be_bytes(body[..4].try_into().unwrap()), body[4..].to_vec());
                }
                return Some(show(kind, &body));
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let count = tokio::time::timeout(Duration::from_secs(20), read).await.expect("no answer");
            if count.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// All messages up to ReadyForQuery, which is the last one, or the end of the connection.
    pub async fn until_ready(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(line) = self.next().await {
            let ready = line.starts_with('Z');
            all.push(line);
            if ready {
                break;
            }
        }
        all
    }

    /// Sends messages, and shows all answers up to ReadyForQuery as one line.
    pub async fn ask(&mut self, bytes: &[u8]) -> String {
        self.send(bytes).await;
        self.until_ready().await.join(", ")
    }

    pub async fn query(&mut self, sql: &str) -> String {
        self.ask(&query(sql)).await
    }

    /// Asks on another connection that this one's statement is cancelled.
    pub async fn cancel(&self, port: u16) {
        cancel(port, self.key.0, &self.key.1).await;
    }
}

pub async fn cancel(port: u16, id: i32, secret: &[u8]) {
    let mut other = Client::silent(port).await;
    let body = [&80_877_102_u32.to_be_bytes()[..], &id.to_be_bytes(), secret].concat();
    other.send(&[&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()).await;
    assert_eq!(other.next().await, None);
}

fn take(buffer: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    let length = u32::from_be_bytes(*buffer.get(1..)?.first_chunk()?) as usize;
    if buffer.len() < length + 1 {
        return None;
    }
    let kind = buffer[0];
    let mut body = buffer.split_to(length + 1);
    body.advance(5);
    Some((kind, body.to_vec()))
}

fn show(kind: u8, body: &[u8]) -> String {
    let words = |body: &[u8]| String::from_utf8_lossy(body).trim_end_matches('\0').replace('\0', " ");
    let text = match kind {
        b'D' => row(body),
        b'T' => columns(body),
        b'E' | b'N' => fields(body),
        b'K' => return format!("K {}", body.len()),
        b't' | b'R' | b'v' => format!("{body:?}"),
        b'G' | b'H' => format!("{} columns", body[2]),
        _ => words(body),
    };
    format!("{} {text}", char::from(kind)).trim_end().to_owned()
}

fn row(mut body: &[u8]) -> String {
    let count = body.get_u16();
    let mut values = Vec::new();
    for _ in 0..count {
        let length = body.get_i32();
        values.push(match usize::try_from(length) {
            Err(_) => "NULL".to_owned(),
            Ok(length) => {
                let (value, rest) = body.split_at(length);
                body = rest;
                if value.contains(&0) { format!("{value:?}") } else { String::from_utf8_lossy(value).into_owned() }
            }
        });
    }
    values.join("|")
}

/// Name, type and format of each column.
fn columns(mut body: &[u8]) -> String {
    let count = body.get_u16();
    let mut all = Vec::new();
    for _ in 0..count {
        let end = body.iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8_lossy(&body[..end]).into_owned();
        body.advance(end + 1 + 6);
        let ty = body.get_u32();
        body.advance(6);
        all.push(format!("{name}:{ty}:{}", body.get_u16()));
    }
    all.join("|")
}

/// Severity, code and message, and the position if there is one.
fn fields(body: &[u8]) -> String {
    let all: Vec<&[u8]> = body.split(|byte| *byte == 0).collect();
    let of = |kind: u8| {
        let field = all.iter().find(|field| field.first() == Some(&kind));
        field.map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    };
    let position = of(b'P').map(|position| format!(" at {position}")).unwrap_or_default();
    let (severity, code, message) = (of(b'S').unwrap(), of(b'C').unwrap(), of(b'M').unwrap());
    format!("{severity} {code} {message}{position}")
}
