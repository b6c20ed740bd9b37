//! Clients that want the same keys at the same time share transactions.

use std::rc::Rc;
use std::time::Duration;

use annulus_base::TxnId;
use annulus_base::rng::Rng;
use annulus_txn::interface::{Database, Place, TxnError};

use super::fake::{Call, Fault};
use super::wire::Client;
use super::{Fixture, with_server};
use crate::server::resp::Config;
use crate::server::resp::keyspace::stored_key;

/// Holds up everybody who writes a key.
async fn hold(fixture: &Fixture, key: &str) -> (TxnId, Vec<Place>) {
    let partition = fixture.server.shared.keyspace.partition_of(0, key.as_bytes()).unwrap();
    let places = vec![Place { partition, key: stored_key(1, key.as_bytes()) }];
    let start = fixture.database.begin();
    let (lock, _) = fixture.database.lock(start, places.clone(), true, 0).await.unwrap();
    (lock, places)
}

/// Sends commands, each by a client of its own, each after the one before has begun.
async fn send_all(fixture: &Fixture, commands: &[&str]) -> Vec<Client> {
    let mut clients = Vec::new();
    for command in commands {
        let mut client = fixture.client().await;
        let words: Vec<Vec<u8>> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let name = command.split(' ').next().unwrap().to_lowercase();
        client.send(&words).await;
        let begun = clients.len() + 1;
        let has_begun = |all: Vec<Rc<crate::server::resp::clients::Client>>| {
            all.len() == begun && all[begun - 1].command.get() == name
        };
        fixture.wait_for(|server| has_begun(server.shared.clients.all())).await;
        clients.push(client);
    }
    clients
}

async fn replies(clients: Vec<Client>) -> Vec<String> {
    let mut replies = Vec::new();
    for mut client in clients {
        replies.push(client.reply().await.unwrap().to_string());
    }
    replies
}

#[test]
fn those_who_wait_share_the_next_transaction_in_their_order() {
    with_server(Config::default(), async |fixture| {
        let (lock, places) = hold(&fixture, "n").await;
        let commands = ["INCR n", "INCR n", "APPEND n x", "INCR n", "SET n 5", "INCR n", "GETDEL n", "INCRBY n 3"];
        let clients = send_all(&fixture, &commands).await;
        fixture.database.take_calls();
        fixture.database.unlock(lock, &places);
        let expected = [
            "(integer) 1",
            "(integer) 2",
            "(integer) 2",
            "(error) ERR value is not an integer or out of range",
            "OK",
            "(integer) 6",
            "\"6\"",
            "(integer) 3",
        ];
        assert_eq!(replies(clients).await, expected);
        // The first was under way already.
        let calls = fixture.database.take_calls();
        assert_eq!(calls.get(&Call::Commit).copied().unwrap_or(0), 1, "{calls:?}");
        assert_eq!(fixture.server.shared.stats.combined.get(), 6);
        assert_eq!(fixture.client().await.ask("GET n").await, "\"3\"");
    });
}

#[test]
fn what_fails_together_may_succeed_alone() {
    with_server(Config::default(), async |fixture| {
        let (lock, places) = hold(&fixture, "n").await;
        let clients = send_all(&fixture, &["INCR n", "INCR n", "INCR n"]).await;
        // The first commit waits inside already; the next one is that of the other two.
        fixture.database.inject(Call::Commit, Fault::Fails(TxnError::Limit("too large together".to_owned())));
        fixture.database.unlock(lock, &places);
        assert_eq!(replies(clients).await, ["(integer) 1", "(integer) 2", "(integer) 3"]);
    });
}

#[test]
fn an_outcome_is_unknown_to_all_who_share_it() {
    with_server(Config::default(), async |fixture| {
        let (lock, places) = hold(&fixture, "n").await;
        let clients = send_all(&fixture, &["INCR n", "INCR n", "INCR n"]).await;
        fixture.database.inject(Call::Commit, Fault::FailsAfter(TxnError::Unknown));
        fixture.database.unlock(lock, &places);
        let replies = replies(clients).await;
        assert!(replies[1].starts_with("(error) UNKNOWN "), "{}", replies[1]);
        assert_eq!(replies[0], "(integer) 1");
        assert_eq!(replies[1], replies[2]);
        assert_eq!(fixture.client().await.ask("GET n").await, "\"3\"");
    });
}

#[test]
fn nobody_waits_longer_than_a_request_may_take() {
    let config = Config { request_timeout: Duration::from_millis(100), ..Config::default() };
    with_server(config, async |fixture| {
        let (lock, places) = hold(&fixture, "n").await;
        let clients = send_all(&fixture, &["INCR n", "INCR n", "INCR n"]).await;
        let replies = replies(clients).await;
        assert!(replies.iter().all(|reply| reply.starts_with("(error) TRYAGAIN ")), "{replies:?}");
        fixture.database.unlock(lock, &places);
        let mut client = fixture.client().await;
        assert_eq!(client.ask("GET n").await, "(nil)");
        assert_eq!(client.ask("INCR n").await, "(integer) 1", "the key is free again");
    });
}

#[test]
fn transfers_between_few_accounts_keep_the_sum_and_end() {
    with_server(Config::default(), async |fixture| {
        let fixture = Rc::new(fixture);
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..12 {
            let fixture = Rc::clone(&fixture);
            tasks.spawn_local(async move {
                let (mut client, mut rng) = (fixture.client().await, Rng::new(seed));
                for _ in 0..30 {
                    let (from, to) = (rng.below(4), rng.below(4));
                    client.ask("MULTI").await;
                    client.ask(&format!("DECRBY account:{from} 7")).await;
                    client.ask(&format!("INCRBY account:{to} 7")).await;
                    assert!(client.ask("EXEC").await.starts_with("[(integer) "));
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let mut sum = 0;
        for account in 0..4 {
            let balance = fixture.client().await.ask(&format!("GET account:{account}")).await;
            sum += balance.trim_matches('"').parse::<i64>().unwrap();
        }
        assert_eq!(sum, 0);
        assert!(fixture.server.shared.stats.combined.get() > 0);
        assert_eq!(fixture.server.shared.stats.retries.get(), 0, "on one node they never lose against each other");
    });
}
