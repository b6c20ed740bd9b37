//! Relations that are computed once in a query, however often it reads them: common table expressions that would not be
//! the same twice.
//!
//! Whoever asks first computes all rows; they are kept in the queries' memory until the query ends.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType, execute_stream};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::leaf::leaf;

/// A plan that is carried out once, and what it gave.
pub(in crate::query) struct Shared {
    name: String,
    plan: LogicalPlan,
    physical: OnceCell<Arc<dyn ExecutionPlan>>,
    rows: OnceCell<Kept>,
}

/// Rows, and the memory that they take.
struct Kept {
    batches: Vec<RecordBatch>,
    _memory: MemoryReservation,
}

impl Shared {
    /// A plan under a name for errors and `EXPLAIN`.
    pub fn new(name: &str, plan: LogicalPlan) -> Self {
        Self { name: name.to_owned(), plan, physical: OnceCell::new(), rows: OnceCell::new() }
    }

    async fn physical(&self, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        self.physical.get_or_try_init(|| session.create_physical_plan(&self.plan)).await.cloned()
    }

    async fn rows(&self, plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<&Kept> {
        self.rows
            .get_or_try_init(|| async {
                let memory = MemoryConsumer::new(format!("WITH {}", self.name)).register(context.memory_pool());
                let mut batches = Vec::new();
                let mut rows = execute_stream(Arc::clone(plan), Arc::clone(context))?;
                while let Some(batch) = rows.try_next().await? {
                    memory.try_grow(batch.get_array_memory_size())?;
                    batches.push(batch);
                }
                Ok(Kept { batches, _memory: memory })
            })
            .await
    }
}

/// One use of a shared relation.
pub(in crate::query) struct SharedTable {
    shared: Arc<Shared>,
    schema: SchemaRef,
}

impl SharedTable {
    /// A use in which the columns are called `fields` in the plan.
    pub fn new(shared: &Arc<Shared>, fields: &[String]) -> Self {
        let columns = shared.plan.schema().fields().iter().zip(fields);
        let fields = columns.map(|(field, name)| Field::new(name, field.data_type().clone(), field.is_nullable()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { shared: Arc::clone(shared), schema }
    }
}

impl fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedTable({})", self.shared.name)
    }
}

#[async_trait]
impl TableProvider for SharedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(SharedExec {
            shared: Arc::clone(&self.shared),
            plan: self.shared.physical(session).await?,
            columns,
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// Gives the rows of a shared relation.
pub(in crate::query) struct SharedExec {
    shared: Arc<Shared>,
    /// What computes them.
    plan: Arc<dyn ExecutionPlan>,
    /// The places of those columns that are given.
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SharedExec {
    /// What computes the rows. It is no child: whatever is made of a use must not be made of the others.
    pub fn computed_by(&self) -> &dyn ExecutionPlan {
        self.plan.as_ref()
    }
}

impl fmt::Debug for SharedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec({})", self.shared.name)
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CTE Scan on {}", self.shared.name)
    }
}

impl ExecutionPlan for SharedExec {
    leaf!("CTE Scan");

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a shared relation has one partition only");
        }
        let (shared, plan, columns) = (Arc::clone(&self.shared), Arc::clone(&self.plan), self.columns.clone());
        let (schema, baseline) = (self.schema(), BaselineMetrics::new(&self.metrics, partition));
        let batches = stream::once(async move {
            let kept = shared.rows(&plan, &context).await?;
            let batches = kept.batches.iter().map(|batch| given(batch, &columns, &schema));
            let batches = batches.collect::<Result<Vec<_>>>()?;
            batches.iter().for_each(|batch| baseline.record_output(batch.num_rows()));
            Ok::<_, DataFusionError>(stream::iter(batches).map(Ok))
        });
        let batches = Box::pin(batches.try_flatten());
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Some columns of a batch, under the names that they have in one use.
fn given(batch: &RecordBatch, columns: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
    let arrays: Vec<ArrayRef> = columns.iter().map(|place| Arc::clone(batch.column(*place))).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}
