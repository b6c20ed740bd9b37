//! Errors on their way through DataFusion, and DataFusion's own.

use annulus_relation::{SqlError, SqlState};
use datafusion::common::DataFusionError;

/// An error as DataFusion carries it.
pub(super) fn to_datafusion(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// What a client is told.
pub(super) fn from_datafusion(error: DataFusionError) -> SqlError {
    let root = error.find_root();
    match root {
        DataFusionError::External(inner) => match inner.downcast_ref::<SqlError>() {
            Some(error) => error.clone(),
            None => SqlError::new(SqlState::INTERNAL_ERROR, inner.to_string()),
        },
        DataFusionError::ResourcesExhausted(message) => {
            SqlError::new(SqlState::OUT_OF_MEMORY, "the query needs more memory than there is for queries")
                .detail(message.lines().next().unwrap_or_default())
                .hint("Reduce what the query sorts, groups or joins, or raise the limit in the node's configuration.")
        }
        DataFusionError::NotImplemented(message) => SqlError::unsupported("this query").detail(message),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        other => SqlError::new(SqlState::INTERNAL_ERROR, other.strip_backtrace()),
    }
}

fn arrow(error: &datafusion::arrow::error::ArrowError) -> SqlError {
    use datafusion::arrow::error::ArrowError;
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<SqlError>() {
            Some(error) => error.clone(),
            None => SqlError::new(SqlState::INTERNAL_ERROR, inner.to_string()),
        },
        other => SqlError::new(SqlState::INTERNAL_ERROR, other.to_string()),
    }
}
