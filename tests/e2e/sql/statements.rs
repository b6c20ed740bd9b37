//! Statements on any node, and what their errors say.

use std::time::Duration;

use tokio_postgres::NoTls;

use super::client::{Sql, code, told};
use crate::cluster::Cluster;
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn tables_are_everywhere_and_errors_have_codes() {
    let mut cluster = Cluster::start(3);
    let [one, two, three] = [0, 1, 2].map(|node: usize| Sql::connect(cluster.nodes[node].sql).expect("a client"));
    one.must("CREATE TABLE parent (id int PRIMARY KEY, name varchar(5) NOT NULL UNIQUE, n int CHECK (n > 0))");
    two.must("CREATE TABLE child (id bigint PRIMARY KEY, parent int REFERENCES parent (id), t text)");
    three.must("INSERT INTO parent VALUES (1, 'one', 1), (2, 'two', NULL)");
    one.must("INSERT INTO child VALUES (10, 1, 'x'), (11, NULL, NULL)");
    let joined = "SELECT c.id, p.name, c.t FROM child c LEFT JOIN parent p ON p.id = c.parent ORDER BY 1";
    for client in [&one, &two, &three] {
        assert_eq!(client.must(joined), ["10|one|x", "11|NULL|NULL"]);
    }
    for (statement, error) in [
        (
            "INSERT INTO parent VALUES (1, 'x', 1)",
            "23505 duplicate key value violates unique constraint \"parent_pkey\"",
        ),
        (
            "INSERT INTO parent VALUES (3, 'one', 1)",
            "23505 duplicate key value violates unique constraint \"parent_name_key\"",
        ),
        (
            "INSERT INTO parent VALUES (3, NULL, 1)",
            "23502 null value in column \"name\" of relation \"parent\" violates not-null constraint",
        ),
        (
            "INSERT INTO parent VALUES (3, 'x', 0)",
            "23514 new row for relation \"parent\" violates check constraint \"parent_n_check\"",
        ),
        ("INSERT INTO parent VALUES (3, 'longer', 1)", "22001 value too long for type character varying(5)"),
        (
            "INSERT INTO child VALUES (12, 9, NULL)",
            "23503 insert or update on table \"child\" violates foreign key constraint \"child_parent_fkey\"",
        ),
        (
            "DELETE FROM parent WHERE id = 1",
            "23503 update or delete on table \"parent\" violates foreign key constraint \"child_parent_fkey\" on table \"child\"",
        ),
        ("SELECT * FROM nowhere", "42P01 relation \"nowhere\" does not exist"),
        ("SELECT nothing FROM parent", "42703 column \"nothing\" does not exist"),
        ("SELECT 1 / 0", "22012 division by zero"),
        ("SELECT 'x'::int", "22P02 invalid input syntax for type integer: \"x\""),
        ("CREATE TABLE parent (id int)", "42P07 relation \"parent\" already exists"),
        ("SELEC 1", "42601 syntax error at or near \"SELEC\""),
    ] {
        assert_eq!(two.refused(statement), error, "{statement}");
    }
    assert_eq!(one.must("SELECT count(*) FROM parent"), ["2"]);
    let error = one.ask("INSERT INTO parent VALUES (1, 'x', 1)").expect_err("a duplicate");
    let error = error.as_db_error().expect("the node's error");
    assert_eq!((error.table(), error.constraint()), (Some("parent"), Some("parent_pkey")));
    assert_eq!(error.detail(), Some("Key (id)=(1) already exists."));
    cluster.stop();
}

#[test]
fn prepared_statements_carry_values_in_binary() {
    let mut cluster = Cluster::start(3);
    let sql = Sql::connect(cluster.nodes[0].sql).expect("a client");
    sql.must(
        "CREATE TABLE all_types (a int2, b int4 PRIMARY KEY, c int8, d float4, e float8, f bool, g text, h bytea)",
    );
    let Sql { runtime, client } = &sql;
    runtime.block_on(async {
        let insert =
            client.prepare("INSERT INTO all_types VALUES ($1, $2, $3, $4, $5, $6, $7, $8)").await.expect("prepared");
        for n in 0..50_i32 {
            let (text, bytes) = (format!("text {n}"), vec![n as u8, 0, 255]);
            let even = n % 2 == 0;
            let text = even.then_some(&text);
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
                &(n as i16),
                &n,
                &(i64::from(n) << 40),
                &(n as f32 / 2.0),
                &(f64::from(n) / 3.0),
                &even,
                &text,
                &bytes,
            ];
            assert_eq!(client.execute(&insert, &values).await.map_err(|error| told(&error)), Ok(1));
        }
        let select = client.prepare("SELECT * FROM all_types WHERE b = $1").await.expect("prepared");
        for n in [0_i32, 7, 49] {
            let row = client.query_one(&select, &[&n]).await.expect("a row");
            assert_eq!((row.get::<_, i16>(0), row.get::<_, i64>(2)), (n as i16, i64::from(n) << 40));
            assert_eq!((row.get::<_, f32>(3), row.get::<_, f64>(4)), (n as f32 / 2.0, f64::from(n) / 3.0));
            assert_eq!(row.get::<_, Option<String>>(6), (n % 2 == 0).then(|| format!("text {n}")));
            assert_eq!(row.get::<_, Vec<u8>>(7), [n as u8, 0, 255]);
        }
        // What the schema says now counts, not what it said when the statement was prepared.
        client.batch_execute("ALTER TABLE all_types ADD COLUMN i int DEFAULT 5").await.expect("another column");
        let row = client.query_one("SELECT i FROM all_types WHERE b = 7", &[]).await.expect("a row");
        assert_eq!(row.get::<_, i32>(0), 5);
    });
    cluster.stop();
}

#[test]
fn a_statement_can_be_cancelled_and_ended() {
    let mut cluster = Cluster::start(1);
    let sql = Sql::connect(cluster.nodes[0].sql).expect("a client");
    sql.must("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)");
    let Sql { runtime, client } = &sql;
    runtime.block_on(async {
        let token = client.cancel_token();
        client.batch_execute("BEGIN; UPDATE t SET n = 1 WHERE id = 1").await.expect("a change");
        let sleeping = client.batch_execute("SELECT pg_sleep(60)");
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            token.cancel_query(NoTls).await.expect("cancelled");
        };
        let (slept, ()) = tokio::join!(sleeping, cancelling);
        assert_eq!(code(&slept.expect_err("cancelled")), "57014");
        client.batch_execute("ROLLBACK").await.expect("rolled back");
        client.batch_execute("SET statement_timeout = '100ms'").await.expect("set");
        let slept = client.batch_execute("SELECT pg_sleep(60)").await;
        assert_eq!(code(&slept.expect_err("too late")), "57014");
    });
    assert_eq!(sql.must("SELECT n FROM t"), ["0"]);
    // A client that goes while its statement is at work leaves no lock.
    let other = Sql::connect(cluster.nodes[0].sql).expect("a client");
    other.must("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    other.runtime.block_on(async {
        let sleeping = other.client.batch_execute("SELECT pg_sleep(600)");
        assert!(tokio::time::timeout(Duration::from_millis(200), sleeping).await.is_err(), "it sleeps");
    });
    drop(other);
    until_true("the lock is free", PATIENCE, || sql.ask("SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT").is_ok());
    cluster.stop();
}

#[test]
fn slow_statements_are_logged() {
    let mut cluster = Cluster::start_with(1, &["--slow-statement=50ms"]);
    let sql = Sql::connect(cluster.nodes[0].sql).expect("a client");
    sql.must("SELECT 'quick'");
    sql.must("SELECT 'slow', pg_sleep(0.1)");
    until_true("it is logged", PATIENCE, || cluster.nodes[0].log().contains("SELECT 'slow', pg_sleep(0.1)"));
    assert!(!cluster.nodes[0].log().contains("SELECT 'quick'"), "{}", cluster.nodes[0].log());
    cluster.stop();
}
