//! To be filled.

#[cfg(test)]
mod fixture;
pub mod graph;
pub mod history;
pub mod linearizable;
pub mod serializable;
pub mod state;
mod verdict;

pub use verdict::{Anomaly, Verdict, Violation};
