//! What clients do with `relation/`. A [`Work`] is decided before it begins, so that a retry does the same.

use annulus_base::Timestamp;
use annulus_base::rng::Rng;
use annulus_relation::catalog::{Action, Catalog, Deferral, PUBLIC, sweep};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Checks, Claims, Deferrals, Pending, check_deferred, confirm, explain};
use annulus_relation::transaction::{Done, Grip, Mode, Premises};
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::{Database, TxnError};

use super::End;
use super::audit::audit;
use super::loads::LoadChildren;
use super::schema::Change;
use super::statements::Statement;
use super::steps::Steps;
use super::tables::{self, PARENTS, Session};
use super::watch::Watch;
use crate::workload::Layout;

/// Garbage deleted in one step.
const SWEPT: u32 = 5;

/// One transaction, or a change of the schema, which is several.
#[derive(Clone, Debug)]
pub enum Work {
    /// Bare reads and writes.
    Steps(Steps),
    /// Statements on rows.
    Statements(Statements),
    /// A change of the schema.
    Change(Change),
    /// Children in the place of all that there are.
    Load(LoadChildren),
    /// Deletes what was dropped.
    Sweep,
    /// Looks whether what is said to be unchanged is.
    Watch(Watch),
    /// Looks whether all is well, now (`None`) or in the past.
    Audit(Option<Timestamp>),
}

/// A transaction of statements.
#[derive(Clone, Debug)]
pub struct Statements {
    mode: Mode,
    pinned: bool,
    checks: Checks,
    /// Whether the client goes on after an error, from the savepoint before it.
    goes_on: bool,
    /// What becomes of children, and when they must have their parents, if this is the first to come.
    on_delete: Action,
    deferral: Deferral,
    all: Vec<Statement>,
}

impl Work {
    /// One of the two sorts of bare transactions.
    pub fn bare(layout: &Layout, rng: &mut Rng) -> Self {
        Self::Steps(Steps::bare(layout, rng))
    }

    /// Any work; `past` is a time to read at.
    pub fn random(layout: &Layout, past: Timestamp, rng: &mut Rng) -> Self {
        match rng.below(40) {
            0..=7 => Self::Steps(Steps::random(layout, past, rng)),
            8..=9 => Self::Change(Change::random(rng)),
            10 => Self::Sweep,
            13 if rng.one_in(2) => Self::Load(LoadChildren::random(rng)),
            11 => Self::Watch(Watch::random(layout, rng)),
            12 => Self::Audit(rng.one_in(2).then_some(past)),
            _ => Self::Statements(Statements::random(past, rng)),
        }
    }

    /// What is done in the end.
    #[must_use]
    pub fn last(layout: &Layout) -> Vec<Self> {
        vec![Self::Steps(Steps::everything(layout)), Self::Audit(None)]
    }

    /// Does it.
    pub async fn run(self, session: Session) -> End {
        let done = match self {
            Self::Steps(steps) => return steps.run(session).await,
            Self::Statements(statements) => statements.run(&session).await,
            Self::Change(change) => change.perform(&session).await.map(|()| End::Apart),
            Self::Load(load) => load.perform(&session).await.map(|()| End::Apart),
            Self::Sweep => sweep(&session.db, session.home, SWEPT, session.patience).await.map(|_| End::Apart),
            Self::Watch(watch) => watch.run(&session).await.map_err(Failure::from),
            Self::Audit(at) => {
                let at = at.unwrap_or_else(|| session.db.begin());
                audit(&session, at).await.map(|found| found.map_or_else(End::Broken, |()| End::Apart))
            }
        };
        match done {
            Ok(end) => end,
            Err(Failure::Sql(error)) => End::Broken(error.to_string()),
            Err(Failure::Txn(error)) => {
                // Perhaps because something cached is out of date.
                session.forget();
                End::Failed(error)
            }
        }
    }
}

impl Statements {
    fn random(past: Timestamp, rng: &mut Rng) -> Self {
        let on_delete =
            rng.pick(&[Action::NoAction, Action::Cascade, Action::SetNull]).cloned().unwrap_or(Action::NoAction);
        let deferral = *rng.pick(&[Deferral::Never, Deferral::Usual]).unwrap_or(&Deferral::Never);
        let (goes_on, read_only) = (rng.one_in(2), rng.one_in(4));
        let mode = match rng.below(8) {
            0 => Mode::AsOf(past),
            1..=4 => Mode::Statement,
            _ => Mode::Block,
        };
        let reads = read_only || matches!(mode, Mode::AsOf(_));
        let count = if mode == Mode::Statement && !reads { 1 } else { rng.between(1, 3) };
        let statement = |rng: &mut Rng| match reads {
            true => Statement::read(rng.below(4) as i32, 3 + rng.below(8) as i32, rng),
            false => Statement::random(rng),
        };
        let all = (0..count).map(|_| statement(rng)).collect();
        let checks = if mode == Mode::Statement && rng.one_in(2) { Checks::AtCommit } else { Checks::AtStatement };
        let pinned = mode == Mode::Statement && reads && rng.one_in(2);
        Self { mode, pinned, checks, goes_on, on_delete, deferral, all }
    }

    async fn run(self, session: &Session) -> Outcome<End> {
        let catalog = session.catalog().await?;
        if catalog.table(PUBLIC, PARENTS).is_none() {
            return self.create(session).await;
        }
        let mut txn = session.transaction(self.mode);
        if self.pinned {
            let grip = if self.goes_on { Grip::Light } else { Grip::Firm };
            txn.pin(&session.home.partitions().collect::<Vec<_>>(), grip, session.patience).await?;
        }
        if self.goes_on {
            txn.pins_after(self.all.len(), session.home.partitions().collect());
        }
        let (mut pending, deferrals) = (Pending::default(), Deferrals::default());
        for statement in &self.all {
            let savepoint = txn.savepoint();
            let left = (&mut pending, &deferrals);
            match statement.perform(&mut txn, &catalog, self.checks, left, session.patience).await {
                Ok(()) => {}
                Err(Failure::Sql(error)) => {
                    // What a client is told must be true.
                    is_allowed(confirm(&mut txn, &catalog, &pending.claims, error, session.patience).await?)?;
                    if !self.goes_on {
                        return Ok(self.without_effect());
                    }
                    txn.rollback_to(savepoint);
                }
                Err(failure) => return Err(failure),
            }
        }
        let Pending { claims, violations } = pending;
        match check_deferred(&catalog, &violations, &Deferrals::NONE, &mut txn, session.patience).await {
            Ok(()) => {}
            Err(Failure::Sql(error)) => {
                is_allowed(confirm(&mut txn, &catalog, &claims, error, session.patience).await?)?;
                return Ok(self.without_effect());
            }
            Err(failure) => return Err(failure),
        }
        let premises = txn.premises(claims.places());
        match txn.commit(session.patience).await {
            Ok(Done::ReadOnly) => Ok(self.without_effect()),
            Ok(Done::Committed(_)) => Ok(End::Apart),
            Err(error @ TxnError::Conflict(_)) => told(session, &catalog, &claims, premises, error).await,
            Err(error) => Err(error.into()),
        }
    }

    const fn without_effect(&self) -> End {
        if matches!(self.mode, Mode::AsOf(_)) { End::Apart } else { End::Saw }
    }

    async fn create(self, session: &Session) -> Outcome<End> {
        let catalog = session.fresh_catalog().await?;
        if catalog.table(PUBLIC, PARENTS).is_none() && !matches!(self.mode, Mode::AsOf(_)) {
            let mut txn = session.transaction(Mode::Statement);
            tables::create(&catalog, self.on_delete.clone(), self.deferral)?.finish(&mut txn)?;
            session.forget();
            txn.commit(session.patience).await?;
        }
        Ok(End::Apart)
    }
}

/// Whether a conflict at commit was a unique key that somebody else has: then there is nothing to try again, and that
/// the key is there must hold together with all that was read.
async fn told(
    session: &Session,
    catalog: &Catalog,
    claims: &Claims,
    premises: Premises,
    error: TxnError,
) -> Outcome<End> {
    session.forget();
    match explain(&session.db, catalog, claims, premises, session.patience).await? {
        Some(violation) => is_allowed(violation).map(|()| End::Saw).map_err(Failure::Sql),
        None => Err(error.into()),
    }
}

/// The statements break constraints; anything else must not happen.
pub(super) fn is_allowed(error: SqlError) -> SqlResult<()> {
    let allowed = [SqlState::UNIQUE_VIOLATION, SqlState::FOREIGN_KEY_VIOLATION];
    if allowed.contains(&error.state()) { Ok(()) } else { Err(error) }
}
