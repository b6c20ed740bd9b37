//! Reading, at one instant in a block, and finding out whether what was read is still so.

use std::collections::BTreeMap;

use annulus_base::time::Micros;
use annulus_base::{Key, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Place, RangeCheck, Seen, SeenRange, TxnError, When};
use bytes::Bytes;

use super::commit::too_many;
use super::reads::ReadMark;
use super::{Mode, Span, Stretch, Transaction};

/// How many keys are read once more to find out whether they are the same.
const FEW: usize = 8;

fn size(key: &Key, seen: &Seen) -> u64 {
    (key.as_bytes().len() + seen.value.as_ref().map_or(0, Bytes::len)) as u64
}

impl<D: Database> Transaction<D> {
    /// What it has read so far, to forget what it reads from here on.
    pub fn mark_reads(&self) -> ReadMark {
        self.reads.mark()
    }

    /// Forgets what it has read since, but for what it has locked: `SKIP LOCKED` gives no whole view of a table, and who
    /// takes what is free must not fail for what somebody else took meanwhile.
    pub fn forget_reads(&mut self, mark: &ReadMark) {
        self.reads.forget(mark, self.locks.places());
    }

    /// Reads keys; the results are in the order asked. Keys read before are not asked for again.
    ///
    /// # Errors
    /// [`TxnError`] of the read; nothing is changed by it.
    pub async fn get(&mut self, places: &[Place], patience: Micros) -> Result<Vec<Option<Bytes>>, TxnError> {
        let known = |place: &Place| self.overlay.get(place).is_some() || self.reads.seen(place).is_some();
        let mut missing: Vec<Place> = places.iter().filter(|place| !known(place)).cloned().collect();
        missing.sort();
        missing.dedup();
        let found = if missing.is_empty() { BTreeMap::new() } else { self.ask_keys(missing, patience).await? };
        // Not all that was just found is remembered.
        let seen = |place: &Place| found.get(place).or_else(|| self.reads.seen(place));
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
        if self.reads.overflowed() && self.has_writes() { Err(too_many()) } else { Ok(()) }
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

    /// Finds out whether what was read before was the same at another instant.
    pub(super) async fn compare(&mut self, at: Timestamp, patience: Micros) -> Result<(), TxnError> {
        if self.reads.overflowed() {
            return Err(too_many());
        }
        if self.reads.len() > FEW || !self.reads.whole().is_empty() {
            return self.confirm(at, patience).await;
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
        for range in self.reads.row_ranges() {
            self.unchanged(&range, at, patience).await?;
        }
        Ok(())
    }

    /// As [`Transaction::compare`], by a commit that writes nothing: what has not changed until then was the same at any
    /// instant before. No value is read again for that.
    async fn confirm(&mut self, at: Timestamp, patience: Micros) -> Result<(), TxnError> {
        let Some(place) = self.reads.spans().into_iter().next().map(|span| span.range.start) else { return Ok(()) };
        let demands = self.demands();
        self.reads.rounds += 1;
        match self.db.commit(self.start, None, demands, patience).await {
            Ok(confirmed) if confirmed.txn.ts >= at => {
                self.reads.is_still_so(at);
                Ok(())
            }
            // Nothing was written, so nobody needs to know whether it is committed.
            Ok(_) | Err(TxnError::Unknown(_)) => Err(TxnError::Conflict(place)),
            Err(error) => Err(error),
        }
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
