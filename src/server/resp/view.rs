//! What the commands of one transaction see: what was fetched, overlaid by their own writes.
//!
//! Commands are pure functions over a [`View`], so that the same code serves a single command and a whole
//! `MULTI`, and can run again when the transaction must be tried again. A command that reads a key which
//! was not fetched gets "absent" for now; the view remembers the key, and its owner fetches it and runs
//! everything again. So a wrong prediction of what a command reads costs a round trip, never correctness.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::limits::{MAX_KEY_LEN, MAX_VALUE_LEN};
use annulus_replica::store::Stamp;
use bytes::Bytes;

use super::errors::Failure;
use super::value::{self, UnixMillis, Value};

/// A user key of a database.
pub type Name = (u8, Bytes);

/// A set of databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Databases(u16);

impl Databases {
    /// Adds one.
    pub const fn insert(&mut self, db: u8) {
        self.0 |= 1 << db;
    }

    /// Whether it is in.
    #[must_use]
    pub const fn contains(self, db: u8) -> bool {
        self.0 & (1 << db) != 0
    }

    /// Whether none is in.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..u16::BITS as u8).filter(move |db| self.contains(*db))
    }
}

/// What was fetched for a key.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its version.
    pub stamp: Stamp,
    /// Its value, expired or not.
    pub value: Option<Value>,
}

/// A key that the transaction reads or writes.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What was fetched, `None` if nothing was.
    pub found: Option<Found>,
    /// Whether an answer depends on what was fetched.
    pub used: bool,
    /// The new value, `Some(None)` to delete.
    pub change: Option<Option<Value>>,
}

impl Entry {
    /// Whether it may be stored, as far as is known: what was not fetched may be.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        self.found.as_ref().is_none_or(|found| found.value.is_some())
    }
}

/// What the commands of one transaction see.
#[derive(Debug)]
pub struct View {
    /// The wall clock of this try; it stands still for all of its commands.
    pub now: UnixMillis,
    /// The database that the command at hand works in.
    pub db: u8,
    /// Any bits, for commands that answer with something random.
    pub random: u64,
    entries: BTreeMap<Name, Entry>,
    /// Databases all of whose keys were fetched.
    complete: Databases,
    /// Databases that the transaction has emptied.
    flushed: Databases,
    missing: BTreeSet<Name>,
    missing_databases: Databases,
}

impl View {
    /// Nothing fetched.
    #[must_use]
    pub fn new(now: UnixMillis, random: u64) -> Self {
        Self {
            now,
            db: 0,
            random,
            entries: BTreeMap::new(),
            complete: Databases::default(),
            flushed: Databases::default(),
            missing: BTreeSet::new(),
            missing_databases: Databases::default(),
        }
    }

    /// Adds what was fetched for a key. An expired one is deleted by this transaction.
    pub fn load(&mut self, name: Name, found: Found) {
        let expired = found.value.as_ref().is_some_and(|value| value.is_expired(self.now));
        let entry = Entry { used: expired, change: expired.then_some(None), found: Some(found) };
        self.entries.insert(name, entry);
    }

    /// All keys of a database were loaded.
    pub fn mark_complete(&mut self, db: u8) {
        self.complete.insert(db);
    }

    /// The value of a key of the current database.
    pub fn get(&mut self, key: &Bytes) -> Option<&Value> {
        let name = (self.db, key.clone());
        match self.entries.get_mut(&name) {
            Some(Entry { change: Some(change), .. }) => change.as_ref(),
            _ if self.flushed.contains(self.db) => None,
            Some(Entry { found: Some(found), used, .. }) => {
                *used = true;
                found.value.as_ref()
            }
            _ => {
                if !self.complete.contains(self.db) {
                    self.missing.insert(name);
                }
                None
            }
        }
    }

    /// Writes a key of the current database.
    ///
    /// # Errors
    /// The key or the value is too long.
    pub fn put(&mut self, key: &Bytes, value: Value) -> Result<(), Failure> {
        check_key(key)?;
        check_length(value.payload.len())?;
        self.entries.entry((self.db, key.clone())).or_default().change = Some(Some(value));
        Ok(())
    }

    /// Deletes a key of the current database; whether it was there.
    pub fn delete(&mut self, key: &Bytes) -> bool {
        let present = self.get(key).is_some();
        if present {
            self.entries.entry((self.db, key.clone())).or_default().change = Some(None);
        }
        present
    }

    /// Empties a database.
    pub fn flush(&mut self, db: u8) {
        for (_, entry) in self.entries.iter_mut().filter(|(name, _)| name.0 == db) {
            entry.change = None;
        }
        self.flushed.insert(db);
    }

    /// The keys of the current database that are there.
    pub fn keys(&mut self) -> Vec<Bytes> {
        let db = self.db;
        let flushed = self.flushed.contains(db);
        if !flushed && !self.complete.contains(db) {
            self.missing_databases.insert(db);
        }
        let first = (db, Bytes::new());
        let of_database = self.entries.range(first..).take_while(|(name, _)| name.0 == db);
        let present = of_database.filter(|(_, entry)| match &entry.change {
            Some(change) => change.is_some(),
            None => !flushed && entry.found.as_ref().is_some_and(|found| found.value.is_some()),
        });
        present.map(|(name, _)| name.1.clone()).collect()
    }

    /// Keys that commands asked for and that were not fetched.
    #[must_use]
    pub const fn missing(&self) -> &BTreeSet<Name> {
        &self.missing
    }

    /// Databases whose keys commands asked for and that were not fetched.
    #[must_use]
    pub const fn missing_databases(&self) -> Databases {
        self.missing_databases
    }

    /// Databases all of whose keys were fetched.
    #[must_use]
    pub const fn complete(&self) -> Databases {
        self.complete
    }

    /// Databases that the transaction has emptied.
    #[must_use]
    pub const fn flushed(&self) -> Databases {
        self.flushed
    }

    /// Whether anything was written.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.flushed.is_empty() || self.entries.values().any(|entry| entry.change.is_some())
    }

    /// Every key that was fetched or written.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<Name, Entry> {
        &self.entries
    }
}

/// Refuses keys that are too long.
///
/// # Errors
/// It is.
pub fn check_key(key: &[u8]) -> Result<(), Failure> {
    if key.len() <= MAX_KEY_LEN {
        return Ok(());
    }
    Err(Failure::limit(format_args!("a key may have {MAX_KEY_LEN} bytes at most, this one has {}", key.len())))
}

/// Refuses lengths of values that are too long to be stored.
///
/// # Errors
/// It is.
pub fn check_length(length: usize) -> Result<(), Failure> {
    const MOST: usize = MAX_VALUE_LEN - value::OVERHEAD;
    if length <= MOST {
        return Ok(());
    }
    Err(Failure::limit(format_args!("a value may have {MOST} bytes at most, this one would have {length}")))
}
