//! A real driver.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::super::Config;
use super::{Fixture, with_server};

async fn connect(fixture: &Fixture) -> Client {
    let parameters = format!("host=127.0.0.1 port={} user=u dbname=d application_name=driver", fixture.port);
    let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await.unwrap();
    tokio::task::spawn_local(connection);
    client
}

#[test]
fn prepared_statements_and_transactions() {
    with_server(Config::default(), async |fixture| {
        let mut client = connect(&fixture).await;
        let statement = client.prepare("echo$2").await.unwrap();
        for round in 0..3 {
            let row = client.query_one(&statement, &[&format!("r{round}"), &None::<&str>]).await.unwrap();
            assert_eq!((row.get::<_, String>(0), row.get::<_, Option<String>>(1)), (format!("r{round}"), None));
        }
        let numbers = client.query("rows 2500", &[]).await.unwrap();
        assert!(numbers.iter().map(|row| row.get::<_, i32>("n")).eq(0..2500));
        let transaction = client.transaction().await.err().expect("START TRANSACTION is not a word of these sessions");
        assert_eq!(transaction.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
        client.batch_execute("begin").await.unwrap();
        client.batch_execute("write a; write b").await.unwrap();
        let error = client.batch_execute("fail").await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code(), error.message()), (&SqlState::UNIQUE_VIOLATION, "it failed"));
        assert_eq!((error.schema(), error.table(), error.constraint()), (Some("public"), Some("t"), Some("c")));
        client.batch_execute("rollback").await.unwrap();
        let messages = client.simple_query("rows 1; write c").await.unwrap();
        let rows: Vec<_> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            })
            .collect();
        assert_eq!(rows, ["0"]);
        assert_eq!(*fixture.world.committed.borrow(), ["c"]);
    });
}

#[test]
fn cancelling() {
    with_server(Config::default(), async |fixture| {
        let client = connect(&fixture).await;
        let token = client.cancel_token();
        let waiting = client.batch_execute("wait");
        let cancelling = async {
            fixture.wait_for(|fixture| fixture.world.at_work.get() == 1).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (error, ()) = tokio::join!(waiting, cancelling);
        assert_eq!(error.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    });
}
