//! `ANNULUS.TOKEN` and `ANNULUS.OUTCOME`: what became of a write whose answer was lost. See [`annulus_txn::token`].

use annulus_txn::interface::{Database, Fate};
use annulus_txn::token::{self, Outcome, TokenError};
use bytes::Bytes;

use super::errors::Failure;
use super::shared::Shared;

/// Refuses a token that has a record.
///
/// # Errors
/// It has one.
pub fn check_unused(record: Option<&Bytes>) -> Result<(), Failure> {
    match record.map(|record| token::outcome_of(record)) {
        None => Ok(()),
        Some(Outcome::Aborted) => Err(Failure::fixed(
            "ABORTED the outcome of this token was asked for before it was executed; it never will be, use a new token",
        )),
        Some(Outcome::Committed) => {
            Err(Failure::fixed("DONE token already used: its write is committed, nothing was done now"))
        }
    }
}

/// Refuses texts that cannot be tokens.
///
/// # Errors
/// It cannot be one.
pub fn check_token(asked: &[u8]) -> Result<(), Failure> {
    token::check(asked).map_err(|error| match error {
        TokenError::Length(_) => Failure::limit(format_args!("{error}")),
        TokenError::Id => Failure::fixed("ERR a token must not look like a transaction id"),
    })
}

/// Answers `ANNULUS.OUTCOME`: `committed`, `aborted` or `forgotten`.
///
/// # Errors
/// It could not be learned.
pub async fn ask<D: Database>(database: &D, shared: &Shared, asked: &[u8]) -> Result<&'static str, Failure> {
    let patience = shared.patience();
    if let Some(id) = token::parse_id(asked) {
        return Ok(match database.outcome(id, patience.left()).await? {
            Fate::Committed => "committed",
            Fate::Aborted => "aborted",
            Fate::Forgotten => "forgotten",
        });
    }
    check_token(asked)?;
    let tokens = shared.keyspace.tokens().ok_or(NO_SYSTEM)?;
    Ok(match tokens.outcome(database, asked, || patience.left()).await? {
        Outcome::Committed => "committed",
        Outcome::Aborted => "aborted",
    })
}

/// Tokens need the system namespace.
pub const NO_SYSTEM: Failure = Failure::fixed("ERR this cluster has no system namespace; tokens cannot be recorded");
