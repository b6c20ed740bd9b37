//! Peers: framing, handshake, connections, gossip transport.

pub mod codec;
pub mod wire;
