//! What is told beside answers.

use crate::testing::run;

#[test]
fn what_is_there_already_or_not_there_is_told_with_its_state() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (a int); create index i on t (a); create sequence s; create schema x").await;
        client.ok("create view v as select 1 as c").await;
        let told = [
            ("create table if not exists t (a int)", "NOTICE 42P07: relation \"t\" already exists, skipping"),
            ("create table if not exists t as select 1", "NOTICE 42P07: relation \"t\" already exists, skipping"),
            ("create index if not exists i on t (a)", "NOTICE 42P07: relation \"i\" already exists, skipping"),
            ("create sequence if not exists s", "NOTICE 42P07: relation \"s\" already exists, skipping"),
            ("create schema if not exists x", "NOTICE 42P06: schema \"x\" already exists, skipping"),
            (
                "alter table t add if not exists a int",
                "NOTICE 42701: column \"a\" of relation \"t\" already exists, skipping",
            ),
            ("alter table t drop if exists z", "NOTICE: column \"z\" of relation \"t\" does not exist, skipping"),
            ("alter table if exists z add a int", "NOTICE: relation \"z\" does not exist, skipping"),
            ("drop table if exists z", "NOTICE: table \"z\" does not exist, skipping"),
            ("drop view if exists y.z", "NOTICE: schema \"y\" does not exist, skipping"),
        ];
        for (sql, notice) in told {
            assert_eq!(client.ok(sql).await.lines().last(), Some(notice), "{sql}");
        }
    });
}
