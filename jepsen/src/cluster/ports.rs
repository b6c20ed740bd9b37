//! Free ports that stay free while their node is down.
//!
//! They lie below the range that the system takes for outgoing connections: otherwise somebody's connection
//! could take the port of a killed node, or a connection to it could meet itself.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

/// Spreads test processes that run at the same time; counts up within this one.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Ports that nobody listens on now. A node that loses the race for one says so, and its cluster is
/// started anew on others.
///
/// # Panics
/// If none of 20000 ports is free.
#[must_use]
pub fn free<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| free_port())
}

fn free_port() -> u16 {
    let mine = std::process::id().wrapping_mul(97);
    let candidates = (0..COUNT).map(|_| FIRST + mine.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let mut ports = candidates.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one of 20000 ports is free")
}
