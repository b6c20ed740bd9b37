//! `annulus check`: of a live cluster while a node dies, of nodes that are no cluster, of recorded histories.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::{ANNULUS, Cluster, Node, START, run};
use crate::sql::client::Sql;
use crate::wait::{until, until_true};

/// How long a killed node is away: longer than what counts as an outage of one node.
const AWAY: Duration = Duration::from_secs(6);
/// The exit codes.
const HELD: Option<i32> = Some(0);
const VIOLATED: Option<i32> = Some(1);
const UNDECIDED: Option<i32> = Some(3);

fn addresses(nodes: &[Node]) -> String {
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.kv)).collect();
    addresses.join(",")
}

/// The same nodes, where they speak SQL.
fn url(nodes: &[Node]) -> String {
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.sql)).collect();
    format!("postgres://{}/annulus", addresses.join(","))
}

/// The databases that are there.
fn databases(node: &Node) -> Vec<String> {
    let ask =
        || Sql::connect(node.sql).and_then(|sql| sql.ask("SELECT datname FROM pg_database ORDER BY datname")).ok();
    until("the databases are listed", START, ask)
}

/// The keys that are there. A busy node may need several tries to list them.
fn keys(node: &Node, pattern: &str) -> Vec<String> {
    until("the keys are listed", START, || node.client().ask(&format!("KEYS {pattern}")).ok())
}

/// A check of a live cluster that runs.
struct Watch {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Watch {
    /// Starts it, and waits until it has found all nodes.
    fn start(nodes: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(ANNULUS)
            .args(["check", "--against", nodes])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        while !line.starts_with("Do what you fear") {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("text"), 0, "it ended early");
        }
        Self { process, output }
    }

    /// Tells it to end, as Ctrl-C does.
    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).expect("an own child can be signalled");
    }

    /// Its exit code, and what it said from there on.
    fn end(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        (self.process.wait().expect("it ends").code(), text)
    }
}

fn said(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_cluster_that_loses_a_node_keeps_its_promise() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[0].client().must::<()>("SET mine untouched");
    let watch = Watch::start(&addresses(&cluster.nodes), &["--minutes=0.4", "--rate=150"]);
    cluster.nodes[0].kill();
    sleep(AWAY);
    cluster.nodes[0].spawn();
    let (code, text) = watch.end();
    assert_eq!(code, HELD, "{text}");
    for expected in ["Strict serializability held", "bank (bank, counter, outcomes, durable)", "nobody was served was"]
    {
        assert!(text.contains(expected), "'{expected}' is missing in\n{text}");
    }
    let lost = format!("127.0.0.1:{} served nobody for", cluster.nodes[0].kv);
    assert!(text.contains(&lost), "'{lost}' is missing in\n{text}");
    cluster.wait_ready();
    assert_eq!(keys(&cluster.nodes[1], "*"), ["mine"], "only its own keys are removed");
    cluster.stop();
}

#[test]
fn an_interrupted_watch_removes_its_keys_and_a_killed_one_leaves_them_to_clean_up() {
    let mut cluster = Cluster::start(1);
    let own = |cluster: &Cluster| keys(&cluster.nodes[0], "annulus-check:*");
    let watch = Watch::start(&addresses(&cluster.nodes), &["--minutes=60"]);
    until_true("it works", START, || !own(&cluster).is_empty());
    watch.interrupt();
    let (code, text) = watch.end();
    assert_eq!(code, HELD, "{text}");
    assert!(text.contains("Strict serializability held"), "{text}");
    assert_eq!(own(&cluster), [""; 0]);

    let mut watch = Watch::start(&addresses(&cluster.nodes), &["--minutes=60"]);
    until_true("it works", START, || !own(&cluster).is_empty());
    watch.process.kill().expect("an own child can be killed");
    watch.end();
    assert_ne!(own(&cluster), [""; 0]);
    let (code, text) = said(run(&["check", "--clean-up", "--against", &addresses(&cluster.nodes)]));
    assert!(code == HELD && text.contains("Removed keys: "), "{text}");
    assert_eq!(own(&cluster), [""; 0]);

    let nobody = format!("{},127.0.0.1:1", addresses(&cluster.nodes));
    let (code, text) = said(run(&["check", "--against", &nobody]));
    assert!(code == UNDECIDED && text.contains("cannot connect to 127.0.0.1:1"), "{text}");
    cluster.stop();
}

#[test]
fn in_sql_a_cluster_that_loses_a_node_keeps_its_promise_too() {
    let mut cluster = Cluster::start(3);
    Sql::connect(cluster.nodes[0].sql).expect("a client").must("CREATE TABLE mine (k int PRIMARY KEY)");
    let watch = Watch::start(&url(&cluster.nodes), &["--minutes=0.2", "--rate=150"]);
    assert_eq!(databases(&cluster.nodes[1]).len(), 3, "it works in a database of its own");
    cluster.nodes[0].kill();
    sleep(AWAY);
    cluster.nodes[0].spawn();
    let (code, text) = watch.end();
    assert_eq!(code, HELD, "{text}");
    for expected in ["Strict serializability held", "bank (bank, ", "foreign-keys (", "nobody was served was"] {
        assert!(text.contains(expected), "'{expected}' is missing in\n{text}");
    }
    let lost = format!("127.0.0.1:{} served nobody for", cluster.nodes[0].sql);
    assert!(text.contains(&lost), "'{lost}' is missing in\n{text}");
    cluster.wait_ready();
    assert_eq!(databases(&cluster.nodes[1]), ["annulus", "postgres"]);
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    assert_eq!(Sql::connect(cluster.nodes[1].sql).expect("a client").must(tables), ["mine"]);
    cluster.stop();
}

#[test]
fn in_sql_nothing_stays_behind_and_mistakes_are_told() {
    let mut cluster = Cluster::start(1);
    let nodes = url(&cluster.nodes);
    let own = |cluster: &Cluster| databases(&cluster.nodes[0]).iter().any(|name| name.starts_with("annulus_check_"));
    let watch = Watch::start(&nodes, &["--minutes=60"]);
    assert!(own(&cluster));
    watch.interrupt();
    // Perhaps before anything was executed.
    let (_, text) = watch.end();
    assert!(!text.contains("DID NOT HOLD") && !own(&cluster), "{text}");

    let mut watch = Watch::start(&nodes, &["--minutes=60"]);
    watch.process.kill().expect("an own child can be killed");
    watch.end();
    assert!(own(&cluster));
    let (code, text) = said(run(&["check", "--clean-up", "--against", &nodes]));
    assert!(code == HELD && text.contains("Removed databases: 1") && !own(&cluster), "{text}");

    let [kv, sql] = [cluster.nodes[0].kv, cluster.nodes[0].sql];
    let mistakes = [
        (format!("postgres://127.0.0.1:{kv}"), format!("speaks the Redis protocol: write redis://127.0.0.1:{kv}")),
        (format!("127.0.0.1:{sql}"), format!("speaks the PostgreSQL protocol: write postgres://127.0.0.1:{sql}")),
        (format!("postgres://127.0.0.1:{sql}/shop"), "database \"shop\" does not exist".to_owned()),
        ("postgres://127.0.0.1:1".to_owned(), "cannot connect to 127.0.0.1:1: ".to_owned()),
    ];
    for (against, expected) in mistakes {
        let (code, text) = said(run(&["check", "--against", &against]));
        assert!(code == UNDECIDED && text.contains(&expected), "{against}: {text}");
    }
    cluster.stop();
}

#[test]
fn nodes_that_do_not_know_each_other_are_found_out() {
    let strangers: Vec<Cluster> = (0..3).map(|_| Cluster::start(1)).collect();
    let ports: Vec<String> = strangers.iter().map(|cluster| format!("127.0.0.1:{}", cluster.nodes[0].kv)).collect();
    let dir = tempfile::tempdir().expect("a directory");
    let output = dir.path().display().to_string();
    let against = ["check", "--against", &ports.join(","), "--workload=register,list-append", "--minutes=0.1"];
    let (code, text) = said(run(&[&against[..], &["--output", &output]].concat()));
    assert_eq!(code, VIOLATED, "{text}");
    assert!(text.contains("STRICT SERIALIZABILITY DID NOT HOLD"), "{text}");
    let history = dir.path().join("annulus-check-list-append-1.json");
    let (code, text) = said(run(&["check", "--history", &history.display().to_string()]));
    assert_eq!(code, VIOLATED, "{text}");
}

fn check(dir: &Path, history: &str, more: &[&str]) -> (Option<i32>, String) {
    let file = dir.join("history");
    std::fs::write(&file, history).expect("a file");
    said(run(&[&["check", "--history", &file.display().to_string()], more].concat()))
}

/// Two transactions that each missed what the other wrote, among others that are in order.
const WRITE_SKEW: &str = "\
    {:type :invoke, :f :txn, :value [[:append 3 1]], :process 0, :index 0}\n\
    {:type :ok, :f :txn, :value [[:append 3 1]], :process 0, :index 1}\n\
    {:type :invoke, :f :txn, :value [[:r 1 nil] [:append 2 7]], :process 0, :index 2}\n\
    {:type :invoke, :f :txn, :value [[:r 2 nil] [:append 1 8]], :process 1, :index 3}\n\
    {:type :ok, :f :txn, :value [[:r 1 nil] [:append 2 7]], :process 0, :index 4}\n\
    {:type :ok, :f :txn, :value [[:r 2 nil] [:append 1 8]], :process 1, :index 5}\n\
    {:type :invoke, :f :txn, :value [[:r 1 nil] [:r 2 nil] [:r 3 nil]], :process 0, :index 6}\n\
    {:type :ok, :f :txn, :value [[:r 1 [8]] [:r 2 [7]] [:r 3 [1]]], :process 0, :index 7}\n";

/// A read after an acknowledged write that missed it, among others that are in order.
const STALE_READ: &str = r#"{"type":"invoke","f":"write","value":[1,1],"process":0,"index":0}
{"type":"ok","f":"write","value":[1,1],"process":0,"index":1}
{"type":"invoke","f":"write","value":[1,2],"process":1,"index":2}
{"type":"ok","f":"write","value":[1,2],"process":1,"index":3}
{"type":"invoke","f":"write","value":[2,5],"process":1,"index":4}
{"type":"info","f":"write","value":[2,5],"process":1,"index":5}
{"type":"invoke","f":"read","value":[1,null],"process":0,"index":6}
{"type":"ok","f":"read","value":[1,1],"process":0,"index":7}
"#;

#[test]
fn recorded_anomalies_are_told_in_their_smallest_form() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, text) = check(dir.path(), WRITE_SKEW, &[]);
    assert_eq!(code, VIOLATED, "{text}");
    assert!(text.contains("G2-item (write skew)") && text.contains("at most snapshot isolation did"), "{text}");
    assert!(text.contains("op 1") && text.contains("op 2"), "{text}");
    assert!(!text.contains("op 0:") && !text.contains("op 3:"), "only the two that do not fit:\n{text}");

    let (code, text) = check(dir.path(), STALE_READ, &[]);
    assert_eq!(code, VIOLATED, "{text}");
    assert!(text.contains("not linearizable at key 1") && text.contains("at most serializability did"), "{text}");
    assert!(text.contains("read 1 = 1") && text.contains("write 1 := 2") && !text.contains("2 := 5"), "{text}");

    let good = STALE_READ.replace(r#""value":[1,1],"process":0,"index":7"#, r#""value":[1,2],"process":0,"index":7"#);
    let (code, text) = check(dir.path(), &good, &[]);
    assert!(code == HELD && text.contains("4 transactions: 3 executed, 0 failed, 1 unknown"), "{text}");
}

#[test]
fn what_cannot_be_checked_is_never_passed() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = r#"{"type":"invoke","f":"txn","value":[["add",1,5],["add",2,5]],"process":0,"index":0}
{"type":"ok","f":"txn","value":[["add",1,5],["add",2,5]],"process":0,"index":1}
{"type":"invoke","f":"txn","value":[["r",1,null],["r",2,null]],"process":0,"index":2}
{"type":"ok","f":"txn","value":[["r",1,5],["r",2,5]],"process":0,"index":3}
"#;
    assert_eq!(check(dir.path(), accounts, &["--total=10"]).0, HELD);
    let (code, text) = check(dir.path(), accounts, &["--total=11"]);
    assert!(code == VIOLATED && text.contains("the total is 10 instead of 11"), "{text}");
    let (code, text) = check(dir.path(), "{\"type\":\"ok\",\"process\":0}\n", &[]);
    assert!(code == UNDECIDED && text.contains("line 1: process 0 has no operation open"), "{text}");
    assert_eq!(check(dir.path(), "", &[]).0, UNDECIDED, "nothing is not everything");
    assert_eq!(said(run(&["check", "--history", "/nowhere"])).0, UNDECIDED);
    assert_eq!(said(run(&["check"])).0, Some(2));
}
