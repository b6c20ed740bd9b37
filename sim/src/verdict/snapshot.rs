//! A read at a timestamp sees exactly the newest versions not above it, for ever.

use annulus_base::Timestamp;
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Place, Seen, SeenRange, When};

use crate::describe;
use crate::history::{Call, History, Outcome};
use crate::ledger::Ledger;
use crate::violation::{Verdict, wrong};

pub(super) fn check(history: &History, ledger: &Ledger) -> Verdict {
    for (id, entry) in history.entries.iter().enumerate() {
        match (&entry.call, &entry.outcome) {
            (Call::Read(keys, When::At(at)), Outcome::Read(seen)) => {
                for (place, seen) in keys.iter().zip(seen) {
                    check_key(ledger, id, *at, place, Some(seen))?;
                }
            }
            (Call::Scan(When::At(at)), Outcome::Scanned(ranges)) => {
                for range in ranges {
                    check_range(ledger, id, *at, range)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_range(ledger: &Ledger, id: usize, at: Timestamp, range: &SeenRange) -> Verdict {
    let inside =
        ledger.versions.keys().filter(|place| place.partition == range.partition && range.range.contains(&place.key));
    for place in inside {
        let row = range.rows.iter().find(|(key, _)| *key == place.key);
        check_key(ledger, id, at, place, row.map(|(_, seen)| seen))?;
    }
    Ok(())
}

fn check_key(ledger: &Ledger, id: usize, at: Timestamp, place: &Place, seen: Option<&Seen>) -> Verdict {
    let versions = ledger.versions.get(place);
    let newest = versions.and_then(|versions| versions.iter().rev().find(|(stamp, _)| stamp.ts <= at));
    let due = newest.filter(|(_, value)| value.is_some()).map(|(stamp, _)| *stamp);
    let got = seen.filter(|seen| seen.value.is_some()).map(|seen| seen.stamp);
    if due == got {
        return Ok(());
    }
    let show = |stamp: Option<Stamp>| stamp.map_or_else(|| "nothing".to_owned(), describe::stamp);
    wrong(format!(
        "snapshot read {id} at {}: {} is {}, but it saw {}",
        describe::time(at),
        describe::key(&place.key),
        show(due),
        show(got)
    ))
}
