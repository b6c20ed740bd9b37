//! A database in memory, for tests: real versions, real validation, one thread, no time.
//!
//! - Every version is kept, so reads at an old timestamp find what was there.
//! - A commit is checked as replicas check it: keys by their newest stamp, ranges by their present keys. What a
//!   correct caller never asks for (a key written twice, a check of a range with rows outside of it) panics.
//! - Whoever has to wait for a soft lock lets the others run, and gives up after some turns.

mod state;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::interface::{Commit, Committed, Database, Fate, Place, Seen, SeenRange, TxnError, When};
use crate::standing::Standing;
use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{KeyRange, PartitionId, Timestamp, TxnId};
use bytes::Bytes;

use state::State;

/// How many turns somebody waits for a lock.
const PATIENCE: usize = 1_000;
/// How many turns a future may take in [`run`].
const MOST_TURNS: usize = 10_000_000;

/// A call of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Database::read`]
    Read,
    /// [`Database::scan`]
    Scan,
    /// [`Database::standing`]
    Standing,
    /// [`Database::unsettled`]
    Unsettled,
    /// [`Database::lock`]
    Lock,
    /// [`Database::commit`]
    Commit,
    /// [`Database::outcome`]
    Outcome,
}

/// Makes the error of a call that took effect.
pub type After = fn(TxnRef) -> TxnError;

/// What happens when a call is made.
pub enum Fault {
    /// The call fails without any effect.
    Fails(TxnError),
    /// The call takes effect, and then fails.
    FailsAfter(After),
    /// Something else happens first.
    Precedes(Box<dyn FnOnce(&Fake)>),
}

#[derive(Default)]
struct Script {
    faults: VecDeque<(Call, Fault)>,
    calls: BTreeMap<Call, usize>,
}

/// The database. Clones are the same database.
#[derive(Clone, Default)]
pub struct Fake {
    state: Rc<RefCell<State>>,
    script: Rc<RefCell<Script>>,
}

impl Fake {
    /// An empty database.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stretches of ranges end after so many versions, whatever limit was asked for.
    pub fn set_stretch(&self, versions: usize) {
        self.state.borrow_mut().stretch = versions.max(1);
    }

    /// The cluster keeps so many replicas.
    pub fn set_replication_factor(&self, factor: u8) {
        self.state.borrow_mut().replication_factor = factor;
    }

    /// Time passes.
    pub fn pass(&self, time: Micros) {
        self.state.borrow_mut().pass(time);
    }

    /// The next such call meets the fault; several faults of one kind of call meet the calls in their order.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.script.borrow_mut().faults.push_back((call, fault));
    }

    /// How often something was called since this was last asked.
    pub fn take_calls(&self) -> BTreeMap<Call, usize> {
        std::mem::take(&mut self.script.borrow_mut().calls)
    }

    /// Everything present now, in order.
    #[must_use]
    pub fn present(&self) -> Vec<(Place, Bytes)> {
        self.state.borrow().present()
    }

    /// How many soft locks are held.
    #[must_use]
    pub fn locks(&self) -> usize {
        self.state.borrow().locks()
    }

    /// A committed write of somebody else.
    pub fn write(&self, place: Place, value: Option<Bytes>) {
        self.state.borrow_mut().write(&[(place, value)]);
    }

    /// Lets others run, as every call of a real database does; then what is to happen before and after the answer.
    async fn enter(&self, call: Call) -> Result<Option<After>, TxnError> {
        let mut waited = false;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let fault = {
            let script = &mut *self.script.borrow_mut();
            *script.calls.entry(call).or_default() += 1;
            let index = script.faults.iter().position(|(of, _)| *of == call);
            index.and_then(|index| script.faults.remove(index))
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

    /// Lets others run until `ready` no longer fails for a lock, or patience ends.
    async fn wait<T>(
        &self,
        patience: Micros,
        mut ready: impl FnMut(&mut State) -> Result<T, TxnError>,
    ) -> Result<T, TxnError> {
        let mut turns = if patience == 0 { 0 } else { PATIENCE };
        poll_fn(|cx| match ready(&mut self.state.borrow_mut()) {
            Err(TxnError::Locked(_)) if turns > 0 => {
                turns -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            answer => Poll::Ready(answer),
        })
        .await
    }
}

impl Database for Fake {
    fn begin(&self) -> Timestamp {
        self.state.borrow_mut().tick()
    }

    fn replication_factor(&self) -> u8 {
        self.state.borrow().replication_factor
    }

    async fn read(&self, keys: Vec<Place>, when: When, _: Micros) -> Result<Vec<Seen>, TxnError> {
        self.enter(Call::Read).await?;
        Ok(self.state.borrow_mut().read(&keys, when))
    }

    async fn scan(
        &self,
        ranges: Vec<(PartitionId, KeyRange, u32)>,
        when: When,
        _: Micros,
    ) -> Result<Vec<SeenRange>, TxnError> {
        self.enter(Call::Scan).await?;
        Ok(self.state.borrow_mut().scan(ranges, when))
    }

    async fn standing(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        _: Micros,
    ) -> Result<Vec<Standing>, TxnError> {
        self.enter(Call::Standing).await?;
        Ok(self.state.borrow_mut().standing(&ranges, at))
    }

    async fn unsettled(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        _: bool,
        _: Micros,
    ) -> Result<Option<Vec<Place>>, TxnError> {
        self.enter(Call::Unsettled).await?;
        Ok(Some(self.state.borrow_mut().unsettled(&ranges, at)))
    }

    async fn lock(
        &self,
        start: Timestamp,
        keys: Vec<Place>,
        nowait: bool,
        patience: Micros,
    ) -> Result<(TxnId, Vec<Seen>), TxnError> {
        self.enter(Call::Lock).await?;
        let own = self.state.borrow_mut().new_id(start);
        self.wait(if nowait { 0 } else { patience }, |state| state.lock(own, &keys)).await
    }

    fn unlock(&self, txn: TxnId, _: &[Place]) {
        self.state.borrow_mut().unlock(txn);
    }

    async fn commit(
        &self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: Commit,
        patience: Micros,
    ) -> Result<Committed, TxnError> {
        let after = self.enter(Call::Commit).await?;
        let committed = self.wait(patience, |state| state.commit(start, locked, &commit)).await?;
        match after {
            None => Ok(committed),
            Some(error) => Err(error(committed.txn)),
        }
    }

    async fn outcome(&self, txn: TxnRef, _: Micros) -> Result<Fate, TxnError> {
        self.enter(Call::Outcome).await?;
        Ok(self.state.borrow().fate(&txn))
    }
}

/// Runs a future to its end on this thread.
///
/// # Panics
/// If it never ends.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..MOST_TURNS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
    panic!("the future waits for something that never happens");
}

/// Runs two futures in turns, to the end of both.
pub async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(cx)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(cx)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}
