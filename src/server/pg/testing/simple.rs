//! Simple queries.

use super::super::Config;
use super::wire::{message, query};
use super::with_server;

#[test]
fn statements_are_answered_in_order() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        assert_eq!(client.query("rows 2").await, "T n:23:0, D 0, D 1, C SELECT 2, Z I");
        assert_eq!(client.query("rows 0").await, "T n:23:0, C SELECT 0, Z I");
        assert_eq!(client.query("  ").await, "I, Z I");
        assert_eq!(
            client.query("write a; rows 1; write b").await,
            "C WRITE 1, T n:23:0, D 0, C SELECT 1, C WRITE 1, Z I"
        );
        assert_eq!(*fixture.world.committed.borrow(), ["a", "b"]);
        assert_eq!(client.ask(&[query("rows 1"), query("write c")].concat()).await, "T n:23:0, D 0, C SELECT 1, Z I");
        assert_eq!(client.until_ready().await.join(", "), "C WRITE 1, Z I");
    });
}

#[test]
fn statements_of_one_query_are_one_transaction() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        assert_eq!(client.query("write a; fail; write b").await, "C WRITE 1, E ERROR 23505 it failed, Z I");
        assert_eq!(client.query("write a; syntax").await, "E ERROR 42601 syntax error at 1, Z I");
        assert!(fixture.world.committed.borrow().is_empty());
        assert_eq!(fixture.world.rolled_back.get(), 1);
        // Only the last statement may end the transaction.
        let before = fixture.world.last.get();
        client.query("write a; write b").await;
        assert_eq!(fixture.world.last.get() - before, 1);
        assert_eq!(
            client.query("write c; write conflict").await,
            "C WRITE 1, C WRITE 1, E ERROR 40001 could not serialize access, Z I"
        );
        assert_eq!(*fixture.world.committed.borrow(), ["a", "b"]);
    });
}

#[test]
fn blocks_have_a_status() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        assert_eq!(client.query("begin").await, "C BEGIN, Z T");
        assert_eq!(client.query("write a").await, "C WRITE 1, Z T");
        assert_eq!(fixture.server.shared.clients.all()[0].activity.get().name(), "idle in transaction");
        assert_eq!(client.query("fail").await, "E ERROR 23505 it failed, Z E");
        let refused =
            "E ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block, Z E";
        assert_eq!(client.query("rows 1").await, refused);
        assert_eq!(client.query("commit").await, "C ROLLBACK, Z I");
        assert_eq!(client.query("begin; write b; commit").await, "C BEGIN, C WRITE 1, C COMMIT, Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["b"]);
        // A client that goes leaves nothing behind.
        client.query("begin; write c").await;
        drop(client);
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        assert_eq!(fixture.world.rolled_back.get(), 2);
    });
}

#[test]
fn news_come_with_the_answers() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        assert_eq!(client.query("notice").await, "N NOTICE 00000 look out, C NOTICE, Z I");
        assert_eq!(client.query("name app").await, "S application_name app, C SET, Z I");
        assert_eq!(&**fixture.server.shared.clients.all()[0].application.borrow(), "app");
        assert_eq!(&**fixture.server.shared.clients.all()[0].query.borrow(), "name app");
    });
}

#[test]
fn what_is_not_supported_or_wrong_is_refused() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        assert_eq!(
            client.ask(&message(b'F', b"\0\0\0\x01")).await,
            "E ERROR 0A000 a function call message is not supported, Z I"
        );
        assert_eq!(
            client.ask(&message(b'Q', b"rows \xff\0")).await,
            "E ERROR 22021 invalid byte sequence for encoding \"UTF8\": 0xff, Z I"
        );
        assert_eq!(client.ask(&message(b'Q', b"no end")).await, "E ERROR 08P01 insufficient data left in message, Z I");
        // Left over from a COPY that has failed.
        client.send(&[message(b'd', b"data"), message(b'c', b"")].concat()).await;
        assert_eq!(client.query("rows 0").await, "T n:23:0, C SELECT 0, Z I");
        client.send(b"!").await;
        assert_eq!(client.until_ready().await, ["E FATAL 08P01 invalid frontend message type 33"]);
    });
}
