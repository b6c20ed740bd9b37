//! The instant of a statement, or of a block, that reads in many rounds without remembering what it read.
//!
//! A snapshot alone is not one: with clocks that differ, it can lack a transaction that was acknowledged and yet hold one
//! that began after that. So nothing at or below it may be prepared any more in any partition to be read, and what is
//! not settled there ([`Database::unsettled`]) must not be read: where it is wanted first, a later snapshot is taken, now
//! with writers held back; where something was read before, the transaction fails.

use std::collections::BTreeSet;

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, PartitionId};
use annulus_txn::interface::{Database, Place, Seen, TxnError, When};
use annulus_txn::standing::Standing;
use futures::future::try_join;

use super::{Mode, Span, Transaction};

/// How often a snapshot is tried.
const TRIES: u32 = 5;

/// How much is done for an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grip {
    /// Writers go on: for whoever reads little.
    Light,
    /// Writers of the partitions are held back for a round trip or two: for whoever reads much of what is written
    /// all the time, or cannot be begun again.
    Firm,
}

/// An instant that was fixed.
#[derive(Debug)]
pub(super) struct Pinned {
    partitions: BTreeSet<PartitionId>,
    /// What must not be read at it. `None`: anything.
    unsettled: Option<BTreeSet<Place>>,
    /// Nothing was read at it so far.
    is_fresh: bool,
    /// Something was read that it does not speak for.
    has_gaps: bool,
}

impl Pinned {
    /// The key of a place, if it must not be read.
    pub(super) fn unsettled_at(&self, place: &Place) -> Option<Key> {
        let settled = self.unsettled.as_ref().is_some_and(|unsettled| !unsettled.contains(place));
        (self.covers(place.partition) && !settled).then(|| place.key.clone())
    }

    /// The first key in a span that must not be read.
    pub(super) fn unsettled_in(&self, span: &Span) -> Option<Key> {
        if !self.covers(span.partition) || span.range.start >= span.range.end {
            return None;
        }
        let place = |key: &Key| Place { partition: span.partition, key: key.clone() };
        let Some(unsettled) = &self.unsettled else { return Some(span.range.start.clone()) };
        let mut inside = unsettled.range(place(&span.range.start)..place(&span.range.end));
        inside.next().map(|place| place.key.clone())
    }

    /// Something of these partitions is read.
    pub(super) fn note(&mut self, mut partitions: impl Iterator<Item = PartitionId>) {
        self.is_fresh = false;
        self.has_gaps |= partitions.any(|partition| !self.covers(partition));
    }

    /// Something is read at another time.
    pub(super) const fn leave(&mut self) {
        self.has_gaps = true;
    }

    fn covers(&self, partition: PartitionId) -> bool {
        self.partitions.contains(&partition)
    }
}

impl<D: Database> Transaction<D> {
    /// Fixes the instant of a transaction that reads in several rounds: all that was acknowledged before is visible at it,
    /// and as long as it writes nothing, nothing that it reads needs validation. Confirms what is expected, and what was
    /// read before; `partitions` are those that will be read.
    ///
    /// # Errors
    /// [`TxnError::Conflict`] if something expected or read is no longer so, and every other [`TxnError`]: no instant is
    /// fixed then.
    pub async fn pin(&mut self, partitions: &[PartitionId], grip: Grip, patience: Micros) -> Result<(), TxnError> {
        if matches!(self.mode, Mode::AsOf(_)) || self.pinned.is_some() {
            return Ok(());
        }
        let before = self.snapshot;
        let taken = self.take_instant(partitions, grip, patience).await;
        if taken.is_err() {
            (self.snapshot, self.pinned) = (before, None);
            self.reads.begin_at(None);
        }
        taken
    }

    /// A transaction that has read `much` keys fixes its instant by itself: what it reads then is validated as a whole, if
    /// it has to be, and so is not limited. `partitions` are all that it may read.
    pub fn pins_after(&mut self, much: usize, partitions: Vec<PartitionId>) {
        self.pins_after = Some((much, partitions));
    }

    /// To be called before anything is read.
    pub(super) async fn pin_if_much(&mut self, patience: Micros) -> Result<(), TxnError> {
        match &self.pins_after {
            Some((much, partitions)) if self.pinned.is_none() && self.reads.len() >= *much => {
                let partitions = partitions.clone();
                self.pin(&partitions, Grip::Firm, patience).await
            }
            _ => Ok(()),
        }
    }

    async fn take_instant(&mut self, partitions: &[PartitionId], grip: Grip, patience: Micros) -> Result<(), TxnError> {
        let spans = self.reads.spans();
        let wanted = spans.iter().map(|span| span.partition);
        let partitions = partitions.iter().copied().chain(wanted).collect();
        self.pinned = Some(Pinned { partitions, unsettled: None, is_fresh: true, has_gaps: false });
        self.fix(grip, patience).await?;
        if grip == Grip::Firm {
            // What was written meanwhile may be wanted at any time.
            let is_clear = |pinned: &Pinned| pinned.unsettled.as_ref().is_some_and(BTreeSet::is_empty);
            for _ in 1..TRIES {
                if self.pinned.as_ref().is_some_and(is_clear) {
                    break;
                }
                self.fix(grip, patience).await?;
            }
        }
        self.settle(|pinned| spans.iter().find_map(|span| pinned.unsettled_in(span)), patience).await?;
        match self.snapshot {
            Some(at) if self.reads.has_any() => {
                self.compare(at, patience).await?;
                self.reads.are_of(at);
                self.note_read(std::iter::empty());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a new snapshot, and reads there what is expected.
    async fn fix(&mut self, grip: Grip, patience: Micros) -> Result<(), TxnError> {
        let Some(pinned) = &self.pinned else { return Ok(()) };
        let ranges: Vec<_> = pinned.partitions.iter().map(|partition| (*partition, KeyRange::all())).collect();
        let at = self.db.begin();
        self.reads.rounds += 2;
        let first = self.db.unsettled(ranges.clone(), at, grip == Grip::Firm, patience).await?;
        let expected = self.reads.expected();
        let second = self.db.unsettled(ranges, at, false, patience);
        let found = read_all(&self.db, expected.clone(), When::At(at), patience);
        let (second, found) = try_join(second, found).await?;
        for (place, seen) in expected.iter().zip(found) {
            self.reads.confirm(place, seen.stamp)?;
        }
        self.snapshot = Some(at);
        if !self.reads.has_any() {
            self.reads.begin_at(Some(at));
        }
        if let Some(pinned) = &mut self.pinned {
            pinned.unsettled = first.zip(second).map(|(first, second)| first.into_iter().chain(second).collect());
        }
        Ok(())
    }

    /// To be called before anything is read, with how to find in it what must not be.
    pub(super) async fn settle(
        &mut self,
        unsettled: impl Fn(&Pinned) -> Option<Key>,
        patience: Micros,
    ) -> Result<(), TxnError> {
        let mut tries = 0;
        loop {
            let Some(pinned) = &self.pinned else { return Ok(()) };
            let Some(key) = unsettled(pinned) else { return Ok(()) };
            tries += 1;
            if !pinned.is_fresh || tries == TRIES {
                return Err(TxnError::Conflict(key));
            }
            self.fix(Grip::Firm, patience).await?;
        }
    }

    /// To be called before something of these partitions is read.
    pub(super) fn note_read(&mut self, partitions: impl Iterator<Item = PartitionId>) {
        if let Some(pinned) = &mut self.pinned {
            pinned.note(partitions);
        }
    }

    /// Whether all that was read was read at an instant.
    pub(super) fn is_at_one_instant(&self) -> bool {
        self.pinned.as_ref().is_some_and(|pinned| !pinned.has_gaps)
    }

    /// How spans, each within one index, stand at the snapshot of a block, of the past, or of a pinned statement: by it can
    /// be told later whether they have changed, and so what was read of them need not be read again. That they stand so is
    /// demanded as if all of them had been read. `None` for whoever has no snapshot, or has written.
    ///
    /// # Errors
    /// [`TxnError`] of the question; nothing is changed by it.
    pub async fn standing(&mut self, spans: &[Span], patience: Micros) -> Result<Option<Vec<Standing>>, TxnError> {
        if self.has_writes() || (self.mode == Mode::Statement && self.snapshot.is_none()) {
            return Ok(None);
        }
        self.settle(|pinned| spans.iter().find_map(|span| pinned.unsettled_in(span)), patience).await?;
        self.note_read(spans.iter().map(|span| span.partition));
        let When::At(at) = self.when() else { return Ok(None) };
        self.reads.rounds += 1;
        let ranges = spans.iter().map(|span| (span.partition, span.range.clone())).collect();
        let standings = self.db.standing(ranges, at, patience).await?;
        if !matches!(self.mode, Mode::AsOf(_)) {
            spans.iter().for_each(|span| self.reads.note_whole(span, at));
        }
        Ok(Some(standings))
    }
}

async fn read_all<D: Database>(
    db: &D,
    places: Vec<Place>,
    when: When,
    patience: Micros,
) -> Result<Vec<Seen>, TxnError> {
    if places.is_empty() { Ok(Vec::new()) } else { db.read(places, when, patience).await }
}
