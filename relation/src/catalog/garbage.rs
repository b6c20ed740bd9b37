//! Data that nothing refers to any more, deleted in the background in bounded steps.
//!
//! A record in the catalog says which keys are garbage and how far their deletion is. Nobody writes such keys: who
//! still has the old descriptor finds its stamp changed, and a load that its record says to be over. Several nodes may
//! sweep at the same time; one of them loses the step.

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, PartitionId};
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;
use wincode::config::DefaultConfig;
use wincode::{SchemaRead, SchemaWrite};

use super::home::{self, Home, Kind};
use super::loading::Loading;
use super::{ObjectId, Table, record};
use crate::failure::Outcome;
use crate::transaction::{Mode, Span, Transaction};

/// How many loads are looked at: more have to wait until some of them have ended.
const LOADS: u32 = 1_000;

/// Keys to be deleted in all partitions of a database.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(super) struct Garbage {
    /// The number of the record.
    pub id: u32,
    table: ObjectId,
    generation: u32,
    /// The first and the last index.
    indexes: (ObjectId, ObjectId),
    progress: Progress,
}

/// How far a deletion is: the partition, and the first key in it that was not looked at (none at its start).
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(super) struct Progress {
    slot: u16,
    from: Option<Vec<u8>>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// There was nothing to delete.
    Clean,
    /// A part was deleted; there may be more.
    Part,
}

impl Garbage {
    pub(super) fn of_generation(table: ObjectId, generation: u32) -> Self {
        Self { id: 0, table, generation, indexes: (0, home::STAMP - 1), progress: Progress::default() }
    }

    pub(super) fn of_index(table: ObjectId, generation: u32, index: ObjectId) -> Self {
        Self { indexes: (index, index), ..Self::of_generation(table, generation) }
    }

    pub(super) const fn table(&self) -> ObjectId {
        self.table
    }

    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Deletes up to `limit` of the keys; returns whether these were the last.
    async fn delete<D: Database>(
        &mut self,
        transaction: &mut Transaction<D>,
        home: &Home,
        limit: u32,
        patience: Micros,
    ) -> Outcome<bool> {
        let range = self.range();
        self.progress.advance(transaction, home.partitions(), &range, limit, patience).await
    }

    pub(super) fn range(&self) -> KeyRange {
        let of_index = |index| KeyRange::of_index(self.generation, self.table, index);
        KeyRange { start: of_index(self.indexes.0).start, end: of_index(self.indexes.1).end }
    }
}

impl Table {
    /// Where its rows and index entries are, in each partition.
    #[must_use]
    pub fn range(&self) -> KeyRange {
        Garbage::of_generation(self.id, self.generation).range()
    }
}

impl Progress {
    /// Deletes up to `limit` keys of `range` in the next partition; returns whether that was all of the last one.
    pub(super) async fn advance<D: Database>(
        &mut self,
        transaction: &mut Transaction<D>,
        partitions: impl ExactSizeIterator<Item = PartitionId>,
        range: &KeyRange,
        limit: u32,
        patience: Micros,
    ) -> Outcome<bool> {
        let mut partitions = partitions.skip(usize::from(self.slot));
        let Some(partition) = partitions.next() else { return Ok(true) };
        let start = self.from.take().map_or_else(|| range.start.clone(), |from| Key(Bytes::from(from)));
        let span = Span { partition, range: KeyRange { start, end: range.end.clone() } };
        let stretch = transaction.scan(&span, limit, patience).await?;
        for (key, _) in stretch.rows {
            transaction.delete(Place { partition, key });
        }
        match stretch.next {
            Some(next) => self.from = Some(next.as_bytes().to_vec()),
            None => self.slot += 1,
        }
        Ok(self.from.is_none() && partitions.next().is_none())
    }
}

/// Deletes up to `limit` keys of a database that are garbage, or rows of loads that are over.
///
/// # Errors
/// `XX001` if a record is damaged, and every [`annulus_txn::interface::TxnError`] of the step; a conflict means that
/// another node was faster.
pub async fn sweep<D: Database>(db: &D, home: Home, limit: u32, patience: Micros) -> Outcome<Swept> {
    let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
    let places = |(key, bytes): (Key, Bytes)| (Place { partition: home.catalog(), key }, bytes);
    let record = records(&mut transaction, &home, (Kind::Garbage, 1), patience).await?.map(places).next();
    if let Some((place, bytes)) = record {
        let mut garbage: Garbage = record::decode(&place.key, &bytes)?;
        let done = garbage.delete(&mut transaction, &home, limit, patience).await?;
        return finish(transaction, place, &garbage, done, patience).await;
    }
    let loads = records(&mut transaction, &home, (Kind::Load, LOADS), patience).await?.map(places);
    for (place, bytes) in loads {
        let mut load: Loading = record::decode(&place.key, &bytes)?;
        if load.is_over(transaction.start()) {
            load.stop();
            let done = load.rows.delete(&mut transaction, &home, limit, patience).await?;
            return finish(transaction, place, &load, done, patience).await;
        }
    }
    Ok(Swept::Clean)
}

/// Ends a step: its record says how far it is, or goes with the last key.
async fn finish<D: Database, T>(
    mut transaction: Transaction<D>,
    place: Place,
    record: &T,
    done: bool,
    patience: Micros,
) -> Outcome<Swept>
where
    T: SchemaWrite<DefaultConfig, Src = T>,
{
    match done {
        true => transaction.delete(place),
        false => transaction.put(place, record::encode(record)),
    }
    transaction.commit(patience).await?;
    Ok(Swept::Part)
}

/// The first records of a kind, in order.
async fn records<D: Database>(
    transaction: &mut Transaction<D>,
    home: &Home,
    (kind, most): (Kind, u32),
    patience: Micros,
) -> Outcome<impl Iterator<Item = (Key, Bytes)> + use<D>> {
    let mut span = Span { partition: home.catalog(), range: Home::records(kind) };
    loop {
        let stretch = transaction.scan(&span, most, patience).await?;
        match stretch.next {
            Some(next) if stretch.rows.is_empty() => span.range.start = next,
            _ => return Ok(stretch.rows.into_iter()),
        }
    }
}
