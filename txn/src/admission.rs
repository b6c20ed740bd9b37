//! What is refused before anything is done: what is too large, and what names partitions that do not exist.

use annulus_base::{PartitionId, limits};

use crate::common::Common;
use crate::interface::{Commit, TxnError};
use crate::member::Request;

/// Refuses what is too large or names partitions that do not exist.
pub(crate) fn admit(request: &Request, common: &Common) -> Result<(), TxnError> {
    let exists = |partition: PartitionId| {
        let known = !common.ring(partition).is_empty();
        if known { Ok(()) } else { Err(TxnError::Limit(format!("partition {partition} does not exist"))) }
    };
    let few = |keys: usize| {
        let limit = limits::MAX_TXN_KEYS;
        let error = || TxnError::Limit(format!("{keys} keys in one transaction; at most {limit} are allowed"));
        if keys <= limit { Ok(()) } else { Err(error()) }
    };
    match request {
        Request::Read(keys, _) | Request::Lock { keys, .. } => {
            few(keys.len())?;
            keys.iter().try_for_each(|place| exists(place.partition))
        }
        Request::Standing(ranges, _) | Request::Unsettled(ranges, ..) => {
            ranges.iter().try_for_each(|(partition, _)| exists(*partition))
        }
        Request::Scan(ranges, _) => ranges.iter().try_for_each(|(partition, ..)| exists(*partition)),
        Request::Commit { commit, .. } => admit_commit(commit, &few, &exists),
        Request::Outcome(txn) => exists(txn.anchor),
    }
}

/// About how many bytes a node is told of a commit that writes `written` bytes, if it holds all of it.
fn said(commit: &Commit, written: usize) -> usize {
    /// What an encoding adds to a key or a value, and what the rest of a message takes.
    const ITEM: usize = 16;
    const REST: usize = 4_096;
    let seen = |key: &annulus_base::Key| key.as_bytes().len() + ITEM + size_of::<annulus_replica::store::Stamp>();
    let reads: usize = commit.reads.iter().map(|(place, _)| seen(&place.key)).sum();
    let ends = |range: &annulus_base::KeyRange| range.start.as_bytes().len() + range.end.as_bytes().len() + 2 * ITEM;
    let rows_of = |check: &crate::interface::RangeCheck| {
        ends(&check.range) + check.rows.iter().map(|(key, _)| seen(key)).sum::<usize>()
    };
    let unchanged: usize = commit.unchanged.iter().map(|unchanged| ends(&unchanged.range) + ITEM).sum();
    let ranges: usize = commit.ranges.iter().map(rows_of).sum();
    REST + written + commit.writes.len() * 2 * ITEM + reads + ranges + unchanged
}

fn admit_commit(
    commit: &Commit,
    few: &impl Fn(usize) -> Result<(), TxnError>,
    exists: &impl Fn(PartitionId) -> Result<(), TxnError>,
) -> Result<(), TxnError> {
    let rows: usize = commit.ranges.iter().map(|range| range.rows.len()).sum();
    few(commit.reads.len() + commit.writes.len() + rows + commit.unchanged.len())?;
    let size = |value: &Option<bytes::Bytes>| value.as_ref().map_or(0, bytes::Bytes::len);
    if let Some((place, value)) = commit.writes.iter().find(|(_, value)| size(value) > limits::MAX_VALUE_LEN) {
        let (key, limit) = (&place.key, limits::MAX_VALUE_LEN);
        return Err(TxnError::Limit(format!(
            "the value of {key} has {} bytes; at most {limit} are allowed",
            size(value)
        )));
    }
    let total: usize = commit.writes.iter().map(|(place, value)| place.key.as_bytes().len() + size(value)).sum();
    let limit = limits::MAX_WRITE_BYTES;
    if total > limit {
        return Err(TxnError::Limit(format!("the transaction writes {total} bytes; at most {limit} are allowed")));
    }
    let (said, limit) = (said(commit, total), limits::MAX_FRAME_LEN);
    if said > limit {
        return Err(TxnError::Limit(format!(
            "what the transaction reads and writes takes {said} bytes; at most {limit} are allowed"
        )));
    }
    let mut all = commit.partitions().peekable();
    if all.peek().is_none() {
        return Err(TxnError::Limit("a transaction must read or write something".to_owned()));
    }
    all.try_for_each(exists)
}
