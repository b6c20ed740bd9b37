//! Counters of the key-value server, for `INFO` and for metrics.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter {
    total: Cell<u64>,
    /// What it had come to when the statistics were reset.
    before: Cell<u64>,
}

impl Counter {
    /// Lets it grow.
    pub fn add(&self, amount: u64) {
        self.total.set(self.total.get().saturating_add(amount));
    }

    /// What it has come to since the statistics were reset.
    #[must_use]
    pub const fn get(&self) -> u64 {
        self.total.get() - self.before.get()
    }

    /// What it has come to since the node's start: the metrics page never goes back.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total.get()
    }

    fn reset(&self) {
        self.before.set(self.total.get());
    }
}

/// What was done with one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerCommand {
    /// How often it was called.
    pub calls: u64,
    /// How often it answered an error.
    pub failed: u64,
    /// Time spent in it.
    pub time: Duration,
}

/// What the server has done since it started.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: Counter,
    /// Connections refused because there were too many.
    pub rejected: Counter,
    /// Connections closed because of bytes that are not the protocol.
    pub broken: Counter,
    /// Requests and answers refused because they are too large.
    pub oversized: Counter,
    /// Bytes received.
    pub received: Counter,
    /// Bytes sent.
    pub sent: Counter,
    /// Transactions tried again because they lost against others.
    pub retries: Counter,
    /// Writes that shared the transaction of another one, since they wanted the same keys.
    pub combined: Counter,
    /// Keys deleted by the sweeper because they had expired.
    pub expired: Counter,
    /// Keys of flushed generations and outdated outcome records deleted by the sweeper.
    pub collected: Counter,
    /// Bytes that all connections hold in unfinished requests and queued commands.
    pub buffered: Cell<usize>,
    commands: RefCell<BTreeMap<&'static str, PerCommand>>,
}

impl Stats {
    /// A command was answered.
    pub fn record(&self, command: &'static str, time: Duration, failed: bool) {
        let mut commands = self.commands.borrow_mut();
        let entry = commands.entry(command).or_default();
        entry.calls += 1;
        entry.failed += u64::from(failed);
        entry.time += time;
    }

    /// What was done, by command.
    #[must_use]
    pub fn commands(&self) -> Vec<(&'static str, PerCommand)> {
        self.commands.borrow().iter().map(|(name, stats)| (*name, *stats)).collect()
    }

    /// All commands together.
    #[must_use]
    pub fn total(&self) -> PerCommand {
        let add = |sum: PerCommand, (_, one): (&'static str, PerCommand)| PerCommand {
            calls: sum.calls + one.calls,
            failed: sum.failed + one.failed,
            time: sum.time + one.time,
        };
        self.commands().into_iter().fold(PerCommand::default(), add)
    }

    /// Begins to count anew (`CONFIG RESETSTAT`); what is held at present stays counted.
    pub fn reset(&self) {
        let counters = [
            &self.connections,
            &self.rejected,
            &self.broken,
            &self.oversized,
            &self.received,
            &self.sent,
            &self.retries,
            &self.combined,
            &self.expired,
            &self.collected,
        ];
        counters.into_iter().for_each(Counter::reset);
        self.commands.borrow_mut().clear();
    }
}
