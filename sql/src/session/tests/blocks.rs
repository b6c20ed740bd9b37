//! Transaction blocks.

use crate::testing::run;

#[test]
fn a_block_is_one_transaction() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table t (id int primary key, v int)").await;
        one.ok("begin").await;
        one.ok("insert into t values (1, 1)").await;
        assert_eq!(other.ok("select * from t").await, "SELECT 0");
        assert_eq!(one.ok("select * from t").await, "1|1\nSELECT 1");
        one.ok("commit").await;
        assert_eq!(other.ok("select * from t").await, "1|1\nSELECT 1");
        one.ok("begin; update t set v = 2; savepoint a; update t set v = 3; rollback to a; commit").await;
        assert_eq!(other.ok("select v from t").await, "2\nSELECT 1");
        one.ok("begin; delete from t; rollback").await;
        assert_eq!(other.ok("select v from t").await, "2\nSELECT 1");
    });
}

#[test]
fn a_block_defines_by_the_present_catalog() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut client, mut other) = (node.client().await, elsewhere.client().await);
        client.ok("create table t (id int primary key, v int); insert into t values (1, 1)").await;
        for definition in [
            "create index on t (v)",
            "create table new (id serial primary key); insert into new default values",
            "alter table t add check (v > 0)",
            "drop table new",
            "truncate t",
        ] {
            client.ok("select * from t").await;
            other.ok("alter table t alter v set default 5; create table mine (id int); drop table mine").await;
            client.ok("begin").await;
            for part in definition.split(';') {
                client.ok(part).await;
            }
            client.ok("commit").await;
        }
    });
}

#[test]
fn a_block_that_failed_can_only_be_rolled_back() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key)").await;
        client.ok("begin; savepoint s").await;
        assert!(client.told("select nothing from t").await.starts_with("ERROR 42703"));
        let aborted = "ERROR 25P02: current transaction is aborted, commands ignored until end of transaction block";
        assert_eq!(client.told("select 1").await, aborted);
        client.ok("rollback to s").await;
        assert_eq!(client.ok("select 1").await, "1\nSELECT 1");
        assert!(client.told("select 1/0").await.starts_with("ERROR 22012"));
        assert_eq!(client.told("commit").await, "ROLLBACK");
        assert_eq!(client.told("commit").await, "COMMIT\nWARNING: there is no transaction in progress");
    });
}

#[test]
fn conflicts_of_blocks_are_told_and_those_of_single_statements_are_not() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table t (id int primary key, v int); insert into t values (1, 0)").await;
        one.ok("begin").await;
        one.ok("select * from t").await;
        other.ok("update t set v = v + 1").await;
        one.ok("update t set v = v + 10").await;
        assert!(one.told("commit").await.starts_with("ERROR 40001"));
        assert_eq!(other.ok("select v from t").await, "1\nSELECT 1");
    });
}

#[test]
fn blocks_that_only_read_see_one_instant_and_read_any_number_of_rows() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table t (id int primary key, v int)").await;
        one.ok("insert into t select i, 0 from generate_series(1, 9000) i").await;
        one.ok("begin read only").await;
        assert_eq!(one.ok("select count(*) from t where v = 0").await, "9000\nSELECT 1");
        other.ok("update t set v = 1 where id = 5").await;
        assert_eq!(one.ok("select v from t where id = 5").await, "0\nSELECT 1");
        assert_eq!(one.ok("select * from t where id > 1").await.lines().count(), 9_000);
        assert_eq!(one.ok("select count(*) from t where v = 0").await, "9000\nSELECT 1");
        one.ok("commit").await;
        assert_eq!(one.ok("select v from t where id = 5").await, "1\nSELECT 1");
    });
}

#[test]
fn blocks_that_turn_out_to_only_read_see_one_instant_and_read_any_number_of_rows() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table t (id int primary key, v int); create table u (id int primary key, v int)").await;
        one.ok("insert into t select i, 0 from generate_series(1, 60000) i").await;
        one.ok("insert into u select i, 0 from generate_series(1, 60000) i").await;
        one.ok("begin").await;
        assert_eq!(one.ok("select v from t where id = 7").await, "0\nSELECT 1");
        assert_eq!(one.ok("select count(*) from t where v = 0").await, "60000\nSELECT 1");
        other.ok("update t set v = 1 where id = 5; update u set v = 1 where id = 5").await;
        assert_eq!(one.ok("select count(*) from u where v = 0").await, "60000\nSELECT 1");
        assert_eq!(one.ok("select * from t where id > 1").await.lines().count(), 60_000);
        assert_eq!(one.ok("select v from t where id = 5").await, "0\nSELECT 1");
        one.ok("update u set v = 2 where id = 7").await;
        assert!(one.told("commit").await.starts_with("ERROR 40001"), "a writer must have seen the newest");
        one.ok("begin; select sum(v) from t; select sum(v) from u; commit").await;
        // The statements of one message are a transaction, too.
        assert_eq!(one.ok("select sum(v) from t; select sum(v) from u").await.lines().count(), 4);
        // What a writer has read besides is validated as ever, however much it is.
        one.ok("begin; select sum(v) from t; select sum(v) from u; update u set v = 4 where id = 9; commit").await;
        one.ok("insert into t select id + 60000, v from t").await;
        assert_eq!(one.ok("update t set v = 7 where v = 1").await, "UPDATE 2");
        assert_eq!(one.ok("delete from t where v = 7").await, "DELETE 2");
        one.ok("begin; select sum(v) from t").await;
        other.ok("update t set v = 2 where id = 9").await;
        one.ok("update u set v = 3 where id = 9").await;
        assert!(one.told("commit").await.starts_with("ERROR 40001"));
    });
}

#[test]
fn the_first_statement_of_a_block_is_tried_again() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut one, mut other) = (node.client().await, elsewhere.client().await);
        one.ok("create table t (id int primary key, v int); insert into t values (1, 0)").await;
        one.ok("select v from t").await;
        for (first, answer) in [
            ("select v from t where id = 1", "0\nSELECT 1"),
            ("select count(*) from t a join t b using (v)", "1\nSELECT 1"),
            ("insert into t (id, v) values (2, 2)", "INSERT 0 1"),
            ("update t set v = 0 where id = 1", "UPDATE 1"),
        ] {
            other.ok("alter table t add column w int; alter table t drop column w").await;
            one.ok("begin; set local statement_timeout = '17s'").await;
            assert_eq!(one.ok(first).await, answer);
            assert_eq!(one.ok("show statement_timeout").await, "17s\nSHOW");
            one.ok("commit").await;
        }
        // What has seen something already is not, since the client may have acted on it.
        one.ok("begin; select v from t").await;
        other.ok("alter table t add column w int default 5").await;
        one.ok("insert into t values (3, 3)").await;
        assert!(one.told("commit").await.starts_with("ERROR 40001"));
    });
}

#[test]
fn only_a_block_is_followed_by_another_one() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int)").await;
        for word in ["commit", "rollback"] {
            let told = client.told(&format!("insert into t values (1); {word} and chain")).await;
            assert!(told.contains("ERROR 25P01"), "{told}");
        }
        assert_eq!(client.ok("select count(*) from t").await, "0\nSELECT 1");
        client.ok("begin; insert into t values (1); commit and chain; insert into t values (2); rollback").await;
        assert_eq!(client.ok("select id from t").await, "1\nSELECT 1");
    });
}
