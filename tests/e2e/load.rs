//! Clients at work while nodes come and go, and what must be found afterwards.
//!
//! Each writer writes keys of its own once each, counts in shared counters with client tokens (so that it
//! learns of every increment whether it happened), and transfers between shared accounts. An auditor reads
//! all accounts at once, all the time: their sum never changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use annulus_base::rng::Rng;
use redis::Value;

use crate::client::{Failure, Kv};
use crate::wait::{until, until_true};

const COUNTERS: u64 = 3;
const ACCOUNTS: u64 = 10;
const DEPOSIT: i64 = 100;
/// How long an outcome may take to be told while nodes come and go.
const OUTCOME: Duration = Duration::from_secs(25);

/// What one client knows.
#[derive(Debug, Default)]
pub struct Journal {
    /// Keys of own writes that were acknowledged, or whose outcome was told to be "committed". The value is the key.
    written: Vec<String>,
    /// Keys of own writes whose outcome was told to be "aborted".
    aborted: Vec<String>,
    /// Keys of own writes whose answers were lost.
    doubtful: Vec<String>,
    /// Increments that happened, by counter.
    increments: BTreeMap<String, i64>,
    /// Transfers that happened.
    transfers: u64,
    /// Error replies, by code.
    pub errors: BTreeMap<String, u64>,
    /// Answers lost with their connection.
    pub lost: u64,
    /// Outcomes asked for after `-UNKNOWN`.
    pub unknown: u64,
    /// Longest time that one client had no success.
    pub longest_pause: Duration,
    /// Longest time from a command to its answer or the end of its connection, and which it was.
    pub slowest: (Duration, String),
}

impl Journal {
    fn add(&mut self, other: Self) {
        self.written.extend(other.written);
        self.aborted.extend(other.aborted);
        self.doubtful.extend(other.doubtful);
        other.increments.into_iter().for_each(|(key, count)| *self.increments.entry(key).or_default() += count);
        self.transfers += other.transfers;
        other.errors.into_iter().for_each(|(code, count)| *self.errors.entry(code).or_default() += count);
        self.lost += other.lost;
        self.unknown += other.unknown;
        self.longest_pause = self.longest_pause.max(other.longest_pause);
        self.slowest = std::mem::take(&mut self.slowest).max(other.slowest);
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        format!(
            "{} writes, {} increments, {} transfers acknowledged; {} answers lost, {} unknown; error replies {:?}; longest pause {:?}, slowest answer {:?}",
            self.written.len(),
            self.increments.values().sum::<i64>(),
            self.transfers,
            self.lost,
            self.unknown,
            self.errors,
            self.longest_pause,
            self.slowest
        )
    }
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Journal>>,
}

impl Load {
    /// Opens the accounts, and starts `writers` writers and an auditor.
    pub fn start(ports: &[u16], writers: u64) -> Self {
        let mut client = Kv::connect(ports[0]).expect("a client");
        (0..ACCOUNTS).for_each(|n| client.must(&format!("SET account:{n} {DEPOSIT}")));
        let (stop, successes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |n| Client {
            number: n,
            ports: ports.to_vec(),
            at: n as usize,
            connection: None,
            rng: Rng::new(n),
            stop: Arc::clone(&stop),
            successes: Arc::clone(&successes),
            journal: Journal::default(),
        };
        let mut threads: Vec<_> = (0..writers).map(|n| client(n)).map(|c| thread::spawn(|| c.write())).collect();
        let auditor = client(writers);
        threads.push(thread::spawn(|| auditor.audit()));
        Self { stop, successes, threads }
    }

    /// Waits until so many more operations have succeeded.
    pub fn wait_progress(&self, more: u64, patience: Duration) {
        let goal = self.successes.load(Ordering::Relaxed) + more;
        until_true(format!("{more} more successes"), patience, || {
            assert!(!self.threads.iter().any(JoinHandle::is_finished), "a client has ended");
            self.successes.load(Ordering::Relaxed) >= goal
        });
    }

    /// Ends the clients.
    pub fn finish(mut self) -> Journal {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Journal::default();
        for thread in std::mem::take(&mut self.threads) {
            all.add(thread.join().expect("a client found nothing wrong"));
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What became of an operation.
type Done<T> = Result<T, Failure>;

struct Client {
    number: u64,
    ports: Vec<u16>,
    at: usize,
    connection: Option<Kv>,
    rng: Rng,
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicU64>,
    journal: Journal,
}

impl Client {
    fn write(mut self) -> Journal {
        let mut step = 0;
        self.repeat(|client| {
            step += 1;
            match step % 3 {
                0 => client.set(step),
                1 => client.increment(step),
                _ => client.transfer(),
            }
        });
        self.journal
    }

    fn audit(mut self) -> Journal {
        let accounts: Vec<String> = (0..ACCOUNTS).map(|n| format!("account:{n}")).collect();
        let command = format!("MGET {}", accounts.join(" "));
        self.repeat(|client| {
            let amounts: Vec<i64> = client.ask(&command)?;
            assert_eq!(
                amounts.iter().sum::<i64>(),
                ACCOUNTS as i64 * DEPOSIT,
                "money appeared or vanished: {amounts:?}"
            );
            Ok(())
        });
        self.journal
    }

    /// Works until told to stop, and books what fails.
    fn repeat(&mut self, mut work: impl FnMut(&mut Self) -> Done<()>) {
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            match work(self) {
                Ok(()) => {
                    self.successes.fetch_add(1, Ordering::Relaxed);
                    self.journal.longest_pause = self.journal.longest_pause.max(last.elapsed());
                    last = Instant::now();
                }
                Err(failure) => self.book(&failure),
            }
        }
    }

    fn book(&mut self, failure: &Failure) {
        match failure {
            Failure::Refused(code) => *self.journal.errors.entry(code.clone()).or_default() += 1,
            Failure::Unknown(_) => self.journal.unknown += 1,
            Failure::Lost => self.journal.lost += 1,
        }
    }

    /// Asks over the connection at hand, or a new one to the next node.
    fn ask<T: redis::FromRedisValue>(&mut self, command: &str) -> Done<T> {
        let kv = self.connected()?;
        let begun = Instant::now();
        let answer = kv.ask(command).map_err(Failure::from);
        let port = self.ports[self.at % self.ports.len()];
        if begun.elapsed() > self.journal.slowest.0 {
            let how = if answer.is_ok() { "answered" } else { "failed" };
            self.journal.slowest = (begun.elapsed(), format!("{command} to port {port} {how}"));
        }
        if matches!(answer, Err(Failure::Lost)) {
            self.connection = None;
        }
        answer
    }

    /// A connection that could not be had has executed nothing, but for callers it is the same as a lost one.
    fn connected(&mut self) -> Done<&mut Kv> {
        while self.connection.is_none() {
            self.at += 1;
            match Kv::connect(self.ports[self.at % self.ports.len()]) {
                Ok(kv) => self.connection = Some(kv),
                Err(_) if self.stop.load(Ordering::Relaxed) => return Err(Failure::Lost),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
        self.connection.as_mut().ok_or(Failure::Lost)
    }

    fn set(&mut self, step: u64) -> Done<()> {
        let key = format!("own:{}:{step}", self.number);
        match self.ask::<()>(&format!("SET {key} {key}")) {
            Ok(()) => self.journal.written.push(key),
            Err(Failure::Unknown(id)) => {
                self.journal.unknown += 1;
                let journal = &mut self.journal;
                if outcome(&self.ports, &id) { journal.written.push(key) } else { journal.aborted.push(key) }
            }
            Err(Failure::Lost) => {
                self.journal.doubtful.push(key);
                return Err(Failure::Lost);
            }
            Err(refused) => {
                self.journal.aborted.push(key);
                return Err(refused);
            }
        }
        Ok(())
    }

    fn increment(&mut self, step: u64) -> Done<()> {
        let counter = format!("counter:{}", self.rng.below(COUNTERS));
        let token = format!("token:{}:{step}", self.number);
        self.ask::<()>(&format!("ANNULUS.TOKEN {token}"))?;
        let happened = match self.ask::<i64>(&format!("INCR {counter}")) {
            Ok(_) => true,
            Err(Failure::Refused(code)) => return Err(Failure::Refused(code)),
            Err(failure) => {
                self.book(&failure);
                outcome(&self.ports, &token)
            }
        };
        *self.journal.increments.entry(counter).or_default() += i64::from(happened);
        Ok(())
    }

    fn transfer(&mut self) -> Done<()> {
        let from = self.rng.below(ACCOUNTS);
        let to = (from + 1 + self.rng.below(ACCOUNTS - 1)) % ACCOUNTS;
        let (from, to) = (format!("account:{from}"), format!("account:{to}"));
        self.ask::<()>(&format!("WATCH {from} {to}"))?;
        let amounts: Vec<i64> = self.ask(&format!("MGET {from} {to}"))?;
        self.ask::<()>("MULTI")?;
        self.ask::<Value>(&format!("SET {from} {}", amounts[0] - 1))?;
        self.ask::<Value>(&format!("SET {to} {}", amounts[1] + 1))?;
        // Null: somebody else changed one of them meanwhile.
        if self.ask::<Value>("EXEC")? != Value::Nil {
            self.journal.transfers += 1;
        }
        Ok(())
    }
}

/// Whether a transaction happened, asked by token or id from any node that tells.
pub fn outcome(ports: &[u16], id: &str) -> bool {
    let mut at = 0;
    until(format!("the outcome of {id}"), OUTCOME, || {
        at += 1;
        let told: String = Kv::connect(ports[at % ports.len()]).ok()?.ask(&format!("ANNULUS.OUTCOME {id}")).ok()?;
        assert!(told == "committed" || told == "aborted", "the outcome of {id} is {told}");
        Some(told == "committed")
    })
}

/// Demands that a cluster that is whole again has kept every promise, and that no key is stuck.
pub fn verify(ports: &[u16], journal: &Journal) {
    eprintln!("{}", journal.summary());
    for port in ports {
        let mut client = Kv::connect(*port).expect("a client");
        expect(&mut client, &journal.written, |key, found| found == Some(key));
        expect(&mut client, &journal.aborted, |_, found| found.is_none());
        expect(&mut client, &journal.doubtful, |key, found| found.is_none_or(|value| value == key));
        for (counter, count) in &journal.increments {
            let found: Option<i64> = client.must(&format!("GET {counter}"));
            assert_eq!(found.unwrap_or(0), *count, "{counter}");
        }
        let amounts: Vec<i64> = (0..ACCOUNTS).map(|n| client.must(&format!("GET account:{n}"))).collect();
        assert_eq!(amounts.iter().sum::<i64>(), ACCOUNTS as i64 * DEPOSIT, "{amounts:?}");
    }
    write_everything(ports, journal);
}

fn expect(client: &mut Kv, keys: &[String], right: impl Fn(&str, Option<&str>) -> bool) {
    for keys in keys.chunks(500) {
        let found: Vec<Option<String>> = client.must(&format!("MGET {}", keys.join(" ")));
        for (key, found) in keys.iter().zip(&found) {
            assert!(right(key, found.as_deref()), "{key} has {found:?}");
        }
    }
}

/// No key is stuck: each takes a write at once. Shared ones and doubtful ones one by one, the others together.
fn write_everything(ports: &[u16], journal: &Journal) {
    let mut client = Kv::connect(ports[0]).expect("a client");
    let shared = (0..ACCOUNTS).map(|n| format!("account:{n}")).chain(journal.increments.keys().cloned());
    for key in shared.chain(journal.doubtful.iter().cloned()).chain(journal.aborted.iter().cloned()) {
        client.must(&format!("SET {key} written"))
    }
    for keys in journal.written.chunks(500) {
        let pairs: Vec<String> = keys.iter().map(|key| format!("{key} written")).collect();
        client.must(&format!("MSET {}", pairs.join(" ")))
    }
}
