//! The way back from the vote log, and what a trimmed log must begin with.

use annulus_base::{Ballot, Mutation, Now};

use crate::participant::{Entry, Replica};
use crate::record::Record;
use crate::store::{Store, StoreResult};

impl Replica {
    /// Takes back one record, in log order. Records may come twice (from an unfinished checkpoint).
    ///
    /// # Errors
    /// What the store says.
    pub fn replay(&mut self, record: Record, store: &mut dyn Store) -> StoreResult<()> {
        let start = Now::default();
        match record {
            Record::Vote(prepare) => {
                let txn = prepare.txn;
                if self.outcome(txn.id).is_some() {
                    return Ok(());
                }
                let entry = self.entries.entry(txn.id).or_insert_with(|| Entry::new(txn, start));
                if entry.vote.is_none() {
                    entry.vote = Some(prepare.clone());
                    for part in &prepare.parts {
                        self.partition(part.partition).locks.prepare(txn.id, part);
                    }
                }
            }
            Record::Promise { txn, ballot, refused } if self.outcome(txn.id).is_none() => {
                let entry = self.entries.entry(txn.id).or_insert_with(|| Entry::new(txn, start));
                entry.promised = entry.promised.max(ballot);
                entry.refused |= refused && entry.vote.is_none();
                self.forgettable.push_back(txn);
            }
            Record::Accept { txn, ballot, outcome } if self.outcome(txn.id).is_none() => {
                let entry = self.entries.entry(txn.id).or_insert_with(|| Entry::new(txn, start));
                entry.promised = entry.promised.max(ballot);
                if entry.accepted.is_none_or(|(older, _)| older <= ballot) {
                    entry.accepted = Some((ballot, outcome));
                }
                self.forgettable.push_back(txn);
            }
            Record::Promise { .. } | Record::Accept { .. } => {}
            Record::Decision { txn, outcome, writes } => {
                if self.outcome(txn.id).is_some() {
                    return Ok(());
                }
                let vote = self.entries.remove(&txn.id).and_then(|entry| entry.vote);
                self.apply_decision(txn, outcome, vote.as_deref(), &writes, store)?;
                for part in vote.iter().flat_map(|vote| &vote.parts) {
                    self.partition(part.partition).locks.release(txn.id, part);
                    self.drop_if_idle(part.partition);
                }
                self.note_decision(txn, outcome);
            }
            Record::Repaired(versions) => {
                self.note(&versions);
                store.apply(versions)?;
            }
            Record::Purged { partition, tombstones } => {
                self.note_purge(&tombstones);
                self.remove_purged(partition, &tombstones, store)?;
            }
            Record::Fence(fence) => self.fence.restore(fence),
            Record::Marks { low_water, forgotten } => self.marks.restore(low_water, forgotten),
            Record::Floor(floor) => {
                self.purged = self.purged.max(floor);
                self.read_times.raise_floor(floor);
            }
        }
        Ok(())
    }

    /// Ends the replay: the fence becomes the floor, and what is undecided is given a timer.
    ///
    /// # Errors
    /// What the store says.
    pub fn start(&mut self, now: Now, store: &mut dyn Store) -> StoreResult<()> {
        if self.settings.mutations.has(Mutation::FenceForgotten) {
            self.fence.forget_floor();
        }
        self.restore_horizon();
        self.changes.start(self.fence.floor());
        self.recent.start(self.fence.floor());
        for entry in self.entries.values_mut().filter(|entry| entry.vote.is_some()) {
            entry.since = now.steady;
            self.timers.insert((now.steady + self.settings.lock_timeout, entry.txn.id));
        }
        self.restore_held(store)
    }

    /// The records that, replayed over a store with every version decided so far, give this state.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<Record> {
        let marks = &self.marks;
        let mut records = vec![
            Record::Fence(self.fence.logged()),
            Record::Marks { low_water: marks.low_water, forgotten: marks.forgotten },
            Record::Floor(self.purged),
        ];
        for (txn, outcome) in self.decided.values() {
            records.push(Record::Decision { txn: *txn, outcome: *outcome, writes: Vec::new() });
        }
        for entry in self.entries.values() {
            records.extend(entry.vote.clone().map(Record::Vote));
            if entry.promised > Ballot::COORDINATOR {
                let refused = entry.vote.is_none();
                records.push(Record::Promise { txn: entry.txn, ballot: entry.promised, refused });
            }
            if let Some((ballot, outcome)) = entry.accepted {
                records.push(Record::Accept { txn: entry.txn, ballot, outcome });
            }
        }
        records
    }
}
