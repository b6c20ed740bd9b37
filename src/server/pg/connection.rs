//! One connection after its greeting: messages in, answers out, and what happens when something fails.

use std::io;
use std::time::Instant as Clock;

use annulus_relation::SqlError;
use annulus_relation::error::SqlState;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clients::Activity;
use super::failure::Failure;
use super::portal::Portals;
use super::protocol::backend;
use super::protocol::frontend::{Frame, Message, understand};
use super::session::{News, Session, Severity, Status};
use super::wire::{Heard, Watch, Wire, interruption, terminated};

/// After so many messages others get a turn.
const TURN: usize = 64;
/// Messages after which, if they fail, everything is ignored up to the next Sync.
const EXTENDED: &[u8] = b"PBDECH";
/// What a connection may hold however little memory is left.
const FREE_SHARE: usize = 64 * 1024;

/// A connection at work.
pub struct Connection<S: Session> {
    pub(super) wire: Wire,
    pub(super) session: S,
    pub(super) portals: Portals<S::Portal>,
    /// An error was answered; everything up to the next Sync is ignored.
    skipping: bool,
    /// Something of the extended protocol was asked for since the last Sync.
    in_sequence: bool,
    /// Where the session stood after the last statement.
    pub(super) status: Status,
    messages: usize,
    /// About how many bytes the session's prepared statements hold.
    prepared: usize,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoesOn,
    Ends,
}

impl<S: Session> Connection<S> {
    /// A connection whose client has been greeted.
    pub fn new(wire: Wire, session: S) -> Self {
        Self {
            wire,
            session,
            portals: Portals::default(),
            skipping: false,
            in_sequence: false,
            status: Status::Idle,
            messages: 0,
            prepared: 0,
        }
    }

    /// Serves it until it ends. When `shutdown` is cancelled, the message at hand is finished first.
    ///
    /// # Errors
    /// What the network says; a client that is too slow is [`io::ErrorKind::TimedOut`].
    pub async fn serve(mut self, shutdown: &CancellationToken) -> io::Result<()> {
        self.ready();
        match self.work(shutdown).await {
            Ok(()) => Ok(()),
            Err(Failure::Gone(error)) => Err(error),
            Err(Failure::Statement(error) | Failure::Fatal(error)) => {
                self.session.fail();
                farewell(&mut self.wire, &error).await
            }
        }
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        loop {
            while let Some(frame) = self.wire.next_frame()? {
                if self.handle(frame).await? == Next::Ends {
                    return Ok(());
                }
                if shutdown.is_cancelled() || self.wire.client.is_terminated() {
                    return Err(Failure::Fatal(terminated()));
                }
                self.account()?;
                self.wire.make_room().await?;
                self.messages += 1;
                if self.messages.is_multiple_of(TURN) {
                    tokio::task::yield_now().await;
                }
            }
            self.account()?;
            let deadline = self.idle_until();
            let heard = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Err(Failure::Fatal(terminated())),
                heard = self.wire.wait(deadline) => heard?,
            };
            match heard {
                Heard::Input => {}
                Heard::Interrupted if self.wire.client.is_terminated() => return Err(interruption(&self.wire.client)),
                // Between two messages of a sequence, none of which is at work.
                Heard::Interrupted => self.wire.client.clear_cancel(),
                Heard::Late => return Err(Failure::Fatal(self.idle_too_long())),
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> Result<Next, Failure> {
        if self.skipping && !matches!(frame.kind, b'S' | b'X') {
            return Ok(Next::GoesOn);
        }
        let begun = Clock::now();
        let prepares = matches!(frame.kind, b'Q' | b'P' | b'C');
        let (extended, alone) = (EXTENDED.contains(&frame.kind), matches!(frame.kind, b'Q' | b'F'));
        self.in_sequence |= extended;
        let result = match understand(frame) {
            Ok(Message::Terminate) => return Ok(Next::Ends),
            Ok(message) => self.carry_out(message).await,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(()) => {}
            Err(Failure::Statement(error)) => {
                self.failed(&error);
                self.skipping = extended;
            }
            Err(end) => return Err(end),
        }
        if prepares {
            self.prepared = self.session.holds();
        }
        if alone {
            self.wire.shared.metrics.sql.duration.record(begun.elapsed());
            self.ready();
        }
        Ok(Next::GoesOn)
    }

    async fn carry_out(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Query(sql) => self.query(&sql).await,
            Message::Parse { name, sql, types } => self.parse(&name, &sql, &types).await,
            Message::Bind(bind) => self.bind(bind).await,
            Message::Describe(target) => self.describe(target).await,
            Message::Execute { portal, most } => self.execute(portal, most).await,
            Message::Close(target) => {
                self.close(&target);
                Ok(())
            }
            Message::Sync => self.sync().await,
            Message::FunctionCall => Err(SqlError::unsupported("a function call message").into()),
            Message::Flush => {
                self.wire.release();
                Ok(())
            }
            Message::Terminate => Ok(()),
            // What was sent before the client learned that its COPY has failed.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
        }
    }

    /// The end of a sequence of messages.
    async fn sync(&mut self) -> Result<(), Failure> {
        let skipped = std::mem::take(&mut self.skipping);
        self.in_sequence = false;
        let result = if skipped { Ok(()) } else { self.commit().await };
        match result {
            Err(Failure::Statement(error)) => self.failed(&error),
            other => other?,
        }
        if self.session.status() == Status::Idle {
            self.portals.clear();
        }
        self.ready();
        Ok(())
    }

    /// Ends the implicit transaction.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        let watch = self.watch();
        Ok(self.wire.attend(self.session.sync(), &watch).await??)
    }

    /// A statement has failed.
    fn failed(&mut self, error: &SqlError) {
        self.session.fail();
        self.portals.clear();
        self.tell_news();
        self.wire.shared.metrics.sql.errors.increment(1);
        self.tell(Severity::Error, error);
    }

    /// Tells something at once, whatever else is asked for behind it.
    fn tell(&mut self, severity: Severity, what: &SqlError) {
        backend::report(&mut self.wire.output, severity, what);
        self.wire.release();
    }

    /// Tells what has happened beside the answers.
    pub(super) fn tell_news(&mut self) {
        for news in self.session.news() {
            match news {
                News::Notice(notice) => self.tell(Severity::Notice, &notice),
                News::Warning(warning) => self.tell(Severity::Warning, &warning),
                News::Parameter(name, value) => {
                    backend::parameter(&mut self.wire.output, name, &value);
                    if name == "application_name" {
                        self.wire.client.application.replace(value);
                    }
                }
            }
        }
    }

    /// The next statement may come.
    fn ready(&mut self) {
        self.tell_news();
        let status = self.session.status();
        backend::ready(&mut self.wire.output, status);
        self.wire.release();
        self.wire.client.set_activity(match status {
            Status::Idle => Activity::Idle,
            Status::Block => Activity::IdleInTransaction,
            Status::Failed => Activity::IdleInFailedTransaction,
        });
    }

    /// What a statement that is begun now depends on.
    pub(super) fn watch(&self) -> Watch {
        let deadline = self.session.timeouts().statement.map(|time| Instant::now() + time);
        Watch { shield: self.session.shield(), deadline }
    }

    fn is_in_transaction(&self) -> bool {
        self.in_sequence || self.session.status() != Status::Idle
    }

    /// Until when the client may do nothing.
    fn idle_until(&self) -> Option<Instant> {
        let timeouts = self.session.timeouts();
        let time = if self.is_in_transaction() { timeouts.idle_in_transaction } else { timeouts.idle };
        Some(self.wire.progress + time?)
    }

    fn idle_too_long(&self) -> SqlError {
        if self.is_in_transaction() {
            let what = "terminating connection due to idle-in-transaction timeout";
            SqlError::new(SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, what)
        } else {
            SqlError::new(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")
        }
    }

    /// Tells the node how much this connection holds, and ends it where that, or all together, is too much.
    fn account(&mut self) -> Result<(), Failure> {
        self.wire.trim();
        let holds = self.wire.input.len() + self.wire.unsent() + self.portals.holds() + self.prepared;
        let shared = &self.wire.shared;
        let before = self.wire.client.holds.replace(holds);
        let all = (shared.buffered.get() + holds).saturating_sub(before);
        shared.buffered.set(all);
        let why = if holds > shared.config.max_client_memory.max(FREE_SHARE) {
            "this connection holds too much memory (max_client_memory)"
        } else if all > shared.config.max_buffered && holds > FREE_SHARE {
            "the SQL connections of this node hold too much memory"
        } else {
            return Ok(());
        };
        shared.metrics.sql.shed_memory.increment(1);
        Err(Failure::Fatal(SqlError::new(SqlState::OUT_OF_MEMORY, why)))
    }
}

impl<S: Session> Drop for Connection<S> {
    fn drop(&mut self) {
        let shared = &self.wire.shared;
        shared.buffered.set(shared.buffered.get().saturating_sub(self.wire.client.holds.get()));
    }
}

/// Tells the client why the connection ends.
///
/// # Errors
/// It does not listen.
pub async fn farewell(wire: &mut Wire, error: &SqlError) -> io::Result<()> {
    wire.shared.metrics.sql.errors.increment(1);
    backend::report(&mut wire.output, Severity::Fatal, error);
    wire.flush().await
}
