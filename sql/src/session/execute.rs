//! Running portals: in the transaction at hand, or in one of the statement's own, tried again if it loses a conflict.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::transaction::{Grip, Mode, Transaction};
use annulus_relation::{Row, SqlError, SqlResult};
use annulus_txn::interface::{Database, TxnError};

use super::answer::{Column, Run, Step, Tag, are_alike};
use super::jobs::Jobs;
use super::portal::{Produced, Rows, State};
use super::prepared::changed_result;
use super::{Active, Portal, Session};
use crate::dml::query::next;
use crate::parse::Statement;
use crate::server::catalogs::Catalogs;
use crate::server::deadline::Deadline;
use crate::server::failure::{is_about_catalog, is_retryable, to_sql};
use crate::statement::{Plan, Work, produce};

/// How often a statement is tried before the catalog is read anew, whatever it failed for.
const PATIENT: u32 = 4;

/// How often a statement is tried at all: nobody else is in its way so often, so it would not end.
pub(super) const MOST_TRIES: u32 = 10_000;

/// How many rows are read at a time for a client that takes them bit by bit.
pub(super) const STRETCH: u32 = 4_000;

/// Whoever knows which columns a statement has that stands for another one is not given others.
fn check_columns(portal: &Portal, columns: Option<&Rc<[Column]>>) -> SqlResult<()> {
    if portal.described.get() && !are_alike(portal.analyzed.columns.as_ref(), columns) {
        return Err(changed_result());
    }
    Ok(())
}

pub(super) fn ended() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "the portal has ended")
}

impl<D: Database> Session<D> {
    /// Runs a portal, or goes on with it. Not called again after [`Step::End`].
    ///
    /// # Errors
    /// Why it failed.
    pub async fn run(&mut self, portal: &mut Portal, run: Run) -> SqlResult<Step> {
        if let State::Fresh = portal.state {
            self.shared.begin_statement();
            portal.began = Some(Instant::now());
            let produced = self.begin_portal(portal, run.last).await?;
            portal.state = State::Open(produced);
        }
        self.advance(portal, run).await
    }

    /// The next rows of a portal that has begun, or its end.
    pub(super) async fn advance(&mut self, portal: &mut Portal, run: Run) -> SqlResult<Step> {
        let State::Open(produced) = &mut portal.state else {
            return Err(ended());
        };
        if let Rows::CopyIn(..) | Rows::CopyOut(..) = produced.rows {
            return self.copy(portal, run).await;
        }
        if let Rows::Fetch { .. } = produced.rows {
            return self.fetch_on(portal, run).await;
        }
        let rows = match &mut produced.rows {
            Rows::Ready(rows) => rows.by_ref().take(run.most).collect::<Vec<_>>(),
            Rows::Scan(ready, _) | Rows::Query(ready, _) if ready.len() > 0 => ready.by_ref().take(run.most).collect(),
            more => {
                let mut ready = self.more(more).await?.into_iter();
                let rows = ready.by_ref().take(run.most).collect();
                if let Rows::Scan(rest, _) | Rows::Query(rest, _) = more {
                    *rest = ready;
                }
                rows
            }
        };
        if !rows.is_empty() {
            portal.given += rows.len() as u64;
            return Ok(Step::Rows(rows));
        }
        self.end(portal, run).await
    }

    /// The end of a portal: of the implicit transaction too, if nothing else belongs to it.
    pub(super) async fn end(&mut self, portal: &mut Portal, run: Run) -> SqlResult<Step> {
        if run.last {
            self.sync().await?;
        }
        let State::Open(produced) = std::mem::replace(&mut portal.state, State::Done) else {
            return Err(ended());
        };
        self.copied = 0;
        self.note(portal, &produced.tag);
        Ok(Step::End(produced.tag))
    }

    /// Keeps how long a statement took.
    fn note(&self, portal: &Portal, tag: &Tag) {
        let (Some(began), false) = (portal.began, matches!(portal.analyzed.plan, Plan::Command | Plan::Empty)) else {
            return;
        };
        let took = began.elapsed();
        let changed = match tag {
            Tag::Text(text) => text.rsplit_once(' ').and_then(|(_, count)| count.parse().ok()).unwrap_or(0),
            Tag::Rows(_) | Tag::Empty => 0,
        };
        let text = &portal.analyzed.parsed.text;
        self.shared.statements.note(text, took, portal.given.max(changed));
        if took >= self.server.config.slow_statement {
            self.server.clients.slow(self.shared.id, text, took);
        }
    }

    /// Reads on; no rows: there are no more. The error of a statement of its own is told only if what was read has held at
    /// one instant: else it is a conflict, for what was given to the client cannot be taken back.
    pub(super) async fn more(&mut self, rows: &mut Rows) -> SqlResult<Vec<Row>> {
        let deadline = self.deadline();
        let failure = match self.next_rows(rows, deadline).await {
            Ok(rows) => return Ok(rows),
            Err(failure) => failure,
        };
        let (mut active, error) = match (self.active.take(), failure) {
            (Some(active), Failure::Sql(error)) if active.transaction.mode() == Mode::Statement => (active, error),
            (active, failure) => {
                self.active = active;
                return Err(to_sql(failure));
            }
        };
        let failure = self.confirm(&mut active, error, &deadline).await;
        self.active = Some(active);
        Err(to_sql(failure))
    }

    async fn next_rows(&mut self, rows: &mut Rows, deadline: Deadline) -> Outcome<Vec<Row>> {
        let Self { server, catalogs, shared, active: Some(active), cursors, prepared, news, .. } = self else {
            return Err(ended().into());
        };
        let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline, news };
        loop {
            let found = match rows {
                Rows::Scan(ready, _) | Rows::Query(ready, _) if ready.len() > 0 => Some(ready.collect()),
                Rows::Ready(ready) => {
                    Some(ready.by_ref().take(STRETCH as usize).collect::<Vec<_>>()).filter(|rows| !rows.is_empty())
                }
                Rows::Fetch { .. } | Rows::CopyIn(..) | Rows::CopyOut(_) => None,
                Rows::Scan(_, scan) => scan.next(&mut work, STRETCH).await?,
                Rows::Query(_, running) => next(running, &mut work).await?,
            };
            match found {
                Some(rows) if rows.is_empty() => {}
                found => return Ok(found.unwrap_or_default()),
            }
        }
    }

    pub(super) async fn begin_portal(&mut self, portal: &mut Portal, last: bool) -> SqlResult<Produced> {
        self.check_failed(&portal.analyzed.parsed)?;
        let parsed = Rc::clone(&portal.analyzed.parsed);
        if let Plan::Empty = portal.analyzed.plan {
            return Ok(Produced::tag(Tag::Empty));
        }
        if let Plan::Command = portal.analyzed.plan {
            if let Statement::Execute { name, arguments } = &parsed.statement {
                let executed = self.executed(name, arguments, &parsed.whole).await?;
                check_columns(portal, executed.analyzed.columns.as_ref())?;
                *portal = executed;
                return Box::pin(self.begin_portal(portal, last)).await;
            }
            if let Statement::TableOfExecuted(table) = &parsed.statement {
                *portal = self.table_of_executed(table, &parsed.whole).await?;
                return Box::pin(self.begin_portal(portal, last)).await;
            }
            if let Statement::Fetch { name, moves: false, .. } = &parsed.statement {
                check_columns(portal, self.cursors.columns(name).as_ref())?;
            }
            if let Some(produced) = self.command(&parsed).await? {
                return Ok(produced);
            }
        }
        if let (Plan::Declare(query), Statement::Declare(declare)) = (&portal.analyzed.plan, &parsed.statement) {
            return self.declare(declare, query, portal, last).await;
        }
        if self.active.is_none() && last {
            return self.autocommit(portal).await;
        }
        if self.active.is_none() {
            let (deadline, start) = (self.deadline(), self.server.db.begin());
            let mode = self.mode_of(portal)?.unwrap_or(Mode::Block);
            self.active = Some(self.open(mode, start, false, &deadline).await.map_err(to_sql)?);
        }
        self.within(portal).await
    }

    /// At which time a statement reads that says so.
    fn mode_of(&self, portal: &Portal) -> SqlResult<Option<Mode>> {
        let as_of = portal.analyzed.as_of(&self.shared, &self.env())?;
        Ok(as_of.map(Mode::AsOf))
    }

    /// Runs a statement in the transaction at hand, which is begun again if its first one loses a conflict.
    async fn within(&mut self, portal: &mut Portal) -> SqlResult<Produced> {
        let deadline = self.deadline();
        let was_fresh = self.active.as_ref().is_some_and(Active::is_fresh);
        loop {
            let failure = match self.attempt_within(portal, deadline).await {
                Ok(produced) => return Ok(produced),
                Err(failure) => failure,
            };
            if matches!(&failure, Failure::Txn(error) if is_about_catalog(error)) {
                self.catalogs.outdate();
            }
            let may_go_on = was_fresh && is_retryable(&failure) && !deadline.passed();
            if !may_go_on || !self.begin_again(portal, &deadline).await? {
                return Err(to_sql(failure));
            }
        }
    }

    async fn attempt_within(&mut self, portal: &mut Portal, deadline: Deadline) -> Outcome<Produced> {
        if let Some(active) = &mut self.active {
            if portal.analyzed.parsed.as_of.is_some() && !matches!(active.transaction.mode(), Mode::AsOf(_)) {
                return Err(SqlError::unsupported("AS OF SYSTEM TIME in a transaction block").into());
            }
            if portal.analyzed.plan.needs_newest()
                && !active.defines
                && !matches!(active.transaction.mode(), Mode::AsOf(_))
            {
                // It may be refused for what is not so any more, or data be lost; and the commit
                // would find that others have changed the catalog, when nothing can be tried again.
                active.go_by(self.catalogs.reload(&self.server.db, deadline.left()).await?);
            }
            if !std::mem::replace(&mut active.used, true) && active.block && active.read_only {
                begin_reading(&self.server.db, &self.catalogs, active, &deadline).await?;
            }
            let catalog = Arc::clone(&active.catalog);
            self.renew(portal, &catalog)?;
        }
        if !portal.analyzed.plan.only_reads() {
            self.read_cursors().await?;
        }
        let Self { server, catalogs, shared, active: Some(active), cursors, prepared, news, .. } = self else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "there is no transaction").into());
        };
        let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline, news };
        produce(&mut work, portal).await
    }

    /// Begins a transaction again whose first statement, a portal of which nothing was given to the client, lost a
    /// conflict. Whether it could.
    async fn begin_again(&mut self, portal: &Portal, deadline: &Deadline) -> SqlResult<bool> {
        let Some(active) = &self.active else { return Ok(false) };
        if !active.loads.is_empty() || matches!(active.transaction.mode(), Mode::AsOf(_)) {
            return Ok(false);
        }
        self.forget_taken(active);
        // Others get a turn: what was in the way may be one of this node's own.
        tokio::task::yield_now().await;
        let catalog = self.catalogs.current(&self.server.db, deadline.left()).await.map_err(to_sql)?;
        let Some(active) = self.active.take() else { return Ok(false) };
        let active = self.active.insert(active.again(&self.server.db, catalog));
        if portal.analyzed.plan.only_reads() && !(active.block && active.read_only) {
            // It may read much of what is written all the time.
            let all: Vec<_> = active.catalog.home().partitions().collect();
            // If that fails, so does what follows.
            let _ = active.transaction.pin(&all, Grip::Firm, deadline.left()).await;
        }
        Ok(true)
    }

    /// Runs a statement that is a transaction of its own.
    async fn autocommit(&mut self, portal: &mut Portal) -> SqlResult<Produced> {
        let (deadline, start) = (self.deadline(), self.server.db.begin());
        let mode = self.mode_of(portal)?.unwrap_or(Mode::Statement);
        let mut tries = 0;
        if matches!(portal.analyzed.plan, Plan::CopyFrom(_)) && portal.analyzed.plan.needs_newest() {
            self.catalogs.outdate();
        }
        loop {
            let mut active = self.open(mode, start, false, &deadline).await.map_err(to_sql)?;
            active.is_retry = tries > 0;
            let outcome = self.attempt(portal, &mut active, deadline).await;
            let failure = match outcome {
                Ok(produced) if produced.streams() => {
                    self.active = Some(active);
                    return Ok(produced);
                }
                Ok(produced) => {
                    let jobs = std::mem::take(&mut active.jobs);
                    let (before, declared) = (Arc::clone(&active.opened), Arc::clone(&active.catalog));
                    match self.try_commit(active, &deadline).await {
                        Ok(()) => {
                            let doing = Jobs { server: &self.server, catalogs: &self.catalogs, shared: &self.shared };
                            doing.run_all(&jobs, &before, &declared).await?;
                            return Ok(produced);
                        }
                        Err(failure) => failure,
                    }
                }
                Err(failure) => self.confirmed(failure, active, &deadline).await,
            };
            tries += 1;
            let is_over = deadline.passed() || tries >= MOST_TRIES || matches!(mode, Mode::AsOf(_));
            if !is_retryable(&failure) || is_over {
                return Err(to_sql(failure));
            }
            if tries % PATIENT == 0 || matches!(&failure, Failure::Txn(error) if is_about_catalog(error)) {
                self.catalogs.outdate();
            }
            // Others get a turn: what was in the way may be one of this node's own.
            tokio::task::yield_now().await;
        }
    }

    async fn attempt(&mut self, portal: &mut Portal, active: &mut Active<D>, deadline: Deadline) -> Outcome<Produced> {
        self.renew(portal, &active.catalog)?;
        let Self { server, catalogs, shared, cursors, prepared, news, .. } = self;
        let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline, news };
        produce(&mut work, portal).await
    }

    /// An error of a statement is told only if what was read, and the catalog, have held at one instant; otherwise the
    /// statement is to be tried again.
    async fn confirmed(&mut self, failure: Failure, mut active: Active<D>, deadline: &Deadline) -> Failure {
        let failure = match failure {
            Failure::Sql(error) => self.confirm(&mut active, error, deadline).await,
            failure @ Failure::Txn(_) => failure,
        };
        self.undo(active);
        failure
    }
}

/// A block that only reads takes its instant: all its reads are of that, so that nothing has to be remembered and
/// validated. Its catalog is confirmed with it, since all that it reads may be the catalog's own tables.
async fn begin_reading<D: Database>(
    db: &D,
    catalogs: &Rc<Catalogs>,
    active: &mut Active<D>,
    deadline: &Deadline,
) -> Outcome<()> {
    let start = active.transaction.start();
    loop {
        active.transaction = Transaction::new(db.clone(), Mode::Statement, start);
        active.catalog.expect_unchanged(&mut active.transaction);
        let all: Vec<_> = active.catalog.home().partitions().collect();
        match active.transaction.pin(&all, Grip::Firm, deadline.left()).await {
            Err(TxnError::Conflict(_)) if !deadline.passed() => {
                active.go_by(catalogs.reload(db, deadline.left()).await?);
            }
            pinned => return Ok(pinned?),
        }
    }
}
