//! Prepare, decide, commit: one try of a transaction after the other, until it is settled.
//!
//! For each try the coordinator takes exactly one of: the fast path (all voted YES), the slow path (a
//! majority of YES everywhere, accepted at the anchor), refusal (a majority of YES became impossible),
//! or the proposal to abort (time ran out, or a NO could be outvoted by suspects only). Whatever it
//! proposed, it never takes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Ballot, Key, Mutation, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::message::{Accepted, Check, Message, No, Outcome, Part, Prepare, Refusal, Vote};

use crate::common::Common;
use crate::interface::{Commit, RangeCheck, TxnError, Unchanged};

/// What a step of a try comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Still waiting.
    Waiting,
    /// Decided; the replicas are told.
    Decided(Outcome),
    /// Somebody else recovers it: the recovery will tell.
    TakenOver,
    /// Too late to learn the outcome here.
    Forgotten,
}

/// What a replica said last.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No(No),
    NotNow(Refusal),
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Voting,
    /// Proposed at the anchor with ballot 0.
    Proposing(Outcome, BTreeSet<NodeId>),
    Over,
}

/// One try: one transaction id, one timestamp, one decision.
#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) txn: TxnRef,
    parts: BTreeMap<PartitionId, Part>,
    said: BTreeMap<NodeId, Said>,
    nodes: BTreeSet<NodeId>,
    prepares: BTreeMap<NodeId, Arc<Prepare>>,
    phase: Phase,
    /// Fast-path patience while voting, resending after (steady clock).
    timer: Micros,
    /// When it proposes to abort (steady clock).
    give_up_at: Micros,
}

/// Splits a commit by partition.
pub(crate) fn split(commit: &Commit) -> BTreeMap<PartitionId, Part> {
    let mut parts: BTreeMap<PartitionId, Part> = BTreeMap::new();
    for (place, stamp) in &commit.reads {
        entry(&mut parts, place.partition).checks.push(Check::Key(place.key.clone(), *stamp));
    }
    for RangeCheck { partition, range, rows } in &commit.ranges {
        let check = match rows.is_empty() && range.is_single() {
            true => Check::Absent(range.start.clone()),
            false => Check::Range(range.clone(), rows.clone()),
        };
        entry(&mut parts, *partition).checks.push(check);
    }
    for Unchanged { partition, range, since } in &commit.unchanged {
        entry(&mut parts, *partition).checks.push(Check::Unchanged(range.clone(), *since));
    }
    for (place, value) in &commit.writes {
        entry(&mut parts, place.partition).writes.push((place.key.clone(), value.clone()));
    }
    parts
}

fn entry(parts: &mut BTreeMap<PartitionId, Part>, partition: PartitionId) -> &mut Part {
    parts.entry(partition).or_insert_with(|| Part { partition, checks: Vec::new(), writes: Vec::new() })
}

/// The lowest-numbered partition that is written, or read if none is.
fn anchor(parts: &BTreeMap<PartitionId, Part>) -> PartitionId {
    let written = parts.values().find(|part| !part.writes.is_empty());
    written.or_else(|| parts.values().next()).map(|part| part.partition).unwrap_or_default()
}

impl Try {
    /// Asks for votes.
    pub(crate) fn start(
        id: TxnId,
        ts: Timestamp,
        parts: BTreeMap<PartitionId, Part>,
        locked: bool,
        give_up_at: Micros,
        common: &mut Common,
    ) -> Self {
        let txn = TxnRef { id, ts, anchor: anchor(&parts) };
        let nodes = common.replicas(parts.keys().copied());
        let timer = common.now.steady + common.settings.fast_path_patience;
        let mut this = Self {
            txn,
            parts,
            said: BTreeMap::new(),
            nodes,
            prepares: BTreeMap::new(),
            phase: Phase::Voting,
            timer,
            give_up_at,
        };
        this.make_prepares(locked, common);
        this.ask(&this.nodes.clone(), common);
        this
    }

    /// One message per distinct set of parts, shared by all nodes that hold just these.
    fn make_prepares(&mut self, locked: bool, common: &Common) {
        let participants: Vec<PartitionId> = self.parts.keys().copied().collect();
        let mut shared: BTreeMap<Vec<PartitionId>, Arc<Prepare>> = BTreeMap::new();
        for node in &self.nodes {
            let held: Vec<PartitionId> =
                participants.iter().filter(|partition| common.ring(**partition).contains(node)).copied().collect();
            let prepare = shared.entry(held).or_insert_with_key(|held| {
                Arc::new(Prepare {
                    txn: self.txn,
                    epoch: common.topology.epoch(),
                    participants: participants.clone(),
                    locked,
                    parts: held.iter().filter_map(|partition| self.parts.get(partition)).cloned().collect(),
                })
            });
            self.prepares.insert(*node, Arc::clone(prepare));
        }
    }

    fn ask(&self, nodes: &BTreeSet<NodeId>, common: &mut Common) {
        let mut groups: Vec<(Arc<Prepare>, Vec<NodeId>)> = Vec::new();
        for node in nodes {
            let Some(prepare) = self.prepares.get(node) else { continue };
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, prepare)) {
                Some((_, group)) => group.push(*node),
                None => groups.push((Arc::clone(prepare), vec![*node])),
            }
        }
        for (prepare, group) in groups {
            common.asked(group.iter().copied());
            common.broadcast(group, Message::Prepare(prepare));
        }
    }

    pub(crate) fn timer(&self) -> Micros {
        self.timer.min(self.give_up_at)
    }

    /// Whether nothing can be learned any more by waiting.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// A replica's vote.
    pub(crate) fn voted(&mut self, from: NodeId, vote: Vote, common: &mut Common) -> Progress {
        if !self.nodes.contains(&from) || self.is_over() {
            return Progress::Waiting;
        }
        match vote {
            Vote::Decided(outcome) => return self.decide(outcome, common),
            Vote::Forgotten => return self.forgotten(),
            Vote::Yes => self.said.insert(from, Said::Yes),
            Vote::No(no) => self.said.insert(from, Said::No(no)),
            Vote::NotNow(refusal) => self.said.insert(from, Said::NotNow(refusal)),
        };
        self.evaluate(common)
    }

    fn evaluate(&mut self, common: &mut Common) -> Progress {
        let twice = common.settings.mutations.has(Mutation::DecidesTwice);
        if self.phase != Phase::Voting && !twice {
            return Progress::Waiting;
        }
        let unanimous = self.nodes.iter().all(|node| self.said.get(node) == Some(&Said::Yes));
        if unanimous || (common.settings.mutations.has(Mutation::MajorityFastPath) && self.majority(common)) {
            common.counters.committed_fast += 1;
            return self.decide(Outcome::Commit, common);
        }
        if self.phase != Phase::Voting {
            return Progress::Waiting;
        }
        if self.refused(common, |_| false) {
            return self.decide(Outcome::Abort, common);
        }
        self.propose_without_suspects(common);
        Progress::Waiting
    }

    /// Proposes what is left to propose if the suspects never answer. Only proposes: they may have voted YES.
    fn propose_without_suspects(&mut self, common: &mut Common) {
        let suspect = |node: &NodeId| common.is_suspect(node);
        let voted = |node: &NodeId| matches!(self.said.get(node), Some(Said::Yes | Said::No(_)));
        if self.majority(common) {
            if self.nodes.iter().all(|node| self.said.contains_key(node) || suspect(node)) {
                self.propose(Outcome::Commit, common);
            }
        } else if self.refused(common, |node| !voted(node) && suspect(node)) {
            self.propose(Outcome::Abort, common);
        }
    }

    /// Whether every participant has a majority of YES.
    fn majority(&self, common: &Common) -> bool {
        let yes = |node: &&NodeId| self.said.get(node) == Some(&Said::Yes);
        self.parts
            .keys()
            .all(|partition| common.ring(*partition).iter().filter(yes).count() >= common.quorum(*partition))
    }

    /// Whether some participant has a NO vote, and cannot have a majority of YES any more without the `lost`.
    fn refused(&self, common: &Common, lost: impl Fn(&NodeId) -> bool) -> bool {
        let no = |node: &NodeId| matches!(self.said.get(node), Some(Said::No(_)));
        self.parts.keys().any(|partition| {
            let ring = common.ring(*partition);
            let without = || ring.iter().filter(|node| no(node) || lost(node)).count();
            ring.iter().any(no) && without() + common.quorum(*partition) > ring.len()
        })
    }

    fn propose(&mut self, outcome: Outcome, common: &mut Common) {
        self.phase = Phase::Proposing(outcome, BTreeSet::new());
        self.timer = common.now.steady + common.settings.resend_after;
        self.give_up_at = Micros::MAX;
        let acceptors = common.ring(self.txn.anchor).to_vec();
        common.broadcast(acceptors, Message::Accept { txn: self.txn, ballot: Ballot::COORDINATOR, outcome });
    }

    /// An acceptor's answer to the proposal.
    pub(crate) fn accepted(&mut self, from: NodeId, answer: Accepted, common: &mut Common) -> Progress {
        let Phase::Proposing(outcome, accepts) = &mut self.phase else { return Progress::Waiting };
        match answer {
            Accepted::Yes => {
                accepts.insert(from);
                let outcome = *outcome;
                let ring = common.ring(self.txn.anchor);
                let accepted = ring.iter().filter(|node| accepts.contains(node)).count();
                if accepted < common.quorum(self.txn.anchor) {
                    return Progress::Waiting;
                }
                common.counters.committed_slow += u64::from(outcome == Outcome::Commit);
                self.decide(outcome, common)
            }
            Accepted::Decided(outcome) => self.decide(outcome, common),
            Accepted::Promised(_) => {
                self.phase = Phase::Over;
                Progress::TakenOver
            }
            Accepted::Forgotten => self.forgotten(),
        }
    }

    fn forgotten(&mut self) -> Progress {
        self.phase = Phase::Over;
        Progress::Forgotten
    }

    /// Takes a decision and tells all replicas: those not known to have prepared get the writes too.
    pub(crate) fn decide(&mut self, outcome: Outcome, common: &mut Common) -> Progress {
        self.phase = Phase::Over;
        let (mut prepared, mut others) = (Vec::new(), Vec::new());
        for node in &self.nodes {
            let yes = self.said.get(node) == Some(&Said::Yes);
            if yes || outcome == Outcome::Abort { prepared.push(*node) } else { others.push(*node) }
        }
        common.broadcast(prepared, Message::Decide { txn: self.txn, outcome, writes: Vec::new() });
        for node in others {
            let writes = self.prepares.get(&node).map(|prepare| prepare.versions()).unwrap_or_default();
            common.send(node, Message::Decide { txn: self.txn, outcome, writes });
        }
        Progress::Decided(outcome)
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, common: &mut Common) -> Progress {
        let now = common.now.steady;
        if now < self.timer() {
            return Progress::Waiting;
        }
        match &self.phase {
            Phase::Over => {}
            Phase::Proposing(outcome, accepts) => {
                let outcome = *outcome;
                let silent = common.ring(self.txn.anchor).into_iter().filter(|node| !accepts.contains(node));
                let silent: Vec<NodeId> = silent.collect();
                common.broadcast(silent, Message::Accept { txn: self.txn, ballot: Ballot::COORDINATOR, outcome });
                self.timer = now + common.settings.resend_after;
            }
            Phase::Voting if self.majority(common) => self.propose(Outcome::Commit, common),
            Phase::Voting if now >= self.give_up_at => self.propose(Outcome::Abort, common),
            Phase::Voting => {
                self.propose_without_suspects(common);
                if self.phase != Phase::Voting {
                    return Progress::Waiting;
                }
                let answered = |node: &NodeId| matches!(self.said.get(node), Some(Said::Yes | Said::No(_)));
                let silent: BTreeSet<NodeId> = self.nodes.iter().filter(|node| !answered(node)).copied().collect();
                self.ask(&silent, common);
                self.timer = now + common.settings.resend_after;
            }
        }
        Progress::Waiting
    }

    /// Why an aborted try was refused.
    pub(crate) fn reasons(&self) -> Reasons {
        let mut reasons = Reasons::default();
        for said in self.said.values() {
            match said {
                Said::Yes => {}
                Said::No(No::Stale(key)) => reasons.stale = Some(key.clone()),
                Said::No(No::TooLow(lowest)) => reasons.lowest = reasons.lowest.max(*lowest),
                Said::No(No::Locked(holder)) => reasons.locked = Some(holder.clone()),
                Said::No(No::Refused | No::Epoch(_)) => {}
                Said::NotNow(Refusal::ClockDrift { asked, here }) => reasons.drift = Some((*asked, *here)),
                Said::NotNow(Refusal::DiskFull) => reasons.disk_full = true,
                Said::NotNow(_) => {}
            }
        }
        reasons
    }

    /// The partition that fell short of votes, for the error.
    pub(crate) fn shortfall(&self, common: &Common) -> TxnError {
        let reasons = self.reasons();
        if let Some((asked, here)) = reasons.drift {
            return TxnError::ClockDrift { asked, here };
        }
        if reasons.disk_full {
            return TxnError::DiskFull;
        }
        let yes = |partition: PartitionId| {
            let ring = common.ring(partition).into_iter();
            ring.filter(|node| self.said.get(node) == Some(&Said::Yes)).count()
        };
        let short = self.parts.keys().find(|partition| yes(**partition) < common.quorum(**partition));
        let partition = short.copied().unwrap_or(self.txn.anchor);
        TxnError::Unavailable { partition, answered: yes(partition), needed: common.quorum(partition) }
    }
}

/// Everything that spoke against a try.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    pub(crate) stale: Option<Key>,
    pub(crate) locked: Option<annulus_replica::message::Holder>,
    pub(crate) lowest: Timestamp,
    pub(crate) drift: Option<(Timestamp, Timestamp)>,
    pub(crate) disk_full: bool,
}
