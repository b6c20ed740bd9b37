//! What became of a write whose answer was lost: outcome records of client tokens.
//!
//! `ANNULUS.TOKEN <token>` before a write makes it part of that write's transaction to find no record for
//! the token and to write one. So the write is executed at most once, however often it is sent. Asking for
//! the outcome of a token without a record writes a record that says "aborted": then the write cannot
//! be executed any more, and the answer stays true. Records are kept for [`RETENTION`].
//!
//! Layout of a record: byte 0 version (1), byte 1 outcome (1 committed, 2 aborted), the start timestamp
//! of the transaction (u64, big-endian), the wall clock in microseconds (u64, big-endian).

use annulus_base::Timestamp;
use annulus_base::id::TxnRef;
use annulus_base::time::{Micros, SECOND};
use annulus_txn::interface::{Commit, Database, Fate, TxnError, When};
use bytes::{BufMut, Bytes, BytesMut};

use super::errors::Failure;
use super::shared::{Patience, Shared};

/// How long outcome records are kept.
pub const RETENTION: Micros = 24 * 3600 * SECOND;
/// Longest token, bytes.
pub const MAX_TOKEN_LEN: usize = 256;

const LAYOUT: u8 = 1;
const COMMITTED: u8 = 1;
const ABORTED: u8 = 2;
const LENGTH: usize = 18;

/// The record of a committed transaction.
#[must_use]
pub fn committed(start: Timestamp, wall: Micros) -> Bytes {
    encode(COMMITTED, start, wall)
}

fn encode(outcome: u8, start: Timestamp, wall: Micros) -> Bytes {
    let mut out = BytesMut::with_capacity(LENGTH);
    out.put_slice(&[LAYOUT, outcome]);
    out.put_u64(start.0);
    out.put_u64(wall);
    out.freeze()
}

/// Whether a record is old enough to be dropped.
#[must_use]
pub fn is_outdated(record: &[u8], now: Micros) -> bool {
    let wall = record.get(10..LENGTH).and_then(|wall| wall.try_into().ok()).map(u64::from_be_bytes);
    wall.is_some_and(|wall| wall.saturating_add(RETENTION) <= now)
}

/// Refuses a token that has a record.
///
/// # Errors
/// It has one.
pub fn check_unused(record: Option<&Bytes>) -> Result<(), Failure> {
    match record.map(|record| record.get(1)) {
        None => Ok(()),
        Some(Some(&ABORTED)) => Err(Failure::fixed(
            "ABORTED the outcome of this token was asked for before it was executed; it never will be, use a new token",
        )),
        Some(_) => Err(Failure::fixed("DONE token already used: its write is committed, nothing was done now")),
    }
}

/// Refuses texts that cannot be tokens: a transaction id would be ambiguous in `ANNULUS.OUTCOME`.
///
/// # Errors
/// It cannot be one.
pub fn check_token(token: &[u8]) -> Result<(), Failure> {
    if token.is_empty() || token.len() > MAX_TOKEN_LEN {
        return Err(Failure::limit(format_args!(
            "a token has 1 to {MAX_TOKEN_LEN} bytes, this one has {}",
            token.len()
        )));
    }
    if parse_id(token).is_some() {
        return Err(Failure::fixed("ERR a token must not look like a transaction id"));
    }
    Ok(())
}

fn parse_id(text: &[u8]) -> Option<TxnRef> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Answers `ANNULUS.OUTCOME`: `committed`, `aborted` or `forgotten`.
///
/// # Errors
/// It could not be learned.
pub async fn ask<D: Database>(database: &D, shared: &Shared, asked: &[u8]) -> Result<&'static str, Failure> {
    let patience = shared.patience();
    let Some(id) = parse_id(asked) else { return ask_token(database, shared, asked, patience).await };
    Ok(match database.outcome(id, patience.left()).await? {
        Fate::Committed => "committed",
        Fate::Aborted => "aborted",
        Fate::Forgotten => "forgotten",
    })
}

async fn ask_token<D: Database>(
    database: &D,
    shared: &Shared,
    token: &[u8],
    patience: Patience,
) -> Result<&'static str, Failure> {
    check_token(token)?;
    let place = shared.keyspace.outcome_place(token).ok_or(NO_SYSTEM)?;
    let start = database.begin();
    loop {
        let seen = database.read(vec![place.clone()], When::Latest, patience.left()).await?;
        let seen = seen.into_iter().next().ok_or(NO_SYSTEM)?;
        if let Some(record) = seen.value {
            return Ok(if record.get(1) == Some(&ABORTED) { "aborted" } else { "committed" });
        }
        let record = encode(ABORTED, start, shared.wall());
        let reads = vec![(place.clone(), seen.stamp)];
        let commit = Commit { reads, writes: vec![(place.clone(), Some(record))], ..Commit::default() };
        match database.commit(start, None, commit, patience.left()).await {
            Ok(_) => return Ok("aborted"),
            // Its own write, or somebody else who asks, came first: look again.
            Err(TxnError::Conflict(_)) if patience.left() > 0 => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tokens need the system namespace.
pub const NO_SYSTEM: Failure = Failure::fixed("ERR this cluster has no system namespace; tokens cannot be recorded");

#[cfg(test)]
mod tests {
    use super::*;

    /// What was stored once must stay readable.
    #[test]
    fn the_stored_form_never_changes() {
        assert_eq!(&committed(Timestamp(3), 258)[..], b"\x01\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\x01\x02");
    }

    #[test]
    fn records_are_kept_a_day() {
        let record = committed(Timestamp(3), 7);
        assert!(!is_outdated(&record, 6 + RETENTION));
        assert!(is_outdated(&record, 7 + RETENTION));
        assert!(!is_outdated(b"junk", u64::MAX));
    }

    #[test]
    fn tokens_cannot_be_taken_for_ids() {
        assert!(check_token(b"1-2-3-4-5-6-7").is_err());
        assert!(check_token(b"").is_err() && check_token(&[b'x'; MAX_TOKEN_LEN + 1]).is_err());
        assert!(check_token(b"0b6e2fcd-0f1c-4c58-a4a1-a0b0bd1ab0b2").is_ok());
    }
}
