//! Values of sequences, on one node and on several.

use crate::testing::run;

#[test]
fn sequences_and_identities_give_values() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id serial primary key, g int generated always as identity, v int generated always as (id * 2) stored)").await;
        assert_eq!(client.ok("insert into t default values returning *").await, "1|1|2\nINSERT 0 1");
        assert_eq!(
            client.ok("insert into t (id) values (default), (default) returning id, g").await,
            "2|2\n3|3\nINSERT 0 2"
        );
        assert_eq!(client.ok("select nextval('t_id_seq'), currval('t_id_seq'), lastval()").await, "4|4|4\nSELECT 1");
        assert_eq!(client.ok("select setval('t_id_seq', 10)").await, "10\nSELECT 1");
        assert_eq!(client.ok("insert into t default values returning id").await, "11\nINSERT 0 1");
        assert!(client.told("insert into t (g) values (7)").await.starts_with("ERROR 428C9"));
        client.ok("create sequence s minvalue 1 maxvalue 2").await;
        assert_eq!(client.ok("select nextval('s'); select nextval('s')").await, "1\nSELECT 1\n2\nSELECT 1");
        assert!(client.told("select nextval('s')").await.starts_with("ERROR 2200H"));
        assert!(client.told("drop sequence t_id_seq").await.starts_with("ERROR 2BP01"));
        client.ok("drop table t").await;
        assert!(client.told("select nextval('t_id_seq')").await.starts_with("ERROR 42P01"));
    });
}

#[test]
fn values_taken_before_a_sequence_was_changed_are_not_given() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.other().client().await);
        let add = "insert into t default values returning id";
        one.ok("create table t (id serial primary key)").await;
        assert_eq!(one.ok(add).await, "1\nINSERT 0 1");
        assert_eq!(other.ok(add).await, "33\nINSERT 0 1");
        one.ok("truncate t restart identity").await;
        assert_eq!(other.ok(add).await, "1\nINSERT 0 1");
        assert_eq!(one.ok(add).await, "33\nINSERT 0 1");
        one.ok("alter sequence t_id_seq increment 5 restart 100").await;
        // It finds out when it looks at the catalog.
        assert_eq!(other.ok("select increment_by from pg_sequences").await, "5\nSELECT 1");
        assert_eq!(other.ok(add).await, "100\nINSERT 0 1");
        // Those that a block takes of what it has changed are its own, and go on when it has committed.
        one.ok("begin; truncate t restart identity").await;
        assert_eq!(one.ok(add).await, "1\nINSERT 0 1");
        assert_eq!(node.client().await.ok("select nextval('t_id_seq') > 100").await, "t\nSELECT 1");
        one.ok("rollback; begin; truncate t restart identity").await;
        assert_eq!(one.ok(add).await, "1\nINSERT 0 1");
        one.ok("commit").await;
        assert_eq!(one.ok(add).await, "6\nINSERT 0 1");
        // Another name changes no values.
        one.ok("alter sequence t_id_seq rename to s").await;
        assert_eq!(one.ok(add).await, "11\nINSERT 0 1");
        one.ok("alter sequence s increment 10").await;
        assert_eq!(one.ok(add).await, "161\nINSERT 0 1");
    });
}
