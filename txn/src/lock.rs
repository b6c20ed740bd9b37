//! Fetch and lock: soft locks of a majority of each replica ring, with the newest versions.
//!
//! Contenders ask the head of a replica ring first (or the next living replica clockwise), and the rest
//! once that one grants: so they line up in one queue instead of splitting the ring.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::time::Micros;
use annulus_base::{Key, NodeId, PartitionId, TxnId};
use annulus_replica::message::{Answer, Detail, Lock, Message, ReadSet, Refusal};

use crate::answers;
use crate::common::Common;
use crate::interface::TxnError;
use crate::read::too_large;

/// One partition's part of a lock request.
#[derive(Debug)]
struct Part {
    partition: PartitionId,
    set: ReadSet,
    /// The head or its stand-in first.
    order: Vec<NodeId>,
    /// Whether the first has granted and the rest is asked.
    lined_up: bool,
    granted: BTreeMap<NodeId, Answer>,
    refused: BTreeMap<NodeId, Refusal>,
}

/// What a step of a lock request comes to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Still waiting.
    Waiting,
    /// Locked; one answer per part.
    Done(Vec<Answer>),
    /// Refused; nothing is held.
    Failed(TxnError),
}

/// A lock request under way.
#[derive(Debug)]
pub(crate) struct LockOp {
    op: u64,
    pub(crate) txn: TxnId,
    nowait: bool,
    deadline: Micros,
    parts: Vec<Part>,
    resend_at: Micros,
}

impl LockOp {
    /// Asks for the soft locks of `txn` until `deadline` (steady clock).
    pub(crate) fn start(
        op: u64,
        txn: TxnId,
        sets: Vec<(PartitionId, Vec<Key>)>,
        nowait: bool,
        deadline: Micros,
        common: &mut Common,
    ) -> Self {
        let parts = sets.into_iter().map(|(partition, mut keys)| {
            keys.sort();
            keys.dedup();
            Part {
                partition,
                set: ReadSet { keys, ranges: Vec::new() },
                order: common.by_ring(partition),
                lined_up: false,
                granted: BTreeMap::new(),
                refused: BTreeMap::new(),
            }
        });
        let mut lock = Self { op, txn, nowait, deadline, parts: parts.collect(), resend_at: 0 };
        for index in 0..lock.parts.len() {
            lock.ask_head(index, common);
        }
        lock.resend_at = common.now.steady + common.settings.resend_after;
        lock
    }

    pub(crate) const fn timer(&self) -> Micros {
        self.resend_at
    }

    /// The partitions and locked keys, in the order of the answers.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (PartitionId, &ReadSet)> {
        self.parts.iter().map(|part| (part.partition, &part.set))
    }

    fn ask_head(&mut self, index: usize, common: &mut Common) {
        if let Some(head) = self.parts[index].order.first().copied() {
            self.ask(index, head, common);
        }
    }

    fn ask(&self, index: usize, node: NodeId, common: &mut Common) {
        let part = &self.parts[index];
        let left = self.deadline.saturating_sub(common.now.steady);
        let lock = Lock {
            id: common.request_id(self.op, index as u32),
            epoch: common.topology.epoch(),
            txn: self.txn,
            partition: part.partition,
            keys: part.set.keys.clone(),
            nowait: self.nowait,
            // So that the replica's word, who holds the lock, comes before time has run out.
            patience: left - left / 10,
            detail: Detail::Data,
        };
        common.send(node, Message::Lock(lock));
    }

    /// A replica's answer.
    pub(crate) fn answered(
        &mut self,
        from: NodeId,
        tag: u32,
        answer: Result<Answer, Refusal>,
        common: &mut Common,
    ) -> Progress {
        let index = tag as usize;
        let Some(part) = self.parts.get_mut(index) else { return Progress::Waiting };
        match answer {
            Ok(answer) if answers::fits(&answer, &part.set) => {
                part.granted.insert(from, answer);
                part.refused.remove(&from);
                if !part.lined_up {
                    part.lined_up = true;
                    self.ask_rest(index, common);
                }
                self.granted(common)
            }
            Ok(_) => Progress::Waiting,
            Err(refusal) => self.refused(index, from, refusal, common),
        }
    }

    fn ask_rest(&mut self, index: usize, common: &mut Common) {
        let part = &self.parts[index];
        let rest: Vec<NodeId> = part.order.iter().filter(|node| !part.granted.contains_key(node)).copied().collect();
        for node in rest {
            self.ask(index, node, common);
        }
    }

    fn granted(&self, common: &Common) -> Progress {
        if self.parts.iter().any(|part| part.granted.len() < common.quorum(part.partition)) {
            return Progress::Waiting;
        }
        Progress::Done(self.parts.iter().map(|part| answers::merge(part.granted.values())).collect())
    }

    fn refused(&mut self, index: usize, from: NodeId, refusal: Refusal, common: &mut Common) -> Progress {
        let part = &mut self.parts[index];
        if refusal == Refusal::TooLarge {
            let error = too_large(part.partition);
            self.give_up(common);
            return Progress::Failed(error);
        }
        let locked = match &refusal {
            Refusal::Locked(holder) => Some(holder.clone()),
            _ => None,
        };
        part.refused.insert(from, refusal);
        let hopeless = part.refused.len() + common.quorum(part.partition) > part.order.len();
        match locked {
            Some(holder) if hopeless || !part.lined_up => {
                self.give_up(common);
                Progress::Failed(TxnError::Locked(holder))
            }
            _ => {
                // A head that cannot answer is stood in for by the next replica clockwise.
                if !part.lined_up {
                    part.order.rotate_left(1);
                    if !hopeless {
                        self.ask_head(index, common);
                    }
                }
                Progress::Waiting
            }
        }
    }

    /// What is missing, for the error when time has run out.
    pub(crate) fn shortfall(&self, common: &Common) -> TxnError {
        let short = self.parts.iter().find(|part| part.granted.len() < common.quorum(part.partition));
        short.map_or(TxnError::Overloaded, |part| TxnError::Unavailable {
            partition: part.partition,
            answered: part.granted.len(),
            needed: common.quorum(part.partition),
        })
    }

    /// Drops whatever was granted or is still waited for.
    pub(crate) fn give_up(&self, common: &mut Common) {
        let nodes: BTreeSet<NodeId> = common.replicas(self.parts.iter().map(|part| part.partition));
        common.broadcast(nodes.into_iter().collect(), Message::Unlock(self.txn));
    }

    /// Time has passed: the silent are asked again; a head that died is stood in for.
    pub(crate) fn tick(&mut self, common: &mut Common) {
        if common.now.steady < self.resend_at {
            return;
        }
        self.resend_at = common.now.steady + common.settings.resend_after;
        for index in 0..self.parts.len() {
            let part = &mut self.parts[index];
            part.refused.clear();
            if part.granted.len() >= common.quorum(part.partition) {
                continue;
            }
            if part.lined_up {
                self.ask_rest(index, common);
            } else {
                part.order = common.by_ring(part.partition);
                self.ask_head(index, common);
            }
        }
    }
}
