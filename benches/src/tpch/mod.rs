//! TPC-H's 22 queries on ours and on PostgreSQL, over the same generated data: their results must be the same.

mod tables;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt as _, pin_mut};
use tokio_postgres::SimpleQueryMessage;

use crate::client::Refusal;
use crate::failure::Failure;
use crate::options::TpchOptions;
use crate::peer::{Kind, Peer};
use crate::run::data_folder;
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
    let mut report = Report::default();
    for (number, query) in (1..).zip(queries(options.scale)) {
        if options.queries.is_empty() || options.queries.contains(&number) {
            let found = ours.measure(&query, options).await?;
            let expected = theirs.measure(&query, options).await?;
            report.add(number, &found, &expected);
        }
    }
    report.finish()
}

/// A database with the data set.
struct Database {
    peer: Peer,
    client: tokio_postgres::Client,
}

/// What a query came to.
struct Outcome {
    rows: Result<Vec<Vec<Option<String>>>, String>,
    time: Duration,
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

    /// The best of some runs.
    async fn measure(&mut self, query: &str, options: &TpchOptions) -> Result<Outcome, Failure> {
        let mut best: Option<Outcome> = None;
        for _ in 0..options.rounds {
            let begun = Instant::now();
            let answer = self.client.simple_query(query).await;
            let time = begun.elapsed();
            self.peer.check_alive()?;
            let rows = match answer {
                Ok(messages) => Ok(messages.iter().filter_map(row_of).collect()),
                Err(error) => match Refusal::from(error) {
                    Refusal::Failed(told) => Err(told),
                    Refusal::Conflict => Err("lost a conflict".to_owned()),
                },
            };
            let failed = rows.is_err();
            if best.as_ref().is_none_or(|best| time < best.time) {
                best = Some(Outcome { rows, time });
            }
            if failed {
                break;
            }
        }
        best.ok_or(Failure::NoPeers)
    }
}

fn row_of(message: &SimpleQueryMessage) -> Option<Vec<Option<String>>> {
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

/// The table of times, and which results differ.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    wrong: Vec<String>,
    ours: f64,
    theirs: f64,
}

impl Report {
    fn add(&mut self, number: u32, found: &Outcome, expected: &Outcome) {
        let [ours, theirs] = [found, expected].map(|outcome| outcome.time.as_secs_f64());
        self.ours += ours;
        self.theirs += theirs;
        let line = match (&found.rows, &expected.rows) {
            (Ok(rows), Ok(_)) => {
                format!("| {number} | {} | {ours:.2} | {theirs:.2} | {:.1} |", rows.len(), ours / theirs)
            }
            (Err(told), _) | (_, Err(told)) => format!("| {number} | {told} | {ours:.2} | {theirs:.2} | |"),
        };
        eprintln!("{line}");
        self.lines.push(line);
        match (&found.rows, &expected.rows) {
            (Ok(found), Ok(expected)) if sorted(found) == sorted(expected) => {}
            (Ok(found), Ok(expected)) => {
                let different = found.iter().zip(expected).find(|(one, other)| one != other);
                self.wrong.push(format!(
                    "query {number}: {} rows, PostgreSQL {}: {different:?}",
                    found.len(),
                    expected.len()
                ));
            }
            _ => self.wrong.push(format!("query {number} failed")),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        println!("| query | rows | annulus, s | PostgreSQL, s | ratio |\n| ----: | ---: | ---: | ---: | ---: |");
        self.lines.iter().for_each(|line| println!("{line}"));
        println!("| all | | {:.2} | {:.2} | {:.1} |", self.ours, self.theirs, self.ours / self.theirs);
        if self.wrong.is_empty() { Ok(()) } else { Err(Failure::Wrong(self.wrong.join("\n"))) }
    }
}

/// Rows in one order: what a query orders by may be equal in several.
fn sorted<T: Ord>(rows: &[T]) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort();
    rows
}
