//! The deterministic simulator: whole clusters of the real protocol crates in one thread, with virtual
//! time, network, disks and clocks. One seed decides everything; the same seed gives the same run.
//!
//! - [`options`]: what a seed decides;
//! - [`world`]: nodes, surroundings, faults and clients;
//! - [`workload`]: what clients do; [`history`]: what they were told; [`ledger`]: what is true;
//! - [`verdict`]: whether the two agree.

pub mod describe;
pub mod history;
pub mod ledger;
pub mod options;
pub mod relational;
pub mod run;
pub mod scenario;
pub mod trace;
pub mod transcript;
pub mod verdict;
pub mod violation;
pub mod workload;
pub mod world;
