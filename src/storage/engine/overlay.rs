//! Snapshots for engines that have none: while a snapshot is held, writers first keep the old values.
//!
//! Every batch has a number. A snapshot taken after batch `n` sees for each key the value kept by the first batch
//! above `n` that changed it, or else the value in the table. Iterations read the table in pages and put
//! the kept values over each page under one lock, so pages need no order among themselves.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::{BufMut, Bytes, BytesMut};

use super::{Batch, Bounds, EngineResult, Entries, Entry, Order, Snapshot, Space, is_empty};

const PAGE: usize = 256;

/// Ordered bytes that a batch changes atomically.
pub trait Table: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> EngineResult<Option<Bytes>>;

    /// Up to `limit` entries in order. Fewer than `limit` only at the end of the bounds.
    fn page(&self, bounds: Bounds<'_>, order: Order, limit: usize) -> EngineResult<Vec<Entry>>;

    /// Applies changes atomically.
    fn write(&mut self, changes: Vec<(Bytes, Option<Bytes>)>) -> EngineResult<()>;
}

/// A table of all spaces, with snapshots.
pub struct Overlay<T>(Arc<RwLock<State<T>>>);

struct State<T> {
    table: T,
    /// Number of the last batch.
    batch: u64,
    /// How many snapshots were taken after each batch.
    snapshots: BTreeMap<u64, usize>,
    /// Values before later batches: the batch's number, and the value then.
    kept: BTreeMap<Bytes, Vec<(u64, Option<Bytes>)>>,
}

impl<T: Table> Overlay<T> {
    /// Adds snapshots to a table.
    pub fn new(table: T) -> Self {
        let state = State { table, batch: 0, snapshots: BTreeMap::new(), kept: BTreeMap::new() };
        Self(Arc::new(RwLock::new(state)))
    }

    /// Applies a batch atomically.
    pub fn write(&self, batch: Batch) -> EngineResult<()> {
        let changes = batch.into_iter().map(|change| (whole_key(change.space, &change.key), change.value)).collect();
        self.write_lock().write(changes)
    }

    /// The value of a key.
    pub fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        self.read_lock().table.get(&whole_key(space, key))
    }

    /// The smallest entry within bounds.
    pub fn first(&self, space: Space, bounds: Bounds<'_>) -> EngineResult<Option<Entry>> {
        if is_empty(bounds) {
            return Ok(None);
        }
        let (start, end) = whole_bounds(space, bounds);
        let page = self.read_lock().table.page((as_slice(&start), as_slice(&end)), Order::Forward, 1)?;
        Ok(page.into_iter().next().map(without_space))
    }

    /// The state as it is now.
    pub fn snapshot(&self) -> OverlaySnapshot<T> {
        let mut state = self.write_lock();
        let batch = state.batch;
        *state.snapshots.entry(batch).or_default() += 1;
        OverlaySnapshot { overlay: Self(Arc::clone(&self.0)), batch }
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, State<T>> {
        // A panic of a table leaves kept values that are not needed; nothing else can be half done.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Table> State<T> {
    fn write(&mut self, changes: Vec<(Bytes, Option<Bytes>)>) -> EngineResult<()> {
        self.batch += 1;
        if !self.snapshots.is_empty() {
            for (key, _) in &changes {
                let old = self.table.get(key)?;
                self.kept.entry(key.clone()).or_default().push((self.batch, old));
            }
        }
        self.table.write(changes)
    }

    fn get_at(&self, key: &[u8], batch: u64) -> EngineResult<Option<Bytes>> {
        match self.kept.get(key).and_then(|kept| value_at(kept, batch)) {
            Some(old) => Ok(old.clone()),
            None => self.table.get(key),
        }
    }

    /// A page as it was, and whether it is the last one.
    fn page_at(&self, bounds: Bounds<'_>, order: Order, batch: u64) -> EngineResult<(Page, bool)> {
        let page = self.table.page(bounds, order, PAGE)?;
        let is_last = page.len() < PAGE;
        let end = if is_last { None } else { page.last().map(|(key, _)| key.clone()) };
        let covered = match (&end, order) {
            (None, _) => bounds,
            (Some(end), Order::Forward) => (bounds.0, Bound::Included(end.as_ref())),
            (Some(end), Order::Reverse) => (Bound::Included(end.as_ref()), bounds.1),
        };
        let mut entries: BTreeMap<_, _> = page.into_iter().collect();
        for (key, kept) in self.kept.range::<[u8], _>(covered) {
            match value_at(kept, batch) {
                Some(Some(old)) => entries.insert(key.clone(), old.clone()),
                Some(None) => entries.remove(key),
                None => None,
            };
        }
        Ok((Page { entries, end }, is_last))
    }

    fn release(&mut self, batch: u64) {
        if let Some(count) = self.snapshots.get_mut(&batch) {
            *count -= 1;
            if *count == 0 {
                self.snapshots.remove(&batch);
            }
        }
        match self.snapshots.first_key_value() {
            None => self.kept.clear(),
            Some((&oldest, _)) if oldest > batch => self.kept.retain(|_, kept| {
                kept.retain(|(changed, _)| *changed > oldest);
                !kept.is_empty()
            }),
            Some(_) => {}
        }
    }
}

struct Page {
    entries: BTreeMap<Bytes, Bytes>,
    /// The last key that this page covers, if not all.
    end: Option<Bytes>,
}

fn value_at(kept: &[(u64, Option<Bytes>)], batch: u64) -> Option<&Option<Bytes>> {
    kept.iter().find(|(changed, _)| *changed > batch).map(|(_, old)| old)
}

/// The state after one batch.
pub struct OverlaySnapshot<T: Table> {
    overlay: Overlay<T>,
    batch: u64,
}

impl<T: Table> Snapshot for OverlaySnapshot<T> {
    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        self.overlay.read_lock().get_at(&whole_key(space, key), self.batch)
    }

    fn range<'a>(&'a self, space: Space, bounds: Bounds<'_>, order: Order) -> Entries<'a> {
        if is_empty(bounds) {
            return Box::new(std::iter::empty());
        }
        let (start, end) = whole_bounds(space, bounds);
        let entries = Pages { snapshot: self, order, start, end, page: VecDeque::new(), is_last: false };
        Box::new(entries.map(|entry| entry.map(without_space)))
    }
}

impl<T: Table> Drop for OverlaySnapshot<T> {
    fn drop(&mut self) {
        self.overlay.write_lock().release(self.batch);
    }
}

struct Pages<'a, T: Table> {
    snapshot: &'a OverlaySnapshot<T>,
    order: Order,
    start: Bound<Bytes>,
    end: Bound<Bytes>,
    page: VecDeque<Entry>,
    is_last: bool,
}

impl<T: Table> Pages<'_, T> {
    fn next_page(&mut self) -> EngineResult<()> {
        let state = self.snapshot.overlay.read_lock();
        let bounds = (as_slice(&self.start), as_slice(&self.end));
        let (page, is_last) = state.page_at(bounds, self.order, self.snapshot.batch)?;
        drop(state);
        self.is_last = is_last;
        match (page.end, self.order) {
            (None, _) => {}
            (Some(key), Order::Forward) => self.start = Bound::Excluded(key),
            (Some(key), Order::Reverse) => self.end = Bound::Excluded(key),
        }
        self.page = match self.order {
            Order::Forward => page.entries.into_iter().collect(),
            Order::Reverse => page.entries.into_iter().rev().collect(),
        };
        Ok(())
    }
}

impl<T: Table> Iterator for Pages<'_, T> {
    type Item = EngineResult<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && !self.is_last {
            if let Err(error) = self.next_page() {
                self.is_last = true;
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// The key with its space in front.
fn whole_key(space: Space, key: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(1 + key.len());
    whole.put_u8(space as u8);
    whole.put_slice(key);
    whole.freeze()
}

/// The space of a whole key, and the key in it.
pub fn split_key(whole: &Bytes) -> Option<(Space, Bytes)> {
    let space = Space::ALL.into_iter().find(|space| Some(&(*space as u8)) == whole.first())?;
    Some((space, whole.slice(1..)))
}

fn without_space((key, value): Entry) -> Entry {
    (key.slice(1..), value)
}

fn whole_bounds(space: Space, (start, end): Bounds<'_>) -> (Bound<Bytes>, Bound<Bytes>) {
    let start = match start {
        Bound::Unbounded => Bound::Included(whole_key(space, &[])),
        bound => bound.map(|key| whole_key(space, key)),
    };
    let end = match end {
        Bound::Unbounded => Bound::Excluded(Bytes::copy_from_slice(&[space as u8 + 1])),
        bound => bound.map(|key| whole_key(space, key)),
    };
    (start, end)
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(AsRef::as_ref)
}
