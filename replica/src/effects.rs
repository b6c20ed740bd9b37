//! What a step asks its driver to do, and in which order.

use annulus_base::NodeId;
use annulus_base::id::TxnRef;

use crate::message::{Message, Send};
use crate::record::Record;

/// The result of one step. The driver must:
///
/// 1. append `records` to the vote log, in order;
/// 2. send `at_once`, in order, without waiting;
/// 3. send `after_sync`, in order, only once a sync that covers all of `records` (and of all earlier
///    steps) has returned. If the sync fails, nothing of it may ever be sent and the node stops;
/// 4. hand `overdue` to whoever recovers transactions.
#[derive(Debug, Default)]
pub struct Effects {
    /// To append to the vote log.
    pub records: Vec<Record>,
    /// To send now.
    pub at_once: Vec<Send>,
    /// To send once the log is synced.
    pub after_sync: Vec<Send>,
    /// Transactions whose prepared locks outlived their timer.
    pub overdue: Vec<TxnRef>,
}

impl Effects {
    /// Sends to one node without waiting for the log.
    pub fn send(&mut self, to: NodeId, message: Message) {
        self.at_once.push(Send { to: vec![to], message });
    }

    /// Sends to one node once the log is synced.
    pub fn send_durable(&mut self, to: NodeId, message: Message) {
        self.after_sync.push(Send { to: vec![to], message });
    }
}
