//! Limits, hostile clients, slow clients, and the end of a node.

use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_txn::interface::{Database, Place};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::Client;
use super::with_server;
use crate::server::resp::Config;
use crate::server::resp::keyspace::stored_key;

fn words(text: &[&str]) -> Vec<Vec<u8>> {
    text.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn what_is_too_large_is_refused_and_the_connection_goes_on() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let key = "k".repeat(4097);
        for command in [vec!["GET", &key], vec!["SET", &key, "v"], vec!["MGET", "a", &key], vec!["WATCH", &key]] {
            let answer = client.ask_words(&words(&command)).await.to_string();
            assert_eq!(answer, "(error) LIMIT a key may have 4096 bytes at most, this one has 4097");
        }
        let longest = "v".repeat(8 * 1024 * 1024 - 11);
        assert_eq!(client.ask_words(&words(&["SET", "a", &longest])).await.to_string(), "OK");
        assert_eq!(
            client.ask("APPEND a x").await,
            "(error) LIMIT a value may have 8388597 bytes at most, this one would have 8388598"
        );
        for longer in [longest.clone() + "x", longest.clone() + &"x".repeat(4096)] {
            let answer = client.ask_words(&words(&["SET", "a", &longer])).await.to_string();
            assert!(answer.starts_with("(error) LIMIT "), "{answer}");
        }
        assert_eq!(client.ask("STRLEN a").await, "(integer) 8388597");
        // Together more than one transaction may write.
        let mut many = words(&["MSET"]);
        (0..9).for_each(|number| many.extend([format!("k{number}").into_bytes(), longest.clone().into_bytes()]));
        let answer = client.ask_words(&many).await.to_string();
        assert!(answer.starts_with("(error) LIMIT "), "{answer}");
        assert_eq!(client.ask("EXISTS k0").await, "(integer) 0");
    });
}

#[test]
fn a_transaction_has_a_limit_of_keys() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let mut read = words(&["EXISTS"]);
        read.extend((0..100_001).map(|number| format!("k{number}").into_bytes()));
        let answer = client.ask_words(&read).await.to_string();
        assert_eq!(answer, "(error) LIMIT a transaction may read 100000 keys at most, this one has 100001");
        read.extend((0..200_000).map(|number| format!("k{number}").into_bytes()));
        let answer = client.ask_words(&read).await.to_string();
        assert_eq!(answer, "(error) LIMIT a command may have 200016 arguments at most, this one has 300002");
        assert_eq!(client.ask("PING").await, "PONG");
    });
}

#[test]
fn a_queue_has_a_limit_too() {
    let config = Config { max_request: 10_000, ..Config::default() };
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        client.ask("MULTI").await;
        let value = "v".repeat(5_000);
        assert_eq!(client.ask(&format!("SET a {value}")).await, "QUEUED");
        assert_eq!(
            client.ask(&format!("SET b {value}")).await,
            "(error) LIMIT the commands of one MULTI may have 10000 bytes at most"
        );
        assert!(client.ask("EXEC").await.starts_with("(error) EXECABORT"));
        assert_eq!(client.ask("EXISTS a b").await, "(integer) 0");
    });
}

#[test]
fn one_client_too_many_is_told_so() {
    let config = Config { max_clients: 2, ..Config::default() };
    with_server(config, async |fixture| {
        let (mut first, mut second) = (fixture.client().await, fixture.client().await);
        first.ask("PING").await;
        second.ask("PING").await;
        let mut third = fixture.client().await;
        assert_eq!(third.reply().await.unwrap().to_string(), "(error) ERR max number of clients reached");
        assert!(third.reply().await.is_err());
        // A driver that greets first is told, too, however many they are.
        let mut flood = Vec::new();
        for _ in 0..50 {
            let mut client = fixture.client().await;
            client.stream.write_all(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n").await.unwrap();
            flood.push(client);
        }
        for client in &mut flood {
            assert_eq!(client.reply().await.unwrap().to_string(), "(error) ERR max number of clients reached");
        }
        assert_eq!(fixture.server.shared.stats.rejected.get(), 51);
        assert_eq!(second.ask("PING").await, "PONG");
        drop(first);
        fixture.wait_for(|server| server.shared.clients.count() == 1).await;
        assert_eq!(fixture.client().await.ask("PING").await, "PONG");
    });
}

#[test]
fn garbage_gets_an_error_and_hurts_nobody_else() {
    with_server(Config::default(), async |fixture| {
        let mut bystander = fixture.client().await;
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let mut client = fixture.client().await;
            let garbage: Vec<u8> = (0..rng.between(1, 3_000)).map(|_| rng.bits() as u8).collect();
            // The server may close before it has read everything.
            let _ = client.stream.write_all(&garbage).await;
            let _ = client.stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = client.stream.read_to_end(&mut answer).await;
            assert_eq!(bystander.ask("PING").await, "PONG");
        }
        let mut client = fixture.client().await;
        client.stream.write_all(b"*1\r\n!oops\r\n").await.unwrap();
        assert_eq!(client.reply().await.unwrap().to_string(), "(error) ERR Protocol error: expected '$', got '!'");
        assert!(client.reply().await.is_err());
        drop(client);
        fixture.wait_for(|server| server.shared.clients.count() == 1).await;
        assert_eq!(fixture.server.shared.stats.buffered.get(), 0);
        assert!(fixture.server.shared.stats.broken.get() > 0);
    });
}

#[test]
fn pipelines_are_answered_in_order_however_long() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        // More than the sockets hold in either direction: the client reads only after it has sent all.
        let count = 20_000;
        let value = "x".repeat(50);
        let mut pipeline = Vec::new();
        for number in 0..count {
            pipeline.extend_from_slice(format!("ECHO {number}-{value}\r\n").as_bytes());
        }
        client.stream.write_all(&pipeline).await.unwrap();
        for number in 0..count {
            assert_eq!(client.reply().await.unwrap().to_string(), format!("\"{number}-{value}\""));
        }
    });
}

#[test]
fn clients_that_do_not_read_or_write_are_disconnected() {
    let config = Config {
        max_unsent: 100_000,
        write_timeout: Duration::from_millis(50),
        read_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        let value = "x".repeat(1_000_000);
        assert_eq!(client.ask_words(&words(&["SET", "a", &value])).await.to_string(), "OK");
        client.stream.write_all(&b"GET a\r\n".repeat(100)).await.unwrap();
        fixture.wait_for(|server| server.shared.clients.count() == 0).await;
        // Half a request, and then nothing.
        let mut client = fixture.client().await;
        client.stream.write_all(b"*2\r\n$3\r\nGET\r\n").await.unwrap();
        assert!(client.reply().await.is_err());
        // Between requests there is no hurry.
        let mut client = fixture.client().await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(client.ask("PING").await, "PONG");
    });
}

#[test]
fn idle_clients_are_disconnected_where_that_is_asked_for() {
    let config = Config { idle_timeout: Some(Duration::from_millis(30)), ..Config::default() };
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        assert_eq!(client.ask("PING").await, "PONG");
        assert!(client.reply().await.is_err());
    });
}

#[test]
fn memory_of_all_connections_together_is_bounded() {
    let config = Config { max_buffered: 300_000, ..Config::default() };
    with_server(config, async |fixture| {
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..2 {
            let mut client = fixture.client().await;
            client.stream.write_all(b"*2\r\n$4\r\nECHO\r\n$1000000\r\n").await.unwrap();
            client.stream.write_all(&[b'x'; 140_000]).await.unwrap();
            clients.push(client);
        }
        fixture.wait_for(|server| server.shared.stats.buffered.get() >= 280_000).await;
        clients[0].stream.write_all(&[b'x'; 100_000]).await.unwrap();
        let answer = clients[0].reply().await.unwrap().to_string();
        assert_eq!(answer, "(error) LIMIT the connections of this node hold too much unfinished work");
        assert_eq!(fixture.client().await.ask("PING").await, "PONG");
    });
}

#[test]
fn half_a_command_holds_no_more_than_one_client_may() {
    let config = Config::default().with_client_memory(200_000);
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        // Announced and sent but never ended, in parts that are all allowed.
        let mut begun = b"*3\r\n$4\r\nMSET\r\n$1\r\na\r\n$190000\r\n".to_vec();
        begun.extend([b'x'; 180_000]);
        client.stream.write_all(&begun).await.unwrap();
        fixture.wait_for(|server| server.shared.stats.buffered.get() >= 180_000).await;
        client.stream.write_all(&[&[b'x'; 10_000][..], b"\r\n"].concat()).await.unwrap();
        assert_eq!(client.reply().await.unwrap().to_string(), "OK");
        // One that would be larger is thrown away as it comes.
        let larger = "x".repeat(300_000);
        let answer = client.ask_words(&words(&["SET", "a", &larger])).await.to_string();
        assert_eq!(answer, "(error) LIMIT a command may have 200000 bytes at most");
        // Queued commands and half of the next one count together.
        client.ask("MULTI").await;
        let half = "x".repeat(150_000);
        assert_eq!(client.ask_words(&words(&["SET", "a", &half])).await.to_string(), "QUEUED");
        client.stream.write_all(&begun).await.unwrap();
        let answer = client.reply().await.unwrap().to_string();
        assert_eq!(answer, "(error) LIMIT this connection holds too much unfinished work (max_client_memory)");
        fixture.wait_for(|server| server.shared.clients.count() == 0).await;
        assert_eq!(fixture.server.shared.stats.buffered.get(), 0);
        assert_eq!(fixture.server.shared.stats.oversized.get(), 2);
    });
}

#[test]
fn an_answer_that_is_too_large_is_told_apart_from_one_that_failed() {
    let config = Config::default().with_client_memory(200_000);
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        let value = "x".repeat(150_000);
        client.ask_words(&words(&["SET", "a", &value])).await;
        assert_eq!(client.ask("MGET a").await.len(), 150_004);
        let answer = client.ask("MGET a a").await;
        assert_eq!(
            answer,
            "(error) LIMIT an answer of 300096 bytes is more than this connection may hold (max_client_memory: 200000); \
             ask for less at once"
        );
        for command in ["MULTI", "GET a", "GET a", "INCR n"] {
            client.ask(command).await;
        }
        let answer = client.ask("EXEC").await;
        assert!(answer.starts_with("(error) UNKNOWN an answer of "), "{answer}");
        let id = answer.rsplit(' ').next().unwrap().to_owned();
        assert_eq!(client.ask("GET n").await, "\"1\"", "it was executed");
        assert_eq!(client.ask("ANNULUS.LAST").await.trim_matches('"'), id);
        assert_eq!(fixture.server.shared.stats.oversized.get(), 2);
    });
}

#[test]
fn metrics_survive_a_reset_of_the_statistics() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.ask("SET a 1").await;
        client.ask("INCR b x").await;
        client.ask("CONFIG RESETSTAT").await;
        assert_eq!(client.ask("GET a").await, "\"1\"");
        let stats = &fixture.server.shared.stats;
        assert_eq!((stats.connections.get(), stats.connections.total()), (0, 1));
        let page = fixture.server.shared.metrics.page().render();
        for line in [
            "annulus_requests_total{family=\"write\"} 1",
            "annulus_requests_total{family=\"read\"} 1",
            "annulus_request_errors_total{family=\"other\"} 1",
            "annulus_request_duration_seconds_count{family=\"read\"} 1",
        ] {
            assert!(page.contains(line), "{line} is missing in\n{page}");
        }
    });
}

#[test]
fn a_node_that_stops_finishes_the_command_at_hand() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.ask("GET n").await;
        let partition = fixture.server.shared.keyspace.partition_of(0, b"n").unwrap();
        let places = vec![Place { partition, key: stored_key(1, b"n") }];
        let start = fixture.database.begin();
        let (lock, _) = fixture.database.lock(start, places.clone(), true, 0).await.unwrap();
        // Both arrive together; the first has to wait for the lock.
        client.stream.write_all(b"SET n 1\r\nSET n 2\r\n").await.unwrap();
        fixture.wait_for(|server| server.shared.clients.all()[0].command.get() == "set").await;
        fixture.shutdown.cancel();
        fixture.wait_until_refused().await;
        fixture.database.unlock(lock, &places);
        assert_eq!(client.reply().await.unwrap().to_string(), "OK");
        assert!(client.reply().await.is_err(), "the second is not begun");
    });
}

#[test]
fn connections_can_be_killed() {
    with_server(Config::default(), async |fixture| {
        let (mut one, mut two) = (fixture.client().await, fixture.client().await);
        let id = two.ask("CLIENT ID").await.trim_start_matches("(integer) ").to_owned();
        assert!(one.ask("CLIENT LIST").await.contains(&format!("id={id} addr=127.0.0.1:")));
        assert_eq!(one.ask(&format!("CLIENT KILL ID {id}")).await, "(integer) 1");
        assert!(two.reply().await.is_err());
        assert_eq!(one.ask("CLIENT KILL TYPE normal SKIPME no").await, "(integer) 1");
        assert!(one.reply().await.is_err());
    });
}

#[test]
fn replies_can_be_switched_off() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let script =
            "CLIENT REPLY SKIP\r\nECHO 1\r\nECHO 2\r\nCLIENT REPLY OFF\r\nECHO 3\r\nCLIENT REPLY ON\r\nECHO 4\r\n";
        client.stream.write_all(script.as_bytes()).await.unwrap();
        for expected in ["\"2\"", "OK", "\"4\""] {
            assert_eq!(client.reply().await.unwrap().to_string(), expected);
        }
    });
}
