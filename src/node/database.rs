//! The transaction interface over the driver: futures that end with the protocol's reply.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{KeyRange, PartitionId, Timestamp, TxnId};
use annulus_ring::Topology;
use annulus_txn::interface::{Commit, Committed, Database, Fate, Place, Seen, SeenRange, TxnError, When};
use annulus_txn::member::{ClientId, Input, Reply, Request};
use annulus_txn::standing::Standing;

use super::driver::Driver;
use crate::metrics::Metrics;

/// Pause between two looks whether a majority is back.
const GLANCE: Duration = Duration::from_millis(20);

/// The node's database, for servers on its thread.
#[derive(Clone)]
pub struct NodeDatabase {
    driver: Driver,
    topology: Arc<Topology>,
    metrics: Rc<Metrics>,
}

/// Cancels the request when its future is dropped early.
struct Asked<'a> {
    driver: &'a Driver,
    client: ClientId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.driver.cancel(self.client);
    }
}

impl NodeDatabase {
    /// The database that `driver` drives.
    #[must_use]
    pub fn new(driver: Driver, topology: Arc<Topology>, metrics: Rc<Metrics>) -> Self {
        Self { driver, topology, metrics }
    }

    async fn ask(&self, request: Request, patience: Micros) -> Option<Reply> {
        let (client, reply) = self.driver.request(request, patience);
        let _asked = Asked { driver: &self.driver, client };
        reply.await.ok()
    }

    /// Counts what the protocol does not.
    fn counted<T>(&self, result: Result<T, TxnError>) -> Result<T, TxnError> {
        if let Err(TxnError::ClockDrift { .. }) = result {
            self.metrics.transactions.clock_drift.increment(1);
        }
        result
    }

    /// Waits until a majority of every replica ring can be reached; says how much patience is left then.
    ///
    /// A commit that is begun without one ends with an outcome that nobody can tell, and holds its keys until
    /// the others are back.
    async fn wait_for_majorities(&self, commit: &Commit, patience: Micros) -> Result<Micros, TxnError> {
        let deadline = self.driver.now().steady.saturating_add(patience);
        loop {
            let left = deadline.saturating_sub(self.driver.now().steady);
            match self.shortfall(commit) {
                None => return Ok(left),
                Some(error) if left == 0 => return Err(error),
                Some(_) => tokio::time::sleep(GLANCE).await,
            }
        }
    }

    /// A replica ring without a majority that can be reached.
    fn shortfall(&self, commit: &Commit) -> Option<TxnError> {
        let unreachable = self.driver.unreachable();
        if unreachable.is_empty() {
            return None;
        }
        commit.partitions().find_map(|partition| {
            let ring = self.topology.replicas(partition)?;
            let (answered, needed) =
                (ring.iter().filter(|node| !unreachable.contains(node)).count(), ring.len() / 2 + 1);
            (answered < needed).then_some(TxnError::Unavailable { partition, answered, needed })
        })
    }
}

/// The reply of the asked kind. No reply comes only from a node that has stopped.
macro_rules! expect_reply {
    ($reply:expr, $kind:ident) => {
        match $reply {
            Some(Reply::$kind(result)) => result,
            _ => Err(TxnError::Overloaded),
        }
    };
}

impl Database for NodeDatabase {
    fn begin(&self) -> Timestamp {
        self.driver.with_member(|member, now| member.begin(now))
    }

    fn replication_factor(&self) -> u8 {
        self.topology.replication_factor()
    }

    async fn read(&self, keys: Vec<Place>, when: When, patience: Micros) -> Result<Vec<Seen>, TxnError> {
        self.counted(expect_reply!(self.ask(Request::Read(keys, when), patience).await, Read))
    }

    async fn scan(
        &self,
        ranges: Vec<(PartitionId, KeyRange, u32)>,
        when: When,
        patience: Micros,
    ) -> Result<Vec<SeenRange>, TxnError> {
        self.counted(expect_reply!(self.ask(Request::Scan(ranges, when), patience).await, Scan))
    }

    async fn standing(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        patience: Micros,
    ) -> Result<Vec<Standing>, TxnError> {
        self.counted(expect_reply!(self.ask(Request::Standing(ranges, at), patience).await, Standing))
    }

    async fn unsettled(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        hold: bool,
        patience: Micros,
    ) -> Result<Option<Vec<Place>>, TxnError> {
        self.counted(expect_reply!(self.ask(Request::Unsettled(ranges, at, hold), patience).await, Unsettled))
    }

    async fn lock(
        &self,
        start: Timestamp,
        keys: Vec<Place>,
        nowait: bool,
        patience: Micros,
    ) -> Result<(TxnId, Vec<Seen>), TxnError> {
        let begun = Instant::now();
        let reply = self.ask(Request::Lock { start, keys, nowait }, patience).await;
        self.metrics.transactions.locking.record(begun.elapsed());
        self.counted(expect_reply!(reply, Lock))
    }

    fn unlock(&self, txn: TxnId, keys: &[Place]) {
        self.driver.step(Input::Unlock(txn, keys.to_vec()));
    }

    async fn commit(
        &self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: Commit,
        patience: Micros,
    ) -> Result<Committed, TxnError> {
        if self.driver.disk_full() && commit.writes.iter().any(|(_, value)| value.is_some()) {
            self.metrics.clients.shed_disk.increment(1);
            return Err(TxnError::DiskFull);
        }
        let patience = self.wait_for_majorities(&commit, patience).await?;
        let begun = Instant::now();
        let reply = self.ask(Request::Commit { start, locked, commit }, patience).await;
        self.metrics.transactions.duration.record(begun.elapsed());
        self.counted(expect_reply!(reply, Commit))
    }

    async fn outcome(&self, txn: TxnRef, patience: Micros) -> Result<Fate, TxnError> {
        expect_reply!(self.ask(Request::Outcome(txn), patience).await, Outcome)
    }
}
