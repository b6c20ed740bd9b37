//! The acceptor: promises to recoverers, and accepted outcomes at the anchor.
//!
//! Single-decree Paxos per transaction (Lamport, "Paxos Made Simple", 2001): ballot 0 belongs to the
//! transaction's coordinator, all others to recoverers.

use annulus_base::id::TxnRef;
use annulus_base::{Ballot, Mutation, NodeId, Now};

use crate::effects::Effects;
use crate::message::{Accepted, Message, Outcome, Recovered};
use crate::participant::{Entry, Replica};
use crate::record::Record;

impl Replica {
    pub(crate) fn accept(
        &mut self,
        now: Now,
        from: NodeId,
        txn: TxnRef,
        ballot: Ballot,
        outcome: Outcome,
        out: &mut Effects,
    ) {
        let answer = |answer| Message::Accepted(txn.id, ballot, answer);
        if let Some(known) = self.outcome(txn.id) {
            out.send(from, answer(Accepted::Decided(known)));
            return;
        }
        if !self.entries.contains_key(&txn.id) && self.may_be_forgotten(&txn) {
            out.send(from, answer(Accepted::Forgotten));
            return;
        }
        let entry = self.entry(now, txn);
        if entry.promised > ballot {
            let promised = entry.promised;
            out.send(from, answer(Accepted::Promised(promised)));
            return;
        }
        entry.promised = ballot;
        entry.accepted = Some((ballot, outcome));
        self.log(Record::Accept { txn, ballot, outcome }, out);
        out.send_durable(from, answer(Accepted::Yes));
    }

    pub(crate) fn recover(&mut self, now: Now, from: NodeId, txn: TxnRef, ballot: Ballot, out: &mut Effects) {
        let answer = |answer| Message::Recovered(txn.id, ballot, answer);
        if let Some(known) = self.outcome(txn.id) {
            out.send(from, answer(Recovered::Decided(known)));
            return;
        }
        if !self.entries.contains_key(&txn.id) && self.may_be_forgotten(&txn) {
            out.send(from, answer(Recovered::Forgotten));
            return;
        }
        let unrefused = self.settings.mutations.has(Mutation::RecoverWithoutRefusal);
        let entry = self.entry(now, txn);
        if entry.promised > ballot {
            let promised = entry.promised;
            out.send(from, answer(Recovered::Promised(promised)));
            return;
        }
        entry.promised = ballot;
        let refused = entry.vote.is_none() && !unrefused;
        entry.refused |= refused;
        let promise = Recovered::Promise { vote: entry.vote.clone(), accepted: entry.accepted };
        self.log(Record::Promise { txn, ballot, refused }, out);
        out.send_durable(from, answer(promise));
    }

    /// The entry of an undecided transaction. Without a vote it holds nothing and may be forgotten in time.
    fn entry(&mut self, now: Now, txn: TxnRef) -> &mut Entry {
        let forgettable = &mut self.forgettable;
        self.entries.entry(txn.id).or_insert_with(|| {
            forgettable.push_back(txn);
            Entry::new(txn, now)
        })
    }
}
