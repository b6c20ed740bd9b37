//! Soft locks: contenders for a key line up here, the oldest first (wound-wait).
//!
//! Source: Rosenkrantz, Stearns, Lewis, "System Level Concurrency Control for Distributed Database
//! Systems" (1978). Soft locks are volatile, leased and revocable; nothing but fairness rests on them.

use std::collections::BTreeMap;

use annulus_base::time::Micros;
use annulus_base::{Key, NodeId, Now, PartitionId, Timestamp, TxnId};

use crate::effects::Effects;
use crate::locks::Soft;
use crate::message::{Holder, Lock, Message, ReadSet, Refusal};
use crate::participant::Replica;
use crate::store::{Store, StoreResult};

/// A lock request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    from: NodeId,
    lock: Lock,
    since: Micros,
    /// When it is refused instead (steady clock).
    pub(crate) deadline: Micros,
}

impl Replica {
    pub(crate) fn lock(
        &mut self,
        now: Now,
        from: NodeId,
        lock: Lock,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        if let Err(refusal) = self.placed(lock.epoch, lock.partition) {
            out.send(from, Message::LockAnswer(lock.id, Err(refusal)));
            return Ok(());
        }
        let (txn, partition) = (lock.txn, lock.partition);
        let deadline = now.steady.saturating_add(lock.patience);
        self.soft.entry(txn).or_default().insert(partition);
        self.wake_by(deadline);
        let waiting = Waiting { from, lock, since: now.steady, deadline };
        self.partition(partition).queue.insert(txn, waiting);
        self.advance(now, partition, txn, store, out)?;
        let waits = self.partition(partition).queue.contains_key(&txn);
        self.counters.lock_waits += u64::from(waits);
        Ok(())
    }

    /// Lets every waiting lock request of a partition try again, oldest first.
    pub(crate) fn advance_queue(
        &mut self,
        now: Now,
        partition: PartitionId,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let waiting: Vec<TxnId> = self.partition(partition).queue.keys().copied().collect();
        for txn in waiting {
            self.advance(now, partition, txn, store, out)?;
        }
        Ok(())
    }

    /// Takes the keys of a waiting request in order; grants it when it has them all.
    fn advance(
        &mut self,
        now: Now,
        partition: PartitionId,
        txn: TxnId,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let Some(waiting) = self.partition(partition).queue.remove(&txn) else { return Ok(()) };
        if let Some(holder) = self.take_keys(now, partition, &waiting) {
            if waiting.lock.nowait {
                self.refuse_lock(now, partition, &waiting, holder, store, out)?;
            } else {
                self.partition(partition).queue.insert(txn, waiting);
            }
            return Ok(());
        }
        let set = ReadSet { keys: waiting.lock.keys.clone(), ranges: Vec::new() };
        let answer = self.look_up(partition, &set, Timestamp::MAX, waiting.lock.detail, store)?;
        out.send(waiting.from, Message::LockAnswer(waiting.lock.id, answer));
        Ok(())
    }

    /// Takes every key up to the first that somebody else keeps; returns who that is.
    fn take_keys(&mut self, now: Now, partition: PartitionId, waiting: &Waiting) -> Option<Holder> {
        let txn = waiting.lock.txn;
        let until = now.steady + self.settings.soft_lock_lease;
        self.wake_by(until);
        for key in &waiting.lock.keys {
            if let Some(holder) = self.holder_against(now, partition, key, &waiting.lock) {
                return Some(holder);
            }
            let wounded = self.partition(partition).locks.soft(key, txn, now.steady).is_some();
            self.counters.wounded += u64::from(wounded);
            self.partition(partition).locks.take_soft(key, Soft { txn, since: waiting.since, until });
        }
        None
    }

    /// Who keeps a request from locking `key`: a prepared lock, or an older transaction's soft lock. Who would not wait
    /// takes nothing from younger ones either: it asked for what is free.
    fn holder_against(&self, now: Now, partition: PartitionId, key: &Key, lock: &Lock) -> Option<Holder> {
        let txn = lock.txn;
        if let Some(holder) = self.prepared_holder(now, partition, key, txn) {
            return Some(holder);
        }
        let soft = self.partitions.get(&partition)?.locks.soft(key, txn, now.steady)?;
        let held_for = now.steady.saturating_sub(soft.since);
        (soft.txn < txn || lock.nowait).then(|| Holder { key: key.clone(), txn: soft.txn, held_for, prepared: false })
    }

    fn refuse_lock(
        &mut self,
        now: Now,
        partition: PartitionId,
        waiting: &Waiting,
        holder: Holder,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let txn = waiting.lock.txn;
        self.counters.lock_refusals += 1;
        out.send(waiting.from, Message::LockAnswer(waiting.lock.id, Err(Refusal::Locked(holder))));
        let dropped = self.partition(partition).locks.drop_soft(|soft| soft.txn == txn);
        if dropped { self.wake(now, partition, store, out) } else { Ok(()) }
    }

    pub(crate) fn unlock(&mut self, now: Now, txn: TxnId, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        for partition in self.drop_soft_locks(txn) {
            self.wake(now, partition, store, out)?;
        }
        Ok(())
    }

    /// Drops the soft locks and queue places of all transactions that a dead node coordinated: nobody waits for
    /// what will not be used. If it lives after all, its transactions are only less favoured.
    ///
    /// # Errors
    /// What the store says.
    pub fn drop_locks_of(
        &mut self,
        now: Now,
        node: NodeId,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let orphans: Vec<TxnId> = self.soft.keys().filter(|txn| txn.node == node).copied().collect();
        orphans.into_iter().try_for_each(|txn| self.unlock(now, txn, store, out))
    }

    /// Drops a transaction's soft locks and queue places; returns the partitions to wake.
    pub(crate) fn drop_soft_locks(&mut self, txn: TxnId) -> Vec<PartitionId> {
        let partitions: Vec<PartitionId> = self.soft.remove(&txn).into_iter().flatten().collect();
        for partition in &partitions {
            let state = self.partition(*partition);
            state.queue.remove(&txn);
            state.locks.drop_soft(|soft| soft.txn == txn);
        }
        partitions
    }

    /// Lets leases lapse and refuses whoever waited too long.
    pub(crate) fn lapse(&mut self, now: Now, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        if self.wake_at.is_none_or(|at| at > now.steady) {
            return Ok(());
        }
        self.wake_at = None;
        self.lapse_holds(now, store, out)?;
        let partitions: Vec<PartitionId> = self.partitions.keys().copied().collect();
        for partition in partitions {
            self.lapse_parked(now, partition, out);
            self.lapse_queue(now, partition, store, out)?;
            self.partition(partition).locks.drop_soft(|soft| soft.until <= now.steady);
            self.wake(now, partition, store, out)?;
            self.wake_for(partition);
        }
        let partitions = &self.partitions;
        self.soft.retain(|txn, places| {
            places.retain(|place| {
                partitions.get(place).is_some_and(|state| state.queue.contains_key(txn) || state.locks.has_soft(*txn))
            });
            !places.is_empty()
        });
        Ok(())
    }

    fn lapse_queue(
        &mut self,
        now: Now,
        partition: PartitionId,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let Some(state) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let (late, waiting) = std::mem::take(&mut state.queue).into_iter().partition(|(_, w)| w.deadline <= now.steady);
        state.queue = waiting;
        let late: BTreeMap<TxnId, Waiting> = late;
        for (txn, waiting) in late {
            let blocking =
                waiting.lock.keys.iter().find_map(|key| self.holder_against(now, partition, key, &waiting.lock));
            let key = waiting.lock.keys.first().cloned().unwrap_or_else(|| Key(Default::default()));
            let holder = blocking.unwrap_or(Holder { key, txn, held_for: 0, prepared: false });
            self.refuse_lock(now, partition, &waiting, holder, store, out)?;
        }
        Ok(())
    }

    /// Asks for a tick when the next waiter or lease of a partition is due.
    fn wake_for(&mut self, partition: PartitionId) {
        let Some(state) = self.partitions.get(&partition) else { return };
        let queue = state.queue.values().map(|waiting| waiting.deadline);
        let parked = state.parked.iter().map(|parked| parked.until);
        if let Some(at) = queue.chain(parked).chain(state.locks.next_lapse()).min() {
            self.wake_by(at);
        }
    }
}
