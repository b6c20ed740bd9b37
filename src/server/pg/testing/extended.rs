//! The extended protocol.

use std::time::Duration;

use super::super::Config;
use super::wire::{bind, close, describe, execute, message, parse, query, run, sync};
use super::with_server;

#[test]
fn prepared_statements_take_parameters_in_both_formats() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let prepare = [parse("s", "echo$3", &[23, 25]), describe("Ss"), sync()].concat();
        let types = [0, 3, 0, 0, 0, 23, 0, 0, 0, 25, 0, 0, 0, 25];
        assert_eq!(client.ask(&prepare).await, format!("1, t {types:?}, T value:25:0|value:25:0|value:25:0, Z I"));
        let number = 258_i32.to_be_bytes();
        let binary = bind("", "s", &[1, 0, 0], &[Some(&number), Some(b"x"), None], &[0, 1, 0]);
        assert_eq!(
            client.ask(&[binary, describe("P"), execute("", 0), sync()].concat()).await,
            "2, T value:25:0|value:25:1|value:25:0, D int4 258|x|NULL, C SELECT 1, Z I"
        );
        let text = bind("", "s", &[], &[Some(b"7"), None, Some(b"")], &[1]);
        assert_eq!(client.ask(&[text, execute("", 0), sync()].concat()).await, "2, D int4 7|NULL|, C SELECT 1, Z I");
        for (wrong, why) in [
            (bind("", "s", &[], &[Some(b"x"), None, None], &[]), "22P02 invalid input syntax for type integer: \"x\""),
            (
                bind("", "s", &[], &[None], &[]),
                "08P01 bind message supplies 1 parameters, but prepared statement \"s\" requires 3",
            ),
            (
                bind("", "s", &[0, 0], &[None, None, None], &[]),
                "08P01 bind message has 2 parameter formats but 3 parameters",
            ),
            (
                bind("", "s", &[], &[None, None, None], &[1, 1]),
                "08P01 bind message has 2 result formats but query has 3 columns",
            ),
            (bind("", "s", &[2], &[None, None, None], &[]), "22023 unsupported format code: 2"),
            (bind("", "t", &[], &[], &[]), "26000 prepared statement \"t\" does not exist"),
            (parse("s", "rows 1", &[]), "42P05 prepared statement \"s\" already exists"),
            (execute("p", 0), "34000 portal \"p\" does not exist"),
            (describe("Pp"), "34000 portal \"p\" does not exist"),
            (message(b'D', b"Qp\0"), "08P01 neither a statement nor a portal: 81"),
        ] {
            assert_eq!(client.ask(&[wrong, sync()].concat()).await, format!("E ERROR {why}, Z I"));
        }
        assert_eq!(
            client.ask(&[close("Ss"), close("Ss"), describe("Ss"), sync()].concat()).await,
            "3, 3, E ERROR 26000 prepared statement \"s\" does not exist, Z I"
        );
    });
}

#[test]
fn an_error_lets_everything_up_to_sync_be_ignored() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let pipeline = [run("write a"), run("fail"), run("write b"), query("write c"), sync(), run("write d"), sync()];
        assert_eq!(client.ask(&pipeline.concat()).await, "1, 2, C WRITE 1, 1, 2, E ERROR 23505 it failed, Z I");
        assert_eq!(client.until_ready().await.join(", "), "1, 2, C WRITE 1, Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["d"]);
        // A pipeline without errors is one transaction.
        let pipeline = [run("write e"), run("write conflict"), sync(), run("write f"), run("write g"), sync()];
        assert_eq!(
            client.ask(&pipeline.concat()).await,
            "1, 2, C WRITE 1, 1, 2, C WRITE 1, E ERROR 40001 could not serialize access, Z I"
        );
        assert_eq!(client.until_ready().await.join(", "), "1, 2, C WRITE 1, 1, 2, C WRITE 1, Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["d", "f", "g"]);
    });
}

#[test]
fn the_session_knows_which_statement_is_the_last_one() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.ask(&[run("write a"), close("P"), close("S"), sync()].concat()).await;
        assert_eq!(fixture.world.last.get(), 1);
        client.ask(&[run("write a"), run("write b"), sync()].concat()).await;
        assert_eq!(fixture.world.last.get(), 2);
        // Answers are sent though no Sync has come.
        client.send(&[run("write c"), message(b'H', b"")].concat()).await;
        let answers = [client.next().await, client.next().await, client.next().await];
        assert_eq!(answers.map(Option::unwrap), ["1", "2", "C WRITE 1"]);
        assert_eq!(*fixture.world.committed.borrow(), ["a", "a", "b"]);
        assert_eq!(client.ask(&sync()).await, "Z I");
        assert_eq!(*fixture.world.committed.borrow(), ["a", "a", "b", "c"]);
    });
}

/// A pipeline's answers come together, as PostgreSQL's do: clients count on the ones that they have not asked for yet.
#[test]
fn answers_wait_until_they_are_asked_for() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.send(&run("write a")).await;
        fixture.settle().await;
        let early = tokio::time::timeout(Duration::from_millis(50), client.next()).await;
        assert!(early.is_err(), "{early:?}");
        client.send(&message(b'H', b"")).await;
        let answers = [client.next().await, client.next().await, client.next().await];
        assert_eq!(answers.map(Option::unwrap), ["1", "2", "C WRITE 1"]);
        // An error does not wait.
        client.send(&[run("write b"), run("fail")].concat()).await;
        let mut last = String::new();
        while !last.starts_with('E') {
            last = client.next().await.unwrap();
        }
        assert_eq!(last, "E ERROR 23505 it failed");
        assert_eq!(client.ask(&sync()).await, "Z I");
    });
}

/// Drivers describe what they have declared before they fetch.
#[test]
fn cursors_are_described_and_closed_as_portals() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        client.query("declare c").await;
        assert_eq!(client.ask(&[describe("Pc"), sync()].concat()).await, "T c:23:0, Z I");
        let executed = client.ask(&[execute("c", 0), sync()].concat()).await;
        assert_eq!(executed, "E ERROR 0A000 execution of the cursor \"c\" as a portal is not supported, Z I");
        assert_eq!(
            client.ask(&[close("Pc"), describe("Pc"), sync()].concat()).await,
            "3, E ERROR 34000 portal \"c\" does not exist, Z I"
        );
    });
}

#[test]
fn portals_are_suspended_and_go_on() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let open = [parse("", "rows 5", &[]), bind("p", "", &[], &[], &[]), execute("p", 2), sync()].concat();
        // Outside of a block it ends with the sequence.
        assert_eq!(client.ask(&open).await, "1, 2, D 0, D 1, s, Z I");
        assert_eq!(
            client.ask(&[execute("p", 2), sync()].concat()).await,
            "E ERROR 34000 portal \"p\" does not exist, Z I"
        );
        client.query("begin").await;
        assert_eq!(client.ask(&open).await, "1, 2, D 0, D 1, s, Z T");
        assert_eq!(client.query("rows 1").await, "T n:23:0, D 0, C SELECT 1, Z T");
        assert_eq!(client.ask(&[execute("p", 2), sync()].concat()).await, "D 2, D 3, s, Z T");
        assert_eq!(client.ask(&[execute("p", 2), sync()].concat()).await, "D 4, C SELECT 1, Z T");
        assert_eq!(client.ask(&[execute("p", 2), sync()].concat()).await, "C SELECT 0, Z T");
        let again = [parse("", "rows 5", &[]), bind("p", "", &[], &[], &[]), sync()].concat();
        assert_eq!(client.ask(&again).await, "1, E ERROR 42P03 portal \"p\" already exists, Z E");
        assert_eq!(client.query("rollback").await, "C ROLLBACK, Z I");
        client.query("begin").await;
        client.ask(&open).await;
        // It does not outlive its transaction.
        assert_eq!(
            client
                .ask(
                    &[parse("", "commit", &[]), bind("", "", &[], &[], &[]), execute("", 0), execute("p", 0), sync()]
                        .concat()
                )
                .await,
            "1, 2, C COMMIT, E ERROR 34000 portal \"p\" does not exist, Z I"
        );
        client.query("begin").await;
        let twice = [run("write a"), execute("", 0), sync()].concat();
        assert_eq!(client.ask(&twice).await, "1, 2, C WRITE 1, E ERROR 55000 portal \"\" cannot be run, Z E");
    });
}

#[test]
fn statements_without_rows_or_words_have_their_answers() {
    with_server(Config::default(), async |fixture| {
        let mut client = fixture.client().await;
        let write =
            [parse("", "write a", &[]), describe("S"), bind("", "", &[], &[], &[]), describe("P"), execute("", 0)];
        assert_eq!(client.ask(&[write.concat(), sync()].concat()).await, "1, t [0, 0], n, 2, n, C WRITE 1, Z I");
        assert_eq!(client.ask(&[run(""), sync()].concat()).await, "1, 2, I, Z I");
        assert_eq!(
            client.ask(&[parse("", "syntax", &[]), sync()].concat()).await,
            "E ERROR 42601 syntax error at 1, Z I"
        );
    });
}
