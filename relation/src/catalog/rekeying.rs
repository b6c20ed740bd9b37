//! A table that is given a primary key, another one, or none any more, while it has rows.
//!
//! Its rows stand under hidden ids or a key, and have to stand under the other. So a copy of the table, its *successor*,
//! is made in a generation of data of its own: every write keeps it up, and a pass over the rows enters those that were
//! there before. When all have their copies, the successor's descriptor takes the place of the table's, and the old
//! generation is garbage.

use std::collections::BTreeSet;

use wincode::{SchemaRead, SchemaWrite};

use super::{
    ColumnId, ConstraintKind, Extension, IndexKey, IndexState, KeyPart, NotNull, ObjectId, Retyping, Table, Then,
};

/// How a table's successor differs from it, and how far the successor is.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Rekeying {
    /// The name of the primary key; empty if there is to be none.
    pub name: String,
    /// Its keys: columns. None if there is to be no primary key any more.
    pub keys: Vec<IndexKey>,
    /// The generation of the successor's data.
    pub generation: u32,
    /// Rows whose key is below have their copies (per partition slot: an encoded key).
    pub done: Vec<(u16, Vec<u8>)>,
    /// How many rows were looked at.
    pub rows: u64,
}

/// How far the successor of a table is.
#[derive(Clone, Copy, Debug)]
pub struct Succession<'a> {
    /// The generation of its data.
    pub generation: u32,
    /// Rows whose key is below have their copies (per partition slot: an encoded key).
    pub done: &'a [(u16, Vec<u8>)],
    /// How many rows were looked at.
    pub rows: u64,
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
            IndexState::Rekeyed(rekeying) => Some(rekeying),
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
        after.generation = rekeying.generation;
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
        self.indexes.iter().flat_map(|index| {
            let own = Some(index.name.as_str()).filter(|_| !index.keys.is_empty());
            let (extension, rekeying) = match &index.state {
                IndexState::Rekeyed(rekeying) => (None, Some(rekeying)),
                IndexState::Extended(extension) => match &extension.then {
                    Some(Then::Rekeyed(rekeying)) => (Some(extension), Some(rekeying)),
                    _ => (Some(extension), None),
                },
                _ => (None, None),
            };
            let primary = rekeying.filter(|rekeying| !rekeying.keys.is_empty()).map(|rekeying| rekeying.name.as_str());
            let others = extension.into_iter().flat_map(|extension| &extension.indexes);
            let others = others.map(|coming| (coming.name.as_str(), coming.id));
            own.into_iter().chain(primary).map(|name| (name, index.id)).chain(others)
        })
    }

    /// How far its successor is, if it is to have one.
    #[must_use]
    pub fn succession(&self) -> Option<Succession<'_>> {
        let (generation, done, rows) = match &self.indexes.first()?.state {
            IndexState::Rekeyed(Rekeying { generation, done, rows, .. })
            | IndexState::Retyped(Retyping { generation, done, rows, .. })
            | IndexState::Extended(Extension { generation, done, rows, .. }) => (generation, done, rows),
            IndexState::Filling { .. } | IndexState::Ready => return None,
        };
        Some(Succession { generation: *generation, done, rows: *rows })
    }

    /// Notes how far its successor is.
    pub fn note_succession(&mut self, reached: Vec<(u16, Vec<u8>)>, looked_at: u64) {
        if let Some(
            IndexState::Rekeyed(Rekeying { done, rows, .. })
            | IndexState::Retyped(Retyping { done, rows, .. })
            | IndexState::Extended(Extension { done, rows, .. }),
        ) = self.indexes.first_mut().map(|primary| &mut primary.state)
        {
            (*done, *rows) = (reached, looked_at);
        }
    }

    /// Gives its successor another generation of data, in which there is nothing.
    pub fn move_succession(&mut self, to: u32) {
        if let Some(
            IndexState::Rekeyed(Rekeying { generation, .. })
            | IndexState::Retyped(Retyping { generation, .. })
            | IndexState::Extended(Extension { generation, .. }),
        ) = self.indexes.first_mut().map(|primary| &mut primary.state)
        {
            *generation = to;
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
