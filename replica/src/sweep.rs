//! Version garbage collection: a slow, bounded walk over the partitions that have versions here.
//!
//! Of the versions at or below the horizon only the newest of each key is kept; reads below the horizon
//! are refused. Tombstones that are a key's newest version stay until a repair pass has found them at
//! every replica (see [`crate::message::Message::Purge`]).

use annulus_base::time::{MILLISECOND, Micros};
use annulus_base::{Key, KeyRange, Now, PartitionId, Timestamp};

use crate::participant::Replica;
use crate::repair::retained;
use crate::store::{Limit, Stamp, Store, StoreResult, Version};

/// How often a step is made.
const INTERVAL: Micros = 100 * MILLISECOND;
/// Most stretches in one step, reached when nearly everything found is garbage.
const MAX_STRETCHES: usize = 32;

/// Where the walk is.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    due: Micros,
    horizon: Timestamp,
    pinned: Option<Timestamp>,
    at: Option<(PartitionId, Key)>,
    stretches: usize,
}

impl Sweep {
    pub(crate) const fn due(&self) -> Micros {
        self.due
    }

    /// History below is incomplete.
    pub(crate) const fn horizon(&self) -> Timestamp {
        self.horizon
    }
}

impl Replica {
    /// The oldest snapshot still being read anywhere: history is kept from there on.
    pub fn pin_history(&mut self, oldest: Option<Timestamp>) {
        self.sweep.pinned = oldest;
    }

    /// After a restart nothing is served of what an earlier incarnation may have collected.
    pub(crate) fn restore_horizon(&mut self) {
        self.sweep.horizon = self.fence.durable().minus(self.settings.history);
    }

    /// Versions at or below are collected, but for the newest of each key. Not ahead of what the durable
    /// fence tells the next incarnation.
    #[must_use]
    pub fn horizon(&self, now: Now) -> Timestamp {
        let kept = Timestamp::from_micros(now.wall).min(self.fence.durable()).minus(self.settings.history);
        self.sweep.pinned.map_or(kept, |pinned| kept.min(pinned.previous()))
    }

    pub(crate) fn collect_garbage(&mut self, now: Now, store: &mut dyn Store) -> StoreResult<()> {
        if now.steady < self.sweep.due {
            return Ok(());
        }
        self.sweep.due = now.steady + INTERVAL;
        self.sweep.horizon = self.sweep.horizon.max(self.horizon(now));
        let (mut seen, mut dropped) = (0, 0);
        for _ in 0..self.sweep.stretches.clamp(1, MAX_STRETCHES) {
            let Some((partition, start)) = self.next_stretch(store)? else { break };
            let range = KeyRange { start, end: KeyRange::all().end };
            let limit = Limit::versions(self.settings.sweep_versions);
            let history = store.history(partition, &range, limit);
            let Some(history) = self.readable(history)? else { break };
            let garbage = garbage(partition, &history, self.sweep.horizon);
            seen += history.len();
            dropped += garbage.len();
            self.counters.collected += garbage.len() as u64;
            store.remove(&garbage)?;
            let whole = !limit.is_used_up_by(&history);
            self.sweep.at = match history.last() {
                Some((last, _)) if !whole => Some((partition, last.successor())),
                _ => first_stretch(partition.successor(), store)?,
            };
        }
        // Much garbage: hurry. Little: take it easy.
        let stretches = self.sweep.stretches.max(1);
        self.sweep.stretches = if dropped * 4 > seen { stretches * 2 } else { stretches / 2 }.min(MAX_STRETCHES);
        Ok(())
    }

    fn next_stretch(&self, store: &mut dyn Store) -> StoreResult<Option<(PartitionId, Key)>> {
        match &self.sweep.at {
            Some(at) => Ok(Some(at.clone())),
            None => first_stretch(Some(PartitionId::default()), store),
        }
    }
}

/// The start of the first partition from there on that has versions here, whatever namespace it belongs to.
fn first_stretch(from: Option<PartitionId>, store: &mut dyn Store) -> StoreResult<Option<(PartitionId, Key)>> {
    let next = from.map(|from| store.next_partition(from)).transpose()?.flatten();
    Ok(next.map(|partition| (partition, KeyRange::all().start)))
}

fn garbage(partition: PartitionId, history: &[(Key, Version)], horizon: Timestamp) -> Vec<(PartitionId, Key, Stamp)> {
    let mut kept = retained(history, Timestamp::MAX, horizon).map(std::ptr::from_ref).peekable();
    let mut garbage = Vec::new();
    for entry in history {
        if kept.next_if_eq(&std::ptr::from_ref(entry)).is_none() {
            garbage.push((partition, entry.0.clone(), entry.1.stamp));
        }
    }
    garbage
}
