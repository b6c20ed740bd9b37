//! The transaction interface over the driver: futures that end with the protocol's reply.

use std::future::Future;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{KeyRange, PartitionId, Timestamp, TxnId};
use annulus_txn::interface::{Commit, Committed, Database, Fate, Place, Seen, SeenRange, TxnError, When};
use annulus_txn::member::{ClientId, Input, Reply, Request};

use super::driver::Driver;

/// The node's database, for servers on its thread.
#[derive(Clone)]
pub struct NodeDatabase {
    driver: Driver,
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
    pub const fn new(driver: Driver) -> Self {
        Self { driver }
    }

    async fn ask(&self, request: Request, patience: Micros) -> Option<Reply> {
        let (client, reply) = self.driver.request(request, patience);
        let _asked = Asked { driver: &self.driver, client };
        reply.await.ok()
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

    async fn read(&self, keys: Vec<Place>, when: When, patience: Micros) -> Result<Vec<Seen>, TxnError> {
        expect_reply!(self.ask(Request::Read(keys, when), patience).await, Read)
    }

    async fn scan(
        &self,
        ranges: Vec<(PartitionId, KeyRange, u32)>,
        when: When,
        patience: Micros,
    ) -> Result<Vec<SeenRange>, TxnError> {
        expect_reply!(self.ask(Request::Scan(ranges, when), patience).await, Scan)
    }

    async fn lock(
        &self,
        start: Timestamp,
        keys: Vec<Place>,
        nowait: bool,
        patience: Micros,
    ) -> Result<(TxnId, Vec<Seen>), TxnError> {
        expect_reply!(self.ask(Request::Lock { start, keys, nowait }, patience).await, Lock)
    }

    fn unlock(&self, txn: TxnId, keys: &[Place]) {
        self.driver.step(Input::Unlock(txn, keys.to_vec()));
    }

    fn commit(
        &self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: Commit,
        patience: Micros,
    ) -> impl Future<Output = Result<Committed, TxnError>> {
        async move {
            if self.driver.disk_full() && commit.writes.iter().any(|(_, value)| value.is_some()) {
                return Err(TxnError::DiskFull);
            }
            expect_reply!(self.ask(Request::Commit { start, locked, commit }, patience).await, Commit)
        }
    }

    async fn outcome(&self, txn: TxnRef, patience: Micros) -> Result<Fate, TxnError> {
        expect_reply!(self.ask(Request::Outcome(txn), patience).await, Outcome)
    }
}
