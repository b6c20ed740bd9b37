//! `COPY` in both directions.

use super::super::Config;
use super::wire::{message, query, run, sync};
use super::with_server;

fn data(text: &str) -> Vec<u8> {
    message(b'd', text.as_bytes())
}

#[test]
fn data_is_copied_in() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.send(&query("copy-in")).await;
        assert_eq!(client.next().await.unwrap(), "G 2 columns");
        // Where the pieces are cut has no meaning.
        assert_eq!(client.ask(&[data("a\nb"), data("c\n"), message(b'c', b"")].concat()).await, "C COPY 2, Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["a", "bc"]);
        // As drivers do it: a Sync right behind Execute, which is ignored.
        client.send(&[run("copy-in"), sync()].concat()).await;
        for expected in ["1", "2", "G 2 columns"] {
            assert_eq!(client.next().await.unwrap(), expected);
        }
        assert_eq!(client.ask(&[data("d\n"), message(b'c', b""), sync()].concat()).await, "C COPY 1, Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["a", "bc", "d"]);
    });
}

#[test]
fn copying_in_can_fail_on_both_sides() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let give_up = message(b'f', b"no more\0");
        assert_eq!(
            client.ask(&[query("copy-in"), data("a\n"), give_up].concat()).await,
            "G 2 columns, E ERROR 57014 COPY from stdin failed: no more, Z I"
        );
        // What the client sends until it learns of the error is ignored.
        let pieces = [query("copy-in"), data("a\n"), data("bad"), data("c\n"), message(b'c', b""), query("rows 0")];
        assert_eq!(client.ask(&pieces.concat()).await, "G 2 columns, E ERROR 22P04 bad data, Z I");
        assert_eq!(client.until_ready().await.join(", "), "T n:23:0, C SELECT 0, Z I");
        assert_eq!(
            client.ask(&[query("copy-in"), data("a\n"), query("rows 1")].concat()).await,
            "G 2 columns, E ERROR 08P01 unexpected message type 0x51 during COPY from stdin, Z I"
        );
        assert!(fixture.world.committed.borrow().is_empty());
        client.send(&[query("copy-in"), data("a\n")].concat()).await;
        assert_eq!(client.next().await.unwrap(), "G 2 columns");
        drop(client);
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        assert!(fixture.world.committed.borrow().is_empty());
    });
}

#[test]
fn data_is_copied_out() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let copied = "H 1 columns, d line 2, d line 3, c, C COPY 2, Z I";
        assert_eq!(client.query("copy-out").await, copied);
        assert_eq!(client.ask(&[run("copy-out"), sync()].concat()).await, format!("1, 2, {copied}"));
    });
}
