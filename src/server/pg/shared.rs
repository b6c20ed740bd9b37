//! What all connections of a node's PostgreSQL server share.

use std::cell::Cell;
use std::rc::Rc;

use super::clients::Clients;
use super::config::Config;
use crate::metrics::Metrics;

/// The wall clock: microseconds since the Unix epoch.
pub type WallClock = Rc<dyn Fn() -> u64>;

/// State of one node's PostgreSQL server that does not depend on the sessions behind it.
pub struct Shared {
    /// Its limits.
    pub config: Config,
    /// Who is connected.
    pub clients: Rc<Clients>,
    /// What is counted and timed.
    pub metrics: Rc<Metrics>,
    /// The wall clock.
    pub wall: WallClock,
    /// Bytes that all connections hold.
    pub buffered: Cell<usize>,
}
