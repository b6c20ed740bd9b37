//! Messages, records and effects in short lines, for transcripts and for watching one seed.

use annulus_base::id::TxnRef;
use annulus_base::{Key, Timestamp, TxnId};
use annulus_replica::effects::Effects;
use annulus_replica::message::{
    Accepted, Answer, Check, Detail, Found, Holder, Inquired, Message, No, Outcome, Prepare, ReadAt, Recovered,
    Refusal, Send, Vote,
};
use annulus_replica::record::Record;
use annulus_replica::store::{Placed, Stamp};
use annulus_txn::interface::TxnError;

use crate::workload::Object;
use crate::world::clock::DAWN;

/// One line for each effect.
pub fn effects(out: &Effects) -> impl Iterator<Item = String> {
    let records = out.records.iter().map(|line| format!("log {}", record(line)));
    let sends = |sends: &[Send], when: &'static str| -> Vec<String> {
        sends.iter().map(|one| format!("send{when} {}", send(one))).collect()
    };
    records.chain(sends(&out.at_once, "")).chain(sends(&out.after_sync, " after sync"))
}

fn send(send: &Send) -> String {
    let to: Vec<_> = send.to.iter().map(ToString::to_string).collect();
    format!("to {}: {}", to.join(" "), message(&send.message))
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Commit => "COMMIT",
        Outcome::Abort => "ABORT",
    }
}

/// A transaction, by what tells it from others.
#[must_use]
pub fn txn(id: TxnId) -> String {
    format!("T{}.{}.{}", id.node.0, id.incarnation.0, id.sequence)
}

/// Microseconds since the simulation began.
#[must_use]
pub fn time(ts: Timestamp) -> String {
    match (ts, ts.micros().checked_sub(DAWN)) {
        (Timestamp::ZERO, _) => "0".into(),
        (Timestamp::MAX, _) => "max".into(),
        (_, Some(since)) => format!("{since}.{}", ts.0 & 0xfff),
        _ => format!("-{}.{}", DAWN - ts.micros(), ts.0 & 0xfff),
    }
}

/// A transaction with its timestamp and anchor.
#[must_use]
pub fn reference(reference: &TxnRef) -> String {
    format!("{} ts {} anchor {}", txn(reference.id), time(reference.ts), reference.anchor)
}

/// A version.
#[must_use]
pub fn stamp(stamp: Stamp) -> String {
    if stamp == Stamp::NONE { "none".into() } else { format!("{}@{}", txn(stamp.txn), time(stamp.ts)) }
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// A key of the simulated workload by its sort and number, another one by its name.
#[must_use]
pub fn key(key: &Key) -> String {
    let field = key.field().unwrap_or_default();
    let sort = key.as_bytes().get(4..8).and_then(|object| object.last()).and_then(|object| Object::named(*object));
    match (sort, field.as_slice()) {
        (Some(object), [high, low]) => {
            format!("{}{}", object.letter(), u16::from_be_bytes([*high, *low]))
        }
        _ => field.escape_ascii().to_string(),
    }
}

fn keys(keys: &[Key]) -> String {
    list(keys, key)
}

fn stamps(rows: &[(Key, Stamp)]) -> String {
    list(rows, |(at, seen)| format!("{}={}", key(at), stamp(*seen)))
}

fn placed(placed: &Placed) -> String {
    let what = if placed.version.value.is_some() { "" } else { " deleted" };
    format!("{}/{}={}{what}", placed.partition, key(&placed.key), stamp(placed.version.stamp))
}

fn found(found: &Found) -> String {
    let what = if found.absent {
        " absent"
    } else if found.value.is_some() {
        ""
    } else {
        " (digest)"
    };
    format!("{}={}{what}", key(&found.key), stamp(found.stamp))
}

fn answer(answer: &Answer) -> String {
    let ranges = list(&answer.ranges, |range| format!("[{}]", list(&range.found, found)));
    [list(&answer.keys, found), ranges].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn holder(holder: &Holder) -> String {
    let how = if holder.prepared { "prepared" } else { "soft" };
    format!("{} locked ({how}) by {} for {} us", key(&holder.key), txn(holder.txn), holder.held_for)
}

fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Locked(held) => holder(held),
        other => format!("{other:?}"),
    }
}

fn result(result: &Result<Answer, Refusal>) -> String {
    match result {
        Ok(found) => answer(found),
        Err(why) => format!("refused: {}", refusal(why)),
    }
}

fn prepare(prepare: &Prepare) -> String {
    let parts = list(&prepare.parts, |part| {
        let checks = list(&part.checks, |check| match check {
            Check::Key(at, seen) => format!("{}={}", key(at), stamp(*seen)),
            Check::Absent(at) => format!("no {}", key(at)),
            Check::Unchanged(range, since) => {
                format!("[{} to {}] unchanged since {}", key(&range.start), key(&range.end), time(*since))
            }
            Check::Range(_, rows) => format!("[{}]", list(rows, |(at, seen)| format!("{}={}", key(at), stamp(*seen)))),
        });
        let writes = list(&part.writes, |(at, value)| {
            let what = if value.is_some() { "" } else { "delete " };
            format!("{what}{}", key(at))
        });
        let checks = if checks.is_empty() { checks } else { format!(" saw {checks}") };
        format!("{}:{checks} writes {writes}", part.partition)
    });
    format!("{}{} {parts}", reference(&prepare.txn), if prepare.locked { " locked" } else { "" })
}

fn vote(vote: &Vote) -> String {
    match vote {
        Vote::Yes => "YES".into(),
        Vote::No(No::Locked(held)) => format!("NO: {}", holder(held)),
        Vote::No(No::Stale(at)) => format!("NO: {} is stale", key(at)),
        Vote::No(No::TooLow(ts)) => format!("NO: too low, {} would do", time(*ts)),
        Vote::No(other) => format!("NO: {other:?}"),
        Vote::Decided(known) => outcome(*known).into(),
        Vote::Forgotten => "forgotten".into(),
        Vote::NotNow(why) => format!("not now: {}", refusal(why)),
    }
}

/// One line for a message.
#[must_use]
pub fn message(message: &Message) -> String {
    match message {
        Message::Read(read) => {
            let at = match read.at {
                ReadAt::Latest { raise } if raise == Timestamp::ZERO => "latest".into(),
                ReadAt::Latest { raise } => format!("latest raise {}", time(raise)),
                ReadAt::Snapshot(at) => format!("at {}", time(at)),
            };
            let detail = match read.detail {
                Detail::Data => "",
                Detail::Digest => " digest",
                Detail::Marks => " marks",
                Detail::Unsettled { hold: false } => " unsettled",
                Detail::Unsettled { hold: true } => " unsettled, holding",
            };
            format!(
                "Read #{} {}{detail} {at}: {} +{} ranges",
                read.id.sequence,
                read.partition,
                keys(&read.set.keys),
                read.set.ranges.len()
            )
        }
        Message::ReadAnswer(id, found) => format!("ReadAnswer #{} {}", id.sequence, result(found)),
        Message::Lock(lock) => {
            format!(
                "Lock #{} {} {}: {}{}",
                lock.id.sequence,
                txn(lock.txn),
                lock.partition,
                keys(&lock.keys),
                if lock.nowait { " nowait" } else { "" }
            )
        }
        Message::LockAnswer(id, found) => format!("LockAnswer #{} {}", id.sequence, result(found)),
        Message::Unlock(id) => format!("Unlock {}", txn(*id)),
        Message::Prepare(asked) => format!("Prepare {}", prepare(asked)),
        Message::Vote(id, given) => format!("Vote {} {}", txn(*id), vote(given)),
        Message::Accept { txn: of, ballot, outcome: value } => {
            format!("Accept {} {ballot} {}", reference(of), outcome(*value))
        }
        Message::Accepted(id, ballot, said) => {
            let said = match said {
                Accepted::Yes => "yes".into(),
                Accepted::Promised(higher) => format!("no, promised {higher}"),
                Accepted::Decided(known) => outcome(*known).into(),
                Accepted::Forgotten => "forgotten".into(),
            };
            format!("Accepted {} {ballot} {said}", txn(*id))
        }
        Message::Recover { txn: of, ballot } => format!("Recover {} {ballot}", reference(of)),
        Message::Recovered(id, ballot, said) => {
            let said = match said {
                Recovered::Promise { vote, accepted } => {
                    let vote = if vote.is_some() { "YES" } else { "NO" };
                    accepted.map_or(vote.into(), |(at, value)| format!("{vote}, accepted {} at {at}", outcome(value)))
                }
                Recovered::Promised(higher) => format!("no, promised {higher}"),
                Recovered::Decided(known) => outcome(*known).into(),
                Recovered::Forgotten => "forgotten".into(),
            };
            format!("Recovered {} {ballot} {said}", txn(*id))
        }
        Message::Decide { txn: of, outcome: value, writes } => {
            format!("Decide {} {} {}", txn(of.id), outcome(*value), list(writes, placed))
        }
        Message::Inquire(of) => format!("Inquire {}", txn(of.id)),
        Message::Inquired(id, Inquired::Decided(known)) => format!("Inquired {} {}", txn(*id), outcome(*known)),
        Message::Inquired(id, said) => format!("Inquired {} {said:?}", txn(*id)),
        Message::Repair(id, versions) => format!("Repair #{} {}", id.sequence, list(versions, placed)),
        Message::Repaired(id) => format!("Repaired #{}", id.sequence),
        Message::Compare(compare) => format!("Compare #{} {}", compare.id.sequence, compare.partition),
        Message::Compared { id, here: None, .. } => format!("Compared #{} equal", id.sequence),
        Message::Compared { id, here: Some(rows), .. } => format!("Compared #{} {}", id.sequence, stamps(rows)),
        Message::Fetch(id, partition, rows) => format!("Fetch #{} {partition} {}", id.sequence, stamps(rows)),
        Message::Marks(id, marks) => format!("Marks #{} +{}", id.sequence, marks.len()),
        Message::Unsettled(id, told) => {
            let keys = told.keys.as_ref().map_or_else(|| "unknown".to_owned(), |keys| keys.len().to_string());
            format!("Unsettled #{}: {keys}", id.sequence)
        }
        Message::Held(partitions) => format!("Held {}", list(partitions, ToString::to_string)),
        Message::Fetched(id, versions) => format!("Fetched #{} {}", id.sequence, list(versions, placed)),
        Message::Purge(partition, rows) => format!("Purge {partition} {}", stamps(rows)),
    }
}

/// One line for a record.
#[must_use]
pub fn record(record: &Record) -> String {
    match record {
        Record::Vote(asked) => format!("vote YES {}", prepare(asked)),
        Record::Promise { txn: of, ballot, refused } => {
            format!("promise {} {ballot}{}", txn(of.id), if *refused { " refused" } else { "" })
        }
        Record::Accept { txn: of, ballot, outcome: value } => {
            format!("accept {} {ballot} {}", txn(of.id), outcome(*value))
        }
        Record::Decision { txn: of, outcome: value, writes } => {
            format!("decision {} {} {}", txn(of.id), outcome(*value), list(writes, placed))
        }
        Record::Repaired(versions) => format!("repaired {}", list(versions, placed)),
        Record::Fence(ts) => format!("fence {}", time(*ts)),
        Record::Marks { low_water, forgotten } => {
            format!("marks low {} forgotten {}", time(*low_water), time(*forgotten))
        }
        Record::Purged { partition, tombstones } => format!("purged {partition} {}", stamps(tombstones)),
        Record::Floor(ts) => format!("floor {}", time(*ts)),
    }
}

/// Why a request did not succeed.
#[must_use]
pub fn error(error: &TxnError) -> String {
    match error {
        TxnError::Locked(held) => format!("refused: {}", holder(held)),
        other => format!("refused: {other}"),
    }
}

/// The name of a message's kind.
#[must_use]
pub const fn kind(message: &Message) -> &'static str {
    match message {
        Message::Read(_) => "Read",
        Message::ReadAnswer(..) => "ReadAnswer",
        Message::Lock(_) => "Lock",
        Message::LockAnswer(..) => "LockAnswer",
        Message::Unlock(_) => "Unlock",
        Message::Prepare(_) => "Prepare",
        Message::Vote(..) => "Vote",
        Message::Accept { .. } => "Accept",
        Message::Accepted(..) => "Accepted",
        Message::Recover { .. } => "Recover",
        Message::Recovered(..) => "Recovered",
        Message::Decide { .. } => "Decide",
        Message::Inquire(_) => "Inquire",
        Message::Inquired(..) => "Inquired",
        Message::Repair(..) => "Repair",
        Message::Repaired(_) => "Repaired",
        Message::Compare(_) => "Compare",
        Message::Compared { .. } => "Compared",
        Message::Fetch(..) => "Fetch",
        Message::Fetched(..) => "Fetched",
        Message::Held(..) => "Held",
        Message::Marks(..) => "Marks",
        Message::Unsettled(..) => "Unsettled",
        Message::Purge(..) => "Purge",
    }
}
