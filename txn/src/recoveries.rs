//! The recoveries that this node drives, one per transaction, and the clients that wait for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Ballot, NodeId, Timestamp, TxnId};
use annulus_replica::message::{Accepted, Inquired, Outcome, Prepare, Recovered};

use crate::common::Common;
use crate::interface::TxnError;
use crate::member::{ClientId, Reply};
use crate::recovery::{Ending, Recovery};

/// A recovery that has ended.
#[derive(Debug)]
pub(crate) struct Concluded {
    pub(crate) txn: TxnId,
    pub(crate) ending: Ending,
    /// Clients that asked for the outcome.
    pub(crate) waiters: Vec<ClientId>,
}

#[derive(Debug)]
struct Running {
    recovery: Recovery,
    /// Clients that asked, and until when they wait (steady clock).
    waiters: Vec<(ClientId, Micros)>,
}

/// All recoveries under way.
#[derive(Debug, Default)]
pub(crate) struct Recoveries {
    running: BTreeMap<TxnId, Running>,
    /// Ballot rounds used by this incarnation.
    rounds: u32,
}

impl Recoveries {
    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The smallest timestamp being recovered.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.running.values().map(|running| running.recovery.txn().ts).min()
    }

    /// Starts (or joins) the recovery of a transaction.
    pub(crate) fn start(
        &mut self,
        txn: TxnRef,
        vote: Option<Arc<Prepare>>,
        waiter: Option<(ClientId, Micros)>,
        common: &mut Common,
    ) {
        common.counters.recoveries += u64::from(!self.running.contains_key(&txn.id));
        let running = self
            .running
            .entry(txn.id)
            .or_insert_with(|| Running { recovery: Recovery::start(txn, vote, common), waiters: Vec::new() });
        running.waiters.extend(waiter);
    }

    /// The client went away.
    pub(crate) fn cancel(&mut self, client: ClientId) {
        for running in self.running.values_mut() {
            running.waiters.retain(|(waiter, _)| *waiter != client);
        }
    }

    fn with(&mut self, txn: TxnId, step: impl FnOnce(&mut Recovery) -> Option<Ending>) -> Option<Concluded> {
        let ending = step(&mut self.running.get_mut(&txn)?.recovery)?;
        self.end(txn, ending)
    }

    fn end(&mut self, txn: TxnId, ending: Ending) -> Option<Concluded> {
        let running = self.running.remove(&txn)?;
        let waiters = running.waiters.into_iter().map(|(client, _)| client).collect();
        Some(Concluded { txn, ending, waiters })
    }

    pub(crate) fn inquired(&mut self, txn: TxnId, word: Inquired, common: &mut Common) -> Option<Concluded> {
        self.with(txn, |recovery| recovery.inquired(word, common))
    }

    pub(crate) fn recovered(
        &mut self,
        from: NodeId,
        txn: TxnId,
        ballot: Ballot,
        answer: Recovered,
        common: &mut Common,
    ) -> Option<Concluded> {
        self.with(txn, |recovery| recovery.recovered(from, ballot, answer, common))
    }

    pub(crate) fn accepted(
        &mut self,
        from: NodeId,
        txn: TxnId,
        ballot: Ballot,
        answer: Accepted,
        common: &mut Common,
    ) -> Option<Concluded> {
        self.with(txn, |recovery| recovery.accepted(from, ballot, answer, common))
    }

    /// The decision came from somebody else.
    pub(crate) fn decided(&mut self, txn: TxnId, outcome: Outcome) -> Option<Concluded> {
        self.end(txn, Ending::Decided(outcome))
    }

    /// Time has passed: timers fire; impatient clients are told that the outcome is not known yet.
    pub(crate) fn tick(&mut self, common: &mut Common) {
        let now = common.now.steady;
        for running in self.running.values_mut() {
            running.recovery.tick(&mut self.rounds, common);
            let txn = running.recovery.txn();
            running.waiters.retain(|(client, until)| {
                if *until <= now {
                    common.replies.push((*client, Reply::Outcome(Err(TxnError::Unknown(txn)))));
                }
                *until > now
            });
        }
    }

    /// When [`Recoveries::tick`] is wanted (steady clock).
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        let timer = |running: &Running| {
            let waiters = running.waiters.iter().map(|(_, until)| *until);
            waiters.chain([running.recovery.timer()]).min()
        };
        self.running.values().filter_map(timer).min()
    }
}
