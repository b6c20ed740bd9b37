//! The closed-loop load generator: each client sends its next operation when the last one is answered.
//!
//! An operation counts if it ends while it is measured; its latency covers all its tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use annulus_base::rng::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, Refusal};
use crate::cost::{self, Cost};
use crate::data::{ACCOUNTS, HOT_ACCOUNTS, KEYS, RANGE, ROWS, VALUE_LENGTH, value};
use crate::peer::{Endpoint, Peer};
use crate::suite::Workload;

/// How long unanswered operations are waited for at the end.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// Pause before a client whose connection failed connects again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// The first wait between two tries of a transaction is less than this; later ones double.
const FIRST_WAIT: Duration = Duration::from_micros(500);
/// How often it doubles: up to 16 ms.
const DOUBLINGS: u32 = 5;

/// What happened while the load was measured.
pub struct Measured {
    /// Latencies of the operations that succeeded, in microseconds, ascending.
    pub latencies: Vec<u32>,
    /// Tries that lost a conflict.
    pub aborts: u64,
    /// Operations that failed otherwise.
    pub errors: u64,
    /// One of those.
    pub last_error: Option<String>,
    /// How long it was measured.
    pub elapsed: Duration,
    /// What the peer's servers used.
    pub servers: Cost,
    /// Processor seconds of the load generator.
    pub client_cpu: f64,
    /// Processor seconds of everything else on this machine.
    pub other_cpu: f64,
}

const WARM_UP: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// Runs a workload with so many clients.
///
/// # Errors
/// If a client cannot connect at the start. Later errors are counted.
pub async fn run(
    peer: &Peer,
    workload: Workload,
    clients: u16,
    warm_up: Duration,
    length: Duration,
    seed: u64,
) -> Result<Measured, Refusal> {
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let mut seeds = Rng::new(seed);
    let mut running = JoinSet::new();
    let mut workers = Vec::new();
    for number in 0..usize::from(clients) {
        let endpoint = peer.endpoint(number);
        let (client, phase) = (endpoint.connect().await?, phase.clone());
        workers.push(Worker { workload, endpoint, client, phase, rng: seeds.fork(), tally: Tally::default() });
    }
    for worker in workers {
        running.spawn(worker.run());
    }
    sleep(warm_up).await;
    let before = Snapshot::take(peer.pids()).await;
    let begun = Instant::now();
    phase.store(MEASURE, Relaxed);
    sleep(length).await;
    phase.store(STOP, Relaxed);
    let elapsed = begun.elapsed();
    let after = Snapshot::take(peer.pids()).await;
    let tally = collect(running).await;
    let servers = after.servers.since(before.servers);
    let client_cpu = after.client - before.client;
    let Tally { mut latencies, aborts, errors, last_error } = tally;
    latencies.sort_unstable();
    let other_cpu = after.machine - before.machine - client_cpu - servers.cpu;
    Ok(Measured { latencies, aborts, errors, last_error, elapsed, servers, client_cpu, other_cpu })
}

/// Adds up what the workers counted; those that get no answer count as an error.
async fn collect(mut running: JoinSet<(Tally, Client)>) -> Tally {
    let mut sum = Tally::default();
    let all = async {
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok((tally, _)) => sum.add(tally),
                Err(error) => sum.fail(error.to_string()),
            }
        }
    };
    if tokio::time::timeout(LAST_ANSWER, all).await.is_err() {
        for _ in 0..running.len() {
            sum.fail(format!("no answer within {LAST_ANSWER:?}"));
        }
    }
    sum
}

/// Processor time used so far.
struct Snapshot {
    servers: Cost,
    client: f64,
    machine: f64,
}

impl Snapshot {
    /// In a thread of its own: the clients shall not pause meanwhile.
    async fn take(pids: Vec<u32>) -> Self {
        let take = move || Self {
            servers: cost::of_trees(&pids),
            client: cost::of_this_process(),
            machine: cost::of_machine(),
        };
        tokio::task::spawn_blocking(take).await.expect("reading files does not panic")
    }
}

#[derive(Default)]
struct Tally {
    latencies: Vec<u32>,
    aborts: u64,
    errors: u64,
    last_error: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.aborts += other.aborts;
        self.errors += other.errors;
        self.last_error = other.last_error.or(self.last_error.take());
    }

    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.last_error = Some(error);
    }
}

struct Worker {
    workload: Workload,
    endpoint: Endpoint,
    client: Client,
    phase: Arc<AtomicU8>,
    rng: Rng,
    tally: Tally,
}

impl Worker {
    /// Gives its client back, which must not leave before what the servers used has been read: a process that serves one
    /// client ends with it, and is then counted neither as the server's child nor among those it has waited for.
    async fn run(mut self) -> (Tally, Client) {
        while !self.is(STOP) {
            let begun = Instant::now();
            let outcome = self.operation().await;
            let latency = begun.elapsed().as_micros();
            let counts = self.is(MEASURE);
            match outcome {
                Ok(()) if counts => self.tally.latencies.push(u32::try_from(latency).unwrap_or(u32::MAX)),
                // An operation is given up after a conflict only when the time is over.
                Ok(()) | Err(Refusal::Conflict) => {}
                Err(Refusal::Failed(error)) => {
                    if counts {
                        self.tally.fail(error);
                    }
                    self.connect_again().await;
                }
            }
        }
        (self.tally, self.client)
    }

    fn is(&self, phase: u8) -> bool {
        self.phase.load(Relaxed) == phase
    }

    async fn connect_again(&mut self) {
        while !self.is(STOP) {
            sleep(RECONNECT_PAUSE).await;
            if let Ok(client) = self.endpoint.connect().await {
                self.client = client;
                return;
            }
        }
    }

    async fn operation(&mut self) -> Result<(), Refusal> {
        match self.workload {
            Workload::Put => self.put().await,
            Workload::Get => self.get().await,
            Workload::Mixed if self.rng.below(2) == 0 => self.put().await,
            Workload::Mixed => self.get().await,
            Workload::Update => self.update().await,
            Workload::Transfer => self.transfer(ACCOUNTS).await,
            Workload::Hot => self.transfer(HOT_ACCOUNTS).await,
            Workload::Range => {
                let first = self.below(ROWS - RANGE);
                self.client.range(first).await
            }
            Workload::Aggregate => self.client.aggregate().await,
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.rng.below(bound.into()) as u32
    }

    async fn put(&mut self) -> Result<(), Refusal> {
        let key = self.below(KEYS);
        let value = value(&mut self.rng);
        self.client.put(key, &value).await
    }

    async fn update(&mut self) -> Result<(), Refusal> {
        let key = self.below(KEYS);
        let value = value(&mut self.rng);
        self.client.update(key, &value).await
    }

    async fn get(&mut self) -> Result<(), Refusal> {
        let key = self.below(KEYS);
        match self.client.get(key).await? {
            VALUE_LENGTH => Ok(()),
            length => Refusal::failed(format!("read a value of {length} bytes")),
        }
    }

    async fn transfer(&mut self, accounts: u32) -> Result<(), Refusal> {
        let from = self.below(accounts);
        let to = (from + 1 + self.below(accounts - 1)) % accounts;
        let amount = 1 + i64::from(self.below(10));
        let mut tries = 0;
        loop {
            let outcome = self.client.transfer(from, to, amount).await;
            if !matches!(outcome, Err(Refusal::Conflict)) || self.is(STOP) {
                return outcome;
            }
            if self.is(MEASURE) {
                self.tally.aborts += 1;
            }
            self.wait_after(tries).await;
            tries += 1;
        }
    }

    /// The second try comes at once, later ones after a random time.
    async fn wait_after(&mut self, tries: u32) {
        if let Some(doubled) = tries.checked_sub(1) {
            let most = FIRST_WAIT * 2u32.pow(doubled.min(DOUBLINGS));
            sleep(Duration::from_nanos(self.rng.below(most.as_nanos() as u64))).await;
        }
    }
}
