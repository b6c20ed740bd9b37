//! Reads of one partition: answered atomically, and only when no prepared write lock is in the way.

use annulus_base::limits::{MAX_READ_BYTES, STRETCH_BYTES};
use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, Mutation, NodeId, Now, PartitionId, Timestamp, TxnId};

use crate::effects::Effects;
use crate::locks::Against;
use crate::message::{Answer, Detail, Found, Holder, Message, RangeFound, Read, ReadAt, ReadSet, Refusal};
use crate::participant::Replica;
use crate::store::{Limit, Stamp, Store, StoreResult, Version, size};

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
            let unclosed = matches!(read.detail, Detail::Unsettled { .. })
                && self.settings.mutations.has(Mutation::UnsettledNotClosed);
            if !unclosed {
                self.raise_read_times(read.partition, &read.set, at);
            }
            if read.detail == (Detail::Unsettled { hold: true }) {
                self.hold(now, from, &read, at);
            }
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
        // What is prepared is told, there, rather than waited for.
        if read.detail == (Detail::Unsettled { hold: false }) || self.settings.mutations.has(ignored) {
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
        match read.detail {
            Detail::Marks => {
                self.tell_marks(now, from, read, out);
                return Ok(());
            }
            Detail::Unsettled { hold } => return self.tell_unsettled(now, from, read, hold, store, out),
            Detail::Data | Detail::Digest => {}
        }
        let at = match read.at {
            ReadAt::Latest { .. } => Timestamp::MAX,
            ReadAt::Snapshot(at) => at,
        };
        let answer = match self.look_up(read.partition, &read.set, at, read.detail, store)? {
            Ok(answer) => answer,
            Err(refusal) => {
                out.send(from, Message::ReadAnswer(read.id, Err(refusal)));
                return Ok(());
            }
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

    /// Answers in the place of a read's content.
    fn tell_marks(&mut self, now: Now, from: NodeId, read: &Read, out: &mut Effects) {
        let anyhow = self.settings.mutations.has(Mutation::MarkBelowWrites);
        let mark = |(range, _): &(KeyRange, u32)| match read.at {
            ReadAt::Snapshot(_) if anyhow => self.changes.mark(read.partition, range, Timestamp::MAX),
            ReadAt::Snapshot(at) => self.changes.mark(read.partition, range, at),
            ReadAt::Latest { .. } => None,
        };
        let marks = read.set.ranges.iter().map(mark).collect();
        let on = match read.at {
            ReadAt::Snapshot(at) => at,
            ReadAt::Latest { raise } => raise,
        };
        self.answer(now, from, Message::Marks(read.id, marks), on, out);
    }

    fn raise_read_times(&mut self, partition: PartitionId, set: &ReadSet, ts: Timestamp) {
        for key in &set.keys {
            self.read_times.raise(partition, key, ts);
        }
        for (range, _) in &set.ranges {
            self.read_times.raise_range(partition, range, ts);
        }
    }

    /// What is stored for a set of keys and ranges at a time. Ranges are cut where the answer would become too
    /// large for a message; a set of keys that is too large is refused.
    pub(crate) fn look_up(
        &mut self,
        partition: PartitionId,
        set: &ReadSet,
        at: Timestamp,
        detail: Detail,
        store: &mut dyn Store,
    ) -> StoreResult<Result<Answer, Refusal>> {
        let highest = self.highest.max(self.fence.floor());
        let mut answer = Answer { highest, ..Answer::default() };
        let mut bytes = 0;
        let most = if set.ranges.is_empty() { MAX_READ_BYTES } else { STRETCH_BYTES };
        for key in &set.keys {
            let version = store.read(partition, key, at);
            let version = self.readable(version)?.ok_or(Refusal::Corrupt);
            let version = match version {
                Ok(version) => version,
                Err(refusal) => return Ok(Err(refusal)),
            };
            bytes += version.as_ref().map_or(0, |version| size(key, version));
            if bytes > most {
                return Ok(Err(Refusal::TooLarge));
            }
            answer.keys.push(found(key.clone(), version, detail));
        }
        let mut room = STRETCH_BYTES;
        for (range, most) in &set.ranges {
            let limit = Limit { versions: *most as usize, bytes: room };
            let rows = store.scan(partition, range, at, limit);
            let Some(rows) = self.readable(rows)? else { return Ok(Err(Refusal::Corrupt)) };
            room = room.saturating_sub(rows.iter().map(|(key, version)| size(key, version)).sum());
            let covered = covered(range, limit, &rows);
            let found = rows.into_iter().map(|(key, version)| found(key, Some(version), detail)).collect();
            answer.ranges.push(RangeFound { range: covered, found });
        }
        Ok(Ok(answer))
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
            if let Err(refusal) = self.admit(now, &parked.read) {
                // The history that it wants was collected meanwhile.
                out.send(parked.from, Message::ReadAnswer(parked.read.id, Err(refusal)));
            } else if self.in_the_way(&parked.read).is_some() {
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

/// How much of a range the rows found in it speak for.
fn covered(range: &KeyRange, limit: Limit, rows: &[(Key, Version)]) -> KeyRange {
    let end = match rows.last() {
        _ if !limit.is_used_up_by(rows) => range.end.clone(),
        Some((last, _)) => last.successor().min(range.end.clone()),
        None => range.start.clone(),
    };
    KeyRange { start: range.start.clone(), end }
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn rows(count: u8, bytes: usize) -> Vec<(Key, Version)> {
        let value = Some(Bytes::from(vec![0; bytes]));
        let version = Version { stamp: Stamp::NONE, value };
        (0..count).map(|n| (Key::new(0, 0, 0, &[n]), version.clone())).collect()
    }

    #[test]
    fn rows_speak_for_the_range_up_to_the_one_that_used_the_limit_up() {
        let range = KeyRange::of_index(0, 0, 0);
        let limit = Limit { versions: 3, bytes: 1_000 };
        assert_eq!(covered(&range, limit, &rows(2, 10)), range);
        let third = rows(3, 10)[2].0.successor();
        assert_eq!(covered(&range, limit, &rows(3, 10)).end, third);
        assert_eq!(covered(&range, limit, &rows(3, 400)).end, third);
        let nothing = Limit { versions: 3, bytes: 0 };
        assert_eq!(covered(&range, nothing, &[]).end, range.start);
    }
}
