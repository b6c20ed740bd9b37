//! What peers say to each other once they are connected, one enum per wire version.
//!
//! A version's enum never changes once released: `codec/golden/v1.txt` keeps one frame of every kind, and the
//! tests read them. A change is a new version, which the handshake agrees on.

use annulus_replica::message::Message;
use bytes::Bytes;
use wincode::{SchemaRead, SchemaWrite};

/// Everything that a frame can hold. Version 1 of the wire.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Envelope {
    /// About transactions.
    Transaction(Message),
    /// A gossip message, opaque here.
    Gossip(Bytes),
    /// Asks for a [`Envelope::Pong`] with the same number: microseconds of the asker's steady clock.
    Ping(u64),
    /// Answer to [`Envelope::Ping`].
    Pong(u64),
}
