//! Running analyzed statements in a transaction.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::{Edit, Load, ObjectId};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::{SqlError, SqlResult, Value};
use annulus_txn::interface::{Database, Fate};
use annulus_txn::token;
use bytes::Bytes;

use super::explain::explain;
use super::maintain::maintain;
use super::{Analyzed, Plan, Work, analyze};
use crate::copy::Encoder;
use crate::ddl::{administer, define, definition_name};
use crate::parse::Parsed;
use crate::server::loads::Loading;
use crate::server::shared::Need;
use crate::session::answer::Tag;
use crate::session::{CopyOut, Portal, Produced, Rows};

/// How many values of a sequence a statement is given that was not content with a usual range, times [`MORE`].
const FEW: u64 = 32;
/// How many times as many values the next try is given.
const MORE: u64 = 8;

/// Runs a portal's statement. What its functions need of the cluster is done on the way, and the statement begun
/// again then: nothing of it has been given to anybody yet.
pub(crate) async fn produce<D: Database>(work: &mut Work<'_, D>, portal: &Portal) -> Outcome<Produced> {
    let mut values: BTreeMap<u32, u64> = BTreeMap::new();
    loop {
        let point = work.active.transaction.savepoint();
        let (catalog, defines) = (Arc::clone(&work.active.catalog), work.active.defines);
        let outcome = once(work, portal).await;
        match (outcome, work.shared.take_need()) {
            (Err(Failure::Sql(_)), Some(need)) => {
                work.active.transaction.rollback_to(point);
                work.shared.use_catalog(&catalog);
                (work.active.catalog, work.active.defines) = (catalog, defines);
                work.meet(need, &mut values).await?;
            }
            (outcome, _) => return outcome,
        }
    }
}

async fn once<D: Database>(work: &mut Work<'_, D>, portal: &Portal) -> Outcome<Produced> {
    run(work, portal.analyzed(), portal.parameters()).await
}

pub(super) async fn run<D: Database>(
    work: &mut Work<'_, D>,
    analyzed: &Rc<Analyzed>,
    params: &[Value],
) -> Outcome<Produced> {
    let parsed = &analyzed.parsed;
    work.active.see_loads(&work.deadline).await?;
    if !work.active.env.types.is_of(work.active.catalog.made_types(), &work.shared.path()) {
        work.active.env = Arc::new(work.shared.with_types(&work.active.env, &work.active.catalog));
    }
    for ty in &analyzed.types {
        work.active.catalog.expect_type(&mut work.active.transaction, *ty);
    }
    match &analyzed.plan {
        Plan::Define => {
            let what = definition_name(&parsed.statement).unwrap_or("the statement");
            define(work, parsed, what).await
        }
        Plan::Select(select) => select.run(work, params).await,
        Plan::Maintain => Ok(maintain(work, &parsed.statement)?),
        Plan::Administer(what) => administer(work, &parsed.statement, what).await,
        Plan::Explain(analyzed, how) => explain(work, analyzed, params, *how).await,
        Plan::CopyFrom(copy) => {
            let copy = copy.begin(work)?;
            Ok(Produced { rows: Rows::CopyIn(Box::new(copy), false), tag: Tag::Empty })
        }
        Plan::CopyTo(query, table, options) => {
            let columns = query.columns.as_deref().unwrap_or_default().to_vec();
            let rows = Box::pin(run(work, query, params)).await?.rows;
            let encoder = Encoder::new(options, columns);
            let copying = work.copying("COPY TO", *table);
            let out = CopyOut {
                encoder,
                rows,
                begun: false,
                ended: false,
                preamble: Bytes::new(),
                lines: VecDeque::new(),
                count: 0,
                copying,
            };
            Ok(Produced { rows: Rows::CopyOut(Box::new(out)), tag: Tag::Empty })
        }
        Plan::Query(query) => query.run(work, params).await,
        Plan::Change(change) => change.run(work, params).await,
        Plan::Locked(query) => query.run(work, params).await,
        Plan::With(with) => Box::pin(with.run(work, params)).await,
        Plan::Command | Plan::Declare(_) | Plan::Empty => Err(internal("the statement runs elsewhere").into()),
    }
}

/// Runs a statement as a part of another one.
pub(crate) async fn nested<D: Database>(work: &mut Work<'_, D>, parsed: Rc<Parsed>) -> Outcome<Produced> {
    let analyzed = Rc::new(analyze(&parsed, &[], &work.setting())?);
    Box::pin(run(work, &analyzed, &[])).await
}

fn internal(message: &str) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, message)
}

impl<D: Database> Work<'_, D> {
    /// What `evaluate` comes to; what functions need of the cluster is done on the way, values of sequences being taken for
    /// at least so many rows.
    pub(crate) async fn evaluated<T>(&mut self, rows: u64, evaluate: impl Fn() -> SqlResult<T>) -> Outcome<T> {
        loop {
            let error = match evaluate() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match self.shared.take_need() {
                Some(Need::Values(sequence, least)) => self.allot(sequence, rows.max(least)).await?,
                Some(need) => self.meet(need, &mut BTreeMap::new()).await?,
                None => return Err(error.into()),
            }
        }
    }

    /// Does what a function needs. `values` are those that it was given for tries before this one, by sequence.
    async fn meet(&mut self, need: Need, values: &mut BTreeMap<u32, u64>) -> Outcome<()> {
        self.deadline.check()?;
        match need {
            Need::Values(sequence, least) => {
                // What a try has taken is lost to the next one, which needs as many and more.
                let more = |count: &mut u64| *count = (*count).max(FEW).saturating_mul(MORE);
                let count = values.entry(sequence).and_modify(more).or_insert(least);
                return self.allot(sequence, *count).await;
            }
            Need::Set { sequence, value, called } => {
                self.set_sequence(sequence, value, called).await?;
                self.shared.meet(need, Value::Null);
            }
            Need::Fate(txn) => {
                let fate = self.server.db.outcome(txn, self.deadline.left()).await?;
                let word = match fate {
                    Fate::Committed => "committed",
                    Fate::Aborted => "aborted",
                    Fate::Forgotten => "forgotten",
                };
                self.shared.meet(need, Value::text(word));
            }
            Need::Token(ref token) => {
                let tokens = self.server.tokens()?;
                let outcome = tokens.outcome(&self.server.db, token.as_bytes(), || self.deadline.left()).await?;
                let word = match outcome {
                    token::Outcome::Committed => "committed",
                    token::Outcome::Aborted => "aborted",
                };
                self.shared.meet(need, Value::text(word));
            }
            Need::Sleep(duration) => {
                self.deadline.renew();
                tokio::time::sleep(duration).await;
                self.deadline.renew();
                self.shared.meet(need, Value::Null);
            }
            Need::Signal { session, terminate } => {
                let clients = &self.server.clients;
                let found = if terminate { clients.terminate(session) } else { clients.cancel(session) };
                self.shared.meet(need, Value::Bool(found));
            }
        }
        Ok(())
    }

    /// The load into a table that has no rows but those that the transaction has loaded already; begins one if it has not.
    pub(crate) async fn load(&mut self, table: ObjectId) -> Outcome<Load> {
        let active = &mut *self.active;
        active.is_behind = true;
        let is_known = |known: &&Loading| {
            active.catalog.table_by_id(table).is_some_and(|table| known.load.is_into(table.id, table.generation))
        };
        if let Some(known) = active.loads.iter().find(is_known) {
            return Ok(known.load.clone());
        }
        let load = Load::begin(&self.server.db, active.catalog.home(), table, self.deadline.left()).await?;
        active.loads.push(Loading::new(load.clone(), &self.server.abandoned));
        active.transaction.own(load.range());
        let mut edit = Edit::new(&active.catalog);
        edit.begin_generation(table, load.generation());
        crate::ddl::use_edit(self, edit)?;
        Ok(load)
    }

    /// Takes values of a sequence for this node, at least so many: in a transaction of their own, which nothing undoes,
    /// unless the sequence may have been made by the one at hand.
    pub(crate) async fn allot(&mut self, sequence: u32, count: u64) -> Outcome<()> {
        let catalog = self.shared.catalog();
        if self.active.defines {
            let transaction = &mut self.active.transaction;
            let range = crate::sequence::allot(transaction, &catalog, sequence, count, &self.deadline).await?;
            self.shared.sequences.give(&catalog, sequence, range);
            return Ok(());
        }
        self.active.check_writable("nextval()")?;
        crate::sequence::take(&self.server.db, self.shared, sequence, count, &self.deadline).await
    }

    /// `setval`
    async fn set_sequence(&mut self, sequence: u32, value: i64, called: bool) -> Outcome<()> {
        let catalog = self.shared.catalog();
        let home = *catalog.home();
        let missing = || SqlError::new(SqlState::UNDEFINED_TABLE, format!("sequence {sequence} does not exist"));
        let descriptor = catalog.sequence_by_id(sequence).ok_or_else(missing)?;
        self.active.check_writable("setval()")?;
        if self.active.defines {
            crate::sequence::set(&mut self.active.transaction, &home, descriptor, value, called)?;
        } else {
            let mut transaction = Transaction::new(self.server.db.clone(), Mode::Statement, self.server.db.begin());
            catalog.expect_sequence(&mut transaction, sequence);
            crate::sequence::set(&mut transaction, &home, descriptor, value, called)?;
            transaction.commit(self.deadline.left()).await?;
        }
        self.shared.sequences.forget(&home, sequence);
        Ok(())
    }
}
