//! Transcripts: files of commands and replies.
//!
//! `> command` is sent by the first client, `2> command` by the second; the line below is the reply. Lines
//! with `@` are directives: `@wait MILLIS`, `@sort` (the order of the next reply's items has no meaning),
//! `@any` (the next reply is not compared), `@flood N` (keys `key:0` ... are set).
//!
//! Those in `testdata/redis` are what a real Redis 7 answers: run with `BLESS=1` and `redis-server` on the
//! path, they are written anew from it. Those in `testdata/annulus` are our own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::redis::RedisServer;
use super::wire::Client;
use super::{Fixture, with_server};
use crate::server::resp::Config;
use crate::server::resp::protocol::split_line;

/// Who answers.
pub enum Target<'a> {
    Ours(&'a Fixture),
    Redis(&'a RedisServer),
}

impl Target<'_> {
    pub async fn connect(&self) -> Client {
        match self {
            Self::Ours(fixture) => fixture.client().await,
            Self::Redis(server) => Client::connect(server.port).await,
        }
    }

    async fn wait(&self, millis: u64) {
        match self {
            Self::Ours(fixture) => fixture.advance(millis),
            Self::Redis(_) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
    }
}

/// Runs a transcript; returns it with the replies that came.
async fn replay(text: &str, target: &Target<'_>) -> String {
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let (mut sort, mut any) = (false, false);
    let mut out = String::new();
    for line in text.lines() {
        if let Some((name, command)) =
            line.split_once("> ").filter(|(name, _)| name.parse::<u8>().is_ok() || name.is_empty())
        {
            if !clients.contains_key(name) {
                clients.insert(name.to_owned(), target.connect().await);
            }
            let client = clients.get_mut(name).unwrap();
            let words = split_line(command.as_bytes()).unwrap();
            client.send(&words).await;
            let reply = match client.reply().await {
                Ok(_) if std::mem::take(&mut any) => "(any)".to_owned(),
                Ok(reply) if std::mem::take(&mut sort) => reply.sorted().to_string(),
                Ok(reply) => reply.to_string(),
                Err(_) => "(closed)".to_owned(),
            };
            out.push_str(&format!("{line}\n{reply}\n"));
            continue;
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("@wait", millis) => target.wait(millis.parse().unwrap()).await,
            ("@sort", _) => sort = true,
            ("@any", _) => any = true,
            ("@flood", count) => flood(&mut target.connect().await, count.parse().unwrap()).await,
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => continue,
        }
        out.push_str(&format!("{line}\n"));
    }
    out
}

/// Sets `key:0` and so on.
pub async fn flood(client: &mut Client, count: usize) {
    for number in 0..count {
        client.ask(&format!("SET key:{number} {number}")).await;
    }
}

fn files(of: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/resp/testdata").join(of);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn compare(path: &Path, replies: &str, bless: bool) {
    if bless {
        std::fs::write(path, replies).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    let mut differences = String::new();
    let mut command = "";
    for (number, (expected, found)) in expected.lines().zip(replies.lines()).enumerate() {
        if expected != found {
            let at = format!("{}:{}", path.display(), number + 1);
            differences.push_str(&format!("{at}\n {command}\n  expected {expected}\n  found    {found}\n"));
        }
        command = expected;
    }
    assert!(differences.is_empty(), "\n{differences}");
    assert_eq!(expected.lines().count(), replies.lines().count(), "{}: replies are missing", path.display());
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

fn replay_ours(of: &'static str, bless: bool) {
    // In transcripts clients do not hurry to EXEC.
    let config = Config { watch_lease: Duration::from_millis(20), ..Config::default() };
    for path in files(of) {
        with_server(config.clone(), async |fixture| {
            let text = std::fs::read_to_string(&path).unwrap();
            let replies = replay(&text, &Target::Ours(&fixture)).await;
            compare(&path, &replies, bless);
            assert_eq!(fixture.database.locks(), 0, "{}: locks are left", path.display());
        });
    }
}

#[test]
fn redis_answers_as_its_transcripts_say() {
    let Some(server) = RedisServer::start() else { return };
    for path in files("redis") {
        with_server(Config::default(), async |_| {
            let target = Target::Redis(&server);
            target.connect().await.ask("FLUSHALL").await;
            let text = std::fs::read_to_string(&path).unwrap();
            compare(&path, &replay(&text, &target).await, blessing());
        });
    }
}

#[test]
fn we_answer_as_redis_does() {
    replay_ours("redis", false);
}

#[test]
fn we_answer_as_our_transcripts_say() {
    replay_ours("annulus", blessing());
}
