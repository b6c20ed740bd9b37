use crate::testing::run;

#[test]
fn rows_are_stored_found_changed_and_deleted() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, name text, n numeric(6,2) default 1.5)").await;
        assert_eq!(client.ok("insert into t values (1, 'one'), (2, 'two'), (3, null)").await, "INSERT 0 3");
        assert_eq!(client.ok("select * from t where id = 2").await, "2|two|1.50\nSELECT 1");
        assert_eq!(client.ok("select id, upper(name) as u from t where id >= 2").await, "2|TWO\n3|NULL\nSELECT 2");
        assert_eq!(client.ok("update t set n = n + id where id < 3 returning id, n").await, "1|2.50\n2|3.50\nUPDATE 2");
        assert_eq!(client.ok("delete from t where name is null").await, "DELETE 1");
        assert_eq!(client.ok("select id from t order by id").await, "1\n2\nSELECT 2");
        assert_eq!(
            client.told("insert into t values (1)").await,
            "ERROR 23505: duplicate key value violates unique constraint \"t_pkey\" (Key (id)=(1) already exists.)"
        );
    });
}

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
fn other_nodes_see_changes_of_the_catalog() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut one, mut other) = (node.client().await, elsewhere.client().await);
        one.ok("create table t (id int primary key)").await;
        other.ok("insert into t values (1)").await;
        one.ok("alter table t add column v int default 7").await;
        assert_eq!(other.ok("select * from t").await, "1|7\nSELECT 1");
        one.ok("drop table t").await;
        assert_eq!(other.told("select * from t").await, "ERROR 42P01: relation \"t\" does not exist at 15");
    });
}
