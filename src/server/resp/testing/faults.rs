//! Costs, conflicts, missing majorities, unknown outcomes, and two nodes that do not know of each other.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use annulus_base::PartitionId;
use annulus_txn::interface::{Place, TxnError};

use super::fake::{Call, Fake, Fault};
use super::{Fixture, with_server};
use crate::server::resp::Config;
use crate::server::resp::keyspace::{generation_place, stored_key};
use crate::server::resp::value::Value;

/// Where a key of database 0 is, before any flush.
fn place(fixture: &Fixture, key: &str) -> Place {
    let partition = fixture.server.shared.keyspace.partition_of(0, key.as_bytes()).unwrap();
    Place { partition, key: stored_key(1, key.as_bytes()) }
}

/// Somebody else sets a key just before the call.
fn interfere(fixture: &Fixture, call: Call, key: &str, value: &'static str) {
    let place = place(fixture, key);
    let stored = Value::lasting(value.into()).encode();
    fixture
        .database
        .inject(call, Fault::Precedes(Box::new(move |database: &Fake| database.write(place, Some(stored)))));
}

fn fail(fixture: &Fixture, call: Call, error: TxnError) {
    fixture.database.inject(call, Fault::Fails(error));
}

/// The calls made for one command, as `read scan lock commit`.
async fn cost(fixture: &Fixture, command: &str) -> [usize; 4] {
    let mut client = fixture.client().await;
    fixture.database.take_calls();
    client.ask(command).await;
    let calls = fixture.database.take_calls();
    [Call::Read, Call::Scan, Call::Lock, Call::Commit].map(|call| calls.get(&call).copied().unwrap_or(0))
}

#[test]
fn a_command_costs_as_few_calls_as_possible() {
    with_server(Config::default(), async |fixture| {
        assert_eq!(cost(&fixture, "SET a 1").await, [1, 0, 0, 1], "the generation is asked for once");
        for (command, expected) in [
            ("GET a", [1, 0, 0, 0]),
            ("SET a 2", [0, 0, 0, 1]),
            ("SET a 2 EX 100", [0, 0, 0, 1]),
            ("SET a 2 NX", [1, 0, 0, 0]),
            ("INCR a", [1, 0, 0, 1]),
            ("MGET a b c d e f g h", [1, 0, 0, 0]),
            ("MSET a 1 b 2 c 3 d 4", [0, 0, 0, 1]),
            ("DEL nokey", [1, 0, 0, 0]),
            ("DEL a b", [1, 0, 0, 1]),
            ("PING", [0, 0, 0, 0]),
            ("DBSIZE", [0, 1, 0, 0]),
            ("FLUSHDB", [0, 0, 0, 1]),
        ] {
            assert_eq!(cost(&fixture, command).await, expected, "{command}");
        }
    });
}

#[test]
fn a_transaction_that_lost_locks_and_wins() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.ask("SET n 1").await;
        interfere(&fixture, Call::Commit, "n", "10");
        fixture.database.take_calls();
        assert_eq!(client.ask("INCR n").await, "(integer) 11");
        let calls = fixture.database.take_calls();
        assert_eq!(calls, [(Call::Read, 1), (Call::Lock, 1), (Call::Commit, 2)].into());
        assert_eq!(fixture.database.locks(), 0);
        // Wounded, and changed under way: it goes on.
        fail(&fixture, Call::Commit, TxnError::Wounded);
        fail(&fixture, Call::Lock, TxnError::Wounded);
        interfere(&fixture, Call::Lock, "n", "20");
        assert_eq!(client.ask("INCR n").await, "(integer) 21");
        assert_eq!(fixture.server.shared.stats.retries.get(), 3);
    });
}

#[test]
fn a_transaction_that_always_loses_ends_with_its_time() {
    let config = Config { request_timeout: Duration::from_millis(100), ..Config::default() };
    with_server(config, async |fixture| {
        for _ in 0..1_000 {
            fail(&fixture, Call::Commit, TxnError::Conflict(place(&fixture, "n").key));
        }
        let mut client = fixture.client().await;
        let answer = client.ask("INCR n").await;
        assert_eq!(
            answer,
            "(error) TRYAGAIN a concurrent transaction changed 'n' after it was read; retry the transaction"
        );
        assert_eq!(fixture.database.locks(), 0);
    });
}

#[test]
fn each_error_has_its_code() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let unavailable = TxnError::Unavailable { partition: PartitionId::default(), answered: 1, needed: 2 };
        for (error, code) in [
            (unavailable, "UNAVAILABLE partition 0/0: 1 of 2 needed replicas"),
            (TxnError::Overloaded, "BUSY "),
            (TxnError::Limit("too much".to_owned()), "LIMIT limit exceeded: too much"),
            (TxnError::DiskFull, "LIMIT the disk is nearly full"),
        ] {
            fail(&fixture, Call::Commit, error.clone());
            let answer = client.ask("SET a 1").await;
            assert!(answer.starts_with(&format!("(error) {code}")), "{answer}");
            fail(&fixture, Call::Read, error);
            let answer = client.ask("GET a").await;
            assert!(answer.starts_with(&format!("(error) {code}")), "{answer}");
        }
        assert_eq!(client.ask("GET a").await, "(nil)", "nothing was executed");
    });
}

#[test]
fn an_unknown_outcome_can_be_asked_for() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        fixture.database.inject(Call::Commit, Fault::FailsAfter(TxnError::Unknown));
        let answer = client.ask("SET a 1").await;
        let id = answer.rsplit(' ').next().unwrap().to_owned();
        assert!(answer.starts_with("(error) UNKNOWN "), "{answer}");
        assert_eq!(client.ask("ANNULUS.LAST").await, format!("\"{id}\""));
        assert_eq!(client.ask(&format!("ANNULUS.OUTCOME {id}")).await, "committed");
        // With a token the write may simply be sent again.
        client.ask("ANNULUS.TOKEN t").await;
        fixture.database.inject(Call::Commit, Fault::FailsAfter(TxnError::Unknown));
        assert!(client.ask("INCR n").await.starts_with("(error) UNKNOWN "));
        client.ask("ANNULUS.TOKEN t").await;
        assert!(client.ask("INCR n").await.starts_with("(error) DONE "));
        assert_eq!(client.ask("GET n").await, "\"1\"");
        assert_eq!(client.ask("ANNULUS.OUTCOME t").await, "committed");
    });
}

#[test]
fn an_aborted_token_is_never_executed() {
    with_server(Config::default(), async |fixture| {
        let (mut client, mut other) = (fixture.client().await, fixture.client().await);
        client.ask("ANNULUS.TOKEN t").await;
        assert_eq!(other.ask("ANNULUS.OUTCOME t").await, "aborted");
        assert!(client.ask("INCR n").await.starts_with("(error) ABORTED "));
        assert_eq!(client.ask("GET n").await, "(nil)");
    });
}

#[test]
fn who_watches_a_hot_key_wins_after_a_loss() {
    with_server(Config::default(), async |fixture| {
        let (mut client, mut other) = (fixture.client().await, fixture.client().await);
        client.ask("WATCH n").await;
        other.ask("SET n 1").await;
        client.ask("MULTI").await;
        client.ask("INCR n").await;
        assert_eq!(client.ask("EXEC").await, "(nil array)");
        assert_eq!(client.ask("WATCH n").await, "OK");
        assert_eq!(fixture.database.locks(), 1);
        // The other one waits until EXEC.
        other.send(&[b"SET".to_vec(), b"n".to_vec(), b"5".to_vec()]).await;
        assert_eq!(client.ask("GET n").await, "\"1\"");
        client.ask("MULTI").await;
        client.ask("INCR n").await;
        assert_eq!(client.ask("EXEC").await, "[(integer) 2]");
        assert_eq!(other.reply().await.unwrap().to_string(), "OK");
        assert_eq!(client.ask("GET n").await, "\"5\"");
        assert_eq!(fixture.database.locks(), 0);
        // For a while others line up at that key at once; elsewhere WATCH is optimistic.
        other.ask("WATCH n").await;
        assert_eq!(fixture.database.locks(), 1);
        other.ask("UNWATCH").await;
        client.ask("WATCH m").await;
        assert_eq!(fixture.database.locks(), 0);
    });
}

#[test]
fn locks_of_a_watch_end_with_its_lease_and_its_connection() {
    let config = Config { watch_lease: Duration::from_millis(50), ..Config::default() };
    with_server(config, async |fixture| {
        let mut other = fixture.client().await;
        for disconnects in [false, true] {
            let mut client = fixture.client().await;
            client.ask("WATCH n").await;
            other.ask("SET n 1").await;
            client.ask("MULTI").await;
            assert_eq!(client.ask("EXEC").await, "(nil array)");
            client.ask("WATCH n").await;
            assert_eq!(fixture.database.locks(), 1);
            if disconnects {
                drop(client);
                assert_eq!(other.ask("SET n 2").await, "OK");
            } else {
                assert_eq!(other.ask("SET n 2").await, "OK", "it waits for the lease");
                client.ask("MULTI").await;
                assert_eq!(client.ask("EXEC").await, "(nil array)", "the keys stay watched");
            }
            assert_eq!(fixture.database.locks(), 0);
        }
    });
}

#[test]
fn an_expired_key_is_there_until_its_deletion_is_committed() {
    with_server(Config::default(), async |fixture| {
        // The clock of the second node is ahead.
        let ahead = Rc::new(Cell::new(fixture.wall.get() + 10_000_000));
        let second = super::start(fixture.database.clone(), ahead, Config::default()).await;
        let (mut slow, mut fast) = (fixture.client().await, second.client().await);
        slow.ask("SET a 1 EX 5").await;
        assert_eq!(slow.ask("GET a").await, "\"1\"", "by its own clock");
        fail(&fixture, Call::Commit, TxnError::DiskFull);
        assert!(fast.ask("GET a").await.starts_with("(error) LIMIT"), "absence is told only once it is committed");
        assert_eq!(slow.ask("GET a").await, "\"1\"");
        assert_eq!(fast.ask("GET a").await, "(nil)");
        assert_eq!(slow.ask("GET a").await, "(nil)", "all nodes agree from then on");
        // Set anew just before the deletion: the new value stays.
        slow.ask("SET a 1 EX 5").await;
        interfere(&fixture, Call::Commit, "a", "new");
        assert_eq!(fast.ask("GET a").await, "\"new\"");
        assert_eq!(slow.ask("GET a").await, "\"new\"");
    });
}

#[test]
fn a_flush_by_another_node_is_noticed() {
    with_server(Config::default(), async |fixture| {
        let second = fixture.another(Config::default()).await;
        let (mut one, mut two) = (fixture.client().await, second.client().await);
        for round in 0..3 {
            // Both know the generation by now; each kind of command must notice that it is an old one.
            assert_eq!(one.ask("MSET a 1 b 1").await, "OK");
            assert_eq!(two.ask("GET a").await, "\"1\"");
            assert_eq!(one.ask("FLUSHDB").await, "OK");
            match round {
                0 => assert_eq!(two.ask("GET a").await, "(nil)"),
                1 => assert_eq!(two.ask("INCR a").await, "(integer) 1"),
                _ => assert_eq!(two.ask("SET a 1").await, "OK"),
            }
            let expected = if round == 0 { "[(nil), (nil)]" } else { "[\"1\", (nil)]" };
            assert_eq!(one.ask("MGET a b").await, expected);
            assert_eq!(two.ask("MGET a b").await, expected);
            assert_eq!(two.ask("FLUSHDB").await, "OK");
            assert_eq!(one.ask("DBSIZE").await, "(integer) 0");
        }
    });
}

#[test]
fn a_flush_under_way_does_not_split_a_read_modify_write() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.ask("SET n 5").await;
        let generation = generation_place(place(&fixture, "n").partition);
        // Between the read and the commit, and then again between the lock and the commit.
        for (call, number) in [(Call::Commit, 2_u32), (Call::Lock, 3)] {
            if call == Call::Lock {
                fail(&fixture, Call::Commit, TxnError::Wounded);
            }
            let (place, value) = (generation.clone(), number.to_be_bytes());
            let flush = move |database: &Fake| database.write(place, Some(value.to_vec().into()));
            fixture.database.inject(call, Fault::Precedes(Box::new(flush)));
            assert_eq!(client.ask("INCR n").await, "(integer) 1");
            assert_eq!(client.ask("GET n").await, "\"1\"");
        }
    });
}

#[test]
fn increments_of_many_clients_are_all_counted() {
    with_server(Config::default(), async |fixture| {
        let fixture = Rc::new(fixture);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let fixture = Rc::clone(&fixture);
            tasks.spawn_local(async move {
                let mut client = fixture.client().await;
                for _ in 0..25 {
                    client.ask("INCR hot").await;
                    loop {
                        client.ask("WATCH watched").await;
                        let value = client.ask("GET watched").await;
                        let next = value.trim_matches('"').parse::<u32>().unwrap_or(0) + 1;
                        client.ask("MULTI").await;
                        client.ask(&format!("SET watched {next}")).await;
                        if client.ask("EXEC").await == "[OK]" {
                            break;
                        }
                    }
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let mut client = fixture.client().await;
        assert_eq!(client.ask("MGET hot watched").await, "[\"400\", \"400\"]");
        assert_eq!(fixture.database.locks(), 0);
        assert!(fixture.server.shared.stats.retries.get() > 0, "nobody was in the way of anybody");
    });
}
