//! Driving nodes: steps and their effects in the order that [`Effects`] demands, syncs, checkpoints,
//! gossip, crashes at any point, and starts.

use annulus_base::NodeId;
use annulus_base::time::{MILLISECOND, Micros};
use annulus_replica::effects::Effects;
use annulus_replica::message::Send;
use annulus_txn::member::{ClientId, Input, Reply};

use super::{Event, Packet, Phase, World};
use crate::describe;
use crate::violation::{Verdict, Violation, wrong};

/// How long checkpoints take, relative to a sync.
const CHECKPOINT_SYNCS: u64 = 4;

/// More ticks than this in a row, at ten in a millisecond, are too many.
const MOST_TICKS: u32 = 500;

impl World {
    pub(super) fn start(&mut self, node: usize) -> Verdict {
        let seed = self.rng.bits();
        self.nodes[node].clock.steady_base = self.rng.below(1_000_000 * MILLISECOND);
        let started = self.nodes[node].start(self.time, self.topology.clone(), self.options.settings.clone(), seed);
        self.tell(|| format!("{} starts as {}", self.nodes[node].id, self.nodes[node].incarnation()));
        if let Err(error) = started {
            return wrong(format!("{} could not start: {error}", self.nodes[node].id));
        }
        for heard in &mut self.heard[node] {
            *heard = (self.time, true);
        }
        self.store_changed(node)?;
        self.step(node, Input::Tick)
    }

    pub(super) fn restart(&mut self, node: usize) -> Verdict {
        if self.nodes[node].member().is_some() { Ok(()) } else { self.start(node) }
    }

    /// The member asked for a tick. It must not do so for ever without letting time pass.
    pub(super) fn wakeup(&mut self, node: usize) -> Verdict {
        self.wakeups[node] = None;
        let (count, since) = self.ticks[node];
        if count > MOST_TICKS && self.time < since + u64::from(count) * MILLISECOND / 10 {
            let what = format!("{} ticked {count} times in {} us", self.nodes[node].id, self.time - since);
            return Err(Violation::Progress(what));
        }
        self.step(node, Input::Tick)?;
        self.ticks[node] = if count == 0 { (1, self.time) } else { (count + 1, since) };
        Ok(())
    }

    /// A step of one node, with its effects. Does nothing if the node is down.
    pub(super) fn step(&mut self, node: usize, input: Input) -> Verdict {
        if self.nodes[node].member().is_none() {
            return Ok(());
        }
        self.ticks[node] = (0, 0);
        let (mut out, mut replies) = (Effects::default(), Vec::new());
        let stepped = self.nodes[node].step(self.time, input, &mut out, &mut replies);
        if let Err(error) = stepped {
            return wrong(format!("{} stopped: {error}", self.nodes[node].id));
        }
        self.observe(node, &out, &replies)?;
        match self.doom_strikes(node) {
            true => self.crash_within(node, out, replies),
            false => self.execute(node, out, replies),
        }
    }

    fn observe(&mut self, node: usize, out: &Effects, replies: &[(ClientId, Reply)]) -> Verdict {
        self.trace.note(
            ((out.records.len() as u64) << 32) | ((out.at_once.len() as u64) << 16) | out.after_sync.len() as u64,
        );
        if self.verbose {
            for line in describe::effects(out) {
                self.tell(|| format!("  {} {line}", self.nodes[node].id));
            }
        }
        let (commits, id) = (&self.commits, self.nodes[node].id);
        self.ledger.observe(out, |txn| if txn.node == id { commits.get(&(node, txn.start)).copied() } else { None })?;
        for (client, reply) in replies {
            let asked = self.pending.get(client).and_then(|pending| pending.asked);
            self.ledger.replied(asked, reply)?;
        }
        self.store_changed(node)
    }

    fn store_changed(&mut self, node: usize) -> Verdict {
        let added = std::mem::take(&mut self.nodes[node].store.added);
        self.trace.note(added.len() as u64);
        self.ledger.stored(added)
    }

    fn execute(&mut self, node: usize, out: Effects, replies: Vec<(ClientId, Reply)>) -> Verdict {
        self.nodes[node].log.append(out.records);
        self.send_all(node, out.at_once);
        let free = self.nodes[node].hold(out.after_sync);
        self.send_all(node, free);
        self.sync(node);
        self.schedule_wakeup(node);
        replies.into_iter().try_for_each(|(id, reply)| self.reply(id, reply))
    }

    fn schedule_wakeup(&mut self, node: usize) {
        if let Some(wanted) = self.nodes[node].next_wakeup() {
            let at = wanted.max(self.time + 1);
            if self.wakeups[node].is_none_or(|scheduled| scheduled > at) {
                self.wakeups[node] = Some(at);
                self.queue.push(at, Event::Wakeup { node });
            }
        }
    }

    fn send_all(&mut self, from: usize, sends: Vec<Send>) {
        for Send { to, message } in sends {
            for to in to {
                self.post(from, index(to), Packet::Protocol(message.clone()));
            }
        }
    }

    fn post(&mut self, from: usize, to: usize, packet: Packet) {
        let [first, second] = self.network.send(self.time, from, to, &mut self.rng);
        if let Some(at) = second {
            self.queue.push(at, Event::Arrive { from, to, packet: packet.clone() });
        }
        if let Some(at) = first {
            self.queue.push(at, Event::Arrive { from, to, packet });
        }
    }

    pub(super) fn arrive(&mut self, from: usize, to: usize, packet: Packet) -> Verdict {
        if !self.network.delivers(from, to) || self.nodes[to].member().is_none() {
            return Ok(());
        }
        self.trace.note((from * 16 + to) as u64);
        let sender = self.nodes[from].id;
        match packet {
            Packet::Protocol(message) => {
                self.tell(|| format!("{sender} -> {}: {}", self.nodes[to].id, describe::message(&message)));
                self.step(to, Input::Message(sender, message))
            }
            Packet::Gossip(mark) => {
                self.step(to, Input::LowWater(sender, mark))?;
                let (_, believed) = std::mem::replace(&mut self.heard[to][from], (self.time, true));
                if believed { Ok(()) } else { self.step(to, Input::Alive(sender, true)) }
            }
        }
    }

    pub(super) fn gossip(&mut self, node: usize) -> Verdict {
        self.queue.push(self.time + self.options.gossip_every, Event::Gossip { node });
        let Some(mark) = self.nodes[node].member().map(annulus_txn::member::Member::low_water) else { return Ok(()) };
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.post(node, other, Packet::Gossip(mark));
        }
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            let (heard, believed) = self.heard[node][other];
            if believed && heard + 3 * self.options.gossip_every < self.time {
                self.suspect(node, other)?;
            }
        }
        Ok(())
    }

    /// A node takes another one for dead.
    pub(super) fn suspect(&mut self, node: usize, other: usize) -> Verdict {
        self.heard[node][other].1 = false;
        let suspected = self.nodes[other].id;
        self.tell(|| format!("{} believes {suspected} dead", self.nodes[node].id));
        self.step(node, Input::Alive(suspected, false))
    }

    fn sync_takes(&mut self) -> Micros {
        let (low, high) = self.options.disk.sync;
        self.rng.between(low, high)
    }

    fn sync(&mut self, node: usize) {
        if let Some(upto) = self.nodes[node].begin_sync() {
            let (at, incarnation) = (self.time + self.sync_takes(), self.nodes[node].incarnation().0);
            self.queue.push(at, Event::Synced { node, incarnation, upto });
        }
    }

    pub(super) fn synced(&mut self, node: usize, incarnation: u32, upto: u64) -> Verdict {
        if self.nodes[node].member().is_none() || self.nodes[node].incarnation().0 != incarnation {
            return Ok(());
        }
        if std::mem::take(&mut self.bad_sync[node]) {
            self.tell(|| format!("{}: a sync fails", self.nodes[node].id));
            self.crash(node);
            return Ok(());
        }
        self.trace.note(upto);
        let ready = self.nodes[node].end_sync(upto);
        self.send_all(node, ready);
        let durable = self.nodes[node].log.durable();
        self.step(node, Input::Synced(durable))?;
        if self.nodes[node].member().is_some() {
            self.sync(node);
        }
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, node: usize) -> Verdict {
        let every = self.options.disk.checkpoint_every;
        let next = self.time + self.rng.between(every / 2, every);
        self.queue.push(next, Event::Checkpoint { node });
        if self.nodes[node].begin_checkpoint() {
            let takes = CHECKPOINT_SYNCS * self.sync_takes();
            let incarnation = self.nodes[node].incarnation().0;
            self.queue.push(self.time + takes, Event::Checkpointed { node, incarnation });
        }
        Ok(())
    }

    pub(super) fn checkpointed(&mut self, node: usize, incarnation: u32) -> Verdict {
        if self.nodes[node].incarnation().0 != incarnation {
            return Ok(());
        }
        if !self.nodes[node].end_checkpoint() {
            return Ok(());
        }
        self.tell(|| format!("{}: checkpoint", self.nodes[node].id));
        let ready = self.nodes[node].release();
        self.send_all(node, ready);
        let durable = self.nodes[node].log.durable();
        self.step(node, Input::Synced(durable))
    }

    /// Whether a node that is about to crash does so in this step.
    fn doom_strikes(&mut self, node: usize) -> bool {
        match &mut self.doomed[node] {
            Some(0) => true,
            Some(steps) => {
                *steps -= 1;
                false
            }
            None => false,
        }
    }

    /// Crashes in the middle of a step's effects: some records are appended, and then perhaps some
    /// messages have left.
    fn crash_within(&mut self, node: usize, mut out: Effects, replies: Vec<(ClientId, Reply)>) -> Verdict {
        let (records, messages) = (out.records.len(), out.at_once.len());
        let done = self.rng.below((records + messages + 2) as u64) as usize;
        out.records.truncate(done);
        self.nodes[node].log.append(out.records);
        if done > records {
            out.at_once.truncate(done - records);
            self.send_all(node, out.at_once);
        }
        if done > records + messages {
            replies.into_iter().try_for_each(|(id, reply)| self.reply(id, reply))?;
        }
        self.crash(node);
        Ok(())
    }

    /// The process ends, unsynced data is lost, and the node comes back later.
    pub(super) fn crash(&mut self, node: usize) {
        self.tell(|| format!("{} crashes", self.nodes[node].id));
        self.trace.note(node as u64);
        self.doomed[node] = None;
        self.bad_sync[node] = false;
        self.wakeups[node] = None;
        let Self { nodes, rng, .. } = self;
        nodes[node].stop();
        nodes[node].log.crash(rng);
        nodes[node].store.crash(rng);
        self.disconnect(node);
        let faulty = self.phase == Phase::Faults;
        let downtime = if faulty { self.rng.between(MILLISECOND, self.options.faults.downtime) } else { MILLISECOND };
        self.queue.push(self.time + downtime, Event::Restart { node });
    }

    /// The number of nodes that are down.
    pub(super) fn down(&self) -> usize {
        self.nodes.iter().filter(|node| node.member().is_none()).count()
    }
}

/// A node's place in [`World::nodes`].
pub(super) fn index(node: NodeId) -> usize {
    node.0 as usize - 1
}
