//! Finding the rows that refer to parents.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::Key;
use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::values::{columns, encoded};
use crate::catalog::{Catalog, ColumnId, ForeignKey, KeyPart, ObjectId, Table};
use crate::error::SqlResult;
use crate::failure::Outcome;
use crate::ops::physical::{Physical, Tuple};
use crate::ops::scan::{self, Bounds, Cursor, spans_of};
use crate::transaction::{Span, Transaction};
use crate::value::Row;

/// How many spans are read together.
const SPANS: usize = 1_024;
/// How many rows are asked for at once.
const ROWS: u32 = 4_096;

/// Something of the children that are sought, by position.
type Numbered<T> = (usize, T);

/// Children that are looked for: those that refer to some values.
pub(super) struct Sought {
    pub child: Arc<Physical>,
    pub key: ForeignKey,
    /// As the child has them; `None` if no child can.
    pub values: Option<Row>,
}

/// The children that are there, for each of those sought.
pub(super) async fn find<D: Database>(
    catalog: &Catalog,
    all: &[Sought],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<Vec<Vec<Tuple>>> {
    let mut found: Vec<Vec<Tuple>> = vec![Vec::new(); all.len()];
    let mut by_index: Vec<Lane> = Vec::new();
    let mut by_scan: BTreeMap<(ObjectId, &[ColumnId]), Vec<Numbered<&Row>>> = BTreeMap::new();
    for (position, Sought { child, key, values }) in all.iter().enumerate() {
        let Some(values) = values else { continue };
        match index_over(child.table(), key) {
            Some(index) => {
                let bounds = Bounds::equal(in_order_of(child.table(), index, key, values));
                let spans = spans_of(child, index, &bounds)?;
                let lane = |span| Lane { sought: position, child: Arc::clone(child), index, span };
                by_index.extend(spans.into_iter().map(lane));
            }
            None => by_scan.entry((child.table().id, &key.columns)).or_default().push((position, values)),
        }
    }
    through_indexes(catalog, by_index, &mut found, transaction, patience).await?;
    for ((_, columns), wanted) in by_scan {
        let Some((first, _)) = wanted.first() else { continue };
        through_all(catalog, &all[*first].child, columns, &wanted, &mut found, transaction, patience).await?;
    }
    Ok(found)
}

/// An index whose first keys are the columns of a foreign key, in any order.
fn index_over(table: &Table, key: &ForeignKey) -> Option<usize> {
    table.indexes.iter().position(|index| {
        let first = index.keys.get(..key.columns.len());
        let covers = |first: &[crate::catalog::IndexKey]| {
            key.columns.iter().all(|id| first.iter().any(|part| part.part == KeyPart::Column(*id)))
        };
        index.state.is_complete() && index.predicate.is_none() && first.is_some_and(covers)
    })
}

/// The values of a foreign key's columns in the order of an index's keys.
fn in_order_of(table: &Table, index: usize, key: &ForeignKey, values: &[crate::Value]) -> Row {
    let first = table.indexes[index].keys.iter().take(key.columns.len());
    let value = |part: &KeyPart| {
        let at = key.columns.iter().position(|id| *part == KeyPart::Column(*id))?;
        values.get(at).cloned()
    };
    first.filter_map(|part| value(&part.part)).collect()
}

/// A span that leads to children.
struct Lane {
    /// Whose, by position.
    sought: usize,
    child: Arc<Physical>,
    index: usize,
    span: Span,
}

/// Reads all spans to their ends, many together; then the rows that the entries are of.
async fn through_indexes<D: Database>(
    catalog: &Catalog,
    mut lanes: Vec<Lane>,
    found: &mut [Vec<Tuple>],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let mut rows: BTreeMap<ObjectId, (Arc<Physical>, Vec<Numbered<Place>>)> = BTreeMap::new();
    while !lanes.is_empty() {
        let wave = lanes.split_off(lanes.len().saturating_sub(SPANS));
        for lane in &wave {
            catalog.expect_table(transaction, lane.child.table().id, lane.span.partition);
        }
        let spans: Vec<Span> = wave.iter().map(|lane| lane.span.clone()).collect();
        let stretches = transaction.scan_all(&spans, ROWS, patience).await?;
        for (mut lane, stretch) in wave.into_iter().zip(stretches) {
            let of = rows.entry(lane.child.table().id).or_insert_with(|| (Arc::clone(&lane.child), Vec::new()));
            for (key, value) in stretch.rows {
                of.1.push((lane.sought, row_place(&lane.child, lane.index, &lane.span, key, &value)?));
            }
            if let Some(next) = stretch.next {
                lane.span.range.start = next;
                lanes.push(lane);
            }
        }
    }
    for (child, rows) in rows.into_values() {
        let places: Vec<Place> = rows.iter().map(|(_, place)| place.clone()).collect();
        let records = scan::get(transaction, catalog, &child, &places, patience).await?;
        for ((sought, place), record) in rows.into_iter().zip(records) {
            let Some(record) = record else { return Err(scan::lost(transaction, &place.key)) };
            found[sought].push(child.decode(place, &record)?);
        }
    }
    Ok(())
}

fn row_place(child: &Physical, index: usize, span: &Span, key: Key, value: &Bytes) -> SqlResult<Place> {
    match index {
        0 => Ok(Place { partition: span.partition, key }),
        index => child.row_of_entry(index, &key, value),
    }
}

/// Reads the whole table once for all that are sought by some columns.
async fn through_all<D: Database>(
    catalog: &Catalog,
    child: &Arc<Physical>,
    ids: &[ColumnId],
    wanted: &[Numbered<&Row>],
    found: &mut [Vec<Tuple>],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let mut sought: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (position, values) in wanted {
        sought.entry(encoded(values)?).or_default().push(*position);
    }
    let mut cursor = Cursor::new(child, 0, &[Bounds::all()], None, false)?;
    while let Some(rows) = cursor.next(transaction, catalog, ROWS, patience).await? {
        for row in rows {
            let own = encoded(&columns(child, ids, &row.values))?;
            for position in sought.get(&own).into_iter().flatten() {
                found[*position].push(row.clone());
            }
        }
    }
    Ok(())
}
