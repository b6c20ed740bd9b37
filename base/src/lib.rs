//! What every crate of Annulus speaks in: identities, time, keys, limits and the classes of errors.
//!
//! Promises and invariants:
//! - Pure: time and randomness are arguments ([`time::Now`], [`rng::Rng`]); nothing here reads a clock.
//! - Every type with a durable or wire form has one fixed encoding; changing it is a new version.
//! - Orders are meaningful: older [`id::TxnId`]s sort first (and win), [`key::Key`]s sort as their
//!   user keys do, [`id::Ballot`]s and [`time::Timestamp`]s sort by time of creation.

pub mod error;
pub mod id;
pub mod key;
pub mod limits;
pub mod mutation;
pub mod rng;
pub mod time;

pub use error::ErrorClass;
pub use id::{Ballot, Epoch, Incarnation, NamespaceId, NodeId, PartitionId, TxnId};
pub use key::{Key, KeyRange};
pub use mutation::{Mutation, Mutations};
pub use time::{Hlc, Now, Timestamp};
