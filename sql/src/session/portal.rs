//! A statement with its parameters, at work or not begun.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;
use std::vec;

use annulus_relation::{Row, Value};
use bytes::Bytes;

use super::answer::{Column, Tag};
use crate::copy::{CopyIn, Encoder};
use crate::dml::Scan;
use crate::query::Running;
use crate::server::copies::Copying;
use crate::statement::Analyzed;

/// A statement with its parameters, at work or not begun.
pub struct Portal {
    pub(super) analyzed: Rc<Analyzed>,
    pub(super) parameters: Vec<Value>,
    pub(super) state: State,
    /// When it began, and how many rows it has given.
    pub(super) began: Option<Instant>,
    pub(super) given: u64,
    /// Whether the client may know its columns already.
    pub(super) described: Cell<bool>,
}

/// How far a portal is.
pub(super) enum State {
    /// Not begun.
    Fresh,
    /// It has done its work, or gives what it finds bit by bit.
    Open(Produced),
    /// It is done.
    Done,
}

/// What a statement gives.
pub(crate) struct Produced {
    pub rows: Rows,
    pub tag: Tag,
}

/// Rows for the client.
pub(crate) enum Rows {
    /// All of them.
    Ready(vec::IntoIter<Row>),
    /// Some, and where to read on.
    Scan(vec::IntoIter<Row>, Box<Scan>),
    /// Some, and the query that gives more.
    Query(vec::IntoIter<Row>, Box<Running>),
    /// Those of a cursor, so many at most.
    Fetch { cursor: Box<str>, left: u64 },
    /// Data that is expected from the client; whether the client knows.
    CopyIn(Box<CopyIn>, bool),
    /// Rows that the client is given as lines; whether it knows.
    CopyOut(Box<CopyOut>),
}

/// Rows on their way out as lines.
pub(crate) struct CopyOut {
    pub encoder: Encoder,
    pub rows: Rows,
    /// Whether the client knows what comes, and that it ends.
    pub begun: bool,
    pub ended: bool,
    /// What the next line begins with.
    pub preamble: Bytes,
    /// Lines that are ready.
    pub lines: VecDeque<Bytes>,
    pub count: u64,
    pub copying: Copying,
}

impl CopyOut {
    /// A line is ready.
    pub fn push(&mut self, line: Bytes) {
        let preamble = std::mem::take(&mut self.preamble);
        self.lines.push_back(if preamble.is_empty() { line } else { [preamble, line].concat().into() });
    }
}

impl Produced {
    /// No rows.
    pub fn tag(tag: Tag) -> Self {
        Self { rows: Rows::Ready(Vec::new().into_iter()), tag }
    }

    /// Rows, all of them.
    pub fn rows(rows: Vec<Row>, tag: Tag) -> Self {
        Self { rows: Rows::Ready(rows.into_iter()), tag }
    }

    /// Whether it needs its transaction until its end.
    pub const fn streams(&self) -> bool {
        match self.rows {
            Rows::Ready(_) => false,
            Rows::Scan(..) | Rows::Query(..) | Rows::Fetch { .. } | Rows::CopyIn(..) | Rows::CopyOut(..) => true,
        }
    }
}

impl Portal {
    pub(crate) fn new(analyzed: Rc<Analyzed>, parameters: Vec<Value>) -> Self {
        Self { analyzed, parameters, state: State::Fresh, began: None, given: 0, described: Cell::new(false) }
    }

    /// A portal of a prepared statement.
    pub(crate) fn described(analyzed: Rc<Analyzed>, parameters: Vec<Value>) -> Self {
        let portal = Self::new(analyzed, parameters);
        portal.described.set(true);
        portal
    }

    pub(crate) fn analyzed(&self) -> &Rc<Analyzed> {
        &self.analyzed
    }

    pub(crate) fn parameters(&self) -> &[Value] {
        &self.parameters
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Its columns; `None` if it returns no rows. Who has asked for them is not given other ones. Asked for only after
    /// the first step, a simple query's may be those of a catalog that was newer than this node knew at first.
    #[must_use]
    pub fn columns(&self) -> Option<Rc<[Column]>> {
        self.described.set(true);
        self.analyzed.columns.clone()
    }
}
