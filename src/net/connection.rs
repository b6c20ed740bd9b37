//! A TCP connection read frame by frame, as handshakes and bootstrap use it.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wincode::SchemaWrite;

use super::codec::{self, Frames, Wire};
use super::handshake::{HandshakeError, MAGIC, NOT_ANNULUS, Opening, Reply};

/// Room made before each read, bytes: what the kernel hands over at once under load.
const READ_SIZE: usize = 64 * 1024;
/// How much of an unknown greeting is shown in the log, bytes.
const SHOWN_LEN: usize = 16;

/// A connection between two nodes.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) buffer: BytesMut,
    pub(super) frames: Frames,
}

impl Connection {
    /// Takes over a new stream; only short frames are accepted at first.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        // Frames are gathered before they are written, so waiting for more would only add delay.
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new(), frames: Frames::short() })
    }

    /// Waits for more bytes and says how many came.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// The next whole frame.
    pub(super) async fn frame(&mut self) -> Result<BytesMut, HandshakeError> {
        loop {
            if let Some(frame) = self.frames.next(&mut self.buffer)? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// Sends one value as a frame.
    pub(super) async fn send<T: SchemaWrite<Wire, Src = T>>(&mut self, value: &T) -> Result<(), HandshakeError> {
        let mut out = Vec::new();
        codec::encode(value, &mut out)?;
        self.stream.write_all(&out).await?;
        Ok(())
    }

    /// Tells the dialler why it is refused, and returns that.
    pub(super) async fn refuse<T>(&mut self, error: HandshakeError) -> Result<T, HandshakeError> {
        self.send(&Reply::Refused(error.to_string())).await?;
        Err(error)
    }

    /// The dialler's part of the handshake up to the reply.
    pub(super) async fn open(&mut self, opening: &Opening) -> Result<Reply, HandshakeError> {
        let mut out = MAGIC.to_vec();
        codec::encode(opening, &mut out)?;
        self.stream.write_all(&out).await?;
        let frame = self.frame().await?;
        Ok(codec::decode_short(&frame)?)
    }

    /// Reads what the dialler opens with. Whoever does not start with the magic bytes is told so.
    pub(super) async fn opening(&mut self) -> Result<Opening, HandshakeError> {
        while self.buffer.len() < MAGIC.len() {
            self.fill().await?;
            let len = self.buffer.len().min(MAGIC.len());
            if self.buffer[..len] != MAGIC[..len] {
                self.stream.write_all(NOT_ANNULUS).await?;
                let shown = &self.buffer[..self.buffer.len().min(SHOWN_LEN)];
                return Err(HandshakeError::NotAnnulus(shown.escape_ascii().to_string()));
            }
        }
        self.buffer.advance(MAGIC.len());
        let frame = self.frame().await?;
        Ok(codec::decode_short(&frame)?)
    }
}
