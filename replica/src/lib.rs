//! The participant: what one node answers about the partitions that it holds.
//!
//! A state machine. [`Replica::step`] takes the time, a message and the versions in store, and fills in
//! [`Effects`](effects::Effects): what to append to the vote log, what to send, and which of the messages may leave only
//! once the log is synced.
//!
//! Invariants (the rules marked (m) in the protocol):
//! - A vote never changes. YES, promises and accepts are durable before they are sent.
//! - Two conflicting transactions are never both prepared here.
//! - No answer is given on a timestamp above the durable fence; after a restart nothing at or below
//!   the fence is accepted, so forgotten NO votes and read timestamps cannot be contradicted.
//! - A decision, once known here, never changes; its versions are applied exactly as decided.

mod acceptor;
mod changes;
pub mod counters;
pub mod effects;
mod fence;
mod held;
pub mod locks;
pub mod message;
mod participant;
mod queue;
mod reads;
mod readtimes;
mod recent;
pub mod record;
mod repair;
mod replay;
pub mod settings;
pub mod store;
mod sweep;
mod unsettled;
mod votes;

pub use participant::Replica;
pub use repair::{only, retained, stretch_digest};
