//! Temporary relations: whose they are, and how long.

use crate::testing::{Client, run};

const SHOWN: &str = "select count(*) from pg_class where relpersistence = 't'";

async fn value(client: &mut Client) -> String {
    client.told("select v from t where id = 1").await
}

#[test]
fn plans_of_others_are_not_used() {
    run(async |node| {
        let (mut one, mut two) = (node.client().await, node.client().await);
        let mut third = node.other().client().await;
        one.ok("create table t (id int primary key, v text); insert into t values (1, 'all')").await;
        for client in [&mut one, &mut two, &mut third] {
            client.ok("prepare p as select v from t where id = $1").await;
            for _ in 0..2 {
                assert_eq!(client.ok("execute p (1)").await, "all\nSELECT 1");
                assert_eq!(value(client).await, "all\nSELECT 1");
            }
        }
        one.ok("create temp table t (id int primary key, v text); insert into t values (1, 'one')").await;
        two.ok("create temp table t as select id, 'two'::text as v from t").await;
        for (client, own) in [(&mut one, "one"), (&mut two, "two"), (&mut third, "all")] {
            for _ in 0..2 {
                assert_eq!(value(client).await, format!("{own}\nSELECT 1"));
                assert_eq!(client.ok("execute p (1)").await, format!("{own}\nSELECT 1"));
                assert_eq!(client.ok("update t set v = v where id = 1").await, "UPDATE 1");
            }
        }
        one.ok("drop table t").await;
        for (client, own) in [(&mut one, "all"), (&mut two, "two")] {
            assert_eq!(value(client).await, format!("{own}\nSELECT 1"));
            assert_eq!(client.ok("execute p (1)").await, format!("{own}\nSELECT 1"));
        }
        // One with other columns.
        one.ok("create temp table t (id int, v int)").await;
        assert!(one.told("execute p (1)").await.starts_with("ERROR 0A000: cached plan must not change result type"));
    });
}

#[test]
fn a_namesake_of_a_table_is_in_nobodys_way() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.other().client().await);
        one.ok("create table t (id int primary key, v int); insert into t values (1, 1)").await;
        other.ok("begin").await;
        assert_eq!(other.ok("update t set v = v + 1 where id = 1 returning v").await, "2\nUPDATE 1");
        one.ok("create temp table t (id int primary key); insert into t values (7)").await;
        one.ok("discard temp").await;
        assert_eq!(other.ok("select v from t where id = 1; commit").await, "2\nSELECT 1\nCOMMIT");
        other.ok("create temp table n (id int primary key)").await;
        other.ok("begin; insert into n values (1)").await;
        one.ok("create table n (id int primary key)").await;
        assert_eq!(other.ok("select id from n; commit").await, "1\nSELECT 1\nCOMMIT");
    });
}

#[test]
fn sessions_see_no_others() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create temp table t (v int); insert into t values (1)").await;
        let schema = one.ok("select pg_my_temp_schema()::regnamespace").await;
        let schema = schema.lines().next().unwrap();
        assert!(other.told("select * from t").await.starts_with("ERROR 42P01"));
        assert_eq!(
            other.ok("select pg_table_is_visible(oid), pg_is_other_temp_schema(relnamespace) from pg_class where relname = 't'").await,
            "f|t\nSELECT 1"
        );
        other.ok(&format!("set search_path to {schema}, public")).await;
        assert!(other.told("select * from t").await.starts_with("ERROR 42P01"));
        let refused = [
            format!("select * from {schema}.t"),
            format!("select v from {schema}.t where v = 1"),
            format!("insert into {schema}.t values (2)"),
            format!("delete from {schema}.t"),
            format!("create table {schema}.u (a int)"),
            format!("alter table {schema}.t add a int"),
            format!("drop table {schema}.t"),
            format!("drop schema {schema} cascade"),
        ];
        for statement in refused {
            let told = other.told(&statement).await;
            assert!(told.starts_with("ERROR 0A000: cannot access temporary tables of other sessions"), "{told}");
        }
        assert_eq!(one.ok(&format!("select v from {schema}.t")).await, "1\nSELECT 1");
    });
}

#[test]
fn what_was_created_is_undone_with_its_transaction() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v text); insert into t values (1, 'all')").await;
        client.ok("begin; create temp table t (id int primary key, v text); insert into t values (1, 'own')").await;
        assert_eq!(value(&mut client).await, "own\nSELECT 1");
        client.ok("rollback").await;
        assert_eq!(value(&mut client).await, "all\nSELECT 1");
        assert_eq!(client.ok(SHOWN).await, "0\nSELECT 1");
        client.ok("begin; savepoint s; create temp table t (id int, v text) on commit drop; rollback to s").await;
        client.ok("create temp table t (id int, v text); insert into t values (1, 'kept'); commit").await;
        assert_eq!(value(&mut client).await, "kept\nSELECT 1");
    });
}

#[test]
fn commits_do_what_tables_say() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create temp table e (id int primary key, v int unique) on commit delete rows").await;
        let kept = node.db.present().len();
        client.ok("insert into e values (1, 1)").await;
        client.ok("begin; insert into e values (1, 1), (2, 2); update e set v = 3 where id = 1; commit").await;
        assert_eq!(node.db.present().len(), kept);
        assert_eq!(client.ok("select count(*) from e").await, "0\nSELECT 1");
        // Rows that are written around the transaction.
        let rows: String = (0..5_000).map(|id| format!("{id}\t{id}\n")).collect();
        client.ok("begin").await;
        assert_eq!(client.copy("copy e from stdin", &rows).await, "COPY 5000");
        assert_eq!(client.ok("select count(*) from e").await, "5000\nSELECT 1");
        client.ok("insert into e values (-1, -1); commit").await;
        assert_eq!(client.ok("select count(*) from e").await, "0\nSELECT 1");
        assert_eq!(client.copy("copy e from stdin", &rows).await, "COPY 5000");
        assert_eq!(client.ok("select count(*) from e").await, "0\nSELECT 1");
        client.ok("create temp table d on commit drop as select * from generate_series(1, 5000) id").await;
        assert!(client.told("select * from d").await.starts_with("ERROR 42P01"));
        client.ok("begin; create temp table d (id serial primary key) on commit drop").await;
        client.ok("create temp view w as select * from d; insert into d default values").await;
        assert_eq!(client.ok("select id from w; commit").await, "1\nSELECT 1\nCOMMIT");
        assert_eq!(
            client.ok("select relname from pg_class where relpersistence = 't' and relkind <> 'i'").await,
            "e\nSELECT 1"
        );
    });
}

#[test]
fn discarded_ones_are_gone() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create temp table t (a int)").await;
        assert_eq!(client.ok("begin; discard temp; rollback").await, "BEGIN\nDISCARD TEMP\nROLLBACK");
        assert_eq!(client.ok("select * from t").await, "SELECT 0");
        assert_eq!(client.ok("discard temp; discard temp").await, "DISCARD TEMP\nDISCARD TEMP");
        assert_eq!(client.ok(SHOWN).await, "0\nSELECT 1");
        client.ok("create temp table t (a int)").await;
        assert!(client.told("begin; discard all").await.starts_with("BEGIN\nERROR 25001"));
        client.ok("rollback; discard all").await;
        assert_eq!(client.ok(SHOWN).await, "0\nSELECT 1");
    });
}
