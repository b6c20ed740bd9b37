//! A table that changes otherwise with its primary key: columns of the key that it had go, or may be NULL, once its rows
//! stand under another key, or none; and what refers to the key to come is there when that is.

use wincode::{SchemaRead, SchemaWrite};

use super::{ColumnId, ForeignKey, IndexState, NotNull, Rekeying, Succession, Table};

/// What becomes of a table with its primary key.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Reshaping {
    /// The key to come, or that there is to be none.
    pub rekeying: Rekeying,
    /// Columns of the key which it had that go with it.
    pub dropped: Vec<ColumnId>,
    /// Columns of that key that may be NULL afterwards.
    pub nullable: Vec<ColumnId>,
    /// Foreign keys that refer to the key to come, to be validated when that is there.
    pub foreign_keys: Vec<ForeignKey>,
}

impl Reshaping {
    const fn new(rekeying: Rekeying) -> Self {
        Self { rekeying, dropped: Vec::new(), nullable: Vec::new(), foreign_keys: Vec::new() }
    }

    /// What becomes of the columns of the key that a table had.
    pub(super) fn leave_columns(&self, table: &mut Table) {
        table.columns.retain(|column| !self.dropped.contains(&column.id));
        let nullable = table.columns.iter_mut().filter(|column| self.nullable.contains(&column.id));
        nullable.for_each(|column| column.not_null = NotNull::No);
    }
}

impl Table {
    /// What else it becomes with its primary key.
    #[must_use]
    pub fn reshaping(&self) -> Option<&Reshaping> {
        match &self.indexes.first()?.state {
            IndexState::Reshaped(reshaping) => Some(reshaping),
            _ => None,
        }
    }

    /// The same, to be changed; `None` if its primary key stays.
    pub fn reshaping_mut(&mut self) -> Option<&mut Reshaping> {
        let state = &mut self.indexes.first_mut()?.state;
        if let IndexState::Rekeyed(rekeying) = state {
            let nothing = Rekeying { name: String::new(), keys: Vec::new(), succession: Succession::new(0) };
            let rekeying = std::mem::replace(rekeying, nothing);
            *state = IndexState::Reshaped(Reshaping::new(rekeying));
        }
        match state {
            IndexState::Reshaped(reshaping) => Some(reshaping),
            _ => None,
        }
    }

    /// Whether a column goes with the primary key.
    #[must_use]
    pub fn is_leaving(&self, column: ColumnId) -> bool {
        self.reshaping().is_some_and(|reshaping| reshaping.dropped.contains(&column))
    }
}
