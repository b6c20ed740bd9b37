use std::cell::OnceCell;

use annulus_base::{Epoch, Incarnation};
use annulus_gossip::facts::Mark;
use annulus_replica::message::Message;
use annulus_ring::{ClusterId, Member};
use tokio::net::TcpListener;

use super::*;
use crate::net::handshake::Identity;
use crate::net::peers::{Handler, Limits, PeersConfig};
use crate::net::testing::{listen, run, until};

/// Passes gossip on, as the node does.
#[derive(Default)]
struct Router(OnceCell<Gossip>);

impl Handler for Router {
    fn messages(&self, _: NodeId, _: &mut Vec<Message>) {}

    fn gossip(&self, from: NodeId, message: Bytes) {
        if let Some(gossip) = self.0.get() {
            gossip.receive(from, &message);
        }
    }
}

struct Node {
    peers: Peers,
    gossip: Gossip,
    changes: Rc<RefCell<Vec<Change>>>,
}

/// Quick gossip, so that tests are quick.
fn config() -> GossipConfig {
    let suspicion =
        suspicion::Config { min_std_deviation: 50_000, first_interval: 1_000_000, ..suspicion::Config::default() };
    GossipConfig { interval: Duration::from_millis(20), healer: Duration::from_millis(200), suspicion }
}

fn topology(addresses: &[String]) -> Topology {
    let member = |(id, address): (u32, &String)| {
        let (zone, peer_address) = ("a".into(), address.clone());
        Member { id: NodeId(id), weight: 100, zone, peer_address }
    };
    Topology::new(Epoch(1), ClusterId(5), (1..).zip(addresses).map(member).collect(), Vec::new()).unwrap()
}

async fn start(node: u32, incarnation: u32, listener: TcpListener, addresses: &[String]) -> Node {
    let incarnation = Incarnation(incarnation);
    let identity = Identity { cluster: ClusterId(5), node: NodeId(node), incarnation, epoch: Epoch(1) };
    let members = (1..).map(NodeId).zip(addresses.iter().cloned()).collect();
    let limits = Limits { ping: Duration::from_millis(20), ..Limits::default() };
    let peers = Peers::new(PeersConfig { identity, members, limits, seed: u64::from(node) });
    let changes = Rc::new(RefCell::new(Vec::new()));
    let (noted, router) = (changes.clone(), Rc::new(Router::default()));
    let own = Facts { load: Some(node), ..Facts::default() };
    let on_change = move |change| noted.borrow_mut().push(change);
    let gossip = Gossip::start(peers.clone(), &topology(addresses), config(), own, on_change).await.unwrap();
    assert!(router.0.set(gossip.clone()).is_ok());
    peers.start(listener, router, None);
    Node { peers, gossip, changes }
}

async fn cluster(size: u32) -> (Vec<Node>, Vec<String>) {
    let mut listeners = Vec::new();
    for _ in 0..size {
        listeners.push(listen().await);
    }
    let (listeners, addresses): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
    let mut nodes = Vec::new();
    for (node, listener) in (1..).zip(listeners) {
        nodes.push(start(node, 1, listener, &addresses).await);
    }
    (nodes, addresses)
}

/// Until every one of the nodes knows that every one of `about` has this load.
async fn all_know(nodes: &[Node], load: impl Fn(u32) -> u32) {
    let size = nodes.len() as u32;
    let knows = |node: &Node, about: u32| {
        node.gossip.facts_of(NodeId(about)).is_some_and(|facts| facts.load == Some(load(about)))
    };
    until("facts everywhere", || nodes.iter().all(|node| (1..=size).all(|about| knows(node, about)))).await;
}

#[test]
fn facts_reach_every_node_and_so_do_their_changes() {
    run(async {
        let (nodes, _) = cluster(5).await;
        all_know(&nodes, |node| node).await;
        for (node, number) in nodes.iter().zip(1..) {
            let mark = Mark { epoch: Epoch(1), low_water: Timestamp(100 * number) };
            node.gossip.tell(|facts| (facts.load, facts.mark) = (Some(70), Some(mark)));
        }
        all_know(&nodes, |_| 70).await;
        until("low water", || nodes.iter().all(|node| node.gossip.low_water() == Some(Timestamp(100)))).await;
        assert!(nodes[0].changes.borrow().contains(&Change::Facts(NodeId(5))));
        assert!((1..=5).all(|node| nodes[0].gossip.reachable(NodeId(node))));
    });
}

#[test]
fn a_silent_node_is_suspected_and_trusted_again_with_new_facts_when_it_is_back() {
    run(async {
        let (mut nodes, addresses) = cluster(3).await;
        all_know(&nodes, |node| node).await;
        let dead = nodes.pop().unwrap();
        dead.gossip.close();
        dead.peers.close(Duration::ZERO).await;
        until("suspicion", || nodes.iter().all(|node| !node.gossip.alive(NodeId(3)))).await;
        until("told", || nodes.iter().all(|node| node.changes.borrow().contains(&Change::Suspected(NodeId(3))))).await;
        assert!(nodes[0].gossip.alive(NodeId(2)) && nodes[0].gossip.alive(NodeId(1)));
        assert_eq!(nodes[0].gossip.facts_of(NodeId(3)).and_then(|facts| facts.load), Some(3));

        let listener = TcpListener::bind(&addresses[2]).await.unwrap();
        nodes.push(start(3, 2, listener, &addresses).await);
        nodes[2].gossip.tell(|facts| facts.load = Some(33));
        until("trust", || nodes[0].gossip.reachable(NodeId(3))).await;
        all_know(&nodes, |node| if node == 3 { 33 } else { node }).await;
        assert_eq!(nodes[0].gossip.facts_of(NodeId(3)).unwrap().incarnation, Incarnation(2));
        until("told", || nodes[0].changes.borrow().contains(&Change::Trusted(NodeId(3)))).await;
    });
}

#[test]
fn news_travels_around_a_broken_connection() {
    run(async {
        let (listeners, addresses): (Vec<_>, Vec<_>) =
            [listen().await, listen().await, listen().await].into_iter().unzip();
        // Nodes 1 and 2 cannot find each other, but both find node 3.
        let wrong = |at: usize| {
            let mut wrong = addresses.clone();
            wrong[at] = "127.0.0.1:1".to_owned();
            wrong
        };
        let believed = [wrong(1), wrong(0), addresses.clone()];
        let mut nodes = Vec::new();
        for ((node, listener), believed) in (1..).zip(listeners).zip(&believed) {
            nodes.push(start(node, 1, listener, believed).await);
        }
        all_know(&nodes, |node| node).await;
        assert!(!nodes[0].peers.is_connected(NodeId(2)));
    });
}

#[test]
fn a_stopped_gossip_library_is_started_anew_and_heard() {
    run(async {
        let (nodes, _) = cluster(3).await;
        all_know(&nodes, |node| node).await;
        nodes[1].gossip.0.engine.borrow().stop();
        nodes[1].gossip.tell(|facts| facts.load = Some(99));
        all_know(&nodes, |node| if node == 2 { 99 } else { node }).await;
        nodes[0].gossip.tell(|facts| facts.load = Some(98));
        all_know(&nodes, |node| [98, 99, 3][node as usize - 1]).await;
    });
}

#[test]
fn garbage_from_a_peer_is_refused_and_gossip_goes_on() {
    run(async {
        let (nodes, _) = cluster(2).await;
        for garbage in [&b""[..], b"junk", &[0x53, 0xb0, 0, 0, 255, 255]] {
            nodes[0].gossip.receive(NodeId(2), &Bytes::copy_from_slice(garbage));
        }
        assert!(nodes[0].gossip.0.refused.borrow().contains(&NodeId(2)));
        nodes[1].gossip.tell(|facts| facts.load = Some(5));
        all_know(&nodes, |node| [1, 5][node as usize - 1]).await;
    });
}
