//! What was read was written: every version seen is a committed one, with its value.

use annulus_replica::message;
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Place, Seen};
use bytes::Bytes;

use crate::describe;
use crate::history::{Call, History, Outcome};
use crate::ledger::Ledger;
use crate::violation::{Verdict, wrong};

pub(super) fn check(history: &History, ledger: &Ledger) -> Verdict {
    for (id, entry) in history.entries.iter().enumerate() {
        match (&entry.call, &entry.outcome) {
            (Call::Read(keys, _), Outcome::Read(seen)) => {
                if keys.len() != seen.len() {
                    return wrong(format!("read {id} asked for {} keys and got {}", keys.len(), seen.len()));
                }
                for (place, seen) in keys.iter().zip(seen) {
                    check_seen(ledger, id, place, seen)?;
                }
            }
            (Call::Scan(_), Outcome::Scanned(ranges)) => {
                for range in ranges {
                    if !range.rows.windows(2).all(|pair| pair[0].0 < pair[1].0) {
                        return wrong(format!("scan {id} returned keys out of order"));
                    }
                    for (key, seen) in &range.rows {
                        if seen.value.is_none() || !range.range.contains(key) {
                            return wrong(format!("scan {id} returned {key}, which is absent or not in its range"));
                        }
                        check_seen(ledger, id, &Place { partition: range.partition, key: key.clone() }, seen)?;
                    }
                }
            }
            _ => {}
        }
    }
    check_writes(history, ledger)
}

fn check_seen(ledger: &Ledger, id: usize, place: &Place, seen: &Seen) -> Verdict {
    if seen.stamp == Stamp::NONE {
        return if seen.value.is_none() {
            Ok(())
        } else {
            wrong(format!("read {id}: {} has a value but no version", describe::key(&place.key)))
        };
    }
    let known: Option<&Option<Bytes>> = ledger.versions.get(place).and_then(|versions| versions.get(&seen.stamp));
    match known {
        None => wrong(format!(
            "read {id} saw a version of {} that no store ever held: {:?}",
            describe::key(&place.key),
            seen.stamp
        )),
        Some(value) if *value != seen.value => {
            wrong(format!("read {id} saw {:?} at {}, written was {value:?}", seen.value, describe::key(&place.key)))
        }
        Some(_) => Ok(()),
    }
}

/// Each version was written by a commit that did not abort, and is what that commit wrote.
fn check_writes(history: &History, ledger: &Ledger) -> Verdict {
    for (place, versions) in &ledger.versions {
        for (stamp, value) in versions {
            let Some(entry) = ledger.entry_of(stamp.txn) else {
                return wrong(format!("{} has a version that nobody wrote: {stamp:?}", describe::key(&place.key)));
            };
            if ledger.outcome(stamp.txn) == Some(message::Outcome::Abort) {
                return wrong(format!("{} has a version of {}, which aborted", describe::key(&place.key), stamp.txn));
            }
            let Call::Commit(commit) = &history.get(entry).call else { continue };
            if !commit.writes.iter().any(|(written, to)| written == place && to == value) {
                return wrong(format!("commit {entry} did not write {value:?} to {}", describe::key(&place.key)));
            }
        }
    }
    Ok(())
}
