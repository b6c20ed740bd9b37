//! The rows of a [`Load`], and what is made of them: written in parts, each by a transaction of its own.
//!
//! A batch keeps every constraint by itself. What it went by in other tables, the parents of its rows, may change before
//! the load's transaction commits: so that one demands it again.

use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Fate, TxnError};

use super::deferral::{Deferrals, Pending, Violations};
use super::{Expressions, Writer, explain};
use crate::catalog::Load;
use crate::error::{SqlError, SqlState};
use crate::failure::{Failure, Outcome};
use crate::transaction::{Mode, Transaction};

/// Writes what a writer has collected as a batch of a load that belongs to `transaction`. Returns what deferred constraints
/// object to.
///
/// # Errors
/// Constraints that the rows violate, `40001` if something that the batch went by has changed or the load was stopped,
/// and every [`TxnError`] but [`TxnError::Unknown`]: whatever became of the batch, nobody sees it before the load's
/// transaction commits.
pub async fn write_batch<D: Database, E: Expressions>(
    load: &Load,
    writer: Writer<'_, E>,
    transaction: &mut Transaction<D>,
    deferrals: &Deferrals,
    patience: Micros,
) -> Outcome<Violations> {
    let catalog = writer.around.catalog;
    let db = transaction.database().clone();
    let mut batch = Transaction::new(db.clone(), Mode::Statement, db.begin());
    let mut pending = Pending::default();
    writer.finish(&mut batch, deferrals, &mut pending, patience).await?;
    let Pending { claims, violations } = pending;
    let premises = batch.premises(claims.places());
    match commit_part(load, batch, patience).await {
        Ok(()) => {}
        Err(Failure::Txn(error @ TxnError::Conflict(_))) => {
            let found = explain(&db, catalog, &claims, premises, patience).await?;
            return Err(found.map_or_else(|| Failure::Txn(error), Failure::Sql));
        }
        Err(failure) => return Err(failure),
    }
    transaction.adopt(premises).map_err(too_many_premises)?;
    Ok(violations)
}

/// A load's transaction demands at its commit what its rows refer to.
fn too_many_premises(error: TxnError) -> Failure {
    match error {
        TxnError::Limit(message) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Load before the foreign keys are declared.")
            .into(),
        other => other.into(),
    }
}

/// Commits a part of a load: it writes nothing but what nobody sees before the load's transaction commits.
///
/// # Errors
/// `40001` if it could not be learned whether it is written, a conflict if the load was stopped, and every other
/// [`TxnError`].
pub async fn commit_part<D: Database>(load: &Load, mut part: Transaction<D>, patience: Micros) -> Outcome<()> {
    let db = part.database().clone();
    load.expect(&mut part);
    match part.commit(patience).await {
        Err(TxnError::Unknown(id)) => match db.outcome(id, patience).await {
            Ok(Fate::Committed) => Ok(()),
            _ => Err(unknown().into()),
        },
        committed => Ok(committed.map(drop)?),
    }
}

fn unknown() -> SqlError {
    let message = "could not learn in time whether a part of the rows was written; nobody sees any of them";
    SqlError::new(SqlState::SERIALIZATION_FAILURE, message).hint("Retry the transaction.")
}
