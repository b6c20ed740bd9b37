//! Queries on the engine, and serving what they ask for from the session's transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use annulus_base::KeyRange;
use annulus_relation::catalog::{Catalog, ColumnId, KeyPart, ObjectId, Sequence, Table};
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Bounds, Cursor, Physical, ROW_ID};
use annulus_relation::transaction::{Grip, Mode, Span, Transaction};
use annulus_relation::value::{CastContext, can_cast, cast};
use annulus_relation::{Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast;

use crate::bind::ParamTypes;
use crate::parse::Explain;
use crate::query::{Collecting, Running, ScanRequest, Standings, Statement, Stretch};
use crate::server::failure::to_sql;
use crate::server::shared::lock;
use crate::server::statistics::Sampling;
use crate::session::answer::{Column, Tag};
use crate::session::{Produced, Rows};
use crate::statement::{Setting, Work};

/// The system tables that show databases.
const DATABASES: [&str; 3] = ["pg_database", "pg_stat_progress_copy", "pg_stat_progress_create_index"];

/// Most rows of a stretch.
const MOST_ROWS: u32 = 20_000;

/// A query that needs the engine.
pub(crate) struct Query {
    query: Box<ast::Query>,
    text: Arc<str>,
    targets: Vec<SqlType>,
    params: ParamTypes,
    /// Whether it may ask about the catalog, which then has to be the present one.
    asks_catalog: bool,
    /// The system's tables that it reads.
    system_tables: BTreeSet<&'static str>,
    /// The sequences that it selects from.
    sequences: BTreeSet<ObjectId>,
    pub columns: Vec<Column>,
}

/// Rows of a scan that were read, and where it goes on.
struct Place {
    cursor: Cursor,
    /// What it found, if it reads the whole table.
    sampling: Option<Sampling>,
    /// Which of the columns is the row's hidden id.
    id: Option<usize>,
}

impl Query {
    /// The plan of a query, whose results may be stored in columns of some types.
    pub fn new(
        query: &ast::Query,
        text: &Arc<str>,
        targets: &[SqlType],
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let scope = setting.shared.scope(setting.catalog, &Arc::new(setting.env.clone()));
        let statement = Statement { query, text: Some(text), targets, given: setting.given };
        let planned = setting.engine.plan(statement, &scope, params)?;
        *params = planned.params.clone();
        let columns = planned.columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
        Ok(Self {
            query: Box::new(query.clone()),
            text: Arc::clone(text),
            targets: targets.to_vec(),
            params: planned.params,
            asks_catalog: !planned.system_tables.is_empty() || may_ask_catalog(text),
            system_tables: planned.system_tables,
            sequences: planned.sequences,
            columns,
        })
    }

    /// Begins to run it.
    pub(super) async fn begin<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Running> {
        // Some system tables show what only this thread knows: it is noted while the query is begun.
        if DATABASES.iter().any(|table| self.system_tables.contains(*table)) {
            let databases = work.server.databases(work.deadline.left()).await?;
            *lock(&work.shared.databases) = databases.all().to_vec();
        }
        if self.system_tables.contains("pg_stat_activity") {
            *lock(&work.shared.activity) = work.server.clients.activity();
        }
        if self.system_tables.contains("pg_cursors") {
            lock(&work.shared.own).cursors = work.cursors.rows();
        }
        if self.system_tables.contains("pg_prepared_statements") {
            lock(&work.shared.own).prepared = work.prepared.rows();
        }
        self.look_at_sequences(work).await?;
        if self.asks_catalog && !work.active.defines {
            // What the system's tables show is read from no partition, so nothing else would find it out of date.
            let catalog = Arc::clone(&work.active.catalog);
            catalog.expect_unchanged(&mut work.active.transaction);
            // Before anything is shown; in a block that has read already, its commit tells.
            work.pin(&catalog.home().partitions().collect::<Vec<_>>(), Grip::Light).await?;
        }
        let scope = work.shared.scope(&work.active.catalog, &work.active.env);
        let (given, targets) = (&work.active.given, &self.targets);
        let statement = Statement { query: &self.query, text: Some(&self.text), targets, given };
        let running = work.server.engine.run(statement, &scope, &self.params, params)?;
        Ok(running)
    }

    /// Notes how far the sequences are that it shows.
    async fn look_at_sequences<D: Database>(&self, work: &mut Work<'_, D>) -> Outcome<()> {
        let catalog = Arc::clone(&work.active.catalog);
        let all = self.system_tables.contains("pg_sequences");
        let shown = catalog.sequences().filter(|sequence| all || self.sequences.contains(&sequence.id));
        let shown: Vec<&Sequence> = shown.map(AsRef::as_ref).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let active = &mut *work.active;
        let is_of_its_own = active.defines || active.read_only || matches!(active.transaction.mode(), Mode::AsOf(_));
        // Others take values all the time, which must be no conflict.
        let mut apart = Transaction::new(work.server.db.clone(), Mode::Statement, work.server.db.begin());
        let transaction = if is_of_its_own { &mut active.transaction } else { &mut apart };
        let last = crate::sequence::last(transaction, catalog.home(), &shown, &work.deadline).await?;
        lock(&work.shared.own).sequences = shown.iter().map(|sequence| sequence.id).zip(last).collect();
        Ok(())
    }

    /// Runs it for the client.
    pub async fn run<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        let mut running = self.begin(work, params).await?;
        if self.text.to_ascii_lowercase().contains("nextval") {
            // A try that lacks values of a sequence is begun again: nobody may have been given any row of it.
            return Ok(Produced::rows(all(running, work).await?, Tag::Rows("SELECT")));
        }
        // What can go wrong mostly does before the first rows: then the statement can still be tried again.
        let first = next(&mut running, work).await?;
        let tag = Tag::Rows("SELECT");
        Ok(match first {
            None => Produced::rows(Vec::new(), tag),
            Some(first) => Produced { rows: Rows::Query(first.into_iter(), Box::new(running)), tag },
        })
    }

    /// All its rows.
    pub async fn whole<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Vec<Row>> {
        let running = self.begin(work, params).await?;
        all(running, work).await
    }

    /// `EXPLAIN`
    pub async fn explain<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        how: Explain,
    ) -> Outcome<Vec<Row>> {
        let scope = work.shared.scope(&work.active.catalog, &work.active.env);
        let (given, targets) = (&work.active.given, &self.targets);
        let statement = Statement { query: &self.query, text: Some(&self.text), targets, given };
        let running = work.server.engine.explain(statement, &scope, &self.params, params, how)?;
        all(running, work).await
    }

    /// All rows, as values of the columns that they are assigned to.
    pub async fn assigned<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        targets: &[(String, SqlType)],
    ) -> Outcome<Vec<Row>> {
        let running = self.begin(work, params).await?;
        let rows = all(running, work).await?;
        Ok(self.assign(rows, targets, work)?)
    }

    /// Rows of it as values of the columns that they are assigned to.
    pub fn assign<D: Database>(
        &self,
        rows: Vec<Row>,
        targets: &[(String, SqlType)],
        work: &Work<'_, D>,
    ) -> SqlResult<Vec<Row>> {
        let env = Arc::clone(&work.active.env);
        let assign = |(value, (from, (_, to))): (Value, (&Column, &(String, SqlType)))| match from.ty == *to {
            true => Ok(value),
            false => cast(value, &from.ty, to, CastContext::Assignment, &env),
        };
        let row =
            |row: Row| row.into_iter().zip(self.columns.iter().zip(targets)).map(assign).collect::<SqlResult<Row>>();
        rows.into_iter().map(row).collect()
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whether a statement may use the system's tables: more do not matter.
fn may_ask_catalog(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["pg_", "information_schema", "::reg"].iter().any(|part| text.contains(part))
}

/// `42804` if results of a query cannot be assigned to columns.
pub(crate) fn check_assignable(from: &[Column], targets: &[(String, SqlType)]) -> SqlResult<()> {
    for (from, (name, to)) in from.iter().zip(targets) {
        if from.ty != *to && !can_cast(&from.ty, to, CastContext::Assignment) {
            let message =
                format!("column \"{name}\" is of type {} but expression is of type {}", to.name(), from.ty.name());
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression."));
        }
    }
    Ok(())
}

/// All rows of a query.
async fn all<D: Database>(mut running: Running, work: &mut Work<'_, D>) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    while let Some(more) = next(&mut running, work).await? {
        rows.extend(more);
        if rows.len() > annulus_base::limits::MAX_TXN_KEYS {
            let message = "a statement that changes or locks rows finds too many";
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .hint("Split it into smaller ones.")
                .into());
        }
    }
    Ok(rows)
}

/// The next rows of a query, while what it asks for is served; `None` at its end.
pub(crate) async fn next<D: Database>(running: &mut Running, work: &mut Work<'_, D>) -> Outcome<Option<Vec<Row>>> {
    loop {
        let left = std::time::Duration::from_micros(work.deadline.left());
        tokio::select! {
            biased;
            request = running.scans.recv(), if !running.scans.is_closed() || !running.scans.is_empty() => {
                if let Some(request) = request {
                    serve(request, work).await?;
                }
            }
            rows = running.rows.recv() => match rows {
                Some(Ok(rows)) => return Ok(Some(rows)),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(None),
            },
            () = tokio::time::sleep(left) => work.deadline.check()?,
        }
    }
}

/// Reads what a scan of a query asks for.
async fn serve<D: Database>(request: ScanRequest, work: &mut Work<'_, D>) -> Outcome<()> {
    let ScanRequest { spec, resume, rows, reply } = request;
    let (rounds, bytes) = (work.active.transaction.rounds(), work.active.transaction.bytes());
    match stretch(&spec, resume, rows, work).await {
        Ok(mut stretch) => {
            stretch.round_trips = work.active.transaction.rounds() - rounds;
            stretch.bytes = work.active.transaction.bytes() - bytes;
            // The query may have ended in between.
            let _ = reply.send(Ok(stretch));
            Ok(())
        }
        Err(failure) => {
            let _ = reply.send(Err(to_sql(failure.clone())));
            Err(failure)
        }
    }
}

async fn stretch<D: Database>(
    spec: &crate::query::ScanSpec,
    resume: Option<crate::query::Resume>,
    rows: usize,
    work: &mut Work<'_, D>,
) -> Outcome<Stretch> {
    let catalog: Arc<Catalog> = Arc::clone(&work.active.catalog);
    let mut stretch = Stretch::default();
    let mut place = match resume.map(|resume| resume.downcast::<Place>()) {
        Some(Ok(place)) => *place,
        Some(Err(_)) => return Err(internal("a scan that nobody began").into()),
        None => {
            let mut place = begin(spec, &catalog)?;
            let all: Vec<_> = catalog.home().partitions().collect();
            work.pin(&all, Grip::Light).await?;
            if spec.keeps {
                look_up(spec, &mut place, &mut stretch, &catalog, work).await?;
            }
            place
        }
    };
    let wanted = u32::try_from(rows).unwrap_or(u32::MAX).clamp(1, MOST_ROWS);
    loop {
        work.deadline.check()?;
        let left = work.deadline.left();
        let Some(tuples) = place.cursor.next(&mut work.active.transaction, &catalog, wanted, left).await? else {
            if let Some(sampling) = place.sampling {
                work.shared.statistics.note(catalog.home().catalog(), sampling);
            }
            return Ok(stretch);
        };
        for tuple in tuples {
            match stretch.parts.last_mut().filter(|(partition, _)| *partition == tuple.place.partition) {
                Some((_, rows)) => *rows += 1,
                None => stretch.parts.push((tuple.place.partition, 1)),
            }
            let hidden = place.id.and_then(|at| Some((at, tuple.row_id()?)));
            let mut row = tuple.values;
            if let Some((at, id)) = hidden {
                row[at] = Value::Uuid(id.to_bytes());
            }
            stretch.rows.push(row);
        }
        if !stretch.rows.is_empty() {
            place.sampling.iter_mut().for_each(|sampling| sampling.add(&stretch.rows));
            // What was read only to be sampled.
            stretch.rows.iter_mut().for_each(|row| row.truncate(spec.columns.len()));
            stretch.resume = Some(Box::new(place));
            return Ok(stretch);
        }
    }
}

/// Takes the partitions out of a scan whose columns are kept and still as they were; the others are to be kept.
async fn look_up<D: Database>(
    spec: &crate::query::ScanSpec,
    place: &mut Place,
    stretch: &mut Stretch,
    catalog: &Catalog,
    work: &mut Work<'_, D>,
) -> Outcome<()> {
    let rows = place.cursor.spans();
    let mut waited = false;
    let stamp = |rows: &Span| {
        let stamp = catalog.home().stamp(spec.table.id, rows.partition);
        Span { partition: stamp.partition, range: KeyRange { end: stamp.key.successor(), start: stamp.key } }
    };
    let spans: Vec<Span> = rows.iter().flat_map(|rows| [rows.clone(), stamp(rows)]).collect();
    let columns = Arc::clone(&work.server.columns);
    loop {
        let left = work.deadline.left();
        let Some(standings) = work.active.transaction.standing(&spans, left).await? else { return Ok(()) };
        let (mut known, mut unknown) = (BTreeSet::new(), Vec::new());
        for (rows, standings) in rows.iter().zip(standings.chunks_exact(2)) {
            let standings: Standings = [standings[0].clone(), standings[1].clone()];
            match columns.find(rows.partition, &spec.table, &spec.columns, &standings) {
                Some(kept) => {
                    known.insert(rows.partition);
                    stretch.kept.push(kept);
                }
                None => unknown.push((rows.partition, standings)),
            }
        }
        let asker = (work.shared.id, catalog.home().catalog());
        match Collecting::begin(&columns, asker, &spec.table, &spec.columns, unknown.into_iter()) {
            // What it finds can be used here, whichever of the two snapshots is the earlier one.
            Err(busy) if !waited && known.len() < rows.len() && !busy.is_of(work.shared.id) => {
                waited = true;
                stretch.kept.clear();
                let patience = std::time::Duration::from_micros(left);
                // Whoever waited in vain is told by its deadline.
                let _ = tokio::time::timeout(patience, busy.wait(&columns)).await;
                work.deadline.check()?;
                continue;
            }
            Err(_) => {}
            Ok(collecting) => stretch.collecting = collecting,
        }
        if !known.is_empty() {
            // The rest is no sample of the table.
            place.sampling = None;
        }
        place.cursor.leave_out(&known);
        return Ok(());
    }
}

fn begin(spec: &crate::query::ScanSpec, catalog: &Catalog) -> SqlResult<Place> {
    // The query was planned with this very catalog.
    let physical = Arc::new(Physical::new(*catalog.home(), &spec.table)?);
    let index = spec.table.indexes.iter().position(|index| index.id == spec.index);
    let index = index.ok_or_else(|| internal("a scan of an unknown index"))?;
    let everything = index == 0 && spec.ranges == [crate::query::KeyRange::all()];
    let mut columns = spec.columns.clone();
    // The key is sampled, too: how much of the table is between two keys tells whether reading only that is worth it.
    if everything && let Some(first) = first_key(&spec.table).filter(|first| !columns.contains(first)) {
        columns.push(first);
    }
    let positions: Option<Vec<usize>> =
        columns.iter().map(|id| spec.table.columns.iter().position(|column| column.id == *id)).collect();
    let positions = positions.ok_or_else(|| internal("a scan of an unknown column"))?;
    let bounds: Vec<Bounds> = spec
        .ranges
        .iter()
        .map(|range| Bounds { equal: range.equal.clone(), lower: range.lower.clone(), upper: range.upper.clone() })
        .collect();
    let cursor = Cursor::new(&physical, index, &bounds, Some(positions), spec.ordered)?;
    let sampling = everything.then(|| Sampling::new(&spec.table, &columns));
    let id = spec.columns.iter().position(|column| *column == ROW_ID);
    Ok(Place { cursor, sampling, id })
}

/// The first column of a table's primary key.
fn first_key(table: &Table) -> Option<ColumnId> {
    match table.indexes.first()?.keys.first()?.part {
        KeyPart::Column(id) => Some(id),
        KeyPart::Expression(..) => None,
    }
}

fn internal(message: &str) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, message)
}
