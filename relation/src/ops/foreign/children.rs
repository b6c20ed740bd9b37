//! Finding the rows that refer to parents.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::Key;
use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::values::{as_child, columns, encoded};
use super::{Event, foreign_key};
use crate::catalog::{ForeignKey, KeyPart, ObjectId, Table};
use crate::error::SqlResult;
use crate::failure::Outcome;
use crate::ops::physical::{Physical, Tuple};
use crate::ops::scan::{self, Bounds, Cursor, spans_of};
use crate::ops::{Expressions, Writer};
use crate::transaction::{Span, Transaction};
use crate::value::Row;

/// How many spans are read together.
const SPANS: usize = 1_024;
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
    let mut by_index: Vec<Lane> = Vec::new();
    let mut by_scan: BTreeMap<(ObjectId, usize), Vec<(usize, Row)>> = BTreeMap::new();
    for (position, event) in events.iter().enumerate() {
        let key = foreign_key(writer, event)?;
        let (parent, child) = (writer.physical(event.parent)?, writer.physical(event.child)?);
        let Some(values) = as_child(&parent, &child, &key, &event.old) else { continue };
        match index_over(child.table(), &key) {
            Some(index) => {
                let bounds = Bounds::equal(in_order_of(child.table(), index, &key, &values));
                let spans = spans_of(&child, index, &bounds)?;
                let lane = |span| Lane { event: position, child: Arc::clone(&child), index, span };
                by_index.extend(spans.into_iter().map(lane));
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

/// A span that leads to children of an event.
struct Lane {
    event: usize,
    child: Arc<Physical>,
    index: usize,
    span: Span,
}

/// Reads all spans to their ends, many together; then the rows that the entries are of.
async fn through_indexes<D: Database, E>(
    writer: &Writer<'_, E>,
    mut lanes: Vec<Lane>,
    found: &mut [Vec<Tuple>],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let catalog = writer.around.catalog;
    let mut rows: BTreeMap<ObjectId, Vec<(usize, Place)>> = BTreeMap::new();
    while !lanes.is_empty() {
        let wave = lanes.split_off(lanes.len().saturating_sub(SPANS));
        for lane in &wave {
            catalog.expect_table(transaction, lane.child.table().id, lane.span.partition);
        }
        let spans: Vec<Span> = wave.iter().map(|lane| lane.span.clone()).collect();
        let stretches = transaction.scan_all(&spans, ROWS, patience).await?;
        for (mut lane, stretch) in wave.into_iter().zip(stretches) {
            for (key, value) in stretch.rows {
                let place = row_place(&lane.child, lane.index, &lane.span, key, &value)?;
                rows.entry(lane.child.table().id).or_default().push((lane.event, place));
            }
            if let Some(next) = stretch.next {
                lane.span.range.start = next;
                lanes.push(lane);
            }
        }
    }
    for (child, rows) in rows {
        let Some(child) = writer.tables.get(&child) else { continue };
        let places: Vec<Place> = rows.iter().map(|(_, place)| place.clone()).collect();
        let records = scan::get(transaction, catalog, child, &places, patience).await?;
        for ((event, place), record) in rows.into_iter().zip(records) {
            let Some(record) = record else { return Err(scan::lost(transaction, &place.key)) };
            found[event].push(child.decode(place, &record)?);
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
