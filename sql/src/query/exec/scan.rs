//! Reading a table: asks the session for rows, makes arrays of them and lets pass what its filter does.
//!
//! Which index is read, and which keys, is decided when execution begins: joins tell their probe side by then which
//! keys they look for, so that a join with few rows on one side reads those keys of the other side only.

use std::fmt;
use std::sync::Arc;

use annulus_relation::catalog::{ColumnId, Index, ObjectId, Table};
use annulus_relation::{SqlResult, SqlType};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr, conjunction_opt};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter::batch_filter;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs,
};
use futures::{Stream, TryStreamExt, stream};

use super::super::arrow::{Builder, data_type};
use super::super::columns::{Collecting, ColumnCache, Kept};
use super::super::error::to_datafusion;
use super::super::request::{KeyRange, ScanSpec, Scans, Stretch, begin, finish};
use super::super::statistics::Statistics as TableStatistics;
use super::bounds::Filtered;
use super::filter::facts_of;
use super::leaf::leaf;
use super::provider::TableScan;
use crate::bind::Expr;
use crate::conditions::{Facts, Indexed};

/// How many rows the first stretch has; each one after it has four times as many, up to some batches.
const FIRST_STRETCH: usize = 128;
/// How many batches the largest stretches have.
const BATCHES_AHEAD: usize = 4;

/// Reads a table.
#[derive(Clone, Debug)]
pub(in crate::query) struct ScanExec {
    table: Arc<Table>,
    indexes: Arc<[Indexed]>,
    scans: Scans,
    statistics: Arc<dyn TableStatistics>,
    /// All columns of the table.
    full: SchemaRef,
    /// The places of those that are given.
    columns: Vec<usize>,
    /// Over all columns.
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// What joins and sorts above find out while they run: it narrows what is read, and is not checked row by row.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// The index whose order is kept.
    ordered: Option<ObjectId>,
    /// Whether only the first rows in an index's order are wanted.
    few: bool,
    limit: Option<usize>,
    rows: f64,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// A scan of some columns, which lets about `rows` rows pass.
    pub fn new(
        scan: &TableScan,
        columns: Vec<usize>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        rows: f64,
    ) -> Result<Self> {
        let schema = Arc::new(scan.schema.project(&columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            table: Arc::clone(&scan.table),
            indexes: Arc::clone(&scan.indexes),
            scans: scan.scans.clone(),
            statistics: Arc::clone(&scan.statistics),
            full: Arc::clone(&scan.schema),
            columns,
            filter,
            dynamic: Vec::new(),
            ordered: None,
            few: false,
            limit: None,
            rows,
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// The same, giving no more rows than these.
    pub fn limited(mut self, limit: Option<usize>) -> Self {
        self.limit = limit;
        self
    }

    /// The same, where a sort above keeps a few rows only: reading in the order of an index spares reading the rest.
    pub fn with_few(&self) -> Self {
        Self { few: true, ..self.clone() }
    }

    /// The columns that have to be read: those given, and those that the filter looks at.
    fn wanted(&self) -> Vec<usize> {
        let looked_at = self.filter.iter().flat_map(collect_columns);
        let mut wanted: Vec<usize> = looked_at.map(|column| column.index()).collect();
        wanted.extend(&self.columns);
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    fn all_filters(&self) -> Option<Arc<dyn PhysicalExpr>> {
        conjunction_opt(self.filter.iter().chain(&self.dynamic).cloned())
    }

    /// The table, with what a filter over all its columns says.
    fn filtered(&self, filter: Option<&Arc<dyn PhysicalExpr>>) -> Filtered<'_> {
        let facts = facts_of(&self.table, filter);
        Filtered { table: &self.table, indexes: &self.indexes, facts, statistics: &*self.statistics }
    }

    /// The index to read, and what of it.
    fn reads(&self, filtered: &Filtered<'_>, wanted: &[usize]) -> Option<(&Index, Vec<KeyRange>)> {
        let fixed = self.ordered.and_then(|id| self.table.indexes.iter().position(|index| index.id == id));
        let (position, ranges) = match fixed {
            Some(position) => (position, filtered.ranges(position)),
            None => filtered.choose(wanted),
        };
        Some((self.table.indexes.get(position)?, ranges))
    }

    /// What to ask the session for.
    fn spec(&self, wanted: &[usize]) -> Result<ScanSpec> {
        let filtered = self.filtered(self.all_filters().as_ref());
        let Some((index, ranges)) = self.reads(&filtered, wanted) else {
            return internal_err!("table {} has no primary index", self.table.name);
        };
        let whole = index.id == self.table.indexes[0].id && ranges == [KeyRange::all()];
        // What is not known to be small may be large.
        let large = self.statistics.rows(self.table.id).is_none_or(ColumnCache::is_worth_it);
        Ok(ScanSpec {
            keeps: whole && large && self.ordered.is_none() && self.limit.is_none(),
            table: Arc::clone(&self.table),
            index: index.id,
            ranges,
            columns: wanted.iter().map(|place| self.table.columns[*place].id).collect(),
            ordered: self.ordered.is_some(),
            limit: self.limit.filter(|_| self.filter.is_none()).map(|limit| limit as u64),
        })
    }

    /// The index whose order is the one asked for.
    fn index_in_order(&self, order: &[PhysicalSortExpr]) -> Option<&Index> {
        let filtered = self.filtered(self.filter.as_ref());
        let wanted = self.wanted();
        let best = filtered.choose(&wanted);
        self.table.indexes.iter().enumerate().find_map(|(number, index)| {
            let usable = number == 0 || filtered.is_readable(number);
            // Fetching each row by itself only to keep an order is worth it for a few rows only.
            let cheap = number == 0 || filtered.covers(number, &wanted) || self.few || best.0 == number;
            // Another index that finds the rows directly is better than an order.
            let better_else = best.0 != number && !best.1.iter().all(|range| range.equal.is_empty());
            (usable && cheap && !better_else && self.is_in_order(&filtered.facts, number, order)).then_some(index)
        })
    }

    fn is_in_order(&self, facts: &Facts, position: usize, order: &[PhysicalSortExpr]) -> bool {
        let (index, indexed) = (&self.table.indexes[position], &self.indexes[position]);
        let mut keys = indexed.keys.iter().zip(&index.keys).peekable();
        order.iter().all(|sort| {
            let column = (sort.expr.as_ref() as &dyn std::any::Any).downcast_ref::<Column>();
            let Some(place) = column.and_then(|column| self.columns.get(column.index()).copied()) else { return false };
            let column = &self.table.columns[place];
            let wanted = Expr::column(place, column.ty.clone());
            if facts.fixed(&wanted) {
                return true;
            }
            while keys.next_if(|(key, _)| **key != wanted && facts.fixed(key)).is_some() {}
            keys.next().is_some_and(|(key, part)| {
                let nulls = part.nulls_first == sort.options.nulls_first || column.not_null.is_certain();
                let native = super::super::arrow::comparison(&column.ty) == Ok(super::super::arrow::Comparison::Native);
                native && *key == wanted && part.descending == sort.options.descending && nulls
            })
        })
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filtered = self.filtered(self.filter.as_ref());
        let Some((index, ranges)) = self.reads(&filtered, &self.wanted()) else {
            return write!(f, "Scan on {}", self.table.name);
        };
        let whole = ranges.iter().all(|range| *range == KeyRange::all()) && !ranges.is_empty();
        match whole && self.ordered.is_none() && index.predicate.is_none() {
            true => write!(f, "Scan on {}", self.table.name)?,
            false => write!(f, "Index Scan using {} on {}", index.name, self.table.name)?,
        }
        if !whole {
            write!(f, ", ranges={}", ranges.len())?;
        }
        if let Some(filter) = &self.filter {
            write!(f, ", filter={filter}")?;
        }
        if !self.dynamic.is_empty() {
            write!(f, ", narrowed by joins or sorts={}", self.dynamic.len())?;
        }
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for ScanExec {
    leaf!("Scan");

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::execution_plan::apply_expression_roots(self.filter.iter().chain(&self.dynamic), f)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a scan has one partition only");
        }
        let reader = Reader {
            scan: self.clone(),
            batch: context.session_config().batch_size(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            read: MetricBuilder::new(&self.metrics).counter("rows_read", partition),
            kept: MetricBuilder::new(&self.metrics).counter("rows_kept", partition),
            bytes: MetricBuilder::new(&self.metrics).counter("bytes_read", partition),
            trips: MetricBuilder::new(&self.metrics).counter("round_trips", partition),
        };
        let batches = stream::once(async move { reader.start() }).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    /// What a join found out in one round of a recursive query is not true in the next one.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { dynamic: Vec::new(), metrics: ExecutionPlanMetricsSet::new(), ..Self::clone(&self) }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        let rows = self.limit.map_or(self.rows, |limit| self.rows.min(limit as f64));
        statistics.num_rows = Precision::Inexact(rows as usize);
        statistics.total_byte_size = Precision::Inexact(rows as usize * self.columns.len().max(1) * 16);
        Ok(Arc::new(statistics))
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(self.clone().limited(limit)))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters: Vec<_> = pushed.parent_filters.into_iter().map(|filter| filter.filter).collect();
        if phase == FilterPushdownPhase::Pre || filters.is_empty() || self.limit.is_some() {
            return Ok(FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]));
        }
        let unanswered = vec![PushedDown::No; filters.len()];
        let mut scan = self.clone();
        for filter in filters {
            scan.dynamic.push(over_all_columns(filter, &self.columns, &self.full)?);
        }
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(unanswered).with_updated_node(Arc::new(scan)))
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let Some(index) = self.index_in_order(order) else { return Ok(SortOrderPushdownResult::Unsupported) };
        let mut scan = self.clone();
        scan.ordered = Some(index.id);
        let equivalences = EquivalenceProperties::new_with_orderings(self.schema(), [order.to_vec()]);
        scan.properties = Arc::new(PlanProperties::clone(&self.properties).with_eq_properties(equivalences));
        Ok(SortOrderPushdownResult::Exact { inner: Arc::new(scan) })
    }
}

/// The same filter, over all columns of the table instead of those given.
fn over_all_columns(
    filter: Arc<dyn PhysicalExpr>,
    columns: &[usize],
    full: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let moved = filter.transform(|part| {
        let place = (part.as_ref() as &dyn std::any::Any).downcast_ref::<Column>().map(Column::index);
        Ok(match place.and_then(|place| columns.get(place)) {
            Some(place) => Transformed::yes(Arc::new(Column::new(full.field(*place).name(), *place)) as _),
            None => Transformed::no(part),
        })
    })?;
    Ok(moved.data)
}

/// A scan that runs.
struct Reader {
    scan: ScanExec,
    batch: usize,
    baseline: BaselineMetrics,
    read: Count,
    kept: Count,
    bytes: Count,
    trips: Count,
}

/// Where it is.
struct Position {
    pending: Option<tokio::sync::oneshot::Receiver<SqlResult<Stretch>>>,
    resume: Option<super::super::request::Resume>,
    rows: usize,
    left: usize,
    collecting: Option<Collecting>,
}

impl Reader {
    fn start(self) -> Result<impl Stream<Item = Result<RecordBatch>>> {
        let wanted = self.scan.wanted();
        let spec = Arc::new(self.scan.spec(&wanted)?);
        let types: Vec<SqlType> = wanted.iter().map(|place| self.scan.table.columns[*place].ty.clone()).collect();
        let layout = Layout::new(&self.scan, &wanted, types)?;
        let left = self.scan.limit.unwrap_or(usize::MAX);
        let rows = FIRST_STRETCH.min(left.max(1));
        let nothing = spec.ranges.is_empty() || left == 0;
        let position = (!nothing).then_some(Position { pending: None, resume: None, rows, left, collecting: None });
        let work = Arc::new((self, spec, layout));
        let stretches = stream::try_unfold(position, move |position| {
            let work = Arc::clone(&work);
            async move {
                let Some(position) = position else { return Ok(None) };
                let (reader, spec, layout) = &*work;
                reader.step(spec, layout, position).await.map(Some)
            }
        });
        Ok(stretches.map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten())
    }

    /// Reads one stretch; while it is worked on, the next one is under way.
    async fn step(
        &self,
        spec: &Arc<ScanSpec>,
        layout: &Layout,
        position: Position,
    ) -> Result<(Vec<RecordBatch>, Option<Position>)> {
        let pending = match position.pending {
            Some(pending) => pending,
            None => begin(&self.scan.scans, spec, position.resume, position.rows).await.map_err(to_datafusion)?,
        };
        let mut stretch = finish(pending).await.map_err(to_datafusion)?;
        self.read.add(stretch.rows.len());
        self.bytes.add(usize::try_from(stretch.bytes).unwrap_or(usize::MAX));
        self.trips.add(usize::try_from(stretch.round_trips).unwrap_or(usize::MAX));
        let rows = (position.rows * 4).min(self.batch * BATCHES_AHEAD);
        let _timer = self.baseline.elapsed_compute().timer();
        let ahead = match stretch.resume.take() {
            Some(resume) if position.rows > FIRST_STRETCH => {
                Some(begin(&self.scan.scans, spec, Some(resume), rows).await.map_err(to_datafusion)?)
                    .map(|pending| (Some(pending), None))
            }
            Some(resume) => Some((None, Some(resume))),
            None => None,
        };
        let mut batches = Vec::new();
        for kept in &stretch.kept {
            self.kept.add(kept.rows());
            self.cut(&layout.of_kept(kept, &spec.columns)?, layout, &mut batches)?;
        }
        let batch = layout.of_rows(&stretch)?;
        let collecting = collect(position.collecting.or(stretch.collecting.take()), &stretch, &batch);
        self.cut(&batch, layout, &mut batches)?;
        let mut left = position.left;
        for batch in &mut batches {
            *batch = batch.slice(0, batch.num_rows().min(left));
            left -= batch.num_rows();
            self.baseline.record_output(batch.num_rows());
        }
        let Some((pending, resume)) = ahead.filter(|_| left > 0) else {
            collecting.filter(|_| left > 0).into_iter().for_each(Collecting::finish);
            return Ok((batches, None));
        };
        Ok((batches, Some(Position { pending, resume, rows, left, collecting })))
    }

    /// Cuts what was read into batches, and lets pass what the filter does.
    fn cut(&self, read: &RecordBatch, layout: &Layout, batches: &mut Vec<RecordBatch>) -> Result<()> {
        for start in (0..read.num_rows()).step_by(self.batch) {
            let piece = read.slice(start, self.batch.min(read.num_rows() - start));
            batches.push(layout.filtered(&piece)?);
        }
        Ok(())
    }
}

/// Takes note of a stretch, partition by partition, unless that becomes too much.
fn collect(collecting: Option<Collecting>, stretch: &Stretch, batch: &RecordBatch) -> Option<Collecting> {
    let mut collecting = collecting?;
    let (all, mut start) = (batch.get_array_memory_size(), 0);
    for (partition, rows) in &stretch.parts {
        let columns = batch.columns().iter().map(|column| column.slice(start, *rows)).collect();
        let bytes = all * rows / batch.num_rows().max(1);
        if !collecting.add(*partition, *rows, columns, bytes) {
            return None;
        }
        start += rows;
    }
    Some(collecting)
}

/// How rows become batches.
struct Layout {
    /// What is read.
    schema: SchemaRef,
    types: Vec<SqlType>,
    /// Over what is read.
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Where the given columns are in it.
    given: Vec<usize>,
}

impl Layout {
    fn new(scan: &ScanExec, wanted: &[usize], types: Vec<SqlType>) -> Result<Self> {
        let schema = Arc::new(scan.full.project(wanted)?);
        debug_assert!(types.iter().zip(schema.fields()).all(|(ty, field)| data_type(ty) == *field.data_type()));
        let filter = scan.filter.clone().map(|filter| reassign_expr_columns(filter, &schema)).transpose()?;
        let place = |column: &usize| wanted.binary_search(column).unwrap_or_default();
        Ok(Self { schema, types, filter, given: scan.columns.iter().map(place).collect() })
    }

    /// Everything read, from rows.
    fn of_rows(&self, stretch: &Stretch) -> Result<RecordBatch> {
        let columns = self.types.iter().enumerate().map(|(place, ty)| {
            let mut builder = Builder::new(ty, stretch.rows.len());
            stretch.rows.iter().for_each(|row| builder.push(row.get(place).unwrap_or(&annulus_relation::Value::Null)));
            builder.finish()
        });
        self.batch(columns.collect(), stretch.rows.len())
    }

    /// Everything read, from columns that are kept.
    fn of_kept(&self, kept: &Kept, columns: &[ColumnId]) -> Result<RecordBatch> {
        let columns: Option<Vec<ArrayRef>> = columns.iter().map(|id| kept.column(*id).cloned()).collect();
        match columns {
            Some(columns) => self.batch(columns, kept.rows()),
            None => internal_err!("a kept partition lacks a column"),
        }
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// The given columns of what passes the filter.
    fn filtered(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(match &self.filter {
            Some(filter) => batch_filter(batch, filter)?.project(&self.given)?,
            None => batch.project(&self.given)?,
        })
    }
}
