//! The engine: its threads and memory, and queries that run on it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use annulus_relation::catalog::ObjectId;
use annulus_relation::{Row, SqlError, SqlResult, SqlState, SqlType, Value};
use datafusion::common::config::ConfigOptions;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use sqlparser::ast;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::arrow::read_rows;
use super::error::from_datafusion;
use super::explain;
use super::given::Given;
use super::guard::Guard;
use super::memory::MemoryShare;
use super::optimizer;
use super::plan::{Translated, translate};
use super::request::ScanRequest;
use super::scalar::Context;
use super::scope::Scope;
use crate::bind::ParamTypes;
use crate::parse::Explain;

/// How many rows a batch has at most.
const BATCH: usize = 4096;
/// How many batches of results may wait for the session.
const WAITING: usize = 2;

/// Plans and runs queries, on threads and within memory of its own.
pub struct QueryEngine {
    /// Taken out when the engine is dropped.
    runtime: Option<Runtime>,
    state: SessionState,
}

/// A query, and what is known about its use.
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    /// The query. Row locks (`FOR UPDATE`) at its top are the session's business and passed over here.
    pub query: &'a ast::Query,
    /// The text that it was parsed from: errors then say where.
    pub text: Option<&'a str>,
    /// The types of the columns into which the results will be stored, if they will: undecided literals become these.
    pub targets: &'a [SqlType],
    /// What can be named in it besides what the catalog and its own `WITH` have.
    pub given: &'a [Given],
}

impl<'a> From<&'a ast::Query> for Statement<'a> {
    fn from(query: &'a ast::Query) -> Self {
        Self { query, text: None, targets: &[], given: &[] }
    }
}

/// What a query gives and takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The columns of its results.
    pub columns: Vec<(String, SqlType)>,
    /// The types of its parameters; those declared, completed by what the query says of the others.
    pub params: ParamTypes,
    /// The names of the system's tables that it reads, through views too.
    pub system_tables: BTreeSet<&'static str>,
    /// The sequences that it selects from.
    pub sequences: BTreeSet<ObjectId>,
}

/// A query that runs. Dropping it cancels the query.
///
/// The session must serve `scans` while it waits for `rows`: both are bounded.
pub struct Running {
    /// The columns of the results.
    pub columns: Vec<(String, SqlType)>,
    /// The results: batches of rows, in order; the last message may be an error. Closed at the end.
    pub rows: mpsc::Receiver<SqlResult<Vec<Row>>>,
    /// What the query asks its session for.
    pub scans: mpsc::Receiver<ScanRequest>,
    task: AbortHandle,
    guard: Guard,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.guard.cancel();
        self.task.abort();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl QueryEngine {
    /// An engine with some threads, whose queries together keep no more than so much in memory.
    ///
    /// # Errors
    ///
    /// `58000` if threads or the directory for spilling cannot be made.
    pub fn new(threads: usize, memory_bytes: usize) -> SqlResult<Self> {
        let threads = threads.max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("annulus-query")
            .enable_time()
            .build()
            .map_err(|error| SqlError::new(SqlState::SYSTEM_ERROR, format!("cannot start query threads: {error}")))?;
        let consumers = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), consumers);
        let env = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc().map_err(from_datafusion)?;
        Ok(Self { runtime: Some(runtime), state: session_state(threads, env) })
    }

    /// Memory for rows that a session keeps, named in errors.
    pub(crate) fn memory_share(&self, consumer: &'static str) -> MemoryShare {
        MemoryShare::new(MemoryConsumer::new(consumer).register(&self.state.runtime_env().memory_pool))
    }

    /// What a query gives and takes, without running it. `params` are the types that the client declared.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the query.
    pub fn plan<'a>(
        &self,
        statement: impl Into<Statement<'a>>,
        scope: &Scope,
        params: &ParamTypes,
    ) -> SqlResult<Planned> {
        let context = self.context(scope, None);
        let (scans, _) = mpsc::channel(1);
        let Translated { columns, params, system, sequences, .. } =
            translate(&statement.into(), scope, &context, params.clone(), scans)?;
        Ok(Planned { columns, params, system_tables: system, sequences })
    }

    /// Runs a query. The parameters' values have the types given, which are those of [`Planned::params`].
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the query. Errors of its execution come with the rows.
    pub fn run<'a>(
        &self,
        statement: impl Into<Statement<'a>>,
        scope: &Scope,
        params: &ParamTypes,
        values: &[Value],
    ) -> SqlResult<Running> {
        let (translated, running) = self.translated(&statement.into(), scope, params, values)?;
        let types: Vec<SqlType> = translated.columns.iter().map(|(_, ty)| ty.clone()).collect();
        let columns = translated.columns.clone();
        let state = self.state.clone();
        self.spawn(columns, running, |results: Results| async move {
            let plan = physical(&state, translated).await?;
            let mut batches = execute_stream(plan, state.task_ctx()).map_err(from_datafusion)?;
            while let Some(batch) = batches.next().await {
                let rows = read_rows(&batch.map_err(from_datafusion)?, &types)?;
                if !rows.is_empty() && results.send(Ok(rows)).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// `EXPLAIN`: the plan as lines of text, in one column.
    ///
    /// # Errors
    ///
    /// As [`QueryEngine::run`].
    pub fn explain<'a>(
        &self,
        statement: impl Into<Statement<'a>>,
        scope: &Scope,
        params: &ParamTypes,
        values: &[Value],
        how: Explain,
    ) -> SqlResult<Running> {
        let (translated, running) = self.translated(&statement.into(), scope, params, values)?;
        let state = self.state.clone();
        let columns = vec![("QUERY PLAN".to_owned(), how.format.column_type())];
        let types = scope.env.types.clone();
        self.spawn(columns, running, |results: Results| async move {
            let started = std::time::Instant::now();
            let plan = physical(&state, translated).await?;
            let planned = started.elapsed();
            let mut ran = None;
            if how.analyze {
                let started = std::time::Instant::now();
                let mut batches = execute_stream(Arc::clone(&plan), state.task_ctx()).map_err(from_datafusion)?;
                while let Some(batch) = batches.next().await {
                    batch.map_err(from_datafusion)?;
                }
                ran = Some(started.elapsed());
            }
            let rows = explain::explained(plan.as_ref(), how, planned, ran).rows(how.format, &types);
            // Nobody may wait any longer.
            let _ = results.send(Ok(rows)).await;
            Ok(())
        })
    }

    fn translated(
        &self,
        statement: &Statement<'_>,
        scope: &Scope,
        params: &ParamTypes,
        values: &[Value],
    ) -> SqlResult<(Translated, (mpsc::Receiver<ScanRequest>, Guard))> {
        let context = self.context(scope, Some(values.to_vec()));
        let (sender, scans) = mpsc::channel(16);
        let translated = translate(statement, scope, &context, params.clone(), sender)?;
        Ok((translated, (scans, context.guard.clone())))
    }

    fn context(&self, scope: &Scope, params: Option<Vec<Value>>) -> Arc<Context> {
        let guard = Guard::new(&self.state.runtime_env().memory_pool);
        Arc::new(Context { env: Arc::clone(&scope.env), functions: Arc::clone(&scope.functions), params, guard })
    }

    /// Runs a task of a query on the engine's threads.
    fn spawn<F, W>(
        &self,
        columns: Vec<(String, SqlType)>,
        (scans, guard): (mpsc::Receiver<ScanRequest>, Guard),
        work: F,
    ) -> SqlResult<Running>
    where
        F: FnOnce(Results) -> W,
        W: Future<Output = SqlResult<()>> + Send + 'static,
    {
        let gone = || SqlError::new(SqlState::ADMIN_SHUTDOWN, "the query engine has stopped");
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        let (results, rows) = mpsc::channel(WAITING);
        let work = work(results.clone());
        let task = runtime.spawn(async move {
            if let Err(error) = work.await {
                // Nobody may wait any longer.
                let _ = results.send(Err(error)).await;
            }
        });
        Ok(Running { columns, rows, scans, task: task.abort_handle(), guard })
    }
}

type Results = mpsc::Sender<SqlResult<Vec<Row>>>;

impl Drop for QueryEngine {
    fn drop(&mut self) {
        // Its own thread may be one of another runtime's, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for QueryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryEngine")
    }
}

async fn physical(state: &SessionState, translated: Translated) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let optimised = state.optimize(&translated.plan).map_err(from_datafusion)?;
    state.query_planner().create_physical_plan(&optimised, state).await.map_err(from_datafusion)
}

fn session_state(threads: usize, env: Arc<RuntimeEnv>) -> SessionState {
    let mut options = ConfigOptions::new();
    // Scans look their keys up by what joins find on their other side.
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = 1000;
    // `(a < b) IS FALSE` is never NULL, but what the optimizer makes of it may be for all it knows: that is no error.
    options.execution.skip_physical_aggregate_schema_check = true;
    let config = SessionConfig::from(options).with_batch_size(BATCH).with_target_partitions(threads);
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(env)
        .with_analyzer_rules(optimizer::analyzer_rules())
        .with_optimizer_rules(optimizer::logical_rules())
        .with_physical_optimizer_rules(optimizer::physical_rules())
        .build()
}
