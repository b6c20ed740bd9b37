//! Strict serializability where the order of versions is known: Adya's direct serialization graph.
//!
//! Transactions are nodes; an edge says which of two came first: `ww` (the next version of a key), `wr` (read
//! the version), `rw` (read the version before, or a range without it), and real time (ended before the other
//! was asked). Strictly serializable is: no cycle. Real-time order is kept in O(n) edges by a chain of barriers,
//! one for each completion. Source: Adya, "Weak Consistency" (1999), chapters 3 and 4.
//!
//! The simulator knows every version; for histories of clients whose commit timestamps are known,
//! [`check_history`] derives them.

mod cycle;
mod edges;
mod explain;
mod of_history;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::verdict::Verdict;
pub use of_history::check_history;

/// What is known of a transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It committed.
    Committed,
    /// It did not and never will.
    Aborted,
    /// It committed if one of its versions exists.
    Unknown,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn<K, V> {
    /// When it was asked, on any clock or counter that all transactions share.
    pub invoked: u64,
    /// When its client was told that it committed, if ever.
    pub completed: Option<u64>,
    /// Whether it committed.
    pub fate: Fate,
    /// Keys read, with the version seen; `None` if there was none.
    pub reads: Vec<(K, Option<V>)>,
    /// Ranges read.
    pub ranges: Vec<RangeRead<K, V>>,
    /// Versions written, one for a key.
    pub writes: Vec<Write<K, V>>,
}

/// A range that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRead<K, V> {
    /// The first key of the range.
    pub from: K,
    /// The end of the range, not part of it; `None`: all keys from `from` on.
    pub to: Option<K>,
    /// Every key that was present, with the version seen.
    pub rows: Vec<(K, V)>,
}

/// A version that a transaction writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<K, V> {
    /// The key.
    pub key: K,
    /// The version, unique for the key.
    pub version: V,
    /// Whether the key is present afterwards: false for a deletion.
    pub present: bool,
}

/// The versions of each key, oldest first.
pub type Order<K, V> = BTreeMap<K, Vec<V>>;

/// What keys and versions are made of.
pub trait Id: Ord + Clone + Debug {}

impl<T: Ord + Clone + Debug> Id for T {}

/// Checks transactions. `order` holds all versions that exist; a committed write that is not among them is
/// lost, one of an aborted transaction is wrong. Versions that no transaction wrote were there before.
/// Operations in the verdict are positions in `txns`.
#[must_use]
pub fn check<K: Id, V: Id>(txns: &[Txn<K, V>], order: &Order<K, V>) -> Verdict {
    let versions = match versions::Versions::of(txns, order) {
        Ok(versions) => versions,
        Err(verdict) => return verdict,
    };
    let graph = match edges::build(txns, &versions) {
        Ok(graph) => graph,
        Err(verdict) => return verdict,
    };
    match cycle::worst(&graph) {
        Some((anomaly, steps)) => explain::verdict(txns, &versions, anomaly, &steps),
        None => Verdict::Valid,
    }
}

/// The order of versions where a larger version is a later one (commit timestamps): those of committed
/// transactions, and of unknown ones that a committed transaction saw.
#[must_use]
pub fn order_by_version<K: Id, V: Id>(txns: &[Txn<K, V>]) -> Order<K, V> {
    let mut writers: BTreeMap<(&K, &V), usize> = BTreeMap::new();
    for (id, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.fate == Fate::Unknown) {
        writers.extend(txn.writes.iter().map(|write| ((&write.key, &write.version), id)));
    }
    let mut included: BTreeSet<usize> = (0..txns.len()).filter(|id| txns[*id].fate == Fate::Committed).collect();
    let mut fresh: Vec<usize> = included.iter().copied().collect();
    while let Some(id) = fresh.pop() {
        let seen = txns[id].reads.iter().filter_map(|(key, version)| Some((key, version.as_ref()?)));
        let rows = txns[id].ranges.iter().flat_map(|range| range.rows.iter().map(|(key, version)| (key, version)));
        let writers = seen.chain(rows).filter_map(|version| writers.get(&version).copied());
        fresh.extend(writers.filter(|writer| included.insert(*writer)));
    }
    let mut order: Order<K, V> = BTreeMap::new();
    for write in included.iter().flat_map(|id| &txns[*id].writes) {
        order.entry(write.key.clone()).or_default().push(write.version.clone());
    }
    for versions in order.values_mut() {
        versions.sort_unstable();
        versions.dedup();
    }
    order
}

#[cfg(test)]
mod tests;
