//! `COPY` as portals run it.

use std::sync::Arc;

use annulus_relation::SqlResult;
use annulus_txn::interface::Database;
use bytes::Bytes;

use super::answer::{Run, Step, Tag};
use super::execute::ended;
use super::portal::{Rows, State};
use super::{Portal, Session};
use crate::bind::EvalContext;
use crate::server::failure::to_sql;
use crate::statement::Work;

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
        let deadline = self.deadline();
        let Self { server, catalogs, shared, active: Some(active), cursors, prepared, news, .. } = self else {
            return Err(ended());
        };
        let mut work = Work { server, catalogs, shared, active, cursors, prepared, deadline, news };
        copy.feed(&data, &mut work).await.map_err(to_sql)
    }
}
