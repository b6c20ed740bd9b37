//! Walks through whole databases, and the sweeper.

use std::collections::BTreeSet;

use annulus_base::rng::Rng;
use annulus_txn::interface::TxnError;

use super::fake::{Call, Fault};
use super::transcripts::flood;
use super::wire::{Client, Shown};
use super::{Fixture, with_server};
use crate::server::resp::Config;
use crate::server::resp::sweeper::Sweeper;

/// One step of a scan: the next cursor and the keys.
async fn step(client: &mut Client, cursor: &str, count: &str) -> (String, Vec<String>) {
    let words = ["SCAN", cursor, "COUNT", count].map(|word| word.as_bytes().to_vec());
    let Shown::Many(_, items) = client.ask_words(&words).await else { panic!("no list") };
    let [Shown::Line(cursor), Shown::Many(_, keys)] = items.as_slice() else { panic!("no cursor and keys") };
    let text = |shown: &Shown| shown.to_string().trim_matches('"').to_owned();
    (cursor.trim_matches('"').to_owned(), keys.iter().map(text).collect())
}

#[test]
fn a_scan_returns_every_key_that_is_there_throughout() {
    with_server(Config::default(), async |fixture| {
        let second = fixture.another(Config::default()).await;
        for (seed, nodes) in [(1, 1), (2, 2), (3, 2)] {
            let mut clients = [fixture.client().await, second.client().await];
            let mut rng = Rng::new(seed);
            clients[0].ask("FLUSHALL").await;
            for number in 0..300 {
                clients[0].ask(&format!("SET stays:{number} v")).await;
            }
            let (mut cursor, mut found, mut steps) = ("0".to_owned(), BTreeSet::new(), 0);
            loop {
                // Alternating nodes do not know each other's cursors.
                let (next, keys) = step(&mut clients[steps % nodes], &cursor, "7").await;
                found.extend(keys);
                cursor = next;
                steps += 1;
                assert!(steps < 200, "the scan does not end");
                assert!(cursor.parse::<u64>().unwrap() < 1 << 53);
                if cursor == "0" {
                    break;
                }
                clients[0].ask(&format!("SET comes:{} v", rng.below(100))).await;
                clients[0].ask(&format!("DEL comes:{}", rng.below(100))).await;
            }
            let missing: Vec<u32> = (0..300).filter(|number| !found.contains(&format!("stays:{number}"))).collect();
            assert_eq!(missing, [0; 0], "with {nodes} nodes");
            assert!(nodes == 2 || steps > 30, "COUNT is respected: {steps}");
        }
    });
}

#[test]
fn a_flush_in_the_middle_of_a_scan_ends_it() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        flood(&mut client, 300).await;
        let (mut cursor, _) = step(&mut client, "0", "5").await;
        client.ask("FLUSHDB").await;
        client.ask("SET new v").await;
        let mut found = Vec::new();
        while cursor != "0" {
            let (next, keys) = step(&mut client, &cursor, "5").await;
            found.extend(keys);
            cursor = next;
        }
        assert!(found.iter().all(|key| key == "new"), "{found:?}");
    });
}

#[test]
fn large_databases_are_walked_page_by_page() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        flood(&mut client, 2_000).await;
        client.ask("SET key:dead v PX 10").await;
        fixture.advance(20);
        assert_eq!(client.ask("DBSIZE").await, "(integer) 2000");
        let words = ["KEYS", "key:1?"].map(|word| word.as_bytes().to_vec());
        let Shown::Many(_, keys) = client.ask_words(&words).await else { panic!("no list") };
        assert_eq!(keys.len(), 10);
        assert!(client.ask("RANDOMKEY").await.starts_with("\"key:"));
        client.ask("MULTI").await;
        client.ask("DBSIZE").await;
        client.ask("SET key:0 w").await;
        client.ask("DBSIZE").await;
        assert_eq!(client.ask("EXEC").await, "[(integer) 2000, OK, (integer) 2000]");
        assert!(client.ask("INFO keyspace").await.contains("db0:keys=2000,"));
    });
}

#[test]
fn keys_in_a_transaction_are_exact() {
    with_server(Config::default(), async |fixture| {
        let (mut client, mut other) = (fixture.client().await, fixture.client().await);
        client.ask("MSET a 1 b 2").await;
        client.ask("MULTI").await;
        client.ask("DBSIZE").await;
        client.ask("SET sum 1").await;
        // A key appears between the reading and the commit: everything is read again.
        let partition = fixture.server.shared.keyspace.partition_of(0, b"c").unwrap();
        let key = crate::server::resp::keyspace::stored_key(1, b"c");
        let value = crate::server::resp::value::Value::lasting("3".into()).encode();
        let place = annulus_txn::interface::Place { partition, key };
        fixture.database.inject(Call::Commit, Fault::Precedes(Box::new(move |db| db.write(place, Some(value)))));
        assert_eq!(client.ask("EXEC").await, "[(integer) 3, OK]");
        assert_eq!(other.ask("DBSIZE").await, "(integer) 4");
    });
}

/// Sweeps until a whole pass has been made.
async fn sweep(fixture: &Fixture, sweeper: &mut Sweeper) -> usize {
    let mut deleted = 0;
    for _ in 0..100 {
        deleted += sweeper.round(&fixture.server, |_| true).await.unwrap();
    }
    deleted
}

#[test]
fn the_sweeper_deletes_what_has_expired_and_nothing_else() {
    let config = Config { sweep_keys: 10, sweep_partitions: 4, ..Config::default() };
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        let mut sweeper = Sweeper::new(&fixture.server.shared);
        for number in 0..40 {
            client.ask(&format!("SET lasting:{number} v")).await;
            client.ask(&format!("SET ending:{number} v PX 100")).await;
        }
        assert_eq!(sweep(&fixture, &mut sweeper).await, 0);
        fixture.advance(200);
        client.ask("SET ending:0 anew").await;
        fixture.database.take_calls();
        let deleted = sweeper.round(&fixture.server, |_| true).await.unwrap();
        let calls = fixture.database.take_calls();
        assert!(deleted <= 10 && calls[&Call::Scan] <= 4, "a round is bounded: {deleted} {calls:?}");
        assert_eq!(deleted + sweep(&fixture, &mut sweeper).await, 39);
        assert_eq!(fixture.database.present().len(), 41);
        assert_eq!(fixture.server.shared.stats.expired.get(), 39);
        assert_eq!(client.ask("GET ending:0").await, "\"anew\"");
        // A node that heads nothing does nothing.
        client.ask("SET ending:1 v PX 1").await;
        fixture.advance(10);
        assert_eq!(sweeper.round(&fixture.server, |_| false).await, Ok(0));
        fixture.database.inject(Call::Scan, Fault::Fails(TxnError::Overloaded));
        assert_eq!(sweeper.round(&fixture.server, |_| true).await, Err(TxnError::Overloaded));
        assert_eq!(sweep(&fixture, &mut sweeper).await, 1);
    });
}

#[test]
fn the_sweeper_collects_flushed_generations_and_old_outcomes() {
    let config = Config { sweep_keys: 10, sweep_partitions: 4, ..Config::default() };
    with_server(config, async |fixture| {
        let mut client = fixture.client().await;
        let mut sweeper = Sweeper::new(&fixture.server.shared);
        flood(&mut client, 50).await;
        client.ask("FLUSHDB").await;
        flood(&mut client, 30).await;
        client.ask("FLUSHDB").await;
        client.ask("SET a v").await;
        client.ask("ANNULUS.TOKEN t").await;
        client.ask("SET b v").await;
        for _ in 0..3 {
            sweep(&fixture, &mut sweeper).await;
        }
        // a, b, the record of t, and the generations of eight partitions.
        assert_eq!(fixture.database.present().len(), 2 + 1 + 8);
        assert_eq!(fixture.server.shared.stats.collected.get(), 80);
        fixture.advance(24 * 3_600_000);
        sweep(&fixture, &mut sweeper).await;
        assert_eq!(fixture.database.present().len(), 2 + 8);
        assert_eq!(client.ask("MGET a b").await, "[\"v\", \"v\"]");
    });
}
