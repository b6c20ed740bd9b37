//! Columns of the primary key that go with it.
//!
//! They are there until the rows stand under another key, or none; the statement that drops them does not find them any
//! more, and may add others of their names.

use annulus_relation::SqlResult;
use annulus_relation::catalog::{ColumnId, ObjectId, Table};

use super::Definition;

impl Definition<'_> {
    /// A column goes with the primary key of a table, which goes if nothing was said of it yet.
    pub(super) fn leave_with_key(&mut self, table: &mut Table, column: ColumnId) -> SqlResult<()> {
        if table.rekeying().is_none() {
            self.rekey(table, String::new(), Vec::new())?;
        }
        table.reshaping_mut().into_iter().for_each(|reshaping| reshaping.dropped.push(column));
        let leaving = table.columns.iter_mut().find(|other| other.id == column);
        leaving.into_iter().for_each(|leaving| leaving.name = hidden(column));
        Ok(())
    }

    /// The name that a column had before the statement.
    fn name_before(&self, table: ObjectId, column: ColumnId) -> Option<&str> {
        let before = self.edit.table_before(table)?;
        Some(&before.columns.iter().find(|other| other.id == column)?.name)
    }

    /// A column is to have the name of one that goes with the primary key: what belongs to that goes at once.
    pub(super) fn replace_leaving(&mut self, table: &mut Table, name: &str) -> SqlResult<()> {
        let had_name = |id: &ColumnId| self.name_before(table.id, *id) == Some(name);
        let leaving = table.reshaping().into_iter().flat_map(|reshaping| &reshaping.dropped);
        let Some(leaving) = leaving.copied().find(had_name) else { return Ok(()) };
        self.drop_owned(table.id, leaving)?;
        let leaving = table.columns.iter_mut().find(|other| other.id == leaving);
        leaving.into_iter().for_each(|leaving| leaving.default = None);
        Ok(())
    }

    /// Columns that go with the primary key have their names until then, if no others have them.
    pub(super) fn show_leaving(&mut self, id: ObjectId) -> SqlResult<()> {
        let mut table = self.current(id)?;
        let Some(reshaping) = table.reshaping().cloned() else { return Ok(()) };
        for column in reshaping.dropped {
            let Some(name) = self.name_before(id, column).map(str::to_owned) else { continue };
            if table.columns.iter().all(|other| other.name != name) {
                let leaving = table.columns.iter_mut().find(|other| other.id == column);
                leaving.into_iter().for_each(|leaving| leaving.name.clone_from(&name));
            }
        }
        self.edit.put_table(table)
    }
}

/// What a column is called that is there but not found; as PostgreSQL calls those that were dropped.
fn hidden(column: ColumnId) -> String {
    format!("........pg.dropped.{column}........")
}
