//! Who wrote which version: the transactions' keys and versions, numbered, and what is wrong about them
//! without looking at any order.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Fate, Id, Order, Txn};
use crate::verdict::{Anomaly, Verdict};

/// One version of one key.
pub(super) struct Version {
    /// Who wrote it; `None` if it was there before.
    pub(super) writer: Option<u32>,
    /// Whether it holds a value.
    pub(super) present: bool,
}

/// All versions, those of one key together and in order.
pub(super) struct Versions<'a, K, V> {
    /// The keys in order, each with the positions of its versions.
    pub(super) keys: Vec<(&'a K, Range<usize>)>,
    /// The versions by position.
    pub(super) all: Vec<Version>,
    /// Whether each transaction committed.
    pub(super) committed: Vec<bool>,
    key_numbers: BTreeMap<&'a K, u32>,
    positions: BTreeMap<(u32, &'a V), usize>,
}

impl<'a, K: Id, V: Id> Versions<'a, K, V> {
    /// Numbers everything, and finds lost, torn, aborted and doubled writes.
    pub(super) fn of(txns: &'a [Txn<K, V>], order: &'a Order<K, V>) -> Result<Self, Verdict> {
        let mut versions = Self {
            keys: Vec::new(),
            all: Vec::new(),
            committed: txns.iter().map(|txn| txn.fate == Fate::Committed).collect(),
            key_numbers: BTreeMap::new(),
            positions: BTreeMap::new(),
        };
        for (key, list) in order {
            versions.add_key(key, list)?;
        }
        for (id, txn) in txns.iter().enumerate() {
            versions.add_writes(id, txn)?;
        }
        Ok(versions)
    }

    /// The number of a key that has versions.
    pub(super) fn key(&self, key: &K) -> Option<u32> {
        self.key_numbers.get(key).copied()
    }

    /// Where a version stands.
    pub(super) fn position(&self, key: &K, version: &V) -> Option<usize> {
        self.positions.get(&(self.key(key)?, version)).copied()
    }

    /// The next version of the same key from a position on that a known transaction wrote, with its writer.
    pub(super) fn next_writer(&self, key: u32, from: usize) -> Option<u32> {
        (from..self.keys[key as usize].1.end).find_map(|position| self.all[position].writer)
    }

    fn add_key(&mut self, key: &'a K, list: &'a [V]) -> Result<(), Verdict> {
        let number = self.keys.len() as u32;
        let start = self.all.len();
        for version in list {
            if self.positions.insert((number, version), self.all.len()).is_some() {
                let why = format!("version {version:?} of key {key:?} exists twice");
                return Err(Verdict::invalid(Anomaly::Duplicate, [], [format!("{key:?}")], why));
            }
            self.all.push(Version { writer: None, present: true });
        }
        self.keys.push((key, start..self.all.len()));
        self.key_numbers.insert(key, number);
        Ok(())
    }

    fn add_writes(&mut self, id: usize, txn: &Txn<K, V>) -> Result<(), Verdict> {
        let exists = |write: &super::Write<K, V>| self.position(&write.key, &write.version).is_some();
        let Some(first) = txn.writes.iter().find(|write| exists(write)) else {
            return match txn.writes.first() {
                Some(write) if txn.fate == Fate::Committed => Err(missing(id, write, Anomaly::LostWrite)),
                _ => Ok(()),
            };
        };
        if txn.fate == Fate::Aborted {
            let (key, version) = (format!("{:?}", first.key), &first.version);
            let why = format!("T{id} aborted, but its version {version:?} of key {key} exists");
            return Err(Verdict::invalid(Anomaly::G1a, [id], [key], why));
        }
        if let Some(write) = txn.writes.iter().find(|write| !exists(write)) {
            let kind = if txn.fate == Fate::Committed { Anomaly::LostWrite } else { Anomaly::Torn };
            return Err(missing(id, write, kind));
        }
        self.committed[id] = true;
        for write in &txn.writes {
            self.add_write(id, write)?;
        }
        Ok(())
    }

    fn add_write(&mut self, id: usize, write: &super::Write<K, V>) -> Result<(), Verdict> {
        let Some(position) = self.position(&write.key, &write.version) else { return Ok(()) };
        if let Some(other) = self.all[position].writer {
            let (key, version) = (format!("{:?}", write.key), &write.version);
            let why = format!("T{other} and T{id} both wrote version {version:?} of key {key}");
            return Err(Verdict::invalid(Anomaly::Duplicate, [other as usize, id], [key], why));
        }
        self.all[position] = Version { writer: Some(id as u32), present: write.present };
        Ok(())
    }
}

fn missing<K: Id, V: Id>(id: usize, write: &super::Write<K, V>, kind: Anomaly) -> Verdict {
    let (key, version) = (format!("{:?}", write.key), &write.version);
    let why = if kind == Anomaly::Torn {
        format!("other writes of T{id} exist, but not its version {version:?} of key {key}")
    } else {
        format!("T{id} committed, but its version {version:?} of key {key} does not exist")
    };
    Verdict::invalid(kind, [id], [key], why)
}
