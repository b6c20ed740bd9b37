//! Cursors: queries that are opened by one statement and read by others.
//!
//! Promises and invariants:
//! - A cursor shows what there was when it was declared: before its transaction writes, it reads the rest of its rows.
//! - It ends with its transaction, unless it holds and that commits; then it has read all its rows before.
//! - Rows that are kept for it count as the queries' memory.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{Row, SqlError, SqlResult, Value};
use annulus_txn::interface::Database;

use super::answer::{Column, Run, Step, Tag};
use super::execute::{STRETCH, ended};
use super::portal::{Produced, Rows, State};
use super::{Portal, Session};
use crate::parse::{Declare, FetchRows};
use crate::query::{MemoryShare, row_size};
use crate::statement::Analyzed;

/// A session's cursors.
#[derive(Default)]
pub(crate) struct Cursors {
    open: HashMap<String, Cursor>,
    /// How many were ever declared.
    declared: u64,
}

struct Cursor {
    portal: Portal,
    /// The text that declared it, and when (microseconds since 2000-01-01 UTC).
    text: Arc<str>,
    declared_at: i64,
    /// `SCROLL`
    scrolls: bool,
    /// `WITH HOLD`
    holds: bool,
    /// Whether its transaction is over.
    outlives: bool,
    /// How many had been declared before.
    number: u64,
    /// Rows in memory: all that were read if it scrolls, otherwise those that lie ahead.
    kept: VecDeque<Row>,
    memory: MemoryShare,
    /// The number of the row that it stands on. 0: before the first; one more than there are: after the last.
    position: u64,
    is_after_last: bool,
}

impl Cursors {
    /// How many were ever declared: those that are declared from now on have this number and larger ones.
    pub const fn mark(&self) -> u64 {
        self.declared
    }

    /// Closes those declared since a mark.
    pub fn close_since(&mut self, mark: u64) {
        self.open.retain(|_, cursor| cursor.number < mark);
    }

    /// Closes those that end with a transaction.
    pub fn end_transaction(&mut self, committed: bool) {
        self.open.retain(|_, cursor| cursor.outlives || (committed && cursor.holds));
        self.open.values_mut().for_each(|cursor| cursor.outlives = true);
    }

    /// `CLOSE ALL`
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// `CLOSE`
    pub fn close(&mut self, name: &str) -> SqlResult<()> {
        self.open.remove(name).map(drop).ok_or_else(|| missing(name))
    }

    /// The columns of a cursor's rows, if there is one of that name.
    pub fn columns(&self, name: &str) -> Option<Rc<[Column]>> {
        self.open.get(name)?.portal.columns()
    }

    /// The rows of `pg_cursors`.
    pub fn rows(&self) -> Vec<Vec<(&'static str, Value)>> {
        let row = |(name, cursor): (&String, &Cursor)| {
            vec![
                ("name", Value::text(name.as_str())),
                ("statement", Value::text(&*cursor.text)),
                ("is_holdable", Value::Bool(cursor.holds)),
                ("is_binary", Value::Bool(false)),
                ("is_scrollable", Value::Bool(cursor.scrolls)),
                ("creation_time", Value::Timestamptz(cursor.declared_at)),
            ]
        };
        self.open.iter().map(row).collect()
    }

    /// The names of those that have not read all their rows.
    fn reading(&self, which: impl Fn(&Cursor) -> bool) -> Vec<String> {
        let reading = self.open.iter().filter(|(_, cursor)| !cursor.portal.is_done() && which(cursor));
        reading.map(|(name, _)| name.clone()).collect()
    }

    fn find(&mut self, name: &str) -> SqlResult<&mut Cursor> {
        self.open.get_mut(name).ok_or_else(|| missing(name))
    }
}

impl Cursor {
    fn keep(&mut self, rows: Vec<Row>) -> SqlResult<()> {
        self.memory.grow(rows.iter().map(row_size).sum())?;
        self.kept.extend(rows);
        Ok(())
    }

    /// The next rows of those in memory, at most so many.
    fn take(&mut self, most: usize) -> Vec<Row> {
        let rows: Vec<Row> = if self.scrolls {
            let from = usize::try_from(self.position).unwrap_or(usize::MAX);
            self.kept.iter().skip(from).take(most).cloned().collect()
        } else {
            let rows: Vec<Row> = self.kept.drain(..most.min(self.kept.len())).collect();
            self.memory.shrink(rows.iter().map(row_size).sum());
            rows
        };
        self.position += rows.len() as u64;
        if rows.is_empty() && !self.is_after_last {
            (self.position, self.is_after_last) = (self.position + 1, true);
        }
        rows
    }

    /// How many rows it needs in memory to give so many of them.
    fn wants(&self, most: usize) -> usize {
        let before = if self.scrolls { usize::try_from(self.position).unwrap_or(usize::MAX) } else { 0 };
        before.saturating_add(most)
    }

    /// Goes to a row that has been read, or before the first.
    fn go_back(&mut self, to: u64) -> SqlResult<Option<Row>> {
        if !self.scrolls {
            let message = "cursor can only scan forward";
            let error = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
            return Err(error.hint("Declare it with SCROLL option to enable backward scan."));
        }
        (self.position, self.is_after_last) = (to, to > self.kept.len() as u64);
        let row = to.checked_sub(1).and_then(|place| self.kept.get(usize::try_from(place).ok()?));
        Ok(row.cloned())
    }
}

impl<D: Database> Session<D> {
    /// The columns of a cursor's rows, if there is one of that name.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Rc<[Column]>> {
        self.cursors.columns(name)
    }

    /// Closes a cursor, if there is one.
    pub fn close_cursor(&mut self, name: &str) {
        self.cursors.open.remove(name);
    }

    /// `DECLARE`
    pub(super) async fn declare(
        &mut self,
        declare: &Declare,
        query: &Rc<Analyzed>,
        portal: &Portal,
        last: bool,
    ) -> SqlResult<Produced> {
        let is_block = self.active.as_ref().is_some_and(|active| active.block);
        if !is_block && !declare.holds {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            let error = SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
            return Err(error.hint("Begin a block, or declare it WITH HOLD."));
        }
        if self.cursors.open.contains_key(&declare.name) {
            let message = format!("cursor \"{}\" already exists", declare.name);
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        let mut inner = Portal::new(Rc::clone(query), portal.parameters.clone());
        let produced = Box::pin(self.begin_portal(&mut inner, last)).await?;
        inner.state = State::Open(produced);
        let mut cursor = Cursor {
            portal: inner,
            text: Arc::clone(&portal.analyzed.parsed.text),
            declared_at: self.shared.statement_start(),
            scrolls: declare.scrolls,
            holds: declare.holds,
            outlives: self.active.is_none(),
            number: self.cursors.declared,
            kept: VecDeque::new(),
            memory: self.server.engine.memory_share("a cursor"),
            position: 0,
            is_after_last: false,
        };
        if !is_block {
            self.read_rest(&mut cursor).await?;
        }
        self.cursors.declared += 1;
        self.cursors.open.insert(declare.name.clone(), cursor);
        Ok(Produced::tag(Tag::word("DECLARE CURSOR")))
    }

    /// `FETCH` and `MOVE`. Rows that lie ahead are given bit by bit.
    pub(super) async fn fetch(&mut self, name: &str, rows: FetchRows, moves: bool) -> SqlResult<Produced> {
        self.cursors.find(name)?;
        match rows {
            FetchRows::Next(count @ 1..) if !moves => {
                let rows = Rows::Fetch { cursor: name.into(), left: count.unsigned_abs() };
                Ok(Produced { rows, tag: Tag::Rows("FETCH") })
            }
            FetchRows::Next(count @ 1..) => {
                let (_, passed) = self.pass(name, count.unsigned_abs()).await?;
                Ok(Produced::tag(Tag::count("MOVE", passed)))
            }
            _ => {
                let rows = self.seek(name, rows).await?;
                Ok(match moves {
                    true => Produced::tag(Tag::count("MOVE", rows.len() as u64)),
                    false => Produced::rows(rows, Tag::Rows("FETCH")),
                })
            }
        }
    }

    /// `CLOSE`
    pub(super) fn close(&mut self, name: Option<&str>) -> SqlResult<Tag> {
        match name {
            Some(name) => self.cursors.close(name)?,
            None => self.cursors.clear(),
        }
        Ok(Tag::word(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" }))
    }

    /// The next rows for a portal that is a `FETCH`.
    pub(super) async fn fetch_on(&mut self, portal: &mut Portal, run: Run) -> SqlResult<Step> {
        let State::Open(Produced { rows: Rows::Fetch { cursor, left }, .. }) = &mut portal.state else {
            return Err(ended());
        };
        let most = run.most.min(usize::try_from(*left).unwrap_or(usize::MAX));
        let rows = if most == 0 { Vec::new() } else { self.ahead(cursor, most).await? };
        *left -= rows.len() as u64;
        if rows.is_empty() {
            return self.end(portal, run).await;
        }
        portal.given += rows.len() as u64;
        Ok(Step::Rows(rows))
    }

    /// The rows ahead of a cursor, which goes there: at most so many; none: it is after the last one.
    async fn ahead(&mut self, name: &str, most: usize) -> SqlResult<Vec<Row>> {
        // Whose reading fails or is given up does not come back.
        let (name, mut cursor) = self.cursors.open.remove_entry(name).ok_or_else(|| missing(name))?;
        while cursor.kept.len() < cursor.wants(most) && self.read_on(&mut cursor, most).await? {}
        let rows = cursor.take(most);
        self.cursors.open.insert(name, cursor);
        Ok(rows)
    }

    /// Goes ahead by so many rows; the last one that it comes to, if there are so many, and how many there are.
    async fn pass(&mut self, name: &str, count: u64) -> SqlResult<(Option<Row>, u64)> {
        let mut passed = 0;
        let mut last = None;
        while passed < count {
            let most = (count - passed).min(u64::from(STRETCH));
            let rows = self.ahead(name, usize::try_from(most).unwrap_or(usize::MAX)).await?;
            if rows.is_empty() {
                return Ok((None, passed));
            }
            passed += rows.len() as u64;
            last = rows.into_iter().next_back();
        }
        Ok((last, passed))
    }

    /// Goes anywhere; the rows on the way back, or the one that it comes to.
    async fn seek(&mut self, name: &str, rows: FetchRows) -> SqlResult<Vec<Row>> {
        if let FetchRows::Absolute(..0) = rows {
            let position = self.cursors.find(name)?.position;
            self.cursors.find(name)?.go_back(position)?;
            self.pass(name, u64::MAX).await?;
        }
        let cursor = self.cursors.find(name)?;
        let here = cursor.position;
        let target = match rows {
            FetchRows::Next(count @ ..0) => {
                let to = here.saturating_sub(count.unsigned_abs());
                let way = (to.max(1)..here).rev();
                let found = way.map(|place| cursor.go_back(place)).collect::<SqlResult<Vec<_>>>()?;
                cursor.go_back(to)?;
                return Ok(found.into_iter().flatten().collect());
            }
            FetchRows::Next(_) => here,
            FetchRows::Absolute(from_end @ ..0) => here.saturating_sub(from_end.unsigned_abs()),
            FetchRows::Absolute(place) => place.unsigned_abs(),
            FetchRows::Relative(by) => here.saturating_add_signed(by),
        };
        if target <= here {
            return Ok(cursor.go_back(target)?.into_iter().collect());
        }
        let (row, _) = self.pass(name, target - here).await?;
        Ok(row.into_iter().collect())
    }

    /// Reads some more of a cursor's rows; false: there are none.
    async fn read_on(&mut self, cursor: &mut Cursor, most: usize) -> SqlResult<bool> {
        if cursor.portal.is_done() {
            return Ok(false);
        }
        let run = Run { most: most.clamp(1, STRETCH as usize), last: false };
        match Box::pin(self.advance(&mut cursor.portal, run)).await? {
            Step::Rows(rows) => cursor.keep(rows).map(|()| true),
            _ => Ok(false),
        }
    }

    async fn read_rest(&mut self, cursor: &mut Cursor) -> SqlResult<()> {
        while self.read_on(cursor, usize::MAX).await? {}
        Ok(())
    }

    /// Reads what cursors will show before their transaction writes.
    pub(super) async fn read_cursors(&mut self) -> SqlResult<()> {
        self.read_rest_of(self.cursors.reading(|_| true)).await
    }

    /// Reads what cursors will show after their transaction has committed.
    pub(super) async fn read_held_cursors(&mut self) -> SqlResult<()> {
        self.read_rest_of(self.cursors.reading(|cursor| cursor.holds)).await
    }

    async fn read_rest_of(&mut self, names: Vec<String>) -> SqlResult<()> {
        for name in names {
            let Some(mut cursor) = self.cursors.open.remove(&name) else { continue };
            self.read_rest(&mut cursor).await?;
            self.cursors.open.insert(name, cursor);
        }
        Ok(())
    }
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}
