//! Other people's clients: the tools of Redis, and a library's transactions.

use std::process::{Command, Output};

use crate::cluster::Cluster;

/// Runs a tool; `None`, and a line that says so, where it is not installed.
fn tool(name: &str, port: u16, arguments: &[&str]) -> Option<String> {
    let port = port.to_string();
    let done = Command::new(name).args(["-p", &port]).args(arguments).output();
    let Ok(Output { status, stdout, stderr }) = done else {
        println!("SKIPPED: {name} is not installed");
        return None;
    };
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{name} {arguments:?} ended with {status}: {text}");
    Some(text)
}

#[test]
fn the_tools_of_redis_work_against_a_cluster() {
    let mut cluster = Cluster::start(3);
    let ports = cluster.kv_ports();
    let benchmark = ["-n", "200", "-c", "8", "-r", "50", "-q", "-t", "ping,set,get,incr,mset"];
    if let Some(text) = tool("redis-benchmark", ports[0], &benchmark) {
        assert!(text.contains("MSET (10 keys): ") && !text.to_lowercase().contains("error"), "{text}");
    }
    tool("redis-benchmark", ports[1], &["-n", "200", "-c", "8", "-P", "10", "-q", "-t", "set,get"]);
    for (command, answer) in [("SET k v", "OK\n"), ("GET k", "v\n"), ("DEL k", "1\n"), ("LPUSH k v", "ERR command")] {
        let words: Vec<&str> = command.split(' ').collect();
        if let Some(text) = tool("redis-cli", ports[2], &words) {
            assert!(text.starts_with(answer), "{command}: {text}");
        }
    }
    cluster.stop();
}

#[test]
fn a_librarys_transactions_work_against_a_cluster() {
    let mut cluster = Cluster::start(3);
    let connect = |port: &u16| {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3")).expect("an address");
        client.get_connection().expect("a connection")
    };
    let mut connections: Vec<_> = cluster.kv_ports().iter().map(connect).collect();
    for n in 1..=9 {
        let connection = &mut connections[n % 3];
        let sum: (i64,) = redis::transaction(connection, &["n"], |connection, pipe| {
            let before: Option<i64> = redis::cmd("GET").arg("n").query(connection)?;
            assert_eq!(before.unwrap_or(0), n as i64 - 1);
            pipe.cmd("INCR").arg("n").query(connection)
        })
        .expect("a transaction");
        assert_eq!(sum, (n as i64,));
    }
    cluster.stop();
}
