//! `COPY` as portals run it.

use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::transaction::Mode;
use annulus_relation::{Outcome, SqlError, SqlResult};
use annulus_txn::interface::Database;
use bytes::Bytes;

use super::answer::{Run, Step, Tag};
use super::execute::ended;
use super::portal::{Rows, State};
use super::{Portal, Session};
use crate::bind::EvalContext;
use crate::copy::CopyIn;
use crate::server::deadline::Deadline;
use crate::server::failure::{is_retryable, to_sql};
use crate::statement::Work;

/// How much data is taken in at a time.
const PART: usize = 64 << 10;

impl<D: Database> Session<D> {
    /// Goes on with a `COPY`.
    pub(super) async fn copy(&mut self, portal: &mut Portal, run: Run) -> SqlResult<Step> {
        let layout = portal.analyzed.copied();
        let State::Open(produced) = &mut portal.state else { return Err(ended()) };
        match &mut produced.rows {
            Rows::CopyIn(_, told) if !*told => {
                *told = true;
                return layout.map(Step::CopyIn).ok_or_else(ended);
            }
            Rows::CopyIn(copy, _) => {
                let deadline = self.deadline();
                let Self { server, catalogs, shared, active: Some(active), cursors, prepared, news, .. } = self else {
                    return Err(ended());
                };
                let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline, news };
                let count = copy.finish(&mut work).await.map_err(to_sql)?;
                produced.tag = Tag::count("COPY", count);
                self.commit_piece(copy).await?;
            }
            Rows::CopyOut(out) => {
                if !out.begun {
                    out.begun = true;
                    out.preamble = out.encoder.preamble();
                    out.encoder.header().into_iter().for_each(|line| out.push(line));
                    return Ok(Step::CopyOut(out.encoder.layout()));
                }
                if out.lines.is_empty() {
                    let (env, shared) = (self.env(), Arc::clone(&self.shared));
                    let rows = self.more(&mut out.rows).await?;
                    out.count += rows.len() as u64;
                    let cx = EvalContext::new(&env, &*shared);
                    for row in &rows {
                        out.push(out.encoder.line(row, &cx)?);
                    }
                    if rows.is_empty() && !std::mem::replace(&mut out.ended, true) {
                        out.encoder.trailer().into_iter().for_each(|line| out.push(line));
                    }
                    let bytes = out.lines.iter().map(Bytes::len).sum();
                    out.copying.note(bytes, rows.len() as u64, 0);
                }
                if let Some(line) = out.lines.pop_front() {
                    return Ok(Step::CopyData(line));
                }
                produced.tag = Tag::count("COPY", out.count);
            }
            _ => return Err(ended()),
        }
        self.end(portal, run).await
    }

    /// Takes data in after [`Step::CopyIn`]; where it is cut has no meaning.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn copy_in(&mut self, portal: &mut Portal, data: Bytes) -> SqlResult<()> {
        let State::Open(produced) = &mut portal.state else { return Err(ended()) };
        let Rows::CopyIn(copy, _) = &mut produced.rows else { return Err(ended()) };
        for part in data.chunks(PART) {
            let deadline = self.deadline();
            let Self { server, catalogs, shared, active: Some(active), cursors, prepared, news, .. } = self else {
                return Err(ended());
            };
            let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline, news };
            copy.feed(part, &mut work).await.map_err(to_sql)?;
            if self.active.as_ref().is_some_and(|active| copy.has_piece(active)) {
                self.commit_piece(copy).await?;
            }
        }
        Ok(())
    }

    /// Commits what was written of a `COPY` so far, if it is committed in pieces, and begins another transaction for the
    /// rest. A piece that loses a conflict is written again.
    async fn commit_piece(&mut self, copy: &mut CopyIn) -> SqlResult<()> {
        let deadline = self.deadline();
        while copy.is_in_pieces() {
            let Err(failure) = self.try_piece(copy, &deadline).await else { break };
            if let Some(active) = self.active.take() {
                self.undo(active);
            }
            if !is_retryable(&failure) || deadline.passed() {
                return Err(to_sql(failure));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn try_piece(&mut self, copy: &mut CopyIn, deadline: &Deadline) -> Outcome<()> {
        if self.active.is_none() {
            self.begin_piece(copy, deadline).await?;
        }
        if let Some(active) = self.active.take() {
            self.try_commit(active, deadline).await?;
        }
        copy.committed_piece();
        self.copied = copy.committed();
        self.begin_piece(copy, deadline).await
    }

    /// Tells, if a `COPY` has failed, which of its rows stay.
    pub(super) fn tell_copied(&mut self) {
        let count = std::mem::take(&mut self.copied);
        if count > 0 {
            let message = format!("the first {count} rows of COPY were committed before it failed");
            let warning = SqlError::new(SqlState::WARNING, message);
            self.warn(warning.detail("They were committed in pieces, because annulus.copy_atomic is off."));
        }
    }

    /// Begins a transaction for the piece that was not committed.
    async fn begin_piece(&mut self, copy: &mut CopyIn, deadline: &Deadline) -> Outcome<()> {
        let start = self.server.db.begin();
        let active = self.open(Mode::Statement, start, false, deadline).await?;
        copy.check_table(&active.catalog)?;
        let active = self.active.insert(active);
        let Self { server, catalogs, shared, cursors, prepared, news, .. } = self;
        let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline: *deadline, news };
        copy.write_again(&mut work).await
    }
}
