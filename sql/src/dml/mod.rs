//! Reading and writing the rows of one table: what needs no query engine.
//!
//! Promises and invariants:
//! - A plan depends on the catalog, the parameters' types and the search path only: it can be run again and again.
//! - All writes of a statement go through one [`annulus_relation::ops::Writer`], which keeps every constraint.

mod arbiter;
mod asked;
mod assigned;
mod beside;
mod change;
mod clause;
mod conflict;
mod delete;
mod insert;
mod insert_query;
mod joined;
mod locked;
mod merge;
mod projection;
pub(crate) mod query;
mod select;
pub(crate) mod sink;
mod stored;
mod target;
mod update;

use annulus_relation::ops::{Checks, Surroundings, Tuple, Writer, check_changed};
use annulus_relation::transaction::{Grip, Mode, Transaction};
use annulus_relation::{Outcome, Value};
use annulus_txn::interface::Database;

pub(crate) use change::{Change, Changed, Ground, Writing, below};
pub(crate) use delete::{Delete, from_of};
pub(crate) use insert::{Defaults, Insert, row_id};
pub(crate) use insert_query::InsertQuery;
pub(crate) use joined::Joined;
pub(crate) use locked::LockedQuery;
pub(crate) use merge::Merge;
pub(crate) use select::{Scan, Select};
pub(crate) use stored::{Evaluator, StoredExpressions};
pub(crate) use update::Update;

use crate::bind::Expr;
use crate::statement::Work;
use target::Access;
pub(crate) use target::{Target, only_table};

/// How many rows are read at a time by statements that write.
const STRETCH: u32 = 1_000;

impl<D: Database> Work<'_, D> {
    /// A statement of its own reads all at one instant from now on.
    pub(crate) async fn pin(&mut self, partitions: &[annulus_base::PartitionId], grip: Grip) -> Outcome<()> {
        if self.active.transaction.mode() == Mode::Statement && !self.active.transaction.has_writes() {
            let grip = if self.active.is_retry { Grip::Firm } else { grip };
            self.active.transaction.pin(partitions, grip, self.deadline.left()).await?;
        }
        Ok(())
    }

    /// Forgets what a statement of its own has read; whether it could.
    pub(crate) fn restart(&mut self) -> bool {
        let alone = self.active.transaction.mode() == Mode::Statement && !self.active.block;
        let fresh = alone && !self.active.transaction.has_writes();
        if fresh {
            let start = self.active.transaction.start();
            self.active.transaction = Transaction::new(self.server.db.clone(), Mode::Statement, start);
        }
        fresh
    }

    /// When a unique key that exists already is found out.
    pub(crate) fn checks(&self) -> Checks {
        match self.active.transaction.mode() {
            Mode::Statement => Checks::AtCommit,
            Mode::Block | Mode::AsOf(_) => Checks::AtStatement,
        }
    }
}

/// A statement's table, how its rows are found, and which of them are meant.
pub(crate) struct Source {
    pub target: Target,
    pub access: Access,
    pub filter: Option<Expr>,
}

impl Source {
    /// Whether it finds its row by the whole primary key.
    pub fn is_point(&self) -> bool {
        self.access.is_point(&self.target.physical)
    }

    /// How its rows are found, in words.
    pub fn describe(&self) -> Vec<String> {
        let table = &self.target.table;
        let index = table.indexes.get(self.access.index).map_or("", |index| index.name.as_str());
        let first = match (self.access.is_everything(), self.is_point()) {
            (true, _) => format!("Seq Scan on {}", table.name),
            (_, true) => format!("Point Read using {index} on {}", table.name),
            _ => format!("Index Scan using {index} on {}", table.name),
        };
        let column =
            |position: usize| table.columns.get(position).map(|column| column.name.clone()).unwrap_or_default();
        let filter = self.filter.as_ref().map(|filter| format!("  Filter: {}", filter.to_sql(&column)));
        std::iter::once(first).chain(filter).collect()
    }

    /// All rows that are meant, to be changed.
    async fn rows<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        evaluator: &Evaluator<'_>,
    ) -> Outcome<Vec<Tuple>> {
        let mut cursor = self.access.cursor(&self.target.physical, params, evaluator, None, false)?;
        let mut found = Vec::new();
        let (catalog, context) = (std::sync::Arc::clone(&work.active.catalog), evaluator.context());
        loop {
            work.deadline.check()?;
            let left = work.deadline.left();
            let Some(tuples) = cursor.next(&mut work.active.transaction, &catalog, STRETCH, left).await? else {
                return Ok(found);
            };
            for tuple in tuples {
                if self.filter.as_ref().map_or(Ok(true), |filter| filter.is_true(&tuple.values, params, &context))? {
                    found.push(tuple);
                }
            }
            check_changed(found.len())?;
        }
    }
}

/// Carries out what a writer has collected.
pub(crate) async fn finish<D: Database, E: annulus_relation::ops::Expressions>(
    work: &mut Work<'_, D>,
    writer: Writer<'_, E>,
) -> Outcome<()> {
    work.evaluated(1, || writer.expect()).await?;
    let left = work.deadline.left();
    let active = &mut *work.active;
    writer.finish(&mut active.transaction, &active.deferrals, &mut active.pending, left).await
}

/// What operations need to know.
pub(crate) fn around<'a>(
    catalog: &'a annulus_relation::catalog::Catalog,
    evaluator: &'a Evaluator<'a>,
) -> Surroundings<'a, Evaluator<'a>> {
    Surroundings { catalog, expressions: evaluator }
}
