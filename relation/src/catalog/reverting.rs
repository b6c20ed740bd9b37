//! Taking back what a statement has declared about a table, once its rows turn out not to keep it.
//!
//! What a statement declares is in the catalog while the rows are still looked at, and others may change the table
//! meanwhile. So it is not the table as it was that comes back: only what the statement has added goes again.

use super::{Check, Column, ColumnId, Default, ForeignKey, Index, IndexState, NotNull, Standing, Table};

impl Table {
    /// Whether a statement that made `after` of the table has only added to it: such that it can be taken back.
    #[must_use]
    pub fn is_extended_by(&self, after: &Self) -> bool {
        let has = |index: &Index| after.indexes.iter().any(|other| is_same_index(index, other));
        (self.schema, &self.name, self.generation) == (after.schema, &after.name, after.generation)
            && self.columns.iter().all(|column| after.columns.iter().any(|other| is_stricter(column, other)))
            && self.indexes.iter().all(has)
            && self.checks.iter().all(|check| after.checks.iter().any(|other| is_same_check(check, other)))
            && self.foreign_keys.iter().all(|key| after.foreign_keys.iter().any(|other| is_same_key(key, other)))
    }

    /// Takes back constraints, indexes, defaults, `NOT NULL` and another primary key or other types to come: what was
    /// declared by the statement that made `declared` of `before`.
    pub fn take_constraints_back(&mut self, before: &Self, declared: &Self) {
        if before.succession().is_none() && declared.succession().is_some() {
            self.give_succession_up();
        }
        let declared = &declared.with_extension();
        let is_added = |index: &Index| {
            let has = |table: &Self| table.indexes.iter().any(|other| other.id == index.id);
            has(declared) && !has(before)
        };
        self.indexes.retain(|index| !is_added(index));
        self.checks.retain_mut(|check| {
            let of = |table: &Self| table.checks.iter().find(|other| is_same_check(check, other)).map(|c| c.standing);
            let (was, is) = (of(before), of(declared));
            stays(&mut check.standing, was, is)
        });
        self.foreign_keys.retain_mut(|key| {
            let of = |table: &Self| table.foreign_keys.iter().find(|other| is_same_key(key, other)).map(|k| k.standing);
            let (was, is) = (of(before), of(declared));
            stays(&mut key.standing, was, is)
        });
        for column in &mut self.columns {
            let of = |table: &Self| table.columns.iter().find(|other| other.id == column.id).cloned();
            let (Some(was), Some(is)) = (of(before), of(declared)) else { continue };
            if is.not_null.is_declared() && !was.not_null.is_declared() {
                column.not_null = NotNull::No;
            }
            if was.default != is.default && column.default == is.default {
                column.default = was.default;
            }
        }
    }

    /// The table as it is once it has the columns that it is being given.
    fn with_extension(&self) -> Self {
        let after = self.extension().and_then(|_| self.succeeded());
        after.unwrap_or_else(|| self.clone())
    }

    /// Takes back the columns that were added, unless somebody else has added to the table since: that may use them.
    pub fn take_columns_back(&mut self, before: &Self, declared: &Self) {
        let declared = &declared.with_extension();
        let is_in = |table: &Self, id: ColumnId| table.columns.iter().any(|column| column.id == id);
        let added = |id: ColumnId| is_in(declared, id) && !is_in(before, id);
        let nothing_else = self.columns.iter().all(|column| is_in(before, column.id) || added(column.id))
            && self.indexes.iter().all(|index| before.indexes.iter().any(|other| other.id == index.id))
            && self.checks.iter().all(|check| before.checks.iter().any(|other| is_same_check(check, other)))
            && self.foreign_keys.iter().all(|key| before.foreign_keys.iter().any(|other| is_same_key(key, other)));
        if nothing_else {
            self.columns.retain(|column| !added(column.id));
        }
    }
}

/// Whether a constraint stays that stood so before the statement and after it; if it does, as it stood before.
fn stays(standing: &mut Standing, was: Option<Standing>, is: Option<Standing>) -> bool {
    match (was, is) {
        (None, Some(_)) => false,
        (Some(was), Some(_)) if standing.is_pending() && !was.is_pending() => {
            *standing = was;
            true
        }
        _ => true,
    }
}

/// Whether a column is the same but that it may refuse NULL now, and may have another default.
fn is_stricter(before: &Column, after: &Column) -> bool {
    let is_plain = |default: &Option<Default>| matches!(default, None | Some(Default::Expression(_)));
    let default_only = is_plain(&before.default) && is_plain(&after.default);
    let default = if default_only { after.default.clone() } else { before.default.clone() };
    let is_stricter = before.not_null == after.not_null || !before.not_null.is_declared();
    Column { default, not_null: after.not_null, ..before.clone() } == *after && is_stricter
}

/// Whether an index is the same, but that its table may have got a successor.
fn is_same_index(before: &Index, after: &Index) -> bool {
    let rest_is_same = Index { state: after.state.clone(), ..before.clone() } == *after;
    let has_begun = matches!((&before.state, &after.state), (IndexState::Ready, state) if state.is_complete());
    rest_is_same && (before.state == after.state || has_begun)
}

fn is_same_check(one: &Check, other: &Check) -> bool {
    (&one.name, &one.expression) == (&other.name, &other.expression)
}

fn is_same_key(one: &ForeignKey, other: &ForeignKey) -> bool {
    ForeignKey { standing: other.standing, ..one.clone() } == *other
}
