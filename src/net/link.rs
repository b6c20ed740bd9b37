//! One peer as this node sees it: the queue of what goes out, and what is known of both connections.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use annulus_base::{Epoch, Incarnation, NodeId};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::handshake::{HandshakeError, Identity};

/// Buffers that grew above this are given back once they are empty, bytes.
const KEPT_CAPACITY: usize = 1024 * 1024;

/// What is known of a peer, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Where it is dialled.
    pub address: String,
    /// For how long the outgoing connection has stood; `None` while there is none.
    pub connected_for: Option<Duration>,
    /// Whether the peer's own connection to this node stands.
    pub receiving: bool,
    /// The newest incarnation that it presented.
    pub incarnation: Option<Incarnation>,
    /// The newest epoch that it presented.
    pub epoch: Option<Epoch>,
    /// How many times the outgoing connection was established.
    pub connects: u64,
    /// Why the outgoing connection last failed; `None` while it stands.
    pub last_error: Option<String>,
    /// Bytes waiting to be sent.
    pub queued_bytes: usize,
    /// Frames handed to the kernel.
    pub sent_frames: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames thrown away because the queue was full or there was no connection.
    pub dropped_frames: u64,
    /// Frames received.
    pub received_frames: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// How long ago anything was received.
    pub heard_ago: Option<Duration>,
    /// The last measured round trip, queues on both sides included.
    pub round_trip: Option<Duration>,
}

/// A peer. Everything is on one thread, so plain cells do.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) address: String,
    limit: usize,
    pending: RefCell<Vec<u8>>,
    pending_frames: Cell<u64>,
    /// Bytes that the writer has taken and not yet handed over.
    in_flight: Cell<usize>,
    pub(super) filled: Notify,
    pub(super) retry: Notify,
    /// Ends the outgoing connection, of which nothing is to be hoped any more.
    pub(super) give_up: Notify,
    connected: Cell<Option<Instant>>,
    incarnation: Cell<Option<Incarnation>>,
    epoch: Cell<Option<Epoch>>,
    connects: Cell<u64>,
    last_error: RefCell<Option<String>>,
    sent_frames: Cell<u64>,
    sent_bytes: Cell<u64>,
    dropped_frames: Cell<u64>,
    received_frames: Cell<u64>,
    received_bytes: Cell<u64>,
    heard: Cell<Option<Instant>>,
    round_trip: Cell<Option<Duration>>,
    reader: RefCell<Option<AbortHandle>>,
}

fn add(counter: &Cell<u64>, by: u64) {
    counter.set(counter.get().wrapping_add(by));
}

impl Link {
    /// A peer without connections, whose queue holds up to `limit` bytes.
    pub(super) fn new(node: NodeId, address: String, limit: usize) -> Self {
        Self {
            node,
            address,
            limit,
            pending: RefCell::default(),
            pending_frames: Cell::default(),
            in_flight: Cell::default(),
            filled: Notify::new(),
            retry: Notify::new(),
            give_up: Notify::new(),
            connected: Cell::default(),
            incarnation: Cell::default(),
            epoch: Cell::default(),
            connects: Cell::default(),
            last_error: RefCell::default(),
            sent_frames: Cell::default(),
            sent_bytes: Cell::default(),
            dropped_frames: Cell::default(),
            received_frames: Cell::default(),
            received_bytes: Cell::default(),
            heard: Cell::default(),
            round_trip: Cell::default(),
            reader: RefCell::default(),
        }
    }

    /// Queues one encoded frame, or drops and counts it. Wakes the writer only when the queue was empty.
    pub(super) fn push(&self, frame: &[u8]) {
        let mut pending = self.pending.borrow_mut();
        let waiting = pending.len() + self.in_flight.get();
        if self.connected.get().is_none() || waiting + frame.len() > self.limit {
            add(&self.dropped_frames, 1);
            return;
        }
        if pending.is_empty() {
            self.filled.notify_one();
        }
        pending.extend_from_slice(frame);
        add(&self.pending_frames, 1);
    }

    /// Moves everything queued into `out` (which is empty), and counts it as sent.
    pub(super) fn take(&self, out: &mut Vec<u8>) {
        out.clear();
        out.shrink_to(KEPT_CAPACITY);
        std::mem::swap(&mut *self.pending.borrow_mut(), out);
        self.in_flight.set(out.len());
        add(&self.sent_frames, self.pending_frames.take());
        add(&self.sent_bytes, out.len() as u64);
    }

    /// The writer has handed over all but the last `left` bytes of what it took.
    pub(super) fn handed_over(&self, left: usize) {
        self.in_flight.set(left);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.get().is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.borrow().is_empty() && self.in_flight.get() == 0
    }

    /// Notes who the peer is now.
    ///
    /// # Errors
    /// [`HandshakeError::Stale`] for an older process than one seen before.
    pub(super) fn introduce(&self, identity: Identity) -> Result<(), HandshakeError> {
        let found = identity.incarnation;
        if let Some(newest) = self.incarnation.get().filter(|newest| *newest > found) {
            return Err(HandshakeError::Stale { node: self.node, found, newest });
        }
        self.incarnation.set(Some(found));
        self.epoch.set(self.epoch.get().max(Some(identity.epoch)));
        Ok(())
    }

    /// The outgoing connection stands.
    pub(super) fn established(&self) {
        self.connected.set(Some(Instant::now()));
        self.last_error.take();
        add(&self.connects, 1);
        tracing::info!(peer = %self.node, address = %self.address, "connected");
    }

    /// The outgoing connection failed, or could not be established; what was queued is lost. Each cause
    /// is logged once, however often it repeats.
    pub(super) fn failed(&self, error: &HandshakeError) {
        self.connected.set(None);
        self.in_flight.set(0);
        add(&self.dropped_frames, self.pending_frames.take());
        self.pending.take();
        let text = error.to_string();
        if self.last_error.borrow().as_ref() != Some(&text) {
            tracing::warn!(peer = %self.node, address = %self.address, error = %text, "not connected");
            self.last_error.replace(Some(text));
        }
    }

    /// From now on `reader` is the task that receives from this peer; an earlier one ends.
    pub(super) fn read_by(&self, reader: Option<AbortHandle>) {
        if reader.is_some() {
            self.heard(0);
        }
        if let Some(earlier) = self.reader.replace(reader) {
            earlier.abort();
        }
    }

    /// Bytes have arrived.
    pub(super) fn heard(&self, bytes: usize) {
        self.heard.set(Some(Instant::now()));
        add(&self.received_bytes, bytes as u64);
    }

    /// Whether the connections only seem to stand: a peer that is up sends something every now and then.
    /// What a machine or network that failed left behind would otherwise be waited for, for minutes.
    pub(super) fn is_silent(&self, longest: Duration) -> bool {
        let long_ago = |then: Option<Instant>| then.is_none_or(|then| then.elapsed() > longest);
        long_ago(self.heard.get()) && self.connected.get().is_none_or(|since| since.elapsed() > longest)
    }

    pub(super) fn received(&self, frames: u64) {
        add(&self.received_frames, frames);
    }

    pub(super) fn measured(&self, round_trip: Duration) {
        self.round_trip.set(Some(round_trip));
    }

    pub(super) fn last_heard(&self) -> Option<Instant> {
        self.heard.get()
    }

    pub(super) fn stats(&self) -> PeerStats {
        let receiving = self.reader.borrow().as_ref().is_some_and(|reader| !reader.is_finished());
        PeerStats {
            address: self.address.clone(),
            connected_for: self.connected.get().map(|since| since.elapsed()),
            receiving,
            incarnation: self.incarnation.get(),
            epoch: self.epoch.get(),
            connects: self.connects.get(),
            last_error: self.last_error.borrow().clone(),
            queued_bytes: self.pending.borrow().len() + self.in_flight.get(),
            sent_frames: self.sent_frames.get(),
            sent_bytes: self.sent_bytes.get(),
            dropped_frames: self.dropped_frames.get(),
            received_frames: self.received_frames.get(),
            received_bytes: self.received_bytes.get(),
            heard_ago: self.heard.get().map(|then| then.elapsed()),
            round_trip: self.round_trip.get(),
        }
    }
}
