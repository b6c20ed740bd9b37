//! Interactive transactions, conflicts, and nodes that are killed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use annulus_base::rng::Rng;

use super::client::{Sql, code};
use crate::cluster::Cluster;
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(60);
const ACCOUNTS: u64 = 8;
const DEPOSIT: i64 = 100;

#[test]
fn the_second_of_two_that_read_the_same_fails_and_has_no_effect() {
    let mut cluster = Cluster::start(3);
    let [one, two] = [0, 1].map(|node: usize| Sql::connect(cluster.nodes[node].sql).expect("a client"));
    one.must("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)");
    // Both read the sum and change one row each: write skew.
    for client in [&one, &two] {
        client.must("BEGIN");
        assert_eq!(client.must("SELECT sum(n) FROM t"), ["0"]);
    }
    let first = one.ask("UPDATE t SET n = 1 WHERE id = 1; COMMIT");
    let second = two.ask("UPDATE t SET n = 1 WHERE id = 2; COMMIT");
    let failed = [&first, &second].into_iter().filter(|done| done.is_err()).count();
    assert_eq!(failed, 1, "{first:?} {second:?}");
    assert!([first, second].iter().flat_map(|done| done.as_ref().err()).all(|error| code(error) == "40001"));
    let _ = (one.ask("ROLLBACK"), two.ask("ROLLBACK"));
    assert_eq!(two.must("SELECT sum(n) FROM t"), ["1"]);
    one.must("BEGIN; INSERT INTO t VALUES (3, 7); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT");
    assert_eq!(two.must("SELECT count(*), sum(n) FROM t"), ["3|8"]);
    cluster.stop();
}

/// A node alone answers its own messages in one go: who tried again at once, while somebody else changed what was only
/// read (the table itself), kept it busy for ever.
#[test]
fn a_node_alone_serves_while_a_table_changes() {
    let mut cluster = Cluster::start(1);
    let port = cluster.nodes[0].sql;
    let connect = move || Sql::connect(port).expect("a client");
    connect()
        .must("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(0, 7) AS n");
    // Some are refused, because of the others.
    let repeat = |times: usize, all: Vec<String>| {
        thread::spawn(move || {
            let client = connect();
            (0..times).flat_map(|_| &all).filter(|sql| client.ask(sql).is_ok()).count()
        })
    };
    let update = |_| repeat(100, (0..8).map(|id| format!("UPDATE t SET n = n + 1 WHERE id = {id}")).collect());
    let mut clients: Vec<_> = (0..8).map(update).collect();
    let alter = ["ADD COLUMN IF NOT EXISTS m int NOT NULL DEFAULT 1", "DROP COLUMN IF EXISTS m"];
    clients.push(repeat(20, alter.map(|what| format!("ALTER TABLE t {what}")).to_vec()));
    until_true("all are served", PATIENCE, || clients.iter().all(|client| client.is_finished()));
    let done: Vec<usize> = clients.into_iter().map(|client| client.join().expect("a client")).collect();
    assert_eq!(connect().must("SELECT sum(n) FROM t"), [done[..8].iter().sum::<usize>().to_string()]);
    cluster.stop();
}

#[test]
fn transfers_go_on_while_nodes_are_killed() {
    let mut cluster = Cluster::start(3);
    let sql = Sql::connect(cluster.nodes[0].sql).expect("a client");
    sql.must("CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL)");
    sql.must("CREATE TABLE transfers (id bigint PRIMARY KEY)");
    for id in 0..ACCOUNTS {
        sql.must(&format!("INSERT INTO accounts VALUES ({id}, {DEPOSIT})"));
    }
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let (port, stop, done) = (cluster.nodes[number].sql, Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || transfer(port, number as u64, &stop, &done))
        })
        .collect();
    let progress = |count: u64| {
        let goal = done.load(Ordering::Relaxed) + count;
        until_true("transfers go on", PATIENCE, || done.load(Ordering::Relaxed) >= goal);
    };
    for node in [2, 0, 1] {
        progress(30);
        cluster.nodes[node].kill();
        progress(30);
        cluster.nodes[node].spawn();
        cluster.nodes[node].wait_ready();
    }
    progress(30);
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<u64> = clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
    let sql = Sql::connect(cluster.nodes[1].sql).expect("a client");
    assert_eq!(sql.must("SELECT sum(balance) FROM accounts"), [(ACCOUNTS as i64 * DEPOSIT).to_string()]);
    let found: Vec<u64> = sql.must("SELECT id FROM transfers").iter().map(|id| id.parse().expect("a number")).collect();
    for id in acknowledged {
        assert!(found.contains(&id), "transfer {id} was acknowledged and is lost");
    }
    cluster.stop();
}

/// Transfers between accounts until told to stop, in five round trips each; the ids of those that were acknowledged.
fn transfer(port: u16, number: u64, stop: &AtomicBool, done: &AtomicU64) -> Vec<u64> {
    let mut rng = Rng::new(number);
    let (mut acknowledged, mut id) = (Vec::new(), number << 32);
    let mut connection: Option<Sql> = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(sql) = connection.take().or_else(|| Sql::connect(port).ok()) else {
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        id += 1;
        let (from, to) = (rng.below(ACCOUNTS), rng.below(ACCOUNTS));
        let steps = [
            "BEGIN".to_owned(),
            format!("UPDATE accounts SET balance = balance - 1 WHERE id = {from}"),
            format!("UPDATE accounts SET balance = balance + 1 WHERE id = {to}"),
            format!("INSERT INTO transfers VALUES ({id})"),
            "COMMIT".to_owned(),
        ];
        match steps.iter().try_for_each(|step| sql.ask(step).map(drop)) {
            Ok(()) => {
                acknowledged.push(id);
                done.fetch_add(1, Ordering::Relaxed);
                connection = Some(sql);
            }
            // The connection goes on; nothing happened, or nobody knows.
            Err(error) if !code(&error).is_empty() && sql.ask("ROLLBACK").is_ok() => connection = Some(sql),
            Err(_) => {}
        }
    }
    acknowledged
}
