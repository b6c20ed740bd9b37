//! Columns that are added to a table with rows, and whose values differ from row to row: identities, generated columns,
//! volatile defaults.
//!
//! The table gets a successor that has them; what refers to them comes with them.

use annulus_relation::catalog::{ColumnId, Edit, Extension, ForeignKey, Index, IndexState, Succession, Table, Then};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};

use super::constraint::check_not_filled;
use super::expression::{columns_of, columns_of_index};
use super::{Definition, Job};

impl Definition<'_> {
    /// Columns that were added, and what was said of them, are to be made before anybody sees them, if values of some are
    /// computed.
    pub(super) fn extend_tables(&mut self) -> SqlResult<()> {
        for id in std::mem::take(&mut self.computed) {
            let before = self.edit.table_before(id).cloned();
            let before =
                before.ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, "rows of a table that is new"))?;
            let after = self.current(id)?;
            check_not_filled(&before, "Try it again when that is done.")?;
            let extended = extended(&before, after, &mut self.edit)?;
            self.edit.put_table(extended)?;
            self.jobs.insert(0, Job::Rekey { table: id });
        }
        Ok(())
    }
}

/// The table that a statement has made of `before`, with what it added kept back.
fn extended(before: &Table, mut after: Table, edit: &mut Edit) -> SqlResult<Table> {
    let whole = after.clone();
    let is_new = |id: ColumnId| !before.columns.iter().any(|column| column.id == id);
    let (mut indexes, mut checks) = (Vec::new(), Vec::new());
    for index in after.indexes.drain(1..).collect::<Vec<Index>>() {
        // An index that is new is filled when the rows have their columns.
        let waits = !index.state.is_complete() || columns_of_index(&index, &whole)?.into_iter().any(is_new);
        let kept = if waits { &mut indexes } else { &mut after.indexes };
        kept.push(index);
    }
    for check in std::mem::take(&mut after.checks) {
        let waits = columns_of(&check.expression, &whole)?.into_iter().any(is_new);
        let kept = if waits { &mut checks } else { &mut after.checks };
        kept.push(check);
    }
    let is_over_new = |key: &ForeignKey| key.columns.iter().copied().any(is_new);
    let (foreign_keys, stay) = after.foreign_keys.into_iter().partition(is_over_new);
    after.foreign_keys = stay;
    let (columns, stay) = after.columns.into_iter().partition(|column| is_new(column.id));
    after.columns = stay;
    let succession = Succession::new(edit.new_generation()?);
    let primary = &mut after.indexes[0].state;
    let then = match std::mem::replace(primary, IndexState::Ready) {
        IndexState::Rekeyed(rekeying) => Some(Then::Rekeyed(rekeying)),
        IndexState::Reshaped(reshaping) => Some(Then::Reshaped(reshaping)),
        IndexState::Retyped(retyping) => Some(Then::Retyped(retyping)),
        _ => None,
    };
    *primary = IndexState::Extended(Extension { columns, indexes, checks, foreign_keys, then, succession });
    Ok(after)
}
