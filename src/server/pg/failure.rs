//! How a message can fail.

use std::io;

use annulus_relation::SqlError;

/// Why a message was not carried out.
#[derive(Debug)]
pub enum Failure {
    /// It failed; the connection goes on.
    Statement(SqlError),
    /// The client is told, and the connection ends.
    Fatal(SqlError),
    /// The client has gone, or takes too long.
    Gone(io::Error),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}
