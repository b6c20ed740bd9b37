mod blocks;
mod described;
mod enums;
mod notices;
mod sequences;
mod temporary;

use annulus_relation::catalog::Databases;

use crate::session::answer::Run;
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
fn the_catalog_that_is_shown_is_the_present_one() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut client, mut other) = (node.client().await, elsewhere.client().await);
        let count = "select count(*) from pg_class where relkind = 'r' and relname like 't_'";
        let shown = |tables: usize| format!("{tables}\nSELECT 1");
        client.ok("create table t0 (id int primary key)").await;
        assert_eq!(client.ok(count).await, shown(1));
        other.ok("create table t1 (id int primary key)").await;
        assert_eq!(client.ok(count).await, shown(2));
        other.ok("create table t2 (id int primary key)").await;
        client.ok("begin isolation level repeatable read read only").await;
        assert!(client.ok(count).await.starts_with('3'));
        other.ok("create table t3 (id int primary key)").await;
        assert!(client.ok(count).await.starts_with('3'));
        client.ok("rollback").await;
        assert_eq!(client.ok(count).await, shown(4));
        // What a block has made itself is shown in it.
        client.ok("begin; create table t4 (id int primary key)").await;
        assert_eq!(client.ok(count).await, shown(5));
        client.ok("commit").await;
        assert_eq!(other.ok(count).await, shown(5));
        // A block that was shown something else in the meantime does not commit.
        client.ok("begin").await;
        assert_eq!(client.ok(count).await, shown(5));
        other.ok("drop table t4").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        assert_eq!(client.ok(count).await, shown(4));
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

#[test]
fn queries_run_on_the_engine_and_read_from_the_transaction() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, g int, v text)").await;
        client.ok("create table u (g int primary key, name text)").await;
        client.ok("insert into t values (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'); insert into u values (1, 'one'), (2, 'two')").await;
        let joined = "select u.name, count(*) from t join u on t.g = u.g group by u.name order by 1";
        assert_eq!(client.ok(joined).await, "one|2\ntwo|1\nSELECT 2");
        client.ok("begin; insert into t values (4, 2, 'd')").await;
        assert_eq!(client.ok(joined).await, "one|2\ntwo|2\nSELECT 2");
        client.ok("rollback").await;
        assert_eq!(client.ok("insert into t select id + 10, g, upper(v) from t where g = 1").await, "INSERT 0 2");
        assert_eq!(
            client.ok("update t set v = u.name from u where u.g = t.g and t.id > 10 returning t.id, v").await,
            "11|one\n12|one\nUPDATE 2"
        );
        assert_eq!(client.ok("delete from t using u where u.g = t.g and u.name = 'two'").await, "DELETE 1");
        assert_eq!(
            client.ok("select count(*), max(v) from t where id in (select id from t where id > 1)").await,
            "3|one\nSELECT 1"
        );
    });
}

#[test]
fn what_conflicts_is_skipped_or_updated() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v int default 1)").await;
        client.ok("insert into t values (1, 1)").await;
        assert_eq!(client.ok("insert into t values (1, 5), (2, 5) on conflict do nothing").await, "INSERT 0 1");
        let upsert =
            "insert into t as x values (1, 5), (3, 5) on conflict (id) do update set v = x.v + excluded.v returning *";
        assert_eq!(client.ok(upsert).await, "1|6\n3|5\nINSERT 0 2");
        let twice = "insert into t values (9, 1), (9, 2) on conflict (id) do update set v = excluded.v";
        assert!(client.told(twice).await.starts_with("ERROR 21000"));
        assert_eq!(client.ok("select count(*) from t").await, "3\nSELECT 1");
    });
}

#[test]
fn prepared_statements_follow_the_catalog() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v text)").await;
        client.ok("prepare put (int, text) as insert into t values ($1, $2); prepare got as select v from t where id = $1").await;
        client.ok("execute put (1, 'x'); execute put (2, 'y')").await;
        assert_eq!(client.ok("execute got (2)").await, "y\nSELECT 1");
        client.ok("alter table t add column w int").await;
        assert_eq!(client.ok("execute got (1)").await, "x\nSELECT 1");
        client.ok("deallocate got").await;
        assert!(client.told("execute got (1)").await.starts_with("ERROR 26000"));
    });
}

#[test]
fn settings_follow_the_transaction() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("begin; set search_path to x; rollback").await;
        assert_eq!(client.ok("show search_path").await, "\"$user\", public\nSHOW");
        client.ok("begin; set local statement_timeout to 500").await;
        assert_eq!(client.ok("show statement_timeout").await, "500ms\nSHOW");
        client.ok("commit").await;
        assert_eq!(client.ok("show statement_timeout").await, "0\nSHOW");
        assert_eq!(
            client.ok("select current_setting('application_name') = '', current_user, current_database()").await,
            "t|me|annulus\nSELECT 1"
        );
        let told = client.told("begin isolation level read committed").await;
        assert!(told.contains("NOTICE: isolation level \"read committed\" runs as strict serializable"), "{told}");
        client.ok("rollback").await;
        assert!(client.told("begin read only; create table t (a int)").await.contains("ERROR 25006"));
        let asked = "select current_setting('transaction_read_only')";
        client.ok("rollback; begin read only, deferrable").await;
        assert_eq!(client.ok("show transaction_deferrable").await, "on\nSHOW");
        assert_eq!(client.ok(asked).await, "on\nSELECT 1");
        client.ok("commit and chain").await;
        assert_eq!(client.ok("show transaction_read_only").await, "on\nSHOW");
        client.ok("rollback; begin; set transaction_read_only = on; commit").await;
        assert_eq!(client.ok(asked).await, "off\nSELECT 1");
        client.ok("set default_transaction_read_only = on; begin").await;
        assert_eq!(client.ok(asked).await, "on\nSELECT 1");
        client.ok("rollback; begin; set transaction read write").await;
        assert_eq!(client.ok(asked).await, "off\nSELECT 1");
    });
}

#[test]
fn shapes_of_statements_are_analyzed_once() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id bigint primary key, v text)").await;
        for id in 1..5 {
            assert_eq!(client.ok(&format!("insert into t values ({id}, 'v{id}')")).await, "INSERT 0 1");
            assert_eq!(client.ok(&format!("select v from t where id = {id}")).await, format!("v{id}\nSELECT 1"));
            assert_eq!(client.ok(&format!("update t set v = v || 'x' where id = {id}")).await, "UPDATE 1");
        }
        node.db.take_calls();
        client.ok("update t set v = 'again' where id = 1").await;
        let calls = node.db.take_calls();
        assert_eq!(calls.values().sum::<usize>(), 2, "{calls:?}");
        client.ok("insert into t values (77, 'x')").await;
        let calls = node.db.take_calls();
        assert_eq!(calls.values().sum::<usize>(), 1, "{calls:?}");
    });
}

#[test]
fn views_and_tables_of_queries() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v int); insert into t values (1, 10), (2, 20)").await;
        client.ok("create view w (n, double) as select id, v * 2 from t").await;
        assert_eq!(client.ok("select * from w order by n").await, "1|20\n2|40\nSELECT 2");
        assert!(client.told("drop table t").await.starts_with("ERROR 2BP01"));
        assert_eq!(client.ok("create table u as select * from w where double > 20").await, "SELECT 1");
        assert_eq!(client.ok("select * from u").await, "2|40\nSELECT 1");
        client.ok("create or replace view w as select id as n, v * 3 as double from t").await;
        assert_eq!(client.ok("select double from w where n = 1").await, "30\nSELECT 1");
        let told = client.ok("drop table t cascade").await;
        assert!(told.contains("NOTICE: drop cascades to view w"), "{told}");
        assert!(client.told("select * from w").await.starts_with("ERROR 42P01"));
    });
}

#[test]
fn indexes_are_filled_with_the_rows_that_are_there() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v int, w text)").await;
        client.ok("insert into t select i, i % 100, 'w' || i from generate_series(1, 5000) i").await;
        client.ok("create index on t (v) include (w); create unique index u on t ((lower(w)))").await;
        let plan = client.ok("explain select * from t where v = 7").await;
        assert!(plan.contains("Index Scan using t_v_idx"), "{plan}");
        assert_eq!(client.ok("select count(*) from t where v = 7").await, "50\nSELECT 1");
        assert!(client.told("insert into t values (0, 0, 'W17')").await.starts_with("ERROR 23505"));
        assert!(client.told("create unique index on t (v)").await.starts_with("ERROR 23505"));
        client.ok("insert into t values (0, 0, 'x')").await;
        client.ok("begin; create index i on t (w); drop index u; commit").await;
        assert_eq!(client.ok("select id from t where w = 'w17'").await, "17\nSELECT 1");
        assert!(client.told("alter table t add check (v > 0)").await.starts_with("ERROR 23514"));
        client.ok("alter table t add constraint c check (v >= 0), alter column w set not null").await;
        assert!(client.told("insert into t values (-1, -1, 'y')").await.starts_with("ERROR 23514"));
        assert!(client.told("insert into t values (-1, 1, null)").await.starts_with("ERROR 23502"));
    });
}

#[test]
fn foreign_keys_hold_and_act() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table p (id int primary key); create table c (id int primary key, p int references p on delete cascade)").await;
        assert!(client.told("insert into c values (1, 1)").await.starts_with("ERROR 23503"));
        client.ok("insert into p values (1), (2); insert into c values (1, 1), (2, 2)").await;
        client.ok("delete from p where id = 1").await;
        assert_eq!(client.ok("select * from c").await, "2|2\nSELECT 1");
        assert!(client.told("drop table p").await.starts_with("ERROR 2BP01"));
        assert!(client.told("truncate p").await.starts_with("ERROR 0A000"));
        client.ok("alter table c drop constraint c_p_fkey; insert into c values (3, 9)").await;
        assert!(client.told("alter table c add foreign key (p) references p").await.starts_with("ERROR 23503"));
        client.ok("delete from c where id = 3; alter table c add foreign key (p) references p").await;
        assert!(client.told("delete from p").await.starts_with("ERROR 23503"));
        client.ok("truncate p, c; drop table p cascade; insert into c values (5, 5)").await;
    });
}

#[test]
fn a_primary_key_is_made_while_others_write() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client
            .ok("create table t (id int, v int, unique (v)); insert into t select i, -i from generate_series(1, 9000) i")
            .await;
        let writes = async {
            for n in 1..60 {
                other.ok(&format!("insert into t values ({}, {n})", 10_000 + n)).await;
                other.ok(&format!("update t set v = v - 20000 where id = {n}")).await;
                other.ok(&format!("update t set id = {} where id = {}", 20_000 + n, 9_000 - n)).await;
                other.ok(&format!("delete from t where id = {}", 5_000 - n)).await;
            }
        };
        let (told, ()) = tokio::join!(client.ok("alter table t add primary key (id)"), writes);
        assert_eq!(told, "ALTER TABLE");
        let plan = client.ok("explain select * from t where id = 7").await;
        assert!(plan.contains("Point Read using t_pkey"), "{plan}");
        assert_eq!(client.ok("select id from t where v = -20007").await, "7\nSELECT 1");
        let sums = "select count(*), count(distinct id), max(id), min(v) from t";
        assert_eq!(client.ok(sums).await, "9000|9000|20059|-20059\nSELECT 1");
        assert!(client.told("insert into t values (20001, 77)").await.starts_with("ERROR 23505"));
    });
}

#[test]
fn data_is_copied_in_and_out() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v text, n int default 5)").await;
        assert_eq!(client.copy("copy t (id, v) from stdin", "1\tone\n2\t\\N\n").await, "COPY 2");
        assert_eq!(client.ok("copy t to stdout (format csv, header)").await, "id,v,n\n1,one,5\n2,,5\nCOPY 2");
        assert_eq!(client.ok("copy (select v from t order by id desc) to stdout").await, "\\N\none\nCOPY 2");
        let told = client.copy("copy t from stdin", "3\tthree\t3\nx\ty\tz\n").await;
        assert!(told.starts_with("ERROR 22P02") && told.contains("COPY t, line 2"), "{told}");
        assert!(client.copy("copy t from stdin", "3\n").await.starts_with("ERROR 22P04"));
        assert!(client.copy("copy t from stdin", "1\tagain\t1\n").await.starts_with("ERROR 23505"));
        assert_eq!(client.ok("select count(*) from t").await, "2\nSELECT 1");
        let told = client.copy("copy t from stdin", "4\tx\t1\n\tx\t1\n5\tx\t1\n").await;
        assert!(told.contains("(COPY t, line 2, column id: \"\")"), "{told}");
        let told = client.copy("copy t from stdin", "4\tx\t1\n\\N\tx\t1\n5\tx\t1\n").await;
        assert!(told.starts_with("ERROR 23502") && told.contains("(COPY t, line 2)"), "{told}");
    });
}

#[test]
fn others_see_how_far_a_copy_is() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key)").await;
        let statement = client.session.split("copy t from stdin where id <> 2").unwrap().pop().unwrap();
        let mut portal = client.session.start(statement).await.unwrap();
        let whole = Run { most: 1, last: true };
        client.session.run(&mut portal, whole).await.unwrap();
        client.session.copy_in(&mut portal, "1\n2\n3\n".into()).await.unwrap();
        let shown = "select datname, relid::regclass, command, bytes_processed, tuples_processed, tuples_excluded \
                     from pg_stat_progress_copy";
        assert_eq!(other.ok(shown).await, "annulus|t|COPY FROM|6|2|1\nSELECT 1");
        client.session.run(&mut portal, whole).await.unwrap();
        assert_eq!(other.ok(shown).await, "SELECT 0");
        assert_eq!(other.ok("copy (select relid, command, type from pg_stat_progress_copy) to stdout").await, "COPY 0");
    });
}

#[test]
fn databases_are_apart() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create database d with (slots = 4, replication_factor = 3)").await;
        assert!(client.told("create database d").await.starts_with("ERROR 42P04"));
        assert!(client.told("create database e with (slots = 3)").await.starts_with("ERROR 22023"));
        assert!(client.told("create database e with (replicas = 3)").await.starts_with("ERROR 42601"));
        assert!(client.told("begin; create database e").await.contains("ERROR 25001"));
        client.ok("rollback; create table t (id int primary key)").await;
        let mut other = node.client_of("d").await;
        assert!(other.told("select * from t").await.starts_with("ERROR 42P01"));
        other.ok("create table t (id int primary key, v int); create index on t (v)").await;
        other.ok("insert into t select i, i % 3 from generate_series(1, 50) i").await;
        assert_eq!(other.ok("select count(*) from t where v = 1").await, "17\nSELECT 1");
        assert_eq!(other.ok("select id from t where id > 40 order by id limit 2").await, "41\n42\nSELECT 2");
        assert_eq!(client.ok("select datname from pg_database order by 1").await, "annulus\nd\npostgres\nSELECT 3");
        client.ok("drop database d").await;
        assert!(other.told("insert into t values (99)").await.starts_with("ERROR 3D000"));
    });
}

#[test]
fn a_database_has_as_many_replicas_as_the_cluster_keeps_or_as_it_says() {
    run(async |node| {
        node.db.set_replication_factor(5);
        let mut client = node.client().await;
        client.ok("create database d").await;
        client.ok("create database e with (replication_factor = 1)").await;
        let databases = Databases::load(&node.db, 1_000_000).await.unwrap();
        let replicas = ["annulus", "d", "e"].map(|name| databases.get(name).unwrap().replication_factor);
        assert_eq!(replicas, [5, 5, 1]);
    });
}

#[test]
fn the_past_is_read_at_the_time_that_each_statement_names() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)").await;
        // The second of the same shape must not be taken for the first.
        for id in [1, 2] {
            let past = format!("select v from t as of system time '-{id}s' where id = {id}");
            assert_eq!(client.ok(&past).await, format!("{id}\nSELECT 1"));
        }
        client.ok("prepare p (timestamptz) as select v from t as of system time $1 where id = 1").await;
        assert!(client.told("execute p (now())").await.starts_with("ERROR 0A000"));
    });
}

#[test]
fn rows_are_locked_for_others() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)").await;
        one.ok("begin").await;
        assert_eq!(one.ok("select v from t where id = 1 for update").await, "1\nSELECT 1");
        other.ok("begin").await;
        assert!(other.told("select * from t where id = 1 for update nowait").await.starts_with("ERROR 55P03"));
        other.ok("rollback; begin").await;
        assert_eq!(other.ok("select id from t for update skip locked").await, "2\nSELECT 1");
        other.ok("commit").await;
        one.ok("update t set v = 5 where id = 1; commit").await;
        assert_eq!(node.db.locks(), 0);
        assert_eq!(other.ok("select v from t where id = 1 for share").await, "5\nSELECT 1");
        assert_eq!(node.db.locks(), 0);
    });
}

#[test]
fn workers_of_a_queue_do_not_fail_each_other() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table job (id int primary key, state text, due int)").await;
        one.ok("insert into job values (1, 'new', 9), (2, 'new', 7), (3, 'old', 5), (4, 'new', 8)").await;
        let next = "select id from job where state = 'new' order by due limit 1 for update skip locked";
        one.ok("begin").await;
        assert_eq!(one.ok(next).await, "2\nSELECT 1");
        other.ok("begin").await;
        assert_eq!(other.ok(next).await, "4\nSELECT 1");
        one.ok("update job set state = 'done' where id = 2; commit").await;
        other.ok("update job set state = 'done' where id = 4; commit").await;
        let all = format!("update job set state = 'done' where id in ({}) returning id", next.replace("limit 1", ""));
        assert_eq!(one.ok(&all).await, "1\nUPDATE 1");
        assert_eq!(node.db.locks(), 0);
    });
}

#[test]
fn rows_of_joined_tables_are_locked() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.client().await);
        one.ok("create table c (id int primary key, name text); insert into c values (1, 'x'), (2, 'y')").await;
        one.ok("create table o (id int primary key, c int, n int); insert into o values (7, 1, 0), (8, 2, 0)").await;
        let joined = "select o.id, name from o join c on o.c = c.id where o.id = 7 for update of o";
        one.ok("begin").await;
        assert_eq!(one.ok(joined).await, "7|x\nSELECT 1");
        other.ok("begin").await;
        assert!(other.told(&format!("{joined} nowait")).await.starts_with("ERROR 55P03"));
        other.ok("rollback; begin").await;
        assert_eq!(other.ok("select id from c where id = 1 for update nowait").await, "1\nSELECT 1");
        let all = "select o.id from o join c on o.c = c.id order by o.id for update of o skip locked";
        assert_eq!(other.ok(all).await, "8\nSELECT 1");
        other.ok("update o set n = 1 where id = 8; commit").await;
        one.ok("update o set n = 1 where id = 7; commit").await;
        assert_eq!(node.db.locks(), 0);
        assert_eq!(other.ok(joined).await, "7|x\nSELECT 1");
        other.ok("begin; select o.id from o join c on o.c = c.id for update; update c set name = 'z'; commit").await;
        assert_eq!(node.db.locks(), 0);
    });
}

#[test]
fn an_error_that_others_have_mended_is_not_told() {
    run(async |node| {
        let (mut one, mut other) = (node.client().await, node.other().client().await);
        one.ok("create table t (id int primary key, v int not null)").await;
        other.ok("insert into t values (1, 1)").await;
        one.ok("alter table t alter column v drop not null").await;
        other.ok("insert into t values (2, null)").await;
        one.ok("alter table t add unique (v)").await;
        assert!(other.told("insert into t values (3, 1)").await.starts_with("ERROR 23505"));
        one.ok("alter table t drop constraint t_v_key").await;
        other.ok("insert into t values (3, 1)").await;
    });
}

#[test]
fn outcomes_and_ids_of_transactions_can_be_asked_for() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key)").await;
        client.ok("insert into t values (1)").await;
        let id = client.ok("select annulus.transaction_id()").await;
        let id = id.lines().next().unwrap();
        assert_eq!(client.ok(&format!("select annulus.outcome('{id}')")).await, "committed\nSELECT 1");
        assert!(client.told("select annulus.outcome('nonsense')").await.starts_with("ERROR 22023"));
        client.ok("begin; insert into t values (2)").await;
        node.db.inject(
            annulus_txn::testing::Call::Commit,
            annulus_txn::testing::Fault::FailsAfter(annulus_txn::interface::TxnError::Unknown),
        );
        let told = client.told("commit").await;
        assert!(told.starts_with("ERROR 40003"), "{told}");
        assert_eq!(client.ok("select count(*) from t").await, "2\nSELECT 1");
    });
}

#[test]
fn a_statement_that_always_loses_is_given_up() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key)").await;
        for _ in 0..super::execute::MOST_TRIES {
            let conflict = annulus_txn::interface::TxnError::Conflict(annulus_base::Key::new(0, 9, 9, b"x"));
            node.db.inject(annulus_txn::testing::Call::Commit, annulus_txn::testing::Fault::Fails(conflict));
        }
        assert!(client.told("insert into t values (1)").await.starts_with("ERROR 40001"));
        assert_eq!(client.ok("insert into t values (1)").await, "INSERT 0 1");
    });
}

#[test]
fn values_that_rows_are_not_given_are_taken_from_sequences_however_they_come() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create sequence u").await;
        client.ok("create table t (id serial primary key, k text default 'k' || nextval('u'), v int)").await;
        let rows: String = (0..500).map(|n| format!("{n}\n")).collect();
        assert_eq!(client.copy("copy t (v) from stdin", &rows).await, "COPY 500");
        let taken = "select count(*), count(distinct id), count(distinct k), sum(v) from t";
        assert_eq!(client.ok(taken).await, "500|500|500|124750\nSELECT 1");
        assert_eq!(client.ok("insert into t (v) select v from t").await, "INSERT 0 500");
        assert_eq!(client.ok(taken).await, "1000|1000|1000|249500\nSELECT 1");
        assert_eq!(client.ok("insert into t default values").await, "INSERT 0 1");
        let made = "create table w as select nextval('u') n from generate_series(1, 300)";
        assert_eq!(client.ok(made).await, "SELECT 300");
        assert_eq!(client.ok("select count(distinct n) from w").await, "300\nSELECT 1");
    });
}

#[test]
fn what_ran_is_counted() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key)").await;
        for id in 0..4 {
            client.ok(&format!("insert into t values ({id})")).await;
        }
        let counted = "select sum(calls), sum(rows) from pg_stat_statements where query like 'insert into t%'";
        assert_eq!(client.ok(counted).await, "4|4\nSELECT 1");
    });
}

#[test]
fn locks_are_shown_while_they_are_held() {
    run(async |node| {
        let (mut one, mut other, mut third) = (node.client().await, node.client().await, node.client().await);
        let shown = "select relation::regclass, locktype, mode, granted, waitstart is null from pg_locks order by pid";
        one.ok("create table t (id int primary key); insert into t values (1), (2)").await;
        assert_eq!(one.ok(shown).await, "SELECT 0");
        one.ok("begin; select * from t where id = 1 for update").await;
        assert_eq!(third.ok(shown).await, "t|relation|RowShareLock|t|t\nSELECT 1");
        let refused = other.told("begin; select * from t where id = 1 for update nowait").await;
        assert!(refused.contains("ERROR 55P03"), "{refused}");
        assert_eq!(third.ok(shown).await, "t|relation|RowShareLock|t|t\nSELECT 1");
        one.ok("rollback").await;
        assert_eq!(third.ok(shown).await, "SELECT 0");
        other.ok("rollback; begin; select * from t for update").await;
        assert_eq!(third.ok(shown).await, "t|relation|RowShareLock|t|t\nSELECT 1");
        other.ok("commit").await;
        assert_eq!(third.ok(shown).await, "SELECT 0");
    });
}

#[test]
fn a_token_makes_a_transaction_happen_once() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, n int); insert into t values (1, 0)").await;
        let pay = "begin; set local annulus.token = 'pay 1'; update t set n = n + 1 where id = 1; commit";
        client.ok(pay).await;
        let again = "ERROR 23505: the transaction of token \"pay 1\" is committed already";
        for client in [&mut client, &mut other] {
            assert!(client.told(pay).await.contains(again));
            assert_eq!(client.ok("select n from t").await, "1\nSELECT 1");
            assert_eq!(client.ok("select annulus.token_outcome('pay 1')").await, "committed\nSELECT 1");
        }
        assert_eq!(other.ok("select annulus.token_outcome('pay 2')").await, "aborted\nSELECT 1");
        let late = "begin; set local annulus.token = 'pay 2'; update t set n = 9; commit";
        assert!(client.told(late).await.contains("ERROR 40000: the outcome of token \"pay 2\" was told to be aborted"));
        // Without a block it is for the next statement that writes.
        client.ok("set annulus.token = 'single'").await;
        assert_eq!(client.ok("select n from t").await, "1\nSELECT 1");
        client.ok("update t set n = 2").await;
        client.ok("update t set n = 3").await;
        assert_eq!(client.ok("select annulus.token_outcome('single'), n from t").await, "committed|3\nSELECT 1");
        assert!(client.told("set annulus.token = '1-2-3-4-5-6-7'").await.starts_with("ERROR 22023"));
    });
}
