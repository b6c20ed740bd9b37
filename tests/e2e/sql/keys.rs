//! Primary keys for tables with rows, and other types for them: as restores add them, while others write, and while nodes
//! die.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::client::{Sql, code};
use crate::cluster::Cluster;
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(120);
const ROWS: u64 = 40_000;

/// What shows that a table has its primary key.
const KEY: &str = "SELECT count(*) FROM pg_index WHERE indisprimary AND indrelid = 't'::regclass";

/// What shows that a table's first column has its wider type.
const WIDE: &str = "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'id' AND atttypid = 'bigint'::regtype";

#[test]
fn a_restore_adds_its_keys_behind_the_rows() {
    let mut cluster = Cluster::start(3);
    let [one, two] = [0, 1].map(|node: usize| Sql::connect(cluster.nodes[node].sql).expect("a client"));
    for statement in [
        "CREATE TABLE public.orders (id integer NOT NULL, customer integer, code text)",
        "CREATE TABLE public.customers (id integer NOT NULL, name text)",
        "INSERT INTO public.customers SELECT n, 'c' || n FROM generate_series(1, 50) n",
        "INSERT INTO public.orders SELECT n, n % 50 + 1, 'o' || n FROM generate_series(1, 500) n",
        "ALTER TABLE ONLY public.customers ADD CONSTRAINT customers_pkey PRIMARY KEY (id)",
        "ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_code_key UNIQUE (code)",
        "ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id)",
        "CREATE INDEX orders_customer_idx ON public.orders USING btree (customer)",
        "ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) \
         REFERENCES public.customers(id) ON DELETE CASCADE",
    ] {
        one.must(statement);
    }
    assert_eq!(two.must("SELECT id, customer FROM orders WHERE code = 'o77'"), ["77|28"]);
    assert!(two.must("EXPLAIN SELECT * FROM orders WHERE id = 77")[0].contains("Point Read using orders_pkey"));
    assert!(two.refused("INSERT INTO orders VALUES (77, 1, 'x')").starts_with("23505"));
    assert!(two.refused("INSERT INTO orders VALUES (501, 51, 'x')").starts_with("23503"));
    two.must("DELETE FROM customers WHERE id = 28");
    assert_eq!(one.must("SELECT count(*) FROM orders"), ["490"]);
    cluster.stop();
}

#[test]
fn a_primary_key_is_made_while_rows_change_and_its_coordinator_dies() {
    let (mut cluster, sql) = altered_while_its_coordinator_dies("t (id int, v int)", "ADD PRIMARY KEY (id)", KEY);
    assert!(sql.must("EXPLAIN SELECT * FROM t WHERE id = 77")[0].contains("Point Read using t_pkey"));
    assert!(sql.refused("INSERT INTO t VALUES (77, -1)").starts_with("23505"));
    cluster.nodes[1..].iter_mut().for_each(crate::cluster::Node::stop);
}

#[test]
fn a_primary_key_gets_a_wider_type_while_rows_change_and_its_coordinator_dies() {
    let alter = "ALTER COLUMN id TYPE bigint, ALTER COLUMN v TYPE bigint";
    let (mut cluster, sql) = altered_while_its_coordinator_dies("t (id int PRIMARY KEY, v int)", alter, WIDE);
    assert!(sql.refused("INSERT INTO t VALUES (77, -1)").starts_with("23505"));
    sql.must("INSERT INTO t VALUES (5000000000, 6000000000)");
    assert_eq!(sql.must("SELECT id FROM t WHERE v = 6000000000"), ["5000000000"]);
    assert!(sql.refused("INSERT INTO t VALUES (-1, 6000000000)").starts_with("23505"));
    cluster.nodes[1..].iter_mut().for_each(crate::cluster::Node::stop);
}

/// A table of some columns is altered while rows of it change. The node that does it dies, and another one goes on.
fn altered_while_its_coordinator_dies(columns: &str, alter: &str, done: &str) -> (Cluster, Sql) {
    let mut cluster = Cluster::start(3);
    let sql = Sql::connect(cluster.nodes[1].sql).expect("a client");
    sql.must(&format!("CREATE TABLE {columns}; CREATE UNIQUE INDEX ON t (v)"));
    sql.must(&format!("INSERT INTO t SELECT n, n FROM generate_series(1, {ROWS}) n"));
    let stop = AtomicBool::new(false);
    let [dying, writing] = [0, 2].map(|node: usize| cluster.nodes[node].sql);
    thread::scope(|scope| {
        // The writer must end even if something here does not come true.
        let stop_at_last = StopAtLast(&stop);
        let statement = format!("ALTER TABLE t {alter}");
        let altering = scope.spawn(move || Sql::connect(dying).expect("a client").ask(&statement).map(drop));
        let writes = scope.spawn(|| write(writing, &stop));
        // Whoever would alter the table too is told what is being done.
        let told = || sql.ask("ALTER TABLE t ALTER COLUMN v DROP NOT NULL").is_err_and(|error| code(&error) == "55006");
        until_true("it is being altered", PATIENCE, told);
        cluster.nodes[0].kill();
        assert!(altering.join().expect("it ends").is_err(), "the coordinator died");
        until_true("another node goes on", PATIENCE, || sql.must(done) == ["1"]);
        drop(stop_at_last);
        let written = writes.join().expect("the writer ends");
        assert_eq!(
            sql.must("SELECT count(*), count(DISTINCT id), count(DISTINCT v) FROM t"),
            [format!("{0}|{0}|{0}", ROWS + written)]
        );
    });
    (cluster, sql)
}

/// Tells a writer to stop when it is dropped.
struct StopAtLast<'a>(&'a AtomicBool);

impl Drop for StopAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Inserts, changes and deletes rows until told to stop; how many more there are in the end.
fn write(port: u16, stop: &AtomicBool) -> u64 {
    let sql = Sql::connect(port).expect("a client");
    let (mut id, mut more) = (ROWS, 0);
    while !stop.load(Ordering::Relaxed) {
        id += 1;
        sql.must(&format!("INSERT INTO t VALUES ({id}, {id})"));
        more += 1;
        // Every row's number stays its own.
        sql.must(&format!("UPDATE t SET v = v + 1000000 WHERE v = {}", id - ROWS));
        if id % 3 == 0 {
            sql.must(&format!("DELETE FROM t WHERE v = {id}"));
            more -= 1;
        }
    }
    more
}
