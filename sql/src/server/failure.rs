//! What clients are told when a transaction does not get through.

use annulus_base::Key;
use annulus_relation::SqlError;
use annulus_relation::error::SqlState;
use annulus_relation::failure::Failure;
use annulus_txn::interface::TxnError;

/// The index number of the records that a change of a table's descriptor writes.
const STAMP: u32 = u32::MAX;
/// The object that the records of the catalog belong to.
const CATALOG: u32 = 1;

/// Whether a mere retry with the same priority may help.
pub(crate) const fn is_retryable(failure: &Failure) -> bool {
    matches!(failure, Failure::Txn(TxnError::Conflict(_) | TxnError::Wounded))
}

/// Whether something in the catalog has changed since it was read, so that it has to be read anew.
pub(crate) fn is_about_catalog(error: &TxnError) -> bool {
    let TxnError::Conflict(key) = error else { return false };
    number_at(key, 4) == Some(CATALOG) || number_at(key, 8) == Some(STAMP)
}

/// As [`is_about_catalog`].
pub(crate) fn of_catalog(failure: &Failure) -> bool {
    matches!(failure, Failure::Txn(error) if is_about_catalog(error))
}

fn number_at(key: &Key, at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(key.as_bytes().get(at..at + 4)?.try_into().ok()?))
}

/// The error for the client.
pub(crate) fn to_sql(failure: Failure) -> SqlError {
    match failure {
        Failure::Sql(error) => error,
        Failure::Txn(error) => of_transaction(&error),
    }
}

/// The error for the client.
pub(crate) fn of_transaction(error: &TxnError) -> SqlError {
    let retry = "The transaction might succeed if retried.";
    match error {
        TxnError::Conflict(key) => serialization("could not serialize access due to concurrent update")
            .detail(format!("Conflicting key: {key}."))
            .hint(retry),
        TxnError::Wounded => serialization("could not serialize access: an older transaction took a lock").hint(retry),
        TxnError::Locked(holder) => serialization("could not serialize access due to a lock")
            .detail(format!("Conflicting key: {}. Transaction {} holds it.", holder.key, holder.txn))
            .hint(retry),
        TxnError::Unknown(txn) => SqlError::new(
            SqlState::STATEMENT_COMPLETION_UNKNOWN,
            format!("the outcome of transaction {txn} is not known yet"),
        )
        .hint(format!("Do not repeat it before SELECT annulus.outcome('{txn}') has said what became of it.")),
        TxnError::Unavailable { .. } | TxnError::ClockDrift { .. } => {
            SqlError::new(SqlState::CANNOT_CONNECT_NOW, error.to_string())
        }
        TxnError::TooOld { .. } => SqlError::new(SqlState::SNAPSHOT_TOO_OLD, error.to_string()),
        TxnError::Limit(_) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string()),
        TxnError::Overloaded => SqlError::new(SqlState::INSUFFICIENT_RESOURCES, error.to_string()),
        TxnError::DiskFull => SqlError::new(SqlState::DISK_FULL, error.to_string()),
    }
}

fn serialization(message: &str) -> SqlError {
    SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
}

/// The error of a lock that was not granted: at once if `nowait`, else in time.
pub(crate) fn not_locked(error: &TxnError, table: &str, nowait: bool) -> SqlError {
    match error {
        TxnError::Locked(holder) => {
            let message = match nowait {
                true => format!("could not obtain lock on row in relation \"{table}\""),
                false => "canceling statement due to lock timeout".to_owned(),
            };
            SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message)
                .detail(format!("Transaction {} holds {}.", holder.txn, holder.key))
        }
        other => of_transaction(other),
    }
}
