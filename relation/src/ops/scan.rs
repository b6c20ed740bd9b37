//! Reading rows: by place, or by an index's keys between bounds.

mod bounds;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use annulus_base::time::Micros;
use annulus_base::{Key, PartitionId};
use annulus_txn::interface::{Database, Place, TxnError};
use bytes::Bytes;

pub use bounds::Bounds;
use bounds::point;
pub(super) use bounds::spans_of;

use super::physical::{Physical, Tuple};
use crate::catalog::Catalog;
use crate::codec::Layout;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::{Mode, Span, Transaction};

/// How many records are read by their places at once.
const MOST_AT_ONCE: usize = 4_096;
/// Few enough rows to ask every partition for at once.
const LEAST: u32 = 16;

/// A part of what is read: one span, and what was read ahead of it.
#[derive(Debug)]
struct Lane {
    span: Span,
    rows: VecDeque<(Key, Bytes)>,
    done: bool,
}

/// A scan under way.
///
/// All partitions are asked together, so a short scan takes one round; whoever needs several rounds to agree with
/// each other pins the transaction first ([`Transaction::pin`]).
#[derive(Debug)]
pub struct Cursor {
    physical: Arc<Physical>,
    index: usize,
    /// The columns wanted, by position; `None`: all.
    columns: Option<Vec<usize>>,
    /// How rows of the primary index are decoded.
    layout: Layout,
    points: Vec<Place>,
    lanes: Vec<Lane>,
    ordered: bool,
}

impl Cursor {
    /// A scan of the index at a position (0: the rows themselves), over bounds that do not overlap. `columns`: the
    /// positions of the columns wanted. `ordered`: in the order of the index, whatever the partition.
    ///
    /// # Errors
    /// `XX001` for a damaged descriptor, `0A000` for values that are no keys.
    pub fn new(
        physical: &Arc<Physical>,
        index: usize,
        bounds: &[Bounds],
        columns: Option<Vec<usize>>,
        ordered: bool,
    ) -> SqlResult<Self> {
        let layout = match &columns {
            Some(columns) => Layout::of_some(physical.table(), columns)?,
            None => Layout::of(physical.table())?,
        };
        let (mut points, mut spans) = (Vec::new(), Vec::new());
        let several = bounds.len() > 1;
        for bounds in bounds {
            match point(physical, index, bounds)? {
                // Points are read before spans: in order only where they are alone.
                Some(place) if !(ordered && several) => points.push(place),
                _ => spans.extend(spans_of(physical, index, bounds)?),
            }
        }
        let lanes = spans.into_iter().map(|span| Lane { span, rows: VecDeque::new(), done: false }).collect();
        Ok(Self { physical: Arc::clone(physical), index, columns, layout, points, lanes, ordered })
    }

    /// The partitions whose keys are read. Those of the rows that an index leads to are not among them.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        let lanes = self.lanes.iter().map(|lane| lane.span.partition);
        let mut all: Vec<_> = lanes.chain(self.points.iter().map(|place| place.partition)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What is left to read, apart from single keys.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.lanes.iter().map(|lane| lane.span.clone()).collect()
    }

    /// Leaves partitions out, whose rows are known already.
    pub fn leave_out(&mut self, partitions: &BTreeSet<PartitionId>) {
        self.lanes.retain(|lane| !partitions.contains(&lane.span.partition));
    }

    /// The next rows, some `limit` of them; `None` when there are no more. There may be none and yet more to come.
    ///
    /// # Errors
    /// `XX001` if something stored is damaged, and every [`TxnError`].
    pub async fn next<D: Database>(
        &mut self,
        transaction: &mut Transaction<D>,
        catalog: &Catalog,
        limit: u32,
        patience: Micros,
    ) -> Outcome<Option<Vec<Tuple>>> {
        if !self.points.is_empty() {
            let count = self.points.len().min(limit.max(1) as usize);
            let places: Vec<Place> = self.points.drain(..count).collect();
            let found = get(transaction, catalog, &self.physical, &places, patience).await?;
            let found = places.into_iter().zip(found).filter_map(|(place, value)| Some((place, value?))).collect();
            return self.tuples(transaction, catalog, found, patience).await.map(Some);
        }
        if self.lanes.is_empty() {
            return Ok(None);
        }
        self.read_ahead(transaction, catalog, limit, patience).await?;
        let found = if self.ordered { self.merged(limit) } else { self.any() };
        self.lanes.retain(|lane| !(lane.done && lane.rows.is_empty()));
        self.tuples(transaction, catalog, found, patience).await.map(Some)
    }

    /// Reads on where nothing was read ahead.
    async fn read_ahead<D: Database>(
        &mut self,
        transaction: &mut Transaction<D>,
        catalog: &Catalog,
        limit: u32,
        patience: Micros,
    ) -> Outcome<()> {
        let (ordered, lanes) = (self.ordered, self.lanes.len());
        let mut hungry: Vec<&mut Lane> =
            self.lanes.iter_mut().filter(|lane| lane.rows.is_empty() && !lane.done).collect();
        if hungry.is_empty() {
            return Ok(());
        }
        let spans: Vec<Span> = hungry.iter().map(|lane| lane.span.clone()).collect();
        for span in &spans {
            catalog.expect_table(transaction, self.physical.table.id, span.partition);
        }
        // What waits in lanes to be merged is bounded, too.
        let share = if ordered { lanes.div_ceil(8) } else { spans.len() };
        let each = (limit / u32::try_from(share).unwrap_or(u32::MAX).max(1)).max(LEAST);
        let stretches = transaction.scan_all(&spans, each, patience).await?;
        for (lane, stretch) in hungry.iter_mut().zip(stretches) {
            lane.rows = stretch.rows.into();
            match stretch.next {
                Some(next) => lane.span.range.start = next,
                None => lane.done = true,
            }
        }
        Ok(())
    }

    /// All that was read ahead.
    fn any(&mut self) -> Vec<(Place, Bytes)> {
        let of = |lane: &mut Lane| {
            let partition = lane.span.partition;
            std::mem::take(&mut lane.rows).into_iter().map(move |(key, value)| (Place { partition, key }, value))
        };
        self.lanes.iter_mut().flat_map(of).collect()
    }

    /// The smallest keys, as far as every lane has something to compare.
    fn merged(&mut self, limit: u32) -> Vec<(Place, Bytes)> {
        let mut found = Vec::new();
        while found.len() < limit.max(1) as usize {
            self.lanes.retain(|lane| !(lane.done && lane.rows.is_empty()));
            if self.lanes.iter().any(|lane| lane.rows.is_empty()) {
                break;
            }
            let first = |lane: &Lane| lane.rows.front().map(|(key, _)| key.clone());
            let Some(lane) = self.lanes.iter_mut().min_by_key(|lane| first(lane)) else { break };
            let partition = lane.span.partition;
            found.extend(lane.rows.pop_front().map(|(key, value)| (Place { partition, key }, value)));
        }
        found
    }

    /// The rows of what was found in the index.
    async fn tuples<D: Database>(
        &self,
        transaction: &mut Transaction<D>,
        catalog: &Catalog,
        found: Vec<(Place, Bytes)>,
        patience: Micros,
    ) -> Outcome<Vec<Tuple>> {
        if self.index == 0 {
            let decode = |(place, value): (Place, Bytes)| {
                let values = self.layout.decode(&place.key, &value)?;
                Ok(Tuple { place, values })
            };
            return Ok(found.into_iter().map(decode).collect::<SqlResult<_>>()?);
        }
        let row_of = |(entry, value): &(Place, Bytes)| self.physical.row_of_entry(self.index, &entry.key, value);
        let places: Vec<Place> = found.iter().map(row_of).collect::<SqlResult<_>>()?;
        if let Some(columns) = self.columns.as_ref().filter(|columns| self.physical.covers(self.index, columns)) {
            let of = |(place, (entry, value)): (Place, &(Place, Bytes))| {
                let values = self.physical.columns_of_entry(self.index, &entry.key, value, columns)?;
                Ok(Tuple { place, values })
            };
            return Ok(places.into_iter().zip(&found).map(of).collect::<SqlResult<_>>()?);
        }
        let records = get(transaction, catalog, &self.physical, &places, patience).await?;
        let mut tuples = Vec::with_capacity(places.len());
        for (place, record) in places.into_iter().zip(records) {
            let Some(record) = record else { return Err(lost(transaction, &place.key)) };
            let values = self.layout.decode(&place.key, &record)?;
            tuples.push(Tuple { place, values });
        }
        Ok(tuples)
    }
}

/// An entry without its row: it went between two reads, or, where all reads are of one instant, is damaged.
pub(super) fn lost<D: Database>(transaction: &Transaction<D>, key: &Key) -> crate::Failure {
    match transaction.mode() {
        Mode::Statement => TxnError::Conflict(key.clone()).into(),
        Mode::Block | Mode::AsOf(_) => SqlError::new(
            SqlState::DATA_CORRUPTED,
            format!("an index has an entry of a row that does not exist, at {key}"),
        )
        .hint("Drop the index and create it anew.")
        .into(),
    }
}

/// Reads records at places of a table; fewer at a time where they are too large to be read together.
pub(super) async fn get<D: Database>(
    transaction: &mut Transaction<D>,
    catalog: &Catalog,
    physical: &Physical,
    places: &[Place],
    patience: Micros,
) -> Result<Vec<Option<Bytes>>, TxnError> {
    let partitions: BTreeSet<PartitionId> = places.iter().map(|place| place.partition).collect();
    for partition in partitions {
        catalog.expect_table(transaction, physical.table.id, partition);
    }
    let mut found = Vec::with_capacity(places.len());
    let mut at_once = MOST_AT_ONCE;
    while found.len() < places.len() {
        let rest = &places[found.len()..];
        at_once = at_once.min(rest.len());
        match transaction.get(&rest[..at_once], patience).await {
            Ok(records) => found.extend(records),
            Err(TxnError::Limit(_)) if at_once > 1 => at_once /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads rows by their places; `None` where there is none.
///
/// # Errors
/// `XX001` if a row is damaged, and every [`TxnError`].
pub async fn read_rows<D: Database>(
    transaction: &mut Transaction<D>,
    catalog: &Catalog,
    physical: &Physical,
    places: &[Place],
    patience: Micros,
) -> Outcome<Vec<Option<Tuple>>> {
    let records = get(transaction, catalog, physical, places, patience).await?;
    let decode = |(place, record): (&Place, Option<Bytes>)| {
        record.map(|record| physical.decode(place.clone(), &record)).transpose()
    };
    Ok(places.iter().zip(records).map(decode).collect::<SqlResult<_>>()?)
}
