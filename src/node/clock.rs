//! The node's clocks, read in one place and handed to the pure crates as arguments.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use annulus_base::Now;
use annulus_base::time::Micros;

/// A steady clock that counts from the node's start, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose steady part starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// What the clocks say.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { steady: self.started.elapsed().as_micros() as Micros, wall: wall() }
    }
}

/// Microseconds since the Unix epoch; 0 on a clock set before it.
#[must_use]
pub fn wall() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as Micros)
}
