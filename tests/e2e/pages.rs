//! Health, readiness, metrics and status over HTTP.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::cluster::{Cluster, Node};
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(15);

/// The samples of the metrics page, by name and labels.
fn metrics(node: &Node) -> BTreeMap<String, f64> {
    let (code, text) = node.page("/metrics").expect("the page");
    assert_eq!(code, 200);
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("not a number: {line}")))
    };
    samples.map(sample).collect()
}

/// The sum of all samples of that name, whatever their labels.
fn sum(metrics: &BTreeMap<String, f64>, name: &str) -> f64 {
    let samples = metrics.iter().filter(|(key, _)| key.split('{').next() == Some(name));
    let values: Vec<f64> = samples.map(|(_, value)| *value).collect();
    assert!(!values.is_empty(), "{name} is missing");
    values.iter().sum()
}

/// What grows when clients write and read, also wrongly.
const GROWING: [&str; 27] = [
    "annulus_transactions_committed_total",
    "annulus_log_records_total",
    "annulus_log_bytes_total",
    "annulus_log_syncs_total",
    "annulus_peer_sent_bytes_total",
    "annulus_peer_received_bytes_total",
    "annulus_peer_sent_frames_total",
    "annulus_peer_received_frames_total",
    "annulus_requests_total",
    "annulus_client_connections_total",
    "annulus_client_received_bytes_total",
    "annulus_client_sent_bytes_total",
    "annulus_client_protocol_errors_total",
    "annulus_request_errors_total",
    "annulus_request_duration_seconds_count",
    "annulus_request_duration_seconds_sum",
    "annulus_http_requests_total",
    "annulus_http_request_duration_seconds_count",
    "annulus_transaction_duration_seconds_count",
    "annulus_transaction_duration_seconds_sum",
    "annulus_log_sync_seconds_count",
    "annulus_log_sync_seconds_sum",
    "annulus_log_group_records_sum",
    "annulus_checkpoints_total",
    "annulus_checkpoint_seconds_count",
    "annulus_engine_reads_total",
    "annulus_engine_writes_total",
];

#[test]
fn the_pages_tell_how_a_node_is() {
    let mut cluster = Cluster::start_with(3, &["--checkpoint-interval=1s"]);
    let node = &cluster.nodes[0];
    assert_eq!(node.page("/health"), Some((200, "alive\n".to_owned())));
    assert_eq!(node.page("/ready"), Some((200, "ready\n".to_owned())));
    assert_eq!(node.page("/nowhere").map(|(code, _)| code), Some(404));

    until_true("the page knows its cluster", PATIENCE, || sum(&metrics(node), "annulus_members_alive") == 3.0);
    let before = metrics(node);
    let mut client = node.client();
    for n in 0..20 {
        client.must::<()>(&format!("SET k{n} v"));
        client.must::<()>(&format!("GET k{n}"));
    }
    client.refused(&[b"INCR", b"k1"]);
    let mut stranger = TcpStream::connect(("127.0.0.1", node.kv)).expect("a connection");
    stranger.write_all(b"*1\r\n!oops\r\n").expect("room for a few bytes");
    for name in GROWING {
        until_true(format!("{name} grows"), PATIENCE, || sum(&metrics(node), name) > sum(&before, name));
    }
    for name in ["annulus_members", "annulus_epoch", "annulus_disk_used_ratio", "annulus_queue_length"] {
        sum(&before, name);
    }

    let (code, text) = node.page("/status").expect("the page");
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &status["node"]["name"], &status["node"]["not_ready"]), (200, &"node1".into(), &().into()));
    let members = status["cluster"]["members"].as_array().expect("members");
    assert_eq!(members.len(), 3, "{text}");
    assert!(members.iter().all(|member| member["up"] == true), "{text}");
    assert_eq!(status["engine"]["name"], "fjall");
    cluster.stop();
}
