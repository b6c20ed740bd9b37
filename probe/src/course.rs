//! One workload, from its setup to the checkers' verdicts, while somebody disturbs the cluster.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, sleep};
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::history::{Datum, History, Key};
use annulus_check::workload::{self, Program, Workload};
use annulus_check::{Verdict, agreement, durability};

use crate::Patience;
use crate::client::outcomes::Clerk;
use crate::client::sql::{self, Surveyor};
use crate::client::{Client, Job, Protocol};
use crate::journal::{Journal, Record};

/// Why a workload cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSetUp {
    /// One of its first transactions was not executed, or not for certain.
    #[error("the workload's first transaction was not executed: {0:?}")]
    Program(Program),
    /// There are no tables.
    #[error("the workload's tables cannot be made: {0}")]
    Tables(String),
}

/// Who works where, and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// What clients speak.
    pub protocol: Protocol,
    /// Where the nodes speak that: each as HOST:PORT, or in SQL as a connection string.
    pub addresses: &'a [String],
    /// Before every key, where keys have names.
    pub prefix: &'a str,
    /// Clients.
    pub clients: u64,
    /// Transactions in a second at most, all clients together.
    pub rate: u64,
    /// How long clients go on after the last disturbance.
    pub afterwards: Duration,
    /// How long final reads and questions about lost answers are tried again.
    pub patience: &'a Patience,
}

impl Course<'_> {
    /// Sets the workload up, works until `disturb` has returned and a while longer, learns what became of lost
    /// answers, and reads all keys at the end. Patience is not begun here unless `disturb` or somebody else does.
    ///
    /// # Errors
    /// If it could not be set up; then nothing else has happened.
    pub fn run<T: Send>(
        &self,
        workload: &mut dyn Workload,
        journal: &Journal,
        rng: &mut Rng,
        disturb: impl FnOnce(&mut Rng) -> T + Send,
    ) -> Result<T, NotSetUp> {
        let client = |number, rng| Client::new(number, self.protocol, self.addresses, self.prefix, journal, rng);
        self.make_tables(rng)?;
        setup(workload, client(self.clients, rng.fork()))?;
        let mut clients: Vec<Client<'_>> = (0..self.clients).map(|number| client(number, rng.fork())).collect();
        let mut clerk = Clerk::new(self.protocol, self.addresses, journal, rng.fork());
        let mut surveyor = self.surveyor(journal, rng.fork());
        let (mut faults, mut work) = (rng.fork(), rng.fork());
        let finished = AtomicBool::new(false);
        let disturbed = thread::scope(|scope| {
            let asking = scope.spawn(|| clerk.work(&finished, self.patience));
            let surveying = surveyor.as_mut().map(|surveyor| scope.spawn(|| surveyor.work(&finished)));
            let disturbing = scope.spawn(|| disturb(&mut faults));
            self.drive(&mut clients, |jobs| {
                let mut end = u64::MAX;
                while journal.now() < end {
                    if end == u64::MAX && disturbing.is_finished() {
                        end = journal.now() + self.afterwards.as_micros() as u64;
                    }
                    // There are clients as long as there can be jobs.
                    let _ = jobs.send(Job::Once(workload.next(&mut work)));
                    sleep(Duration::from_micros(work.below(2_000_000 / self.rate.max(1))));
                }
            });
            finished.store(true, Ordering::Release);
            asking.join().expect("who asks for outcomes does not panic");
            if let Some(surveying) = surveying {
                surveying.join().expect("who changes the schema does not panic");
            }
            disturbing.join().expect("who disturbs the cluster does not panic")
        });
        journal.note("final reads");
        self.drive(&mut clients, |jobs| self.read_all(workload, journal, jobs));
        journal.note("outcomes are asked for once more");
        clerk.audit(self.patience);
        if let Some(surveyor) = &mut surveyor {
            journal.note("indexes are compared with their table");
            surveyor.compare(self.patience);
        }
        Ok(disturbed)
    }

    /// Makes the tables that the protocol needs, at any node.
    fn make_tables(&self, rng: &mut Rng) -> Result<(), NotSetUp> {
        match self.protocol {
            Protocol::Resp => Ok(()),
            Protocol::Sql(schema) => {
                let address = rng.pick(self.addresses).map_or("", String::as_str);
                let session = sql::Session::connect(address, schema.layout).map_err(|error| error.to_string());
                session.and_then(|mut session| session.make_tables()).map_err(NotSetUp::Tables)
            }
        }
    }

    /// Whoever changes the schema meanwhile, if somebody does.
    fn surveyor<'a>(&'a self, journal: &'a Journal, rng: Rng) -> Option<Surveyor<'a>> {
        match self.protocol {
            Protocol::Sql(schema) if schema.changing => {
                Some(Surveyor::new(self.addresses, journal, schema.layout, rng))
            }
            _ => None,
        }
    }

    /// Lets all clients work on what `feed` gives them, until they have done it all.
    fn drive(&self, clients: &mut [Client<'_>], feed: impl FnOnce(&SyncSender<Job>)) {
        let (jobs, queue) = sync_channel(1);
        let queue = &Mutex::new(queue);
        thread::scope(|scope| {
            for client in clients {
                scope.spawn(move || client.work(queue, self.patience));
            }
            feed(&jobs);
            drop(jobs);
        });
    }

    fn read_all(&self, workload: &dyn Workload, journal: &Journal, jobs: &SyncSender<Job>) {
        let programs = workload.closing();
        let count = programs.len();
        for (at, program) in programs.into_iter().enumerate() {
            if self.patience.is_over() {
                return journal.lost_progress(format!("{} final reads were given up", count - at));
            }
            let _ = jobs.send(Job::Insist(program));
        }
    }
}

/// What the workload needs at its start.
fn setup(workload: &dyn Workload, mut client: Client<'_>) -> Result<(), NotSetUp> {
    workload
        .setup()
        .into_iter()
        .try_for_each(|program| if client.once(&program) { Ok(()) } else { Err(NotSetUp::Program(program)) })
}

/// What all checkers say of a course that has been run.
#[must_use]
pub fn verdicts(workload: &dyn Workload, record: &Record) -> Vec<(&'static str, Verdict)> {
    let mut verdicts = workload::verdicts(workload, &record.history);
    verdicts.push(("outcomes", agreement::check(&record.observations)));
    if record.stuck.is_empty() {
        let latest = record.history.latest();
        verdicts.push(("durable", durability::check(&latest, &last_seen(&latest))));
    } else {
        verdicts.push(("durable", Verdict::Undecided(record.stuck.join("\n"))));
    }
    verdicts
}

/// What the last executed reads found: those made when everything else had ended.
fn last_seen(history: &History) -> BTreeMap<Key, Datum> {
    history.executed().flat_map(|(_, op)| op.found()).map(|(key, found)| (key, found.clone())).collect()
}
