//! The node: drives the pure crates with sockets, disks and clocks, and serves clients.

pub mod cli;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hooks;
pub mod metrics;
pub mod net;
pub mod node;
pub mod server;
pub mod storage;

use std::sync::LazyLock;

/// The program's version. Two builds of one version are told apart by a stamp: the environment variable
/// `ANNULUS_BUILD_STAMP` while building, if there is one.
pub static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("ANNULUS_BUILD_STAMP") {
    Some(stamp) => format!("{}+{stamp}", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});
