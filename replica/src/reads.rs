//! Reads of one partition: answered atomically, and only when no prepared write lock is in the way.

use annulus_base::time::Micros;
use annulus_base::{Key, Mutation, NodeId, Now, PartitionId, Timestamp, TxnId};

use crate::effects::Effects;
use crate::locks::Against;
use crate::message::{Answer, Detail, Found, Holder, Message, RangeFound, Read, ReadAt, ReadSet, Refusal};
use crate::participant::Replica;
use crate::store::{Stamp, Store, StoreResult, Version};

/// A read that waits for prepared write locks.
#[derive(Debug)]
pub(crate) struct Parked {
    from: NodeId,
    read: Read,
    /// When it is refused instead (steady clock).
    pub(crate) until: Micros,
}

impl Replica {
    pub(crate) fn read(
        &mut self,
        now: Now,
        from: NodeId,
        read: Read,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        if let Err(refusal) = self.admit(now, &read) {
            out.send(from, Message::ReadAnswer(read.id, Err(refusal)));
            return Ok(());
        }
        if let ReadAt::Snapshot(at) = read.at {
            // Raised before waiting, so that nothing more can be prepared at or below.
            self.raise_read_times(read.partition, &read.set, at);
        }
        if self.in_the_way(&read).is_some() {
            self.counters.read_waits += 1;
            let until = now.steady + 2 * self.settings.lock_timeout;
            self.wake_by(until);
            let parked = &mut self.partition(read.partition).parked;
            parked.retain(|other| (other.from, other.read.id) != (from, read.id));
            parked.push(Parked { from, read, until });
            return Ok(());
        }
        self.answer_read(now, from, &read, store, out)
    }

    fn admit(&self, now: Now, read: &Read) -> Result<(), Refusal> {
        self.placed(read.epoch, read.partition)?;
        match read.at {
            ReadAt::Latest { raise } => self.within_drift(now, raise),
            ReadAt::Snapshot(at) => {
                let oldest = self.sweep.horizon();
                if at < oldest { Err(Refusal::TooOld { oldest }) } else { self.within_drift(now, at) }
            }
        }
    }

    /// A prepared write lock that this read must wait for.
    fn in_the_way(&self, read: &Read) -> Option<(Key, TxnId)> {
        let ignored = match read.at {
            ReadAt::Latest { .. } => Mutation::ReadIgnoresLocks,
            ReadAt::Snapshot(_) => Mutation::SnapshotIgnoresLocks,
        };
        if self.settings.mutations.has(ignored) {
            return None;
        }
        let locks = &self.partitions.get(&read.partition)?.locks;
        let matters = |txn: &TxnId| match read.at {
            ReadAt::Latest { .. } => true,
            ReadAt::Snapshot(at) => self.entries.get(txn).is_some_and(|entry| entry.txn.ts <= at),
        };
        let on_keys = read.set.keys.iter().filter_map(|key| Some((key, locks.prepared(key, None, Against::Writers)?)));
        let in_ranges = read.set.ranges.iter().flat_map(|(range, _)| locks.writers_in(range, None));
        on_keys.chain(in_ranges).find(|(_, txn)| matters(txn)).map(|(key, txn)| (key.clone(), txn))
    }

    fn answer_read(
        &mut self,
        now: Now,
        from: NodeId,
        read: &Read,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let at = match read.at {
            ReadAt::Latest { .. } => Timestamp::MAX,
            ReadAt::Snapshot(at) => at,
        };
        let Some(answer) = self.look_up(read.partition, &read.set, at, read.detail, store)? else {
            out.send(from, Message::ReadAnswer(read.id, Err(Refusal::Corrupt)));
            return Ok(());
        };
        let newest = newest(&answer);
        let on = match read.at {
            ReadAt::Snapshot(at) => at,
            ReadAt::Latest { raise } => {
                let several = read.set.keys.len() > 1 || !read.set.ranges.is_empty() || raise > Timestamp::ZERO;
                if several && !self.settings.mutations.has(Mutation::ReadTimestampsNotRaised) {
                    self.raise_read_times(read.partition, &read.set, newest.max(raise));
                }
                newest.max(raise)
            }
        };
        self.answer(now, from, Message::ReadAnswer(read.id, Ok(answer)), on, out);
        Ok(())
    }

    fn raise_read_times(&mut self, partition: PartitionId, set: &ReadSet, ts: Timestamp) {
        for key in &set.keys {
            self.read_times.raise(partition, key, ts);
        }
        for (range, _) in &set.ranges {
            self.read_times.raise_range(partition, range, ts);
        }
    }

    /// What is stored for a set of keys and ranges at a time; `None` if a record is corrupt.
    pub(crate) fn look_up(
        &mut self,
        partition: PartitionId,
        set: &ReadSet,
        at: Timestamp,
        detail: Detail,
        store: &mut dyn Store,
    ) -> StoreResult<Option<Answer>> {
        let mut answer = Answer::default();
        for key in &set.keys {
            let version = store.read(partition, key, at);
            let Some(version) = self.readable(version)? else { return Ok(None) };
            answer.keys.push(found(key.clone(), version, detail));
        }
        for (range, limit) in &set.ranges {
            let rows = store.scan(partition, range, at, *limit as usize);
            let Some(rows) = self.readable(rows)? else { return Ok(None) };
            let mut covered = range.clone();
            if rows.len() >= *limit as usize
                && let Some((last, _)) = rows.last()
            {
                covered.end = last.successor().min(covered.end);
            }
            let found = rows.into_iter().map(|(key, version)| found(key, Some(version), detail)).collect();
            answer.ranges.push(RangeFound { range: covered, found });
        }
        Ok(Some(answer))
    }

    /// Serves whoever waited for locks of a partition: reads first, then lock requests, oldest first.
    pub(crate) fn wake(
        &mut self,
        now: Now,
        partition: PartitionId,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let Some(state) = self.partitions.get_mut(&partition) else { return Ok(()) };
        for parked in std::mem::take(&mut state.parked) {
            if self.in_the_way(&parked.read).is_some() {
                self.partition(partition).parked.push(parked);
            } else {
                self.answer_read(now, parked.from, &parked.read, store, out)?;
            }
        }
        self.advance_queue(now, partition, store, out)?;
        self.drop_if_idle(partition);
        Ok(())
    }

    /// Refuses parked reads that waited too long, naming whom they waited for.
    pub(crate) fn lapse_parked(&mut self, now: Now, partition: PartitionId, out: &mut Effects) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        let (late, waiting) = std::mem::take(&mut state.parked).into_iter().partition(|p| p.until <= now.steady);
        state.parked = waiting;
        let late: Vec<Parked> = late;
        for parked in late {
            let refusal = match self.in_the_way(&parked.read) {
                Some((key, txn)) => Refusal::Locked(self.holder(now, &key, txn)),
                None => Refusal::Busy,
            };
            out.send(parked.from, Message::ReadAnswer(parked.read.id, Err(refusal)));
        }
    }

    /// Who holds the prepared lock on `key` against a lock request of `txn`.
    pub(crate) fn prepared_holder(&self, now: Now, partition: PartitionId, key: &Key, txn: TxnId) -> Option<Holder> {
        let locks = &self.partitions.get(&partition)?.locks;
        locks.prepared(key, Some(txn), Against::All).map(|holder| self.holder(now, key, holder))
    }
}

fn found(key: Key, version: Option<Version>, detail: Detail) -> Found {
    let Some(Version { stamp, value }) = version else {
        return Found { key, stamp: Stamp::NONE, absent: true, value: None };
    };
    let absent = value.is_none();
    let value = if detail == Detail::Data { value } else { None };
    Found { key, stamp, absent, value }
}

/// The newest version timestamp in an answer.
fn newest(answer: &Answer) -> Timestamp {
    let in_ranges = answer.ranges.iter().flat_map(|range| &range.found);
    answer.keys.iter().chain(in_ranges).map(|found| found.stamp.ts).max().unwrap_or_default()
}
