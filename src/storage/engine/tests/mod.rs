//! One suite for all engines, and what single ones promise beyond it.

mod conformance;
mod power;

use bytes::Bytes;

use super::{Bounds, Change, Entries, Entry, Order, Snapshot, Space};

fn put(key: &[u8], value: &[u8]) -> Change {
    Change { space: Space::Versions, key: Bytes::copy_from_slice(key), value: Some(Bytes::copy_from_slice(value)) }
}

fn delete(key: &[u8]) -> Change {
    Change { space: Space::Versions, key: Bytes::copy_from_slice(key), value: None }
}

fn all(entries: Entries<'_>) -> Vec<Entry> {
    entries.collect::<Result<_, _>>().unwrap()
}

fn range(snapshot: &dyn Snapshot, bounds: Bounds<'_>, order: Order) -> Vec<Entry> {
    all(snapshot.range(Space::Versions, bounds, order))
}
