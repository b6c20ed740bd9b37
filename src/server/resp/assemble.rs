//! Makes a commit of what the commands of a transaction have read and written.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::PartitionId;
use annulus_base::limits::{MAX_TXN_BYTES, MAX_TXN_KEYS};
use annulus_txn::interface::{Commit, Database, Place};
use annulus_txn::token;
use bytes::Bytes;

use super::commands::connection;
use super::errors::Failure;
use super::keyspace::{self, Generation};
use super::transaction::{Fetched, PartDone, Stop, Transaction};
use super::view::{Entry, Name, View};

impl<D: Database> Transaction<'_, D> {
    /// Everything read and written, as the database wants it.
    pub fn assemble(&mut self, view: &View, fetched: &Fetched, parts: &[PartDone]) -> Result<Commit, Stop> {
        let mut commit = Commit { ranges: fetched.ranges.clone(), ..Commit::default() };
        let generations = self.generations(view, fetched)?;
        for (partition, generation) in &generations {
            commit.reads.push((keyspace::generation_place(*partition), generation.stamp));
        }
        for (name, entry) in view.entries() {
            self.assemble_entry(name, entry, view, &generations, &mut commit)?;
        }
        for partition in view.flushed().iter().flat_map(|db| self.shared.keyspace.partitions(db)) {
            let next = generations.get(&partition).map_or(1, |generation| generation.number).saturating_add(1);
            commit.writes.push((keyspace::generation_place(partition), Some(keyspace::encode_generation(next))));
        }
        if let Some((place, stamp)) = fetched.token.as_ref().filter(|_| self.writes_token(parts)) {
            commit.reads.push((place.clone(), *stamp));
            commit.writes.push((place.clone(), Some(token::committed(self.start, self.shared.wall()))));
        }
        if let Some(watch) = self.job.watch {
            watch.add_checks(&mut commit.reads)?;
        }
        check_limits(&commit)?;
        Ok(commit)
    }

    /// The generation of every partition that matters.
    fn generations(&mut self, view: &View, fetched: &Fetched) -> Result<BTreeMap<PartitionId, Generation>, Stop> {
        let keyspace = &self.shared.keyspace;
        let whole = view.flushed().iter().chain(view.complete().iter());
        let mut partitions: BTreeSet<PartitionId> = whole.flat_map(|db| keyspace.partitions(db)).collect();
        let involved = view.entries().iter().filter(|(_, entry)| entry.used || entry.change.is_some());
        partitions.extend(involved.filter_map(|((db, key), _)| keyspace.partition_of(*db, key)));
        let mut generations = fetched.generations.clone();
        for partition in partitions {
            if generations.contains_key(&partition) {
                continue;
            }
            match keyspace.known_generation(partition) {
                Some(known) => drop(generations.insert(partition, known)),
                None => drop(self.plan.partitions.insert(partition)),
            }
        }
        if self.plan.partitions.iter().any(|partition| !generations.contains_key(partition)) {
            return Err(Stop::FetchMore);
        }
        Ok(generations)
    }

    fn assemble_entry(
        &self,
        (db, key): &Name,
        entry: &Entry,
        view: &View,
        generations: &BTreeMap<PartitionId, Generation>,
        commit: &mut Commit,
    ) -> Result<(), Stop> {
        if !entry.used && entry.change.is_none() {
            return Ok(());
        }
        let partition = self.shared.keyspace.partition_of(*db, key).ok_or(connection::NO_SUCH_DATABASE)?;
        let current = generations.get(&partition).map_or(1, |generation| generation.number);
        let place = |number| Place { partition, key: keyspace::stored_key(number, key) };
        if let Some(found) = entry.found.as_ref().filter(|_| entry.used && !view.complete().contains(*db)) {
            commit.reads.push((place(current), found.stamp));
        }
        let flushed = view.flushed().contains(*db);
        let number = if flushed { current.saturating_add(1) } else { current };
        match &entry.change {
            Some(Some(value)) => commit.writes.push((place(number), Some(value.encode()))),
            Some(None) if !flushed && entry.may_exist() => commit.writes.push((place(number), None)),
            _ => {}
        }
        Ok(())
    }
}

fn check_limits(commit: &Commit) -> Result<(), Failure> {
    let ranges: usize = commit.ranges.iter().map(|range| range.rows.len()).sum();
    let keys = commit.reads.len() + commit.writes.len() + ranges;
    if keys > MAX_TXN_KEYS {
        return Err(Failure::limit(format_args!(
            "a transaction may read and write {MAX_TXN_KEYS} keys at most, this one has {keys}"
        )));
    }
    let size = |(place, value): &(Place, Option<Bytes>)| place.key.0.len() + value.as_ref().map_or(0, Bytes::len);
    let bytes: usize = commit.writes.iter().map(size).sum();
    if bytes > MAX_TXN_BYTES {
        return Err(Failure::limit(format_args!(
            "a transaction may write {MAX_TXN_BYTES} bytes at most, this one has {bytes}"
        )));
    }
    Ok(())
}
