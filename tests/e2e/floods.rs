//! Slow and many clients at every port, and more than they may ask for: memory stays bounded, and others are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::client::Kv;
use crate::cluster::{Cluster, Node, START};
use crate::wait::until_true;

/// How much more memory a node may hold during all that, bytes.
const GROWTH: u64 = 64 << 20;
/// Connections of a flood: more than the peer port and HTTP have places for.
const FLOOD: usize = 200;
/// Connections that are owed answers: what each may hold is more.
const DEAF: usize = 30;
/// For how long the slow ones drip.
const DRIPPING: Duration = Duration::from_secs(2);
/// Longer than a node gives anybody for a handshake or a request's head, on a busy machine.
const GIVEN_UP: Duration = Duration::from_secs(40);

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_nonblocking(true).expect("a socket");
    stream
}

/// Sends what there is room for; the node may have closed.
fn push(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write(bytes);
}

/// Whether the node has closed the connection, whatever it said before.
fn is_closed(mut stream: &TcpStream) -> bool {
    let mut answer = [0; 4_096];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Many connections that begin well, and then send a byte now and then.
fn drip(count: usize, port: u16, beginning: &[u8], byte: &[u8], bystander: &mut Kv) -> Vec<TcpStream> {
    let streams: Vec<TcpStream> = (0..count).map(|_| connect(port)).collect();
    streams.iter().for_each(|stream| push(stream, beginning));
    let begun = Instant::now();
    while begun.elapsed() < DRIPPING {
        streams.iter().for_each(|stream| push(stream, byte));
        bystander.must::<()>("SET k v");
        assert_eq!(bystander.must::<String>("GET k"), "v");
        sleep(Duration::from_millis(50));
    }
    streams
}

fn is_bounded(node: &Node, before: u64) {
    let growth = node.memory().saturating_sub(before);
    assert!(growth < GROWTH, "{growth} bytes more");
}

#[test]
fn peers_that_never_say_who_they_are_lose_their_places() {
    let mut cluster = Cluster::start(3);
    let mut bystander = cluster.nodes[0].client();
    bystander.must::<()>("SET k v");
    let (port, before) = (cluster.nodes[0].peer, cluster.nodes[0].memory());
    // The handshake's first bytes, then a frame of 255 bytes that never becomes whole.
    let slow = drip(FLOOD, port, b"ANNULUS\n\0\0\0\xff", b"x", &mut bystander);
    // A frame as large as any message, from somebody who has not said who they are.
    let large: Vec<TcpStream> = (0..20).map(|_| connect(port)).collect();
    for stream in &large {
        push(stream, b"ANNULUS\n\x01\0\0\0");
        push(stream, &[b'x'; 1 << 16]);
    }
    is_bounded(&cluster.nodes[0], before);
    until_true("all of them are given up", GIVEN_UP, || slow.iter().chain(&large).all(is_closed));
    // There is room again for those who belong here.
    cluster.nodes[2].kill();
    cluster.nodes[2].spawn();
    cluster.wait_ready();
    cluster.nodes[1].kill();
    until_true("the first and the third node serve together", START, || {
        cluster.nodes[0].client().ask::<()>("SET k w").is_ok()
    });
    cluster.nodes[1].spawn();
    cluster.wait_ready();
    cluster.stop();
}

#[test]
fn slow_and_large_http_requests_keep_nobody_away() {
    let mut cluster = Cluster::start(1);
    let node = &cluster.nodes[0];
    let mut bystander = node.client();
    let before = node.memory();
    let slow = drip(FLOOD, node.http, b"GET /ready HTTP/1.1\r\nX: ", b"x", &mut bystander);
    is_bounded(node, before);
    until_true("the page is served all the same", GIVEN_UP, || node.is_ready());
    drop(slow);

    // A head without end, and a body that nobody asked for.
    let head = connect(node.http);
    push(&head, b"GET /ready HTTP/1.1\r\nX: ");
    let body = connect(node.http);
    push(&body, b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\n");
    for _ in 0..1_000 {
        [&head, &body].into_iter().for_each(|stream| push(stream, &[b'x'; 1 << 15]));
    }
    until_true("both are given up", GIVEN_UP, || is_closed(&head) && is_closed(&body));
    is_bounded(node, before);
    assert!(node.is_ready());
    cluster.stop();
}

#[test]
fn clients_that_read_no_answers_fill_no_memory() {
    let mut cluster = Cluster::start_with(1, &["--max-client-memory=1MiB"]);
    let node = &cluster.nodes[0];
    let mut bystander = node.client();
    bystander.ask_words::<()>(&[b"SET", b"large", &vec![b'v'; 1 << 18]]).expect("a value");
    let before = node.memory();
    // Each would be owed gigabytes.
    let requests = b"GET large\r\n".repeat(500);
    let deaf = drip(DEAF, node.kv, b"", &requests, &mut bystander);
    is_bounded(node, before);
    drop(deaf);
    assert_eq!(bystander.must::<String>("GET k"), "v");
    cluster.stop();
}
