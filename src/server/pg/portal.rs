//! Portals: statements with their parameters, on the way to their last row.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};

use super::protocol::Format;
use super::session::Column;

/// What a portal takes beside its parameters, about.
const OVERHEAD: usize = 1024;

/// A portal.
pub struct Portal<P> {
    /// The session's part of it.
    pub inner: P,
    /// The statement's text.
    pub sql: Arc<str>,
    /// Its columns; `None` if it returns no rows.
    pub columns: Option<Rc<[Column]>>,
    /// The formats of its columns.
    pub formats: Vec<Format>,
    /// Whether the client knows its columns, or has said that it does not ask.
    pub is_described: bool,
    /// What it has ended with, if it has: the word that counts its rows.
    pub ended: Option<Option<&'static str>>,
    /// About how many bytes it holds.
    pub holds: usize,
}

impl<P> Portal<P> {
    /// One of a simple query, whose columns are told when it has begun.
    pub fn undescribed(inner: P, sql: Arc<str>) -> Self {
        Self { inner, sql, columns: None, formats: Vec::new(), is_described: false, ended: None, holds: 0 }
    }
}

/// A connection's portals by name.
pub struct Portals<P> {
    by_name: BTreeMap<String, Portal<P>>,
    holds: usize,
}

impl<P> Default for Portals<P> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), holds: 0 }
    }
}

impl<P> Portals<P> {
    /// Keeps a portal. That of the empty name is replaced; `most` bytes may be held.
    ///
    /// # Errors
    /// There is one of that name, or too many.
    pub fn add(&mut self, name: String, mut portal: Portal<P>, most: usize) -> SqlResult<()> {
        if name.is_empty() {
            self.remove("");
        } else if self.by_name.contains_key(&name) {
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, format!("portal \"{name}\" already exists")));
        }
        portal.holds += OVERHEAD + name.len();
        if self.holds + portal.holds > most {
            let what = "the portals of this connection hold too much memory";
            let hint = "Close portals that are not needed any more, or end the transaction.";
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, what).hint(hint));
        }
        self.put_back(name, portal);
        Ok(())
    }

    /// Keeps a portal that was taken.
    pub fn put_back(&mut self, name: String, portal: Portal<P>) {
        self.holds += portal.holds;
        self.by_name.insert(name, portal);
    }

    /// Looks at a portal.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str) -> SqlResult<&Portal<P>> {
        self.by_name.get(name).ok_or_else(|| unknown(name))
    }

    /// Takes a portal out.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&mut self, name: &str) -> SqlResult<Portal<P>> {
        self.remove(name).ok_or_else(|| unknown(name))
    }

    /// Forgets a portal, if there is one.
    pub fn remove(&mut self, name: &str) -> Option<Portal<P>> {
        let portal = self.by_name.remove(name)?;
        self.holds -= portal.holds;
        Some(portal)
    }

    /// Forgets all portals.
    pub fn clear(&mut self) {
        self.by_name.clear();
        self.holds = 0;
    }

    /// About how many bytes they hold.
    #[must_use]
    pub const fn holds(&self) -> usize {
        self.holds
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
