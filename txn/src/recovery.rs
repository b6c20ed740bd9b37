//! Recovery: finishing a transaction whose coordinator does not.
//!
//! First its coordinator is asked; if that one does not know or answer, a ballot above every ballot seen
//! is promised by a majority of every participant, and what they know determines the outcome, which is
//! then accepted by a majority at the anchor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Ballot, Incarnation, Mutation, NodeId, PartitionId};
use annulus_replica::message::{Accepted, Inquired, Message, Outcome, Prepare, Recovered};
use annulus_replica::store::Placed;

use crate::common::Common;

/// How a recovery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Decided; the replicas that are known are told.
    Decided(Outcome),
    /// Its decision was forgotten long ago.
    Forgotten,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for the coordinator's word.
    Inquiring,
    /// Waiting before the next attempt, so that two recoverers do not duel for ever.
    BackingOff,
    /// Waiting for promises.
    Promising,
    /// Waiting for accepts.
    Accepting(Outcome, BTreeSet<NodeId>),
}

/// Pauses double with every attempt, up to this power of two.
const MOST_DOUBLINGS: u32 = 5;

/// What a replica promised, and knew.
type Promise = (Option<Arc<Prepare>>, Option<(Ballot, Outcome)>);

/// The recovery of one transaction.
#[derive(Debug)]
pub(crate) struct Recovery {
    txn: TxnRef,
    participants: BTreeSet<PartitionId>,
    ballot: Ballot,
    highest_seen: u32,
    /// Ballots taken and messages repeated, which is how patient it has become.
    attempts: u32,
    phase: Phase,
    promises: BTreeMap<NodeId, Promise>,
    /// The YES votes seen, for the writes that others lack.
    votes: BTreeMap<NodeId, Arc<Prepare>>,
    timer: Micros,
}

impl Recovery {
    /// Starts with what this node knows: its own vote, or only the anchor.
    pub(crate) fn start(txn: TxnRef, vote: Option<Arc<Prepare>>, common: &mut Common) -> Self {
        let mut participants = BTreeSet::from([txn.anchor]);
        let mut votes = BTreeMap::new();
        if let Some(vote) = vote {
            participants.extend(vote.participants.iter().copied());
            votes.insert(common.id, vote);
        }
        let mut this = Self {
            txn,
            participants,
            ballot: Ballot::COORDINATOR,
            highest_seen: 0,
            attempts: 0,
            phase: Phase::Inquiring,
            promises: BTreeMap::new(),
            votes,
            timer: common.now.steady,
        };
        this.inquire(common);
        this
    }

    pub(crate) const fn timer(&self) -> Micros {
        self.timer
    }

    pub(crate) const fn txn(&self) -> TxnRef {
        self.txn
    }

    fn inquire(&mut self, common: &mut Common) {
        self.phase = Phase::Inquiring;
        self.timer = common.now.steady + common.settings.resend_after;
        let coordinator = self.txn.id.node;
        if common.dead.contains(&coordinator) {
            self.back_off(common);
        } else {
            common.send(coordinator, Message::Inquire(self.txn));
        }
    }

    /// The coordinator's word.
    pub(crate) fn inquired(&mut self, word: Inquired, common: &mut Common) -> Option<Ending> {
        match (word, &self.phase) {
            (Inquired::Decided(outcome), _) => Some(self.conclude(outcome, common)),
            (Inquired::Active, Phase::Inquiring) => {
                // It is at work: ask again later.
                self.timer = common.now.steady + common.settings.lock_timeout;
                None
            }
            (Inquired::Unknown, Phase::Inquiring) => {
                self.back_off(common);
                None
            }
            _ => None,
        }
    }

    /// Waits a random while before the next ballot.
    fn back_off(&mut self, common: &mut Common) {
        self.phase = Phase::BackingOff;
        let longest = self.patience(common).max(2);
        self.timer = common.now.steady + common.rng.between(1, longest);
    }

    /// How long to wait for answers, or at most before the next ballot. It grows, so that a slow network does not
    /// outlast every attempt, and several recoverers soon leave one of them the time that it needs.
    fn patience(&self, common: &Common) -> Micros {
        common.settings.resend_after << self.attempts.min(MOST_DOUBLINGS)
    }

    /// Expects answers within the patience of this attempt; the next one has more.
    fn await_answers(&mut self, common: &Common) {
        self.timer = common.now.steady + self.patience(common);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Takes a ballot above every ballot seen. No ballot is ever used twice: `rounds` counts those of
    /// this incarnation, and the incarnation is part of the ballot.
    fn take_ballot(&mut self, rounds: &mut u32, common: &mut Common) {
        *rounds = (*rounds).max(self.highest_seen).saturating_add(1);
        let reused = common.settings.mutations.has(Mutation::BallotReused);
        let incarnation = if reused { Incarnation(0) } else { common.incarnation };
        self.ballot = Ballot { round: *rounds, node: common.id, incarnation };
        self.promises.clear();
        self.phase = Phase::Promising;
        self.ask_promises(common);
    }

    /// Asks everybody who has not promised this ballot.
    fn ask_promises(&mut self, common: &mut Common) {
        self.await_answers(common);
        let mut silent = common.replicas(self.participants.iter().copied());
        silent.retain(|node| !self.promises.contains_key(node));
        common.broadcast(silent.into_iter().collect(), Message::Recover { txn: self.txn, ballot: self.ballot });
    }

    /// Proposes the outcome to every acceptor that has not accepted it.
    fn propose(&mut self, common: &mut Common) {
        let Phase::Accepting(outcome, accepts) = &self.phase else { return };
        let outcome = *outcome;
        let silent = common.ring(self.txn.anchor).iter().filter(|node| !accepts.contains(node)).copied().collect();
        self.await_answers(common);
        common.broadcast(silent, Message::Accept { txn: self.txn, ballot: self.ballot, outcome });
    }

    /// A replica's answer to the ballot.
    pub(crate) fn recovered(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        answer: Recovered,
        common: &mut Common,
    ) -> Option<Ending> {
        match answer {
            Recovered::Decided(outcome) => Some(self.conclude(outcome, common)),
            Recovered::Forgotten => Some(Ending::Forgotten),
            Recovered::Promised(higher) if ballot == self.ballot => {
                self.outbid(higher, common);
                None
            }
            Recovered::Promise { vote, accepted } if ballot == self.ballot => {
                if let Some(vote) = &vote {
                    self.widen(vote, common);
                    self.votes.insert(from, Arc::clone(vote));
                }
                self.promises.insert(from, (vote, accepted));
                self.evaluate(common);
                None
            }
            Recovered::Promised(_) | Recovered::Promise { .. } => None,
        }
    }

    fn outbid(&mut self, higher: Ballot, common: &mut Common) {
        self.highest_seen = self.highest_seen.max(higher.round);
        if matches!(self.phase, Phase::Promising | Phase::Accepting(..)) {
            self.back_off(common);
        }
    }

    /// A vote names all participants; those that were not known are asked too.
    fn widen(&mut self, vote: &Prepare, common: &mut Common) {
        let known = common.replicas(self.participants.iter().copied());
        self.participants.extend(vote.participants.iter().copied());
        let all = common.replicas(self.participants.iter().copied());
        let new: Vec<NodeId> = all.difference(&known).copied().collect();
        common.broadcast(new, Message::Recover { txn: self.txn, ballot: self.ballot });
    }

    fn evaluate(&mut self, common: &mut Common) {
        if !matches!(self.phase, Phase::Promising) || !self.participants.iter().all(|p| self.promised(*p, common)) {
            return;
        }
        let accepted = self.promises.values().filter_map(|(_, accepted)| *accepted).max_by_key(|(ballot, _)| *ballot);
        let ignored = common.settings.mutations.has(Mutation::AcceptedIgnored);
        let outcome = match accepted.filter(|_| !ignored) {
            Some((_, outcome)) => outcome,
            // The fast path may have been taken, and all locks are held.
            None if self.participants.iter().all(|p| self.prepared(*p, common)) => Outcome::Commit,
            // The fast path, being unanimous, was not taken and now never can be.
            None => Outcome::Abort,
        };
        self.phase = Phase::Accepting(outcome, BTreeSet::new());
        self.propose(common);
    }

    fn promised(&self, partition: PartitionId, common: &Common) -> bool {
        let ring = common.ring(partition).into_iter();
        ring.filter(|node| self.promises.contains_key(node)).count() >= common.quorum(partition)
    }

    fn prepared(&self, partition: PartitionId, common: &Common) -> bool {
        let yes = |node: &&NodeId| self.promises.get(node).is_some_and(|(vote, _)| vote.is_some());
        common.ring(partition).iter().filter(yes).count() >= common.quorum(partition)
    }

    /// An acceptor's answer to the proposal.
    pub(crate) fn accepted(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        answer: Accepted,
        common: &mut Common,
    ) -> Option<Ending> {
        match answer {
            Accepted::Decided(outcome) => Some(self.conclude(outcome, common)),
            Accepted::Forgotten => Some(Ending::Forgotten),
            Accepted::Promised(higher) if ballot == self.ballot => {
                self.outbid(higher, common);
                None
            }
            Accepted::Yes if ballot == self.ballot => {
                let Phase::Accepting(outcome, accepts) = &mut self.phase else { return None };
                accepts.insert(from);
                let outcome = *outcome;
                let ring = common.ring(self.txn.anchor).into_iter();
                let accepted = ring.filter(|node| accepts.contains(node)).count();
                (accepted >= common.quorum(self.txn.anchor)).then(|| self.conclude(outcome, common))
            }
            Accepted::Promised(_) | Accepted::Yes => None,
        }
    }

    /// Tells the replicas: those that prepared the outcome alone, the others with their writes, as far
    /// as these are known. A replica that is not told resolves its own lock, or is repaired.
    fn conclude(&mut self, outcome: Outcome, common: &mut Common) -> Ending {
        let txn = self.txn;
        let writes = self.known_writes();
        for node in common.replicas(self.participants.iter().copied()) {
            let needs_writes = outcome == Outcome::Commit && !self.votes.contains_key(&node);
            if !needs_writes {
                common.send(node, Message::Decide { txn, outcome, writes: Vec::new() });
                continue;
            }
            let mut held = self.participants.iter().filter(|p| common.ring(**p).contains(&node));
            if !held.all(|partition| writes.contains_key(partition)) {
                continue;
            }
            let own = writes.iter().filter(|(partition, _)| common.ring(**partition).contains(&node));
            let writes = own.flat_map(|(_, writes)| writes.iter().cloned()).collect();
            common.send(node, Message::Decide { txn, outcome, writes });
        }
        Ending::Decided(outcome)
    }

    /// The versions of every participant that some vote names.
    fn known_writes(&self) -> BTreeMap<PartitionId, Vec<Placed>> {
        let mut writes: BTreeMap<PartitionId, Vec<Placed>> = BTreeMap::new();
        for vote in self.votes.values() {
            for part in vote.parts.iter().filter(|part| !writes.contains_key(&part.partition)).collect::<Vec<_>>() {
                let placed = vote.versions().into_iter().filter(|placed| placed.partition == part.partition);
                writes.insert(part.partition, placed.collect());
            }
        }
        writes
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, rounds: &mut u32, common: &mut Common) {
        if common.now.steady < self.timer {
            return;
        }
        match &self.phase {
            // No word: its coordinator is gone, or so slow that it does not matter.
            Phase::Inquiring => self.back_off(common),
            Phase::BackingOff => self.take_ballot(rounds, common),
            // Lost or slow messages: the ballot is as good as another, which would only outbid itself.
            Phase::Promising => self.ask_promises(common),
            Phase::Accepting(..) => self.propose(common),
        }
    }
}
