//! A table with rows that is given columns whose values differ from row to row: identities, generated columns, volatile
//! defaults.
//!
//! As for other types, the table gets a *successor*: a copy that has the columns, in a generation of data of its own. A
//! row is given its values when its copy is made, and whoever changes it afterwards takes them over from there. Nobody
//! sees the columns before all rows have them.

use wincode::{SchemaRead, SchemaWrite};

use super::{Check, Column, ForeignKey, Index, IndexState, Rekeying, Reshaping, Retyping, Succession, Table};

/// What a table gets, and how far its successor is.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Extension {
    /// The columns, which come behind those that there are.
    pub columns: Vec<Column>,
    /// Indexes over them, to be filled when all rows have them.
    pub indexes: Vec<Index>,
    /// Checks about them.
    pub checks: Vec<Check>,
    /// Foreign keys over them.
    pub foreign_keys: Vec<ForeignKey>,
    /// What is to be made of the table then.
    pub then: Option<Then>,
    /// How far the successor is.
    pub succession: Succession,
}

/// What is to be made of a table once it has its columns.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Then {
    /// It is given another primary key, or loses it.
    Rekeyed(Rekeying),
    /// Columns of it are given other types.
    Retyped(Retyping),
    /// It is given another primary key, or loses it, and changes otherwise with that.
    Reshaped(Reshaping),
}

impl From<Then> for IndexState {
    fn from(then: Then) -> Self {
        match then {
            Then::Rekeyed(rekeying) => Self::Rekeyed(rekeying),
            Then::Retyped(retyping) => Self::Retyped(retyping),
            Then::Reshaped(reshaping) => Self::Reshaped(reshaping),
        }
    }
}

impl Table {
    /// The columns that it is being given.
    #[must_use]
    pub fn extension(&self) -> Option<&Extension> {
        match &self.indexes.first()?.state {
            IndexState::Extended(extension) => Some(extension),
            _ => None,
        }
    }

    /// Its columns, and those that it is being given.
    pub fn all_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().chain(self.extension().into_iter().flat_map(|extension| &extension.columns))
    }

    /// Its indexes, and those that it is being given with columns.
    pub fn all_indexes(&self) -> impl Iterator<Item = &Index> {
        self.indexes.iter().chain(self.extension().into_iter().flat_map(|extension| &extension.indexes))
    }

    /// Its foreign keys, and those that it is being given.
    pub fn all_foreign_keys(&self) -> impl Iterator<Item = &ForeignKey> {
        let extension = self.extension();
        let then = extension.and_then(|extension| match &extension.then {
            Some(Then::Reshaped(reshaping)) => Some(reshaping),
            _ => None,
        });
        let with_columns = extension.into_iter().flat_map(|extension| &extension.foreign_keys);
        let with_key = self.reshaping().or(then).into_iter().flat_map(|reshaping| &reshaping.foreign_keys);
        self.foreign_keys.iter().chain(with_columns).chain(with_key)
    }

    /// Drops foreign keys, also such as it is being given.
    pub fn retain_foreign_keys(&mut self, stays: impl Fn(&ForeignKey) -> bool) {
        self.foreign_keys.retain(&stays);
        match self.indexes.first_mut().map(|primary| &mut primary.state) {
            Some(IndexState::Extended(extension)) => {
                extension.foreign_keys.retain(&stays);
                if let Some(Then::Reshaped(reshaping)) = &mut extension.then {
                    reshaping.foreign_keys.retain(&stays);
                }
            }
            Some(IndexState::Reshaped(reshaping)) => reshaping.foreign_keys.retain(&stays),
            _ => {}
        }
    }

    /// The table with its columns to come, and what is said of each row of it.
    pub(super) fn extended(&self) -> Option<Self> {
        let extension = self.extension()?;
        let mut after = self.clone();
        after.generation = extension.succession.generation;
        // All rows are written anew.
        let written = |column: &Column| Column { missing: None, ..column.clone() };
        after.columns.extend(extension.columns.iter().map(written));
        after.checks.extend(extension.checks.iter().cloned());
        after.indexes.first_mut()?.state = IndexState::Ready;
        Some(after)
    }

    /// The table once all rows have their copies, with all that is to be made of it then.
    #[must_use]
    pub fn succeeded(&self) -> Option<Self> {
        let mut after = self.successor()?;
        if let Some(extension) = self.extension() {
            after.indexes.extend(extension.indexes.iter().cloned());
            after.foreign_keys.extend(extension.foreign_keys.iter().cloned());
            after.indexes.first_mut()?.state = extension.then.clone().map_or(IndexState::Ready, IndexState::from);
        }
        if let Some(reshaping) = self.reshaping() {
            after.foreign_keys.extend(reshaping.foreign_keys.iter().cloned());
        }
        Some(after)
    }
}
