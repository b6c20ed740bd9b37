//! Commands sent without waiting for answers.

use super::fake::{Call, Fault};
use super::{Config, with_server};
use annulus_base::{NamespaceId, PartitionId};
use annulus_txn::interface::TxnError;

/// Sends commands in one piece, so that they arrive together.
async fn ask_all(client: &mut super::wire::Client, commands: &[&str]) -> Vec<String> {
    client.send_all(commands).await;
    let mut replies = Vec::new();
    for _ in commands {
        replies.push(client.reply().await.unwrap().to_string());
    }
    replies
}

#[test]
fn reads_that_arrive_together_are_one_read() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.ask("MSET a 1 b two").await;
        fixture.database.take_calls();
        let replies = ask_all(&mut client, &["GET a", "MGET a b c", "GETBIT a 0", "STRLEN b", "GET"]).await;
        assert_eq!(replies[..2], ["\"1\"", "[\"1\", \"two\", (nil)]"]);
        assert!(replies[2].starts_with("(error) "), "{}", replies[2]);
        assert_eq!(replies[3], "(integer) 3");
        assert!(replies[4].starts_with("(error) ERR wrong number"), "{}", replies[4]);
        // What cannot be part of it divides it.
        assert_eq!(fixture.database.take_calls()[&Call::Read], 2);
    });
}

#[test]
fn a_read_sees_the_write_before_it_and_not_the_one_behind() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let replies = ask_all(&mut client, &["SET a 1", "GET a", "GET a", "SET a 2", "GET a", "GET b"]).await;
        assert_eq!(replies, ["OK", "\"1\"", "\"1\"", "OK", "\"2\"", "(nil)"]);
    });
}

#[test]
fn what_is_watched_is_read_with_it() {
    with_server(Config::default(), async |fixture| {
        let (mut client, mut other) = (fixture.client().await, fixture.client().await);
        client.ask("SET a 1").await;
        fixture.database.take_calls();
        assert_eq!(ask_all(&mut client, &["WATCH a", "GET a", "STRLEN a"]).await, ["OK", "\"1\"", "(integer) 1"]);
        assert_eq!(fixture.database.take_calls()[&Call::Read], 1);
        other.ask("SET a 2").await;
        assert_eq!(
            ask_all(&mut client, &["MULTI", "SET a 3", "EXEC", "GET a"]).await,
            ["OK", "QUEUED", "(nil array)", "\"2\""]
        );
        // Now the keys are locked first, and read by themselves; so is a key that is not watched.
        fixture.database.take_calls();
        assert_eq!(ask_all(&mut client, &["WATCH a", "GET a", "GET b"]).await, ["OK", "\"2\"", "(nil)"]);
        assert_eq!(fixture.database.locks(), 1);
        assert_eq!(ask_all(&mut client, &["MULTI", "INCR a", "EXEC"]).await, ["OK", "QUEUED", "[(integer) 3]"]);
    });
}

#[test]
fn commands_between_multi_and_exec_are_queued() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let replies = ask_all(&mut client, &["SET a 1", "MULTI", "GET a", "GET b", "EXEC", "GET a"]).await;
        assert_eq!(replies, ["OK", "OK", "QUEUED", "QUEUED", "[\"1\", (nil)]", "\"1\""]);
    });
}

#[test]
fn each_gets_the_error_of_a_read_that_failed() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let error = TxnError::Unavailable { partition: PartitionId::new(NamespaceId(1), 0), needed: 2, answered: 1 };
        fixture.database.inject(Call::Read, Fault::Fails(error));
        let replies = ask_all(&mut client, &["GET a", "GET b", "PING"]).await;
        assert!(replies[..2].iter().all(|reply| reply.starts_with("(error) UNAVAILABLE")), "{replies:?}");
        assert_eq!(replies[2], "PONG");
    });
}
