//! `FOR UPDATE` and `FOR SHARE`.
//!
//! Both lock: a shared lock that held others off from writing only would be no use to a transaction that validates
//! its reads anyway. A row that is locked is read again, since it may have changed before; it counts only if the
//! condition is still true.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use annulus_relation::catalog::Table;
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Tuple, read_rows};
use annulus_relation::{Failure, Outcome, SqlError, SqlResult, Value};
use annulus_txn::interface::{Database, Place, TxnError};
use sqlparser::ast::{LockClause, NonBlock, ObjectName, ObjectNamePart};

use super::{Scan, SortKey};
use crate::bind::EvalContext;
use crate::dml::Source;
use crate::dml::stored::Evaluator;
use crate::names::position_of;
use crate::server::failure::not_locked;
use crate::session::Produced;
use crate::session::answer::Tag;
use crate::statement::Work;

/// How many rows are locked at a time.
const STRETCH: u32 = 500;

/// What to do about rows that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dml) enum Locking {
    Wait,
    Fail,
    Skip,
}

impl Locking {
    pub fn of(locks: &[LockClause], source: Option<&Source>) -> SqlResult<Option<Self>> {
        if locks.is_empty() {
            return Ok(None);
        }
        for of in locks.iter().filter_map(|lock| lock.of.as_ref()) {
            check_locked(of, |name| source.is_some_and(|source| name == source.target.name))?;
        }
        Ok(source.map(|_| Self::strongest(locks)))
    }

    /// What clauses say, of which `NOWAIT` goes before `SKIP LOCKED`, and that before none.
    pub fn strongest(locks: &[LockClause]) -> Self {
        let says = |what: NonBlock| locks.iter().any(|lock| lock.nonblock == Some(what));
        if says(NonBlock::Nowait) {
            Self::Fail
        } else if says(NonBlock::SkipLocked) {
            Self::Skip
        } else {
            Self::Wait
        }
    }

    /// Finds, locks and reads rows.
    pub async fn run<D: Database>(
        self,
        mut scan: Scan,
        work: &mut Work<'_, D>,
        evaluator: &Evaluator<'_>,
    ) -> Outcome<Produced> {
        work.active.check_writable("SELECT FOR UPDATE")?;
        let select = std::rc::Rc::clone(&scan.select);
        let Some(source) = &select.source else { return Ok(Produced::rows(Vec::new(), Tag::Rows("SELECT"))) };
        let context = evaluator.context();
        let catalog = Arc::clone(&work.active.catalog);
        let params = std::rc::Rc::clone(&scan.params);
        let passes = |tuple: &Tuple| match &source.filter {
            Some(filter) => filter.is_true(&tuple.values, &params, &context),
            None => Ok(true),
        };
        let mark = (self == Self::Skip).then(|| work.active.transaction.mark_reads());
        let mut candidates = VecDeque::new();
        if !select.sort.is_empty() {
            let mut found = Vec::new();
            while let Some(more) = self.find(&mut scan, source, work, evaluator).await? {
                found.extend(more);
            }
            candidates = sorted(found, &select.sort, &params, &context)?.into();
        }
        let mut rows = Vec::new();
        while scan.left > 0 {
            if candidates.is_empty() {
                match self.find(&mut scan, source, work, evaluator).await? {
                    Some(found) => candidates.extend(found.into_iter().map(|tuple| tuple.place)),
                    None => break,
                }
                continue;
            }
            // No more than are wanted are locked.
            let most = usize::try_from(scan.left.saturating_add(scan.skip)).unwrap_or(usize::MAX);
            let most = most.clamp(1, STRETCH as usize).min(candidates.len());
            let places: Vec<Place> = candidates.drain(..most).collect();
            if let Some(mark) = &mark {
                work.active.transaction.forget_reads(mark);
            }
            let places = self.noted_lock(&places, &source.target.table, work).await?;
            let (transaction, left) = (&mut work.active.transaction, work.deadline.left());
            let read = read_rows(transaction, &catalog, &source.target.physical, &places, left).await?;
            for tuple in read.into_iter().flatten() {
                if scan.left == 0 || !passes(&tuple)? {
                    continue;
                }
                if scan.skip > 0 {
                    scan.skip -= 1;
                    continue;
                }
                scan.left -= 1;
                rows.push(select.projection.apply(&tuple.values, &params, &context)?);
            }
        }
        if let Some(mark) = &mark {
            work.active.transaction.forget_reads(mark);
        }
        Ok(Produced::rows(rows, Tag::Rows("SELECT")))
    }

    /// The next rows that are to be locked, as they are before; `None` at the end.
    async fn find<D: Database>(
        self,
        scan: &mut Scan,
        source: &Source,
        work: &mut Work<'_, D>,
        evaluator: &Evaluator<'_>,
    ) -> Outcome<Option<Vec<Tuple>>> {
        work.deadline.check()?;
        let (catalog, left) = (Arc::clone(&work.active.catalog), work.deadline.left());
        let Some(mut found) = scan.cursor.next(&mut work.active.transaction, &catalog, STRETCH, left).await? else {
            return Ok(None);
        };
        if let Some(filter) = &source.filter {
            let context = evaluator.context();
            let mut kept = Vec::with_capacity(found.len());
            for tuple in found {
                if filter.is_true(&tuple.values, &scan.params, &context)? {
                    kept.push(tuple);
                }
            }
            found = kept;
        }
        Ok(Some(found))
    }

    /// Locks rows, which `pg_locks` shows; returns those that are locked.
    pub async fn noted_lock<D: Database>(
        self,
        places: &[Place],
        table: &Table,
        work: &mut Work<'_, D>,
    ) -> Outcome<Vec<Place>> {
        let here = (work.active.catalog.home().namespace.number(), table.id);
        let of_session = || Arc::new(work.shared.locked.of(work.shared.id));
        let held = Arc::clone(work.active.held.get_or_insert_with(of_session));
        let waiting = held.wait(here);
        let locked = self.lock(places, &table.name, work).await;
        drop(waiting);
        match &locked {
            Ok(places) if places.is_empty() => {}
            Ok(_) => held.given(here),
            Err(_) => held.lost(),
        }
        locked
    }

    /// Locks rows; returns those that are locked.
    async fn lock<D: Database>(self, places: &[Place], table: &str, work: &mut Work<'_, D>) -> Outcome<Vec<Place>> {
        let patience = work.deadline.left_within(work.shared.settings().lock_timeout());
        let transaction = &mut work.active.transaction;
        if self != Self::Skip {
            let nowait = self == Self::Fail;
            return match transaction.lock(places, nowait, patience).await {
                Ok(_) => Ok(places.to_vec()),
                Err(error @ TxnError::Locked(_)) => Err(Failure::Sql(not_locked(&error, table, nowait))),
                Err(error) => Err(error.into()),
            };
        }
        let mut locked = Vec::new();
        for place in places {
            match transaction.lock(std::slice::from_ref(place), true, patience).await {
                Ok(_) => locked.push(place.clone()),
                Err(TxnError::Locked(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(locked)
    }
}

/// Where rows are, in an order.
fn sorted(found: Vec<Tuple>, by: &[SortKey], params: &[Value], context: &EvalContext<'_>) -> SqlResult<Vec<Place>> {
    let mut keyed = Vec::with_capacity(found.len());
    for tuple in found {
        let keys = by.iter().map(|key| key.expr.eval(&tuple.values, params, context));
        keyed.push((keys.collect::<SqlResult<Vec<Value>>>()?, tuple.place));
    }
    keyed.sort_by(|(one, _), (other, _)| {
        let each = by.iter().zip(one.iter().zip(other)).map(|(key, (one, other))| key.compare(one, other));
        each.fold(Ordering::Equal, Ordering::then)
    });
    Ok(keyed.into_iter().map(|(_, place)| place).collect())
}

/// Refuses a table of a locking clause that is not among those of its query.
pub(in crate::dml) fn check_locked(of: &ObjectName, is_there: impl Fn(&str) -> bool) -> SqlResult<()> {
    let [ObjectNamePart::Identifier(name)] = of.0.as_slice() else {
        let message = "FOR UPDATE must specify unqualified relation names";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    };
    match is_there(&name.value) {
        true => Ok(()),
        false => {
            let message = format!("relation \"{}\" in FOR UPDATE clause not found in FROM clause", name.value);
            Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(position_of(name)))
        }
    }
}
