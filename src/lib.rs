//! The node: drives the pure crates with sockets, disks and clocks, and serves clients.

pub mod cli;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod metrics;
pub mod net;
pub mod node;
pub mod server;
pub mod storage;
