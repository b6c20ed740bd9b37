//! After the faults: everything is healed, clients finish, and all nodes must come to rest and agree.

use std::collections::BTreeMap;

use annulus_base::time::{MILLISECOND, Micros, SECOND};
use annulus_base::{Key, PartitionId, Timestamp};
use annulus_replica::store::Stamp;
use bytes::Bytes;

use super::clock::DAWN;
use super::drive::index;
use super::{Event, Phase, World};
use crate::describe;
use crate::history::{Call, Outcome};
use crate::relational::work::Work;
use crate::violation::{Verdict, wrong};

/// How often the state of things is looked at in the end.
const INSPECT_EVERY: Micros = 200 * MILLISECOND;
/// Gossip is not faster than this in the end, to save steps.
const SLOW_GOSSIP: Micros = 300 * MILLISECOND;

/// Whatever of a partition no replica may have lost to garbage collection.
type Kept<'a> = BTreeMap<&'a Key, Vec<(Stamp, Option<&'a Bytes>)>>;

impl World {
    /// Ends all faults.
    pub(super) fn heal(&mut self) -> Verdict {
        self.tell(|| "all faults end".into());
        self.phase = Phase::Healed;
        self.healed_at = self.time;
        self.network.heal();
        self.options.gossip_every = self.options.gossip_every.max(SLOW_GOSSIP);
        let (_, patience) = self.options.work.patience;
        self.options.work.patience = (SECOND, patience.max(2 * SECOND));
        for node in 0..self.nodes.len() {
            self.doomed[node] = None;
            self.bad_sync[node] = false;
            self.nodes[node].clock.skew = 0;
            self.nodes[node].clock.drift = 0;
            self.restart(node)?;
        }
        self.healed_steps = self.steps;
        Ok(())
    }

    pub(super) fn inspect(&mut self) -> Verdict {
        self.queue.push(self.time + INSPECT_EVERY, Event::Inspect);
        let idle = self.clients.iter().all(super::clients::Client::is_idle);
        match self.phase {
            Phase::Finishing if idle => {
                self.phase = Phase::Final;
                match self.options.relational {
                    true => self.errands = Work::last(&self.layout).into(),
                    false => self.script = self.last_script().into(),
                }
                self.queue.push(self.time, Event::Client { client: 0, life: self.first_life() });
            }
            Phase::Final if idle && self.script.is_empty() && self.errands.is_empty() => self.phase = Phase::Rest,
            Phase::Rest if self.unrest().is_empty() => self.phase = Phase::Done,
            _ => {}
        }
        Ok(())
    }

    fn first_life(&self) -> u32 {
        self.clients[0].life()
    }

    /// What is still going on; empty when the cluster is at rest and replicas are equal.
    pub(super) fn unrest(&self) -> String {
        let busy = self.clients.iter().filter(|client| !client.is_idle()).count();
        if busy > 0 {
            let tasks: Vec<_> = self.clients.iter().filter_map(super::clients::Client::describe).collect();
            return format!("in {:?}, {busy} clients are busy: {}", self.phase, tasks.join(", "));
        }
        for node in &self.nodes {
            let Some(member) = node.member() else { return format!("{} is down", node.id) };
            let undecided = member.undecided(node.clock.now(self.time));
            if let Some((txn, age)) = undecided.first() {
                return format!("{}: transaction {txn} has been undecided for {age} us", node.id);
            }
            let locked = member.locked_keys();
            if let Some((partition, keys)) = locked.iter().find(|(_, keys)| !keys.is_empty()) {
                return format!("{}: {keys:?} of {partition} are still locked", node.id);
            }
        }
        self.difference().unwrap_or_default()
    }

    /// Where two replicas of a partition differ.
    fn difference(&self) -> Option<String> {
        let horizon = Timestamp::from_micros(DAWN + self.time).minus(self.options.settings.history);
        self.layout.partitions.iter().find_map(|partition| self.difference_in(*partition, horizon))
    }

    fn difference_in(&self, partition: PartitionId, horizon: Timestamp) -> Option<String> {
        let ring = self.topology.replicas(partition)?;
        let mut first: Option<Kept> = None;
        for node in ring.iter() {
            let kept = match self.kept(index(*node), partition, horizon) {
                Ok(kept) => kept,
                Err(key) => {
                    return Some(format!(
                        "{node}: the record of {} in {partition} is still corrupt",
                        describe::key(key)
                    ));
                }
            };
            match &first {
                None => first = Some(kept),
                Some(other) if *other == kept => {}
                Some(other) => {
                    let key = other.iter().chain(&kept).find(|(key, _)| other.get(*key) != kept.get(*key))?.0;
                    let show = |kept: Option<&Vec<(Stamp, Option<&Bytes>)>>| {
                        let versions = kept.into_iter().flatten().map(|(stamp, _)| describe::stamp(*stamp));
                        versions.collect::<Vec<_>>().join(" ")
                    };
                    let (a, b) = (show(other.get(key)), show(kept.get(key)));
                    let key = describe::key(key);
                    return Some(format!("{} and {node} differ at {key} in {partition}: {a}; {b}", ring[0]));
                }
            }
        }
        None
    }

    /// The newest present version at the horizon and all versions above, of each key of a partition. The
    /// key, if one is corrupt.
    fn kept(&self, node: usize, partition: PartitionId, horizon: Timestamp) -> Result<Kept<'_>, &Key> {
        let mut all = Kept::new();
        for (key, versions) in self.nodes[node].store.dump(partition) {
            let versions = versions.ok_or(key)?;
            let above = versions.iter().filter(|(stamp, _)| stamp.ts > horizon);
            let at = versions.iter().rev().find(|(stamp, _)| stamp.ts <= horizon).filter(|(_, value)| value.is_some());
            let kept: Vec<_> = at.into_iter().chain(above).map(|(stamp, value)| (*stamp, value.as_ref())).collect();
            if !kept.is_empty() {
                all.insert(key, kept);
            }
        }
        Ok(all)
    }

    /// Every version of an acknowledged commit is in a store, unless garbage collection may have taken it.
    pub(super) fn stores_hold_what_was_acknowledged(&self) -> Verdict {
        let horizon = Timestamp::from_micros(DAWN + self.time).minus(self.options.settings.history);
        for entry in &self.history.entries {
            let (Call::Commit(commit), Outcome::Committed(txn, ts)) = (&entry.call, &entry.outcome) else { continue };
            for (place, _) in commit.writes.iter().filter(|_| *ts > horizon) {
                let holder = self.topology.replicas(place.partition).and_then(|ring| ring.first().copied());
                let Some(holder) = holder else { continue };
                let stamp = Stamp { ts: *ts, txn: *txn };
                let mut stored = self.nodes[index(holder)].store.dump(place.partition);
                let held = stored
                    .any(|(key, versions)| *key == place.key && versions.is_some_and(|all| all.contains_key(&stamp)));
                if !held {
                    return wrong(format!("the acknowledged write of {} by {txn} is lost", describe::key(&place.key)));
                }
            }
        }
        Ok(())
    }
}
