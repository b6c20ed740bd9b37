//! The network between processes on loopback: each node is reached through a port of ours, which passes bytes on,
//! late, or not for now.
//!
//! A cut holds bytes back as a network that drops packets does: connections stand, nothing arrives, and what was
//! sent arrives late once the cut is over, unless the sender has gone. A connection over a cut does not come about.
//! A lost piece costs what TCP needs to notice ([`RESEND`]), and everything behind it waits.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annulus_base::rng::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Link, Node, owner};

/// What Linux waits at least, and at most for a first loss on a fast network, before it sends a lost piece again.
const RESEND: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(400));
/// Bytes passed on at once, about a packet on loopback.
const PIECE: usize = 16 * 1024;
/// Pieces under way in one direction of one connection; more wait at the sender.
const UNDER_WAY: usize = 256;
/// How often a connection that waits for a cut to end is looked at: its dialler may have given up.
const LOOK: Duration = Duration::from_millis(50);

/// The state of all links, by sender and receiver.
type Links = Vec<Vec<Link>>;

/// The network. Ends with this value, and all connections with it.
pub struct Network {
    links: watch::Sender<Links>,
    processes: Arc<Mutex<Vec<Option<u32>>>>,
    /// Its tasks end when it is dropped.
    _runtime: Runtime,
}

/// A node's place: where others reach it, and where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The port that others are told.
    pub public: u16,
    /// The port that the node listens on.
    pub private: u16,
}

/// What the tasks of the network share.
#[derive(Clone)]
struct Shared {
    links: watch::Receiver<Links>,
    processes: Arc<Mutex<Vec<Option<u32>>>>,
    places: Arc<Vec<Place>>,
}

impl Network {
    /// Opens the public ports; all links are open.
    ///
    /// # Errors
    /// If a port is taken.
    pub fn start(places: &[Place], seed: u64) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (links, watched) = watch::channel(vec![vec![Link::Open; places.len()]; places.len()]);
        let processes = Arc::new(Mutex::new(vec![None; places.len()]));
        let shared = Shared { links: watched, processes: Arc::clone(&processes), places: Arc::new(places.to_vec()) };
        let mut rng = Rng::new(seed);
        for (to, place) in places.iter().enumerate() {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, place.public)))?;
            runtime.spawn(accept(shared.clone(), listener, to, rng.fork()));
        }
        Ok(Self { links, processes, _runtime: runtime })
    }

    /// Changes a link.
    pub fn set(&self, from: Node, to: Node, link: Link) {
        self.links.send_modify(|links| links[from][to] = link);
    }

    /// From now on this process is the node.
    pub fn introduce(&self, node: Node, process: Option<u32>) {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)[node] = process;
    }
}

async fn accept(shared: Shared, listener: TcpListener, to: Node, mut rng: Rng) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                tokio::spawn(carry(shared.clone(), stream, address, to, rng.fork()));
            }
            // Mostly too many open files: some will be closed.
            Err(_) => sleep(LOOK).await,
        }
    }
}

/// Carries one connection until both its directions have ended. Whoever is no node is not carried.
async fn carry(shared: Shared, near: TcpStream, address: SocketAddr, to: Node, mut rng: Rng) {
    let Some(from) = shared.speaker(address.port(), to) else { return };
    let mut links = shared.links.clone();
    let passes = |links: &Links| links[from][to] != Link::Cut && links[to][from] != Link::Cut;
    let open = tokio::select! {
        open = links.wait_for(passes) => open.is_ok(),
        () = given_up(&near) => false,
    };
    if !open {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.places[to].private)).await else { return };
    if near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).is_err() {
        return;
    }
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let there = Direction { links: shared.links.clone(), from, to };
    let back = Direction { links: shared.links, from: to, to: from };
    tokio::join!(there.pass(near_read, far_write, rng.fork()), back.pass(far_read, near_write, rng));
}

/// Waits until the dialler has closed its end, whatever it has sent before.
async fn given_up(near: &TcpStream) {
    while near.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
        sleep(LOOK).await;
    }
}

impl Shared {
    /// The node whose process connected from this port to the public port of `to`.
    fn speaker(&self, port: u16, to: Node) -> Option<Node> {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let owner = owner::of(port, self.places[to].public, processes.iter().copied().flatten())?;
        processes.iter().position(|process| *process == Some(owner))
    }
}

/// One direction of one connection.
struct Direction {
    links: watch::Receiver<Links>,
    from: Node,
    to: Node,
}

impl Direction {
    /// Reads, and gives each piece its time; another task writes them at theirs. Pieces stay in order.
    async fn pass(self, mut read: OwnedReadHalf, write: OwnedWriteHalf, mut rng: Rng) {
        let (pieces, under_way) = mpsc::channel(UNDER_WAY);
        let links = self.links.clone();
        let deliver = tokio::spawn(deliver(self.links, (self.from, self.to), under_way, write));
        let mut piece = vec![0; PIECE];
        // The end of the connection, orderly or not, travels as an empty piece.
        loop {
            let length = read.read(&mut piece).await.unwrap_or(0);
            let due = Instant::now() + delay(links.borrow()[self.from][self.to], &mut rng);
            if pieces.send((due, piece[..length].to_vec())).await.is_err() || length == 0 {
                break;
            }
        }
        drop(pieces);
        // It ends by itself, once everything is delivered or cannot be.
        let _ = deliver.await;
    }
}

async fn deliver(
    mut links: watch::Receiver<Links>,
    (from, to): (Node, Node),
    mut under_way: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut write: OwnedWriteHalf,
) {
    while let Some((due, piece)) = under_way.recv().await {
        sleep_until(due).await;
        if links.wait_for(|links| links[from][to] != Link::Cut).await.is_err() || piece.is_empty() {
            return;
        }
        if write.write_all(&piece).await.is_err() {
            return;
        }
    }
}

fn delay(link: Link, rng: &mut Rng) -> Duration {
    let within = |(least, most): (Duration, Duration), rng: &mut Rng| {
        Duration::from_micros(rng.between(least.as_micros() as u64, most.as_micros() as u64))
    };
    match link {
        Link::Slow { least, most } => within((least, most), rng),
        Link::Lossy { percent } if rng.below(100) < u64::from(percent) => within(RESEND, rng),
        Link::Open | Link::Cut | Link::Lossy { .. } => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener as Listener, TcpStream as Stream};

    use super::*;
    use crate::cluster::ports;

    /// Two nodes, both in this process: a connection's owner is node 0.
    struct Two {
        network: Network,
        listener: Listener,
        public: u16,
    }

    fn two() -> Two {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let [first, public] = ports::free();
        let places =
            [Place { public: first, private: first }, Place { public, private: listener.local_addr().unwrap().port() }];
        let network = Network::start(&places, 1).unwrap();
        network.introduce(0, Some(std::process::id()));
        Two { network, listener, public }
    }

    fn patient(stream: &Stream, patience: Duration) {
        stream.set_read_timeout(Some(patience)).unwrap();
    }

    #[test]
    fn bytes_pass_both_ways_and_the_end_too() {
        let two = two();
        let mut near = Stream::connect(("127.0.0.1", two.public)).unwrap();
        let (mut far, _) = two.listener.accept().unwrap();
        near.write_all(b"ping").unwrap();
        let mut four = [0; 4];
        far.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"ping");
        far.write_all(b"pong").unwrap();
        near.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"pong");
        drop(near);
        assert_eq!(far.read(&mut four).unwrap(), 0);
    }

    #[test]
    fn a_cut_holds_one_direction_back_and_loses_nothing() {
        let two = two();
        let mut near = Stream::connect(("127.0.0.1", two.public)).unwrap();
        let (mut far, _) = two.listener.accept().unwrap();
        two.network.set(0, 1, Link::Cut);
        near.write_all(b"late").unwrap();
        far.write_all(b"back").unwrap();
        let mut four = [0; 4];
        near.read_exact(&mut four).unwrap();
        patient(&far, Duration::from_millis(200));
        assert!(far.read(&mut four).is_err(), "nothing arrives");
        two.network.set(0, 1, Link::Open);
        patient(&far, Duration::from_secs(10));
        far.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"late");
    }

    #[test]
    fn no_connection_comes_about_over_a_cut() {
        let two = two();
        two.network.set(1, 0, Link::Cut);
        let mut near = Stream::connect(("127.0.0.1", two.public)).unwrap();
        near.write_all(b"hi").unwrap();
        two.listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(two.listener.accept().is_err());
        two.network.set(1, 0, Link::Open);
        two.listener.set_nonblocking(false).unwrap();
        let (mut far, _) = two.listener.accept().unwrap();
        let mut bytes = [0; 2];
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hi");
    }

    #[test]
    fn slow_and_lossy_links_take_their_time() {
        let mut rng = Rng::new(1);
        let slow = Link::Slow { least: Duration::from_millis(3), most: Duration::from_millis(5) };
        let in_range = |delay: Duration| (3..=5).contains(&delay.as_millis());
        assert!((0..100).all(|_| in_range(delay(slow, &mut rng))));
        let resent = (0..1_000).filter(|_| delay(Link::Lossy { percent: 10 }, &mut rng) >= RESEND.0).count();
        assert!((50..200).contains(&resent), "{resent} of 1000");
        assert_eq!(delay(Link::Open, &mut rng), Duration::ZERO);
    }

    #[test]
    fn strangers_are_not_carried() {
        let two = two();
        two.network.introduce(0, None);
        let mut near = Stream::connect(("127.0.0.1", two.public)).unwrap();
        patient(&near, Duration::from_secs(10));
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
    }
}
