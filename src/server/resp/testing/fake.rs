//! A database in memory: one thread, real versions and validation, faults on demand.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Incarnation, Key, KeyRange, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::message::Holder;
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Committed, Database, Fate, Place, Seen, SeenRange, TxnError, When};
use bytes::Bytes;
use tokio::sync::Notify;

/// A call of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Read,
    Scan,
    Lock,
    Commit,
    Outcome,
}

/// What happens before a call is answered.
pub enum Fault {
    /// The call fails without any effect.
    Fails(TxnError),
    /// The call takes effect, and then fails.
    FailsAfter(fn(TxnRef) -> TxnError),
    /// Something else happens first.
    Precedes(Box<dyn FnOnce(&Fake)>),
}

#[derive(Default)]
struct State {
    clock: u64,
    sequence: u32,
    versions: BTreeMap<(PartitionId, Key), (Stamp, Option<Bytes>)>,
    locks: BTreeMap<Place, TxnId>,
    fates: BTreeMap<TxnId, Fate>,
    faults: VecDeque<(Call, Fault)>,
    calls: BTreeMap<Call, usize>,
}

#[derive(Clone, Default)]
pub struct Fake {
    state: Rc<RefCell<State>>,
    unlocked: Rc<Notify>,
}

impl Fake {
    /// The next such call meets the fault; faults of one kind of call in their order.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.state.borrow_mut().faults.push_back((call, fault));
    }

    /// How often something was called since this was last asked.
    pub fn take_calls(&self) -> BTreeMap<Call, usize> {
        std::mem::take(&mut self.state.borrow_mut().calls)
    }

    /// Soft locks held at present.
    pub fn locks(&self) -> usize {
        self.state.borrow().locks.len()
    }

    /// Keys present, whatever they are.
    pub fn present(&self) -> Vec<(PartitionId, Key)> {
        let state = self.state.borrow();
        let present = state.versions.iter().filter(|(_, (_, value))| value.is_some());
        present.map(|(place, _)| place.clone()).collect()
    }

    /// A committed write of somebody else.
    pub fn write(&self, place: Place, value: Option<Bytes>) {
        let mut state = self.state.borrow_mut();
        let stamp = state.tick();
        state.versions.insert((place.partition, place.key), (stamp, value));
    }

    /// What is to happen before the answer.
    async fn enter(&self, call: Call) -> Result<Option<fn(TxnRef) -> TxnError>, TxnError> {
        tokio::task::yield_now().await;
        *self.state.borrow_mut().calls.entry(call).or_default() += 1;
        let fault = {
            let mut state = self.state.borrow_mut();
            let index = state.faults.iter().position(|(of, _)| *of == call);
            index.and_then(|index| state.faults.remove(index))
        };
        match fault {
            None => Ok(None),
            Some((_, Fault::Fails(error))) => Err(error),
            Some((_, Fault::FailsAfter(error))) => Ok(Some(error)),
            Some((_, Fault::Precedes(happens))) => {
                happens(self);
                Ok(None)
            }
        }
    }

    /// Waits until `ready` says so, or fails with what it says in the end.
    async fn wait_for<T>(
        &self,
        patience: Micros,
        mut ready: impl FnMut(&mut State) -> Result<T, TxnError>,
    ) -> Result<T, TxnError> {
        let end = tokio::time::Instant::now() + Duration::from_micros(patience);
        loop {
            let waiting = self.unlocked.notified();
            let answer = ready(&mut self.state.borrow_mut());
            if !matches!(answer, Err(TxnError::Locked(_))) || tokio::time::timeout_at(end, waiting).await.is_err() {
                return answer;
            }
        }
    }
}

impl State {
    fn tick(&mut self) -> Stamp {
        self.clock += 1;
        let ts = Timestamp(self.clock);
        Stamp { ts, txn: self.id(ts) }
    }

    fn id(&mut self, start: Timestamp) -> TxnId {
        self.sequence += 1;
        TxnId { start, node: NodeId(1), incarnation: Incarnation(1), sequence: self.sequence }
    }

    fn seen(&self, partition: PartitionId, key: &Key) -> Seen {
        let found = self.versions.get(&(partition, key.clone()));
        let (stamp, value) = found.cloned().unwrap_or((Stamp::NONE, None));
        Seen { stamp, value }
    }

    fn rows(&self, partition: PartitionId, range: &KeyRange) -> Vec<(Key, Seen)> {
        if range.start >= range.end {
            return Vec::new();
        }
        let stretch = (partition, range.start.clone())..(partition, range.end.clone());
        let present = self.versions.range(stretch).filter(|(_, (_, value))| value.is_some());
        present.map(|((_, key), (stamp, value))| (key.clone(), Seen { stamp: *stamp, value: value.clone() })).collect()
    }

    /// Refuses what an older transaction has locked.
    fn check_lock(&self, place: &Place, own: Option<TxnId>, start: Timestamp) -> Result<(), TxnError> {
        match self.locks.get(place) {
            Some(holder) if Some(*holder) != own && holder.start <= start => {
                Err(TxnError::Locked(Holder { key: place.key.clone(), txn: *holder, held_for: 0, prepared: false }))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, start: Timestamp, own: Option<TxnId>, commit: &Commit) -> Result<Committed, TxnError> {
        if own.is_some_and(|own| !self.locks.values().any(|holder| *holder == own)) {
            return Err(TxnError::Wounded);
        }
        for place in commit.reads.iter().map(|(place, _)| place).chain(commit.writes.iter().map(|(place, _)| place)) {
            self.check_lock(place, own, start)?;
        }
        for (place, stamp) in &commit.reads {
            if self.seen(place.partition, &place.key).stamp != *stamp {
                return Err(TxnError::Conflict(place.key.clone()));
            }
        }
        for check in &commit.ranges {
            let now: Vec<_> =
                self.rows(check.partition, &check.range).into_iter().map(|(key, seen)| (key, seen.stamp)).collect();
            if now != check.rows {
                return Err(TxnError::Conflict(check.range.start.clone()));
            }
        }
        let mut written = std::collections::BTreeSet::new();
        self.clock += 1;
        let stamp = Stamp { ts: Timestamp(self.clock), txn: self.id(start) };
        for (place, value) in &commit.writes {
            assert!(written.insert(place), "{place:?} is written twice by one transaction");
            assert!(value.as_ref().is_none_or(|value| value.len() <= annulus_base::limits::MAX_VALUE_LEN));
            self.versions.insert((place.partition, place.key.clone()), (stamp, value.clone()));
        }
        if let Some(own) = own {
            self.locks.retain(|_, holder| *holder != own);
        }
        self.fates.insert(stamp.txn, Fate::Committed);
        let anchor = commit.writes.first().map_or(PartitionId::default(), |(place, _)| place.partition);
        Ok(Committed { txn: TxnRef { id: stamp.txn, ts: stamp.ts, anchor } })
    }
}

impl Database for Fake {
    fn begin(&self) -> Timestamp {
        self.state.borrow_mut().tick().ts
    }

    async fn read(&self, keys: Vec<Place>, _: When, _: Micros) -> Result<Vec<Seen>, TxnError> {
        self.enter(Call::Read).await?;
        let state = self.state.borrow();
        Ok(keys.iter().map(|place| state.seen(place.partition, &place.key)).collect())
    }

    async fn scan(
        &self,
        ranges: Vec<(PartitionId, KeyRange, u32)>,
        _: When,
        _: Micros,
    ) -> Result<Vec<SeenRange>, TxnError> {
        self.enter(Call::Scan).await?;
        let state = self.state.borrow();
        let one = |(partition, mut range, limit): (PartitionId, KeyRange, u32)| {
            let mut rows = state.rows(partition, &range);
            if rows.len() >= limit as usize {
                rows.truncate(limit as usize);
                if let Some((last, _)) = rows.last() {
                    range.end = last.successor();
                }
            }
            SeenRange { partition, range, rows }
        };
        Ok(ranges.into_iter().map(one).collect())
    }

    async fn lock(
        &self,
        start: Timestamp,
        keys: Vec<Place>,
        nowait: bool,
        patience: Micros,
    ) -> Result<(TxnId, Vec<Seen>), TxnError> {
        self.enter(Call::Lock).await?;
        let own = self.state.borrow_mut().id(start);
        let take = |state: &mut State| {
            keys.iter().try_for_each(|place| state.check_lock(place, Some(own), start))?;
            for place in &keys {
                // A younger holder is wounded: it loses all of its locks.
                if let Some(wounded) = state.locks.insert(place.clone(), own).filter(|holder| *holder != own) {
                    state.locks.retain(|_, holder| *holder != wounded);
                }
            }
            Ok((own, keys.iter().map(|place| state.seen(place.partition, &place.key)).collect()))
        };
        self.wait_for(if nowait { 0 } else { patience }, take).await
    }

    fn unlock(&self, txn: TxnId, _: &[Place]) {
        self.state.borrow_mut().locks.retain(|_, holder| *holder != txn);
        self.unlocked.notify_waiters();
    }

    async fn commit(
        &self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: Commit,
        patience: Micros,
    ) -> Result<Committed, TxnError> {
        let after = self.enter(Call::Commit).await?;
        let committed = self.wait_for(patience, |state| state.apply(start, locked, &commit)).await?;
        self.unlocked.notify_waiters();
        match after {
            None => Ok(committed),
            Some(error) => Err(error(committed.txn)),
        }
    }

    async fn outcome(&self, txn: TxnRef, _: Micros) -> Result<Fate, TxnError> {
        self.enter(Call::Outcome).await?;
        Ok(self.state.borrow().fates.get(&txn.id).copied().unwrap_or(Fate::Forgotten))
    }
}
