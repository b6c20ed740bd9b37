//! The store over every engine, against a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use annulus_base::rng::Rng;
use annulus_base::{Incarnation, Key, KeyRange, NamespaceId, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::store::{Limit, Placed, Stamp, Store, StoreError, Version};
use bytes::Bytes;

use super::VersionStore;
use crate::storage::engine::{Change, EVERYTHING, Engine, EngineKind, Order, Space, open};

fn each_engine(test: impl Fn(Arc<dyn Engine>)) {
    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        println!("{kind}");
        test(open(kind, &dir.path().join("engine"), 4 << 20).unwrap());
    }
}

fn key(n: u64) -> Key {
    // Some keys are others with zeros behind, which sort delicately.
    Key::new(1, 0, 0, &[&[n as u8 / 4][..], &[0; 3][..(n % 4) as usize]].concat())
}

fn stamp(ts: u64, sequence: u32) -> Stamp {
    let txn = TxnId { start: Timestamp(ts), node: NodeId(1), incarnation: Incarnation(1), sequence };
    Stamp { ts: Timestamp(ts), txn }
}

fn partition(n: u64) -> PartitionId {
    PartitionId::new(NamespaceId(1), n as u16)
}

fn placed(partition: PartitionId, key: &Key, stamp: Stamp, value: Option<&[u8]>) -> Placed {
    let value = value.map(Bytes::copy_from_slice);
    Placed { partition, key: key.clone(), version: Version { stamp, value } }
}

/// Versions by partition, key, and reversed stamp.
#[derive(Default)]
struct Model(BTreeMap<(PartitionId, Key), BTreeMap<Stamp, Option<Bytes>>>);

impl Model {
    fn read(&self, partition: PartitionId, key: &Key, at: Timestamp) -> Option<Version> {
        let versions = self.0.get(&(partition, key.clone()))?;
        let (stamp, value) = versions.iter().rev().find(|(stamp, _)| stamp.ts <= at)?;
        Some(Version { stamp: *stamp, value: value.clone() })
    }

    fn next_partition(&self, from: PartitionId) -> Option<PartitionId> {
        let filled = self.0.iter().filter(|(_, versions)| !versions.is_empty());
        filled.map(|((partition, _), _)| *partition).find(|partition| *partition >= from)
    }

    fn keys<'a>(&'a self, partition: PartitionId, range: &'a KeyRange) -> impl Iterator<Item = &'a Key> {
        let inside = move |place: &&(PartitionId, Key)| place.0 == partition && range.contains(&place.1);
        self.0.keys().filter(inside).map(|(_, key)| key)
    }

    fn scan(&self, partition: PartitionId, range: &KeyRange, at: Timestamp, mut limit: Limit) -> Vec<(Key, Version)> {
        let read = |key: &Key| Some((key.clone(), self.read(partition, key, at)?));
        let mut found = Vec::new();
        for (key, version) in self.keys(partition, range).filter_map(read) {
            if limit.is_used_up() {
                break;
            }
            limit.take(&key, &version);
            found.push((key, version));
        }
        found
    }

    fn history(&self, partition: PartitionId, range: &KeyRange, limit: Limit) -> Vec<(Key, Version)> {
        let mut found = Vec::new();
        for key in self.keys(partition, range) {
            if limit.is_used_up_by(&found) {
                break;
            }
            let versions = &self.0[&(partition, key.clone())];
            let version = |(stamp, value): (&Stamp, &Option<Bytes>)| {
                (key.clone(), Version { stamp: *stamp, value: value.clone() })
            };
            found.extend(versions.iter().rev().map(version));
        }
        found
    }
}

fn random_range(rng: &mut Rng) -> KeyRange {
    let mut ends = [key(rng.below(80)), key(rng.below(80))];
    ends.sort();
    let [start, end] = ends;
    match rng.below(4) {
        0 => KeyRange::of_index(1, 0, 0),
        1 => KeyRange { start: start.successor(), end: end.successor() },
        2 => KeyRange { end: start.successor(), start },
        _ => KeyRange { start, end },
    }
}

fn change(store: &mut VersionStore, model: &mut Model, rng: &mut Rng) {
    let (partition, key) = (partition(rng.below(2)), key(rng.below(80)));
    match rng.below(10) {
        0 => {
            store.erase(partition, &key).unwrap();
            model.0.remove(&(partition, key));
        }
        1 | 2 => {
            if let Some(versions) = model.0.get_mut(&(partition, key.clone())) {
                let stamps: Vec<_> = versions.keys().copied().filter(|_| rng.one_in(3)).collect();
                let places: Vec<_> = stamps.iter().map(|stamp| (partition, key.clone(), *stamp)).collect();
                store.remove(&places).unwrap();
                stamps.iter().for_each(|stamp| drop(versions.remove(stamp)));
            }
        }
        _ => {
            let few = if rng.one_in(8) { 30 } else { 3 };
            let versions: Vec<_> = (0..rng.between(1, few))
                .map(|_| {
                    let value = vec![rng.bits() as u8; rng.below(300) as usize];
                    let value = (!rng.one_in(4)).then_some(&value[..]);
                    placed(partition, &key, stamp(rng.below(200), rng.below(2) as u32), value)
                })
                // A version is never written with two values.
                .filter(|placed| model.read_exactly(placed).is_none())
                .collect();
            let mut unique = BTreeMap::new();
            versions.into_iter().for_each(|placed| drop(unique.insert(placed.version.stamp, placed)));
            for placed in unique.values() {
                let versions = model.0.entry((partition, key.clone())).or_default();
                versions.insert(placed.version.stamp, placed.version.value.clone());
            }
            let versions: Vec<_> = unique.into_values().collect();
            if rng.one_in(5) {
                store.apply(versions.clone()).unwrap();
            }
            store.apply(versions).unwrap();
        }
    }
}

impl Model {
    fn read_exactly(&self, placed: &Placed) -> Option<&Option<Bytes>> {
        self.0.get(&(placed.partition, placed.key.clone()))?.get(&placed.version.stamp)
    }
}

fn random_time(rng: &mut Rng) -> Timestamp {
    if rng.one_in(2) { Timestamp::MAX } else { Timestamp(rng.below(210)) }
}

#[test]
fn a_store_behaves_as_its_model() {
    each_engine(|engine| {
        for seed in 0..4 {
            let mut rng = Rng::new(seed);
            let mut model = Model::default();
            // Tiny, small and ample caches.
            let mut store = VersionStore::new(Arc::clone(&engine), [0, 2_000, 20_000, 1 << 20][seed as usize]);
            for _ in 0..600 {
                change(&mut store, &mut model, &mut rng);
                if rng.one_in(3) {
                    let mut keys: Vec<Key> = (0..rng.between(1, 20)).map(|_| key(rng.below(80))).collect();
                    keys.sort();
                    keys.dedup();
                    let partition = partition(rng.below(2));
                    let expected: Vec<_> = keys.iter().map(|key| model.read(partition, key, Timestamp::MAX)).collect();
                    let found = store.newest_of(partition, &keys.iter().collect::<Vec<_>>()).unwrap();
                    assert_eq!(found, expected);
                }
                for _ in 0..4 {
                    let (partition, key, at) = (partition(rng.below(2)), key(rng.below(80)), random_time(&mut rng));
                    assert_eq!(store.read(partition, &key, at).unwrap(), model.read(partition, &key, at));
                    assert_eq!(store.next_partition(partition).unwrap(), model.next_partition(partition));
                }
                if rng.one_in(5) {
                    let (partition, range, at) =
                        (partition(rng.below(2)), random_range(&mut rng), random_time(&mut rng));
                    let limit = Limit { versions: rng.below(60) as usize, bytes: rng.below(10_000) as usize };
                    assert_eq!(
                        store.scan(partition, &range, at, limit).unwrap(),
                        model.scan(partition, &range, at, limit)
                    );
                    assert_eq!(
                        store.history(partition, &range, limit).unwrap(),
                        model.history(partition, &range, limit)
                    );
                }
            }
            for (partition, key) in model.0.into_keys() {
                store.erase(partition, &key).unwrap();
            }
            assert_eq!(engine.first(Space::Versions, EVERYTHING).unwrap(), None);
        }
    });
}

#[test]
fn a_corrupt_record_is_never_served_and_can_be_replaced() {
    each_engine(|engine| {
        let mut store = VersionStore::new(Arc::clone(&engine), 1 << 20);
        let (p, k) = (partition(0), key(5));
        let good = placed(p, &k, stamp(7, 1), Some(b"good"));
        store.apply(vec![good.clone(), placed(p, &key(6), stamp(7, 1), Some(b"other"))]).unwrap();
        let (place, record) = engine.first(Space::Versions, EVERYTHING).unwrap().unwrap();
        let mut bad = record.to_vec();
        *bad.last_mut().unwrap() ^= 1;
        engine.write(vec![Change { space: Space::Versions, key: place, value: Some(bad.into()) }]).unwrap();
        let corrupt = StoreError::Corrupt { partition: p, key: k.clone() };
        let all = KeyRange::of_index(1, 0, 0);
        for at in [Timestamp::MAX, Timestamp(8)] {
            assert_eq!(store.read(p, &k, at), Err(corrupt.clone()));
            assert_eq!(store.scan(p, &all, at, Limit::versions(10)), Err(corrupt.clone()));
        }
        assert_eq!(store.newest_of(p, &[&k, &key(6)]), Err(corrupt.clone()));
        assert_eq!(store.history(p, &all, Limit::versions(10)), Err(corrupt));
        assert!(store.read(p, &key(6), Timestamp::MAX).is_ok());
        store.erase(p, &k).unwrap();
        assert_eq!(store.read(p, &k, Timestamp::MAX), Ok(None));
        store.apply(vec![good.clone()]).unwrap();
        assert_eq!(store.read(p, &k, Timestamp::MAX), Ok(Some(good.version)));
    });
}

#[test]
fn what_is_no_key_hides_and_erases_no_keys() {
    each_engine(|engine| {
        let mut store = VersionStore::new(engine, 1 << 20);
        let p = partition(0);
        let nothing = Key(Bytes::new());
        // Its place begins with a timestamp's bits flipped, and is between those of the two keys.
        let high = |n: u8| Key::new(0xf000_0000, 0, 0, &[n]);
        let between = stamp(1 << 62, 1);
        let (low, high) = (key(1), [high(1), high(2)]);
        let mut versions: Vec<Placed> = (1..20).map(|ts| placed(p, &low, stamp(ts, 1), Some(b"old"))).collect();
        versions.extend(high.iter().map(|key| placed(p, key, stamp(5, 1), Some(b"kept"))));
        store.apply(versions).unwrap();
        assert_eq!(store.read(p, &nothing, Timestamp::MAX), Ok(None));

        store.apply(vec![placed(p, &nothing, between, Some(b"nobody's"))]).unwrap();
        store.erase(p, &nothing).unwrap();
        let found = store.newest_of(p, &[&low, &high[0], &high[1]]).unwrap();
        let found: Vec<_> = found.into_iter().map(|version| version.unwrap().stamp.ts.0).collect();
        assert_eq!(found, [19, 5, 5]);
        let all = store.scan(p, &KeyRange::all(), Timestamp::MAX, Limit::NONE).unwrap();
        assert_eq!(all.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [low, high[0].clone(), high[1].clone()]);
    });
}

#[test]
fn keys_with_long_histories_are_scanned_by_seeking() {
    each_engine(|engine| {
        let mut store = VersionStore::new(engine, 0);
        let p = partition(0);
        for k in 0..3 {
            let versions = (1..=3_000).map(|ts| placed(p, &key(k * 4), stamp(ts, 0), Some(&ts.to_be_bytes())));
            store.apply(versions.collect()).unwrap();
        }
        for at in [1, 1_500, 3_000, 9_999] {
            let found = store.scan(p, &KeyRange::of_index(1, 0, 0), Timestamp(at), Limit::versions(10)).unwrap();
            assert_eq!(found.len(), 3);
            assert!(found.iter().all(|(_, version)| version.stamp.ts.0 == at.min(3_000)));
        }
    });
}

#[test]
fn many_versions_survive_a_checkpoint_and_a_restart() {
    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine");
        let engine = open(kind, &path, 1 << 20).unwrap();
        let mut store = VersionStore::new(Arc::clone(&engine), 1 << 20);
        for n in 0..80 {
            store.apply(vec![placed(partition(0), &key(n), stamp(n + 1, 0), Some(b"v"))]).unwrap();
        }
        engine.sync().unwrap();
        drop((engine, store));
        let engine = open(kind, &path, 1 << 20).unwrap();
        let stored = engine.snapshot().range(Space::Versions, EVERYTHING, Order::Reverse).count();
        assert_eq!(stored, 80);
        let mut store = VersionStore::new(engine, 1 << 20);
        let found = store.scan(partition(0), &KeyRange::of_index(1, 0, 0), Timestamp::MAX, Limit::NONE).unwrap();
        assert_eq!(found.len(), 80);
    }
}

/// Prints what the hot calls cost.
#[test]
#[ignore = "measures; run it alone with --nocapture"]
fn timing_of_hot_calls() {
    const N: u64 = 20_000;
    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(kind, &dir.path().join("engine"), 32 << 20).unwrap();
        let mut store = VersionStore::new(engine, 64 << 20);
        let keys: Vec<_> = (0..N).map(|n| Key::new(1, 0, 0, format!("account:{n:08}").as_bytes())).collect();
        let mut timed = |what: &str, call: &mut dyn FnMut(&mut VersionStore, &Key, u64)| {
            let began = Instant::now();
            keys.iter().zip(0..).for_each(|(key, n)| call(&mut store, key, n));
            println!("{kind}: {what}: {:?}", began.elapsed() / N as u32);
        };
        let p = partition(0);
        let read = |store: &mut VersionStore, key: &Key, _| drop(store.read(p, key, Timestamp::MAX).unwrap());
        timed("read of nothing", &mut { read });
        timed("read of a cached nothing", &mut { read });
        timed("apply", &mut |store, key, n| {
            store.apply(vec![placed(p, key, stamp(n + 1, 0), Some(&[7; 100]))]).unwrap()
        });
        timed("cached read", &mut { read });
        timed("erase", &mut |store, key, _| store.erase(p, key).unwrap());
        timed("apply of an uncached key", &mut |store, key, n| {
            store.apply(vec![placed(p, key, stamp(n + 1, 0), Some(&[7; 100]))]).unwrap();
        });
        timed("uncached read", &mut { read });
    }
}
