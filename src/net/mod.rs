//! Peers: framing, handshake, connections, gossip transport.
