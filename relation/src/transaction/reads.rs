//! What a transaction has read, and demands at its commit.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::{Key, KeyRange, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Place, RangeCheck, Seen, SeenRange, TxnError, Unchanged};

use super::commit::too_many;
use super::whole::Whole;
use super::{MOST_VALIDATED, Span};

/// What has to hold at commit, and what was found at it.
#[derive(Debug, Default)]
pub(super) struct Reads {
    keys: BTreeMap<Place, Seen>,
    expected: BTreeMap<Place, Expected>,
    /// Keys that must have no value.
    absent: BTreeSet<Place>,
    ranges: Vec<RangeCheck>,
    /// Where it is enough to say that nothing has changed since a snapshot.
    whole: Whole,
    /// The snapshot of all that is in `keys`, and of all that is read from now on, but for what was locked.
    since: Option<Timestamp>,
    /// How often what was read before was told in other words.
    reworded: u32,
    /// Where nobody else writes: what is read there needs no validation.
    own: Vec<KeyRange>,
    /// Keys in `ranges`.
    rows: usize,
    /// More was read than can be validated, so that only the count is kept.
    overflowed: bool,
    /// A key that was found in two versions: the transaction cannot succeed.
    torn: Option<Key>,
    /// How often the cluster was asked.
    pub(super) rounds: u64,
    /// Bytes of the keys and values that it answered.
    pub(super) bytes: u64,
}

/// What a transaction had read at some point.
#[derive(Debug)]
pub struct ReadMark {
    keys: BTreeSet<Place>,
    ranges: usize,
    rows: usize,
    whole: Whole,
    reworded: u32,
}

/// A version that was read elsewhere.
#[derive(Clone, Copy, Debug)]
struct Expected {
    stamp: Stamp,
    /// Whether it was found so at the instant of a read of this transaction.
    confirmed: bool,
}

impl Reads {
    pub(super) fn expect(&mut self, place: Place, stamp: Stamp) {
        let seen = self.keys.get(&place).map(|seen| seen.stamp);
        let before = self.expected.get(&place).map(|expected| expected.stamp).or(seen);
        if before.is_some_and(|before| before != stamp) {
            self.torn = Some(place.key);
        } else {
            self.expected.entry(place).or_insert(Expected { stamp, confirmed: seen.is_some() });
        }
    }

    pub(super) fn expect_absent(&mut self, place: Place) {
        self.absent.insert(place);
    }

    /// The same demands, as nobody has confirmed them yet, but for the absence of some keys.
    pub(super) fn besides<'a>(&self, absent: impl Iterator<Item = &'a Place>) -> Self {
        let unconfirmed = |(place, stamp)| (place, Expected { stamp, confirmed: false });
        let left_out: BTreeSet<&Place> = absent.collect();
        Self {
            expected: self.versions().into_iter().map(unconfirmed).collect(),
            absent: self.absent.iter().filter(|place| !left_out.contains(place)).cloned().collect(),
            ranges: self.ranges.clone(),
            whole: self.whole.clone(),
            rows: self.rows,
            overflowed: self.overflowed,
            torn: self.torn.clone(),
            ..Self::default()
        }
    }

    pub(super) fn own(&mut self, range: KeyRange) {
        self.keys.retain(|place, _| !range.contains(&place.key));
        self.ranges.retain(|check| !range.contains(&check.range.start));
        self.rows = self.ranges.iter().map(|check| check.rows.len()).sum();
        self.whole.leave_out(&range);
        self.own.push(range);
    }

    /// The demands of another one, which its commit has confirmed.
    pub(super) fn adopt(&mut self, other: Self) -> Result<(), TxnError> {
        let is_own = |key: &Key| self.own.iter().any(|own| own.contains(key));
        let expected = other.expected.into_iter().filter(|(place, _)| !is_own(&place.key));
        let expected: Vec<(Place, Expected)> = expected.collect();
        self.absent.extend(other.absent.into_iter().filter(|place| !is_own(&place.key)));
        let ranges = other.ranges.into_iter().filter(|check| !is_own(&check.range.start));
        let ranges: Vec<RangeCheck> = ranges.collect();
        self.rows += ranges.iter().map(|check| check.rows.len()).sum::<usize>();
        self.ranges.extend(ranges);
        let mut whole = other.whole;
        self.own.iter().for_each(|own| whole.leave_out(own));
        self.whole.extend(whole);
        for (place, Expected { stamp, .. }) in expected {
            self.expect(place.clone(), stamp);
            self.confirm(&place, stamp)?;
        }
        match self.expected.len() + self.rows + self.absent.len() > MOST_VALIDATED {
            true => Err(too_many()),
            false => Ok(()),
        }
    }

    /// Expected versions that no read has confirmed yet: the next one asks for them too.
    pub(super) fn unconfirmed(&self) -> Vec<Place> {
        let open = self.expected.iter().filter(|(_, expected)| !expected.confirmed);
        open.map(|(place, _)| place.clone()).collect()
    }

    pub(super) fn confirm(&mut self, place: &Place, found: Stamp) -> Result<(), TxnError> {
        let Some(expected) = self.expected.get_mut(place) else { return Ok(()) };
        if expected.stamp != found {
            self.torn = Some(place.key.clone());
            return Err(TxnError::Conflict(place.key.clone()));
        }
        expected.confirmed = true;
        Ok(())
    }

    pub(super) fn remember_key(&mut self, place: Place, seen: Seen) {
        let expected = self.expected.get(&place).map(|expected| expected.stamp);
        let before = expected.or_else(|| self.keys.get(&place).map(|seen| seen.stamp));
        if before.is_some_and(|before| before != seen.stamp) {
            self.torn = Some(place.key.clone());
        }
        if self.overflowed || self.own.iter().any(|own| own.contains(&place.key)) {
            return;
        }
        self.keys.insert(place, seen);
        self.shed();
    }

    pub(super) fn remember_range(&mut self, found: &SeenRange) {
        if self.overflowed || self.own.iter().any(|own| own.start <= found.range.start && found.range.end <= own.end) {
            return;
        }
        let span = || Span { partition: found.partition, range: found.range.clone() };
        if self.since.is_some_and(|since| self.whole.add_exactly(&span(), since)) {
            return;
        }
        let rows: Vec<_> = found.rows.iter().map(|(key, seen)| (key.clone(), seen.stamp)).collect();
        self.rows += rows.len();
        self.ranges.push(RangeCheck { partition: found.partition, range: found.range.clone(), rows });
        self.shed();
    }

    /// Forgets what can be told in other words, or cannot be validated anyway.
    fn shed(&mut self) {
        if self.len() > MOST_VALIDATED {
            self.shorten();
        }
        if self.len() > MOST_VALIDATED {
            self.overflowed = true;
            (self.keys, self.ranges) = (BTreeMap::new(), Vec::new());
        }
    }

    /// All that was read is as it was at a snapshot, and so will be what is read from now on.
    pub(super) fn are_of(&mut self, at: Timestamp) {
        self.since = Some(at);
        self.reworded += 1;
        let whole = &mut self.whole;
        self.ranges
            .retain(|check| !whole.add_exactly(&Span { partition: check.partition, range: check.range.clone() }, at));
        self.rows = self.ranges.iter().map(|check| check.rows.len()).sum();
    }

    /// Tells where keys and ranges were instead of what was found there, if it can.
    pub(super) fn shorten(&mut self) {
        let Some(since) = self.since else { return };
        self.reworded += 1;
        // What was locked was not read at the snapshot.
        let (old, new) = std::mem::take(&mut self.keys).into_iter().partition(|(_, seen)| seen.stamp.ts <= since);
        self.keys = new;
        let old: BTreeMap<Place, Seen> = old;
        old.keys().for_each(|place| self.whole.add(&Span::of(place), since));
        for check in std::mem::take(&mut self.ranges) {
            self.whole.add(&Span { partition: check.partition, range: check.range }, since);
        }
        self.rows = 0;
    }

    /// Nothing in a span may have changed since a snapshot.
    pub(super) fn note_whole(&mut self, span: &Span, at: Timestamp) {
        if !self.own.iter().any(|own| own.contains(&span.range.start)) {
            self.whole.add(span, at);
        }
    }

    /// A new snapshot, at which all is as it was at the one before.
    pub(super) fn move_up(&mut self, to: Timestamp) {
        self.since = self.since.map(|_| to);
    }

    /// At which snapshot things are read from now on; `None`: each at its own time.
    pub(super) const fn begin_at(&mut self, at: Option<Timestamp>) {
        self.since = at;
    }

    /// How many keys it remembers.
    pub(super) fn len(&self) -> usize {
        self.rows + self.keys.len()
    }

    /// Where something was read, or is expected.
    pub(super) fn spans(&self) -> Vec<Span> {
        let keys = self.keys.keys().chain(self.expected.keys()).map(Span::of);
        let ranges = self.ranges.iter().map(|check| Span { partition: check.partition, range: check.range.clone() });
        let whole = self.whole.checks().into_iter();
        keys.chain(ranges).chain(whole.map(|check| Span { partition: check.partition, range: check.range })).collect()
    }

    /// What it found at a place.
    pub(super) fn seen(&self, place: &Place) -> Option<&Seen> {
        self.keys.get(place)
    }

    /// The ranges that are told row by row.
    pub(super) fn row_ranges(&self) -> Vec<RangeCheck> {
        self.ranges.clone()
    }

    /// Nothing that is told as a whole has changed up to a time.
    pub(super) fn is_still_so(&mut self, at: Timestamp) {
        self.whole.is_still_so(at);
    }

    pub(super) fn mark(&self) -> ReadMark {
        let Self { keys, ranges, rows, whole, reworded, .. } = self;
        ReadMark {
            keys: keys.keys().cloned().collect(),
            ranges: ranges.len(),
            rows: *rows,
            whole: whole.clone(),
            reworded: *reworded,
        }
    }

    /// Forgets what was read since, but for some places.
    pub(super) fn forget(&mut self, mark: &ReadMark, but: &BTreeSet<Place>) {
        // What is told in other words by now cannot be told from what was read since: all of it is kept.
        if !self.overflowed && self.reworded == mark.reworded {
            self.keys.retain(|place, _| mark.keys.contains(place) || but.contains(place));
            self.ranges.truncate(mark.ranges);
            (self.rows, self.whole) = (mark.rows, mark.whole.clone());
        }
    }

    /// Whether something was read.
    pub(super) fn has_any(&self) -> bool {
        self.overflowed || !self.keys.is_empty() || !self.ranges.is_empty() || !self.whole.is_empty()
    }

    /// The places of all expected versions, confirmed or not.
    pub(super) fn expected(&self) -> Vec<Place> {
        self.expected.keys().cloned().collect()
    }

    pub(super) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(super) const fn torn(&self) -> Option<&Key> {
        self.torn.as_ref()
    }

    /// Every version to validate.
    pub(super) fn versions(&self) -> Vec<(Place, Stamp)> {
        let expected = self.expected.iter().map(|(place, expected)| (place.clone(), expected.stamp));
        let mut all: BTreeMap<Place, Stamp> = expected.collect();
        all.extend(self.keys.iter().map(|(place, seen)| (place.clone(), seen.stamp)));
        all.into_iter().collect()
    }

    /// Every range to validate. A key that must be absent is an empty range, rather than a version: whether
    /// it never existed or was deleted is the same.
    pub(super) fn ranges(&self) -> Vec<RangeCheck> {
        let absent = self.absent.iter().map(|place| RangeCheck {
            partition: place.partition,
            range: KeyRange { start: place.key.clone(), end: place.key.successor() },
            rows: Vec::new(),
        });
        self.ranges.iter().cloned().chain(absent).collect()
    }

    /// Where nothing may have changed.
    pub(super) fn whole(&self) -> Vec<Unchanged> {
        self.whole.checks()
    }

    /// Whether there is nothing that a commit would have to validate.
    pub(super) fn is_empty(&self) -> bool {
        !self.overflowed
            && self.whole.is_empty()
            && self.keys.is_empty()
            && self.expected.is_empty()
            && self.ranges.is_empty()
            && self.absent.is_empty()
    }

    /// Whether all that is demanded was found by reads, and not merely assumed.
    pub(super) fn is_found(&self) -> bool {
        self.absent.is_empty() && self.expected.values().all(|expected| expected.confirmed)
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::TxnId;

    use super::*;

    fn place(n: usize) -> Place {
        Place { partition: annulus_base::PartitionId::default(), key: Key::new(1, 1, 0, &n.to_be_bytes()) }
    }

    fn seen(ts: u64) -> Seen {
        Seen { stamp: Stamp { ts: Timestamp(ts), txn: TxnId::default() }, value: None }
    }

    #[test]
    fn too_many_keys_are_told_by_where_they_are_but_for_those_that_are_newer() {
        let mut reads = Reads::default();
        reads.are_of(Timestamp(5));
        let mark = reads.reworded;
        for n in 0..MOST_VALIDATED {
            reads.remember_key(place(n), seen(if n == 7 { 6 } else { 5 }));
        }
        assert_eq!((reads.len(), reads.whole().len(), reads.reworded), (MOST_VALIDATED, 0, mark));
        reads.remember_key(place(MOST_VALIDATED), seen(5));
        assert!(!reads.overflowed() && reads.reworded > mark);
        assert_eq!(reads.versions(), [(place(7), seen(6).stamp)]);
        let whole = reads.whole();
        assert!(whole.len() < 100 && whole.iter().all(|check| check.since == Timestamp(5)));
        let is_told = |n: usize| whole.iter().any(|check| check.range.contains(&place(n).key));
        assert!((0..=MOST_VALIDATED).all(|n| n == 7 || is_told(n)));
        // Without a snapshot nothing can be told instead.
        let mut reads = Reads::default();
        (0..=MOST_VALIDATED).for_each(|n| reads.remember_key(place(n), seen(5)));
        assert!(reads.overflowed() && !reads.is_empty());
    }
}
