//! `BEGIN`, `COMMIT`, `ROLLBACK`, savepoints, and implicit transactions.

use std::sync::Arc;

use annulus_base::Timestamp;
use annulus_relation::catalog::load;
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::explain;
use annulus_relation::transaction::{Done, Mode};
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::{Database, TxnError, When};
use annulus_txn::token;

use super::Session;
use super::active::{Active, Opening};
use super::answer::Tag;
use crate::parse::{Isolation, Modes};
use crate::server::deadline::Deadline;
use crate::server::failure::{is_about_catalog, to_sql};
use crate::server::loads::Loading;
use crate::server::shared::{lock, now};

/// Lowers the shield again whatever happens.
struct Raised(super::answer::Shield);

impl Raised {
    fn new(shield: &super::answer::Shield) -> Self {
        shield.set(true);
        Self(super::answer::Shield::clone(shield))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<D: Database> Session<D> {
    /// The time that the statement at work has.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.shared.settings().statement_timeout())
    }

    /// A new transaction.
    pub(super) async fn open(
        &self,
        mode: Mode,
        start: Timestamp,
        block: bool,
        deadline: &Deadline,
    ) -> Outcome<Active<D>> {
        let catalog = match mode {
            // The past had tables of its own.
            Mode::AsOf(at) => {
                let found = load(&self.server.db, self.catalogs.home, When::At(at), deadline.left()).await?;
                Arc::new(found)
            }
            Mode::Statement | Mode::Block => self.catalogs.current(&self.server.db, deadline.left()).await?,
        };
        let now = now();
        let settings = self.shared.settings();
        let opening = Opening {
            mode,
            block,
            read_only: settings.read_only(),
            now,
            env: Arc::new(settings.env(now)),
            before: settings.save(),
        };
        Ok(Active::new(&self.server.db, start, catalog, opening))
    }

    pub(super) async fn begin(&mut self, word: &'static str, modes: Modes) -> SqlResult<Tag> {
        match &mut self.active {
            Some(active) if active.block => {
                let message = "there is already a transaction in progress";
                self.warn(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
            }
            // The statements before it in the same message become part of the block.
            Some(active) => active.block = true,
            None => {
                let (deadline, start) = (self.deadline(), self.server.db.begin());
                self.active = Some(self.open(Mode::Block, start, true, &deadline).await.map_err(to_sql)?);
            }
        }
        self.set_modes(modes)?;
        Ok(Tag::word(word))
    }

    /// `SET TRANSACTION`, and the modes of `BEGIN`.
    pub(super) fn set_modes(&mut self, modes: Modes) -> SqlResult<()> {
        self.explain_isolation(modes.isolation);
        let Some(active) = &mut self.active else { return Ok(()) };
        active.set_modes(modes)?;
        // As settings of this transaction they are asked for, too.
        self.shared.settings().set_modes(modes)
    }

    /// Tells whoever asks for less than serializable that it gets more.
    pub(super) fn explain_isolation(&mut self, isolation: Option<Isolation>) {
        if let Some(level) = isolation.filter(|level| *level != Isolation::Serializable) {
            let message = format!("isolation level \"{}\" runs as strict serializable", level.name());
            self.notice(
                SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message)
                    .hint("Retry transactions that fail with 40001."),
            );
        }
    }

    pub(super) async fn commit_block(&mut self, chain: bool) -> SqlResult<Tag> {
        if self.active.as_ref().is_some_and(|active| !active.failed)
            && let Err(error) = self.read_held_cursors().await
        {
            self.active.take().into_iter().for_each(|active| self.undo(active));
            return Err(error);
        }
        let Some(active) = self.active.take_if(|active| active.block || !chain) else {
            return self.outside(chain, "COMMIT");
        };
        if !active.block {
            self.warn_outside();
        }
        let (failed, read_only) = (active.failed, active.read_only);
        if failed {
            self.undo(active);
        } else {
            self.commit(active).await?;
        }
        self.chain(chain, read_only).await?;
        Ok(Tag::word(if failed { "ROLLBACK" } else { "COMMIT" }))
    }

    pub(super) async fn rollback_block(&mut self, chain: bool) -> SqlResult<Tag> {
        let Some(active) = self.active.take_if(|active| active.block || !chain) else {
            return self.outside(chain, "ROLLBACK");
        };
        if !active.block {
            self.warn_outside();
        }
        let read_only = active.read_only;
        self.undo(active);
        self.chain(chain, read_only).await?;
        Ok(Tag::word("ROLLBACK"))
    }

    fn warn_outside(&mut self) {
        self.warn(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress"));
    }

    fn outside(&mut self, chain: bool, word: &'static str) -> SqlResult<Tag> {
        if chain {
            let message = format!("{word} AND CHAIN can only be used in transaction blocks");
            return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        self.warn_outside();
        Ok(Tag::word(word))
    }

    /// `AND CHAIN`: a new transaction with the same modes.
    async fn chain(&mut self, chain: bool, read_only: bool) -> SqlResult<()> {
        if chain {
            self.begin("BEGIN", Modes { read_only: Some(read_only), ..Modes::default() }).await?;
        }
        Ok(())
    }

    /// Rolls a transaction back.
    pub(super) fn undo(&mut self, active: Active<D>) {
        self.cursors.end_transaction(false);
        self.shared.settings().restore(&active.before);
        self.forget_taken(&active);
        active.transaction.rollback();
    }

    /// What a transaction that comes to nothing has taken from sequences that it made must not be given out for their namesakes.
    pub(super) fn forget_taken(&self, active: &Active<D>) {
        if active.defines {
            self.shared.sequences.forget_all(&self.catalogs.home);
        }
    }

    /// Commits a transaction; settings follow it.
    pub(super) async fn commit(&mut self, active: Active<D>) -> SqlResult<()> {
        let deadline = self.deadline();
        self.try_commit(active, &deadline).await.map_err(to_sql)
    }

    /// As [`Session::commit`]. A conflict over a unique key that somebody else has is the violation of its constraint.
    pub(super) async fn try_commit(&mut self, mut active: Active<D>, deadline: &Deadline) -> Outcome<()> {
        let token = match self.prepare_commit(&mut active, deadline).await {
            Ok(token) => token,
            Err(failure) => {
                self.undo(active);
                return Err(failure);
            }
        };
        let (claims, catalog) = (std::mem::take(&mut active.pending.claims), Arc::clone(&active.catalog));
        let loads = std::mem::take(&mut active.loads);
        loads.iter().for_each(|loading| loading.load.end(&mut active.transaction, &catalog));
        let premises = (!claims.is_empty()).then(|| active.transaction.premises(claims.places()));
        match (self.end_active(active, deadline).await, premises) {
            (Err(error @ TxnError::Conflict(_)), Some(premises)) => {
                let found = explain(&self.server.db, &catalog, &claims, premises, deadline.left()).await;
                if let Err(Failure::Txn(error)) = &found
                    && is_about_catalog(error)
                {
                    self.catalogs.outdate();
                }
                Err(found?.map_or(error.into(), Failure::from))
            }
            (ended, _) => {
                ended?;
                loads.into_iter().for_each(Loading::commit);
                token.map_or(Ok(()), |token| Ok(self.shared.settings().used_token(&token)?))
            }
        }
    }

    /// What has to be done, or to be so, before the commit; the token that is part of it.
    async fn prepare_commit(&self, active: &mut Active<D>, deadline: &Deadline) -> Outcome<Option<String>> {
        self.check_all_deferred(active, deadline).await?;
        self.end_temporary(active, deadline).await?;
        self.record_token(active, deadline).await
    }

    /// Makes the session's token part of a transaction that writes: it commits only if none of that token has.
    async fn record_token(&self, active: &mut Active<D>, deadline: &Deadline) -> Outcome<Option<String>> {
        let token = self.shared.settings().token().filter(|_| active.transaction.has_writes());
        let Some(token) = token else { return Ok(None) };
        let place = self.server.tokens()?.place(token.as_bytes());
        let record = active.transaction.get(std::slice::from_ref(&place), deadline.left()).await?;
        if let Some(record) = record.into_iter().flatten().next() {
            return Err(match token::outcome_of(&record) {
                token::Outcome::Committed => {
                    let message = format!("the transaction of token \"{token}\" is committed already");
                    SqlError::new(SqlState::UNIQUE_VIOLATION, message).hint("Nothing was done now.")
                }
                token::Outcome::Aborted => {
                    let message = format!("the outcome of token \"{token}\" was told to be aborted");
                    SqlError::new(SqlState::TRANSACTION_ROLLBACK, message).hint("Use a new token.")
                }
            }
            .into());
        }
        let start = active.transaction.start();
        active.transaction.put(place, token::committed(start, start.micros()));
        Ok(Some(token))
    }

    async fn end_active(&mut self, active: Active<D>, deadline: &Deadline) -> Result<(), TxnError> {
        let (before, defines) = (active.before.clone(), active.defines);
        let writes = active.transaction.has_writes();
        let (opened, within, restarted) = (active.opened, active.catalog, active.restarted);
        let done = {
            let _raised = writes.then(|| Raised::new(&self.shield));
            active.transaction.commit(deadline.left()).await
        };
        if defines {
            self.catalogs.outdate();
        }
        if defines
            && done.is_ok()
            && self.shared.sequences.are_changed(&within)
            && let Ok(since) = self.catalogs.reload(&self.server.db, deadline.left()).await
        {
            self.shared.sequences.keep(&restarted, &opened, &within, &since);
        }
        self.cursors.end_transaction(done.is_ok());
        match done {
            Ok(done) => {
                if let Done::Committed(txn) = done {
                    *lock(&self.shared.last_transaction) = Some(txn);
                }
                self.shared.settings().end_transaction();
                if defines {
                    self.shared.temporary.keep(&within);
                }
                Ok(())
            }
            Err(error) => {
                self.shared.settings().restore(&before);
                if let TxnError::Unknown(txn) = &error {
                    *lock(&self.shared.last_transaction) = Some(*txn);
                }
                if is_about_catalog(&error) {
                    self.catalogs.outdate();
                }
                Err(error)
            }
        }
    }

    /// Ends the implicit transaction: commits it, if there is one.
    ///
    /// # Errors
    /// It could not be committed.
    pub async fn sync(&mut self) -> SqlResult<()> {
        match self.active.take_if(|active| !active.block) {
            Some(active) if active.failed => {
                self.undo(active);
                Ok(())
            }
            Some(active) => self.commit(active).await,
            None => {
                if self.active.is_none() {
                    self.shared.settings().end_transaction();
                }
                Ok(())
            }
        }
    }

    /// What was at work has failed: rolls the implicit transaction back, or lets the block fail.
    pub fn fail(&mut self) {
        self.tell_copied();
        match self.active.take() {
            Some(mut active) if active.block => {
                active.failed = true;
                self.active = Some(active);
            }
            Some(active) => self.undo(active),
            None => {}
        }
    }

    pub(super) fn savepoint(&mut self, name: &str) -> SqlResult<Tag> {
        let (saved, cursors) = (self.saved(), self.cursors.mark());
        let active = self.block("SAVEPOINT")?;
        active.save(name.to_owned(), saved, cursors);
        Ok(Tag::word("SAVEPOINT"))
    }

    pub(super) fn release(&mut self, name: &str) -> SqlResult<Tag> {
        self.block("RELEASE SAVEPOINT")?.release(name)?;
        Ok(Tag::word("RELEASE"))
    }

    pub(super) fn rollback_to(&mut self, name: &str) -> SqlResult<Tag> {
        let (settings, cursors) = self.block("ROLLBACK TO SAVEPOINT")?.rollback_to(name)?;
        self.cursors.close_since(cursors);
        self.shared.settings().restore(&settings);
        Ok(Tag::word("ROLLBACK"))
    }

    fn block(&mut self, what: &str) -> SqlResult<&mut Active<D>> {
        self.active.as_mut().filter(|active| active.block).ok_or_else(|| {
            let message = format!("{what} can only be used in transaction blocks");
            SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message)
        })
    }
}
