//! Cancelled statements, clients that go, timeouts, and the end of the node.

use std::time::Duration;

use super::super::Config;
use super::wire::{cancel, message, query, run, sync};
use super::with_server;

const CANCELLED: &str = "E ERROR 57014 canceling statement due to user request";

#[test]
fn a_statement_can_be_cancelled() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        for (statement, status) in [(query("write a; wait"), "Z I"), (query("begin; wait"), "Z E")] {
            client.send(&statement).await;
            fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
            // Who does not know the secret cannot.
            let mut wrong = client.key.1.clone();
            wrong[3] ^= 1;
            cancel(fixture.port, client.key.0, &wrong).await;
            cancel(fixture.port, client.key.0, &[]).await;
            cancel(fixture.port, client.key.0 + 1, &client.key.1).await;
            assert_eq!(fixture.world.at_work.get(), 1);
            client.cancel(fixture.port).await;
            let answers = client.until_ready().await;
            assert_eq!(answers[answers.len() - 2..], [CANCELLED, status]);
            assert_eq!(fixture.world.at_work.get(), 0);
        }
        client.query("rollback").await;
        // Nothing is at work: nothing is cancelled.
        client.cancel(fixture.port).await;
        assert_eq!(client.query("rows 1").await, "T n:23:0, D 0, C SELECT 1, Z I");
        client.send(&[run("wait"), run("write b"), sync()].concat()).await;
        fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
        client.cancel(fixture.port).await;
        assert_eq!(client.until_ready().await.join(", "), format!("1, 2, {CANCELLED}, Z I"));
        // Not even one that never waits goes on.
        client.send(&query("endless")).await;
        assert_eq!(client.next().await.unwrap(), "T n:23:0");
        client.cancel(fixture.port).await;
        let answers = client.until_ready().await;
        assert_eq!(answers[answers.len() - 2..], [CANCELLED, "Z I"]);
        assert!(fixture.world.committed.borrow().is_empty());
    });
}

#[test]
fn a_commit_under_way_is_waited_for() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.send(&query("slow-commit")).await;
        fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
        client.cancel(fixture.port).await;
        fixture.settle().await;
        assert_eq!(fixture.world.at_work.get(), 1);
        fixture.world.go_on.notify_one();
        assert_eq!(client.until_ready().await.join(", "), "C SLOW COMMIT, Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["slow"]);
        // Also when nobody is there any more.
        client.send(&query("slow-commit")).await;
        fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
        drop(client);
        fixture.settle().await;
        assert_eq!(fixture.world.at_work.get(), 1);
        fixture.world.go_on.notify_one();
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        assert_eq!(*fixture.world.committed.borrow(), ["slow", "slow"]);
    });
}

#[test]
fn a_client_that_goes_ends_its_statement_at_once() {
    with_server(Config::default(), async |fixture| {
        for statement in [query("begin; write a; wait"), [run("write a"), run("wait"), sync()].concat()] {
            let mut client = fixture.client().await;
            client.send(&statement).await;
            fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
            drop(client);
            fixture.wait_for(|fixture| fixture.world.open.get() == 0 && fixture.world.at_work.get() == 0).await;
        }
        assert_eq!(fixture.world.rolled_back.get(), 2);
        // Also one that has sent more than is read while a statement is at work, and resets its connection.
        let mut client = fixture.client().await;
        client.send(&query("wait")).await;
        client.send(&message(b'Q', &[b' '; 200_000])).await;
        fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
        client.stream.set_zero_linger().unwrap();
        drop(client);
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
    });
}

#[test]
fn statements_and_idle_sessions_have_timeouts() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.query("timeout 20").await;
        let late = "E ERROR 57014 canceling statement due to statement timeout";
        assert_eq!(client.query("wait").await, format!("{late}, Z I"));
        assert_eq!(client.ask(&[run("wait"), sync()].concat()).await, format!("1, 2, {late}, Z I"));
        assert_eq!(client.query("copy-in").await, format!("G 2 columns, {late}, Z I"));
        client.query("idle-in-transaction 20").await;
        // Outside of a transaction it may be idle for longer: as long as another one is until it is ended for that.
        let mut other = fixture.client().await;
        other.query("idle 40").await;
        assert_eq!(other.until_ready().await, ["E FATAL 57P05 terminating connection due to idle-session timeout"]);
        assert_eq!(client.query("begin; write a").await, "C BEGIN, C WRITE 1, Z T");
        assert_eq!(
            client.until_ready().await,
            ["E FATAL 25P03 terminating connection due to idle-in-transaction timeout"]
        );
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        assert_eq!(fixture.world.rolled_back.get(), 1);
    });
}

#[test]
fn a_connection_can_be_terminated() {
    with_server(Config::default(), async |fixture| {
        for statement in ["rows 1", "begin; wait"] {
            let mut client = fixture.client().await;
            client.send(&query(statement)).await;
            if statement == "rows 1" {
                client.until_ready().await;
            } else {
                fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
            }
            fixture.server.shared.clients.all()[0].terminate();
            let answers = client.until_ready().await;
            assert_eq!(answers.last().unwrap(), "E FATAL 57P01 terminating connection due to administrator command");
            fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
        }
    });
}

#[test]
fn a_node_that_stops_lets_statements_finish() {
    with_server(Config { drain_timeout: Duration::from_millis(200), ..Config::default() }, async |fixture| {
        let (mut idle, mut busy, mut stuck) = (fixture.client().await, fixture.client().await, fixture.client().await);
        busy.send(&query("slow-commit")).await;
        stuck.send(&query("wait")).await;
        fixture.wait_for(|fixture| fixture.world.at_work.get() == 2).await;
        fixture.shutdown.cancel();
        let told = "E FATAL 57P01 terminating connection due to administrator command";
        assert_eq!(idle.until_ready().await, [told]);
        fixture.world.go_on.notify_one();
        assert_eq!(busy.until_ready().await, ["C SLOW COMMIT", "Z I"]);
        assert_eq!(busy.until_ready().await, [told]);
        assert!(stuck.until_ready().await.is_empty());
        fixture.wait_for(|fixture| fixture.world.open.get() == 0).await;
    });
}
