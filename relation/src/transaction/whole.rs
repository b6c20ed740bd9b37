//! What was read at a snapshot, told by where it was: a commit validates that nothing there has a later version.
//!
//! A few ranges say it for any number of rows. Where they would be too many, and what was found in them, too, one for each
//! index covers them all: a change between them costs a retry, never a wrong answer.

use std::collections::BTreeMap;

use annulus_base::key::PREFIX_LEN;
use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_txn::interface::Unchanged;

use super::Span;

/// Most ranges: each may be compared with all that was written lately.
const MOST: usize = 64;

/// Where a range ends, and since when nothing may have changed in it.
#[derive(Clone, Debug)]
struct Until {
    end: Key,
    since: Timestamp,
}

/// Ranges, by where they begin, apart from each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole(BTreeMap<(PartitionId, Key), Until>);

impl Whole {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing in a span, which is within one index, may have changed since a snapshot.
    pub(super) fn add(&mut self, span: &Span, since: Timestamp) {
        if !self.add_exactly(span, since) {
            self.join(span.partition, &span.range, since);
            self.cover();
        }
    }

    /// As [`Whole::add`], unless there would be too many ranges then; whether it did.
    pub(super) fn add_exactly(&mut self, span: &Span, since: Timestamp) -> bool {
        let has_room = self.0.len() < MOST || self.touching(span.partition, &span.range).is_some();
        if has_room {
            self.join(span.partition, &span.range, since);
        }
        has_room
    }

    pub(super) fn extend(&mut self, other: Self) {
        for ((partition, start), Until { end, since }) in other.0 {
            self.add(&Span { partition, range: KeyRange { start, end } }, since);
        }
    }

    /// Leaves out what begins in a range, of any partition.
    pub(super) fn leave_out(&mut self, range: &KeyRange) {
        self.0.retain(|(_, start), _| !range.contains(start));
    }

    /// All of it was found unchanged until a later time.
    pub(super) fn is_still_so(&mut self, at: Timestamp) {
        self.0.values_mut().for_each(|until| until.since = at);
    }

    pub(super) fn checks(&self) -> Vec<Unchanged> {
        let check = |((partition, start), until): (&(PartitionId, Key), &Until)| Unchanged {
            partition: *partition,
            range: KeyRange { start: start.clone(), end: until.end.clone() },
            since: until.since,
        };
        self.0.iter().map(check).collect()
    }

    /// Adds a range; with those that it touches it becomes one.
    fn join(&mut self, partition: PartitionId, range: &KeyRange, since: Timestamp) {
        let mut joined = (range.start.clone(), Until { end: range.end.clone(), since });
        while let Some(place) = self.touching(partition, range) {
            let Some(until) = self.0.remove(&place) else { break };
            joined.0 = joined.0.min(place.1);
            joined.1 = Until { end: joined.1.end.max(until.end), since: joined.1.since.min(until.since) };
        }
        self.0.insert((partition, joined.0), joined.1);
    }

    /// The last of the ranges in the same index that a range touches. An index ends where the next one begins.
    fn touching(&self, partition: PartitionId, range: &KeyRange) -> Option<(PartitionId, Key)> {
        let before = self.0.range(..=&(partition, range.end.clone())).rev();
        let mut same = before.filter(|(place, _)| place.0 == partition && index_of(&place.1) == index_of(&range.start));
        let (place, until) = same.next()?;
        (until.end >= range.start).then(|| place.clone())
    }

    /// One range for each index.
    fn cover(&mut self) {
        let mut covers: BTreeMap<(PartitionId, Vec<u8>), (Key, Until)> = BTreeMap::new();
        for ((partition, start), until) in std::mem::take(&mut self.0) {
            let index = index_of(&start).to_vec();
            let cover = covers.entry((partition, index)).or_insert_with(|| (start, until.clone()));
            let (end, since) = (cover.1.end.clone().max(until.end), cover.1.since.min(until.since));
            cover.1 = Until { end, since };
        }
        self.0 = covers.into_iter().map(|((partition, _), (start, until))| ((partition, start), until)).collect();
    }
}

fn index_of(key: &Key) -> &[u8] {
    let bytes = key.as_bytes();
    &bytes[..bytes.len().min(PREFIX_LEN)]
}

#[cfg(test)]
mod tests {
    use annulus_base::NamespaceId;

    use super::*;

    fn key(index: u32, name: &str) -> Key {
        Key::new(1, 1, index, name.as_bytes())
    }

    fn span(index: u32, start: &str, end: &str) -> Span {
        let partition = PartitionId::new(NamespaceId(1), 0);
        Span { partition, range: KeyRange { start: key(index, start), end: key(index, end) } }
    }

    fn shown(whole: &Whole) -> Vec<(Key, Key, u64)> {
        whole.checks().into_iter().map(|check| (check.range.start, check.range.end, check.since.0)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut whole = Whole::default();
        whole.add(&span(0, "c", "e"), Timestamp(5));
        whole.add(&span(0, "a", "b"), Timestamp(5));
        whole.add(&span(1, "a", "b"), Timestamp(5));
        let apart = [(key(0, "a"), key(0, "b"), 5), (key(0, "c"), key(0, "e"), 5), (key(1, "a"), key(1, "b"), 5)];
        assert_eq!(shown(&whole), apart);
        whole.add(&span(0, "d", "f"), Timestamp(4));
        whole.add(&span(0, "b", "c"), Timestamp(6));
        assert_eq!(shown(&whole), [(key(0, "a"), key(0, "f"), 4), (key(1, "a"), key(1, "b"), 5)]);
        whole.is_still_so(Timestamp(9));
        whole.leave_out(&KeyRange::of_index(1, 1, 1));
        assert_eq!(shown(&whole), [(key(0, "a"), key(0, "f"), 9)]);
        // An index that is next to another one is another one.
        whole.add(&Span { range: KeyRange::of_index(1, 1, 3), ..span(3, "", "") }, Timestamp(9));
        whole.add(&Span { range: KeyRange::of_index(1, 1, 2), ..span(2, "", "") }, Timestamp(9));
        whole.add(&span(2, "a", "b"), Timestamp(9));
        assert_eq!(shown(&whole).len(), 3);
        whole.leave_out(&KeyRange::of_index(1, 1, 2));
        whole.leave_out(&KeyRange::of_index(1, 1, 3));
        whole.add(&span(0, "aa", "b"), Timestamp(9));
        assert_eq!(shown(&whole), [(key(0, "a"), key(0, "f"), 9)]);
    }

    #[test]
    fn ranges_are_exact_as_long_as_they_are_not_too_many() {
        let mut whole = Whole::default();
        let nth = |n: usize| span(0, &format!("{n:03}"), &format!("{n:03}x"));
        assert!((0..MOST).all(|n| whole.add_exactly(&nth(n), Timestamp(7))));
        assert!(!whole.add_exactly(&nth(MOST), Timestamp(7)));
        assert!(whole.add_exactly(&span(0, "007x", "008"), Timestamp(7)), "two become one");
        assert!(whole.add_exactly(&nth(MOST), Timestamp(7)));
        assert_eq!(whole.checks().len(), MOST);
    }

    #[test]
    fn many_ranges_are_covered_by_one_for_each_index() {
        let mut whole = Whole::default();
        for n in 0..=MOST {
            whole.add(&span(n as u32 % 2, &format!("{n:03}"), &format!("{n:03}x")), Timestamp(7 + n as u64));
        }
        let last = format!("{MOST:03}x");
        let covers = [(key(0, "000"), key(0, &last), 7), (key(1, "001"), key(1, &format!("{:03}x", MOST - 1)), 8)];
        assert_eq!(shown(&whole), covers);
    }
}
