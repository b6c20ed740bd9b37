//! A statement with its parameters, at work or not begun.

use std::rc::Rc;
use std::vec;

use annulus_relation::{Row, Value};

use super::answer::{Column, Tag};
use crate::dml::Scan;
use crate::statement::Analyzed;

/// A statement with its parameters, at work or not begun.
pub struct Portal {
    pub(super) analyzed: Rc<Analyzed>,
    pub(super) parameters: Vec<Value>,
    pub(super) state: State,
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
            Rows::Scan(..) => true,
        }
    }
}

impl Portal {
    pub(crate) fn new(analyzed: Rc<Analyzed>, parameters: Vec<Value>) -> Self {
        Self { analyzed, parameters, state: State::Fresh }
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

    /// Its columns; `None` if it returns no rows.
    #[must_use]
    pub fn columns(&self) -> Option<Rc<[Column]>> {
        self.analyzed.columns.clone()
    }
}
