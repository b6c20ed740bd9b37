//! Comparing and merging what replicas answered.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_replica::message::{Answer, Found, RangeFound, ReadSet};
use annulus_replica::store::{Placed, Stamp};

/// Whether an answer has the form of the question; peers are not trusted to get this right.
pub(crate) fn fits(answer: &Answer, set: &ReadSet) -> bool {
    answer.keys.len() == set.keys.len()
        && answer.ranges.len() == set.ranges.len()
        && answer.keys.iter().zip(&set.keys).all(|(found, key)| found.key == *key)
        && answer
            .ranges
            .iter()
            .zip(&set.ranges)
            .all(|(found, (range, _))| found.range.start == range.start && found.range.end <= range.end)
}

/// The newest version timestamp in an answer.
pub(crate) fn newest(answer: &Answer) -> Timestamp {
    all(answer).map(|found| found.stamp.ts).max().unwrap_or_default()
}

fn all(answer: &Answer) -> impl Iterator<Item = &Found> {
    answer.keys.iter().chain(answer.ranges.iter().flat_map(|range| &range.found))
}

/// Whether two answers show the same versions, as far as both reach.
pub(crate) fn same(one: &Answer, other: &Answer) -> bool {
    let keys = one.keys.iter().zip(&other.keys).all(|(a, b)| a.stamp == b.stamp);
    keys && one.ranges.iter().zip(&other.ranges).all(|(a, b)| {
        let end = (&a.range.end).min(&b.range.end);
        within(a, end).map(stamped).eq(within(b, end).map(stamped))
    })
}

fn stamped(found: &Found) -> (&Key, Stamp) {
    (&found.key, found.stamp)
}

fn within<'a>(range: &'a RangeFound, end: &'a Key) -> impl Iterator<Item = &'a Found> {
    range.found.iter().filter(move |found| found.key < *end)
}

/// Whether all answers show the same versions, as far as they all reach.
pub(crate) fn all_equal<'a>(mut answers: impl Iterator<Item = &'a Answer>) -> bool {
    let Some(first) = answers.next() else { return true };
    answers.all(|answer| same(first, answer))
}

/// Cuts an answer's ranges to what all answers cover.
pub(crate) fn clip<'a>(mut answer: Answer, all: impl Iterator<Item = &'a Answer>) -> Answer {
    for other in all {
        for (range, other) in answer.ranges.iter_mut().zip(&other.ranges) {
            if other.range.end < range.range.end {
                range.range.end = other.range.end.clone();
            }
        }
    }
    for range in &mut answer.ranges {
        let end = range.range.end.clone();
        range.found.retain(|found| found.key < end);
    }
    answer
}

/// The newest of every key, as far as all answers reach.
pub(crate) fn merge<'a>(answers: impl Iterator<Item = &'a Answer>) -> Answer {
    let mut merged: Option<Answer> = None;
    for answer in answers {
        merged = Some(match merged {
            None => answer.clone(),
            Some(merged) => merge_two(merged, answer),
        });
    }
    merged.unwrap_or_default()
}

fn merge_two(mut one: Answer, other: &Answer) -> Answer {
    for (a, b) in one.keys.iter_mut().zip(&other.keys) {
        take_newer(a, b);
    }
    for (a, b) in one.ranges.iter_mut().zip(&other.ranges) {
        let end = a.range.end.clone().min(b.range.end.clone());
        let mut rows: BTreeMap<Key, Found> = BTreeMap::new();
        for found in within(a, &end).chain(within(b, &end)) {
            rows.entry(found.key.clone()).and_modify(|known| take_newer(known, found)).or_insert_with(|| found.clone());
        }
        *a = RangeFound { range: KeyRange { start: a.range.start.clone(), end }, found: rows.into_values().collect() };
    }
    one
}

/// Whether one answer shows a version at or below `old` of a key of which another one shows nothing at all. The key may
/// have been deleted, and its tombstone purged, between the two: no more than one of them was right at any time.
pub(crate) fn may_be_purged<'a>(answers: impl Iterator<Item = &'a Answer> + Clone, old: Timestamp) -> bool {
    let is_old = |found: &Found| found.stamp != Stamp::NONE && found.stamp.ts <= old;
    let of_key = |index: usize| answers.clone().filter_map(move |answer| answer.keys.get(index));
    let keys = answers.clone().map(|answer| answer.keys.len()).min().unwrap_or_default();
    let key = (0..keys).any(|index| of_key(index).any(is_old) && of_key(index).any(|found| found.stamp == Stamp::NONE));
    let of_range = |index: usize| answers.clone().filter_map(move |answer| answer.ranges.get(index));
    let ranges = answers.clone().map(|answer| answer.ranges.len()).min().unwrap_or_default();
    key || (0..ranges).any(|index| {
        let Some(end) = of_range(index).map(|range| &range.range.end).min() else { return false };
        // How many show a key, and whether one of them an old version.
        let mut shown: BTreeMap<&Key, (usize, bool)> = BTreeMap::new();
        for found in of_range(index).flat_map(|range| within(range, end)) {
            let (count, some_old) = shown.entry(&found.key).or_default();
            *count += 1;
            *some_old |= is_old(found);
        }
        let all = of_range(index).count();
        shown.values().any(|(count, some_old)| *some_old && *count < all)
    })
}

/// The newest of every key that is still shown by answers which were all asked for after `earlier` ones had come. What was
/// purged before one of the earlier ones is not shown by later ones, since all replicas had the tombstone by then.
pub(crate) fn merge_later<'a>(earlier: &'a [Answer], later: impl Iterator<Item = &'a Answer> + Clone) -> Answer {
    let shown = merge(later.clone());
    let mut merged = merge(earlier.iter().chain(later));
    for (found, shown) in merged.keys.iter_mut().zip(&shown.keys) {
        if shown.stamp == Stamp::NONE {
            found.clone_from(shown);
        }
    }
    for (range, shown) in merged.ranges.iter_mut().zip(&shown.ranges) {
        let shown: BTreeSet<&Key> = shown.found.iter().map(|found| &found.key).collect();
        range.found.retain(|found| shown.contains(&found.key));
    }
    merged
}

fn take_newer(known: &mut Found, other: &Found) {
    let more = other.stamp == known.stamp && known.version().is_none();
    if other.stamp > known.stamp || more {
        known.clone_from(other);
    }
}

/// Whether nothing in `answers` is newer than what `merged` has.
pub(crate) fn covers<'a>(merged: &Answer, mut answers: impl Iterator<Item = &'a Answer>) -> bool {
    answers.all(|answer| {
        let keys = answer.keys.iter().zip(&merged.keys).all(|(a, m)| a.stamp <= m.stamp);
        keys && answer.ranges.iter().zip(&merged.ranges).all(|(range, merged)| {
            let known: BTreeMap<&Key, Stamp> = merged.found.iter().map(stamped).collect();
            let end = &merged.range.end;
            within(range, end).all(|found| known.get(&found.key).is_some_and(|stamp| found.stamp <= *stamp))
        })
    })
}

/// The versions of `merged` that `answer` lacks.
pub(crate) fn missing(partition: PartitionId, answer: &Answer, merged: &Answer) -> Vec<Placed> {
    let has: BTreeMap<&Key, Stamp> = all(answer).map(stamped).collect();
    let lacking = all(merged).filter(|found| has.get(&found.key).is_none_or(|stamp| *stamp < found.stamp));
    let versions = lacking.filter_map(|found| Some((found.key.clone(), found.version()?)));
    versions.map(|(key, version)| Placed { partition, key, version }).collect()
}

#[cfg(test)]
mod tests {
    use annulus_base::TxnId;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new(1, 1, 0, name.as_bytes())
    }

    fn found(name: &str, ts: u64) -> Found {
        let stamp = Stamp { ts: Timestamp(ts), txn: TxnId::default() };
        Found { key: key(name), stamp, absent: false, value: Some(bytes::Bytes::from(ts.to_string())) }
    }

    fn range(end: &str, rows: Vec<Found>) -> Answer {
        let range = KeyRange { start: key("a"), end: key(end) };
        Answer { keys: Vec::new(), ranges: vec![RangeFound { range, found: rows }], ..Answer::default() }
    }

    #[test]
    fn ranges_are_compared_only_as_far_as_both_reach() {
        let short = range("c", vec![found("a", 1), found("b", 2)]);
        let long = range("z", vec![found("a", 1), found("b", 2), found("d", 9)]);
        assert!(same(&short, &long));
        assert!(!same(&range("z", vec![found("a", 1)]), &long));
        let clipped = clip(long.clone(), [short, long].iter());
        assert_eq!(clipped.ranges[0].found.len(), 2);
    }

    #[test]
    fn merging_takes_the_newest_of_each_key_and_knows_who_lacks_what() {
        let one = range("z", vec![found("a", 1), found("b", 5)]);
        let two = range("z", vec![found("a", 3), found("c", 2)]);
        let merged = merge([&one, &two].into_iter());
        let stamps: Vec<u64> = merged.ranges[0].found.iter().map(|found| found.stamp.ts.0).collect();
        assert_eq!(stamps, [3, 5, 2]);
        let partition = PartitionId::default();
        assert_eq!(missing(partition, &one, &merged).len(), 2);
        assert_eq!(missing(partition, &two, &merged).len(), 1);
        assert!(covers(&merged, [&one, &two].into_iter()));
        assert!(!covers(&one, [&two].into_iter()));
    }

    #[test]
    fn what_one_shows_and_another_does_not_may_be_purged_if_it_is_old() {
        let one = range("z", vec![found("a", 1), found("b", 5)]);
        let two = range("z", vec![found("a", 3)]);
        let suspect = |one: &Answer, other: &Answer, old: u64| may_be_purged([one, other].into_iter(), Timestamp(old));
        assert!(suspect(&one, &two, 5) && suspect(&two, &one, 5));
        assert!(!suspect(&one, &two, 4), "too young");
        assert!(!suspect(&one, &range("b", vec![found("a", 3)]), 5), "the other one does not reach it");
        let keys = |found: Vec<Found>| Answer { keys: found, ..Answer::default() };
        let none = Found { stamp: Stamp::NONE, absent: true, value: None, ..found("a", 0) };
        assert!(suspect(&keys(vec![found("a", 2)]), &keys(vec![none.clone()]), 2));
        assert!(!suspect(&keys(vec![none.clone()]), &keys(vec![none.clone()]), 2));
        assert!(!suspect(&keys(vec![found("a", 2)]), &keys(vec![found("a", 1)]), 2));
        // It is there if later answers show it still, and gone if not; a newer version that was seen counts.
        let earlier = [one.clone(), two.clone()];
        assert_eq!(merge_later(&earlier, [&one, &two].into_iter()), merge([&one, &two].into_iter()));
        let later = merge_later(&earlier, [&range("z", vec![found("a", 1)]), &two].into_iter());
        assert_eq!(later.ranges[0].found, [found("a", 3)]);
        let earlier = [keys(vec![found("a", 2)]), keys(vec![none.clone()])];
        assert_eq!(merge_later(&earlier, [&keys(vec![none.clone()])].into_iter()), keys(vec![none]));
    }

    #[test]
    fn answers_of_another_form_do_not_fit() {
        let set = ReadSet { keys: vec![key("a")], ranges: vec![] };
        assert!(!fits(&Answer::default(), &set));
        assert!(!fits(&Answer { keys: vec![found("b", 1)], ranges: vec![], ..Answer::default() }, &set));
        assert!(fits(&Answer { keys: vec![found("a", 1)], ranges: vec![], ..Answer::default() }, &set));
    }
}
