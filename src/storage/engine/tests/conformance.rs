//! What every engine must do, checked against a map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use annulus_base::rng::Rng;
use bytes::Bytes;

use super::{all, delete, put, range};
use crate::storage::engine::{Change, EVERYTHING, Engine, EngineKind, Order, Snapshot, Space, destroy, open};

const CACHE: u64 = 4 << 20;

fn each_engine(test: impl Fn(EngineKind, &Path)) {
    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        println!("{kind}");
        test(kind, &dir.path().join("engine"));
    }
}

fn reopen(engine: Arc<dyn Engine>, path: &Path) -> Arc<dyn Engine> {
    let kind = engine.kind();
    assert_eq!(Arc::strong_count(&engine), 1);
    drop(engine);
    open(kind, path, CACHE).unwrap()
}

type Model = BTreeMap<Bytes, Bytes>;

fn random_key(rng: &mut Rng) -> Vec<u8> {
    let mut key = vec![rng.below(4) as u8; rng.between(1, 3) as usize];
    key.extend_from_slice(&(rng.below(300) as u16).to_be_bytes());
    key
}

fn random_batch(rng: &mut Rng, model: &mut Model) -> Vec<Change> {
    let mut batch = Vec::new();
    for _ in 0..rng.between(1, 30) {
        let key = random_key(rng);
        let change =
            if rng.one_in(3) { delete(&key) } else { put(&key, &vec![rng.bits() as u8; rng.below(200) as usize]) };
        match &change.value {
            Some(value) => model.insert(change.key.clone(), value.clone()),
            None => model.remove(&change.key),
        };
        batch.push(change);
    }
    batch
}

fn random_bound<'a>(rng: &mut Rng, key: &'a [u8]) -> Bound<&'a [u8]> {
    match rng.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

fn check(snapshot: &dyn Snapshot, model: &Model, rng: &mut Rng) {
    let (low, high) = (random_key(rng), random_key(rng));
    let (start, end) = if low < high { (low, high) } else { (high, low) };
    let bounds = (random_bound(rng, &start), random_bound(rng, &end));
    let inside = || model.range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone()));
    if start != end {
        assert_eq!(range(snapshot, bounds, Order::Forward), inside().collect::<Vec<_>>());
        assert_eq!(range(snapshot, bounds, Order::Reverse), inside().rev().collect::<Vec<_>>());
    }
    let key = random_key(rng);
    assert_eq!(snapshot.get(Space::Versions, &key).unwrap().as_ref(), model.get(&key[..]));
}

#[test]
fn an_engine_behaves_as_a_map_with_snapshots() {
    each_engine(|kind, path| {
        let mut rng = Rng::new(7);
        let mut engine = open(kind, path, CACHE).unwrap();
        assert_eq!(engine.kind(), kind);
        let mut model = Model::new();
        for round in 0..8 {
            let mut held: Vec<(Box<dyn Snapshot>, Model)> = Vec::new();
            for _ in 0..40 {
                engine.write(random_batch(&mut rng, &mut model)).unwrap();
                if rng.one_in(4) {
                    held.push((engine.snapshot(), model.clone()));
                }
                if rng.one_in(6) && !held.is_empty() {
                    held.swap_remove(rng.below(held.len() as u64) as usize);
                }
                check(&*engine.snapshot(), &model, &mut rng);
                for (snapshot, model) in &held {
                    check(&**snapshot, model, &mut rng);
                }
                let key = random_key(&mut rng);
                assert_eq!(engine.get(Space::Versions, &key).unwrap().as_ref(), model.get(&key[..]));
                let bounds = (Bound::Included(&key[..]), Bound::Unbounded);
                let first = model.range::<[u8], _>(bounds).next().map(|(key, value)| (key.clone(), value.clone()));
                assert_eq!(engine.first(Space::Versions, bounds).unwrap(), first);
            }
            drop(held);
            engine.sync().unwrap();
            if round % 2 == 1 {
                engine = reopen(engine, path);
            }
        }
    });
}

#[test]
fn an_iteration_does_not_see_writes_made_meanwhile() {
    each_engine(|kind, path| {
        let engine = open(kind, path, CACHE).unwrap();
        let key = |n: u32| n.to_be_bytes();
        let old: Vec<_> = (0..2_000).map(|n| put(&key(n * 2), b"old")).collect();
        engine.write(old.clone()).unwrap();
        for order in [Order::Forward, Order::Reverse] {
            let snapshot = engine.snapshot();
            let mut entries = snapshot.range(Space::Versions, EVERYTHING, order);
            let mut seen = Vec::new();
            for step in 0.. {
                let Some(entry) = entries.next() else { break };
                seen.push(entry.unwrap());
                let n = step % 4_000;
                let change = if n % 2 == 0 { delete(&key(3_999 - n)) } else { put(&key(n), b"new") };
                engine.write(vec![change]).unwrap();
            }
            if order == Order::Reverse {
                seen.reverse();
            }
            let expected: Vec<_> = old.iter().map(|put| (put.key.clone(), put.value.clone().unwrap())).collect();
            assert_eq!(seen, expected);
            drop(entries);
            engine.write((0..4_000).map(|n| delete(&key(n))).collect()).unwrap();
            engine.write(old.clone()).unwrap();
        }
    });
}

#[test]
fn spaces_are_apart() {
    each_engine(|kind, path| {
        let engine = open(kind, path, CACHE).unwrap();
        let both = Space::ALL.map(|space| Change { space, ..put(b"k", space.name().as_bytes()) });
        engine.write(both.to_vec()).unwrap();
        let snapshot = engine.snapshot();
        for space in Space::ALL {
            assert_eq!(engine.get(space, b"k").unwrap().unwrap(), space.name());
            assert_eq!(all(snapshot.range(space, EVERYTHING, Order::Reverse)).len(), 1);
        }
    });
}

#[test]
fn bounds_without_anything_between_are_empty() {
    each_engine(|kind, path| {
        let engine = open(kind, path, CACHE).unwrap();
        engine.write(vec![put(b"a", b""), put(b"b", b"")]).unwrap();
        let snapshot = engine.snapshot();
        let (a, b) = (&b"a"[..], &b"b"[..]);
        for bounds in [
            (Bound::Included(b), Bound::Included(a)),
            (Bound::Excluded(a), Bound::Excluded(a)),
            (Bound::Excluded(a), Bound::Included(a)),
            (Bound::Included(a), Bound::Excluded(a)),
        ] {
            assert_eq!(range(&*snapshot, bounds, Order::Forward), []);
            assert_eq!(range(&*snapshot, bounds, Order::Reverse), []);
            assert_eq!(engine.first(Space::Versions, bounds).unwrap(), None);
        }
    });
}

#[test]
fn large_values_and_sizes_on_disk() {
    each_engine(|kind, path| {
        let mut engine = open(kind, path, CACHE).unwrap();
        let mut rng = Rng::new(1);
        let value: Vec<u8> = (0..annulus_base::limits::MAX_VALUE_LEN).map(|_| rng.bits() as u8).collect();
        engine.write(vec![put(b"large", &value), put(b"empty", b"")]).unwrap();
        engine.sync().unwrap();
        engine = reopen(engine, path);
        assert_eq!(engine.get(Space::Versions, b"large").unwrap().unwrap(), value);
        assert_eq!(engine.get(Space::Versions, b"empty").unwrap().unwrap(), "");
        assert!(engine.disk_bytes().unwrap() >= value.len() as u64);
    });
}

#[test]
fn a_destroyed_engine_is_empty_when_opened_again() {
    each_engine(|kind, path| {
        let engine = open(kind, path, CACHE).unwrap();
        engine.write(vec![put(b"k", b"v")]).unwrap();
        engine.sync().unwrap();
        drop(engine);
        destroy(path).unwrap();
        destroy(path).unwrap();
        let engine = open(kind, path, CACHE).unwrap();
        assert_eq!(engine.get(Space::Versions, b"k").unwrap(), None);
    });
}

#[test]
fn engines_are_chosen_by_name() {
    for kind in EngineKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert!("rocksdb".parse::<EngineKind>().unwrap_err().contains("choose fjall"));
}
