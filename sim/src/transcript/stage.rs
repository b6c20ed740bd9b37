//! A cluster under the hand of a transcript: nothing is delivered, synced or timed unless told.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::mutation::{Mutation, Mutations};
use annulus_base::rng::Rng;
use annulus_base::time::{Micros, SECOND};
use annulus_base::{Key, NamespaceId, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::effects::Effects;
use annulus_replica::message::{Message, Send};
use annulus_replica::store::Stamp;
use annulus_ring::Topology;
use annulus_txn::interface::{Commit, Place, RangeCheck, Seen, SeenRange, TxnError, When};
use annulus_txn::member::{ClientId, Input, Reply, Request, Settings};
use bytes::Bytes;

use super::command::{Ask, Cluster, Command, Filter, Ranges};
use crate::describe;
use crate::history::{Call, EntryId, History, Outcome};
use crate::ledger::Ledger;
use crate::verdict;
use crate::workload::{NAMESPACE, unchanged_since};
use crate::world::clock::Clock;
use crate::world::node::Node;
use crate::world::topology;

/// The log of one command.
type Lines = Vec<String>;

/// More deliveries than this in one command mean that the nodes never come to rest.
const MOST_DELIVERIES: usize = 10_000;

/// What a client remembers.
#[derive(Default)]
struct Client {
    seen: BTreeMap<Place, Stamp>,
    ranges: Vec<RangeCheck>,
    /// At which snapshot it has read ranges.
    snapshot: Option<Timestamp>,
    locked: Option<TxnId>,
    start: Option<Timestamp>,
    last: Option<TxnRef>,
    waiting: Option<ClientId>,
}

/// A request under way.
struct Pending {
    client: String,
    node: usize,
    entry: Option<EntryId>,
    start: Timestamp,
    asked: Option<TxnRef>,
    keys: Vec<Place>,
}

pub(super) struct Stage {
    topology: Arc<Topology>,
    settings: Settings,
    time: Micros,
    nodes: Vec<Node>,
    under_way: Vec<(usize, usize, Message)>,
    cuts: Vec<(usize, usize)>,
    clients: BTreeMap<String, Client>,
    pending: BTreeMap<ClientId, Pending>,
    requests: u64,
    history: History,
    ledger: Ledger,
    lines: Lines,
}

impl Stage {
    pub(super) fn new(cluster: &Cluster, mutation: Option<Mutation>) -> Result<(Self, Lines), String> {
        let topology =
            topology(cluster.nodes, cluster.partitions, cluster.replicas).map_err(|error| error.to_string())?;
        let settings = Settings {
            lock_timeout: cluster.lock_timeout,
            fast_path_patience: cluster.fast_path,
            resend_after: cluster.resend,
            soft_lock_lease: cluster.lease,
            history: cluster.history,
            outcome_retention: cluster.retention,
            repair_interval: cluster.repair,
            marks_interval: cluster.marks,
            max_clock_drift: cluster.drift,
            mutations: mutation.map_or(Mutations::NONE, Mutations::only),
            ..Settings::default()
        };
        let rings = (0..cluster.partitions).map(|slot| {
            let ring = topology.replicas(PartitionId::new(NAMESPACE, slot)).unwrap_or_default();
            format!("partition {slot}: {}", ring.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        });
        let mut stage = Self {
            lines: rings.collect(),
            topology: Arc::new(topology),
            settings,
            time: 0,
            nodes: (1..=cluster.nodes).map(|id| Node::new(NodeId(id), Clock::default())).collect(),
            under_way: Vec::new(),
            cuts: Vec::new(),
            clients: BTreeMap::new(),
            pending: BTreeMap::new(),
            requests: 0,
            history: History::default(),
            ledger: Ledger::default(),
        };
        let lines = std::mem::take(&mut stage.lines);
        for node in 0..stage.nodes.len() {
            stage.start(node)?;
        }
        // A cluster that has found its rest: what it said on the way is of no interest.
        stage.pass(SECOND, true)?;
        stage.lines.clear();
        Ok((stage, lines))
    }

    pub(super) fn perform(&mut self, command: Command) -> Result<Lines, String> {
        match command {
            Command::Cluster(_) => return Err("there is a cluster already".into()),
            Command::Ask { client, node, ask } => self.ask(&client, node, ask)?,
            Command::Cancel(client) => self.cancel(&client)?,
            Command::Deliver(filter) if filter == Filter::default() => self.settle()?,
            Command::Deliver(filter) => {
                for (from, to, message) in self.take(&filter)? {
                    self.deliver(from, to, message)?;
                }
            }
            Command::Drop(filter) => {
                for (from, to, message) in self.take(&filter)? {
                    self.say(format!("lost: n{} -> n{}: {}", from + 1, to + 1, describe::message(&message)));
                }
            }
            Command::Cut(one, other) => self.cuts.extend([(one, other), (other, one)]),
            Command::Mend => self.cuts.clear(),
            Command::Sync(which) => {
                for node in self.these(which)? {
                    self.sync(node)?;
                }
            }
            Command::Tick(time) => self.pass(time, false)?,
            Command::Run(time) => self.pass(time, true)?,
            Command::Crash(node) => self.crash(node)?,
            Command::Restart(node) => self.start(node)?,
            Command::Checkpoint(node) => self.checkpoint(node)?,
            Command::Corrupt(node, key) => self.corrupt(node, &key)?,
            Command::Clock(node, skew) => self.node(node)?.clock.skew = skew,
            Command::Dead(who, whom) => {
                let dead = self.node(whom)?.id;
                self.step(who, Input::Alive(dead, false))?;
            }
            Command::Gossip => self.gossip()?,
            Command::Show(which) => {
                for node in self.these(which)? {
                    self.show(node);
                }
            }
            Command::Judge => {
                let judged = verdict::judge(&self.history, &self.ledger);
                self.say(judged.map_or_else(|violation| violation.to_string(), |()| "all well".into()));
            }
        }
        Ok(std::mem::take(&mut self.lines))
    }

    fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    fn node(&mut self, node: usize) -> Result<&mut Node, String> {
        self.nodes.get_mut(node).ok_or_else(|| format!("there is no n{}", node + 1))
    }

    fn these(&self, which: Option<usize>) -> Result<Vec<usize>, String> {
        match which {
            Some(node) if node < self.nodes.len() => Ok(vec![node]),
            Some(node) => Err(format!("there is no n{}", node + 1)),
            None => Ok((0..self.nodes.len()).collect()),
        }
    }

    fn start(&mut self, node: usize) -> Result<(), String> {
        let (time, topology, settings) = (self.time, Arc::clone(&self.topology), self.settings.clone());
        let started = self.node(node)?.start(time, topology, settings, node as u64);
        started.map_err(|error| error.to_string())?;
        self.step(node, Input::Tick)
    }

    fn step(&mut self, node: usize, input: Input) -> Result<(), String> {
        let time = self.time;
        let (mut out, mut replies) = (Effects::default(), Vec::new());
        self.node(node)?.step(time, input, &mut out, &mut replies).map_err(|error| error.to_string())?;
        let pending = &self.pending;
        let entry_of = |txn: TxnId| {
            let commits = pending.values().filter(|one| one.node == node && one.start == txn.start);
            commits.filter_map(|one| one.entry).next_back()
        };
        let observed = self.ledger.observe(&out, entry_of);
        let added = std::mem::take(&mut self.nodes[node].store.added);
        let stored = self.ledger.stored(added);
        let id = self.nodes[node].id;
        for line in describe::effects(&out) {
            self.say(format!("  {id} {line}"));
        }
        for broken in [observed, stored].into_iter().filter_map(Result::err) {
            self.say(format!("!! {broken}"));
        }
        self.nodes[node].log.append(out.records);
        self.post(node, out.at_once);
        let free = self.nodes[node].hold(out.after_sync);
        self.post(node, free);
        replies.into_iter().try_for_each(|(request, reply)| self.reply(request, reply))
    }

    fn post(&mut self, from: usize, sends: Vec<Send>) {
        for Send { to, message } in sends {
            for to in to {
                let to = to.0 as usize - 1;
                if self.cuts.contains(&(from, to)) {
                    self.say(format!("lost: n{} -> n{}: {}", from + 1, to + 1, describe::kind(&message)));
                } else {
                    self.under_way.push((from, to, message.clone()));
                }
            }
        }
    }

    fn take(&mut self, filter: &Filter) -> Result<Vec<(usize, usize, Message)>, String> {
        let matches = |(from, to, message): &(usize, usize, Message)| {
            filter.link.is_none_or(|link| link == (*from, *to))
                && filter.kind.as_ref().is_none_or(|kind| describe::kind(message) == kind)
        };
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.under_way).into_iter().partition(matches);
        self.under_way = left;
        if taken.is_empty() && !filter.any { Err("no such message is under way".into()) } else { Ok(taken) }
    }

    fn deliver(&mut self, from: usize, to: usize, message: Message) -> Result<(), String> {
        if self.node(to)?.member().is_none() {
            self.say(format!("lost: n{} -> n{}: {}", from + 1, to + 1, describe::kind(&message)));
            return Ok(());
        }
        self.say(format!("n{} -> n{}: {}", from + 1, to + 1, describe::message(&message)));
        let sender = self.nodes[from].id;
        self.step(to, Input::Message(sender, message))
    }

    /// Hands over everything, with every sync, until nothing is left.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MOST_DELIVERIES {
            if !self.under_way.is_empty() {
                let (from, to, message) = self.under_way.remove(0);
                self.deliver(from, to, message)?;
            } else if let Some(node) = (0..self.nodes.len()).find(|node| self.wants_sync(*node)) {
                self.sync(node)?;
            } else {
                return Ok(());
            }
        }
        Err("the nodes never come to rest".into())
    }

    fn wants_sync(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.member().is_some() && node.log.durable() < node.log.appended()
    }

    fn sync(&mut self, node: usize) -> Result<(), String> {
        if let Some(upto) = self.node(node)?.begin_sync() {
            self.say(format!("n{} synced", node + 1));
            let ready = self.nodes[node].end_sync(upto);
            self.post(node, ready);
            self.step(node, Input::Synced(upto))?;
        }
        Ok(())
    }

    /// Lets time pass, with every tick that is wanted on the way.
    fn pass(&mut self, time: Micros, deliver: bool) -> Result<(), String> {
        let end = self.time + time;
        for _ in 0..MOST_DELIVERIES {
            if deliver {
                self.settle()?;
            }
            let wakeups = self.nodes.iter().enumerate().filter_map(|(at, node)| Some((node.next_wakeup()?, at)));
            let Some((at, node)) = wakeups.min().filter(|(at, _)| *at <= end) else {
                self.time = end;
                return Ok(());
            };
            self.time = self.time.max(at).max(self.time + 1).min(end);
            self.step(node, Input::Tick)?;
        }
        Err("the nodes tick for ever".into())
    }

    fn crash(&mut self, node: usize) -> Result<(), String> {
        let crashed = self.node(node)?;
        crashed.stop();
        crashed.log.crash_losing_all();
        crashed.store.crash(&mut Rng::new(0));
        let waiting: Vec<_> =
            self.pending.iter().filter(|(_, pending)| pending.node == node).map(|(request, _)| *request).collect();
        for request in waiting {
            if let Some(pending) = self.pending.remove(&request) {
                self.say(format!("{} is disconnected", pending.client));
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, node: usize) -> Result<(), String> {
        let records = self.node(node)?.member().map(annulus_txn::member::Member::checkpoint).unwrap_or_default();
        for record in records {
            self.say(format!("  n{} checkpoint {}", node + 1, describe::record(&record)));
        }
        self.nodes[node].begin_checkpoint();
        self.nodes[node].end_checkpoint();
        let ready = self.nodes[node].release();
        self.post(node, ready);
        let durable = self.nodes[node].log.durable();
        self.step(node, Input::Synced(durable))
    }

    fn corrupt(&mut self, node: usize, key: &str) -> Result<(), String> {
        let Place { partition, key } = place(key);
        if self.node(node)?.store.corrupt(partition, &key) { Ok(()) } else { Err("nothing is stored there".into()) }
    }

    fn gossip(&mut self) -> Result<(), String> {
        for from in 0..self.nodes.len() {
            let Some(mark) = self.nodes[from].member().map(annulus_txn::member::Member::low_water) else { continue };
            let sender = self.nodes[from].id;
            for to in (0..self.nodes.len()).filter(|to| *to != from) {
                self.step(to, Input::LowWater(sender, mark))?;
            }
        }
        Ok(())
    }

    fn show(&mut self, node: usize) {
        let shown = &self.nodes[node];
        let Some(member) = shown.member() else {
            self.say(format!("n{} is down", node + 1));
            return;
        };
        let mut lines = Vec::new();
        for partition in self.topology.partitions().chain([DYNAMIC]) {
            for (key, versions) in shown.store.dump(partition) {
                let name = name(&Place { partition, key: key.clone() });
                let text = match versions {
                    None => "corrupt".into(),
                    Some(versions) => {
                        let each = versions.iter().rev();
                        let each =
                            each.map(|(stamp, value)| format!("{}@{}", text(value.as_ref()), describe::stamp(*stamp)));
                        each.collect::<Vec<_>>().join(" ")
                    }
                };
                lines.push(format!("n{} {name} = {text}", node + 1));
            }
        }
        for (partition, keys) in member.locked_keys() {
            for key in keys {
                lines.push(format!("n{} {} is locked", node + 1, name(&Place { partition, key })));
            }
        }
        for (txn, _) in member.undecided(shown.clock.now(self.time)) {
            lines.push(format!("n{} {} is undecided", node + 1, describe::txn(txn.id)));
        }
        self.lines.extend(lines);
    }
}

/// Clients.
impl Stage {
    fn ask(&mut self, name: &str, node: usize, ask: Ask) -> Result<(), String> {
        let time = self.time;
        let wall = self.node(node)?.clock.now(time).wall;
        self.requests += 1;
        let id = ClientId(self.requests);
        // Unique, and in the order of the requests.
        let fresh = Timestamp(Timestamp::from_micros(wall).0 + self.requests);
        let asked = match &ask {
            Ask::Outcome(of) => Some(self.clients.get(of).and_then(|client| client.last).ok_or("it has none")?),
            _ => None,
        };
        let client = self.clients.entry(name.to_owned()).or_default();
        let mut start = fresh;
        let mut keys = Vec::new();
        let mut call = None;
        let request = match ask {
            Ask::Read(names) => {
                keys = places(&names);
                call = Some(Call::Read(keys.clone(), When::Latest));
                Request::Read(keys.clone(), When::Latest)
            }
            Ask::At(offset, names) => {
                let at = When::At(Timestamp::from_micros(wall.saturating_add_signed(offset)));
                keys = places(&names);
                call = Some(Call::Read(keys.clone(), at));
                Request::Read(keys.clone(), at)
            }
            Ask::Unsettled { time, hold, all } => {
                let at = Timestamp::from_micros(wall.saturating_add_signed(time));
                let asked = all.then(|| (PartitionId::new(NAMESPACE, 0), everything()));
                Request::Unsettled(asked.into_iter().collect(), at, hold)
            }
            Ask::Scan(slot) => {
                call = Some(Call::Scan(When::Latest));
                Request::Scan(vec![(PartitionId::new(NAMESPACE, slot), everything(), u32::MAX)], When::Latest)
            }
            Ask::ScanAt(offset) => {
                let at = Timestamp::from_micros(wall.saturating_add_signed(offset));
                client.snapshot = Some(at);
                call = Some(Call::Scan(When::At(at)));
                Request::Scan(vec![(PartitionId::new(NAMESPACE, 0), everything(), u32::MAX)], When::At(at))
            }
            Ask::Lock { keys: names, nowait } => {
                keys = places(&names);
                Request::Lock { start, keys: keys.clone(), nowait }
            }
            Ask::Set { writes, seen, ranges, locked } => {
                let entry = self.history.next_id();
                let commit = client.commit(&writes, &seen, ranges, locked, entry)?;
                start = client.start.filter(|_| locked).unwrap_or(fresh);
                call = Some(Call::Commit(commit.clone()));
                let commit = match (ranges, client.snapshot) {
                    (Ranges::Unchanged, Some(at)) => unchanged_since(commit, at),
                    (Ranges::Unchanged, None) => return Err("it has no snapshot".into()),
                    (Ranges::Unread | Ranges::Scanned, _) => commit,
                };
                Request::Commit { start, locked: client.locked.filter(|_| locked), commit }
            }
            Ask::Outcome(_) => Request::Outcome(asked.ok_or("it has none")?),
        };
        client.waiting = Some(id);
        client.start = Some(start);
        let number = self.requests as usize;
        let entry = call.map(|call| self.history.invoke(number, call, self.time));
        self.pending.insert(id, Pending { client: name.to_owned(), node, entry, start, asked, keys });
        self.step(node, Input::Request(id, request, 10 * SECOND))
    }

    fn cancel(&mut self, name: &str) -> Result<(), String> {
        let waiting =
            self.clients.get_mut(name).and_then(|client| client.waiting.take()).ok_or("it waits for nothing")?;
        let node = self.pending.get(&waiting).ok_or("it waits for nothing")?.node;
        self.step(node, Input::Cancel(waiting))
    }

    fn reply(&mut self, request: ClientId, reply: Reply) -> Result<(), String> {
        let pending = self.pending.remove(&request).ok_or("a request was answered twice")?;
        let name = pending.client.clone();
        let client = self.clients.entry(name.clone()).or_default();
        let known = self.ledger.replied(pending.asked.map(|txn| txn.id), &reply);
        let (text, outcome) = client.learn(&pending, reply);
        if let (Some(entry), Some(outcome)) = (pending.entry, outcome) {
            self.history.end(entry, outcome, self.time);
        }
        self.say(format!("{name} <- {text}"));
        if let Err(broken) = known {
            self.say(format!("!! {broken}"));
        }
        Ok(())
    }
}

impl Client {
    fn commit(
        &self,
        writes: &[(String, Option<String>)],
        seen: &[String],
        ranges: Ranges,
        locked: bool,
        entry: EntryId,
    ) -> Result<Commit, String> {
        let mut reads = Vec::new();
        if locked {
            reads.extend(self.seen.iter().map(|(place, stamp)| (place.clone(), *stamp)));
        }
        for name in seen {
            let place = place(name);
            let stamp = *self.seen.get(&place).ok_or_else(|| format!("{name} was not seen"))?;
            reads.push((place, stamp));
        }
        let ranges = if ranges == Ranges::Unread { Vec::new() } else { self.ranges.clone() };
        let value = |text: &String| Bytes::from(format!("{text} by {entry}"));
        let writes = writes.iter().map(|(name, text)| (place(name), text.as_ref().map(value))).collect();
        Ok(Commit { reads, ranges, writes, ..Commit::default() })
    }

    /// Takes an answer in; says it in words, and what it means for the history.
    fn learn(&mut self, pending: &Pending, reply: Reply) -> (String, Option<Outcome>) {
        match reply {
            Reply::Read(Ok(seen)) => (self.see(&pending.keys, &seen), Some(Outcome::Read(seen))),
            Reply::Scan(Ok(ranges)) => (self.see_ranges(&ranges), Some(Outcome::Scanned(ranges))),
            Reply::Lock(Ok((txn, seen))) => {
                self.seen.clear();
                self.locked = Some(txn);
                (format!("locked as {}: {}", describe::txn(txn), self.see(&pending.keys, &seen)), None)
            }
            Reply::Commit(Ok(committed)) => {
                let txn = committed.txn;
                self.last = Some(txn);
                (format!("committed {}", describe::reference(&txn)), Some(Outcome::Committed(txn.id, txn.ts)))
            }
            Reply::Commit(Err(TxnError::Unknown(txn))) => {
                self.last = Some(txn);
                (format!("unknown: {}", describe::reference(&txn)), None)
            }
            Reply::Unsettled(Ok(Some(unsettled))) => {
                let keys: Vec<String> = unsettled.iter().map(|place| place.key.to_string()).collect();
                (format!("not settled: {}", keys.join(" ")), None)
            }
            Reply::Unsettled(Ok(None)) => ("cannot be told".to_owned(), None),
            Reply::Unsettled(Err(error)) => (describe::error(&error), None),
            // No transcript asks for one.
            Reply::Standing(standing) => (format!("{standing:?}"), None),
            Reply::Outcome(Ok(fate)) => (format!("{fate:?}"), None),
            Reply::Outcome(Err(error)) => (error.to_string(), None),
            Reply::Read(Err(error)) | Reply::Scan(Err(error)) | Reply::Lock(Err(error)) | Reply::Commit(Err(error)) => {
                (describe::error(&error), Some(Outcome::Failed))
            }
        }
    }

    fn see(&mut self, keys: &[Place], seen: &[Seen]) -> String {
        let each = keys.iter().zip(seen).map(|(place, seen)| {
            self.seen.insert(place.clone(), seen.stamp);
            format!("{}={}", name(place), text(seen.value.as_ref()))
        });
        each.collect::<Vec<_>>().join(" ")
    }

    fn see_ranges(&mut self, ranges: &[SeenRange]) -> String {
        self.ranges.clear();
        let mut shown = Vec::new();
        for SeenRange { partition, range, rows } in ranges {
            let checks = rows.iter().map(|(key, seen)| (key.clone(), seen.stamp)).collect();
            self.ranges.push(RangeCheck { partition: *partition, range: range.clone(), rows: checks });
            for (key, seen) in rows {
                let place = Place { partition: *partition, key: key.clone() };
                shown.push(format!("{}={}", name(&place), text(seen.value.as_ref())));
            }
        }
        if shown.is_empty() { "nothing".into() } else { shown.join(" ") }
    }
}

/// The partition of a namespace that is not in the topology's record: number 0, by name, three replicas.
const DYNAMIC: PartitionId = PartitionId::new(NamespaceId(0xa000_0000), 0);

/// All keys of a partition.
fn everything() -> annulus_base::KeyRange {
    annulus_base::KeyRange::of_index(0, 1, 0)
}

/// The place of a key's name, `x`, `1.x` or `d.x`.
fn place(name: &str) -> Place {
    let (partition, field) = match name.split_once('.') {
        Some(("d", field)) => (DYNAMIC, field),
        Some((slot, field)) => (PartitionId::new(NAMESPACE, slot.parse().unwrap_or(0)), field),
        None => (PartitionId::new(NAMESPACE, 0), name),
    };
    Place { partition, key: Key::new(0, 1, 0, field.as_bytes()) }
}

fn places(names: &[String]) -> Vec<Place> {
    names.iter().map(|name| place(name)).collect()
}

fn name(place: &Place) -> String {
    let field = place.key.field().unwrap_or_default();
    let field = field.escape_ascii();
    match place.partition {
        DYNAMIC => format!("d.{field}"),
        PartitionId { slot: 0, .. } => field.to_string(),
        PartitionId { slot, .. } => format!("{slot}.{field}"),
    }
}

/// A value without the mark of who wrote it.
fn text(value: Option<&Bytes>) -> String {
    let Some(value) = value else { return "nothing".into() };
    let text = String::from_utf8_lossy(value);
    text.split(" by ").next().unwrap_or_default().to_owned()
}
