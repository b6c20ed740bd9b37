//! From transactions to the serialization graph.

use std::collections::BTreeSet;

use super::versions::Versions;
use super::{Fate, Id, RangeRead, Txn};
use crate::verdict::{Anomaly, Verdict};

/// Why one transaction comes before another; a bit each, so that kinds can be combined to a mask.
pub(super) mod kind {
    /// The other wrote the next version of a key.
    pub(in super::super) const WW: u8 = 1;
    /// The other read its version of a key.
    pub(in super::super) const WR: u8 = 2;
    /// The other wrote the version after the one it read.
    pub(in super::super) const RW: u8 = 4;
    /// The other wrote a version that its range read did not contain.
    pub(in super::super) const PHANTOM: u8 = 8;
    /// It ended before the other was asked.
    pub(in super::super) const TIME: u8 = 16;
}

/// An edge to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) to: u32,
    pub(super) kind: u8,
    /// The number of the key it is about; 0 for real time.
    pub(super) key: u32,
}

/// The graph: the transactions first, then the barriers.
pub(super) struct Graph {
    /// The edges out of each node.
    pub(super) next: Vec<Vec<Edge>>,
    /// How many nodes are transactions.
    pub(super) txns: usize,
}

impl Graph {
    fn link(&mut self, from: u32, to: u32, kind: u8, key: u32) {
        if from != to {
            self.next[from as usize].push(Edge { to, kind, key });
        }
    }
}

/// Builds the graph, and finds reads of what was never committed.
pub(super) fn build<K: Id, V: Id>(txns: &[Txn<K, V>], versions: &Versions<'_, K, V>) -> Result<Graph, Verdict> {
    let mut graph = Graph { next: vec![Vec::new(); txns.len()], txns: txns.len() };
    for (number, (_, positions)) in versions.keys.iter().enumerate() {
        let mut writers = versions.all[positions.clone()].iter().filter_map(|version| version.writer);
        let mut last = writers.next();
        for writer in writers {
            if let Some(before) = last.replace(writer) {
                graph.link(before, writer, kind::WW, number as u32);
            }
        }
    }
    for (id, txn) in txns.iter().enumerate().filter(|(id, _)| versions.committed[*id]) {
        let mut reads = Reads { txns, versions, graph: &mut graph, id };
        for (key, version) in &txn.reads {
            reads.item(key, version.as_ref())?;
        }
        for range in &txn.ranges {
            reads.range(range)?;
        }
    }
    real_time(txns, &versions.committed, &mut graph);
    Ok(graph)
}

struct Reads<'a, 'v, K, V> {
    txns: &'a [Txn<K, V>],
    versions: &'a Versions<'v, K, V>,
    graph: &'a mut Graph,
    id: usize,
}

impl<K: Id, V: Id> Reads<'_, '_, K, V> {
    fn item(&mut self, key: &K, version: Option<&V>) -> Result<(), Verdict> {
        let Some(version) = version else {
            if let Some(number) = self.versions.key(key) {
                self.before(number, self.versions.keys[number as usize].1.start, kind::RW);
            }
            return Ok(());
        };
        let found = self.versions.key(key).zip(self.versions.position(key, version));
        let (number, position) = found.ok_or_else(|| self.unwritten(key, version))?;
        if let Some(writer) = self.versions.all[position].writer {
            self.graph.link(writer, self.id as u32, kind::WR, number);
        }
        self.before(number, position + 1, kind::RW);
        Ok(())
    }

    fn range(&mut self, range: &RangeRead<K, V>) -> Result<(), Verdict> {
        let mut present = BTreeSet::new();
        for (key, version) in &range.rows {
            self.item(key, Some(version))?;
            present.insert(key);
        }
        let versions = self.versions;
        let first = versions.keys.partition_point(|(key, _)| **key < range.from);
        for (number, (key, positions)) in versions.keys.iter().enumerate().skip(first) {
            if range.to.as_ref().is_some_and(|to| *key >= to) {
                break;
            }
            if !present.contains(key) {
                self.absent(number as u32, positions.clone());
            }
        }
        Ok(())
    }

    /// The key was absent from a range: it was never written yet, or deleted by one of its deletions. All
    /// that is certain is that the range was read before any version later than the last of these.
    fn absent(&mut self, number: u32, positions: std::ops::Range<usize>) {
        let all = &self.versions.all;
        let is_deletion = |position: &usize| !all[*position].present;
        let last = positions.clone().rev().find(is_deletion);
        self.before(number, last.map_or(positions.start, |position| position + 1), kind::PHANTOM);
    }

    /// This transaction comes before the one that wrote the next version from a position on.
    fn before(&mut self, key: u32, position: usize, kind: u8) {
        if let Some(writer) = self.versions.next_writer(key, position) {
            self.graph.link(self.id as u32, writer, kind, key);
        }
    }

    fn unwritten(&self, key: &K, version: &V) -> Verdict {
        let id = self.id;
        let wrote = |txn: &Txn<K, V>| txn.writes.iter().any(|write| write.key == *key && write.version == *version);
        let writer = self.txns.iter().position(wrote);
        let why = format!("T{id} read version {version:?} of key {key:?}, ");
        let (anomaly, why) = match writer {
            Some(writer) if self.txns[writer].fate == Fate::Aborted => {
                (Anomaly::G1a, why + &format!("which T{writer} wrote, and that aborted"))
            }
            Some(writer) => (Anomaly::LostWrite, why + &format!("which T{writer} wrote, but it does not exist")),
            None => (Anomaly::Invented, why + "which nobody wrote"),
        };
        Verdict::invalid(anomaly, writer.into_iter().chain([id]), [format!("{key:?}")], why)
    }
}

/// Real-time order: a chain of barriers, one for each completion, in the order of time. A transaction leads
/// to the barrier of its completion; the last barrier before its invocation leads to it.
fn real_time<K, V>(txns: &[Txn<K, V>], committed: &[bool], graph: &mut Graph) {
    let ends = txns.iter().enumerate().filter(|(id, _)| committed[*id]);
    let mut ends: Vec<(u64, u32)> = ends.filter_map(|(id, txn)| Some((txn.completed?, id as u32))).collect();
    ends.sort_unstable();
    let first = graph.txns as u32;
    graph.next.resize(graph.txns + ends.len(), Vec::new());
    for (at, (_, id)) in ends.iter().enumerate() {
        let barrier = first + at as u32;
        graph.link(*id, barrier, kind::TIME, 0);
        if at > 0 {
            graph.link(barrier - 1, barrier, kind::TIME, 0);
        }
    }
    for (id, txn) in txns.iter().enumerate().filter(|(id, _)| committed[*id]) {
        let ended = ends.partition_point(|(end, _)| *end < txn.invoked) as u32;
        if ended > 0 {
            graph.link(first + ended - 1, id as u32, kind::TIME, 0);
        }
    }
}
