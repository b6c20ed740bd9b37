//! What clients do: small transactions over the interface of [`annulus_txn`], whose results can be checked.
//!
//! A [`Plan`] says what is fetched and how; [`Plan::commit`] computes from what was found what is written.

pub mod value;

use annulus_base::rng::Rng;
use annulus_base::{Key, KeyRange, NamespaceId, PartitionId, Timestamp};
use annulus_ring::DynamicNamespace;
use annulus_txn::interface::{Commit, Place, RangeCheck, Seen, SeenRange, Unchanged};

use crate::options::{Options, WorkOptions};
use crate::relational;

/// The namespace of all simulated data, unless it is in dynamic ones.
pub const NAMESPACE: NamespaceId = NamespaceId(1);
/// What a bank account holds that was never written.
pub const OPENING_BALANCE: i64 = 100;

/// A kind of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Reads some keys of any kind, at one instant.
    Read,
    /// Reads ranges, at one instant.
    Scan,
    /// Reads keys or ranges at a timestamp.
    Snapshot,
    /// Reads all accounts, at one instant.
    Audit,
    /// Writes registers without reading.
    Write,
    /// Reads registers and writes some of them.
    Modify,
    /// Moves money between two accounts.
    Transfer,
    /// Appends to lists.
    Append,
    /// Reads two keys, and writes one of them if both allow it.
    Skew,
    /// Adds one to a counter.
    Count,
    /// Reads a range and inserts or deletes a key in it.
    Insert,
    /// Asks what became of a transaction that committed long ago.
    Recall,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Scan,
        Self::Snapshot,
        Self::Audit,
        Self::Write,
        Self::Modify,
        Self::Transfer,
        Self::Append,
        Self::Skew,
        Self::Count,
        Self::Insert,
        Self::Recall,
    ];

    /// Whether it ends with a commit.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::Scan | Self::Snapshot | Self::Audit | Self::Recall)
    }
}

/// Which sort of key: the second part of every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Object {
    /// Overwritten without a rule.
    Register = 1,
    /// Money.
    Account = 2,
    /// Only ever grows at its end.
    List = 3,
    /// Two keys of which at most one may be taken.
    Pair = 4,
    /// Only ever grows by one.
    Counter = 5,
    /// Present or absent members of a set.
    Member = 6,
}

impl Object {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Register, Self::Account, Self::List, Self::Pair, Self::Counter, Self::Member];

    /// The sort of that number.
    #[must_use]
    pub fn named(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|object| *object as u8 == number)
    }

    /// What its keys are called by.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Register => 'r',
            Self::Account => 'a',
            Self::List => 'l',
            Self::Pair => 'p',
            Self::Counter => 'c',
            Self::Member => 'm',
        }
    }
}

/// Where the data lies: how many keys of each sort, over which partitions.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The partitions.
    pub partitions: Vec<PartitionId>,
    /// Number of keys of each sort.
    pub keys: u64,
}

impl Layout {
    /// The layout of these options.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let founding = |slot| PartitionId::new(NAMESPACE, slot);
        let partition = |slot| if options.dynamic { dynamic(slot, options.replication) } else { founding(slot) };
        let mut partitions: Vec<_> = (0..options.partitions).map(partition).collect();
        if options.relational {
            partitions.extend(relational::home(options.slots, options.replication).partitions());
        }
        Self { partitions, keys: options.work.keys }
    }

    /// The `number`-th key of a sort.
    #[must_use]
    pub fn place(&self, object: Object, number: u64) -> Place {
        let partition = self.partitions[((number + object as u64) % self.partitions.len() as u64) as usize];
        let key = Key::new(0, object as u32, 0, &(number as u16).to_be_bytes());
        Place { partition, key }
    }

    /// All keys of a sort.
    pub fn all(&self, object: Object) -> impl Iterator<Item = Place> {
        (0..self.count(object)).map(move |number| self.place(object, number))
    }

    fn count(&self, object: Object) -> u64 {
        match object {
            Object::Account => self.keys.max(2),
            Object::Pair => self.keys.div_ceil(2) * 2,
            Object::Member => self.keys * 2,
            _ => self.keys,
        }
    }
}

/// The range of a sort's keys in a partition.
#[must_use]
pub fn range_of(object: Object) -> KeyRange {
    KeyRange::of_index(0, object as u32, 0)
}

/// The n-th partition of namespaces made at run time: slots of one `BY KEY`, and in between some `BY NAME`.
fn dynamic(n: u16, replication: u8) -> PartitionId {
    let of = |number, slots| DynamicNamespace::new(u32::from(number), slots, replication);
    let partition = if n.is_multiple_of(2) {
        of(0, 8).map(|by_key| PartitionId::new(by_key.id(), n))
    } else {
        of(n, 1).map(DynamicNamespace::first_partition)
    };
    partition.expect("few partitions, and replicas as in the founding")
}

/// How a plan gets at the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Nothing is read.
    Nothing,
    /// The latest versions.
    Latest,
    /// The versions at a timestamp that the client chooses when it begins.
    Snapshot,
    /// The latest versions, under soft locks.
    Lock {
        /// Refused rather than waiting.
        nowait: bool,
    },
}

/// One transaction that a client is about to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its kind.
    pub kind: Kind,
    /// How it reads.
    pub fetch: Fetch,
    /// Keys that it reads (or writes without reading).
    pub keys: Vec<Place>,
    /// Ranges that it reads, each with the most keys wanted.
    pub ranges: Vec<(PartitionId, KeyRange, u32)>,
    /// Decides whatever else is to decide.
    pub dice: u64,
}

impl Plan {
    /// A plan, by the weights of the options.
    pub fn random(options: &WorkOptions, layout: &Layout, rng: &mut Rng) -> Self {
        let kind = pick_kind(options, rng);
        let (keys, ranges) = targets(kind, layout, rng);
        Self { kind, fetch: fetch(kind, options, rng), keys, ranges, dice: rng.bits() }
    }

    /// What to commit after these were found; `None`: nothing, the transaction ends here. `entry` marks
    /// the values.
    #[must_use]
    pub fn commit(&self, seen: &[Seen], ranges: &[SeenRange], entry: u64) -> Option<Commit> {
        let writes = self.writes(seen, ranges, entry)?;
        let reads = self.keys.iter().cloned().zip(seen.iter().map(|seen| seen.stamp)).collect();
        let ranges = ranges.iter().map(check_of).collect();
        Some(Commit { reads, ranges, writes, ..Commit::default() })
    }

    fn writes(&self, seen: &[Seen], ranges: &[SeenRange], entry: u64) -> Option<Vec<(Place, Option<bytes::Bytes>)>> {
        let found = |at: usize| seen.get(at).and_then(|seen| seen.value.as_ref());
        let number = |at: usize| value::number_in(found(at));
        let chosen = |at: usize| self.dice >> (at % 64) & 1 == 1;
        let written = |at: usize, to: i64| (self.keys[at].clone(), Some(value::number(entry, to)));
        let places = self.keys.iter().enumerate();
        let writes: Vec<_> = match self.kind {
            Kind::Read | Kind::Scan | Kind::Snapshot | Kind::Audit | Kind::Recall => return None,
            Kind::Write | Kind::Modify => places
                .filter(|(at, _)| *at == 0 || chosen(*at))
                // A register is deleted now and then.
                .map(|(at, place)| {
                    (place.clone(), (!chosen(at + 8) || chosen(at + 9)).then(|| value::number(entry, at as i64)))
                })
                .collect(),
            Kind::Transfer => {
                let amount = (self.dice % 10) as i64 + 1;
                let balance = |at| number(at).unwrap_or(OPENING_BALANCE);
                vec![written(0, balance(0) - amount), written(1, balance(1) + amount)]
            }
            Kind::Append => places
                .map(|(at, place)| (place.clone(), Some(value::list(entry, value::list_in(found(at)), entry))))
                .collect(),
            Kind::Skew => {
                let taken = |at| number(at).unwrap_or(0) == 1;
                let mine = (self.dice & 1) as usize;
                if taken(0) || taken(1) { vec![written(0, 0), written(1, 0)] } else { vec![written(mine, 1)] }
            }
            Kind::Count => vec![written(0, number(0).unwrap_or(0) + 1)],
            Kind::Insert => {
                let place = self.keys.first()?;
                let present = ranges.iter().flat_map(|range| &range.rows).any(|(key, _)| *key == place.key);
                vec![(place.clone(), (!present).then(|| value::number(entry, 0)))]
            }
        };
        Some(writes)
    }

    /// Whether the keys are read (and so validated), not only written.
    #[must_use]
    pub fn reads_keys(&self) -> bool {
        !matches!(self.kind, Kind::Insert | Kind::Write)
    }
}

/// The same commit, of a transaction that has read all at a snapshot and tells only where.
#[must_use]
pub fn unchanged_since(commit: Commit, since: Timestamp) -> Commit {
    let keys = commit
        .reads
        .into_iter()
        .map(|(place, _)| (place.partition, KeyRange { end: place.key.successor(), start: place.key }));
    let ranges = commit.ranges.into_iter().map(|check| (check.partition, check.range));
    let all = keys.chain(ranges).map(|(partition, range)| Unchanged { partition, range, since });
    Commit { unchanged: all.collect(), writes: commit.writes, ..Commit::default() }
}

/// What a range held, to be validated.
pub fn check_of(seen: &SeenRange) -> RangeCheck {
    let rows = seen.rows.iter().map(|(key, seen)| (key.clone(), seen.stamp)).collect();
    RangeCheck { partition: seen.partition, range: seen.range.clone(), rows }
}

fn pick_kind(options: &WorkOptions, rng: &mut Rng) -> Kind {
    let total: u64 = options.weights.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.below(total);
    for (kind, weight) in &options.weights {
        if left < *weight {
            return *kind;
        }
        left -= weight;
    }
    Kind::Read
}

fn fetch(kind: Kind, options: &WorkOptions, rng: &mut Rng) -> Fetch {
    match kind {
        Kind::Write | Kind::Recall => Fetch::Nothing,
        Kind::Snapshot => Fetch::Snapshot,
        Kind::Read | Kind::Scan | Kind::Audit => Fetch::Latest,
        _ if kind != Kind::Insert && rng.below(100) < options.lock_odds => Fetch::Lock { nowait: rng.one_in(4) },
        _ if rng.below(100) < options.snapshot_odds => Fetch::Snapshot,
        _ => Fetch::Latest,
    }
}

type Targets = (Vec<Place>, Vec<(PartitionId, KeyRange, u32)>);

fn targets(kind: Kind, layout: &Layout, rng: &mut Rng) -> Targets {
    let keys = match kind {
        Kind::Read => any_keys(layout, rng),
        Kind::Recall => Vec::new(),
        Kind::Audit => layout.all(Object::Account).collect(),
        Kind::Snapshot if rng.one_in(3) => return (Vec::new(), ranges(layout, rng)),
        Kind::Snapshot => any_keys(layout, rng),
        Kind::Scan => return (Vec::new(), ranges(layout, rng)),
        Kind::Write | Kind::Modify => some_of(layout, Object::Register, 3, rng),
        Kind::Append => some_of(layout, Object::List, 3, rng),
        Kind::Transfer => {
            let mut accounts: Vec<_> = layout.all(Object::Account).collect();
            rng.shuffle(&mut accounts);
            accounts.truncate(2);
            accounts
        }
        Kind::Skew => {
            let first = rng.below(layout.keys.div_ceil(2)) * 2;
            vec![layout.place(Object::Pair, first), layout.place(Object::Pair, first + 1)]
        }
        Kind::Count => some_of(layout, Object::Counter, 1, rng),
        Kind::Insert => {
            let place = some_of(layout, Object::Member, 1, rng);
            let range = place.iter().map(|place| (place.partition, range_of(Object::Member), 1_000));
            let range = range.collect();
            return (place, range);
        }
    };
    (keys, Vec::new())
}

fn some_of(layout: &Layout, object: Object, most: u64, rng: &mut Rng) -> Vec<Place> {
    let mut all: Vec<_> = layout.all(object).collect();
    rng.shuffle(&mut all);
    all.truncate(rng.between(1, most) as usize);
    all
}

fn any_keys(layout: &Layout, rng: &mut Rng) -> Vec<Place> {
    let object = *rng.pick(&Object::ALL).unwrap_or(&Object::Register);
    if rng.one_in(3) {
        return layout.all(object).collect();
    }
    if rng.one_in(3) {
        return Object::ALL.iter().flat_map(|object| some_of(layout, *object, 1, rng)).collect();
    }
    some_of(layout, object, 4, rng)
}

fn ranges(layout: &Layout, rng: &mut Rng) -> Vec<(PartitionId, KeyRange, u32)> {
    let object = if rng.one_in(2) { Object::Member } else { *rng.pick(&Object::ALL).unwrap_or(&Object::Member) };
    let limit = if rng.one_in(4) { rng.between(1, 3) as u32 } else { 1_000 };
    let everywhere = rng.one_in(2);
    let all = &layout.partitions;
    let partitions = if everywhere { all.clone() } else { rng.pick(all).copied().into_iter().collect() };
    partitions.into_iter().map(|partition| (partition, range_of(object), limit)).collect()
}

/// A timestamp to read at: around a clock, or beside a timestamp that was committed.
pub fn snapshot_timestamp(clock: Timestamp, committed: &[Timestamp], rng: &mut Rng) -> Timestamp {
    match (rng.below(6), rng.pick(committed)) {
        (0, Some(ts)) => *ts,
        (1, Some(ts)) => ts.previous(),
        (2, Some(ts)) => ts.next(),
        (3, _) => clock.minus(rng.below(1_000_000)),
        (4, _) => clock.plus(rng.below(200_000)),
        _ => clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annulus_replica::store::Stamp;

    fn layout() -> Layout {
        let partitions = [0, 1].map(|slot| PartitionId::new(NAMESPACE, slot));
        Layout { partitions: partitions.to_vec(), keys: 3 }
    }

    fn plan(kind: Kind, keys: Vec<Place>) -> Plan {
        Plan { kind, fetch: Fetch::Latest, keys, ranges: Vec::new(), dice: 5 }
    }

    #[test]
    fn transfers_keep_the_sum() {
        let accounts: Vec<_> = layout().all(Object::Account).take(2).collect();
        let seen = [7, -7].map(|n| Seen { stamp: Stamp::NONE, value: Some(value::number(1, n)) });
        let commit = plan(Kind::Transfer, accounts).commit(&seen, &[], 2).unwrap();
        let sum: i64 = commit.writes.iter().filter_map(|(_, value)| value::number_in(value.as_ref())).sum();
        assert_eq!((sum, commit.reads.len()), (0, 2));
    }

    #[test]
    fn keys_of_a_sort_are_distinct_and_within_their_partitions_range() {
        for object in Object::ALL {
            let places: Vec<_> = layout().all(object).collect();
            assert!(places.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(places.iter().all(|place| range_of(object).contains(&place.key)));
        }
    }
}
