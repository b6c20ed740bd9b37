//! Everything between nodes: frames and their encoding, the handshake, the connections to peers, gossip
//! over them, and the forming of a new cluster.
//!
//! [`peers::Peers`] sends and receives; [`wire::Envelope`] is what. All of it lives on one thread, inside
//! one `LocalSet`; only the gossip library runs on a task that could move.

mod accept;
pub mod bootstrap;
pub mod codec;
mod connection;
mod dial;
pub mod gossip;
mod guests;
pub mod handshake;
mod link;
pub mod peers;
#[cfg(test)]
mod testing;
pub mod wire;

pub use gossip::{Change, Gossip, GossipConfig};
pub use link::PeerStats;
pub use peers::{Handler, Limits, Peers, PeersConfig};
pub use wire::Envelope;
