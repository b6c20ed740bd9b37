//! The data set: the same for every peer.

use annulus_base::rng::Rng;

use crate::client::Refusal;
use crate::peer::{Endpoint, Peer};

/// How many keys the key-value workloads use.
pub const KEYS: u32 = 100_000;
/// Length of a value in bytes.
pub const VALUE_LENGTH: usize = 100;
/// How many accounts there are.
pub const ACCOUNTS: u32 = 10_000;
/// How many of them the workload `hot` uses.
pub const HOT_ACCOUNTS: u32 = 10;
/// What each holds at the start.
pub const BALANCE: i64 = 1_000;
/// How many rows the table for ranges and aggregates has.
pub const ROWS: u32 = 100_000;
/// The sum of all rows' [`amount`]s.
pub const AMOUNTS: i64 = (ROWS / 1_000) as i64 * 499_500;
/// How many successive rows a range has.
pub const RANGE: u32 = 100;
/// Length of the text in each of those rows, in bytes.
const PAD_LENGTH: usize = 64;
/// Records written by one request while filling. etcd allows 128 operations in a transaction.
const BATCH: u32 = 100;
/// How often a batch is tried.
const TRIES: u32 = 5;
/// Connections that fill a peer.
const FILLERS: u32 = 16;

/// The key of a number.
pub fn key(number: u32) -> String {
    format!("k{number:08}")
}

/// The key of an account.
pub fn account(number: u32) -> String {
    format!("a{number:08}")
}

/// The amount in a row: they differ, and their sum is known.
pub const fn amount(row: u32) -> i32 {
    (row % 1_000) as i32
}

/// A printable value that does not compress to nothing.
pub fn value(rng: &mut Rng) -> String {
    text(rng, VALUE_LENGTH)
}

fn text(rng: &mut Rng, length: usize) -> String {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let bits = rng.bits();
        // Ten letters of six bits each.
        let letters = (0..10).map(|place| char::from(LETTERS[(bits >> (6 * place)) as usize % 64]));
        text.extend(letters.take(length - text.len()));
    }
    text
}

/// Writes all keys and accounts, and the rows where there are tables.
///
/// # Errors
/// The first write that failed.
pub async fn fill(peer: &Peer) -> Result<(), Refusal> {
    load_keys(peer, KEYS).await?;
    let mut client = peer.endpoint(0).connect().await?;
    for first in (0..ACCOUNTS).step_by(BATCH as usize) {
        client.load_accounts(first..(first + BATCH).min(ACCOUNTS)).await?;
    }
    if peer.kind.has_tables() {
        let mut rng = Rng::new(0);
        for first in (0..ROWS).step_by(BATCH as usize) {
            let rows =
                (first..first + BATCH).map(|row| format!("({row},{},'{}')", amount(row), text(&mut rng, PAD_LENGTH)));
            client.load_rows(&rows.collect::<Vec<_>>().join(",")).await?;
        }
    }
    client.loaded().await
}

/// Writes the keys below `keys`, over several connections.
///
/// # Errors
/// The first write that failed.
pub async fn load_keys(peer: &Peer, keys: u32) -> Result<(), Refusal> {
    let mut fillers = tokio::task::JoinSet::new();
    for filler in 0..FILLERS {
        fillers.spawn(fill_share(peer.endpoint(filler as usize), filler, keys));
    }
    while let Some(share) = fillers.join_next().await {
        share.map_err(|error| Refusal::Failed(error.to_string()))??;
    }
    Ok(())
}

async fn fill_share(endpoint: Endpoint, filler: u32, keys: u32) -> Result<(), Refusal> {
    let mut rng = Rng::new(filler.into());
    let mut client = endpoint.connect().await?;
    for first in (filler * BATCH..keys).step_by((BATCH * FILLERS) as usize) {
        let batch: Vec<(u32, String)> =
            (first..(first + BATCH).min(keys)).map(|number| (number, value(&mut rng))).collect();
        let mut tries = 1;
        // A machine at its limits may time out; writing the same again does no harm.
        while let Err(refusal) = client.load(&batch).await {
            if tries == TRIES {
                return Err(refusal);
            }
            tries += 1;
            client = endpoint.connect().await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amounts_add_up() {
        assert_eq!((0..ROWS).map(|row| i64::from(amount(row))).sum::<i64>(), AMOUNTS);
    }

    #[test]
    fn values_have_the_length_and_differ() {
        let mut rng = Rng::new(1);
        let (one, other) = (value(&mut rng), value(&mut rng));
        assert_eq!((one.len(), other.len()), (VALUE_LENGTH, VALUE_LENGTH));
        assert_ne!(one, other);
    }
}
