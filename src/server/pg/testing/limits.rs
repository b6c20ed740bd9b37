//! Limits, hostile clients and slow clients.

use std::time::Duration;

use annulus_base::rng::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::Config;
use super::wire::{Client, bind, execute, message, parse, query, startup, sync};
use super::with_server;

#[test]
fn one_client_too_many_is_told_so() {
    with_server(Config { max_clients: 2, ..Config::default() }, async |fixture| {
        let (mut first, second) = (fixture.client().await, fixture.client().await);
        first.send(&query("wait")).await;
        fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
        let mut flood = Vec::new();
        for _ in 0..20 {
            let mut client = Client::silent(fixture.port).await;
            client.send(&startup(0x3_0000, &[("user", "u")])).await;
            flood.push(client);
        }
        for client in &mut flood {
            assert_eq!(client.until_ready().await, ["E FATAL 53300 sorry, too many clients already"]);
        }
        // There is always room to cancel.
        first.cancel(fixture.port).await;
        assert_eq!(first.until_ready().await.last().unwrap(), "Z I");
        drop(second);
        fixture.wait_for(|fixture| fixture.server.shared.clients.count() == 1).await;
        fixture.client().await;
    });
}

#[test]
fn what_is_too_large_is_refused() {
    let config = Config { max_message: 100_000, ..Config::default() }.with_client_memory(200_000);
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        let spaces = " ".repeat(99_990);
        assert_eq!(client.query(&spaces).await, "I, Z I");
        client.send(b"Q\x7f\xff\xff\xff").await;
        assert_eq!(client.until_ready().await, ["E FATAL 54000 a message of 2147483647 bytes is too long"]);
        let mut client = fixture.client().await;
        assert_eq!(client.ask(&[parse("a", &spaces[10..], &[]), sync()].concat()).await, "1, Z I");
        assert_eq!(
            client.ask(&[parse("b", &spaces[10..], &[]), sync()].concat()).await,
            "E ERROR 53200 the prepared statements of this connection hold too much memory, Z I"
        );
        drop(client);
        let mut client = fixture.client().await;
        let large = vec![b'x'; 60_000];
        let portals = ["p", "q"].map(|name| bind(name, "s", &[], &[Some(&large)], &[]));
        client.query("begin").await;
        assert_eq!(
            client.ask(&[parse("s", "echo$1", &[]), portals.concat(), sync()].concat()).await,
            "1, 2, E ERROR 53200 the portals of this connection hold too much memory, Z E"
        );
        drop(client);
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        assert_eq!(fixture.server.shared.buffered.get(), 0);
    });
}

#[test]
fn all_connections_together_are_bounded() {
    with_server(Config { max_buffered: 250_000, ..Config::default() }, async |fixture| {
        let mut clients = Vec::new();
        let text = "x".repeat(100_000);
        for _ in 0..2 {
            let mut client = fixture.client().await;
            assert_eq!(client.ask(&[parse("s", &text, &[]), sync()].concat()).await, "1, Z I");
            clients.push(client);
        }
        let mut third = fixture.client().await;
        let answers = third.ask(&[parse("s", &text, &[]), sync()].concat()).await;
        assert!(answers.ends_with("E FATAL 53200 the SQL connections of this node hold too much memory"), "{answers}");
        assert_eq!(clients[0].query("rows 0").await, "T n:23:0, C SELECT 0, Z I");
    });
}

#[test]
fn a_large_result_is_made_as_fast_as_it_is_read() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.send(&query("rows 3000000")).await;
        fixture.wait_for(|fixture| fixture.world.rows.get() > 0).await;
        let mut before = 0;
        while fixture.world.rows.get() > before {
            before = fixture.world.rows.get();
            fixture.settle().await;
        }
        assert!(before < 2_000_000, "{before} rows were made for a client that reads none");
        let answers = client.until_ready().await;
        assert_eq!(answers.len(), 3_000_003);
        assert_eq!(answers[3_000_001], "C SELECT 3000000");
    });
}

#[test]
fn slow_clients_are_disconnected() {
    let config = Config {
        write_timeout: Duration::from_millis(100),
        read_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    with_server(config, async |fixture| {
        // One that reads nothing.
        let mut deaf = fixture.client().await;
        deaf.send(&query("endless")).await;
        fixture.wait_for(|fixture| fixture.world.rows.get() > 0).await;
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        let mut quiet = fixture.client().await;
        // One that does not end what it began.
        let mut dumb = fixture.client().await;
        dumb.send(b"Q\0\0\0\x10half").await;
        assert_eq!(dumb.next().await, None);
        // One that has said nothing for as long is left alone.
        assert_eq!(quiet.query("rows 0").await, "T n:23:0, C SELECT 0, Z I");
    });
}

#[test]
fn long_pipelines_are_answered_in_order() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let count = 5_000;
        let mut pipeline = parse("s", "echo$1", &[]);
        for number in 0..count {
            let text = number.to_string();
            pipeline.extend([bind("", "s", &[], &[Some(text.as_bytes())], &[]), execute("", 0), sync()].concat());
        }
        client.send(&pipeline).await;
        assert_eq!(client.next().await.unwrap(), "1");
        for number in 0..count {
            assert_eq!(client.until_ready().await, ["2", &format!("D {number}"), "C SELECT 1", "Z I"]);
        }
    });
}

#[test]
fn garbage_gets_an_error_and_hurts_nobody_else() {
    with_server(Config::default(), async |fixture| {
        let mut bystander = fixture.client().await;
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut client = if rng.one_in(3) { Client::silent(fixture.port).await } else { fixture.client().await };
            let mut garbage = Vec::new();
            for _ in 0..rng.between(1, 30) {
                let body: Vec<u8> =
                    (0..rng.below(60)).map(|_| if rng.one_in(2) { rng.bits() as u8 } else { 0 }).collect();
                let kind = *rng.pick(b"QPBDECHSdcfF!").unwrap();
                garbage.extend(if rng.one_in(20) { body } else { message(kind, &body) });
            }
            // The server may close before it has read everything.
            let _ = client.stream.write_all(&garbage).await;
            let _ = client.stream.shutdown().await;
            let _ = client.stream.read_to_end(&mut Vec::new()).await;
            assert_eq!(bystander.query("rows 0").await, "T n:23:0, C SELECT 0, Z I");
        }
        drop(bystander);
        fixture.wait_for(|fixture| fixture.server.shared.clients.count() == 0).await;
        assert_eq!((fixture.world.open.get(), fixture.world.at_work.get()), (0, 0));
        assert_eq!(fixture.server.shared.buffered.get(), 0);
    });
}
