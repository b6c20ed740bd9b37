//! Data that nothing refers to any more, deleted in the background in bounded steps.
//!
//! A record in the catalog says which keys are garbage and how far their deletion is. Nobody writes such keys: who
//! still has the old descriptor finds its stamp changed. Several nodes may sweep at the same time; one of them loses
//! the step.

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, PartitionId};
use annulus_txn::interface::Database;
use bytes::Bytes;
use wincode::{SchemaRead, SchemaWrite};

use super::home::{self, Home, Kind};
use super::{ObjectId, record};
use crate::error::SqlResult;
use crate::failure::Outcome;
use crate::transaction::{Mode, Span, Transaction};

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

    fn range(&self) -> KeyRange {
        let of_index = |index| KeyRange::of_index(self.generation, self.table, index);
        KeyRange { start: of_index(self.indexes.0).start, end: of_index(self.indexes.1).end }
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
            transaction.delete(annulus_txn::interface::Place { partition, key });
        }
        match stretch.next {
            Some(next) => self.from = Some(next.as_bytes().to_vec()),
            None => self.slot += 1,
        }
        Ok(self.from.is_none() && partitions.next().is_none())
    }
}

/// Deletes up to `limit` keys of a database that are garbage.
///
/// # Errors
/// `XX001` if a record is damaged, and every [`annulus_txn::interface::TxnError`] of the step; a conflict means that
/// another node was faster.
pub async fn sweep<D: Database>(db: &D, home: Home, limit: u32, patience: Micros) -> Outcome<Swept> {
    let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
    let span = Span { partition: home.catalog(), range: Home::records(Kind::Garbage) };
    let Some((key, bytes)) = first(&mut transaction, span, patience).await? else { return Ok(Swept::Clean) };
    let mut garbage: Garbage = decode(&key, &bytes)?;
    let (place, range) = (home.record(Kind::Garbage, garbage.id), garbage.range());
    let done = garbage.progress.advance(&mut transaction, home.partitions(), &range, limit, patience).await?;
    match done {
        true => transaction.delete(place),
        false => transaction.put(place, record::encode(&garbage)),
    }
    transaction.commit(patience).await?;
    Ok(Swept::Part)
}

fn decode(key: &Key, bytes: &[u8]) -> SqlResult<Garbage> {
    record::decode(key, bytes)
}

/// The first record of a span.
async fn first<D: Database>(
    transaction: &mut Transaction<D>,
    mut span: Span,
    patience: Micros,
) -> Outcome<Option<(Key, Bytes)>> {
    loop {
        let stretch = transaction.scan(&span, 1, patience).await?;
        if let Some(row) = stretch.rows.into_iter().next() {
            return Ok(Some(row));
        }
        let Some(next) = stretch.next else { return Ok(None) };
        span.range.start = next;
    }
}
