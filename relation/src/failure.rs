//! What can go wrong when statements touch the database.

use annulus_txn::interface::TxnError;

use crate::error::SqlError;

/// The result of whatever reads or writes relations.
pub type Outcome<T> = Result<T, Failure>;

/// Why something that reads or writes relations did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The statement is at fault: trying again cannot help.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The transaction did not get through; its class says what to do.
    #[error(transparent)]
    Txn(#[from] TxnError),
}
