//! Where data lives: the token space, partitions and their replica rings, and the decided membership of
//! an epoch.
//!
//! The token space is the circle of 64-bit numbers. Every node owns many tokens on it, in proportion to
//! its weight; a partition is placed by walking clockwise from its own hash. Hashes are blake3.
//!
//! Promises and invariants:
//! - Placement is a pure function of the [`TopologyRecord`]: equal records give equal rings on every
//!   machine, whatever the order of members and namespaces in them.
//! - A replica ring consists of distinct nodes, in distinct zones as far as there are enough zones.
//! - Each node's share of the token space is within 10 % of its share of the weights, for clusters of 3
//!   to 100 nodes with weights of 50 and more.
//! - A node holds at most 125 % of its fair part of a namespace, where the other nodes can take the rest.
//! - Adding a node moves replicas to it, removing one moves what it held, and little else: nothing but
//!   what the bounded load pushes on.
//! - Namespaces made at run time ([`DynamicNamespace`]) are placed the same way, from their id alone. Whatever
//!   ids are asked for, what is remembered of them is bounded.
//! - A [`Topology`] that exists is valid; whatever bytes it is decoded from, the worst is a [`TopologyError`].

pub mod bootstrap;
mod dynamic;
mod error;
mod namespace;
mod placement;
mod record;
mod rings;
mod token;
mod topology;

pub use dynamic::{DynamicNamespace, DynamicNamespaceError, MAX_DYNAMIC_NUMBER, MAX_DYNAMIC_SLOTS};
pub use error::TopologyError;
pub use namespace::{Basis, Consistency, DEFAULT_REPLICATION_FACTOR, DEFAULT_SLOTS, Namespace};
pub use record::{
    ClusterId, MAX_MEMBERS, MAX_NAME_LEN, MAX_PARTITIONS, MAX_TOTAL_WEIGHT, MIN_WEIGHT, Member, TopologyRecord,
};
pub use rings::ReplicaRing;
pub use topology::Topology;
