//! Statements with parts that are carried out before the rest: statements in `WITH` that change rows, subqueries that lock
//! rows, and `RETURNING` with subqueries.
//!
//! Promises and invariants:
//! - The parts are carried out one after the other, each once; what is behind sees what they gave, under their names.
//! - No part sees what another one has changed, as in PostgreSQL: all changes are collected by one writer, and stored when
//!   everything has been read.

mod lift;
mod plan;
mod returning;

use std::rc::Rc;

use annulus_relation::error::SqlState;
use annulus_relation::ops::Checks;
use annulus_relation::{Outcome, SqlError, Value};
use annulus_txn::interface::Database;

pub(super) use plan::plan;

use super::Work;
use crate::dml::query::Query;
use crate::dml::{Change, Ground, Select, Writing, below, finish};
use crate::query::Given;
use crate::session::answer::Tag;
use crate::session::{Produced, Rows};

/// A statement in parts.
pub(crate) struct With {
    parts: Vec<Part>,
    body: Body,
}

/// What is carried out before the rest.
struct Part {
    given: Given,
    what: What,
}

enum What {
    Lock(Rc<Select>),
    Change(Box<Change>),
}

enum Body {
    Query(Query),
    /// What `RETURNING` says of the rows that the last part has changed.
    Returning(Query),
    Change(Box<Change>),
}

impl With {
    /// What it does, in lines of a plan.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for part in &self.parts {
            let (word, plan) = match &part.what {
                What::Lock(select) => ("Lock", select.describe()),
                What::Change(change) => ("CTE", change.describe()),
            };
            lines.push(format!("{word} {}", part.given.name));
            lines.extend(below(plan));
        }
        lines.extend(match &self.body {
            Body::Query(_) | Body::Returning(_) => vec!["Query".to_owned()],
            Body::Change(change) => change.describe(),
        });
        lines
    }

    /// Whether any part of it changes rows.
    pub fn changes(&self) -> bool {
        matches!(self.body, Body::Change(_)) || self.parts.iter().any(|part| matches!(part.what, What::Change(_)))
    }

    /// Carries it out.
    pub async fn run<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        work.active.given.clear();
        let outcome = self.carry_out(work, params).await;
        work.active.given.clear();
        outcome
    }

    async fn carry_out<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        let ground = Ground::of(work);
        let evaluator = ground.evaluator();
        let mut writing = Writing::new(&ground, &evaluator, Checks::AtStatement);
        let mut last = Tag::Rows("SELECT");
        for part in &self.parts {
            let rows = match &part.what {
                What::Lock(select) => match select.run(work, params).await?.rows {
                    Rows::Ready(rows) => rows.collect(),
                    _ => return Err(SqlError::new(SqlState::INTERNAL_ERROR, "locked rows that come later").into()),
                },
                What::Change(change) => {
                    work.active.check_writable(change.word())?;
                    let changed = change.collect(work, params, &mut writing).await?;
                    last = change.tag(&changed);
                    change.returned(&changed, params, &evaluator)?
                }
            };
            let rows: Vec<_> = rows;
            work.active.given.push(Given { rows: rows.into(), ..part.given.clone() });
        }
        match &self.body {
            Body::Query(query) => {
                let rows = query.whole(work, params).await?;
                finish(work, writing.writer).await?;
                Ok(Produced::rows(rows, Tag::Rows("SELECT")))
            }
            Body::Returning(query) => {
                let rows = query.whole(work, params).await?;
                finish(work, writing.writer).await?;
                Ok(Produced::rows(rows, last))
            }
            Body::Change(change) => {
                work.active.check_writable(change.word())?;
                let changed = change.collect(work, params, &mut writing).await?;
                finish(work, writing.writer).await?;
                Ok(change.produced(changed, params, &evaluator)?)
            }
        }
    }
}
