//! Reading, and remembering what was read.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Database, Place, RangeCheck, Seen, SeenRange, TxnError, Unchanged, When};
use bytes::Bytes;

use super::commit::too_many;
use super::whole::Whole;
use super::{MOST_VALIDATED, Mode, Span, Stretch, Transaction};

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

fn size(key: &Key, seen: &Seen) -> u64 {
    (key.as_bytes().len() + seen.value.as_ref().map_or(0, Bytes::len)) as u64
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
    fn unconfirmed(&self) -> Vec<Place> {
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

    fn remember_key(&mut self, place: Place, seen: Seen) {
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

    fn remember_range(&mut self, found: &SeenRange) {
        if self.overflowed || self.own.iter().any(|own| own.start <= found.range.start && found.range.end <= own.end) {
            return;
        }
        if let Some(since) = self.since {
            self.whole.add(&Span { partition: found.partition, range: found.range.clone() }, since);
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
        for check in std::mem::take(&mut self.ranges) {
            self.whole.add(&Span { partition: check.partition, range: check.range }, at);
        }
        self.rows = 0;
    }

    /// Tells where keys were instead of which, if it can.
    pub(super) fn shorten(&mut self) {
        let Some(since) = self.since else { return };
        self.reworded += 1;
        // What was locked was not read at the snapshot.
        let (old, new) = std::mem::take(&mut self.keys).into_iter().partition(|(_, seen)| seen.stamp.ts <= since);
        self.keys = new;
        let old: BTreeMap<Place, Seen> = old;
        old.keys().for_each(|place| self.whole.add(&Span::of(place), since));
    }

    /// Nothing in a span may have changed since a snapshot.
    pub(super) fn note_whole(&mut self, span: &Span, at: Timestamp) {
        if !self.own.iter().any(|own| own.contains(&span.range.start)) {
            self.whole.add(span, at);
        }
    }

    /// A new snapshot, at which all is as it was at the one before.
    fn move_up(&mut self, to: Timestamp) {
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

impl<D: Database> Transaction<D> {
    /// What it has read so far, to forget what it reads from here on.
    pub fn mark_reads(&self) -> ReadMark {
        let Reads { keys, ranges, rows, whole, reworded, .. } = &self.reads;
        ReadMark {
            keys: keys.keys().cloned().collect(),
            ranges: ranges.len(),
            rows: *rows,
            whole: whole.clone(),
            reworded: *reworded,
        }
    }

    /// Forgets what it has read since, but for what it has locked: `SKIP LOCKED` gives no whole view of a table, and who
    /// takes what is free must not fail for what somebody else took meanwhile.
    pub fn forget_reads(&mut self, mark: &ReadMark) {
        let locked = self.locks.places();
        let reads = &mut self.reads;
        // What is told in other words by now cannot be told from what was read since: all of it is kept.
        if !reads.overflowed && reads.reworded == mark.reworded {
            reads.keys.retain(|place, _| mark.keys.contains(place) || locked.contains(place));
            reads.ranges.truncate(mark.ranges);
            (reads.rows, reads.whole) = (mark.rows, mark.whole.clone());
        }
    }

    /// Reads keys; the results are in the order asked. Keys read before are not asked for again.
    ///
    /// # Errors
    /// [`TxnError`] of the read; nothing is changed by it.
    pub async fn get(&mut self, places: &[Place], patience: Micros) -> Result<Vec<Option<Bytes>>, TxnError> {
        let known = |place: &Place| self.overlay.get(place).is_some() || self.reads.keys.contains_key(place);
        let mut missing: Vec<Place> = places.iter().filter(|place| !known(place)).cloned().collect();
        missing.sort();
        missing.dedup();
        let found = if missing.is_empty() { BTreeMap::new() } else { self.ask_keys(missing, patience).await? };
        // Not all that was just found is remembered.
        let seen = |place: &Place| found.get(place).or_else(|| self.reads.keys.get(place));
        Ok(places.iter().map(|place| self.own_or(place, seen(place))).collect())
    }

    /// Asks for keys, and for what is expected and not confirmed yet, at one instant.
    async fn ask_keys(&mut self, mut wanted: Vec<Place>, patience: Micros) -> Result<BTreeMap<Place, Seen>, TxnError> {
        let keys = wanted.len();
        self.pin_if_much(patience).await?;
        wanted.extend(self.reads.unconfirmed());
        self.settle(|pinned| wanted.iter().find_map(|place| pinned.unsettled_at(place)), patience).await?;
        self.note_read(wanted.iter().map(|place| place.partition));
        let when = self.when();
        self.reads.rounds += 1;
        let found = self.db.read(wanted.clone(), when, patience).await?;
        for (place, seen) in wanted[keys..].iter().zip(&found[keys..]) {
            self.reads.confirm(place, seen.stamp)?;
        }
        let found: BTreeMap<Place, Seen> = wanted.into_iter().take(keys).zip(found).collect();
        for (place, seen) in &found {
            self.reads.bytes += size(&place.key, seen);
            self.reads.remember_key(place.clone(), seen.clone());
        }
        self.check_reads()?;
        Ok(found)
    }

    /// Refuses what a commit could not validate, before more is done in vain.
    pub(super) fn check_reads(&self) -> Result<(), TxnError> {
        if self.reads.overflowed && self.has_writes() { Err(too_many()) } else { Ok(()) }
    }

    fn own_or(&self, place: &Place, seen: Option<&Seen>) -> Option<Bytes> {
        match self.overlay.get(place) {
            Some(own) => own.clone(),
            None => seen.and_then(|seen| seen.value.clone()),
        }
    }

    /// Reads spans, each at most `limit` of its stored keys, all at one instant.
    ///
    /// # Errors
    /// [`TxnError`] of the read; nothing is changed by it.
    pub async fn scan_all(&mut self, spans: &[Span], limit: u32, patience: Micros) -> Result<Vec<Stretch>, TxnError> {
        self.pin_if_much(patience).await?;
        let expected = self.reads.unconfirmed();
        let asked: Vec<Span> = spans.iter().cloned().chain(expected.iter().map(Span::of)).collect();
        self.settle(|pinned| asked.iter().find_map(|span| pinned.unsettled_in(span)), patience).await?;
        self.note_read(asked.iter().map(|span| span.partition));
        let when = self.when();
        let ranges = asked.into_iter().map(|span| (span.partition, span.range, limit.max(1))).collect();
        self.reads.rounds += 1;
        let mut found = self.db.scan(ranges, when, patience).await?;
        for (place, found) in expected.iter().zip(found.split_off(spans.len().min(found.len()))) {
            let stamp = found.rows.first().map_or(Stamp::NONE, |(_, seen)| seen.stamp);
            // A stretch that was cut short before it says nothing.
            if found.range.end > place.key {
                self.reads.confirm(place, stamp)?;
            }
        }
        for range in &found {
            self.reads.bytes += range.rows.iter().map(|(key, seen)| size(key, seen)).sum::<u64>();
            self.reads.remember_range(range);
        }
        self.check_reads()?;
        Ok(found.into_iter().zip(spans).map(|(found, span)| self.merged(span, found)).collect())
    }

    /// Reads one span; see [`Transaction::scan_all`].
    ///
    /// # Errors
    /// [`TxnError`] of the read; nothing is changed by it.
    pub async fn scan(&mut self, span: &Span, limit: u32, patience: Micros) -> Result<Stretch, TxnError> {
        let mut all = self.scan_all(std::slice::from_ref(span), limit, patience).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// What was found together with the own writes there.
    fn merged(&self, span: &Span, found: SeenRange) -> Stretch {
        let next = (found.range.end < span.range.end).then(|| found.range.end.clone());
        let covered = Span { partition: span.partition, range: found.range };
        let stored = found.rows.into_iter().filter_map(|(key, seen)| Some((key, seen.value?)));
        let mut own = self.overlay.within(&covered).peekable();
        if own.peek().is_none() {
            return Stretch { rows: stored.collect(), next };
        }
        let mut rows: BTreeMap<Key, Bytes> = stored.collect();
        for (place, value) in own {
            match value {
                Some(value) => rows.insert(place.key.clone(), value.clone()),
                None => rows.remove(&place.key),
            };
        }
        Stretch { rows: rows.into_iter().collect(), next }
    }

    /// At which point of time to read; a block takes its snapshot at its first read.
    pub(super) fn when(&mut self) -> When {
        if self.mode == Mode::Block && self.snapshot.is_none() {
            self.snapshot = Some(self.db.begin());
        }
        self.snapshot.map_or(When::Latest, When::At)
    }

    /// Moves the snapshot of a block up to now, so that it sees what was written for it by others.
    ///
    /// # Errors
    /// [`TxnError::Conflict`] if something read before has changed, and every error of reading it again.
    pub async fn catch_up(&mut self, patience: Micros) -> Result<(), TxnError> {
        match (self.mode, self.snapshot) {
            (Mode::Block, Some(_)) => self.move_up(self.db.begin(), patience).await,
            _ => Ok(()),
        }
    }

    /// Moves the snapshot of a block up to `to`, after a locking read found a newer version; what was read
    /// before must not have changed until then.
    pub(super) async fn move_up(&mut self, to: Timestamp, patience: Micros) -> Result<(), TxnError> {
        self.compare(to, patience).await?;
        self.snapshot = Some(to);
        self.reads.move_up(to);
        if let Some(pinned) = &mut self.pinned {
            pinned.leave();
        }
        Ok(())
    }

    /// Reads what was read before at another instant, where it must be the same.
    pub(super) async fn compare(&mut self, at: Timestamp, patience: Micros) -> Result<(), TxnError> {
        if self.reads.overflowed {
            return Err(too_many());
        }
        let (places, seen): (Vec<Place>, Vec<Stamp>) = self.reads.versions().into_iter().unzip();
        if !places.is_empty() {
            self.reads.rounds += 1;
            let now = self.db.read(places.clone(), When::At(at), patience).await?;
            let changed = places.iter().zip(seen).zip(&now).find(|((_, seen), now)| *seen != now.stamp);
            if let Some(((place, _), _)) = changed {
                return Err(TxnError::Conflict(place.key.clone()));
            }
        }
        for range in self.reads.ranges.clone() {
            self.unchanged(&range, at, patience).await?;
        }
        self.confirm_whole(at, patience).await
    }

    /// Nothing in the ranges that are told as such has changed up to a time.
    async fn confirm_whole(&mut self, at: Timestamp, patience: Micros) -> Result<(), TxnError> {
        let unchanged = self.reads.whole();
        let Some(first) = unchanged.first().map(|first| first.range.start.clone()) else { return Ok(()) };
        self.reads.rounds += 1;
        let confirmed = self.db.commit(self.start, None, Commit { unchanged, ..Commit::default() }, patience).await?;
        if confirmed.txn.ts < at {
            return Err(TxnError::Conflict(first));
        }
        self.reads.whole.is_still_so(at);
        Ok(())
    }

    async fn unchanged(&mut self, check: &RangeCheck, at: Timestamp, patience: Micros) -> Result<(), TxnError> {
        let mut expected = check.rows.iter();
        let mut rest = check.range.clone();
        let changed = || TxnError::Conflict(check.range.start.clone());
        loop {
            let limit = u32::try_from(check.rows.len() + 1).unwrap_or(u32::MAX);
            self.reads.rounds += 1;
            let found = self.db.scan(vec![(check.partition, rest.clone(), limit)], When::At(at), patience).await?;
            let Some(found) = found.into_iter().next() else { return Err(changed()) };
            let same = found.rows.iter().all(|(key, seen)| {
                expected.next().is_some_and(|(expected, stamp)| expected == key && *stamp == seen.stamp)
            });
            if !same {
                return Err(changed());
            }
            if found.range.end >= rest.end {
                return if expected.next().is_none() { Ok(()) } else { Err(changed()) };
            }
            rest.start = found.range.end;
        }
    }

    /// Remembers what a locking read found.
    pub(super) fn remember_locked(&mut self, place: Place, seen: Seen) {
        self.reads.remember_key(place, seen);
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
