//! The coordinator: runs transactions over the replica rings, and recovers those of others.
//!
//! [`interface`] is what servers (SQL, key-value, REST) program against.

pub mod interface;
pub mod member;
