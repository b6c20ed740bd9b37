//! Strict serializability: the graph checker of [`annulus_check`], given the exact order of versions, which
//! their stamps tell.
//!
//! Twice: all latest reads and commits with real time; and, without real time, these together with the reads
//! of snapshots, which may look at the past but must fit into one order too.

use std::collections::BTreeMap;

use annulus_base::TxnId;
use annulus_check::Verdict as Found;
use annulus_check::graph::{self, Fate, Order, RangeRead, Txn, Write};
use annulus_replica::message;
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Place, RangeCheck, When};

use crate::describe::{self, key, time};
use crate::history::{Call, Entry, EntryId, History, Outcome};
use crate::ledger::{Ledger, Versions};
use crate::violation::{Verdict, wrong};

pub(super) fn check(history: &History, ledger: &Ledger) -> Verdict {
    let view = View { history, ledger, committed: committed(ledger) };
    let order = ledger.versions.iter().map(|(place, versions)| (place.clone(), versions.keys().copied().collect()));
    let order: Order<Place, Stamp> = order.collect();
    view.check(&order, false, "strictly serializable")?;
    view.check(&order, true, "serializable together with the snapshot reads")
}

/// Which transaction each commit took effect as.
fn committed(ledger: &Ledger) -> BTreeMap<EntryId, TxnId> {
    let commits = ledger.tries().filter(|(txn, _)| ledger.outcome(*txn) == Some(message::Outcome::Commit));
    commits.map(|(txn, entry)| (entry, txn)).collect()
}

struct View<'a> {
    history: &'a History,
    ledger: &'a Ledger,
    committed: BTreeMap<EntryId, TxnId>,
}

impl View<'_> {
    fn check(&self, order: &Order<Place, Stamp>, with_snapshots: bool, what: &str) -> Verdict {
        let entries = self.history.entries.iter().enumerate();
        let (ids, txns): (Vec<_>, Vec<_>) = entries
            .filter(|(_, entry)| with_snapshots || !is_snapshot(entry))
            .filter_map(|(id, entry)| Some((id, self.txn(id, entry, !with_snapshots)?)))
            .unzip();
        match graph::check(&txns, order) {
            Found::Valid => Ok(()),
            Found::Undecided(why) => wrong(format!("the history cannot be judged: {why}")),
            Found::Invalid(violation) => {
                let entries = violation.ops.iter().filter_map(|op| ids.get(*op));
                let lines = entries.map(|id| format!("\n  {id}: {}", show(&self.history.entries[*id])));
                wrong(format!("the history is not {what}: {}{}", violation.anomaly.name(), lines.collect::<String>()))
            }
        }
    }

    /// An entry as the graph sees it; `None` if it had no effect and learned nothing.
    fn txn(&self, id: usize, entry: &Entry, in_real_time: bool) -> Option<Txn<Place, Stamp>> {
        let (invoked, completed) = match in_real_time {
            true => (entry.invoked.1, entry.returned.map(|(_, event)| event)),
            false => (0, None),
        };
        let (reads, ranges, writes) = (Vec::new(), Vec::new(), Vec::new());
        let mut txn = Txn { invoked, completed, fate: Fate::Committed, reads, ranges, writes };
        match (&entry.call, &entry.outcome) {
            (Call::Read(keys, _), Outcome::Read(seen)) => {
                keys.iter().zip(seen).for_each(|(place, seen)| self.read(id, place, seen.stamp, &mut txn));
            }
            (Call::Scan(_), Outcome::Scanned(ranges)) => {
                for range in ranges {
                    let rows = range.rows.iter().map(|(key, seen)| (key, seen.stamp));
                    self.range(id, range.partition, &range.range, rows.collect(), &mut txn);
                }
            }
            (Call::Together, Outcome::Saw(reads, ranges)) => {
                reads.iter().for_each(|(place, stamp)| self.read(id, place, *stamp, &mut txn));
                self.ranges(id, ranges, &mut txn);
            }
            (Call::Commit(commit), _) => {
                let by = *self.committed.get(&(id as EntryId))?;
                commit.reads.iter().for_each(|(place, stamp)| self.read(id, place, *stamp, &mut txn));
                self.ranges(id, &commit.ranges, &mut txn);
                txn.writes.extend(commit.writes.iter().filter_map(|(place, value)| {
                    let version = *self.ledger.versions.get(place)?.keys().find(|stamp| stamp.txn == by)?;
                    Some(Write { key: place.clone(), version, present: value.is_some() })
                }));
            }
            _ => return None,
        }
        Some(txn)
    }

    fn read(&self, id: usize, place: &Place, stamp: Stamp, txn: &mut Txn<Place, Stamp>) {
        if stamp == Stamp::NONE {
            self.absent(id, place, txn);
        } else {
            txn.reads.push((place.clone(), Some(stamp)));
        }
    }

    fn ranges(&self, id: usize, ranges: &[RangeCheck], txn: &mut Txn<Place, Stamp>) {
        for range in ranges {
            let rows = range.rows.iter().map(|(key, stamp)| (key, *stamp));
            self.range(id, range.partition, &range.range, rows.collect(), txn);
        }
    }

    fn range(
        &self,
        id: usize,
        partition: annulus_base::PartitionId,
        range: &annulus_base::KeyRange,
        rows: BTreeMap<&annulus_base::Key, Stamp>,
        txn: &mut Txn<Place, Stamp>,
    ) {
        let place = |key: &annulus_base::Key| Place { partition, key: key.clone() };
        for place in self.ledger.versions.range(place(&range.start)..place(&range.end)).map(|(place, _)| place) {
            if !rows.contains_key(&place.key) {
                self.absent(id, place, txn);
            }
        }
        let rows = rows.into_iter().map(|(key, stamp)| (place(key), stamp)).collect();
        txn.ranges.push(RangeRead { from: place(&range.start), to: Some(place(&range.end)), rows });
    }

    /// A key was seen absent, and it is not known whether before its first version or after a tombstone
    /// (which may have been purged). Said exactly where real time leaves a single possibility.
    fn absent(&self, id: usize, place: &Place, txn: &mut Txn<Place, Stamp>) {
        let Some(versions) = self.ledger.versions.get(place) else { return };
        match self.only_absence(id, versions) {
            Some(after) => txn.reads.push((place.clone(), after)),
            None => {
                let to = Some(Place { partition: place.partition, key: place.key.successor() });
                txn.ranges.push(RangeRead { from: place.clone(), to, rows: Vec::new() });
            }
        }
    }

    /// After which version (`None`: before all) a key was seen absent, if only one answer is possible.
    fn only_absence(&self, id: usize, versions: &Versions) -> Option<Option<Stamp>> {
        let tombstones = versions.iter().filter(|(_, value)| value.is_none()).map(|(stamp, _)| Some(*stamp));
        let entry = &self.history.entries[id];
        if is_snapshot(entry) && tombstones.clone().next().is_some() {
            return None;
        }
        let writer = |stamp: &Stamp| self.ledger.entry_of(stamp.txn).map(|entry| self.history.get(entry));
        let mut possible = std::iter::once(None).chain(tombstones).filter(|after| {
            let next = versions.keys().find(|stamp| after.is_none_or(|after| **stamp > after));
            let stale = next.and_then(writer).is_some_and(|writer| writer.ended() < entry.invoked.1);
            let future = after.as_ref().and_then(writer).is_some_and(|writer| entry.ended() < writer.invoked.1);
            !stale && !future
        });
        match (possible.next(), possible.next()) {
            // Impossible: any answer shows the contradiction.
            (None, _) => Some(None),
            (only, None) => only,
            _ => None,
        }
    }
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
            let rows = commit.ranges.iter().flat_map(|range| &range.rows);
            let rows: Vec<_> = rows.map(|(key, stamp)| format!("{}@{}", describe::key(key), time(stamp.ts))).collect();
            format!(
                "commit of {} having read {} and in ranges {}: {}",
                writes.join(" "),
                reads.join(" "),
                rows.join(" "),
                outcome_of(outcome)
            )
        }
        (Call::Together, Outcome::Saw(reads, ranges)) => {
            let reads: Vec<_> = reads.iter().map(|(place, stamp)| shown(place, stamp)).collect();
            let rows = ranges.iter().flat_map(|range| &range.rows);
            let rows: Vec<_> = rows.map(|(key, stamp)| format!("{}@{}", describe::key(key), time(stamp.ts))).collect();
            format!("saw {} and in ranges {}", reads.join(" "), rows.join(" "))
        }
        (call, outcome) => format!("{call:?}: {outcome:?}"),
    };
    format!("client {} from {from} to {}: {what}", entry.client, to.map_or("no end".into(), |to| to.to_string()))
}

fn outcome_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Committed(txn, ts) => format!("{} at {}", describe::txn(*txn), time(*ts)),
        other => format!("{other:?}"),
    }
}
