//! Strict serializability: the direct serialization graph (Adya, 1999) with the order of real time has no
//! cycle. The order of versions is known from their stamps, so the graph is exact.
//!
//! Two graphs are searched: all latest reads and commits with real time; and, without real time, these
//! together with the reads of snapshots, which may look at the past but must fit into one order too.
//!
//! A key that was seen absent and has tombstones may have been seen before its first version or after any
//! tombstone. Edges are drawn only where real time leaves a single possibility.

use std::collections::BTreeMap;

use annulus_base::TxnId;
use annulus_replica::message;
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Place, When};

use super::graph::Graph;
use crate::describe::{self, key, time};
use crate::history::{Call, Entry, EntryId, History, Outcome};
use crate::ledger::{Ledger, Versions};
use crate::violation::{Verdict, wrong};

pub(super) fn check(history: &History, ledger: &Ledger) -> Verdict {
    let builder = Builder { history, ledger, committed: committed(ledger) };
    builder.check(false, "strictly serializable")?;
    builder.check(true, "serializable together with the snapshot reads")
}

/// Which transaction each commit took effect as.
fn committed(ledger: &Ledger) -> BTreeMap<EntryId, TxnId> {
    let commits = ledger.tries().filter(|(txn, _)| ledger.outcome(*txn) == Some(message::Outcome::Commit));
    commits.map(|(txn, entry)| (entry, txn)).collect()
}

/// What an entry saw of a key.
enum Saw {
    Version(Stamp),
    Absent,
}

struct Builder<'a> {
    history: &'a History,
    ledger: &'a Ledger,
    committed: BTreeMap<EntryId, TxnId>,
}

impl Builder<'_> {
    fn check(&self, with_snapshots: bool, what: &str) -> Verdict {
        let mut graph = Graph::new(self.history.entries.len());
        if !with_snapshots {
            self.draw_real_time(&mut graph);
        }
        self.draw_version_order(&mut graph);
        for (id, entry) in self.history.entries.iter().enumerate() {
            if self.takes_part(id, entry) && (with_snapshots || !is_snapshot(entry)) {
                self.draw_reads(id, entry, &mut graph);
            }
        }
        match graph.cycle() {
            None => Ok(()),
            Some(cycle) => wrong(format!("the history is not {what}: {}", self.describe(&cycle))),
        }
    }

    fn takes_part(&self, id: usize, entry: &Entry) -> bool {
        match entry.call {
            Call::Commit(_) => {
                matches!(entry.outcome, Outcome::Committed(..)) || self.committed.contains_key(&(id as EntryId))
            }
            _ => matches!(entry.outcome, Outcome::Read(_) | Outcome::Scanned(_)),
        }
    }

    /// Whatever had returned precedes whatever was invoked later. One node for each return, in a chain,
    /// keeps the number of edges linear.
    fn draw_real_time(&self, graph: &mut Graph) {
        let mut events = Vec::new();
        for (id, entry) in self.history.entries.iter().enumerate() {
            if self.takes_part(id, entry) && !is_snapshot(entry) {
                events.push((entry.invoked.1, id, false));
                if entry.ended() != u64::MAX {
                    events.push((entry.ended(), id, true));
                }
            }
        }
        events.sort_unstable();
        let mut last = None;
        for (_, id, returned) in events {
            if returned {
                let node = graph.add();
                graph.edge(id, node);
                if let Some(last) = last.replace(node) {
                    graph.edge(last, node);
                }
            } else if let Some(last) = last {
                graph.edge(last, id);
            }
        }
    }

    fn writer(&self, stamp: Stamp) -> Option<usize> {
        self.ledger.entry_of(stamp.txn).map(|entry| entry as usize)
    }

    fn draw_version_order(&self, graph: &mut Graph) {
        for versions in self.ledger.versions.values() {
            let writers: Vec<_> = versions.keys().filter_map(|stamp| self.writer(*stamp)).collect();
            writers.windows(2).for_each(|pair| graph.edge(pair[0], pair[1]));
        }
    }

    fn draw_reads(&self, id: usize, entry: &Entry, graph: &mut Graph) {
        match (&entry.call, &entry.outcome) {
            (Call::Read(keys, _), Outcome::Read(seen)) => {
                for (place, seen) in keys.iter().zip(seen) {
                    self.draw_read(id, place, saw(seen.stamp), graph);
                }
            }
            (Call::Scan(_), Outcome::Scanned(ranges)) => {
                for range in ranges {
                    let rows = range.rows.iter().map(|(key, seen)| (key, seen.stamp));
                    self.draw_range(id, range.partition, &range.range, &rows.collect(), graph);
                }
            }
            (Call::Commit(commit), _) => {
                for (place, stamp) in &commit.reads {
                    self.draw_read(id, place, saw(*stamp), graph);
                }
                for range in &commit.ranges {
                    let rows = range.rows.iter().map(|(key, stamp)| (key, *stamp));
                    self.draw_range(id, range.partition, &range.range, &rows.collect(), graph);
                }
            }
            _ => {}
        }
    }

    fn draw_range(
        &self,
        id: usize,
        partition: annulus_base::PartitionId,
        range: &annulus_base::KeyRange,
        rows: &BTreeMap<&annulus_base::Key, Stamp>,
        graph: &mut Graph,
    ) {
        let inside =
            self.ledger.versions.keys().filter(|place| place.partition == partition && range.contains(&place.key));
        for place in inside {
            let seen = rows.get(&place.key).map_or(Saw::Absent, |stamp| Saw::Version(*stamp));
            self.draw_read(id, place, seen, graph);
        }
    }

    fn draw_read(&self, id: usize, place: &Place, saw: Saw, graph: &mut Graph) {
        let Some(versions) = self.ledger.versions.get(place) else { return };
        let after = match saw {
            Saw::Version(stamp) => Some(stamp),
            Saw::Absent => match self.only_absence(id, versions) {
                Some(after) => after,
                None => return,
            },
        };
        if let Some(writer) = after.and_then(|stamp| self.writer(stamp)) {
            graph.edge(writer, id);
        }
        let next =
            versions.keys().find(|stamp| after.is_none_or(|after| **stamp > after) && self.writer(**stamp) != Some(id));
        if let Some(writer) = next.and_then(|stamp| self.writer(*stamp)) {
            graph.edge(id, writer);
        }
    }

    /// After which version (`None`: before all) a key was seen absent, if only one answer is possible.
    fn only_absence(&self, id: usize, versions: &Versions) -> Option<Option<Stamp>> {
        let tombstones = versions.iter().filter(|(_, value)| value.is_none()).map(|(stamp, _)| Some(*stamp));
        let entry = &self.history.entries[id];
        if is_snapshot(entry) && tombstones.clone().next().is_some() {
            return None;
        }
        let mut possible = std::iter::once(None).chain(tombstones).filter(|after| {
            let next = versions.keys().find(|stamp| after.is_none_or(|after| **stamp > after));
            let stale = next
                .and_then(|stamp| self.writer(*stamp))
                .is_some_and(|writer| self.history.entries[writer].ended() < entry.invoked.1);
            let future = after
                .and_then(|stamp| self.writer(stamp))
                .is_some_and(|writer| entry.ended() < self.history.entries[writer].invoked.1);
            !stale && !future
        });
        let first = possible.next();
        match (first, possible.next()) {
            // Impossible: any answer shows the contradiction.
            (None, _) => Some(None),
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    fn describe(&self, cycle: &[usize]) -> String {
        let entries = cycle.iter().filter_map(|id| self.history.entries.get(*id).map(|entry| (id, entry)));
        let lines: Vec<_> = entries.map(|(id, entry)| format!("\n  {id}: {}", show(entry))).collect();
        lines.concat()
    }
}

fn saw(stamp: Stamp) -> Saw {
    if stamp == Stamp::NONE { Saw::Absent } else { Saw::Version(stamp) }
}

fn is_snapshot(entry: &Entry) -> bool {
    matches!(entry.call, Call::Read(_, When::At(_)) | Call::Scan(When::At(_)))
}

fn show(entry: &Entry) -> String {
    let (from, to) = (entry.invoked.0, entry.returned.map(|(time, _)| time));
    let shown = |place: &Place, stamp: &Stamp| format!("{}@{}", key(&place.key), time(stamp.ts));
    let what = match (&entry.call, &entry.outcome) {
        (Call::Read(keys, when), Outcome::Read(seen)) => {
            let seen: Vec<_> = keys.iter().zip(seen).map(|(place, seen)| shown(place, &seen.stamp)).collect();
            format!("read {when:?} {}", seen.join(" "))
        }
        (Call::Scan(when), Outcome::Scanned(ranges)) => {
            let rows = ranges.iter().flat_map(|range| &range.rows);
            let seen: Vec<_> =
                rows.map(|(key, seen)| format!("{}@{}", describe::key(key), time(seen.stamp.ts))).collect();
            format!("scan {when:?} {}", seen.join(" "))
        }
        (Call::Commit(commit), outcome) => {
            let reads: Vec<_> = commit.reads.iter().map(|(place, stamp)| shown(place, stamp)).collect();
            let writes: Vec<_> = commit.writes.iter().map(|(place, _)| key(&place.key)).collect();
            let rows: Vec<_> = commit
                .ranges
                .iter()
                .flat_map(|range| &range.rows)
                .map(|(key, stamp)| format!("{}@{}", describe::key(key), time(stamp.ts)))
                .collect();
            format!(
                "commit of {} having read {} and in ranges {}: {outcome:?}",
                writes.join(" "),
                reads.join(" "),
                rows.join(" ")
            )
        }
        (call, outcome) => format!("{call:?}: {outcome:?}"),
    };
    format!("client {} from {from} to {to:?}: {what}", entry.client)
}
