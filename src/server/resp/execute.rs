//! Executes the commands of a connection, one after the other.

use std::collections::BTreeSet;

use annulus_base::id::TxnRef;
use annulus_txn::interface::Database;
use bytes::Bytes;
use tokio::time::Instant;

use super::Server;
use super::commands::{Command, Flow, Run, ScanOptions, connection, matches};
use super::errors::{Answer, Failure};
use super::info;
use super::keyspace::DATABASES;
use super::line;
use super::outcome;
use super::protocol::{Reply, Version};
use super::session::{Queue, Replies, Session};
use super::shared::{Patience, Shared};
use super::transaction::{self, Job, NotDone, Part, PartDone, Step, Verdict};
use super::view::{Name, check_key};
use super::walk::Walk;
use crate::metrics::Family;

/// Executes one command and answers it.
pub async fn execute<D: Database>(server: &Server<D>, session: &mut Session, arguments: Vec<Bytes>) -> Reply {
    let begun = Instant::now();
    session.client.active.set(begun);
    let command = match resolve(&server.shared, &arguments) {
        Ok(command) => command,
        Err(failure) => {
            server.shared.answered("rejected", Family::Other, begun.elapsed(), true);
            return reject(server, session, &arguments, failure).into();
        }
    };
    session.client.command.set(command.name);
    let step = Step { command, arguments };
    let reply = Execution { server, session }.run(&step).await.unwrap_or_else(Reply::from);
    record(server, session, &step, begun, &reply);
    reply
}

/// Takes note of a command that is done.
pub fn record<D: Database>(server: &Server<D>, session: &Session, step: &Step, begun: Instant, reply: &Reply) {
    let time = begun.elapsed();
    server.shared.answered(step.command.name, step.command.family(), time, reply.is_error());
    // Passwords are nobody else's business.
    if !matches!(step.command.name, "auth" | "hello") {
        server.shared.slow_log.offer(server.shared.wall() / 1_000_000, time, &step.arguments, &session.client);
    }
}

/// A command that is not executed breaks the transaction it would be part of; an `EXEC` ends it.
fn reject<D: Database>(server: &Server<D>, session: &mut Session, arguments: &[Bytes], failure: Failure) -> Failure {
    session.break_queue();
    let name = arguments.first().map_or(&[][..], |name| name);
    // A browser that was made to talk to this port: its request must not go on with commands.
    session.closing |= name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:");
    if !name.eq_ignore_ascii_case(b"exec") {
        return failure;
    }
    session.set_queue(None);
    session.watch.clear(&server.database);
    let why = failure.0.split_once(' ').map_or(&*failure.0, |(_, why)| why);
    Failure::new(format!("EXECABORT Transaction discarded because of: {why}"))
}

/// The command that is meant, if it may be executed.
pub fn resolve(shared: &Shared, arguments: &[Bytes]) -> Result<&'static Command, Failure> {
    let command = shared.commands.resolve(arguments)?;
    command.keys_of(arguments).try_for_each(|key| check_key(key))?;
    Ok(command)
}

struct Execution<'a, D> {
    server: &'a Server<D>,
    session: &'a mut Session,
}

impl<D: Database> Execution<'_, D> {
    async fn run(mut self, step: &Step) -> Answer {
        if self.session.queue.is_some() {
            return self.run_in_multi(step).await;
        }
        let arguments = &step.arguments;
        match step.command.run {
            Run::Data { .. } => self.single(step).await,
            Run::Select => {
                self.session.set_db(connection::selected(&self.server.shared.keyspace, arguments)?);
                Ok(Reply::OK)
            }
            Run::Local(run) => run(self.session, &self.server.shared, arguments),
            Run::Whole { outside: flow, .. } | Run::Flow(flow) | Run::LocalFlow(_, flow) => self.flow(flow, step).await,
            Run::Container(_) | Run::Unsupported => Err(Failure::arity(step.command.name)),
        }
    }

    /// Between `MULTI` and `EXEC`: most commands are queued.
    async fn run_in_multi(&mut self, step: &Step) -> Answer {
        match step.command.run {
            Run::Flow(Flow::Multi) => Err(Failure::fixed("ERR MULTI calls can not be nested")),
            Run::Flow(Flow::Watch) => Err(Failure::fixed("ERR WATCH inside MULTI is not allowed")),
            Run::Flow(flow @ (Flow::Exec | Flow::Discard | Flow::Reset | Flow::Quit)) => self.flow(flow, step).await,
            Run::Flow(_) => {
                self.session.break_queue();
                Err(Failure::fixed("ERR Command not allowed inside a transaction"))
            }
            _ => match self.session.enqueue(step.clone(), self.server.shared.config.max_request) {
                Ok(()) => Ok(Reply::Status("QUEUED".into())),
                Err(failure) => {
                    self.session.break_queue();
                    Err(failure)
                }
            },
        }
    }

    async fn flow(&mut self, flow: Flow, step: &Step) -> Answer {
        let arguments = &step.arguments[1..];
        let first = arguments.first().map_or(&[][..], |argument| argument);
        match flow {
            Flow::Multi => drop(self.session.set_queue(Some(Queue::default()))),
            Flow::Exec => return self.exec().await,
            Flow::Discard => {
                self.session.set_queue(None).ok_or(Failure::fixed("ERR DISCARD without MULTI"))?;
                self.session.watch.clear(&self.server.database);
            }
            Flow::Watch => {
                let names = arguments.iter().map(|key| (self.session.db(), key.clone())).collect::<BTreeSet<Name>>();
                self.session.watch.add(&self.server.database, &self.server.shared, names, &[]).await?;
            }
            Flow::Unwatch => self.session.watch.clear(&self.server.database),
            Flow::Reset => return Ok(self.reset()),
            Flow::Quit => self.session.closing = true,
            Flow::Keys => {
                let keys = self.walk().keys(|key| matches(first, key)).await?;
                return Ok(Reply::Array(keys.into_iter().map(Reply::Bulk).collect()));
            }
            Flow::Scan => return self.scan(&ScanOptions::parse(&step.arguments)?).await,
            Flow::Dbsize => return Ok(Reply::count(self.walk().count().await?)),
            Flow::Randomkey => return Ok(Reply::maybe(self.walk().random_key().await?)),
            Flow::Info => return self.info(arguments).await,
            Flow::Token => {
                outcome::check_token(first)?;
                self.server.shared.keyspace.tokens().ok_or(outcome::NO_SYSTEM)?;
                self.session.token = Some(Bytes::copy_from_slice(first));
            }
            Flow::Outcome => {
                let answer = outcome::ask(&self.server.database, &self.server.shared, first).await?;
                return Ok(Reply::Status(answer.into()));
            }
        }
        Ok(Reply::OK)
    }

    /// A single command is a transaction of its own.
    async fn single(&mut self, step: &Step) -> Answer {
        let steps = std::slice::from_ref(step);
        let outcome = if step.command.is_write() {
            // It would have to wait behind the locks of its own connection.
            self.session.watch.release(&self.server.database);
            match self.session.token.take() {
                None => line::run(self.server, steps, self.session.db()).await.map(Some),
                token => self.transaction(steps, token, false).await,
            }
        } else {
            self.transaction(steps, None, false).await
        };
        let Some(outcome) = outcome.transpose() else { return Ok(Reply::Null) };
        let done = self.learn(outcome)?;
        Ok(done.replies.into_iter().flatten().next().unwrap_or(Reply::Null))
    }

    async fn exec(&mut self) -> Answer {
        let queue = self.session.set_queue(None).ok_or(Failure::fixed("ERR EXEC without MULTI"))?;
        let token = self.session.token.take();
        if queue.broken {
            self.session.watch.clear(&self.server.database);
            return Err(Failure::fixed("EXECABORT Transaction discarded because of previous errors."));
        }
        let writes = queue.steps.iter().any(|step| step.command.is_write());
        let outcome = if self.session.watch.is_active() || token.is_some() || !writes {
            self.transaction(&queue.steps, token, true).await
        } else {
            line::run(self.server, &queue.steps, self.session.db()).await.map(Some)
        };
        if self.session.watch.is_active() && outcome.is_ok() {
            let lost = matches!(outcome, Ok(None));
            self.session.watch.settle(&self.server.database, &self.server.shared, lost);
        }
        self.session.watch.clear(&self.server.database);
        let Some(done) = outcome.transpose() else { return Ok(Reply::NullArray) };
        let done = self.learn(done)?;
        self.session.set_db(done.db);
        Ok(Reply::Array(self.complete(&queue.steps, done.replies)))
    }

    /// Runs commands as one transaction; `None`: a watched key has changed.
    async fn transaction(
        &self,
        steps: &[Step],
        token: Option<Bytes>,
        exec: bool,
    ) -> Result<Option<(PartDone, Option<TxnRef>)>, NotDone> {
        let Server { database, shared } = self.server;
        let parts = &[Part { steps, db: self.session.db() }];
        let watch = Some(&self.session.watch).filter(|watch| exec && watch.is_active());
        let job = Job { parts, patience: shared.patience(), watch, token: token.as_ref(), exec };
        match transaction::run(database, shared, job).await? {
            Verdict::WatchLost => Ok(None),
            Verdict::Done { parts, txn } => Ok(parts.into_iter().next().map(|done| (done, txn))),
        }
    }

    /// Adds the answers of those commands that touch no data.
    fn complete(&mut self, steps: &[Step], replies: Vec<Option<Reply>>) -> Vec<Reply> {
        let one = |(step, reply): (&Step, Option<Reply>)| match (reply, step.command.run) {
            (Some(reply), _) => reply,
            (None, Run::Local(run) | Run::LocalFlow(run, _)) => {
                run(self.session, &self.server.shared, &step.arguments).unwrap_or_else(Reply::from)
            }
            (None, _) => Reply::Null,
        };
        steps.iter().zip(replies).map(one).collect()
    }

    /// Remembers by what the outcome can be asked.
    fn learn(&mut self, outcome: line::Outcome) -> Result<PartDone, Failure> {
        let txn = match &outcome {
            Ok((_, txn)) | Err(NotDone { txn, .. }) => *txn,
        };
        self.session.last = txn.or(self.session.last);
        outcome.map(|(done, _)| done).map_err(|not_done| not_done.failure)
    }

    fn reset(&mut self) -> Reply {
        self.session.watch.clear(&self.server.database);
        self.session.set_queue(None);
        self.session.token = None;
        self.session.replies = Replies::On;
        self.session.set_db(0);
        self.session.set_version(Version::Resp2);
        self.session.client.name.take();
        Reply::Status("RESET".into())
    }

    fn walk(&self) -> Walk<'_, D> {
        self.walk_in(self.session.db())
    }

    fn walk_in(&self, db: u8) -> Walk<'_, D> {
        let Server { database, shared } = self.server;
        Walk { database, shared, db, patience: Patience::of(shared.config.walk_timeout) }
    }

    async fn scan(&self, options: &ScanOptions) -> Answer {
        let found = self.walk().scan(options.cursor, options.count).await?;
        let keys = found.keys.into_iter().filter(|key| options.wants(key));
        let cursor = Reply::Bulk(found.cursor.to_string().into());
        Ok(Reply::Array(vec![cursor, Reply::Array(keys.map(Reply::Bulk).collect())]))
    }

    async fn info(&self, asked: &[Bytes]) -> Answer {
        let mut counts = Vec::new();
        if info::wants_keyspace(asked) {
            for db in 0..DATABASES {
                counts.push((db, self.walk_in(db).count().await?));
            }
            counts.retain(|(_, keys)| *keys > 0);
        }
        Ok(Reply::Verbatim(info::info(&self.server.shared, asked, &counts)))
    }
}
