//! What becomes of the tries: votes and recoveries drive them, and an aborted one is followed by another where
//! that can help.

use annulus_base::time::{MILLISECOND, Micros};
use annulus_base::{Ballot, NodeId, Timestamp, TxnId};
use annulus_replica::message::{Accepted, Outcome, Vote};

use super::{Coordinator, Operation, Step, Work, release_held};
use crate::commit::{self, Try};
use crate::common::Common;
use crate::interface::{Committed, TxnError};
use crate::lock::LockOp;
use crate::member::Reply;
use crate::sets::line_for;

impl Coordinator {
    /// A vote on a try.
    pub(crate) fn voted(&mut self, from: NodeId, txn: TxnId, vote: Vote, common: &mut Common) {
        self.with_try(txn, common, |attempt, common| attempt.voted(from, vote, common));
    }

    /// An acceptor's answer to a try's proposal.
    pub(crate) fn accepted(&mut self, from: NodeId, txn: TxnId, ballot: Ballot, answer: Accepted, common: &mut Common) {
        if ballot == Ballot::COORDINATOR {
            self.with_try(txn, common, |attempt, common| attempt.accepted(from, answer, common));
        }
    }

    /// A recovery has found the outcome of a transaction that may be a try of ours.
    pub(crate) fn recovered(&mut self, txn: TxnId, outcome: Option<Outcome>, common: &mut Common) {
        let Some(op) = self.tries.get(&txn).copied() else { return };
        let progress = match outcome {
            Some(outcome) => commit::Progress::Decided(outcome),
            None => commit::Progress::Forgotten,
        };
        self.advance_try(op, txn, progress, common);
    }

    fn with_try(
        &mut self,
        txn: TxnId,
        common: &mut Common,
        step: impl FnOnce(&mut Try, &mut Common) -> commit::Progress,
    ) {
        let Some(op) = self.tries.get(&txn).copied() else { return };
        let attempt = match self.operations.get_mut(&op).map(|operation| &mut operation.work) {
            Some(Work::Read { validating: Some((attempt, _)), .. }) => attempt,
            Some(Work::Commit { step: Step::Trying(attempt), .. }) => attempt,
            _ => return,
        };
        if attempt.txn.id != txn {
            return;
        }
        let before = attempt.timer();
        let progress = step(attempt, common);
        if attempt.timer() != before {
            self.set_timer(op);
        }
        self.advance_try(op, txn, progress, common);
    }

    pub(super) fn advance_try(&mut self, op: u64, txn: TxnId, progress: commit::Progress, common: &mut Common) {
        match progress {
            commit::Progress::Waiting => {}
            commit::Progress::TakenOver => self.hand_over(op, common),
            commit::Progress::Decided(outcome) => {
                self.tries.remove(&txn);
                if !self.knows_anchor(op, common) {
                    self.remember(txn, outcome, common);
                }
                self.settled(op, Some(outcome), common);
            }
            commit::Progress::Forgotten => {
                self.tries.remove(&txn);
                self.settled(op, None, common);
            }
        }
    }

    /// Somebody recovers the try: its outcome is whatever the recovery decides.
    fn hand_over(&mut self, op: u64, common: &mut Common) {
        let Some(operation) = self.operations.get_mut(&op) else { return };
        match &mut operation.work {
            Work::Commit { step, .. } => {
                let Step::Trying(attempt) = step else { return };
                let txn = attempt.txn;
                *step = Step::TakenOver(txn);
                self.taken_over.push(txn);
            }
            Work::Read { validating, .. } => {
                // A read changed nothing: it may simply be made again, whatever became of the try.
                if let Some((attempt, _)) = validating.take() {
                    self.tries.remove(&attempt.txn.id);
                }
                self.reread(op, common);
            }
            Work::Lock { .. } => {}
        }
        self.set_timer(op);
    }

    /// Whether this node is a replica of the try's anchor: then its replica remembers the decision.
    fn knows_anchor(&self, op: u64, common: &Common) -> bool {
        let anchor = match self.operations.get(&op).map(|operation| &operation.work) {
            Some(Work::Read { validating: Some((attempt, _)), .. }) => attempt.txn.anchor,
            Some(Work::Commit { step: Step::Trying(attempt), .. }) => attempt.txn.anchor,
            Some(Work::Commit { step: Step::TakenOver(txn), .. }) => txn.anchor,
            _ => return false,
        };
        common.ring(anchor).contains(&common.id)
    }

    fn remember(&mut self, txn: TxnId, outcome: Outcome, common: &Common) {
        self.outcomes.insert(txn, outcome);
        self.recent.push_back((common.now.steady.saturating_add(common.settings.outcome_retention), txn));
    }

    /// A try is decided (`None`: its outcome is beyond learning).
    fn settled(&mut self, op: u64, outcome: Option<Outcome>, common: &mut Common) {
        let Some(mut operation) = self.take(op) else { return };
        match &mut operation.work {
            Work::Read { shape, validating, .. } => {
                let answers = validating.take().map(|(_, answers)| answers).unwrap_or_default();
                if outcome == Some(Outcome::Commit) {
                    let reply = shape.reply(Ok(answers));
                    self.finish(operation, reply, common);
                } else {
                    self.put_back(op, operation);
                    self.reread(op, common);
                }
            }
            Work::Commit { .. } => self.commit_settled(op, operation, outcome, common),
            Work::Lock { .. } => {}
        }
    }

    fn commit_settled(&mut self, op: u64, mut operation: Operation, outcome: Option<Outcome>, common: &mut Common) {
        let Work::Commit { commit, start, step, held } = &mut operation.work else { return };
        let (txn, reasons) = match step {
            Step::Trying(attempt) => (attempt.txn, Some(attempt.reasons())),
            Step::TakenOver(txn) => (*txn, None),
            Step::Locking(_) | Step::Pausing(_) => return,
        };
        let answer = match outcome {
            Some(Outcome::Commit) => Some(Ok(Committed { txn })),
            None => Some(Err(TxnError::Unknown(txn))),
            Some(Outcome::Abort) => None,
        };
        common.counters.committed_recovered += u64::from(reasons.is_none() && outcome == Some(Outcome::Commit));
        common.counters.aborted += u64::from(outcome == Some(Outcome::Abort));
        if let Some(answer) = answer {
            if held.is_some_and(|held| held != txn.id) {
                release_held(*held, commit, common);
            }
            self.finish(operation, Reply::Commit(answer), common);
            return;
        }
        let shortfall = match step {
            Step::Trying(attempt) => attempt.shortfall(common),
            _ => TxnError::Overloaded,
        };
        let reasons = reasons.unwrap_or_default();
        common.counters.retries += 1;
        let deadline = operation.deadline;
        // Of the last fifth of its time a commit keeps enough to be decided: no new try then.
        let hopeless = operation.client.is_none() || common.now.steady + common.settings.fast_path_patience >= deadline;
        if let Some(key) = reasons.stale {
            release_held(*held, commit, common);
            self.finish(operation, Reply::Commit(Err(TxnError::Conflict(key))), common);
        } else if hopeless {
            release_held(*held, commit, common);
            let error = reasons.locked.map_or(shortfall, TxnError::Locked);
            self.finish(operation, Reply::Commit(Err(error)), common);
        } else if let Some(sets) = reasons.locked.and_then(|holder| line_for(commit, held.is_some(), &holder.key)) {
            release_held(held.take(), commit, common);
            let id = common.new_txn(*start);
            *step = Step::Locking(LockOp::start(op, id, sets, false, deadline, common));
            self.put_back(op, operation);
        } else if let Some(ahead) = ahead_of_clock(reasons.lowest, common) {
            // Asking again with a timestamp that our clock does not reach yet would only be refused again.
            *step = Step::Pausing(common.now.steady + ahead);
            self.put_back(op, operation);
        } else if reasons.lowest > Timestamp::ZERO {
            let (start, locked) = (*start, *held);
            let attempt = self.new_try(op, start, locked, commit, reasons.lowest, deadline, common);
            *step = Step::Trying(attempt);
            self.put_back(op, operation);
        } else {
            // Also for whoever holds a key that is only read: nobody stands in line there. A node alone decides nothing
            // else before this step ends, so trying again at once would never end.
            let pause = common.rng.between(MILLISECOND, 10 * MILLISECOND);
            *step = Step::Pausing(common.now.steady + pause);
            self.put_back(op, operation);
        }
    }
}

/// By how much a timestamp is further ahead of this node's wall clock than its readings may be,
/// microseconds.
fn ahead_of_clock(ts: Timestamp, common: &Common) -> Option<Micros> {
    let reach = common.now.wall.saturating_add(common.settings.max_clock_drift);
    ts.micros().checked_sub(reach).filter(|ahead| *ahead > 0)
}
