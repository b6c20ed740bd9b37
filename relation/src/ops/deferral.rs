//! Foreign keys that are checked at the end of their transaction.
//!
//! A statement looks after its foreign keys at its end in any case. What a deferred one objects to is noted as a
//! [`Violation`]: the key, and the values that have children but no parent. Before the commit [`check_deferred`] looks
//! again at all that was noted. So transactions that violate nothing pay nothing, and what was undone meanwhile, by a
//! savepoint too, is found to be so.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::limits::MAX_TXN_KEYS;
use annulus_base::time::Micros;
use annulus_txn::interface::Database;

use super::foreign::{self, encoded};
use super::write::Claims;
use crate::catalog::{Catalog, ColumnId, Deferral, ForeignKey, ObjectId, Table};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::Transaction;
use crate::value::Row;

/// Which constraints a transaction defers: what `SET CONSTRAINTS` said in it.
#[derive(Clone, Debug, Default)]
pub struct Deferrals {
    all: Option<bool>,
    /// Since `ALL` was said, by table and name.
    named: BTreeMap<(ObjectId, String), bool>,
    /// Whether this is a part of a statement, whose rows may refer to those of later parts.
    part: bool,
}

impl Deferrals {
    /// Nothing is deferred.
    pub const NONE: Self = Self { all: Some(false), named: BTreeMap::new(), part: false };

    /// `SET CONSTRAINTS ALL`
    pub fn set_all(&mut self, deferred: bool) {
        *self = Self { all: Some(deferred), ..Self::NONE };
    }

    /// `SET CONSTRAINTS name`
    pub fn set(&mut self, table: ObjectId, name: &str, deferred: bool) {
        self.named.insert((table, name.to_owned()), deferred);
    }

    /// For a part of a statement: what in a table refers to the table itself is checked with the last one.
    #[must_use]
    pub fn of_part(&self) -> Self {
        Self { part: true, ..self.clone() }
    }

    /// Whether a key is checked at the end of the transaction, or of the statement that this is a part of.
    #[must_use]
    pub fn defers(&self, child: &Table, key: &ForeignKey) -> bool {
        if self.part && key.parent == child.id {
            return true;
        }
        let usual = match key.standing.deferral() {
            Deferral::Never => return false,
            Deferral::Possible => false,
            Deferral::Usual => true,
        };
        let said = self.named.iter().find(|((table, name), _)| *table == child.id && *name == key.name);
        said.map(|(_, deferred)| *deferred).or(self.all).unwrap_or(usual)
    }
}

/// What statements have left to the end of their transaction.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// Unique keys that the commit finds out about.
    pub claims: Claims,
    /// What deferred constraints objected to.
    pub violations: Violations,
}

impl Pending {
    /// Takes what deferred constraints object to in another statement of the same transaction.
    ///
    /// # Errors
    /// `54000` if there are too many violations.
    pub fn note(&mut self, violations: Violations) -> SqlResult<()> {
        for violation in violations.all {
            self.violations.note(violation);
        }
        if self.violations.all.len() > MAX_TXN_KEYS {
            let message = format!("a transaction violates deferred constraints more than {MAX_TXN_KEYS} times");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        Ok(())
    }
}

/// What deferred constraints objected to, in order.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    all: Vec<Violation>,
    known: BTreeSet<(ObjectId, Vec<ColumnId>, Vec<u8>)>,
}

/// A foreign key, and values that had children but no parent.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub child: ObjectId,
    pub key: ForeignKey,
    /// As the child has them.
    pub values: Row,
    /// The same as bytes.
    pub encoded: Vec<u8>,
    /// Whether the parent went, rather than a child came.
    pub parent_went: bool,
}

impl Violation {
    pub fn new(child: &Table, key: &ForeignKey, values: Row, parent_went: bool) -> SqlResult<Self> {
        let encoded = encoded(&values)?;
        Ok(Self { child: child.id, key: key.clone(), values, encoded, parent_went })
    }

    /// The key as the table has it now, whatever its name has become; `None` if it was dropped.
    pub fn key_of<'t>(&self, child: &'t Table) -> Option<&'t ForeignKey> {
        let is_same = |key: &&ForeignKey| {
            let (one, other) = (*key, &self.key);
            (one.parent, &one.columns, &one.parent_columns) == (other.parent, &other.columns, &other.parent_columns)
        };
        child.foreign_keys.iter().find(is_same)
    }

    /// Whether its key is not deferred any more; `None` if it was dropped.
    fn is_due(&self, catalog: &Catalog, deferrals: &Deferrals) -> Option<bool> {
        let child = catalog.table_by_id(self.child)?;
        self.key_of(child).map(|key| !deferrals.defers(child, key))
    }
}

impl Violations {
    pub(super) fn note(&mut self, violation: Violation) {
        let Violation { child, key, encoded, .. } = &violation;
        let known = (*child, [key.columns.as_slice(), &key.parent_columns].concat(), encoded.clone());
        if self.known.insert(known) {
            self.all.push(violation);
        }
    }

    /// Forgets what is not deferred any more, once it was looked at again and nothing can undo what was found.
    pub fn settle(&mut self, catalog: &Catalog, deferrals: &Deferrals) {
        for violation in std::mem::take(self).all {
            if violation.is_due(catalog, deferrals) == Some(false) {
                self.note(violation);
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether they are about rows of a table that lack a parent.
    #[must_use]
    pub fn has_child(&self, table: ObjectId) -> bool {
        self.all.iter().any(|violation| violation.child == table)
    }

    /// The tables that they are about, on either side.
    pub fn tables(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.all.iter().flat_map(|violation| [violation.child, violation.key.parent])
    }
}

/// Looks again at what deferred constraints objected to: at all of it, or at what is not deferred any more.
///
/// # Errors
/// `23503` for the first that still does, and every error of what has to be read.
pub async fn check_deferred<D: Database>(
    catalog: &Catalog,
    violations: &Violations,
    deferrals: &Deferrals,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let due: Vec<&Violation> =
        violations.all.iter().filter(|violation| violation.is_due(catalog, deferrals) == Some(true)).collect();
    if due.is_empty() {
        return Ok(());
    }
    foreign::check_again(catalog, &due, transaction, patience).await
}
