//! The coordinator: runs transactions over the replica rings, and recovers those of others.
//!
//! [`interface`] is what servers (SQL, key-value, REST) program against; [`member::Member`] is one node's
//! whole protocol state, to be driven by an event loop or by the simulator.
//!
//! Promises and invariants:
//! - Strict serializability of everything that [`interface::Database`] answers, reads included.
//! - The coordinator decides a try in exactly one way, and never two (see `commit`).
//! - No ballot is used twice, not even after a restart (see `recovery`).

mod admission;
mod answers;
mod commit;
mod common;
mod coordinator;
pub mod counters;
pub mod interface;
mod lock;
pub mod member;
mod read;
mod recoveries;
mod recovery;
mod repairer;
mod replies;
mod sets;
pub mod standing;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
