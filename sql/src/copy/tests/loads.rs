//! Tests of loads: more rows than a transaction can write.

use annulus_txn::interface::TxnError;
use annulus_txn::testing::{Call, Fault};

use crate::session::answer::News;
use crate::session::answer::Run;
use crate::testing::{Client, run};

/// Rows `from..to` of two numbers.
fn rows(from: u32, to: u32) -> String {
    (from..to).map(|id| format!("{id}\t{}\n", id % 10)).collect()
}

const COPY: &str = "copy t from stdin";
/// More than half of what a transaction can write.
const MANY: u32 = 60_000;

async fn count(client: &mut Client) -> String {
    client.ok("select count(*) from t").await.lines().next().unwrap().to_owned()
}

#[test]
fn a_table_of_the_transaction_or_an_empty_one_may_take_any_number_of_rows() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, v int)").await;
        client.ok("begin; truncate t").await;
        node.db.take_calls();
        assert_eq!(client.copy(COPY, &rows(0, 6_000)).await, "COPY 6000");
        let commits = node.db.take_calls()[&Call::Commit];
        assert_eq!(commits, 4, "a record and three batches");
        assert_eq!(count(&mut other).await, "0");
        client.ok("commit").await;
        assert_eq!(count(&mut other).await, "6000");
        client.ok("delete from t").await;
        assert_eq!(client.copy(COPY, &rows(0, 3 * MANY)).await, format!("COPY {}", 3 * MANY));
        assert_eq!(count(&mut other).await, (3 * MANY).to_string());
        // There are rows now.
        let told = client.copy(COPY, &rows(3 * MANY, 6 * MANY)).await;
        assert!(told.starts_with("ERROR 54000"), "{told}");
        assert!(client.copy(COPY, "0\t0\n").await.starts_with("ERROR 23505"));
        assert_eq!(client.copy(COPY, "-1\t0\n").await, "COPY 1");
    });
}

#[test]
fn few_rows_change_no_descriptor() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, v int)").await;
        other.ok("begin; insert into t values (-1, 0)").await;
        assert_eq!(client.copy(COPY, &rows(0, 3_000)).await, "COPY 3000");
        other.ok("commit").await;
        assert_eq!(count(&mut other).await, "3001");
    });
}

#[test]
fn what_was_loaded_is_seen_by_what_follows_in_the_transaction() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table u (n int); insert into u values (7)").await;
        client.ok("begin; select n from u; create table t (id int, v int); select * from t").await;
        assert_eq!(client.copy(COPY, &rows(0, 5_000)).await, "COPY 5000");
        client.ok("create index on t (v); alter table t add primary key (id)").await;
        assert_eq!(client.ok("select count(*) from t where v = 3").await, "500\nSELECT 1");
        assert!(client.told("insert into t values (77, 1)").await.starts_with("ERROR 23505"));
        client.ok("rollback; begin; create table t (id int primary key, v int); savepoint s").await;
        client.ok("insert into t values (1, 1); rollback to s; release s").await;
        assert_eq!(client.copy(COPY, &rows(0, 130_000)).await, "COPY 130000");
        assert_eq!(client.ok("select sum(v) from t").await, "585000\nSELECT 1");
        client.ok("insert into t values (-5, 1); update t set v = 4 where id = 3; commit").await;
        assert_eq!(client.ok("select count(*), sum(v) from t").await, "130001|585002\nSELECT 1");
    });
}

#[test]
fn a_table_that_somebody_else_has_made_meanwhile_keeps_its_rows() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut client, mut other) = (node.client().await, elsewhere.client().await);
        client.ok("begin").await;
        other.ok("create table t (id int primary key, v int); insert into t values (77, 7), (78, 8)").await;
        assert_eq!(client.ok("select count(*) from t").await, "2\nSELECT 1");
        client.ok("create table own (id int)").await;
        assert_eq!(client.copy(COPY, &rows(0, 10)).await, "COPY 10");
        client.ok("commit").await;
        assert_eq!(client.ok("select count(*), max(id) from t").await, "12|78\nSELECT 1");
    });
}

#[test]
fn what_a_query_finds_is_loaded_too() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, v int, s serial, w int default 5 check (w > 0))").await;
        let told = client.ok("insert into t (id, v) select i, i % 10 from generate_series(1, 130000) i").await;
        assert_eq!(told, "INSERT 0 130000");
        let sums = "select count(*), sum(v), count(distinct s), sum(w) from t";
        assert_eq!(client.ok(sums).await, "130000|585000|130000|650000\nSELECT 1");
        // From a table of many rows into others, in a block or not.
        assert_eq!(client.ok("create table u as select id, v from t").await, "SELECT 130000");
        assert_eq!(other.ok("select count(*), sum(v) from u").await, "130000|585000\nSELECT 1");
        client.ok("begin; create table w (id int, v bigint unique)").await;
        client.ok("insert into w select -id, id from u where v < 9; insert into w values (1, -1)").await;
        assert_eq!(client.ok("select count(*), min(id) from w").await, "117001|-130000\nSELECT 1");
        client.ok("commit; create table x as select * from u with no data").await;
        // Into one that has rows there are as many as a transaction can write, of itself, too.
        assert!(client.told("insert into u select * from t").await.contains("ERROR 42601"));
        let many = client.told("insert into w select id, -id from u where id > 7").await;
        assert!(many.starts_with("ERROR 54000: a statement inserts more than 100000 rows"), "{many}");
        client.ok("create table self (id int); insert into self select generate_series(1, 20000)").await;
        assert_eq!(client.ok("insert into self select id + 20000 from self").await, "INSERT 0 20000");
        assert_eq!(client.ok("insert into self select id + 40000 from self").await, "INSERT 0 40000");
        assert_eq!(client.ok("select count(*), count(distinct id) from self").await, "80000|80000\nSELECT 1");
        // What is wrong with one of the rows leaves none.
        let twice = "insert into x select id from u union all select 129999";
        client.ok("alter table x add primary key (id)").await;
        assert!(client.told(twice).await.starts_with("ERROR 23505"), "twice");
        assert!(client.told("insert into x select 100001 - id from u where id < 100002").await.contains("INSERT"));
        client.ok("truncate x; create table y (w int check (w < 99999))").await;
        assert!(client.told("insert into y select id from u").await.starts_with("ERROR 23514"));
        assert_eq!(client.ok("select count(*) from y").await, "0\nSELECT 1");
    });
}

#[test]
fn what_a_query_found_for_a_load_is_so_when_it_commits() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, v int); create table u (id int, v int)").await;
        client.ok("insert into t select i, 0 from generate_series(1, 120000) i").await;
        client.ok("begin; insert into u select * from t").await;
        other.ok("update t set v = 1 where id = 100007").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        client.ok("begin; insert into u select * from t").await;
        other.ok("insert into t values (0, 0)").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        client.ok("begin; insert into u select * from t; commit").await;
        assert_eq!(client.ok("select count(*), sum(v) from u").await, "120001|1\nSELECT 1");
        // Sequences are asked before anything is written.
        client
            .ok("create sequence s; create table v (id int primary key); create view w as select id, nextval('s') n from t")
            .await;
        let some = "insert into v select nextval('s') from generate_series(1, 60000)";
        assert_eq!(client.ok(some).await, "INSERT 0 60000");
        assert_eq!(client.ok("select count(*), count(distinct id) from v").await, "60000|60000\nSELECT 1");
        client.ok("truncate v").await;
        let hidden = client.told("insert into v select n from w where id < 60000").await;
        assert!(hidden == "INSERT 0 60000" || hidden.starts_with("ERROR 0A000"), "{hidden}");
        assert!(["0\nSELECT 1", "60000\nSELECT 1"].contains(&&*client.ok("select count(*) from v").await));
    });
}

#[test]
fn rows_that_the_transaction_has_written_are_not_overwritten() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("begin; create table t (id int primary key, v int); insert into t values (5, 55)").await;
        assert!(client.copy(COPY, &rows(0, 10)).await.starts_with("ERROR 23505"));
        client.ok("rollback; begin; create table t (id int primary key, v int)").await;
        client.copy(COPY, &rows(0, 10)).await;
        client.ok("insert into t values (10, 10)").await;
        assert!(client.copy(COPY, &rows(10, 11)).await.starts_with("ERROR 23505"));
        client.ok("rollback").await;
    });
}

#[test]
fn parents_must_be_there_when_the_load_commits() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table p (id int primary key); insert into p select generate_series(0, 9)").await;
        client.ok("begin; create table t (id int primary key, v int references p)").await;
        assert_eq!(client.copy(COPY, &rows(0, 100)).await, "COPY 100");
        other.ok("delete from p where id = 3").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        client.ok("begin; create table t (id int primary key, v int references p)").await;
        assert!(client.copy(COPY, &rows(0, 100)).await.starts_with("ERROR 23503"));
        other.ok("insert into p values (3)").await;
        client.ok("rollback; begin; create table t (id int primary key, v int references p)").await;
        assert_eq!(client.copy(COPY, &rows(0, 100)).await, "COPY 100");
        other.ok("insert into p values (77)").await;
        client.ok("commit").await;
        assert!(other.told("delete from p where id = 3").await.starts_with("ERROR 23503"));
        // Whoever loads parents and children together does not have them looked at again.
        client
            .ok("begin; create table p2 (id int primary key, v int); create table c (id int, v int references p2)")
            .await;
        assert_eq!(client.copy("copy p2 from stdin", &rows(0, 10)).await, "COPY 10");
        assert_eq!(client.copy("copy c from stdin", &rows(0, 100)).await, "COPY 100");
        client.ok("commit").await;
    });
}

#[test]
fn only_one_of_two_loads_into_a_table_commits() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, v int)").await;
        client.ok("begin").await;
        other.ok("begin").await;
        // The same generation, if both begin at the same time.
        assert_eq!(client.copy(COPY, &rows(0, MANY)).await, format!("COPY {MANY}"));
        let told = other.copy(COPY, &rows(MANY, 2 * MANY)).await;
        assert!(told == format!("COPY {MANY}") || told.starts_with("ERROR 40001"), "{told}");
        client.ok("commit").await;
        assert!(!other.told("commit").await.contains("COMMIT"));
        assert_eq!(
            client.ok("select min(id), max(id), count(*) from t").await,
            format!("0|{}|{MANY}\nSELECT 1", MANY - 1)
        );
    });
}

/// What a dump is restored by in a single transaction.
#[test]
fn keys_and_indexes_of_loaded_rows_are_made_in_the_same_block() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table p (id int primary key); insert into p select generate_series(0, 9)").await;
        client.ok("begin; create table t (id int, v int)").await;
        assert_eq!(client.copy(COPY, &rows(0, 2 * MANY)).await, format!("COPY {}", 2 * MANY));
        client.ok("alter table t add primary key (id)").await;
        client.ok("create index on t (v); alter table t add unique (v, id), add foreign key (v) references p").await;
        assert_eq!(client.ok("select count(*) from t where v = 3").await, format!("{}\nSELECT 1", MANY / 5));
        client.ok("savepoint s").await;
        assert!(client.told("insert into t values (77, 1)").await.starts_with("ERROR 23505"));
        client.ok("rollback to s; insert into t values (-1, 3); delete from t where id = 13; commit").await;
        for query in [
            "select count(*) from t where v = 3",
            "select count(*) from t where v = 3 and id < 1000000",
            "select count(*) from t where v + 0 = 3",
            "select count(v) filter (where v = 3) from t where id > -7",
        ] {
            assert_eq!(other.ok(query).await, format!("{}\nSELECT 1", MANY / 5), "{query}");
        }
        assert!(other.told("insert into t values (77, 1)").await.starts_with("ERROR 23505"));
        assert!(other.told("delete from p where id = 3").await.starts_with("ERROR 23503"));
        client.ok("begin; create table w (id int primary key, v int)").await;
        assert_eq!(client.copy("copy w from stdin", &rows(0, 5_000)).await, "COPY 5000");
        client.ok("create index on w (v); alter table w alter id type bigint; commit").await;
        assert_eq!(other.ok("select count(*), sum(id) from w where v = 3").await, "500|1249000\nSELECT 1");
        assert_eq!(other.ok("select pg_typeof(id), v from w where id = 4999").await, "bigint|9\nSELECT 1");
        // What is wrong with the rows is found, and nothing stays.
        for (data, made, told) in [
            ("1\t1\n1\t2\n", "alter table u add primary key (id)", "ERROR 23505"),
            ("1\t1\n\\N\t2\n", "alter table u add primary key (id)", "ERROR 23502"),
            ("1\t1\n2\t1\n", "create unique index on u (v)", "ERROR 23505"),
        ] {
            client.ok("begin; create table u (id int, v int)").await;
            client.copy("copy u from stdin", &(rows(10, 5_000) + data)).await;
            let refused = client.told(made).await;
            assert!(refused.starts_with(told), "{refused}");
            client.ok("rollback").await;
        }
        // After a savepoint, or with rows of its own, it is part of the transaction itself.
        client.ok("begin; create table u (id int, v int)").await;
        assert_eq!(client.copy("copy u from stdin", &rows(0, 5_000)).await, "COPY 5000");
        client.ok("savepoint s; create index on u (v); rollback to s; create index on u (id)").await;
        assert_eq!(client.ok("select count(*) from u where id between 0 and 7").await, "8\nSELECT 1");
        client.ok("release s; insert into u values (7, 7); create index u_v on u (v); commit").await;
        assert_eq!(other.ok("select count(*) from u where v = 7").await, "501\nSELECT 1");
        assert_eq!(other.ok("select count(*) from u where id = 7").await, "2\nSELECT 1");
    });
}

#[test]
fn rows_may_refer_to_later_ones() {
    run(async |node| {
        let mut client = node.client().await;
        let tree =
            |from: u32, to: u32| (from..to).map(|id| format!("{id}\t{}\n", to + from - 1 - id)).collect::<String>();
        client.ok("create table t (id int primary key, v int references t)").await;
        assert_eq!(client.copy(COPY, &tree(0, 5_000)).await, "COPY 5000");
        client.ok("begin; truncate t").await;
        assert_eq!(client.copy(COPY, &tree(0, 5_000)).await, "COPY 5000");
        client.ok("commit; begin; truncate t").await;
        assert!(client.copy(COPY, "1\t2\n2\t3\n").await.starts_with("ERROR 23503"));
        client.ok("rollback").await;
        assert!(client.copy(COPY, "5000\t5001\n").await.starts_with("ERROR 23503"));
        assert_eq!(count(&mut client).await, "5000");
        // Children before their parents, both loaded.
        client.ok("begin; create table p (id int primary key, v int)").await;
        client.ok("create table c (id int, v int references p initially deferred)").await;
        assert_eq!(client.copy("copy c from stdin", &rows(0, 100)).await, "COPY 100");
        assert_eq!(client.copy("copy p from stdin", &rows(0, 10)).await, "COPY 10");
        client.ok("commit").await;
        client.ok("begin; create table d (id int, v int references p initially deferred)").await;
        assert_eq!(client.copy("copy d from stdin", "1\t10\n").await, "COPY 1");
        assert!(client.told("commit").await.starts_with("ERROR 23503"));
    });
}

/// More than a piece has.
const SOME: u32 = 30_000;

#[test]
fn a_client_that_does_not_mind_copies_any_number_of_rows_in_pieces() {
    run(async |node| {
        let (mut client, mut other) = (node.client().await, node.client().await);
        client.ok("create table t (id int primary key, v int)").await;
        client.ok("create index on t (v); insert into t values (-1, 0)").await;
        client.ok("set annulus.copy_atomic = off").await;
        node.db.take_calls();
        assert_eq!(client.copy(COPY, &rows(0, SOME)).await, format!("COPY {SOME}"));
        assert!(node.db.take_calls()[&Call::Commit] >= 3, "pieces");
        assert_eq!(count(&mut other).await, (SOME + 1).to_string());
        // A piece that loses a conflict is written again, with what has changed meanwhile.
        client.ok("truncate t; insert into t values (-1, 0)").await;
        node.db.inject(Call::Commit, Fault::Fails(TxnError::Conflict(annulus_base::Key(Vec::new().into()))));
        assert_eq!(client.copy(COPY, &rows(0, SOME)).await, format!("COPY {SOME}"));
        assert_eq!(count(&mut other).await, (SOME + 1).to_string());
        // What was committed stays, and the client is told.
        client.ok("truncate t; insert into t values (28000, 0)").await;
        let told = client.copy(COPY, &rows(0, SOME)).await;
        let warning = client.told("select").await;
        let kept: u32 = warning.split(' ').find_map(|word| word.parse().ok()).unwrap();
        assert!(
            told.starts_with("ERROR 23505")
                && warning.contains("WARNING: the first")
                && kept > SOME / 4
                && kept < 28_000,
            "{told} {warning}"
        );
        assert_eq!(count(&mut other).await, (kept + 1).to_string());
        // Few rows, and a block, are as ever; so is the next statement.
        assert!(client.copy(COPY, &rows(27_990, 28_010)).await.starts_with("ERROR 23505"));
        client.ok("begin").await;
        assert!(client.copy(COPY, &rows(SOME, 3 * SOME)).await.contains("ERROR 54000"));
        client.ok("rollback").await;
        assert_eq!(count(&mut other).await, (kept + 1).to_string());
    });
}

#[test]
fn pieces_go_into_the_table_that_they_were_meant_for() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, v int); insert into t values (-1, 0)").await;
        client.ok("set annulus.copy_atomic = off").await;
        let statement = client.session.split(COPY).unwrap().pop().unwrap();
        let mut portal = client.session.start(statement).await.unwrap();
        let whole = Run { most: 1, last: true };
        client.session.run(&mut portal, whole).await.unwrap();
        client.session.copy_in(&mut portal, rows(0, SOME).into()).await.unwrap();
        let mut other = node.client().await;
        other.ok("alter table t add column w int").await;
        let failed = client.session.copy_in(&mut portal, rows(SOME, 3 * SOME).into()).await.unwrap_err();
        assert_eq!(failed.state().0, "55006");
        client.session.fail();
        assert!(client.session.news().iter().any(|news| matches!(news, News::Warning(_))));
        other.ok("select * from t limit 1").await;
    });
}
