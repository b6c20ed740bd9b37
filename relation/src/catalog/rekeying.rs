//! A table that is given a primary key, another one, or none any more, while it has rows.
//!
//! Its rows stand under hidden ids or a key, and have to stand under the other. So a copy of the table, its *successor*,
//! is made in a generation of data of its own: every write keeps it up, and a pass over the rows enters those that were
//! there before. When all have their copies, the successor's descriptor takes the place of the table's, and the old
//! generation is garbage.

use std::collections::BTreeSet;

use wincode::{SchemaRead, SchemaWrite};

use super::{
    ColumnId, ConstraintKind, Extension, IndexKey, IndexState, KeyPart, NotNull, ObjectId, Reshaping, Retyping, Table,
    Then,
};

/// How a table's successor differs from it, and how far the successor is.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Rekeying {
    /// The name of the primary key; empty if there is to be none.
    pub name: String,
    /// Its keys: columns. None if there is to be no primary key any more.
    pub keys: Vec<IndexKey>,
    /// How far the successor is.
    pub succession: Succession,
}

/// How far the successor of a table is.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Succession {
    /// The generation of its data.
    pub generation: u32,
    /// Rows whose key is below have their copies (per partition slot: an encoded key).
    pub done: Vec<(u16, Vec<u8>)>,
    /// How many rows were looked at.
    pub rows: u64,
}

impl Succession {
    /// That of a successor which has no copies yet.
    #[must_use]
    pub const fn new(generation: u32) -> Self {
        Self { generation, done: Vec::new(), rows: 0 }
    }
}

impl Rekeying {
    /// The columns of the primary key.
    pub fn columns(&self) -> impl Iterator<Item = ColumnId> {
        self.keys.iter().filter_map(|key| match key.part {
            KeyPart::Column(id) => Some(id),
            KeyPart::Expression(..) => None,
        })
    }
}

impl Table {
    /// The columns of its primary key, in the order of that; none if it has none.
    pub fn primary_columns(&self) -> impl Iterator<Item = ColumnId> {
        self.indexes.first().into_iter().flat_map(|primary| &primary.keys).filter_map(|key| match key.part {
            KeyPart::Column(id) => Some(id),
            KeyPart::Expression(..) => None,
        })
    }

    /// The primary key that it is being given, or that it is losing the one it has.
    #[must_use]
    pub fn rekeying(&self) -> Option<&Rekeying> {
        match &self.indexes.first()?.state {
            IndexState::Rekeyed(rekeying) | IndexState::Reshaped(Reshaping { rekeying, .. }) => Some(rekeying),
            _ => None,
        }
    }

    /// The table as it will be when it has the primary key, or none, or its columns the types, or the columns, that it is
    /// being given.
    #[must_use]
    pub fn successor(&self) -> Option<Self> {
        self.rekeyed().or_else(|| self.retyped()).or_else(|| self.extended())
    }

    fn rekeyed(&self) -> Option<Self> {
        let rekeying = self.rekeying()?;
        let mut after = self.clone();
        after.generation = rekeying.succession.generation;
        self.reshaping().into_iter().for_each(|reshaping| reshaping.leave_columns(&mut after));
        after.columns.iter_mut().filter(|column| rekeying.columns().any(|id| id == column.id)).for_each(|column| {
            column.not_null = NotNull::Yes;
        });
        let primary = after.indexes.first_mut()?;
        (primary.name, primary.keys) = (rekeying.name.clone(), rekeying.keys.clone());
        primary.constraint = (!primary.keys.is_empty()).then_some(ConstraintKind::PrimaryKey);
        (primary.comment, primary.state) = (None, IndexState::Ready);
        Some(after)
    }

    /// The names of its indexes, with their numbers. The primary index of a table without a primary key has none; those to
    /// come are taken, too.
    pub(super) fn index_names(&self) -> impl Iterator<Item = (&str, ObjectId)> {
        let own = self.all_indexes().filter(|index| !index.keys.is_empty());
        let primary = self.indexes.first().and_then(|primary| match &primary.state {
            IndexState::Rekeyed(rekeying)
            | IndexState::Reshaped(Reshaping { rekeying, .. })
            | IndexState::Extended(Extension {
                then: Some(Then::Rekeyed(rekeying) | Then::Reshaped(Reshaping { rekeying, .. })),
                ..
            }) => Some((rekeying, primary.id)),
            _ => None,
        });
        let primary = primary.filter(|(rekeying, _)| !rekeying.keys.is_empty());
        let primary = primary.map(|(rekeying, id)| (rekeying.name.as_str(), id));
        own.map(|index| (index.name.as_str(), index.id)).chain(primary)
    }

    /// How far its successor is, if it is to have one.
    #[must_use]
    pub fn succession(&self) -> Option<&Succession> {
        match &self.indexes.first()?.state {
            IndexState::Rekeyed(Rekeying { succession, .. })
            | IndexState::Reshaped(Reshaping { rekeying: Rekeying { succession, .. }, .. })
            | IndexState::Retyped(Retyping { succession, .. })
            | IndexState::Extended(Extension { succession, .. }) => Some(succession),
            IndexState::Filling { .. } | IndexState::Ready => None,
        }
    }

    /// The same, to be changed.
    pub fn succession_mut(&mut self) -> Option<&mut Succession> {
        match &mut self.indexes.first_mut()?.state {
            IndexState::Rekeyed(Rekeying { succession, .. })
            | IndexState::Reshaped(Reshaping { rekeying: Rekeying { succession, .. }, .. })
            | IndexState::Retyped(Retyping { succession, .. })
            | IndexState::Extended(Extension { succession, .. }) => Some(succession),
            IndexState::Filling { .. } | IndexState::Ready => None,
        }
    }

    /// Gives its successor up, if it was to have one.
    pub fn give_succession_up(&mut self) {
        if self.succession().is_some() {
            self.indexes.first_mut().into_iter().for_each(|primary| primary.state = IndexState::Ready);
        }
    }

    /// The generations of data that belong to it: its own and its successor's.
    pub(super) fn generations(&self) -> BTreeSet<u32> {
        std::iter::once(self.generation).chain(self.succession().map(|succession| succession.generation)).collect()
    }
}
