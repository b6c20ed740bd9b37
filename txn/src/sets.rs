//! From what a request names to what is asked of each partition, and back.

use std::collections::BTreeMap;

use annulus_base::{Key, KeyRange, PartitionId};
use annulus_replica::message::{Answer, RangeFound, ReadSet};
use annulus_replica::store::Stamp;

use crate::interface::{Commit, Place, RangeCheck, Seen, SeenRange, TxnError};
use crate::lock::LockOp;
use crate::member::Reply;
use crate::read::ReadOp;
use crate::standing::Standing;

/// Where in the answers the result of one asked key or range is.
pub(crate) type Position = (usize, usize);

/// How the answers become the reply to a read or a scan.
#[derive(Debug)]
pub(crate) enum Shape {
    Keys(Vec<Position>),
    Ranges(Vec<(PartitionId, Position)>),
    Standings(Vec<Position>),
    /// Of all ranges together.
    Unsettled,
}

impl Shape {
    pub(crate) fn reply(&self, answers: Result<Vec<Answer>, TxnError>) -> Reply {
        match self {
            Self::Keys(positions) => Reply::Read(answers.map(|answers| {
                let found = positions.iter().filter_map(|(part, index)| answers.get(*part)?.keys.get(*index));
                found.map(seen_of).collect()
            })),
            Self::Ranges(positions) => Reply::Scan(answers.map(|mut answers| {
                let found = positions.iter().filter_map(|(partition, (part, index))| {
                    Some(seen_range(*partition, answers.get_mut(*part)?.ranges.get_mut(*index)?))
                });
                found.collect()
            })),
            Self::Standings(_) => Reply::Standing(answers.map(|_| Vec::new())),
            Self::Unsettled => Reply::Unsettled(answers.map(|_| None)),
        }
    }

    /// The reply to who asked how ranges stand; the standings come by part and range.
    pub(crate) fn stands(&self, standings: &[Vec<Standing>]) -> Reply {
        let Self::Standings(positions) = self else { return self.reply(Err(TxnError::Overloaded)) };
        let found = positions.iter().filter_map(|(part, index)| standings.get(*part)?.get(*index));
        Reply::Standing(Ok(found.cloned().collect()))
    }
}

/// What an answer has of a range, taken from it.
fn seen_range(partition: PartitionId, found: &mut RangeFound) -> SeenRange {
    let present = std::mem::take(&mut found.found).into_iter().filter(|row| !row.absent);
    let rows = present.map(|row| (row.key, Seen { stamp: row.stamp, value: row.value }));
    SeenRange { partition, range: found.range.clone(), rows: rows.collect() }
}

pub(crate) fn seen_of(found: &annulus_replica::message::Found) -> Seen {
    Seen { stamp: found.stamp, value: found.value.clone() }
}

/// Groups items by partition; tells for each where it went.
fn group<T: PartialEq>(items: impl Iterator<Item = (PartitionId, T)>) -> (Vec<(PartitionId, Vec<T>)>, Vec<Position>) {
    let mut parts: Vec<(PartitionId, Vec<T>)> = Vec::new();
    let mut index: BTreeMap<PartitionId, usize> = BTreeMap::new();
    let mut positions = Vec::new();
    for (partition, item) in items {
        let part = *index.entry(partition).or_insert_with(|| {
            parts.push((partition, Vec::new()));
            parts.len() - 1
        });
        parts[part].1.push(item);
        positions.push((part, parts[part].1.len() - 1));
    }
    (parts, positions)
}

/// What is asked of each partition for ranges, each with the most keys to return; tells for each where it went.
pub(crate) fn of_ranges(
    ranges: impl Iterator<Item = (PartitionId, (KeyRange, u32))>,
) -> (Vec<(PartitionId, ReadSet)>, Vec<Position>) {
    let (sets, positions) = group(ranges);
    let set = |(partition, ranges)| (partition, ReadSet { keys: Vec::new(), ranges });
    (sets.into_iter().map(set).collect(), positions)
}

/// Groups keys by partition; tells for each where it went.
pub(crate) fn by_partition<'a>(
    keys: impl Iterator<Item = (PartitionId, &'a Key)>,
) -> (Vec<(PartitionId, Vec<Key>)>, Vec<Position>) {
    group(keys.map(|(partition, key)| (partition, key.clone())))
}

/// Where each asked key is among the sorted keys of `sets`.
pub(crate) fn positions(asked: &[Place], sets: &[(PartitionId, Vec<Key>)]) -> Vec<Position> {
    let find = |place: &Place| {
        let part = sets.iter().position(|(partition, _)| *partition == place.partition)?;
        Some((part, sets[part].1.binary_search(&place.key).ok()?))
    };
    asked.iter().filter_map(find).collect()
}

/// What a commit that the lock of `key` refused locks, to stand in line for it: the keys that it writes, or else those that
/// it reads. There is no line for one that reads only ranges, nor for one that `holds` its locks and only reads the key.
pub(crate) fn line_for(commit: &Commit, holds: bool, key: &Key) -> Option<Vec<(PartitionId, Vec<Key>)>> {
    let read = commit.reads.iter().map(|(place, _)| place);
    let mut places: Vec<&Place> = commit.writes.iter().map(|(place, _)| place).collect();
    // A key that is only read is shared by many (a descriptor, say): locking it would line them all up.
    if places.is_empty() {
        places = read.collect();
    }
    places.sort();
    places.dedup();
    let stands = if holds { places.iter().any(|place| place.key == *key) } else { !places.is_empty() };
    stands.then(|| by_partition(places.into_iter().map(|place| (place.partition, &place.key))).0)
}

/// A key that was read in an older version than the lock request found.
pub(crate) fn changed(commit: &Commit, lock: &LockOp, answers: &[Answer]) -> Option<Key> {
    let found: BTreeMap<(PartitionId, &Key), Stamp> = lock
        .sets()
        .zip(answers)
        .flat_map(|((partition, _), answer)| {
            answer.keys.iter().map(move |found| ((partition, &found.key), found.stamp))
        })
        .collect();
    let newer =
        |(place, seen): &&(Place, Stamp)| found.get(&(place.partition, &place.key)).is_some_and(|stamp| stamp > seen);
    commit.reads.iter().find(newer).map(|(place, _)| place.key.clone())
}

/// The commit that proves a read: everything it saw is still the newest.
pub(crate) fn validation(read: &ReadOp, answers: &[Answer]) -> Commit {
    let mut commit = Commit::default();
    for ((partition, _), answer) in read.sets().zip(answers) {
        let keys = answer.keys.iter().map(|found| (Place { partition, key: found.key.clone() }, found.stamp));
        commit.reads.extend(keys);
        commit.ranges.extend(answer.ranges.iter().map(|found| RangeCheck {
            partition,
            range: found.range.clone(),
            rows: found.found.iter().filter(|row| !row.absent).map(|row| (row.key.clone(), row.stamp)).collect(),
        }));
    }
    commit
}
