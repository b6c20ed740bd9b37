//! Writing a history down while it happens.

use std::collections::BTreeMap;

use super::{History, Moment, Op, OpId, Outcome, Step};

/// An operation's outcome was reported a second time with another result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {op} already ended as {known:?}; it cannot end as {reported:?} too")]
pub struct AlreadyKnown {
    /// Which operation.
    pub op: OpId,
    /// What it ended as.
    pub known: Outcome,
    /// What was reported now.
    pub reported: Outcome,
}

/// Records events in the order in which it is told of them.
///
/// With several threads: tell it of an invocation before anything is sent and of a completion after the
/// answer is there, under one lock, and the order is true.
#[derive(Clone, Debug)]
pub struct Recorder {
    history: History,
    events: u64,
    clients: u64,
    /// Each client's present process, and its operation that has not ended with a known outcome.
    sessions: BTreeMap<u64, (u64, Option<OpId>)>,
}

impl Recorder {
    /// A recorder for clients `0..clients`. Process numbers are the client's plus multiples of `clients`.
    #[must_use]
    pub fn new(clients: u64) -> Self {
        Self { history: History::default(), events: 0, clients: clients.max(1), sessions: BTreeMap::new() }
    }

    /// A client asks a node for a transaction. The outcome is [`Outcome::Unknown`] until told otherwise.
    pub fn invoke(&mut self, client: u64, node: u32, steps: Vec<Step>, micros: u64) -> OpId {
        let id = self.history.ops.len();
        let invoked = self.moment(micros);
        let session = self.sessions.entry(client).or_insert((client, None));
        if session.1.is_some() {
            session.0 += self.clients;
        }
        session.1 = Some(id);
        self.history.ops.push(Op {
            process: session.0,
            node,
            steps,
            invoked,
            finished: None,
            outcome: Outcome::Unknown,
            committed_at: None,
            read_at: None,
        });
        id
    }

    /// The operation was executed; `steps` are those asked, with what the reads found. Also for an unknown
    /// outcome that was learned later.
    pub fn ok(&mut self, op: OpId, steps: Vec<Step>, micros: u64) -> Result<(), AlreadyKnown> {
        self.finish(op, Outcome::Ok, micros)?;
        self.history.ops[op].steps = steps;
        Ok(())
    }

    /// The operation was certainly not executed. Also for an unknown outcome that was learned later.
    pub fn fail(&mut self, op: OpId, micros: u64) -> Result<(), AlreadyKnown> {
        self.finish(op, Outcome::Fail, micros)
    }

    /// The client gave up on the answer.
    pub fn unknown(&mut self, op: OpId, micros: u64) -> Result<(), AlreadyKnown> {
        self.finish(op, Outcome::Unknown, micros)
    }

    /// The timestamp at which the operation commits, if it does.
    pub fn committed_at(&mut self, op: OpId, timestamp: u64) {
        self.history.ops[op].committed_at = Some(timestamp);
    }

    /// The timestamp of the snapshot that the operation reads.
    pub fn read_at(&mut self, op: OpId, timestamp: u64) {
        self.history.ops[op].read_at = Some(timestamp);
    }

    /// What was recorded so far.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// What was recorded.
    #[must_use]
    pub fn into_history(self) -> History {
        self.history
    }

    fn finish(&mut self, id: OpId, reported: Outcome, micros: u64) -> Result<(), AlreadyKnown> {
        let known = self.history.ops[id].outcome;
        if known != Outcome::Unknown {
            return Err(AlreadyKnown { op: id, known, reported });
        }
        let moment = self.moment(micros);
        let op = &mut self.history.ops[id];
        op.outcome = reported;
        op.finished = Some(moment);
        if reported != Outcome::Unknown {
            for session in self.sessions.values_mut().filter(|session| session.1 == Some(id)) {
                session.1 = None;
            }
        }
        Ok(())
    }

    const fn moment(&mut self, micros: u64) -> Moment {
        let index = self.events;
        self.events += 1;
        Moment { index, micros }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_goes_on_as_a_new_process_after_an_unknown_outcome() {
        let mut recorder = Recorder::new(10);
        let first = recorder.invoke(3, 0, vec![Step::Write { key: 1, value: 1 }], 5);
        recorder.unknown(first, 9).unwrap();
        let second = recorder.invoke(3, 0, vec![Step::read(1)], 10);
        recorder.fail(second, 11).unwrap();
        let third = recorder.invoke(3, 0, vec![Step::read(1)], 12);
        let processes: Vec<_> = recorder.history().ops.iter().map(|op| op.process).collect();
        assert_eq!(processes, [3, 13, 13]);
        recorder.ok(first, vec![Step::Write { key: 1, value: 1 }], 20).unwrap();
        assert!(recorder.history().ops[first].ended() > recorder.history().ops[third].invoked.index);
    }

    #[test]
    fn a_known_outcome_never_changes() {
        let mut recorder = Recorder::new(1);
        let op = recorder.invoke(0, 0, vec![], 0);
        recorder.fail(op, 1).unwrap();
        let error = recorder.ok(op, vec![], 2).unwrap_err();
        assert_eq!(error, AlreadyKnown { op, known: Outcome::Fail, reported: Outcome::Ok });
    }
}
