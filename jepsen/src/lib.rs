//! Faults against real clusters, and what they must not break: after Jepsen's model.
//!
//! A *cell* is one workload under one nemesis: a fresh cluster, clients that record what they ask and what they are
//! told (`annulus-probe`), faults from a seed, healing, a last look at every key, and the checkers of `annulus-check`.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`cluster`] | nodes that can be killed, paused, cut off, starved: processes on loopback, or containers |
//! | [`nemesis`] | which faults, at whom, when |
//! | [`cell`] | runs one workload under one nemesis |
//! | [`availability`] | how long nobody was served, and how long recovery took |
//! | [`matrix`] | which cells, in which order |
//! | [`suite`] | a whole run |
//! | [`self_test`] | whether all this finds deliberate bugs |
//! | [`report`] | lines for people, and a page with plots |
//!
//! Promises and invariants:
//! - Which workload meets which nemesis, every program and every fault follow from the seed; the moments do not.
//! - Everything that was started is stopped at the end, by its own process or container id.

pub mod availability;
pub mod cell;
pub mod cluster;
mod failure;
pub mod matrix;
pub mod nemesis;
pub mod options;
mod protocol;
pub mod report;
pub mod self_test;
pub mod suite;

pub use failure::Failure;
pub use protocol::Protocol;
