//! Enumerations that another node changes: what this one has cached is never taken for what there is.

use annulus_relation::{SqlResult, SqlType, Value};

use crate::session::answer::{Run, Step};
use crate::testing::{Client, run};

/// Binds a text to the only parameter of a prepared statement as a connection does, and gives its rows as text.
async fn bound(client: &mut Client, name: &str, text: &str) -> SqlResult<Vec<String>> {
    let ty = client.session.describe(name).await?.parameters[0].clone();
    let env = client.session.env();
    let value = match client.session.read(text, &ty, &env) {
        Ok(value) => value,
        Err(_) => {
            let ty = client.session.describe_newest(name).await?.parameters[0].clone();
            client.session.read(text, &ty, &env)?
        }
    };
    rows(client, name, value).await
}

async fn rows(client: &mut Client, name: &str, value: Value) -> SqlResult<Vec<String>> {
    let mut portal = client.session.bind(name, vec![value]).await?;
    let mut told = Vec::new();
    while let Step::Rows(rows) = client.session.run(&mut portal, Run { most: 7, last: true }).await? {
        let (columns, env) = (client.session.columns(&portal).unwrap(), client.session.env());
        told.extend(rows.iter().map(|row| client.session.print(&row[0], &columns[0].ty, &env)));
    }
    client.session.sync().await?;
    Ok(told)
}

#[test]
fn labels_are_those_that_another_node_has_given() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut client, mut other) = (node.client().await, elsewhere.client().await);
        client.ok("create type mood as enum ('a', 'b'); create table t (m mood unique)").await;
        for client in [&mut client, &mut other] {
            client.ok("select 'a'::mood").await;
            client.ok("select m from t").await;
        }
        client.ok("insert into t values ('a')").await;
        other.ok("alter type mood rename value 'a' to 'c'").await;
        assert_eq!(client.ok("select m from t").await, "c\nSELECT 1");
        other.ok("alter type mood rename value 'c' to 'a'").await;
        assert_eq!(client.ok("select 'a'::mood, 'b'::mood > 'a'").await, "a|t\nSELECT 1");
        other.ok("alter type mood add value 'd'").await;
        client.ok("insert into t values ('d')").await;
        other.ok("alter type mood add value 'e'").await;
        assert_eq!(client.ok("select ('e'::text)::mood").await, "e\nSELECT 1");
        other.ok("alter type mood add value 'f'").await;
        assert_eq!(client.copy("copy t from stdin", "f\n").await, "COPY 1");
        other.ok("alter type mood add value 'g'").await;
        client.ok("begin; insert into t values ('b')").await;
        assert_eq!(client.copy("copy t from stdin", "g\n").await, "COPY 1");
        client.session.fail();
        client.ok("rollback").await;
        other.ok("drop type mood cascade").await;
        assert!(client.told("select 'a'::mood").await.starts_with("ERROR 42704"));
        assert!(client.told("select m from t").await.starts_with("ERROR 42703"));
    });
}

#[test]
fn a_parameter_is_the_label_that_it_was_read_as() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut client, mut other) = (node.client().await, elsewhere.client().await);
        client.ok("create type mood as enum ('a', 'b'); create table t (m mood)").await;
        client.ok("insert into t values ('a'), ('b')").await;
        client.session.parse("find", "select m from t where m = $1", &[]).await.unwrap();
        assert_eq!(bound(&mut client, "find", "b").await.unwrap(), ["b"]);
        // The labels are swapped: what was read as one of them is that label.
        let SqlType::Enum(before) = client.session.describe("find").await.unwrap().parameters[0].clone() else {
            panic!("it is an enumeration")
        };
        other.ok("alter type mood rename value 'a' to 'x'; alter type mood rename value 'b' to 'a'").await;
        other.ok("alter type mood rename value 'x' to 'b'").await;
        let read = Value::Enum(before.read("a").unwrap());
        assert_eq!(rows(&mut client, "find", read).await.unwrap(), ["a"]);
        assert_eq!(client.ok("select m from t where m > 'b'").await, "a\nSELECT 1");
        // What is no label as far as the node knows may be one.
        other.ok("alter type mood add value 'c'; insert into t values ('c')").await;
        assert_eq!(bound(&mut client, "find", "c").await.unwrap(), ["c"]);
        assert_eq!(bound(&mut client, "find", "z").await.unwrap_err().state().0, "22P02");
    });
}

#[test]
fn no_row_is_of_a_type_that_is_gone() {
    run(async |node| {
        let elsewhere = node.other();
        let (mut client, mut other) = (node.client().await, elsewhere.client().await);
        client.ok("create type mood as enum ('a'); create table t (m mood, n int)").await;
        client.ok("begin; insert into t values ('a', 1)").await;
        other.ok("drop type mood cascade").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        assert_eq!(client.ok("select * from t").await, "SELECT 0");
        client.ok("create type mood as enum ('a')").await;
        client.ok("begin; create table u (m mood)").await;
        other.ok("drop type mood").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        assert!(client.told("select * from u").await.starts_with("ERROR 42P01"));
        client.ok("create type mood as enum ('a')").await;
        client.ok("begin; drop type mood").await;
        other.ok("create table u (m mood)").await;
        assert!(client.told("commit").await.starts_with("ERROR 40001"));
        assert_eq!(client.ok("insert into u values ('a') returning m").await, "a\nINSERT 0 1");
    });
}

#[test]
fn types_of_a_session_go_with_it() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create type pg_temp.mood as enum ('a')").await;
        client.ok("create temp table t (m mood, n pg_temp.mood[])").await;
        assert_eq!(client.ok("select 'a'::mood, pg_typeof('a'::pg_temp.mood)").await, "a|mood\nSELECT 1");
        assert!(node.client().await.told("select 'a'::mood").await.starts_with("ERROR 42704"));
        client.ok("discard temp").await;
        assert!(client.told("select 'a'::mood").await.starts_with("ERROR 42704"));
        assert_eq!(client.ok("select count(*) from pg_type where typname like '%mood'").await, "0\nSELECT 1");
    });
}
