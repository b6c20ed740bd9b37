//! Fetches what the commands of a transaction are going to read.
//!
//! All keys, the generations of their partitions, the watched keys and the token's record are asked for
//! in one read, so they are seen at one instant. The keys are asked for under the generation that was
//! current when last seen; if it turns out to be an older one, everything is read again.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::limits::{MAX_TXN_BYTES, MAX_TXN_KEYS};
use annulus_base::{Key, KeyRange, PartitionId};
use annulus_txn::interface::{Database, Place, RangeCheck, Seen, SeenRange, When};
use bytes::Bytes;

use super::commands::connection;
use super::errors::Failure;
use super::keyspace;
use super::outcome;
use super::transaction::{Fetched, Stop, Transaction};
use super::value::Value;
use super::view::{Found, Name, View};

/// Keys asked for in one go from each partition when a whole database is read.
const PAGE: u32 = 1_000;

/// A key with where it is stored.
type Located = (Name, Place);

impl<D: Database> Transaction<'_, D> {
    /// Fetches what the plan says into the view.
    pub async fn fetch(&mut self, view: &mut View) -> Result<Fetched, Stop> {
        if self.job.watch.is_some_and(|watch| watch.has_expired(view.now)) {
            return Err(Stop::WatchLost);
        }
        let mut fetched = Fetched { at_one_instant: true, ..Fetched::default() };
        for db in self.plan.databases.iter() {
            self.fetch_database(db, view, &mut fetched).await?;
            // Several reads: only the commit can tell that nothing has changed between them.
            fetched.at_one_instant = false;
        }
        let located = self.locate(view)?;
        if self.lock && !located.is_empty() {
            self.fetch_locked(located, view, &mut fetched).await?;
            fetched.at_one_instant = false;
        } else {
            self.fetch_unlocked(located, view, &mut fetched).await?;
        }
        Ok(fetched)
    }

    /// Where the planned keys are, in the generations that are likely.
    fn locate(&self, view: &View) -> Result<Vec<Located>, Stop> {
        let keyspace = &self.shared.keyspace;
        let mut located = Vec::with_capacity(self.plan.names.len());
        for name in self.plan.names.iter().filter(|name| !view.complete().contains(name.0)) {
            let partition = keyspace.partition_of(name.0, &name.1).ok_or(connection::NO_SUCH_DATABASE)?;
            let key = keyspace::stored_key(keyspace.likely_generation(partition), &name.1);
            located.push((name.clone(), Place { partition, key }));
        }
        if located.len() > MAX_TXN_KEYS {
            let count = located.len();
            return Err(Stop::Failed(Failure::limit(format_args!(
                "a transaction may read {MAX_TXN_KEYS} keys at most, this one has {count}"
            ))));
        }
        Ok(located)
    }

    /// One read of everything.
    async fn fetch_unlocked(
        &mut self,
        located: Vec<Located>,
        view: &mut View,
        fetched: &mut Fetched,
    ) -> Result<(), Stop> {
        let mut partitions: BTreeSet<PartitionId> = located.iter().map(|(_, place)| place.partition).collect();
        partitions.extend(&self.plan.partitions);
        let assumed = self.assumed(&partitions);
        let rows = self.read(&partitions, &located, fetched).await?;
        let (generations, values) = rows.split_at(partitions.len());
        self.learn(&assumed, generations, fetched)?;
        self.load(located, values, view)
    }

    /// Locks the keys first. The generations need not be read if they are known: the commit checks them.
    async fn fetch_locked(
        &mut self,
        located: Vec<Located>,
        view: &mut View,
        fetched: &mut Fetched,
    ) -> Result<(), Stop> {
        let mut partitions: BTreeSet<PartitionId> = located.iter().map(|(_, place)| place.partition).collect();
        partitions.extend(&self.plan.partitions);
        // From here on this try works in the generations under which the keys were located.
        let keyspace = &self.shared.keyspace;
        let known = |partition| Some((partition, keyspace.known_generation(partition)?));
        fetched.generations.extend(partitions.iter().copied().filter_map(known));
        partitions.retain(|partition| !fetched.generations.contains_key(partition));
        let assumed = self.assumed(&partitions);
        let generations = self.read(&partitions, &[], fetched).await?;
        self.learn(&assumed, &generations, fetched)?;
        let mut in_order = located;
        in_order.sort_by(|(_, left), (_, right)| left.cmp(right));
        let places: Vec<Place> = in_order.iter().map(|(_, place)| place.clone()).collect();
        let (txn, values) = self.database.lock(self.start, places.clone(), false, self.patience.left()).await?;
        self.held = Some((txn, places));
        self.load(in_order, &values, view)
    }

    /// The generation under which the keys of each partition are asked for.
    fn assumed(&self, partitions: &BTreeSet<PartitionId>) -> BTreeMap<PartitionId, u32> {
        partitions.iter().map(|partition| (*partition, self.shared.keyspace.likely_generation(*partition))).collect()
    }

    /// Reads the generations, then the keys; and, besides, the watched keys and the token's record.
    async fn read(
        &mut self,
        partitions: &BTreeSet<PartitionId>,
        located: &[Located],
        fetched: &mut Fetched,
    ) -> Result<Vec<Seen>, Stop> {
        let mut places: Vec<Place> =
            partitions.iter().map(|partition| keyspace::generation_place(*partition)).collect();
        places.extend(located.iter().map(|(_, place)| place.clone()));
        let own = places.len();
        let watch = self.job.watch.filter(|_| self.plan.watch);
        places.extend(watch.into_iter().flat_map(|watch| watch.places().cloned()));
        let token = self.job.token.and_then(|token| Some(self.shared.keyspace.tokens()?.place(token)));
        places.extend(token.clone());
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.database.read(places, When::Latest, self.patience.left()).await?;
        if let Some(place) = token {
            let record = rows.pop().ok_or(ODD_ANSWER)?;
            outcome::check_unused(record.value.as_ref())?;
            fetched.token = Some((place, record.stamp));
        }
        let watched = rows.split_off(own.min(rows.len()));
        if watch.is_some_and(|watch| watch.has_changed(&watched)) {
            return Err(Stop::WatchLost);
        }
        if rows.len() == own { Ok(rows) } else { Err(ODD_ANSWER.into()) }
    }

    /// Takes in what the reads of generations found.
    fn learn(&self, assumed: &BTreeMap<PartitionId, u32>, rows: &[Seen], fetched: &mut Fetched) -> Result<(), Stop> {
        let mut outdated = false;
        for ((partition, assumed), seen) in assumed.iter().zip(rows) {
            let found = self.shared.keyspace.learn_generation(*partition, seen);
            outdated |= found.number != *assumed;
            fetched.generations.insert(*partition, found);
        }
        if outdated { Err(Stop::FetchMore) } else { Ok(()) }
    }

    /// Puts values into the view.
    fn load(&self, located: Vec<Located>, rows: &[Seen], view: &mut View) -> Result<(), Stop> {
        let bytes: usize = rows.iter().filter_map(|seen| seen.value.as_ref()).map(Bytes::len).sum();
        check_bytes(bytes)?;
        for ((name, _), seen) in located.into_iter().zip(rows) {
            view.load(name, decode(seen)?);
        }
        Ok(())
    }

    /// Reads a whole database, page by page.
    async fn fetch_database(&mut self, db: u8, view: &mut View, fetched: &mut Fetched) -> Result<(), Stop> {
        let (mut keys, mut bytes) = (0, 0);
        let mut first = true;
        let assumed = self.assumed(&self.shared.keyspace.partitions(db).collect());
        let whole = |(partition, number): (&PartitionId, &u32)| (*partition, keyspace::user_range(*number));
        let mut pending: Vec<(PartitionId, KeyRange)> = assumed.iter().map(whole).collect();
        while !pending.is_empty() {
            let mut ranges: Vec<(PartitionId, KeyRange, u32)> = Vec::new();
            if first {
                ranges.extend(assumed.keys().map(|partition| (*partition, keyspace::generation_range(), 1)));
            }
            ranges.extend(pending.iter().map(|(partition, range)| (*partition, range.clone(), PAGE)));
            let mut seen = self.database.scan(ranges, When::Latest, self.patience.left()).await?;
            if std::mem::take(&mut first) {
                let data = seen.split_off(assumed.len().min(seen.len()));
                let rows: Vec<Seen> = seen.iter().map(generation_row).collect();
                self.learn(&assumed, &rows, fetched)?;
                seen = data;
            }
            let asked = std::mem::take(&mut pending);
            for ((partition, range), page) in asked.into_iter().zip(seen) {
                if page.range.end < range.end {
                    pending.push((partition, KeyRange { start: page.range.end.clone(), end: range.end }));
                }
                keys += page.rows.len();
                bytes += page.rows.iter().filter_map(|(_, seen)| seen.value.as_ref()).map(Bytes::len).sum::<usize>();
                self.load_page(db, page, view, fetched)?;
            }
            check_keys(keys)?;
            check_bytes(bytes)?;
        }
        view.mark_complete(db);
        Ok(())
    }

    fn load_page(&self, db: u8, page: SeenRange, view: &mut View, fetched: &mut Fetched) -> Result<(), Stop> {
        for (key, seen) in &page.rows {
            view.load((db, user_key(key)?), decode(seen)?);
        }
        let rows = page.rows.into_iter().map(|(key, seen)| (key, seen.stamp)).collect();
        fetched.ranges.push(RangeCheck { partition: page.partition, range: page.range, rows });
        Ok(())
    }
}

/// What a scan of the range of a generation's key says about that key.
///
/// A scan leaves absent keys out; a generation's key is never deleted, so absent is "never written".
pub(super) fn generation_row(page: &SeenRange) -> Seen {
    let absent = || Seen { stamp: annulus_replica::store::Stamp::NONE, value: None };
    page.rows.first().map_or_else(absent, |(_, seen)| seen.clone())
}

/// The user key of a stored one.
pub(super) fn user_key(key: &Key) -> Result<Bytes, Failure> {
    key.field().map(Bytes::from).ok_or(Failure::fixed("ERR a stored key is not of the key-value form"))
}

fn decode(seen: &Seen) -> Result<Found, Failure> {
    let value = seen.value.as_ref().map(Value::decode).transpose();
    let value = value.map_err(|error| Failure::new(format!("ERR {error}")))?;
    Ok(Found { stamp: seen.stamp, value })
}

const ODD_ANSWER: Failure = Failure::fixed("ERR the database answered another number of keys than was asked");

fn check_keys(keys: usize) -> Result<(), Failure> {
    if keys <= MAX_TXN_KEYS {
        return Ok(());
    }
    Err(Failure::limit(format_args!("a transaction may read {MAX_TXN_KEYS} keys at most; the database has more")))
}

fn check_bytes(bytes: usize) -> Result<(), Failure> {
    if bytes <= MAX_TXN_BYTES {
        return Ok(());
    }
    Err(Failure::limit(format_args!("a transaction may read {MAX_TXN_BYTES} bytes at most, this one reads {bytes}")))
}
