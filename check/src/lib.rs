//! Histories of what clients did and saw, and checkers that tell whether a database kept its promises.
//!
//! Used by the simulator, by tests against real nodes and by `annulus check`. Promises and invariants:
//! - Pure: no clock, no IO, no randomness but the caller's. (`adya`, behind [`serializable`], looks at the
//!   clock to bound its search for the best explanation; its verdict does not depend on that.)
//! - A checker never passes what it could not check: that is [`Verdict::Undecided`].
//! - What an operation with an unknown outcome did is never held against the database: it may have happened
//!   at any time after its invocation, or never.
//! - A violation names the few operations that show it.
//!
//! | promise | checkers |
//! | --- | --- |
//! | strict serializability | [`serializable`] from values alone; [`graph`] where versions are known |
//! | each key alone | [`linearizable`], [`monotonic`], [`counter`], [`set`] |
//! | special transactions | [`bank`], [`long_fork`], [`write_skew`], [`causal`], [`dirty`], [`foreign_keys`], [`unique`], [`upsert`] |
//! | snapshot reads | [`snapshot`] where commit timestamps are known, [`past`] elsewhere |
//! | nothing acknowledged is lost | [`durability`] |
//! | one decision for each transaction | [`agreement`] |
//!
//! What clients do to show all that comes from [`workload`]; [`whole`] applies all checkers to a history of unknown
//! origin, and [`Level`] says what a violation leaves of the promise.

pub mod agreement;
pub mod bank;
pub mod causal;
pub mod counter;
pub mod dirty;
pub mod durability;
#[cfg(test)]
mod fixture;
pub mod foreign_keys;
pub mod graph;
pub mod history;
mod kind;
mod level;
pub mod linearizable;
pub mod long_fork;
#[cfg(test)]
mod measure;
pub mod monotonic;
pub mod past;
mod seen;
pub mod serializable;
pub mod set;
pub mod snapshot;
pub mod state;
pub mod unique;
pub mod upsert;
mod verdict;
pub mod whole;
pub mod workload;
pub mod write_skew;

pub use level::Level;
pub use verdict::{Anomaly, Verdict, Violation};
