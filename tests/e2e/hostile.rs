//! Strangers, garbage, and too much of everything: a clear error, and nobody else is hurt.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use annulus_base::rng::Rng;

use crate::cluster::{Cluster, Node, START};
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(10);
/// How much more memory a node may hold after all that, bytes.
const GROWTH: u64 = 64 << 20;
/// The largest value: 8 MiB with the bytes stored beside it.
const LARGEST: usize = (8 << 20) - 11;

/// Sends bytes and nothing more; reads until the node closes the connection.
fn say(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The node may close before it has read everything; then its answer may be lost, too.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn garbage_on_every_port_gets_an_error_and_hurts_nobody() {
    let mut cluster = Cluster::start(3);
    let mut bystander = cluster.nodes[0].client();
    bystander.must::<()>("SET k v");
    let node = &cluster.nodes[0];
    let before = node.memory();

    assert!(say(node.peer, b"GET / HTTP/1.1\r\n\r\n").starts_with("-ERR this port is for Annulus nodes only"));
    assert!(say(node.kv, b"*1\r\n!oops\r\n").starts_with("-ERR Protocol error"));
    assert!(say(node.http, b"what is this\r\n\r\n").starts_with("HTTP/1.1 400"));
    // A frame larger than any.
    say(node.peer, b"ANNULUS\n\xff\xff\xff\xff and so on");
    until_true("the log says why", PATIENCE, || node.log().contains("announced a frame of 4294967295 bytes"));
    assert!(say(node.kv, b"*2000000000\r\n").starts_with("-"), "too many arguments");
    assert!(say(node.kv, b"*2\r\n$3\r\nGET\r\n$2000000000\r\n").starts_with("-"), "too long an argument");

    let mut rng = Rng::new(1);
    for _ in 0..30 {
        let garbage: Vec<u8> = (0..rng.between(1, 20_000)).map(|_| rng.bits() as u8).collect();
        for port in [node.peer, node.kv, node.sql, node.http] {
            say(port, &garbage);
            say(node.peer, &[b"ANNULUS\n\0\0\x01\0", garbage.as_slice()].concat());
        }
        assert_eq!(bystander.must::<String>("GET k"), "v");
    }
    for node in &cluster.nodes {
        node.client().must::<()>("SET k v")
    }
    let growth = cluster.nodes[0].memory().saturating_sub(before);
    assert!(growth < GROWTH, "{growth} bytes more");
    cluster.stop();
}

#[test]
fn slow_and_silent_clients_cost_little_and_hurt_nobody() {
    let mut cluster = Cluster::start(3);
    let node = &cluster.nodes[0];
    let mut bystander = node.client();
    bystander.must::<()>("SET k v");
    let before = node.memory();
    let open = |port: u16, bytes: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.write_all(bytes).expect("room for a few bytes");
        stream
    };
    // Large requests that are announced and never come; peers that never say who they are.
    let mut slow: Vec<TcpStream> = (0..200).map(|_| open(node.kv, b"*2\r\n$3\r\nGET\r\n$8388608\r\n")).collect();
    let silent: Vec<TcpStream> = (0..100).map(|_| open(node.peer, b"ANN")).collect();
    for _ in 0..20 {
        slow.iter_mut().for_each(|stream| stream.write_all(b"x").expect("the node waits for more"));
        assert_eq!(bystander.must::<String>("GET k"), "v");
        bystander.must::<()>("SET k v");
    }
    let growth = node.memory().saturating_sub(before);
    assert!(growth < GROWTH, "{growth} bytes more");
    drop((slow, silent));
    cluster.stop();
}

#[test]
fn a_flood_of_connections_is_told_so_and_hurts_nobody() {
    const MOST: usize = 20;
    let mut cluster = Cluster::start_with(1, &["--max-clients=20", "--max-client-memory=1MiB", "--max-http-clients=4"]);
    let node = &cluster.nodes[0];
    let mut bystander = node.client();
    bystander.must::<()>("SET k v");
    let connect = |port: u16| TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let mut admitted: Vec<TcpStream> = (1..MOST).map(|_| connect(node.kv)).collect();
    for stream in &mut admitted {
        stream.write_all(b"PING\r\n").expect("room for a few bytes");
        let mut pong = [0; 7];
        stream.read_exact(&mut pong).expect("an answer");
    }
    for _ in 0..200 {
        assert_eq!(say(node.kv, b"PING\r\n"), "-ERR max number of clients reached\r\n");
    }
    assert_eq!(bystander.must::<String>("GET k"), "v");
    let refusal = bystander.refused(&[b"SET", b"k", &vec![b'v'; 2 << 20]]);
    assert_eq!(refusal, "LIMIT a command may have 1048576 bytes at most");
    // More than HTTP has places: they wait, and a slow one gives its place up in time.
    let half: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = connect(node.http);
            stream.write_all(b"GET /ready HTTP/1.1\r\n").expect("room for a few bytes");
            stream
        })
        .collect();
    until_true("the page is served all the same", START, || node.is_ready());
    drop((half, admitted));
    cluster.stop();
}

#[test]
fn what_is_too_large_is_refused_and_the_largest_is_not() {
    let mut cluster = Cluster::start(3);
    let mut client = cluster.nodes[0].client();
    let key = vec![b'k'; 4097];
    assert!(client.refused(&[b"SET", &key, b"v"]).starts_with("LIMIT a key may have 4096 bytes at most"));
    let value = vec![b'v'; LARGEST + 1];
    assert!(client.refused(&[b"SET", b"k", &value]).starts_with("LIMIT a value may have"));
    assert!(client.refused(&[b"SET", b"k", &vec![b'v'; 9 << 20]]).starts_with("LIMIT "));
    let value = &value[..LARGEST];
    client.ask_words::<()>(&[b"SET", b"largest", value]).expect("the largest value");
    let found: Vec<u8> = cluster.nodes[1].client().must("GET largest");
    assert!(found == value, "{} bytes came back", found.len());

    let keys: Vec<String> = (0..9).map(|n| format!("k{n}")).collect();
    let pairs = |count: usize| -> Vec<&[u8]> {
        let pairs = keys.iter().take(count).flat_map(|key| [key.as_bytes(), value]);
        std::iter::once(&b"MSET"[..]).chain(pairs).collect()
    };
    assert!(client.refused(&pairs(9)).starts_with("LIMIT "), "more than a transaction may write");
    assert_eq!(client.must::<i64>("EXISTS k0 k8"), 0);
    let many: Vec<String> = (0..100_001).map(|n| format!("k{n}")).collect();
    let words: Vec<&[u8]> =
        std::iter::once("EXISTS").chain(many.iter().map(String::as_str)).map(str::as_bytes).collect();
    assert!(client.refused(&words).starts_with("LIMIT a transaction may read 100000 keys at most"));
    assert_eq!(client.must::<String>("PING"), "PONG");
    cluster.stop();
}

#[test]
fn large_values_of_one_partition_are_listed_and_read_in_parts() {
    let mut cluster = Cluster::start_with(3, &["--kv-slots", "1"]);
    let mut client = cluster.nodes[0].client();
    let value = vec![b'v'; 2 << 20];
    let keys: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    for key in &keys {
        client.ask_words::<()>(&[b"SET", key.as_bytes(), &value]).expect("a large value");
    }
    let mut listed: Vec<String> = client.must("KEYS *");
    listed.sort();
    assert_eq!(listed, keys);
    assert_eq!(client.must::<usize>("DBSIZE"), 10);
    let all = format!("MGET {}", keys.join(" "));
    let words: Vec<&[u8]> = all.split(' ').map(str::as_bytes).collect();
    let refusal = client.refused(&words);
    assert!(refusal.starts_with("LIMIT ") && refusal.contains("keys read at once in partition"), "{refusal}");
    let some: Vec<Vec<u8>> = client.ask_words(&words[..5]).expect("four of them");
    assert!(some.iter().all(|found| *found == value), "{} came back", some.len());
    cluster.stop();
}

#[test]
fn a_node_of_another_cluster_is_told_apart() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[0].client().must::<()>("SET k v");
    cluster.nodes[2].stop();
    let mut stranger = Node::new(cluster.dir.path(), "stranger", &[]);
    stranger.peer = cluster.nodes[2].peer;
    stranger.spawn();
    stranger.wait_ready();
    until_true("the others see whom they reach", START, || {
        cluster.nodes[..2].iter().all(|node| node.log().contains("the other node belongs to cluster"))
    });
    assert_eq!(cluster.nodes[1].client().must::<String>("GET k"), "v");
    assert_eq!(stranger.client().must::<Option<String>>("GET k"), None);
    stranger.stop();
    cluster.nodes[2].spawn();
    cluster.wait_ready();
    assert_eq!(cluster.nodes[2].client().must::<String>("GET k"), "v");
    cluster.stop();
}
