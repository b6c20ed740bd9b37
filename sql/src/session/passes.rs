//! Passes over the rows of a table that make something of each, and note in the table's descriptor how far they are:
//! filling an index, making the copies of a table that is given a primary key, columns, or columns other types.
//!
//! Each step is a transaction of its own, which can be repeated: whoever finds a pass that nobody goes on with can take
//! it over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annulus_relation::catalog::{Catalog, Edit, IndexState, Load, ObjectId, Table};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Copies, Expressions, Physical, Position, Surroundings, commit_part, fill, rekey};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::{Database, TxnError};

use super::jobs::{Jobs, STEP, confirmed, replace};
use crate::ddl::follow_types;
use crate::dml::Evaluator;
use crate::sequence::take;
use crate::server::deadline::Deadline;
use crate::server::shared::{Need, now};
use crate::statement::Work;

/// How often it is written down how far a pass is: whoever uses the table has to read its descriptor again then. Often
/// enough that nobody takes the pass to be abandoned.
const NOTED: Duration = Duration::from_secs(5);

/// How few rows a step looks at where larger ones collide with writes.
const SMALLEST_STEP: u32 = 32;

/// For how many steps values of a sequence are taken at a time.
const AHEAD: u64 = 8;

/// What is made of the rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pass {
    /// Entries of an index.
    Fill(ObjectId),
    /// The copies of the table's successor.
    Rekey,
}

/// How far a pass is.
#[derive(Clone, Debug, Default)]
struct Reached {
    position: Position,
    /// How many rows were looked at.
    rows: u64,
}

impl Reached {
    fn noted(done: &[(u16, Vec<u8>)], rows: u64) -> Self {
        let first = done.first().map(|(slot, key)| Position { slot: *slot, key: key.clone() });
        Self { position: first.unwrap_or_default(), rows }
    }
}

impl Pass {
    /// How far it is, as the descriptor has it; `None` if it is over, or was given up.
    fn reached(self, table: &Table) -> Option<Reached> {
        match self {
            Self::Fill(id) => match &table.indexes.iter().find(|index| index.id == id)?.state {
                IndexState::Filling { done, rows } => Some(Reached::noted(done, *rows)),
                _ => None,
            },
            Self::Rekey => table.succession().map(|successor| Reached::noted(&successor.done, successor.rows)),
        }
    }

    /// The pass that is to be made before. Of an index that is being filled, only what is complete says whose a key is, and
    /// copies have that from there.
    fn comes_after(self, table: &Table) -> Option<Self> {
        table.rekeying().filter(|_| matches!(self, Self::Rekey))?;
        let filled = table.indexes.iter().find(|index| !index.state.is_complete())?;
        Some(Self::Fill(filled.id))
    }

    /// Whether the copies of a table are made for something else than at first: what was begun has come to its end.
    fn is_another(self, table: &Table, first: &mut Option<u32>) -> bool {
        let now = table.succession().map(|succession| succession.generation).filter(|_| matches!(self, Self::Rekey));
        let first = *first.get_or_insert(now.unwrap_or_default());
        now.is_some_and(|now| now != first)
    }

    /// Notes how far it is; `next` is `None` when all is done.
    fn note(self, edit: &mut Edit, table: &Table, next: Option<&Position>, rows: u64) -> SqlResult<()> {
        let after = self.noted(table, next, rows);
        if next.is_none() {
            follow_types(edit, table)?;
        }
        replace(edit, table, after)
    }

    /// The descriptor that says so.
    fn noted(self, table: &Table, next: Option<&Position>, rows: u64) -> Table {
        let mut after = table.clone();
        let done = next.map(|next| vec![(next.slot, next.key.clone())]);
        match (self, done) {
            (Self::Fill(id), done) => {
                let state = done.map_or(IndexState::Ready, |done| IndexState::Filling { done, rows });
                after.indexes.iter_mut().filter(|index| index.id == id).for_each(|index| index.state = state.clone());
            }
            (Self::Rekey, None) => return table.succeeded().unwrap_or(after),
            (Self::Rekey, Some(done)) => {
                let succession = after.succession_mut().into_iter();
                succession.for_each(|succession| (succession.done, succession.rows) = (done.clone(), rows));
            }
        }
        after
    }

    async fn step<D: Database, E: Expressions>(
        self,
        transaction: &mut Transaction<D>,
        around: Surroundings<'_, E>,
        physical: &Physical,
        (from, known): (&Position, Copies),
        rows: u32,
        deadline: &Deadline,
    ) -> Outcome<(Option<Position>, u64)> {
        let left = deadline.left();
        match self {
            Self::Rekey => rekey(transaction, around, physical, (from, known), rows, left).await,
            Self::Fill(id) => {
                let index = physical.table().indexes.iter().position(|index| index.id == id);
                match index {
                    Some(index) => fill(transaction, around, physical, index, from, rows, left).await,
                    None => Ok((None, 0)),
                }
            }
        }
    }

    /// All of it within one transaction, which has the catalog that it returns from then on; if its rows were loaded, and
    /// what is made of them is to be loaded, in parts of that load. Values of sequences that rows are given are taken on
    /// the way.
    pub(super) async fn within<D: Database, E: Expressions>(
        self,
        work: &mut Work<'_, D>,
        around: Surroundings<'_, E>,
        table: &Arc<Table>,
        load: Option<&Load>,
    ) -> Outcome<Catalog> {
        let physical = Physical::new(*around.catalog.home(), table)?;
        let (mut next, mut rows) = (Some(Position::default()), 0);
        while let Some(from) = &next {
            match self.step_within(work, around, &physical, from, load).await {
                Ok((after, looked_at)) => {
                    work.active.transaction.check_size().map_err(too_much)?;
                    (next, rows) = (after, rows + looked_at);
                }
                // A step that fails has written nothing.
                Err(failure) => match work.shared.take_need() {
                    Some(Need::Values(sequence, values)) => work.allot(sequence, values).await?,
                    _ => return Err(failure),
                },
            }
        }
        let mut edit = Edit::new(around.catalog);
        self.note(&mut edit, table, None, rows)?;
        Ok(edit.finish(&mut work.active.transaction)?)
    }

    async fn step_within<D: Database, E: Expressions>(
        self,
        work: &mut Work<'_, D>,
        around: Surroundings<'_, E>,
        physical: &Physical,
        from: &Position,
        load: Option<&Load>,
    ) -> Outcome<(Option<Position>, u64)> {
        let (transaction, deadline, from) = (&mut work.active.transaction, &work.deadline, (from, Copies::Perhaps));
        deadline.check()?;
        let Some(load) = load else { return self.step(transaction, around, physical, from, STEP, deadline).await };
        let db = transaction.database().clone();
        let mut part = Transaction::new(db.clone(), Mode::Statement, db.begin());
        let stepped = self.step(&mut part, around, physical, from, STEP, deadline).await?;
        commit_part(load, part, deadline.left()).await?;
        Ok(stepped)
    }
}

/// Tells whoever wants more within one transaction than it can write what is possible.
fn too_much(error: TxnError) -> Failure {
    match error {
        TxnError::Limit(message) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint(
                "A statement of its own, outside of a block, that does nothing but add to the table does it in steps.",
            )
            .into(),
        other => other.into(),
    }
}

impl<D: Database> Jobs<'_, D> {
    /// Makes a pass, from where it is, to its end.
    pub(super) async fn pass_over(&self, table: ObjectId, pass: Pass) -> Outcome<()> {
        let mut reached: Option<Reached> = None;
        let (mut last_noted, mut known) = (Instant::now(), Copies::Missing);
        let mut size = STEP;
        let mut generation = None;
        loop {
            let deadline = Deadline::new(None);
            let catalog = self.catalogs.current(&self.server.db, deadline.left()).await?;
            // Somebody may have dropped it, or completed it.
            let Some(descriptor) = catalog.table_by_id(table) else { return Ok(()) };
            if let Some(first) = pass.comes_after(descriptor) {
                Box::pin(self.pass_over(table, first)).await?;
                continue;
            }
            let Some(noted) = pass.reached(descriptor) else { return Ok(()) };
            if pass.is_another(descriptor, &mut generation) {
                return Ok(());
            }
            self.shared.use_catalog(&catalog);
            let note = last_noted.elapsed() >= NOTED;
            let from = reached.clone().unwrap_or(noted);
            match self.step_of(pass, &catalog, descriptor, (&from, known), (size, note), &deadline).await {
                Ok(next) => {
                    size = (size * 2).min(STEP);
                    if note || next.is_none() {
                        self.catalogs.outdate();
                        last_noted = Instant::now();
                    }
                    let Some(next) = next else { return Ok(()) };
                    reached = Some(next);
                }
                Err(failure) if let Some(need) = self.shared.take_need() => {
                    let Need::Values(sequence, values) = need else { return Err(failure) };
                    // Where there are more rows than a step looks at, one in a few asks.
                    let ahead = if values < size.into() { 1 } else { AHEAD };
                    take(&self.server.db, self.shared, sequence, values * ahead, &deadline).await?;
                }
                Err(failure) => {
                    // Others write here: from now on their copies are looked for.
                    known = Copies::Perhaps;
                    // Fewer rows at a time collide with fewer writes: however many there are, it comes to an end.
                    size = (size / 2).max(SMALLEST_STEP);
                    self.lost(failure).await?;
                }
            }
        }
    }

    /// One step of at most `size` rows, which notes how far it came if `note` says so, or all is done.
    async fn step_of(
        &self,
        pass: Pass,
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        (from, known): (&Reached, Copies),
        (size, note): (u32, bool),
        deadline: &Deadline,
    ) -> Outcome<Option<Reached>> {
        let env = Env { now: now(), ..Env::default() };
        let evaluator = Evaluator { stored: &self.catalogs.expressions, env: &env, shared: self.shared };
        let around = Surroundings { catalog, expressions: &evaluator };
        let physical = Physical::new(*catalog.home(), table)?;
        let db = &self.server.db;
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        let from_here = (&from.position, known);
        let step = pass.step(&mut transaction, around, &physical, from_here, size, deadline).await;
        let (next, looked_at) = confirmed(step, &mut transaction, deadline).await?;
        let rows = from.rows + looked_at;
        if note || next.is_none() {
            let mut edit = Edit::new(catalog);
            pass.note(&mut edit, table, next.as_ref(), rows)?;
            edit.finish(&mut transaction)?;
        }
        transaction.commit(deadline.left()).await.map_err(Failure::from)?;
        Ok(next.map(|position| Reached { position, rows }))
    }
}
