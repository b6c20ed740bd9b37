//! A connection's socket and its buffers, and how somebody is waited for without losing sight of the client.
//!
//! Input is taken from the system only as far as it is needed, so a client that sends more than is worked on waits.
//! A client that does not read its answers is not served further until it does, and is disconnected after
//! [`Config::write_timeout`]. While a statement is at work the socket is watched: a client that has gone, or somebody
//! who cancels it, ends the statement at once.
//!
//! Answers are kept together until the client waits for them ([`Wire::release`]), or until there are many: what is asked
//! one by one in a pipeline is answered at once.
//!
//! [`Config::write_timeout`]: super::config::Config::write_timeout

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulus_relation::SqlError;
use annulus_relation::error::SqlState;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::clients::Client;
use super::failure::Failure;
use super::protocol::frontend::{self, Frame};
use super::session::Shield;
use super::shared::Shared;

/// What is read at once at most; larger buffers are given back when they are empty.
const CHUNK: usize = 16 * 1024;
/// Above this many unsent bytes answers are sent before more are made.
const SEND_AT: usize = 64 * 1024;
/// How much is read from a client whose statement is at work.
const READ_AHEAD: usize = 4 * CHUNK;

/// What the work that is waited for depends on.
pub struct Watch {
    /// Keeps the work from being dropped while it is up.
    pub shield: Shield,
    /// When it has taken too long.
    pub deadline: Option<Instant>,
}

impl Watch {
    /// Work that may be dropped, without a deadline.
    #[must_use]
    pub fn until(deadline: Option<Instant>) -> Self {
        Self { shield: Shield::default(), deadline }
    }
}

/// What waiting for input has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is some.
    Input,
    /// The statement is cancelled, or the client disconnected: see [`interruption`].
    Interrupted,
    /// It is too late.
    Late,
}

/// The socket.
pub struct Wire {
    stream: TcpStream,
    /// What the server shares.
    pub shared: Rc<Shared>,
    /// The connection as others see it.
    pub client: Rc<Client>,
    /// What has arrived.
    pub input: BytesMut,
    /// What is to be sent.
    pub output: Vec<u8>,
    /// How much of `output` is sent.
    sent: usize,
    /// The client waits for what is in `output`.
    due: bool,
    /// When bytes were last received or sent.
    pub progress: Instant,
}

impl Wire {
    /// A socket of which some input was read already.
    #[must_use]
    pub fn new(stream: TcpStream, input: BytesMut, shared: Rc<Shared>, client: Rc<Client>) -> Self {
        Self { stream, shared, client, input, output: Vec::new(), sent: 0, due: true, progress: Instant::now() }
    }

    /// The next message that has arrived.
    ///
    /// # Errors
    /// It is none.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Failure> {
        let frame = frontend::take(&mut self.input, self.shared.config.max_message);
        if frame.is_err() {
            self.shared.metrics.sql.broken.increment(1);
        }
        frame.map_err(Failure::Fatal)
    }

    /// Whether the client has sent a Sync behind what is at work.
    pub fn sync_follows(&mut self) -> bool {
        if self.input.is_empty() {
            // It may have arrived without having been read. An error is found by the next one who waits.
            if let Ok(count) = self.stream.try_read_buf(&mut self.input) {
                self.received(count);
            }
        }
        frontend::sync_follows(&self.input)
    }

    fn received(&mut self, count: usize) {
        self.shared.metrics.sql.bytes_in.increment(count as u64);
        self.progress = Instant::now();
    }

    fn reserve(&mut self) {
        if self.input.capacity() - self.input.len() < CHUNK / 4 {
            self.input.reserve(CHUNK);
        }
    }

    /// Bytes were read; none at the end of the connection.
    fn heard(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received(count);
        Ok(())
    }

    /// Watches a client that has to wait. Ends with an error when it has gone.
    async fn listen(&mut self) -> io::Result<()> {
        if self.input.len() < READ_AHEAD {
            self.reserve();
            let count = self.stream.read_buf(&mut self.input).await?;
            return self.heard(count);
        }
        self.stream.ready(Interest::ERROR).await?;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Sends what can be sent without waiting.
    ///
    /// # Errors
    /// What the network says.
    pub fn send(&mut self) -> io::Result<()> {
        while self.sent < self.output.len() {
            match self.stream.try_write(&self.output[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    self.shared.metrics.sql.bytes_out.increment(count as u64);
                    self.progress = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        self.due = false;
        self.output.clear();
        self.output.shrink_to(SEND_AT);
        Ok(())
    }

    /// All answers so far are sent as soon as they can be.
    pub const fn release(&mut self) {
        self.due = true;
    }

    /// Whether the client has yet to take answers that it waits for.
    fn is_sending(&self) -> bool {
        self.due && self.unsent() > 0
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Makes room for more answers: waits until the client has taken most of those that it has.
    ///
    /// # Errors
    /// It does not.
    pub async fn make_room(&mut self) -> Result<(), Failure> {
        if self.unsent() >= SEND_AT {
            self.send()?;
        }
        while self.unsent() >= SEND_AT {
            tokio::select! {
                ready = timeout(self.shared.config.write_timeout, self.stream.writable()) => {
                    ready.map_err(io::Error::from)??;
                }
                () = self.client.terminated() => return Err(Failure::Fatal(terminated())),
            }
            self.send()?;
        }
        Ok(())
    }

    /// Sends everything, as far as the client takes it in time.
    ///
    /// # Errors
    /// It does not.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send()?;
        while self.unsent() > 0 {
            timeout(self.shared.config.write_timeout, self.stream.writable()).await??;
            self.send()?;
        }
        Ok(())
    }

    /// Does work of the session, which is dropped when the client goes, when it is cancelled, or when it takes too
    /// long; not before its shield is down.
    ///
    /// # Errors
    /// Why it was dropped.
    pub async fn attend<T>(&mut self, work: impl Future<Output = T>, watch: &Watch) -> Result<T, Failure> {
        let client = Rc::clone(&self.client);
        if !watch.shield.get() {
            // Work that never waits would not be stopped below.
            self.check(watch)?;
        }
        let mut work = pin!(work);
        let stop: RefCell<Option<Failure>> = RefCell::new(None);
        loop {
            // The shield goes up and down only while the work is polled.
            let guarded = poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Ok(done)),
                Poll::Pending if watch.shield.get() => Poll::Pending,
                Poll::Pending => stop.take().map_or(Poll::Pending, |failure| Poll::Ready(Err(failure))),
            });
            let is_stopped = stop.borrow().is_some();
            tokio::select! {
                biased;
                done = guarded => return done,
                () = client.interrupted(), if !is_stopped => {
                    stop.replace(Some(interruption(&client)));
                }
                () = until(watch.deadline), if !is_stopped => {
                    stop.replace(Some(timed_out().into()));
                }
                heard = self.listen(), if !is_stopped => if let Err(error) = heard {
                    stop.replace(Some(error.into()));
                }
            }
        }
    }

    /// Waits for input, and sends what is due.
    ///
    /// # Errors
    /// The client has gone, or takes too long.
    pub async fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Heard> {
        let client = Rc::clone(&self.client);
        loop {
            if self.due {
                self.send()?;
            }
            let give_up = self.patience().map(|time| self.progress + time);
            let unsent = self.is_sending();
            self.reserve();
            let (mut reader, writer) = self.stream.split();
            tokio::select! {
                biased;
                () = client.interrupted() => return Ok(Heard::Interrupted),
                () = until(deadline) => return Ok(Heard::Late),
                count = reader.read_buf(&mut self.input) => {
                    let count = count?;
                    return self.heard(count).map(|()| Heard::Input);
                }
                ready = writer.writable(), if unsent => ready?,
                () = until(give_up) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// How long the client may do nothing at all.
    fn patience(&self) -> Option<Duration> {
        let config = &self.shared.config;
        if self.is_sending() {
            return Some(config.write_timeout);
        }
        (!self.input.is_empty()).then_some(config.read_timeout)
    }

    /// Whether work may begin, or go on.
    fn check(&self, watch: &Watch) -> Result<(), Failure> {
        if self.client.is_interrupted() {
            return Err(interruption(&self.client));
        }
        match watch.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(timed_out().into()),
            _ => Ok(()),
        }
    }

    /// Gives memory back that is not needed any more.
    pub fn trim(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 4 * CHUNK {
            self.input = BytesMut::new();
        }
    }
}

/// Why somebody interrupts a client.
#[must_use]
pub fn interruption(client: &Client) -> Failure {
    if client.is_terminated() {
        return Failure::Fatal(terminated());
    }
    client.clear_cancel();
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request").into()
}

/// What a statement that takes too long ends with.
#[must_use]
pub fn timed_out() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
}

/// What a client is told that is disconnected by the node.
#[must_use]
pub fn terminated() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// Ends at that time, or never.
pub async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
