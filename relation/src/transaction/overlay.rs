//! Buffered writes, with a way back.

use std::collections::BTreeMap;

use annulus_base::KeyRange;
use annulus_txn::interface::Place;
use bytes::Bytes;

use super::Span;

/// A point in a transaction to return to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Savepoint(usize);

fn size(place: &Place, value: &Option<Bytes>) -> usize {
    place.key.as_bytes().len() + value.as_ref().map_or(0, Bytes::len)
}

/// The writes of a transaction, the last one of each key, and what each of them replaced.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    writes: BTreeMap<Place, Option<Bytes>>,
    /// Bytes of the keys and values in `writes`.
    bytes: usize,
    /// What stood in `writes` before each write, in order.
    undo: Vec<(Place, Option<Option<Bytes>>)>,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) fn write(&mut self, place: Place, value: Option<Bytes>) {
        self.bytes += size(&place, &value);
        let before = self.writes.insert(place.clone(), value);
        self.bytes -= before.as_ref().map_or(0, |before| size(&place, before));
        self.undo.push((place, before));
    }

    /// Takes back the writes to the keys of a range.
    pub(super) fn take_back(&mut self, range: &KeyRange) {
        let places: Vec<Place> = self.writes.keys().filter(|place| range.contains(&place.key)).cloned().collect();
        for place in places {
            let before = self.writes.remove(&place);
            self.bytes -= before.as_ref().map_or(0, |before| size(&place, before));
            self.undo.push((place, before));
        }
    }

    /// How many keys are written, and how many bytes these and their values have.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.writes.len(), self.bytes)
    }

    pub(super) fn get(&self, place: &Place) -> Option<&Option<Bytes>> {
        self.writes.get(place)
    }

    /// The writes in a span, in order.
    pub(super) fn within(&self, span: &Span) -> impl Iterator<Item = (&Place, &Option<Bytes>)> {
        let place = |key: &annulus_base::Key| Place { partition: span.partition, key: key.clone() };
        let (start, end) = (place(&span.range.start), place(&span.range.end));
        (start < end).then(|| self.writes.range(start..end)).into_iter().flatten()
    }

    pub(super) fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.len())
    }

    pub(super) fn rollback_to(&mut self, savepoint: Savepoint) {
        while self.undo.len() > savepoint.0 {
            let Some((place, before)) = self.undo.pop() else { return };
            self.bytes += before.as_ref().map_or(0, |before| size(&place, before));
            let undone = match before {
                Some(value) => self.writes.insert(place.clone(), value),
                None => self.writes.remove(&place),
            };
            self.bytes -= undone.as_ref().map_or(0, |undone| size(&place, undone));
        }
    }

    pub(super) fn writes(&self) -> &BTreeMap<Place, Option<Bytes>> {
        &self.writes
    }

    pub(super) fn into_writes(self) -> Vec<(Place, Option<Bytes>)> {
        self.writes.into_iter().collect()
    }
}
