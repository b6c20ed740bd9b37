//! Runs commands as one strictly serializable transaction, tried again inside until it succeeds or its
//! time is up.
//!
//! A try is: fetch all keys that the commands are going to read ([`super::fetch`]), run the commands as
//! pure functions over them ([`View`]), commit what they wrote together with a check of everything they
//! read. What was only read, and at one instant, needs no commit. The first try is optimistic; after it
//! lost against another transaction the next one takes soft locks first, under the start time of the
//! first, so that it grows older and wins in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use annulus_base::id::TxnRef;
use annulus_base::{PartitionId, Timestamp, TxnId};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Database, Place, RangeCheck, TxnError};
use bytes::Bytes;

use super::commands::{Command, Run, connection};
use super::errors::Failure;
use super::keyspace::{self, Generation};
use super::protocol::Reply;
use super::shared::{Patience, Shared};
use super::view::{Databases, Name, View};
use super::watch::Watch;

/// A command with its arguments, the name first.
#[derive(Clone, Debug)]
pub struct Step {
    /// What to do.
    pub command: &'static Command,
    /// With what.
    pub arguments: Vec<Bytes>,
}

/// What one client wants.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its commands, in order.
    pub steps: &'a [Step],
    /// The database in which they begin.
    pub db: u8,
}

/// What one client gets.
#[derive(Clone, Debug)]
pub struct PartDone {
    /// One per command. Commands that touch no data have an empty place here.
    pub replies: Vec<Option<Reply>>,
    /// The database in which they ended.
    pub db: u8,
}

/// What to run as one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// In order.
    pub parts: &'a [Part<'a>],
    /// How long it may take.
    pub patience: Patience,
    /// Keys that must not have changed since they were watched.
    pub watch: Option<&'a Watch>,
    /// The client's token: the transaction is executed at most once.
    pub token: Option<&'a Bytes>,
    /// Whether it is an `EXEC`: then a failed command does not make the transaction fail.
    pub exec: bool,
}

/// What came of a transaction.
#[derive(Debug)]
pub enum Verdict {
    /// It is done.
    Done {
        /// One per part.
        parts: Vec<PartDone>,
        /// The id under which it was committed; `None` if there was nothing to write.
        txn: Option<TxnRef>,
    },
    /// A watched key changed; nothing was done.
    WatchLost,
}

/// A transaction that was not done, or not certainly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    /// What to answer.
    pub failure: Failure,
    /// By what its outcome can be asked.
    pub txn: Option<TxnRef>,
}

/// Why a try ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// The database's answer.
    Txn(TxnError),
    /// Certain, whatever is tried again.
    Failed(Failure),
    /// A watched key changed.
    WatchLost,
    /// Something more must be fetched first.
    FetchMore,
}

impl From<TxnError> for Stop {
    fn from(error: TxnError) -> Self {
        Self::Txn(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What is to be fetched before the commands run. Grows from try to try.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Keys to read.
    pub names: BTreeSet<Name>,
    /// Partitions whose generation is needed besides those of the keys.
    pub partitions: BTreeSet<PartitionId>,
    /// Databases to read as a whole.
    pub databases: Databases,
    /// Whether to look at the watched keys before the commit does.
    pub watch: bool,
}

/// What was fetched besides the keys, which are in the view.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// The generations in which the keys were read.
    pub generations: BTreeMap<PartitionId, Generation>,
    /// The databases read as a whole.
    pub ranges: Vec<RangeCheck>,
    /// Where the token's record belongs, and its present version.
    pub token: Option<(Place, Stamp)>,
    /// Whether everything was read at one instant.
    pub at_one_instant: bool,
}

/// A transaction at work.
pub(super) struct Transaction<'a, D: Database> {
    pub database: &'a D,
    pub shared: &'a Shared,
    pub job: Job<'a>,
    pub start: Timestamp,
    pub patience: Patience,
    pub plan: Plan,
    /// Whether to take soft locks before the commands run.
    pub lock: bool,
    /// The soft locks taken.
    pub held: Option<(TxnId, Vec<Place>)>,
}

/// Runs a job until it is done, or its time is up.
///
/// # Errors
/// What to tell the client.
pub async fn run<D: Database>(database: &D, shared: &Shared, job: Job<'_>) -> Result<Verdict, NotDone> {
    let mut transaction = Transaction::new(database, shared, job);
    transaction.plan.names = names_to_fetch(shared, &job);
    transaction.run().await
}

/// The keys that the commands are going to read, as far as it can be told beforehand.
fn names_to_fetch(shared: &Shared, job: &Job<'_>) -> BTreeSet<Name> {
    let reads = |step: &Step| matches!(step.command.run, Run::Data { reads, .. } if reads.holds_for(&step.arguments));
    job.parts.iter().flat_map(|part| part.names(shared, reads)).collect()
}

impl Part<'_> {
    /// The keys that are named by those commands for which `wanted` holds.
    pub fn names(&self, shared: &Shared, wanted: impl Fn(&Step) -> bool) -> Vec<Name> {
        let mut names = Vec::new();
        let mut db = self.db;
        for step in self.steps {
            if let Run::Select = step.command.run {
                db = connection::selected(&shared.keyspace, &step.arguments).unwrap_or(db);
            } else if wanted(step) {
                names.extend(step.command.keys_of(&step.arguments).map(|key| (db, key.clone())));
            }
        }
        names
    }
}

impl<'a, D: Database> Transaction<'a, D> {
    /// A transaction that has not begun to work.
    pub fn new(database: &'a D, shared: &'a Shared, job: Job<'a>) -> Self {
        let watch_start = job.watch.and_then(Watch::locked_since);
        Self {
            database,
            shared,
            job,
            start: watch_start.unwrap_or_else(|| database.begin()),
            patience: job.patience,
            plan: Plan::default(),
            lock: false,
            held: None,
        }
    }

    async fn run(mut self) -> Result<Verdict, NotDone> {
        let mut tries = 0_u32;
        loop {
            let stop = match self.attempt(tries == 0).await {
                Ok(verdict) => return Ok(verdict),
                Err(stop) => stop,
            };
            self.release();
            match stop {
                Stop::WatchLost => return Ok(Verdict::WatchLost),
                Stop::Failed(failure) => return Err(NotDone { failure, txn: None }),
                Stop::FetchMore if self.patience.left() > 0 => {}
                Stop::FetchMore => return Err(NotDone { failure: timed_out(), txn: None }),
                Stop::Txn(error) => {
                    let lost = matches!(error, TxnError::Conflict(_) | TxnError::Locked(_) | TxnError::Wounded);
                    if !lost || self.patience.left() == 0 {
                        let txn = if let TxnError::Unknown(txn) = error { Some(txn) } else { None };
                        return Err(NotDone { failure: error.into(), txn });
                    }
                    tries += 1;
                    self.shared.stats.retries.add(1);
                    self.lock = !self.plan.names.is_empty();
                    self.plan.watch = self.job.watch.is_some();
                    pause(tries).await;
                }
            }
        }
    }

    /// One try. After [`Stop`], the plan knows what to fetch for the next one.
    async fn attempt(&mut self, first: bool) -> Result<Verdict, Stop> {
        let mut view = self.empty_view();
        let fetched = self.fetch(&mut view).await?;
        let parts = self.apply(&mut view);
        self.check_complete(&view)?;
        let txn = if self.needs_commit(&view, &fetched, &parts) {
            let commit = self.assemble(&view, &fetched, &parts)?;
            Some(self.commit(commit, &view, first).await?)
        } else {
            self.release();
            None
        };
        Ok(Verdict::Done { parts, txn })
    }

    /// A view of this moment.
    pub fn empty_view(&self) -> View {
        View::new(self.shared.now(), self.shared.random())
    }

    /// Drops the soft locks taken.
    pub fn release(&mut self) {
        if let Some((txn, places)) = self.held.take() {
            self.database.unlock(txn, &places);
        }
    }

    /// Runs the commands that touch data.
    pub fn apply(&self, view: &mut View) -> Vec<PartDone> {
        let run = |part: &Part<'_>| {
            view.db = part.db;
            let replies = part.steps.iter().map(|step| self.apply_step(step, view)).collect();
            PartDone { replies, db: view.db }
        };
        self.job.parts.iter().map(run).collect()
    }

    fn apply_step(&self, step: &Step, view: &mut View) -> Option<Reply> {
        let answer = match step.command.run {
            Run::Data { run, .. } | Run::Whole { run, .. } => run(view, &step.arguments),
            Run::Select => connection::selected(&self.shared.keyspace, &step.arguments).map(|db| {
                view.db = db;
                Reply::OK
            }),
            _ => return None,
        };
        Some(answer.unwrap_or_else(Reply::from))
    }

    /// Whether everything that the commands asked for had been fetched; else the next try fetches it.
    fn check_complete(&mut self, view: &View) -> Result<(), Stop> {
        if view.missing().is_empty() && view.missing_databases().is_empty() {
            return Ok(());
        }
        self.plan.names.extend(view.missing().iter().cloned());
        for db in view.missing_databases().iter() {
            self.plan.databases.insert(db);
        }
        Err(Stop::FetchMore)
    }

    /// Whether a commit is needed to make the answers true: something was written, or what was read was
    /// not read at one instant.
    fn needs_commit(&self, view: &View, fetched: &Fetched, parts: &[PartDone]) -> bool {
        let unseen_watch = self.job.watch.is_some() && !self.plan.watch;
        view.writes() || self.writes_token(parts) || !fetched.at_one_instant || unseen_watch
    }

    /// A failed single command does not use the token up: nothing was executed.
    pub fn writes_token(&self, parts: &[PartDone]) -> bool {
        let is_error = |part: &PartDone| matches!(&part.replies[..], [Some(Reply::Error(_))]);
        let failed = !self.job.exec && parts.iter().all(is_error);
        self.job.token.is_some() && !failed
    }

    /// Commits, and prepares the next try if that fails.
    async fn commit(&mut self, commit: Commit, view: &View, first: bool) -> Result<TxnRef, Stop> {
        let of_watch = self.job.watch.filter(|_| first).and_then(Watch::locked);
        let locked = self.held.as_ref().map(|(txn, _)| *txn).or(of_watch);
        let touched: Vec<PartitionId> = commit.reads.iter().map(|(place, _)| place.partition).collect();
        match self.database.commit(self.start, locked, commit, self.patience.left()).await {
            Ok(committed) => {
                // The commit has used the locks up.
                self.held = None;
                let flushed = view.flushed().iter().flat_map(|db| self.shared.keyspace.partitions(db));
                flushed.for_each(|partition| self.shared.keyspace.forget_generation(partition));
                Ok(committed.txn)
            }
            Err(error) => {
                if matches!(&error, TxnError::Conflict(key) if keyspace::is_generation(key)) {
                    touched.into_iter().for_each(|partition| self.shared.keyspace.forget_generation(partition));
                }
                let written = view.entries().iter().filter(|(_, entry)| entry.change.is_some());
                self.plan.names.extend(written.map(|(name, _)| name.clone()));
                if of_watch.is_some() {
                    // The next try has locks of its own, and must not wait behind these.
                    self.job.watch.into_iter().for_each(|watch| watch.release(self.database));
                }
                Err(error.into())
            }
        }
    }
}

impl<D: Database> Drop for Transaction<'_, D> {
    /// A client that goes away leaves no locks behind.
    fn drop(&mut self) {
        self.release();
    }
}

fn timed_out() -> Failure {
    Failure::fixed("TRYAGAIN the command could not be finished in time; nothing was changed, retry later")
}

/// Lets others run; from the fourth try on, for a little longer every time.
async fn pause(tries: u32) {
    if tries < 4 {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_millis(u64::from(tries.min(20)))).await;
    }
}
