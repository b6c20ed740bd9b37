//! Reads that a client has sent one after the other without waiting for answers are answered from one read.
//!
//! A `WATCH` may go first, if what follows reads only keys that it watches. Nothing but speed depends on it:
//! all of these commands had been sent when the first began, so it is true of each that it read at that
//! instant, and a batch that is too large is executed one by one.

use std::collections::BTreeSet;

use annulus_base::limits::MAX_TXN_KEYS;
use annulus_txn::interface::Database;
use bytes::Bytes;
use tokio::time::Instant;

use super::Server;
use super::commands::{Command, Flow, Run};
use super::errors::Failure;
use super::execute;
use super::protocol::Reply;
use super::session::Session;
use super::shared::Shared;
use super::transaction::{self, Job, Part, Step, Verdict};
use super::view::Name;

/// Most commands of a batch: others get a turn after it.
const MOST_COMMANDS: usize = 64;

/// Commands to be executed together.
pub struct Batch {
    steps: Vec<Step>,
    /// Keys that they name.
    keys: usize,
    /// The keys of the `WATCH` that goes first.
    watched: Option<BTreeSet<Bytes>>,
}

impl Batch {
    /// A batch that begins with this command; gives it back if it is not one for a batch.
    pub fn begin(shared: &Shared, session: &Session, arguments: Vec<Bytes>) -> Result<Self, Vec<Bytes>> {
        let free = session.queue.is_none() && session.token.is_none();
        let Some(command) = execute::resolve(shared, &arguments).ok().filter(|_| free) else { return Err(arguments) };
        let watched = is_watch(command).then(|| command.keys_of(&arguments).cloned().collect());
        if watched.is_none() && !is_read(command) {
            return Err(arguments);
        }
        let keys = command.keys_of(&arguments).count();
        Ok(Self { steps: vec![Step { command, arguments }], keys, watched })
    }

    /// Adds the next command; gives it back if it has to wait for those before it.
    pub fn add(&mut self, shared: &Shared, arguments: Vec<Bytes>) -> Result<(), Vec<Bytes>> {
        let command = execute::resolve(shared, &arguments).ok().filter(|command| is_read(command));
        let Some(command) = command.filter(|_| self.steps.len() < MOST_COMMANDS) else { return Err(arguments) };
        let keys = command.keys_of(&arguments).count();
        let is_watched = |watched: &BTreeSet<Bytes>| command.keys_of(&arguments).all(|key| watched.contains(key));
        if self.keys + keys > MAX_TXN_KEYS || !self.watched.as_ref().is_none_or(is_watched) {
            return Err(arguments);
        }
        self.keys += keys;
        self.steps.push(Step { command, arguments });
        Ok(())
    }
}

fn is_read(command: &Command) -> bool {
    matches!(command.run, Run::Data { .. }) && !command.is_write()
}

const fn is_watch(command: &Command) -> bool {
    matches!(command.run, Run::Flow(Flow::Watch))
}

/// Executes a batch: one answer per command.
///
/// # Errors
/// Its commands, where they have to be executed one by one: there is only one, or they are too large together.
pub async fn run<D: Database>(
    server: &Server<D>,
    session: &mut Session,
    batch: Batch,
) -> Result<Vec<Reply>, Vec<Step>> {
    let begun = Instant::now();
    let Batch { steps, watched, .. } = batch;
    let replies = match (&steps[..], watched) {
        ([_], _) => None,
        (_, None) => read(server, session, &steps).await,
        ([_, reads @ ..], Some(watched)) => {
            let names = watched.into_iter().map(|key| (session.db(), key)).collect();
            watch_and_read(server, session, names, reads).await
        }
        ([], _) => Some(Vec::new()),
    };
    let Some(replies) = replies else { return Err(steps) };
    for (step, reply) in steps.iter().zip(&replies) {
        execute::record(server, session, step, begun, reply);
    }
    Ok(replies)
}

/// Reads of one instant; `None` if they are too large together.
async fn read<D: Database>(server: &Server<D>, session: &mut Session, steps: &[Step]) -> Option<Vec<Reply>> {
    let Server { database, shared } = server;
    let parts = &[Part { steps, db: session.db() }];
    let job = Job { parts, patience: shared.patience(), watch: None, token: None, exec: true };
    match transaction::run(database, shared, job).await {
        Ok(Verdict::Done { parts, txn }) => {
            // Where a key had expired, its deletion was committed.
            session.last = txn.or(session.last);
            let replies = parts.into_iter().flat_map(|part| part.replies);
            Some(replies.map(|reply| reply.unwrap_or(Reply::Null)).collect())
        }
        Ok(Verdict::WatchLost) => None,
        Err(not_done) if not_done.failure.is_limit() => None,
        Err(not_done) => {
            session.last = not_done.txn.or(session.last);
            Some(vec![not_done.failure.into(); steps.len()])
        }
    }
}

/// The answers of a `WATCH` and of reads of what it watches.
async fn watch_and_read<D: Database>(
    server: &Server<D>,
    session: &mut Session,
    names: BTreeSet<Name>,
    reads: &[Step],
) -> Option<Vec<Reply>> {
    let parts = &[Part { steps: reads, db: session.db() }];
    let failed = |failure: Failure| vec![failure.into(); reads.len()];
    let (watched, replies) = match session.watch.add(&server.database, &server.shared, names, parts).await {
        Ok(Some(replies)) => (Reply::OK, replies),
        // The keys were locked, which says nothing about what was there at one instant.
        Ok(None) => (Reply::OK, read(server, session, reads).await?),
        Err(failure) => (failure.clone().into(), failed(failure)),
    };
    Some(std::iter::once(watched).chain(replies).collect())
}
