//! Finding the rows that refer to parents.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::Key;
use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::values::{as_child, columns, encoded};
use super::{Event, foreign_key};
use crate::catalog::{ForeignKey, IndexState, KeyPart, ObjectId, Table};
use crate::error::SqlResult;
use crate::failure::Outcome;
use crate::ops::physical::{Physical, Tuple};
use crate::ops::scan::{self, Bounds, Cursor, spans_of};
use crate::ops::{Expressions, Writer};
use crate::transaction::{Span, Transaction};
use crate::value::Row;

/// How many rows are asked for at once.
const ROWS: u32 = 4_096;

/// The children of each event, as they are before the statement.
pub(super) async fn find<D: Database, E: Expressions>(
    writer: &mut Writer<'_, E>,
    events: &[Event],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<Vec<Vec<Tuple>>> {
    let mut found: Vec<Vec<Tuple>> = vec![Vec::new(); events.len()];
    let mut by_index: Vec<(usize, Arc<Physical>, usize, Span)> = Vec::new();
    let mut by_scan: BTreeMap<(ObjectId, usize), Vec<(usize, Row)>> = BTreeMap::new();
    for (position, event) in events.iter().enumerate() {
        let key = foreign_key(writer, event)?;
        let (parent, child) = (writer.physical(event.parent)?, writer.physical(event.child)?);
        let Some(values) = as_child(&parent, &child, &key, &event.old) else { continue };
        match index_over(child.table(), &key) {
            Some(index) => {
                let bounds = Bounds::equal(in_order_of(child.table(), index, &key, &values));
                let spans = spans_of(&child, index, &bounds)?;
                by_index.extend(spans.into_iter().map(|span| (position, Arc::clone(&child), index, span)));
            }
            None => by_scan.entry((event.child, event.key)).or_default().push((position, values)),
        }
    }
    through_indexes(writer, by_index, &mut found, transaction, patience).await?;
    for ((child, key), wanted) in by_scan {
        let child = writer.physical(child)?;
        through_all(writer, &child, key, &wanted, &mut found, transaction, patience).await?;
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
        index.state == IndexState::Ready && index.predicate.is_none() && first.is_some_and(covers)
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

/// Reads all spans to their ends, together; then the rows that the entries are of.
async fn through_indexes<D: Database, E>(
    writer: &Writer<'_, E>,
    mut lanes: Vec<(usize, Arc<Physical>, usize, Span)>,
    found: &mut [Vec<Tuple>],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let catalog = writer.around.catalog;
    let mut rows: Vec<(usize, Arc<Physical>, Place)> = Vec::new();
    while !lanes.is_empty() {
        for (_, child, _, span) in &lanes {
            catalog.expect_table(transaction, child.table().id, span.partition);
        }
        let spans: Vec<Span> = lanes.iter().map(|(.., span)| span.clone()).collect();
        let stretches = transaction.scan_all(&spans, ROWS, patience).await?;
        let mut rest = Vec::new();
        for ((position, child, index, mut span), stretch) in lanes.into_iter().zip(stretches) {
            for (key, value) in stretch.rows {
                rows.push((position, Arc::clone(&child), row_place(&child, index, &span, key, &value)?));
            }
            if let Some(next) = stretch.next {
                span.range.start = next;
                rest.push((position, child, index, span));
            }
        }
        lanes = rest;
    }
    for (_, child, place) in &rows {
        catalog.expect_table(transaction, child.table().id, place.partition);
    }
    let places: Vec<Place> = rows.iter().map(|(.., place)| place.clone()).collect();
    if places.is_empty() {
        return Ok(());
    }
    let records = transaction.get(&places, patience).await?;
    for ((position, child, place), record) in rows.into_iter().zip(records) {
        let Some(record) = record else { return Err(scan::lost(transaction, &place.key)) };
        found[position].push(child.decode(place, &record)?);
    }
    Ok(())
}

fn row_place(child: &Physical, index: usize, span: &Span, key: Key, value: &Bytes) -> SqlResult<Place> {
    match index {
        0 => Ok(Place { partition: span.partition, key }),
        index => child.row_of_entry(index, &key, value),
    }
}

/// Reads the whole table once for all parents.
async fn through_all<D: Database, E>(
    writer: &Writer<'_, E>,
    child: &Arc<Physical>,
    key: usize,
    wanted: &[(usize, Row)],
    found: &mut [Vec<Tuple>],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let Some(key) = child.table().foreign_keys.get(key).cloned() else { return Ok(()) };
    let mut events: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (position, values) in wanted {
        events.entry(encoded(values)?).or_default().push(*position);
    }
    let mut cursor = Cursor::new(child, 0, &[Bounds::all()], None, false)?;
    while let Some(rows) = cursor.next(transaction, writer.around.catalog, ROWS, patience).await? {
        for row in rows {
            let own = encoded(&columns(child, &key.columns, &row.values))?;
            for position in events.get(&own).into_iter().flatten() {
                found[*position].push(row.clone());
            }
        }
    }
    Ok(())
}
