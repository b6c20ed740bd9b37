use annulus_base::Incarnation;
use annulus_replica::message::RequestId;
use annulus_ring::ClusterId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::net::connection::Connection;
use crate::net::handshake::{NOT_ANNULUS, Opening, Reply, VERSIONS, Versions};
use crate::net::testing::{listen, run, until};

mod faults;
mod traffic;

const CLUSTER: ClusterId = ClusterId(77);

/// Notes everything that arrives.
#[derive(Default)]
struct Inbox {
    messages: RefCell<Vec<(NodeId, u64)>>,
    gossip: RefCell<Vec<(NodeId, Bytes)>>,
    batches: Cell<usize>,
}

impl Handler for Inbox {
    fn messages(&self, from: NodeId, batch: &mut Vec<Message>) {
        self.batches.set(self.batches.get() + 1);
        self.messages.borrow_mut().extend(batch.drain(..).map(|message| match message {
            Message::Repaired(id) => (from, id.sequence),
            other => panic!("nobody sent {other:?}"),
        }));
    }

    fn gossip(&self, from: NodeId, message: Bytes) {
        self.gossip.borrow_mut().push((from, message));
    }
}

impl Inbox {
    /// The numbers received from one node, in order.
    fn from(&self, node: u32) -> Vec<u64> {
        let messages = self.messages.borrow();
        messages.iter().filter(|(from, _)| *from == NodeId(node)).map(|(_, number)| *number).collect()
    }
}

struct Node {
    peers: Peers,
    inbox: Rc<Inbox>,
}

impl Node {
    fn send(&self, to: &[u32], number: u64) {
        let to: Vec<NodeId> = to.iter().copied().map(NodeId).collect();
        self.peers.send(&to, &numbered(number)).unwrap();
    }

    fn stats(&self, of: u32) -> PeerStats {
        self.peers.stats().remove(&NodeId(of)).unwrap()
    }

    async fn connected(&self, to: u32) {
        until("connect", || self.peers.is_connected(NodeId(to))).await;
    }
}

fn numbered(sequence: u64) -> Envelope {
    Envelope::Transaction(Message::Repaired(RequestId { incarnation: 1, sequence }))
}

fn identity(node: u32) -> Identity {
    Identity { cluster: CLUSTER, node: NodeId(node), incarnation: Incarnation(1), epoch: Epoch(1) }
}

/// Patient even on a busy machine.
fn limits() -> Limits {
    Limits { handshake: Duration::from_secs(10), ..Limits::default() }
}

/// Short times, for tests of what happens after them.
fn impatient() -> Limits {
    let (handshake, stall) = (Duration::from_millis(200), Duration::from_millis(300));
    Limits { handshake, stall, ping: Duration::from_millis(20), ..Limits::default() }
}

fn start(identity: Identity, listener: TcpListener, members: &[(u32, &str)], limits: Limits) -> Node {
    let members = members.iter().map(|(node, address)| (NodeId(*node), (*address).to_owned())).collect();
    let seed = u64::from(identity.node.0);
    let (peers, inbox) = (Peers::new(PeersConfig { identity, members, limits, seed }), Rc::new(Inbox::default()));
    peers.start(listener, inbox.clone(), None);
    Node { peers, inbox }
}

/// Nodes 1, 2, ... that are connected with each other, and their addresses.
async fn cluster(size: u32, limits: Limits) -> (Vec<Node>, Vec<String>) {
    let mut listeners = Vec::new();
    for _ in 0..size {
        listeners.push(listen().await);
    }
    let addresses: Vec<String> = listeners.iter().map(|(_, address)| address.clone()).collect();
    let members: Vec<(u32, &str)> = (1..).zip(addresses.iter().map(String::as_str)).collect();
    let nodes: Vec<Node> = (1..)
        .zip(listeners)
        .map(|(node, (listener, _))| start(identity(node), listener, &members, limits.clone()))
        .collect();
    for (number, node) in (1..).zip(&nodes) {
        for other in (1..=size).filter(|other| *other != number) {
            node.connected(other).await;
        }
    }
    (nodes, addresses)
}

/// Connects as a member would and returns the reply.
async fn introduce(address: &str, opening: Opening) -> (Connection, Reply) {
    let mut connection = Connection::new(TcpStream::connect(address).await.unwrap()).unwrap();
    let reply = connection.open(&opening).await.unwrap();
    (connection, reply)
}

fn opening(from: Identity, to: u32) -> Opening {
    Opening::Member { versions: VERSIONS, from, to: NodeId(to) }
}

/// Waits until the other side closes the connection; what it said last.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    // A reset is an end too.
    let _ = read.expect("the other side closes the connection");
    said
}
