//! Where the rows of a `COPY`, or of a long query that is inserted, go.
//!
//! Few rows are written as those of any other statement. Many are loaded: into a new generation of the table's data,
//! which nobody sees before the transaction commits, by transactions of their own. That takes a table that nobody else
//! sees, or an empty one; whether a table is empty matters, and is looked for, once there are many rows. Into any other
//! table many rows can go in pieces, each committed by itself, if whoever gives them does not mind.

use std::rc::Rc;
use std::sync::Arc;

use annulus_base::limits::{MAX_TXN_KEYS, MAX_WRITE_BYTES};
use annulus_relation::catalog::ObjectId;
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Bounds, Checks, Cursor, Physical, Writer, write_batch};
use annulus_relation::{Failure, Outcome, Row, SqlError};
use annulus_txn::interface::{Database, TxnError};

use super::{Evaluator, Target, around, row_id};
use crate::session::{Active, check};
use crate::statement::Work;

/// How many rows are written at a time, and after how many bytes of data there are enough of them.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 1 << 20;

/// How many deleted rows are passed over at a time.
const PASSED: u32 = 1_000;

/// Which part of what a transaction can still write are many rows, or a piece of them.
const MANY: usize = 4;

/// Whose rows they are.
pub(crate) trait Giver {
    /// Where they are written.
    fn target(&self) -> &Target;
    /// Says in which of them something is wrong.
    fn wrong(&self, line: u64, error: SqlError) -> SqlError;
}

/// A row that was taken in.
#[derive(Clone)]
pub(crate) struct Taken {
    pub line: u64,
    pub row: Row,
    /// How many bytes of data it was.
    pub bytes: usize,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Not at all, until there are many.
    Open,
    /// By the transaction.
    Within,
    /// By a load.
    Around,
}

/// Rows on their way.
pub(crate) struct Sink {
    table: ObjectId,
    course: Course,
    rows: Vec<Taken>,
    bytes: usize,
    count: u64,
    pieces: Option<Pieces>,
}

/// Rows that are committed piece by piece.
#[derive(Default)]
struct Pieces {
    /// Those that the transaction at hand has written, to be written again if it loses a conflict.
    written: Vec<Taken>,
    /// How many are committed.
    committed: u64,
}

impl Sink {
    /// One that finds out how many rows there are.
    pub fn new<D: Database>(table: ObjectId, active: &Active<D>) -> Self {
        let course = if active.is_own(table) { Course::Around } else { Course::Open };
        Self { table, course, rows: Vec::new(), bytes: 0, count: 0, pieces: None }
    }

    /// The same, but if there are many rows they may be committed in pieces.
    pub fn in_pieces(self) -> Self {
        Self { pieces: Some(Pieces::default()), ..self }
    }

    /// One for rows of which there are many already; `None` if they cannot be loaded.
    pub async fn around<D: Database>(work: &mut Work<'_, D>, table: ObjectId) -> Outcome<Option<Self>> {
        let is_open = work.active.is_own(table) || is_open(work, table).await?;
        let around = || Self { table, course: Course::Around, rows: Vec::new(), bytes: 0, count: 0, pieces: None };
        Ok(is_open.then(around))
    }

    /// Whether there is anything to be committed by itself, or was.
    pub fn is_in_pieces(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.committed > 0 || !pieces.written.is_empty())
    }

    /// Whether what was written so far is to be committed now.
    pub fn has_piece<D: Database>(&self, active: &Active<D>) -> bool {
        let (keys, bytes) = active.transaction.size();
        self.pieces.as_ref().is_some_and(|pieces| !pieces.written.is_empty())
            && (keys >= MAX_TXN_KEYS / MANY || bytes >= MAX_WRITE_BYTES / MANY)
    }

    /// The piece was committed.
    pub fn committed_piece(&mut self) {
        if let Some(pieces) = &mut self.pieces {
            pieces.committed += std::mem::take(&mut pieces.written).len() as u64;
        }
    }

    /// How many rows were committed in pieces.
    pub fn committed(&self) -> u64 {
        self.pieces.as_ref().map_or(0, |pieces| pieces.committed)
    }

    /// Writes the piece again, by another transaction.
    pub async fn write_again<D: Database>(&mut self, work: &mut Work<'_, D>, plan: &impl Giver) -> Outcome<()> {
        let Some(pieces) = &self.pieces else { return Ok(()) };
        for rows in pieces.written.chunks(BATCH) {
            self.write(work, plan, rows.iter().cloned()).await?;
        }
        Ok(())
    }

    pub async fn take<D: Database>(&mut self, work: &mut Work<'_, D>, plan: &impl Giver, taken: Taken) -> Outcome<()> {
        self.bytes += taken.bytes;
        self.rows.push(taken);
        let (rows, bytes) = match self.course {
            Course::Open => many(work, plan.target()),
            Course::Within | Course::Around => (BATCH, BATCH_BYTES),
        };
        if self.rows.len() < rows && self.bytes < bytes {
            return Ok(());
        }
        if self.course == Course::Open {
            self.course = if is_open(work, self.table).await? { Course::Around } else { Course::Within };
        }
        self.write_all(work, plan).await
    }

    /// How many rows it has taken in so far.
    pub const fn count(&self) -> u64 {
        self.count + self.rows.len() as u64
    }

    /// Writes what is left; returns how many rows there were.
    pub async fn finish<D: Database>(&mut self, work: &mut Work<'_, D>, plan: &impl Giver) -> Outcome<u64> {
        self.write_all(work, plan).await?;
        check(work.active, &work.deadline).await?;
        Ok(self.count)
    }

    async fn write_all<D: Database>(&mut self, work: &mut Work<'_, D>, plan: &impl Giver) -> Outcome<()> {
        self.bytes = 0;
        let mut rows = std::mem::take(&mut self.rows).into_iter();
        self.count += rows.len() as u64;
        while rows.len() > 0 {
            let batch: Vec<Taken> = rows.by_ref().take(BATCH).collect();
            if let (Some(pieces), Course::Within) = (&mut self.pieces, self.course) {
                pieces.written.extend_from_slice(&batch);
            }
            self.write(work, plan, batch.into_iter()).await?;
        }
        Ok(())
    }

    async fn write<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        plan: &impl Giver,
        rows: impl Iterator<Item = Taken>,
    ) -> Outcome<()> {
        let load = if self.course == Course::Around { Some(work.load(self.table).await?) } else { None };
        let catalogs = Rc::clone(work.catalogs);
        let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
        let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
        let catalog = Arc::clone(&work.active.catalog);
        let checks = if load.is_some() { Checks::AtCommit } else { work.checks() };
        let mut writer = Writer::new(around(&catalog, &evaluator), checks);
        for Taken { line, row, .. } in rows {
            let id = row_id(work, plan.target());
            writer.insert(self.table, row, id).map_err(|error| plan.wrong(line, error))?;
        }
        work.evaluated(1, || writer.expect()).await?;
        let (left, active) = (work.deadline.left(), &mut *work.active);
        let deferrals = active.deferrals.of_part();
        let Active { transaction, pending, .. } = active;
        match load {
            Some(load) => {
                let violations = write_batch(&load, writer, transaction, &deferrals, left).await?;
                Ok(pending.note(violations)?)
            }
            None => writer.finish(transaction, &deferrals, pending, left).await.map_err(too_much),
        }
    }
}

/// From how many rows on, and how many bytes, there are many of them.
pub(crate) fn many<D: Database>(work: &Work<'_, D>, target: &Target) -> (usize, usize) {
    let (keys, bytes) = work.active.transaction.size();
    // Each row may have an entry in each index.
    let keys = MAX_TXN_KEYS.saturating_sub(keys) / target.table.indexes.len().max(1);
    (keys / MANY, MAX_WRITE_BYTES.saturating_sub(bytes) / MANY)
}

/// Whether rows can be loaded into a table because it is empty.
async fn is_open<D: Database>(work: &mut Work<'_, D>, table: ObjectId) -> Outcome<bool> {
    let catalog = Arc::clone(&work.active.catalog);
    let Some(descriptor) = catalog.table_by_id(table) else { return Ok(false) };
    let changing = descriptor.succession().is_some();
    if changing || work.active.pending.violations.tables().any(|id| id == table) {
        return Ok(false);
    }
    let physical = Arc::new(Physical::new(*catalog.home(), descriptor)?);
    let mut cursor = Cursor::new(&physical, 0, &[Bounds::all()], Some(Vec::new()), false)?;
    let (before, mut most) = (work.active.transaction.mark_reads(), 1);
    loop {
        let left = work.deadline.left();
        match cursor.next(&mut work.active.transaction, &catalog, most, left).await? {
            Some(rows) if !rows.is_empty() => {
                // Rows that there are need not stay.
                work.active.transaction.forget_reads(&before);
                return Ok(false);
            }
            // There may be many that were deleted.
            Some(_) => most = PASSED,
            None => return Ok(true),
        }
    }
}

/// Tells whoever loads more than a transaction can write what is possible.
fn too_much(failure: Failure) -> Failure {
    let Failure::Txn(TxnError::Limit(message)) = failure else { return failure };
    let hint = "COPY into a table that is empty, or that the same transaction has truncated, may have any number of rows. So \
                may any other outside of a block, after SET annulus.copy_atomic = off: then its rows are committed in pieces.";
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint(hint).into()
}
