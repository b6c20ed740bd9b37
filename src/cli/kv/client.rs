//! A connection to a node's key-value interface.

use std::io::{self, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::reply::{Reply, read};

/// Why a command got no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node cannot be reached. The command was not sent.
    #[error("cannot connect to {address}: {source}; is a node running there, and is this its key-value address?")]
    Connect {
        /// The address tried.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The address is none.
    #[error("{address} is not an address; write HOST:PORT, such as 127.0.0.1:6379")]
    NoAddress {
        /// What was given.
        address: String,
    },
    /// Something else than a node answers there.
    #[error("{address} answers, but with something that is {source}; is this the node's key-value address?")]
    Stranger {
        /// The address tried.
        address: String,
        /// What is wrong with its answer.
        source: io::Error,
    },
    /// The connection broke. The command may have been executed or not.
    #[error("the connection to {address} broke: {source}; whether the command was executed is not known")]
    Broken {
        /// The node.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any request may take on a node.
const REPLY_TIMEOUT: Duration = Duration::from_secs(120);

/// A client that connects when needed, again after a connection broke.
#[derive(Debug)]
pub struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the node at `address`, not yet connected.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// Where it connects to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connects, if it is not connected.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub fn connect(&mut self) -> Result<&mut BufReader<TcpStream>, ClientError> {
        if self.stream.is_none() {
            let address = self.address.clone();
            let stream = dial(&self.address).map_err(|source| match source.kind() {
                io::ErrorKind::InvalidInput => ClientError::NoAddress { address },
                _ => ClientError::Connect { address, source },
            })?;
            self.stream = Some(BufReader::new(stream));
        }
        Ok(self.stream.as_mut().expect("connected above"))
    }

    /// Sends a command and waits for its reply.
    ///
    /// # Errors
    /// [`ClientError`]; a reply that is an error is none of them.
    pub fn command(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Reply, ClientError> {
        let stream = self.connect()?;
        let reply = exchange(stream, words);
        reply.map_err(|source| {
            self.stream = None;
            let address = self.address.clone();
            match source.kind() {
                io::ErrorKind::InvalidData => ClientError::Stranger { address, source },
                _ => ClientError::Broken { address, source },
            }
        })
    }
}

fn dial(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
                stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(stream: &mut BufReader<TcpStream>, words: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.get_mut().write_all(&request)?;
    loop {
        match read(stream)? {
            Reply::Push(_) => {}
            reply => return Ok(reply),
        }
    }
}
