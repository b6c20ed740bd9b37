//! Outcome records of client tokens: a write that carries a token is executed at most once, however often it is sent.
//!
//! Promises:
//! - A transaction with a token commits only if the token has no record, and writes one with its other writes.
//! - Asking for the outcome of a token without a record writes one that says "aborted": then no transaction of that
//!   token can commit any more, and the answer stays true. Records are kept for [`RETENTION`].
//!
//! Layout of a record: byte 0 version (1), byte 1 outcome (1 committed, 2 aborted), the start timestamp of the
//! transaction (u64, big-endian), the wall clock in microseconds (u64, big-endian).

use annulus_base::id::TxnRef;
use annulus_base::time::{Micros, SECOND};
use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_ring::Namespace;
use bytes::{BufMut, Bytes, BytesMut};

use crate::interface::{Commit, Database, Place, TxnError, When};

/// How long outcome records are kept.
pub const RETENTION: Micros = 24 * 3600 * SECOND;
/// Longest token, bytes.
pub const MAX_TOKEN_LEN: usize = 256;

/// The object of outcome records, in the system namespace.
const OUTCOME: u32 = 2;
const LAYOUT: u8 = 1;
const COMMITTED: u8 = 1;
const ABORTED: u8 = 2;
const LENGTH: usize = 18;

/// What became of the transaction of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Committed,
    /// It is not, and never will be.
    Aborted,
}

/// Why something cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its length in bytes.
    #[error("a token has 1 to {MAX_TOKEN_LEN} bytes, this one has {0}")]
    Length(usize),
    /// It would be ambiguous where outcomes are asked for.
    #[error("a token must not look like a transaction id")]
    Id,
}

/// Where the records of a cluster are.
#[derive(Clone, Debug)]
pub struct Tokens {
    system: Namespace,
}

impl Tokens {
    /// In the system namespace.
    #[must_use]
    pub const fn new(system: Namespace) -> Self {
        Self { system }
    }

    /// Where the record of a token is.
    #[must_use]
    pub fn place(&self, token: &[u8]) -> Place {
        Place { partition: self.system.partition_of(token), key: Key::new(0, OUTCOME, 0, token) }
    }

    /// The partitions that hold records.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        self.system.partitions()
    }

    /// What became of the transaction of a token; if it has no record yet, nothing ever will. `left` tells how much
    /// time is left.
    ///
    /// # Errors
    /// [`TxnError`], if it could not be learned.
    pub async fn outcome<D: Database>(
        &self,
        database: &D,
        token: &[u8],
        left: impl Fn() -> Micros,
    ) -> Result<Outcome, TxnError> {
        let place = self.place(token);
        let start = database.begin();
        loop {
            let seen = database.read(vec![place.clone()], When::Latest, left()).await?;
            let Some(seen) = seen.into_iter().next() else { return Err(TxnError::Conflict(place.key)) };
            if let Some(record) = seen.value {
                return Ok(outcome_of(&record));
            }
            let record = encode(ABORTED, start, start.micros());
            let reads = vec![(place.clone(), seen.stamp)];
            let commit = Commit { reads, writes: vec![(place.clone(), Some(record))], ..Commit::default() };
            match database.commit(start, None, commit, left()).await {
                Ok(_) => return Ok(Outcome::Aborted),
                // Its own write, or somebody else who asks, came first: look again.
                Err(TxnError::Conflict(_)) if left() > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// All records of a partition.
#[must_use]
pub fn records() -> KeyRange {
    KeyRange::of_index(0, OUTCOME, 0)
}

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

/// What a record says.
#[must_use]
pub fn outcome_of(record: &[u8]) -> Outcome {
    if record.get(1) == Some(&ABORTED) { Outcome::Aborted } else { Outcome::Committed }
}

/// Whether a record is old enough to be dropped.
#[must_use]
pub fn is_outdated(record: &[u8], now: Micros) -> bool {
    let wall = record.get(10..LENGTH).and_then(|wall| wall.try_into().ok()).map(u64::from_be_bytes);
    wall.is_some_and(|wall| wall.saturating_add(RETENTION) <= now)
}

/// Refuses what cannot be a token.
///
/// # Errors
/// It cannot be one.
pub fn check(token: &[u8]) -> Result<(), TokenError> {
    if token.is_empty() || token.len() > MAX_TOKEN_LEN {
        return Err(TokenError::Length(token.len()));
    }
    if parse_id(token).is_some() { Err(TokenError::Id) } else { Ok(()) }
}

/// The transaction that a text is the id of.
#[must_use]
pub fn parse_id(text: &[u8]) -> Option<TxnRef> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

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
        assert_eq!(check(b"1-2-3-4-5-6-7"), Err(TokenError::Id));
        assert!(check(b"").is_err() && check(&[b'x'; MAX_TOKEN_LEN + 1]).is_err());
        assert!(check(b"0b6e2fcd-0f1c-4c58-a4a1-a0b0bd1ab0b2").is_ok());
    }
}
