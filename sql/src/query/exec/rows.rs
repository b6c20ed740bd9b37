//! Relations whose rows are made in place: system tables, series.

use std::fmt;
use std::sync::{Arc, Mutex};

use annulus_relation::{Row, SqlResult, SqlType, Value};
use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream;

use super::super::arrow::{Builder, data_type};
use super::super::error::to_datafusion;
use super::leaf::leaf;

/// Rows, made one by one.
pub(in crate::query) type Rows = Box<dyn Iterator<Item = SqlResult<Row>> + Send>;
/// Begins to make rows.
pub(in crate::query) type RowSource = Arc<dyn Fn() -> SqlResult<Rows> + Send + Sync>;

/// A relation whose rows are made in place.
pub(in crate::query) struct RowsTable {
    name: String,
    schema: SchemaRef,
    types: Vec<SqlType>,
    source: RowSource,
}

impl RowsTable {
    /// A relation whose columns are called `fields` in the plan.
    pub fn new(name: &str, fields: &[String], types: Vec<SqlType>, source: RowSource) -> Self {
        let fields = fields.iter().zip(&types).map(|(name, ty)| Field::new(name, data_type(ty), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { name: name.to_owned(), schema, types, source }
    }
}

impl fmt::Debug for RowsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsTable({})", self.name)
    }
}

#[async_trait]
impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.types.len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(RowsExec {
            name: self.name.clone(),
            columns: columns.into_iter().map(|place| (place, self.types[place].clone())).collect(),
            source: Arc::clone(&self.source),
            limit,
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// Makes the rows.
struct RowsExec {
    name: String,
    /// The places and types of those columns that are given.
    columns: Vec<(usize, SqlType)>,
    source: RowSource,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl fmt::Debug for RowsExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsExec({})", self.name)
    }
}

impl DisplayAs for RowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function Scan on {}", self.name)
    }
}

impl ExecutionPlan for RowsExec {
    leaf!("Rows");

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("rows made in place have one partition only");
        }
        let rows = (self.source)().map_err(to_datafusion)?;
        let rows: Rows = Box::new(rows.take(self.limit.unwrap_or(usize::MAX)));
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let (schema, columns) = (self.schema(), self.columns.clone());
        let size = context.session_config().batch_size();
        let batches = stream::unfold(Some(Mutex::new(rows)), move |rows| {
            let batch = next(rows, &schema, &columns, size, &baseline);
            async move { batch }
        });
        // Nothing here ever waits: without it a query could not be ended before its rows do.
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), Box::pin(batches)))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The next batch; nothing comes after an error.
fn next(
    rows: Option<Mutex<Rows>>,
    schema: &SchemaRef,
    columns: &[(usize, SqlType)],
    size: usize,
    baseline: &BaselineMetrics,
) -> Option<(Result<RecordBatch>, Option<Mutex<Rows>>)> {
    let mut rows = rows?.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _timer = baseline.elapsed_compute().timer();
    let mut builders: Vec<Builder> = columns.iter().map(|(_, ty)| Builder::new(ty, 0)).collect();
    let mut count = 0;
    while count < size {
        match rows.next() {
            None => break,
            Some(Err(error)) => return Some((Err(to_datafusion(error)), None)),
            Some(Ok(row)) => {
                for ((place, _), builder) in columns.iter().zip(&mut builders) {
                    builder.push(row.get(*place).unwrap_or(&Value::Null));
                }
                count += 1;
            }
        }
    }
    if count == 0 {
        return None;
    }
    baseline.record_output(count);
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let arrays = builders.into_iter().map(Builder::finish).collect();
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(Into::into);
    Some((batch, Some(Mutex::new(rows))))
}
