//! One connection: bytes in, commands in their order, bytes out.
//!
//! Answers collect in one buffer that is sent when no complete command is left, or when it has grown
//! large. A client that does not read its answers is not served further once [`Config::max_unsent`] bytes
//! wait for it, and is disconnected after [`Config::write_timeout`].
//!
//! [`Config::max_unsent`]: super::config::Config::max_unsent
//! [`Config::write_timeout`]: super::config::Config::write_timeout

use std::io;
use std::rc::Rc;

use annulus_base::id::TxnRef;
use annulus_txn::interface::Database;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Server;
use super::clients::Client;
use super::execute::execute;
use super::pipeline::{self, Batch};
use super::protocol::{Decoder, ProtocolError, Reply, Request};
use super::session::Session;

/// What is read at once at most; buffers larger than this are given back when they are empty.
const CHUNK: usize = 16 * 1024;
/// Above this many unsent bytes answers are sent although more commands are there.
const SEND_AT: usize = 64 * 1024;
/// After so many commands others get a turn.
const TURN: usize = 64;
/// What a connection may hold however little memory is left.
const FREE_SHARE: usize = 64 * 1024;

/// What the decoder says.
type Decoded = Result<Option<Request>, ProtocolError>;

/// A connection at work.
pub struct Connection<D: Database> {
    server: Rc<Server<D>>,
    stream: TcpStream,
    session: Session,
    decoder: Decoder,
    /// What was decoded already, but not for the batch at hand.
    ahead: Option<Decoded>,
    input: BytesMut,
    output: BytesMut,
    /// When bytes were last received or sent.
    progress: Instant,
}

impl<D: Database> Connection<D> {
    /// A connection that has just been accepted.
    pub fn new(server: Rc<Server<D>>, stream: TcpStream, client: Rc<Client>) -> Self {
        let decoder = Decoder::new(server.shared.config.request_limits());
        let session = Session::new(client);
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self { server, stream, session, decoder, ahead: None, input, output, progress: Instant::now() }
    }

    /// Serves it until it ends. When `shutdown` is cancelled, the command at hand is finished first.
    ///
    /// # Errors
    /// What the network says; a client that is too slow is [`io::ErrorKind::TimedOut`].
    pub async fn serve(mut self, shutdown: &CancellationToken) -> io::Result<()> {
        loop {
            self.work(shutdown).await?;
            self.send()?;
            self.account();
            if self.session.closing && self.output.is_empty() {
                return Ok(());
            }
            self.wait(shutdown).await?;
        }
    }

    /// Executes the commands that have arrived.
    async fn work(&mut self, shutdown: &CancellationToken) -> io::Result<()> {
        let most = self.server.shared.config.max_unsent;
        let mut done = 0;
        while self.output.len() < most && !self.session.closing {
            match self.next_request() {
                Ok(None) => break,
                Ok(Some(Request::Command(arguments))) => match self.collect(arguments) {
                    Ok(batch) => {
                        let before = self.session.last;
                        for reply in pipeline::run(&self.server, &mut self.session, batch).await {
                            self.answer(reply, before);
                        }
                    }
                    Err(arguments) => {
                        let before = self.session.last;
                        let reply = execute(&self.server, &mut self.session, arguments).await;
                        self.answer(reply, before);
                    }
                },
                Ok(Some(Request::TooLarge(why))) => {
                    self.server.shared.stats.oversized.add(1);
                    self.session.break_queue();
                    Reply::Error(why.into()).write(self.session.version(), &mut self.output);
                }
                Err(error) => {
                    self.server.shared.stats.broken.add(1);
                    Reply::Error(format!("ERR {error}").into()).write(self.session.version(), &mut self.output);
                    self.session.closing = true;
                }
            }
            self.session.closing |= self.session.client.is_killed() || shutdown.is_cancelled();
            if self.output.len() >= SEND_AT {
                self.send()?;
            }
            done += 1;
            if done % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn next_request(&mut self) -> Decoded {
        self.ahead.take().unwrap_or_else(|| self.decoder.next(&mut self.input))
    }

    /// Takes the commands that can be executed together with this one; gives it back if there are none.
    fn collect(&mut self, arguments: Vec<Bytes>) -> Result<Batch, Vec<Bytes>> {
        if self.input.is_empty() {
            return Err(arguments);
        }
        let shared = &self.server.shared;
        let mut batch = Batch::begin(shared, &self.session, arguments)?;
        loop {
            let next = match self.decoder.next(&mut self.input) {
                Ok(None) => return Ok(batch),
                Ok(Some(Request::Command(arguments))) => match batch.add(shared, arguments) {
                    Ok(()) => continue,
                    Err(arguments) => Ok(Some(Request::Command(arguments))),
                },
                other => other,
            };
            self.ahead = Some(next);
            return Ok(batch);
        }
    }

    /// Answers a command before which `before` was the last transaction.
    fn answer(&mut self, reply: Reply, before: Option<TxnRef>) {
        if self.session.replies.next() {
            let written = self.session.last.filter(|txn| Some(*txn) != before);
            let reply = self.bounded(reply, written);
            // The answer to HELLO is in the new version already.
            reply.write(self.session.version(), &mut self.output);
        }
    }

    /// The answer, or that it is too large for what this connection may hold. `written` is what the command
    /// has committed.
    fn bounded(&self, reply: Reply, written: Option<TxnRef>) -> Reply {
        let shared = &self.server.shared;
        let (size, most) = (reply.size(), shared.config.max_client_memory);
        if reply.is_error() || self.holds() + size <= most {
            return reply;
        }
        shared.stats.oversized.add(1);
        let why =
            format!("an answer of {size} bytes is more than this connection may hold (max_client_memory: {most})");
        let text = match written {
            None => format!("LIMIT {why}; ask for less at once"),
            Some(txn) => format!("UNKNOWN {why}; the transaction was executed, its id is {txn}"),
        };
        Reply::Error(text.into())
    }

    /// Bytes in the unfinished request, queued commands and unsent answers.
    fn holds(&self) -> usize {
        self.input.len() + self.decoder.held_bytes() + self.session.queued_bytes() + self.output.len()
    }

    /// Sends what can be sent without waiting.
    fn send(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.try_write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    self.output.advance(sent);
                    self.server.shared.stats.sent.add(sent as u64);
                    self.progress = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.output.is_empty() && self.output.capacity() > SEND_AT {
            self.output = BytesMut::new();
        }
        Ok(())
    }

    /// Waits until bytes come, or can be sent, or the connection is to be closed.
    async fn wait(&mut self, shutdown: &CancellationToken) -> io::Result<()> {
        let config = &self.server.shared.config;
        let reads = !self.session.closing && self.output.len() < config.max_unsent;
        let unsent = !self.output.is_empty();
        let patience = if unsent {
            Some(config.write_timeout)
        } else if self.decoder.is_inside_request() || !self.input.is_empty() {
            Some(config.read_timeout)
        } else {
            config.idle_timeout
        };
        let locked_until = self.session.watch.locked_until();
        let give_up = patience.map(|time| self.progress + time);
        if reads && self.input.capacity() - self.input.len() < CHUNK / 4 {
            self.input.reserve(CHUNK);
        }
        let (mut reader, writer) = self.stream.split();
        tokio::select! {
            biased;
            read = reader.read_buf(&mut self.input), if reads => {
                let count = read?;
                self.server.shared.stats.received.add(count as u64);
                self.progress = Instant::now();
                // A client that has nothing more to say may still wait for its answers.
                self.session.closing |= count == 0;
            }
            ready = writer.writable(), if unsent => ready?,
            () = shutdown.cancelled(), if !self.session.closing => self.session.closing = true,
            () = self.session.client.killed(), if !self.session.closing => self.session.closing = true,
            () = until(locked_until) => self.session.watch.release(&self.server.database),
            () = until(give_up) => return Err(io::ErrorKind::TimedOut.into()),
        }
        Ok(())
    }

    /// Tells the node how much this connection holds, and ends it where all together hold too much.
    fn account(&mut self) {
        let holds = self.holds();
        let (stats, config) = (&self.server.shared.stats, &self.server.shared.config);
        let before = self.session.client.buffered.replace(holds);
        let all = (stats.buffered.get() + holds).saturating_sub(before);
        stats.buffered.set(all);
        let why = if holds > config.max_client_memory.max(FREE_SHARE) {
            "LIMIT this connection holds too much unfinished work (max_client_memory)"
        } else if all > config.max_buffered && holds > FREE_SHARE {
            "LIMIT the connections of this node hold too much unfinished work"
        } else {
            ""
        };
        if !why.is_empty() && !self.session.closing {
            stats.oversized.add(1);
            Reply::Error(why.into()).write(self.session.version(), &mut self.output);
            self.session.closing = true;
        }
        if self.input.is_empty() && self.input.capacity() > 4 * CHUNK {
            self.input = BytesMut::new();
        }
    }
}

impl<D: Database> Drop for Connection<D> {
    fn drop(&mut self) {
        let shared = &self.server.shared;
        self.session.watch.clear(&self.server.database);
        let held = self.session.client.buffered.get();
        shared.stats.buffered.set(shared.stats.buffered.get().saturating_sub(held));
        shared.clients.remove(self.session.client.id);
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
