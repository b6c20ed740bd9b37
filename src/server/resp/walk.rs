//! Walking through all keys of a database: `KEYS`, `SCAN`, `DBSIZE`, `RANDOMKEY` outside of `MULTI`.
//!
//! A page is a stretch of one partition, read at one instant. `KEYS` and `DBSIZE` first try to read the
//! whole database at one instant; one that is too large for that is read page by page, and then the whole
//! answer is like that of a `SCAN`: every key that was there throughout is in it once, one that came or went
//! meanwhile may be or not. Inside of `MULTI` they are part of the transaction, and exact.
//!
//! An expired key is deleted before it is left out.

use annulus_base::time::Micros;
use annulus_base::{Key, PartitionId};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Database, Place, SeenRange, TxnError, When};
use bytes::{BufMut, Bytes, BytesMut};

use super::cursors::Position;
use super::errors::Failure;
use super::fetch::{generation_row, user_key};
use super::keyspace;
use super::shared::{Patience, Shared};
use super::value::Value;

/// Keys asked for in one page of a long walk.
const PAGE: u32 = 1_000;
/// Keys asked for from each partition when a whole database is read at one instant.
const GLANCE: u32 = 64;
/// Most partitions that one call of `SCAN` looks into.
const PARTITIONS_PER_SCAN: usize = 64;
/// Most keys that `SCAN` returns of a slot whose position in it is not known.
const MAX_WHOLE_SLOT: usize = 100_000;
/// Most bytes of keys in one answer, with what each takes besides.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const PER_KEY: usize = 64;
/// How many bytes of a stored key name its generation.
const GENERATION_LEN: usize = 4;

/// Some keys of a partition.
struct Page {
    keys: Vec<Bytes>,
    /// Where the next page begins (a stored key without its generation), if this was not the last.
    next: Option<Bytes>,
}

/// What `SCAN` found.
pub struct Scanned {
    /// The cursor to go on with, 0 at the end.
    pub cursor: u64,
    /// The keys, whether they match or not.
    pub keys: Vec<Bytes>,
}

/// A walk through one database.
pub struct Walk<'a, D> {
    /// Where it is read from.
    pub database: &'a D,
    /// The server's state.
    pub shared: &'a Shared,
    /// Which database.
    pub db: u8,
    /// How long it may take.
    pub patience: Patience,
}

impl<D: Database> Walk<'_, D> {
    /// Calls `visit` with every key.
    ///
    /// # Errors
    /// The keys could not be read.
    pub async fn every_key(&self, mut visit: impl FnMut(Bytes) -> Result<(), Failure>) -> Result<(), Failure> {
        if let Some(keys) = self.glance(GLANCE).await? {
            return keys.into_iter().try_for_each(visit);
        }
        for partition in self.shared.keyspace.partitions(self.db) {
            let mut from = None;
            loop {
                let page = self.page(partition, from, PAGE).await?;
                page.keys.into_iter().try_for_each(&mut visit)?;
                match page.next {
                    None => break,
                    next => from = next,
                }
            }
        }
        Ok(())
    }

    /// All keys for which `wanted` holds.
    ///
    /// # Errors
    /// The keys could not be read, or are too many for one answer.
    pub async fn keys(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Bytes>, Failure> {
        let (mut keys, mut size) = (Vec::new(), 0);
        let collect = |key: Bytes| {
            if wanted(&key) {
                size += key.len() + PER_KEY;
                keys.push(key);
            }
            if size <= MAX_ANSWER { Ok(()) } else { Err(too_many()) }
        };
        self.every_key(collect).await?;
        Ok(keys)
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// The keys could not be read.
    pub async fn count(&self) -> Result<usize, Failure> {
        let mut count = 0;
        self.every_key(|_| {
            count += 1;
            Ok(())
        })
        .await?;
        Ok(count)
    }

    /// Any key: of a random partition, one of the first [`GLANCE`].
    ///
    /// # Errors
    /// The keys could not be read.
    pub async fn random_key(&self) -> Result<Option<Bytes>, Failure> {
        let partitions: Vec<PartitionId> = self.shared.keyspace.partitions(self.db).collect();
        for _ in 0..partitions.len().min(8) {
            let Some(partition) = self.pick(&partitions) else { break };
            let page = self.page(*partition, None, GLANCE).await?;
            if let Some(key) = self.pick(&page.keys) {
                return Ok(Some(key.clone()));
            }
        }
        // The database is sparse: only a look at all of it can tell that it is empty.
        let keys = self.keys(|_| true).await?;
        Ok(self.pick(&keys).cloned())
    }

    fn pick<'i, T>(&self, items: &'i [T]) -> Option<&'i T> {
        items.get((self.shared.random() % items.len().max(1) as u64) as usize)
    }

    /// One step of `SCAN`: about `count` keys.
    ///
    /// # Errors
    /// The keys could not be read.
    pub async fn scan(&self, cursor: u64, count: u32) -> Result<Scanned, Failure> {
        let position = self.shared.cursors.find(self.db, cursor);
        let whole = matches!(position, Position::WholeSlot(_));
        let (mut slot, mut from) = match position {
            Position::Slot(slot) | Position::WholeSlot(slot) => (slot, None),
            Position::Inside(slot, key) => (slot, Some(key)),
        };
        let first = slot;
        let mut keys = Vec::new();
        let slots = self.shared.keyspace.database(self.db).map_or(0, |namespace| namespace.slots());
        let Some(id) = self.shared.keyspace.database(self.db).map(|namespace| namespace.id) else {
            return Ok(Scanned { cursor: 0, keys });
        };
        while slot < slots && usize::from(slot - first) < PARTITIONS_PER_SCAN && keys.len() < count as usize {
            let limit = if whole && slot == first { PAGE } else { count };
            let page = self.page(PartitionId::new(id, slot), from.take(), limit).await?;
            keys.extend(page.keys);
            match page.next {
                None => slot += 1,
                Some(next) if whole && slot == first && keys.len() < MAX_WHOLE_SLOT => from = Some(next),
                Some(next) => {
                    let cursor = self.shared.cursors.give(self.db, Position::Inside(slot, next));
                    return Ok(Scanned { cursor, keys });
                }
            }
        }
        let cursor = if slot < slots { self.shared.cursors.give(self.db, Position::Slot(slot)) } else { 0 };
        Ok(Scanned { cursor, keys })
    }

    /// All keys at one instant, if there are few enough of them.
    async fn glance(&self, limit: u32) -> Result<Option<Vec<Bytes>>, Failure> {
        let partitions: Vec<PartitionId> = self.shared.keyspace.partitions(self.db).collect();
        loop {
            let mut ranges = Vec::with_capacity(2 * partitions.len());
            let mut assumed = Vec::with_capacity(partitions.len());
            for partition in &partitions {
                let number = self.shared.keyspace.likely_generation(*partition);
                assumed.push(number);
                ranges.push((*partition, keyspace::generation_range(), 1));
                ranges.push((*partition, keyspace::user_range(number), limit));
            }
            let seen = self.database.scan(ranges, When::Latest, self.patience_of_call()?).await?;
            let mut keys = Vec::new();
            let mut again = false;
            for (pair, number) in seen.chunks_exact(2).zip(assumed) {
                again |= !self.is_current(&pair[0], number) || self.has_expired(&pair[1]);
                if pair[1].range.end < keyspace::user_range(number).end {
                    return Ok(None);
                }
                for (key, _) in &pair[1].rows {
                    keys.push(user_key(key)?);
                }
            }
            if !again {
                return Ok(Some(keys));
            }
            for page in seen.iter().skip(1).step_by(2) {
                self.delete_expired(page).await?;
            }
        }
    }

    /// A page of one partition.
    async fn page(&self, partition: PartitionId, from: Option<Bytes>, limit: u32) -> Result<Page, Failure> {
        loop {
            let number = self.shared.keyspace.likely_generation(partition);
            let mut range = keyspace::user_range(number);
            if let Some(key) = &from {
                range.start = in_generation(number, key);
            }
            let end = range.end.clone();
            let ranges = vec![(partition, keyspace::generation_range(), 1), (partition, range, limit)];
            let seen = self.database.scan(ranges, When::Latest, self.patience_of_call()?).await?;
            let [generation, page] = seen.as_slice() else {
                return Err(Failure::fixed("ERR the database answered another number of ranges than was asked"));
            };
            if self.is_current(generation, number) && !self.has_expired(page) {
                let keys = page.rows.iter().map(|(key, _)| user_key(key)).collect::<Result<_, _>>()?;
                let next = (page.range.end < end).then(|| without_generation(&page.range.end));
                return Ok(Page { keys, next });
            }
            self.delete_expired(page).await?;
        }
    }

    /// Takes in what a scan found of a generation's key; whether it is the generation asked for.
    fn is_current(&self, generation: &SeenRange, asked: u32) -> bool {
        self.shared.keyspace.learn_generation(generation.partition, &generation_row(generation)).number == asked
    }

    fn has_expired(&self, page: &SeenRange) -> bool {
        !expired(page, self.shared.now()).is_empty()
    }

    /// Deletes the expired keys of a page, unless they have changed.
    async fn delete_expired(&self, page: &SeenRange) -> Result<(), Failure> {
        let commit = deletion(page.partition, expired(page, self.shared.now()));
        if commit.writes.is_empty() {
            return Ok(());
        }
        match self.database.commit(self.database.begin(), None, commit, self.patience_of_call()?).await {
            // Somebody else was faster: the next look will tell.
            Ok(_) | Err(TxnError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How long one call of the database may take.
    fn patience_of_call(&self) -> Result<Micros, Failure> {
        match self.patience.left().min(self.shared.patience().left()) {
            0 => {
                Err(Failure::fixed("TRYAGAIN the database could not be gone through in time; use SCAN, or retry later"))
            }
            left => Ok(left),
        }
    }
}

/// The rows of a page whose values have expired.
pub(super) fn expired(page: &SeenRange, now: u64) -> Vec<(Key, Stamp)> {
    let is_expired = |value: &Bytes| Value::decode(value).is_ok_and(|value| value.is_expired(now));
    let rows = page.rows.iter().filter(|(_, seen)| seen.value.as_ref().is_some_and(is_expired));
    rows.map(|(key, seen)| (key.clone(), seen.stamp)).collect()
}

/// Deletes keys on the condition that they are still what was seen.
pub(super) fn deletion(partition: PartitionId, rows: Vec<(Key, Stamp)>) -> Commit {
    let mut commit = Commit::default();
    for (key, stamp) in rows {
        let place = Place { partition, key };
        commit.reads.push((place.clone(), stamp));
        commit.writes.push((place, None));
    }
    commit
}

fn without_generation(key: &Key) -> Bytes {
    key.0.slice(GENERATION_LEN.min(key.0.len())..)
}

fn in_generation(number: u32, rest: &[u8]) -> Key {
    let mut key = BytesMut::with_capacity(GENERATION_LEN + rest.len());
    key.put_u32(number);
    key.put_slice(rest);
    Key(key.freeze())
}

fn too_many() -> Failure {
    Failure::limit(format_args!("the keys of one answer may take {MAX_ANSWER} bytes at most; use SCAN"))
}
