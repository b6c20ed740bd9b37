//! What a reader of many things has to know before it takes a snapshot for an instant: which keys are not settled at it;
//! and holding writers back until it knows.
//!
//! A replica that was asked at a snapshot `s` votes for nothing at or below `s` any more, and answers with every key that
//! - has a prepared write lock, or
//! - was given a version above `s`.
//!
//! So once a majority of each partition has been asked, and then a majority was asked again, there was an instant between
//! the two at which every other key was as it is at `s`: what was voted for at or below `s` was decided, and nothing
//! above `s` was voted for by a majority. Each transaction shares a replica with either majority.
//!
//! Writers can be held back between the two, for what is written all the time: their Prepare is delivered later, as if
//! the network had been slow. It is only about progress.

use std::collections::BTreeSet;
use std::sync::Arc;

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, Mutation, NodeId, Now, PartitionId, Timestamp};

use crate::effects::Effects;
use crate::message::{Message, Prepare, Read, ReadAt, Unsettled};
use crate::participant::Replica;
use crate::store::{Store, StoreResult};

/// Most keys in an answer; whoever is told of none begins again.
const MOST_TOLD: usize = 1 << 10;
/// Most readers that hold writers back at once.
const MOST_HOLDS: usize = 64;
/// Most writers that are held back at once; others go on, which may cost a reader another try.
const MOST_HELD: usize = 256;

/// A reader that holds writers back.
#[derive(Debug)]
struct Hold {
    number: u64,
    reader: NodeId,
    at: Timestamp,
    partition: PartitionId,
    ranges: Vec<KeyRange>,
    /// When it lapses (steady clock).
    until: Micros,
}

impl Hold {
    /// A transaction at or below the snapshot is refused anyway.
    fn concerns(&self, prepare: &Prepare) -> bool {
        let parts = prepare.parts.iter().filter(|part| part.partition == self.partition);
        let mut writes = parts.flat_map(|part| &part.writes);
        prepare.txn.ts > self.at && writes.any(|(key, _)| self.ranges.iter().any(|range| range.contains(key)))
    }
}

/// A Prepare that is held back by readers that were there before it, and by none that came later.
#[derive(Debug)]
struct Held {
    from: NodeId,
    prepare: Arc<Prepare>,
    before: u64,
}

/// Readers and the writers that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    readers: Vec<Hold>,
    writers: Vec<Held>,
    number: u64,
}

impl Holds {
    fn hold_back(&self, held: &Held) -> bool {
        self.readers.iter().any(|hold| hold.number <= held.before && hold.concerns(&held.prepare))
    }
}

impl Replica {
    /// Holds writers back for a reader, until it asks again or takes too long.
    pub(crate) fn hold(&mut self, now: Now, reader: NodeId, read: &Read, at: Timestamp) {
        if self.holds.readers.len() >= MOST_HOLDS {
            return;
        }
        self.holds.number += 1;
        let until = now.steady + self.settings.fast_path_patience;
        self.wake_by(until);
        self.holds.readers.push(Hold {
            number: self.holds.number,
            reader,
            at,
            partition: read.partition,
            ranges: read.set.ranges.iter().map(|(range, _)| range.clone()).collect(),
            until,
        });
    }

    /// Keeps a Prepare until the readers that hold it back are done; gives it back if there are none, or too many like it.
    pub(crate) fn held_back(&mut self, from: NodeId, prepare: Arc<Prepare>) -> Option<Arc<Prepare>> {
        let held = Held { from, prepare, before: self.holds.number };
        if self.holds.writers.len() >= MOST_HELD || !self.holds.hold_back(&held) {
            return Some(held.prepare);
        }
        self.holds.writers.push(held);
        None
    }

    /// Ends the holds that are over, and lets go whom they held back.
    fn end_holds(
        &mut self,
        now: Now,
        is_over: impl Fn(&Hold) -> bool,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let before = self.holds.readers.len();
        self.holds.readers.retain(|hold| !is_over(hold));
        if self.holds.readers.len() == before {
            return Ok(());
        }
        let (waiting, free) =
            std::mem::take(&mut self.holds.writers).into_iter().partition(|held| self.holds.hold_back(held));
        self.holds.writers = waiting;
        let free: Vec<Held> = free;
        for held in free {
            self.prepare(now, held.from, held.prepare, store, out)?;
        }
        Ok(())
    }

    /// Ends the holds of readers that took too long.
    pub(crate) fn lapse_holds(&mut self, now: Now, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        self.end_holds(now, |hold| hold.until <= now.steady, store, out)?;
        if let Some(until) = self.holds.readers.iter().map(|hold| hold.until).min() {
            self.wake_by(until);
        }
        Ok(())
    }

    /// Answers which keys are not settled at a snapshot. `hold`: the reader will ask again, else it is done.
    pub(crate) fn tell_unsettled(
        &mut self,
        now: Now,
        from: NodeId,
        read: &Read,
        hold: bool,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let (at, keys) = match read.at {
            ReadAt::Snapshot(at) => (at, self.unsettled(read, at)),
            ReadAt::Latest { raise } => (raise, None),
        };
        let highest = self.highest.max(self.fence.floor());
        self.answer(now, from, Message::Unsettled(read.id, Unsettled { highest, keys }), at, out);
        if hold {
            return Ok(());
        }
        self.end_holds(now, |hold| hold.reader == from && hold.at == at && hold.partition == read.partition, store, out)
    }

    fn unsettled(&self, read: &Read, at: Timestamp) -> Option<Vec<Key>> {
        if self.settings.mutations.has(Mutation::UnsettledNotTold) {
            return Some(Vec::new());
        }
        let ranges = || read.set.ranges.iter().map(|(range, _)| range);
        let locks = self.partitions.get(&read.partition).map(|state| &state.locks);
        let locked = ranges().flat_map(|range| locks.into_iter().flat_map(move |locks| locks.writers_in(range, None)));
        let written = self.recent.above(read.partition, at)?.filter(|key| ranges().any(|range| range.contains(key)));
        let keys: BTreeSet<&Key> = locked.map(|(key, _)| key).chain(written).take(MOST_TOLD + 1).collect();
        (keys.len() <= MOST_TOLD).then(|| keys.into_iter().cloned().collect())
    }
}
