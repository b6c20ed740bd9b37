//! One message of every kind, for golden files and for mutation.

use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::{Ballot, Epoch, Incarnation, Key, KeyRange, NamespaceId, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::message::{
    Accepted, Answer, Check, Compare, Detail, Found, Holder, Inquired, Lock, Mark, Message, No, Outcome, Part, Prepare,
    RangeFound, Read, ReadAt, ReadSet, Recovered, Refusal, RequestId, Unsettled, Vote,
};
use annulus_replica::store::{Placed, Stamp, Version};
use bytes::Bytes;

use crate::net::wire::Envelope;

pub fn txn() -> TxnId {
    TxnId { start: Timestamp(0x0102_0304), node: NodeId(3), incarnation: Incarnation(7), sequence: 11 }
}

pub fn reference() -> TxnRef {
    TxnRef { id: txn(), ts: Timestamp(0x0506_0708), anchor: partition() }
}

pub fn partition() -> PartitionId {
    PartitionId::new(NamespaceId(1), 255)
}

pub fn key() -> Key {
    Key::new(1, 2, 3, b"key")
}

pub fn stamp() -> Stamp {
    Stamp { ts: Timestamp(9), txn: txn() }
}

pub fn range() -> KeyRange {
    KeyRange { start: key(), end: key().successor() }
}

fn value() -> Option<Bytes> {
    Some(Bytes::from_static(b"value"))
}

fn ballot() -> Ballot {
    Ballot { round: 2, node: NodeId(1), incarnation: Incarnation(4) }
}

fn id() -> RequestId {
    RequestId { incarnation: 7, sequence: 42 }
}

pub fn found() -> Found {
    Found { key: key(), stamp: stamp(), absent: false, value: value() }
}

pub fn holder() -> Holder {
    Holder { key: key(), txn: txn(), held_for: 1_500, prepared: true }
}

pub fn placed() -> Placed {
    Placed { partition: partition(), key: key(), version: Version { stamp: stamp(), value: value() } }
}

fn answer() -> Answer {
    Answer {
        keys: vec![found()],
        ranges: vec![RangeFound { range: range(), found: vec![found(), found()] }],
        highest: stamp().ts,
    }
}

pub fn prepare() -> Prepare {
    Prepare {
        txn: reference(),
        epoch: Epoch(1),
        participants: vec![partition()],
        locked: true,
        parts: vec![Part {
            partition: partition(),
            checks: vec![Check::Key(key(), stamp()), Check::Range(range(), vec![(key(), stamp())])],
            writes: vec![(key(), value()), (key(), None)],
        }],
    }
}

fn read(at: ReadAt, detail: Detail) -> Message {
    let set = ReadSet { keys: vec![key()], ranges: vec![(range(), 100)] };
    Message::Read(Read { id: id(), epoch: Epoch(1), partition: partition(), set, at, detail })
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::Epoch(Epoch(2)),
        Refusal::NotMine,
        Refusal::ClockDrift { asked: Timestamp(5), here: Timestamp(4) },
        Refusal::TooOld { oldest: Timestamp(6) },
        Refusal::Locked(holder()),
        Refusal::Busy,
        Refusal::Corrupt,
        Refusal::Wounded,
        Refusal::DiskFull,
    ]
}

fn noes() -> Vec<No> {
    vec![No::Epoch(Epoch(2)), No::Refused, No::Locked(holder()), No::Stale(key()), No::TooLow(Timestamp(77))]
}

fn recovered() -> Vec<Recovered> {
    vec![
        Recovered::Promise { vote: Some(Arc::new(prepare())), accepted: Some((ballot(), Outcome::Abort)) },
        Recovered::Promise { vote: None, accepted: None },
        Recovered::Promised(ballot()),
        Recovered::Decided(Outcome::Commit),
        Recovered::Forgotten,
    ]
}

fn requests() -> Vec<Message> {
    let digest = [5; 32];
    let (until, horizon) = (Timestamp(8), Timestamp(3));
    vec![
        read(ReadAt::Latest { raise: Timestamp(1) }, Detail::Data),
        read(ReadAt::Snapshot(Timestamp(2)), Detail::Digest),
        Message::Lock(Lock {
            id: id(),
            epoch: Epoch(1),
            txn: txn(),
            partition: partition(),
            keys: vec![key()],
            nowait: true,
            patience: 1_000,
            detail: Detail::Data,
        }),
        Message::Unlock(txn()),
        Message::Prepare(Arc::new(prepare())),
        Message::Accept { txn: reference(), ballot: ballot(), outcome: Outcome::Commit },
        Message::Recover { txn: reference(), ballot: ballot() },
        Message::Decide { txn: reference(), outcome: Outcome::Commit, writes: vec![placed()] },
        Message::Inquire(reference()),
        Message::Repair(id(), vec![placed()]),
        Message::Compare(Compare { id: id(), partition: partition(), range: range(), until, horizon, digest }),
        Message::Fetch(id(), partition(), vec![(key(), stamp())]),
        Message::Purge(partition(), vec![(key(), stamp())]),
        Message::Held(vec![partition()]),
    ]
}

fn answers() -> Vec<Message> {
    let mut answers = vec![
        Message::ReadAnswer(id(), Ok(answer())),
        Message::LockAnswer(id(), Ok(Answer::default())),
        Message::Repaired(id()),
        Message::Compared { id: id(), range: range(), here: None },
        Message::Compared { id: id(), range: range(), here: Some(vec![(key(), stamp())]) },
        Message::Fetched(id(), vec![placed()]),
    ];
    answers.extend(refusals().into_iter().map(|refusal| Message::LockAnswer(id(), Err(refusal))));
    let votes = [Vote::Yes, Vote::Decided(Outcome::Abort), Vote::Forgotten, Vote::NotNow(Refusal::Busy)];
    answers.extend(votes.into_iter().chain(noes().into_iter().map(Vote::No)).map(|vote| Message::Vote(txn(), vote)));
    let accepts =
        [Accepted::Yes, Accepted::Promised(ballot()), Accepted::Decided(Outcome::Commit), Accepted::Forgotten];
    answers.extend(accepts.map(|accepted| Message::Accepted(txn(), ballot(), accepted)));
    answers.extend(recovered().into_iter().map(|answer| Message::Recovered(txn(), ballot(), answer)));
    let inquired = [Inquired::Active, Inquired::Decided(Outcome::Commit), Inquired::Unknown];
    answers.extend(inquired.map(|answer| Message::Inquired(txn(), answer)));
    answers
}

/// One of every kind that version 1 knows.
pub fn all() -> Vec<Envelope> {
    let messages = requests().into_iter().chain(answers()).map(Envelope::Transaction);
    let others = [Envelope::Gossip(Bytes::from_static(b"gossip")), Envelope::Ping(5), Envelope::Pong(6)];
    let mut absent = prepare();
    absent.parts[0].checks = vec![Check::Absent(key())];
    let mut unchanged = prepare();
    unchanged.parts[0].checks = vec![Check::Unchanged(range(), Timestamp(5))];
    let later = [
        Message::Prepare(Arc::new(absent)),
        read(ReadAt::Snapshot(Timestamp(2)), Detail::Marks),
        Message::Marks(id(), vec![Some(Mark { incarnation: Incarnation(3), number: 9 }), None]),
        read(ReadAt::Snapshot(Timestamp(2)), Detail::Unsettled { hold: true }),
        Message::Unsettled(id(), Unsettled { highest: Timestamp(8), keys: Some(vec![key()]) }),
        Message::Prepare(Arc::new(unchanged)),
    ];
    messages.chain(others).chain(later.map(Envelope::Transaction)).collect()
}
