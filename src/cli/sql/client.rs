//! A connection to a node's SQL interface: PostgreSQL's simple query protocol.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use bytes::Bytes;

use super::event::{Event, Report, understand};

/// Why a statement got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node cannot be reached.
    #[error("cannot connect to {address}: {source}; is a node running there, and is this its SQL address?")]
    Connect {
        /// The address tried.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The address is none.
    #[error("{address} is not an address; write HOST:PORT, such as 127.0.0.1:5432")]
    NoAddress {
        /// What was given.
        address: String,
    },
    /// The node does not open a session.
    #[error("{address} refuses: {report}")]
    Refused {
        /// The node.
        address: String,
        /// What it says.
        report: Box<Report>,
    },
    /// Something else than a node answers there.
    #[error("{address} answers, but not as a node does ({what}); is this the node's SQL address?")]
    Stranger {
        /// The address tried.
        address: String,
        /// What is wrong with its answer.
        what: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {source}; whether the statement was executed is not known")]
    Broken {
        /// The node.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest message that is taken.
const LONGEST: usize = 1 << 30;
/// Protocol 3.0.
const VERSION: u32 = 0x3_0000;
/// The code of a request to cancel.
const CANCEL: u32 = 80_877_102;

/// Where to, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node.
    pub address: String,
    /// The database.
    pub database: String,
    /// Who.
    pub user: String,
}

/// What it takes to cancel a statement, from any thread.
#[derive(Clone, Debug)]
pub struct Canceller {
    node: SocketAddr,
    key: Bytes,
}

impl Canceller {
    /// Asks for it. That nobody listens is no error: then there is nothing to cancel either.
    pub fn cancel(&self) {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.node, CONNECT_TIMEOUT) else { return };
        let _ = stream.write_all(&message(None, &[&CANCEL.to_be_bytes(), &self.key]));
        // The node closes when it is done.
        let _ = stream.read(&mut [0]);
    }
}

/// A session.
pub struct Client {
    target: Target,
    stream: BufReader<TcpStream>,
    canceller: Canceller,
    /// The last transaction status: `I`, `T` or `E`.
    status: u8,
    settings: BTreeMap<String, String>,
}

impl Client {
    /// Opens a session.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn connect(target: Target) -> Result<Self, ClientError> {
        let address = target.address.clone();
        let stream = dial(&address).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput => ClientError::NoAddress { address: address.clone() },
            _ => ClientError::Connect { address: address.clone(), source },
        })?;
        let node = stream.peer_addr().map_err(|source| ClientError::Connect { address: address.clone(), source })?;
        let canceller = Canceller { node, key: Bytes::new() };
        let stream = BufReader::new(stream);
        let mut client = Self { target, stream, canceller, status: b'I', settings: BTreeMap::new() };
        client.introduce()?;
        Ok(client)
    }

    fn introduce(&mut self) -> Result<(), ClientError> {
        let Target { user, database, .. } = &self.target;
        let parameters =
            format!("user\0{user}\0database\0{database}\0application_name\0annulus sql\0client_encoding\0UTF8\0\0");
        self.send(&message(None, &[&VERSION.to_be_bytes(), parameters.as_bytes()]))?;
        loop {
            match self.next()? {
                None => return Ok(()),
                Some(Event::Error(report)) => {
                    let address = self.target.address.clone();
                    return Err(ClientError::Refused { address, report: Box::new(report) });
                }
                Some(_) => {}
            }
        }
    }

    /// Where it is connected to, and as whom.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it is in a transaction block, as psql's prompt shows it.
    pub const fn mark(&self) -> &'static str {
        match self.status {
            b'T' => "*",
            b'E' => "!",
            _ => "",
        }
    }

    /// What cancels its statements.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The node's version.
    pub fn version(&self) -> &str {
        self.settings.get("server_version").map_or("unknown", String::as_str)
    }

    /// Sends statements; what they come to is told by [`Client::next`].
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn query(&mut self, sql: &str) -> Result<(), ClientError> {
        self.send(&message(Some(b'Q'), &[sql.replace('\0', "").as_bytes(), &[0]]))
    }

    /// Sends a piece of data to be copied in.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn copy(&mut self, data: &[u8]) -> Result<(), ClientError> {
        self.send(&message(Some(b'd'), &[data]))
    }

    /// Says that all data to be copied in was sent.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn end_copy(&mut self) -> Result<(), ClientError> {
        self.send(&message(Some(b'c'), &[]))
    }

    /// What comes next; `None` when the node waits for the next statement.
    ///
    /// # Errors
    /// The connection broke, or it is no node's.
    pub fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            let (kind, body) = self.receive()?;
            match kind {
                b'Z' => {
                    self.status = body.first().copied().unwrap_or(b'I');
                    return Ok(None);
                }
                b'K' => self.canceller.key = body,
                b'S' => {
                    let mut words =
                        body.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
                    self.settings.insert(words.next().unwrap_or_default(), words.next().unwrap_or_default());
                }
                b'R' if body.iter().any(|byte| *byte != 0) => return Err(self.stranger("it asks for a password")),
                b'R' => {}
                kind => {
                    let event = understand(kind, body).map_err(|error| self.stranger(error.to_string()))?;
                    if let Some(event) = event {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn receive(&mut self) -> Result<(u8, Bytes), ClientError> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).map_err(|source| self.broken(source))?;
        let [kind, length @ ..] = head;
        let length = (u32::from_be_bytes(length) as usize).checked_sub(4).filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| self.stranger("its messages have impossible lengths"))?;
        let mut body = Vec::new();
        let read = (&mut self.stream).take(length as u64).read_to_end(&mut body);
        if read.map_err(|source| self.broken(source))? < length {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok((kind, body.into()))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.get_mut().write_all(bytes).map_err(|source| self.broken(source))
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken { address: self.target.address.clone(), source }
    }

    fn stranger(&self, what: impl Into<String>) -> ClientError {
        ClientError::Stranger { address: self.target.address.clone(), what: what.into() }
    }
}

/// A message, with its kind if it has one.
fn message(kind: Option<u8>, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 4;
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(parts.iter().copied().flatten());
    bytes
}

fn dial(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
