//! chitchat, running over the peers' connections instead of a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annulus_base::NodeId;
use annulus_gossip::facts::Facts;
use annulus_ring::ClusterId;
use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatMessage, Deserializable, FailureDetectorConfig, ListenerHandle,
    Serializable, Version,
};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::label::{self, Life};
use super::screen::BadGossip;

/// Messages between the connections and chitchat that wait at most; more are dropped, gossip repeats itself.
const QUEUE_LEN: usize = 128;
/// How long chitchat remembers a life of a node that it believes dead. Facts are kept by the view.
pub(super) const DEAD_MEMORY: Duration = Duration::from_secs(120);
/// Facts are never deleted.
const TOMBSTONE_MEMORY: Duration = Duration::from_secs(3_600);

/// How to start chitchat.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) cluster: ClusterId,
    pub(super) me: NodeId,
    pub(super) others: Vec<NodeId>,
    /// How often chitchat gossips with nodes of its own random choice.
    pub(super) healer: Duration,
    /// Where messages to other nodes go.
    pub(super) outgoing: Sender<(NodeId, Bytes)>,
    /// Told when facts have arrived.
    pub(super) arrived: Arc<Notify>,
}

/// A running chitchat.
pub(super) struct Engine {
    handle: ChitchatHandle,
    incoming: Sender<(SocketAddr, ChitchatMessage)>,
    _listener: ListenerHandle,
}

impl Engine {
    pub(super) async fn start(setup: &Setup, life: Life) -> anyhow::Result<Self> {
        let (incoming, received) = channel(QUEUE_LEN);
        let bridge = Bridge(Mutex::new(Some(Ends { outgoing: setup.outgoing.clone(), incoming: received })));
        let address = label::address(setup.me);
        let config = ChitchatConfig {
            chitchat_id: label::of(setup.me, life),
            cluster_id: setup.cluster.to_string(),
            gossip_interval: setup.healer,
            listen_addr: address,
            seed_nodes: setup.others.iter().map(|node| label::address(*node).to_string()).collect(),
            // Only decides which lives chitchat forgets; who is alive is decided by the detector.
            failure_detector_config: FailureDetectorConfig {
                dead_node_grace_period: DEAD_MEMORY,
                max_interval: 3 * setup.healer,
                initial_interval: setup.healer,
                ..FailureDetectorConfig::default()
            },
            marked_for_deletion_grace_period: TOMBSTONE_MEMORY,
            catchup_callback: None,
            extra_liveness_predicate: None,
        };
        let handle = chitchat::spawn_chitchat(config, Vec::new(), &bridge).await?;
        let arrived = setup.arrived.clone();
        let listener = handle.chitchat().lock().await.subscribe_event("", move |_| arrived.notify_one());
        Ok(Self { handle, incoming, _listener: listener })
    }

    /// Hands a message to chitchat.
    pub(super) fn receive(&self, from: NodeId, mut message: &[u8]) -> Result<(), BadGossip> {
        let decoded = ChitchatMessage::deserialize(&mut message);
        let decoded = decoded.map_err(|error| BadGossip::Malformed(error.to_string()))?;
        // A full queue drops it; gossip repeats itself.
        let _ = self.incoming.try_send((label::address(from), decoded));
        Ok(())
    }

    /// Starts an exchange with a node. False if chitchat has stopped.
    pub(super) fn gossip_with(&self, node: NodeId) -> bool {
        self.handle.gossip(label::address(node)).is_ok()
    }

    /// From now on tells these facts about this node.
    pub(super) async fn tell(&self, facts: &Facts) {
        let pairs = facts.to_pairs();
        let chitchat = self.handle.chitchat();
        let mut chitchat = chitchat.lock().await;
        let own = chitchat.self_node_state();
        pairs.into_iter().for_each(|(key, value)| own.set(key, value));
    }

    /// The facts of the other nodes' latest lives that arrived since the versions in `seen`, which is brought
    /// up to date.
    pub(super) async fn news(&self, seen: &mut BTreeMap<NodeId, (Life, Version)>) -> Vec<(NodeId, Facts)> {
        let chitchat = self.handle.chitchat();
        let chitchat = chitchat.lock().await;
        let me = chitchat.self_chitchat_id().gossip_advertise_addr;
        let mut latest = BTreeMap::new();
        for (id, state) in chitchat.node_states().iter().filter(|(id, _)| id.gossip_advertise_addr != me) {
            // Labels of one node are in the order of its lives.
            latest.extend(label::read(id).map(|(node, life)| (node, (life, state))));
        }
        let mut news = Vec::new();
        for (node, (life, state)) in latest {
            let version = (life, state.max_version());
            if seen.insert(node, version) == Some(version) {
                continue;
            }
            match Facts::parse(state.key_values()) {
                Ok((facts, _)) if u64::from(facts.incarnation.0) == life.incarnation() => news.push((node, facts)),
                // Incomplete yet, or of a later version of the program.
                Ok(_) | Err(_) => {}
            }
        }
        news
    }

    pub(super) fn stop(&self) {
        self.handle.abort();
    }
}

/// The ends of the queues between chitchat's task and the connections.
struct Ends {
    outgoing: Sender<(NodeId, Bytes)>,
    incoming: Receiver<(SocketAddr, ChitchatMessage)>,
}

/// What chitchat opens its socket with, once.
struct Bridge(Mutex<Option<Ends>>);

#[async_trait]
impl Transport for Bridge {
    async fn open(&self, _address: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ends = ends.ok_or_else(|| anyhow::anyhow!("the gossip transport was opened twice"))?;
        Ok(Box::new(ends))
    }
}

#[async_trait]
impl Socket for Ends {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        if let Some(node) = label::node(to) {
            // A full queue drops it; gossip repeats itself.
            let _ = self.outgoing.try_send((node, message.serialize_to_vec().into()));
        }
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        self.incoming.recv().await.ok_or_else(|| anyhow::anyhow!("this node is shutting down"))
    }
}
