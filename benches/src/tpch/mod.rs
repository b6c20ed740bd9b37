//! TPC-H's 22 queries on ours and on PostgreSQL, over the same generated data: their results must be the same. Their times
//! stand beside those of DataFusion over Parquet, where that can be had.

mod datafusion;
mod report;
mod tables;

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures::{SinkExt as _, pin_mut};
use tokio_postgres::SimpleQueryMessage;

use crate::client::Refusal;
use crate::failure::Failure;
use crate::options::TpchOptions;
use crate::peer::{Kind, Peer};
use crate::run::data_folder;
use datafusion::DataFusion;
use report::{Outcome, Report, Row};
use tables::{TABLES, Table, queries};

/// Text sent at once while loading, bytes.
const CHUNK: usize = 1 << 16;

/// Loads the data, runs all queries and prints their times.
///
/// # Errors
/// If a server fails, or if results differ.
pub async fn compare(options: &TpchOptions) -> Result<(), Failure> {
    let dir = data_folder(&options.place)?;
    let mut ours = Database::start(Kind::AnnulusSql, dir.path(), options).await?;
    let mut theirs = Database::start(Kind::Postgres, dir.path(), options).await?;
    let mut parquet = match DataFusion::start(dir.path(), options).await {
        Ok(started) => Some(started),
        Err(failure) => {
            println!("DataFusion over Parquet is LEFT OUT: {failure}");
            None
        }
    };
    let mut report = Report::new(parquet.is_some());
    for (number, query) in (1..).zip(queries(options.scale)) {
        if options.queries.is_empty() || options.queries.contains(&number) {
            let found = fastest(options.rounds, async || ours.run(&query).await).await?;
            let expected = fastest(options.rounds, async || theirs.run(&query).await).await?;
            let beside = match &mut parquet {
                Some(parquet) => Some(fastest(options.rounds, async || Ok(parquet.run(&query).await)).await?),
                None => None,
            };
            report.add(number, &found, &expected, beside.as_ref());
        }
    }
    report.finish()
}

/// The fastest of some runs; one that fails is the last.
async fn fastest(rounds: u32, mut run: impl AsyncFnMut() -> Result<Outcome, Failure>) -> Result<Outcome, Failure> {
    let mut fastest = run().await?;
    for _ in 1..rounds {
        if fastest.rows.is_err() {
            break;
        }
        let next = run().await?;
        if next.rows.is_err() || next.seconds < fastest.seconds {
            fastest = next;
        }
    }
    Ok(fastest)
}

/// A database with the data set.
struct Database {
    peer: Peer,
    client: tokio_postgres::Client,
}

impl Database {
    async fn start(kind: Kind, dir: &Path, options: &TpchOptions) -> Result<Self, Failure> {
        let name = kind.name();
        let mut peer = Peer::start(kind, dir, &options.place).await?;
        let begun = Instant::now();
        let load = async {
            let client = peer.endpoint(0).sql().await?;
            for table in &TABLES {
                load(&client, table, options.scale).await?;
            }
            // Without it PostgreSQL scans this table for each part in queries 17 and 20.
            client.batch_execute("CREATE INDEX ON lineitem (l_partkey, l_suppkey)").await?;
            client.batch_execute("ANALYZE").await?;
            client.batch_execute(&format!("SET statement_timeout = {}", options.timeout.as_millis())).await?;
            Ok::<_, Refusal>(client)
        };
        let loaded = load.await;
        peer.check_alive()?;
        let client = loaded.map_err(|refusal| Failure::Client { name, refusal })?;
        eprintln!("{name}: loaded in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(Self { peer, client })
    }

    async fn run(&mut self, query: &str) -> Result<Outcome, Failure> {
        let begun = Instant::now();
        let answer = self.client.simple_query(query).await;
        let seconds = begun.elapsed().as_secs_f64();
        self.peer.check_alive()?;
        let rows = match answer {
            Ok(messages) => Ok(messages.iter().filter_map(row_of).collect()),
            Err(error) => match Refusal::from(error) {
                Refusal::Failed(told) => Err(told),
                Refusal::Conflict => Err("lost a conflict".to_owned()),
            },
        };
        Ok(Outcome { rows, seconds })
    }
}

fn row_of(message: &SimpleQueryMessage) -> Option<Row> {
    match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|place| row.get(place).map(str::to_owned)).collect()),
        _ => None,
    }
}

/// Makes a table and fills it, in one transaction.
async fn load(client: &tokio_postgres::Client, table: &Table, scale: f64) -> Result<(), Refusal> {
    let Table { name, columns, .. } = table;
    client.batch_execute(&format!("BEGIN; CREATE TABLE {name} ({columns})")).await?;
    let copy = format!("COPY {name} FROM STDIN (DELIMITER '|')");
    let sink = client.copy_in::<_, Bytes>(&copy).await?;
    pin_mut!(sink);
    let mut chunk = String::with_capacity(2 * CHUNK);
    for row in (table.rows)(scale) {
        chunk.push_str(row.trim_end_matches('|'));
        chunk.push('\n');
        if chunk.len() > CHUNK {
            sink.send(std::mem::take(&mut chunk).into()).await?;
        }
    }
    sink.send(chunk.into()).await?;
    sink.finish().await?;
    Ok(client.batch_execute("COMMIT").await?)
}
