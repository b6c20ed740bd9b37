//! A queue in a table: workers at all nodes take each job once, in blocks and in statements of their own, also when a worker
//! leaves its job behind and a node dies.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use super::client::{Sql, code};
use crate::cluster::{Cluster, Node};

const JOBS: usize = 90;
const NEXT: &str = "SELECT id FROM jobs WHERE state = 'new' ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED";

#[test]
fn workers_take_each_job_once() {
    let mut cluster = Cluster::start(3);
    let sql = Sql::connect(cluster.nodes[0].sql).expect("a client");
    sql.must("CREATE TABLE jobs (id int PRIMARY KEY, state text NOT NULL, due int NOT NULL)");
    sql.must("CREATE INDEX ON jobs (due) WHERE state = 'new'");
    sql.must(&format!("INSERT INTO jobs SELECT n, 'new', {JOBS} - n FROM generate_series(1, {JOBS}) n"));
    // A worker that ends within its block leaves its job to the others.
    let gone = Sql::connect(cluster.nodes[1].sql).expect("a client");
    gone.must("BEGIN");
    assert_eq!(gone.must(NEXT), [JOBS.to_string()]);
    let done = Mutex::new(BTreeMap::<String, usize>::new());
    thread::scope(|scope| {
        for worker in 0..6 {
            let (node, done) = (cluster.nodes[worker % 2].sql, &done);
            scope.spawn(move || work(&Sql::connect(node).expect("a client"), worker < 3, done));
        }
        drop(gone);
        // A node without workers.
        cluster.nodes[2].kill();
    });
    let done = done.into_inner().expect("no worker panicked");
    assert_eq!(done.len(), JOBS);
    assert!(done.values().all(|times| *times == 1), "{done:?}");
    assert_eq!(sql.must("SELECT count(*) FROM jobs WHERE state = 'new'"), ["0"]);
    cluster.nodes[..2].iter_mut().for_each(Node::stop);
}

/// Takes jobs until there are none, in blocks or in statements of their own.
fn work(sql: &Sql, in_blocks: bool, done: &Mutex<BTreeMap<String, usize>>) {
    loop {
        let taken = if in_blocks { in_block(sql) } else { sql.ask(&alone()).map(|rows| rows.first().cloned()) };
        match taken {
            Ok(Some(job)) => *done.lock().expect("no worker panicked").entry(job).or_default() += 1,
            Ok(None) if sql.must("SELECT count(*) FROM jobs WHERE state = 'new'") == ["0"] => return,
            Ok(None) => {}
            Err(error) => {
                assert_eq!(code(&error), "40001", "{error}");
                let _ = sql.ask("ROLLBACK");
            }
        }
    }
}

fn alone() -> String {
    format!("UPDATE jobs SET state = 'done' WHERE id = ({NEXT}) RETURNING id")
}

fn in_block(sql: &Sql) -> Result<Option<String>, tokio_postgres::Error> {
    sql.ask("BEGIN")?;
    let taken = sql.ask(NEXT)?.first().cloned();
    if let Some(job) = &taken {
        sql.ask(&format!("UPDATE jobs SET state = 'done' WHERE id = {job}"))?;
    }
    sql.ask("COMMIT")?;
    Ok(taken)
}
