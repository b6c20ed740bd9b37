//! A table of which columns get other types, where that is seen in what is stored: in the keys of indexes, or in
//! values that become others.
//!
//! Keys of one type do not stand among those of another. So, as for a new primary key, the table gets a *successor*: a
//! copy with the columns' new types, in a generation of data of its own.

use wincode::{SchemaRead, SchemaWrite};

use super::{ColumnId, Default, Index, IndexState, KeyPart, ObjectId, Succession, Table};
use crate::value::{SqlType, is_same_when_stored, keeps_apart};

/// How a table's successor differs from it, and how far the successor is.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Retyping {
    /// The columns that get other types.
    pub columns: Vec<Retyped>,
    /// Expressions in the keys of indexes that have other types with them: index, position, type.
    pub keys: Vec<(ObjectId, u16, SqlType)>,
    /// How far the successor is.
    pub succession: Succession,
}

/// A column that gets another type.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Retyped {
    /// Which column.
    pub column: ColumnId,
    /// Its type to come.
    pub ty: SqlType,
    /// `USING`: an expression over the row as it is; without one the value is cast, as in an assignment.
    pub using: Option<String>,
    /// Its default to come; `None`: the one that it has.
    pub default: Option<String>,
}

impl Retyping {
    /// Whether two rows of a table may get one key of an index that they have not: the columns of its keys get types that
    /// do not keep different values different, or it may be another expression that counts.
    pub(crate) fn may_merge(&self, table: &Table, index: &Index) -> bool {
        let columns = || self.columns.iter().filter_map(|retyped| Some((retyped, table.column_type(retyped.column)?)));
        let is_key = |id: ColumnId| index.keys.iter().any(|key| key.part == KeyPart::Column(id));
        let by_column = || columns().any(|(to, from)| is_key(to.column) && !to.keeps(from, keeps_apart));
        let computes =
            index.predicate.is_some() || index.keys.iter().any(|key| matches!(key.part, KeyPart::Expression(..)));
        index.is_unique()
            && (by_column() || computes && columns().any(|(to, from)| !to.keeps(from, is_same_when_stored)))
    }
}

impl Retyped {
    fn keeps(&self, from: &SqlType, what: impl Fn(&SqlType, &SqlType) -> bool) -> bool {
        self.using.is_none() && what(from, &self.ty)
    }
}

impl Table {
    fn column_type(&self, id: ColumnId) -> Option<&SqlType> {
        self.columns.iter().find(|column| column.id == id).map(|column| &column.ty)
    }

    /// The types that columns of it are being given.
    #[must_use]
    pub fn retyping(&self) -> Option<&Retyping> {
        match &self.indexes.first()?.state {
            IndexState::Retyped(retyping) => Some(retyping),
            _ => None,
        }
    }

    /// Gives a column that gets another type another default with it.
    pub fn set_next_default(&mut self, column: ColumnId, text: String) {
        if let Some(IndexState::Retyped(retyping)) = self.indexes.first_mut().map(|primary| &mut primary.state) {
            let retyped = retyping.columns.iter_mut().find(|retyped| retyped.column == column);
            retyped.into_iter().for_each(|retyped| retyped.default = Some(text.clone()));
        }
    }

    /// The table as it will be when its columns have the types that they are being given.
    pub(super) fn retyped(&self) -> Option<Self> {
        let retyping = self.retyping()?;
        let mut after = self.clone();
        after.generation = retyping.succession.generation;
        for Retyped { column, ty, default, .. } in &retyping.columns {
            let Some(changed) = after.columns.iter_mut().find(|found| found.id == *column) else { continue };
            changed.ty = ty.clone();
            // All rows are written anew.
            changed.missing = None;
            if let Some(text) = default {
                changed.default = Some(Default::Expression(text.clone()));
            }
        }
        for (index, position, ty) in &retyping.keys {
            let index = after.indexes.iter_mut().find(|found| found.id == *index);
            let key = index.and_then(|index| index.keys.get_mut(usize::from(*position)));
            if let Some(KeyPart::Expression(_, before)) = key.map(|key| &mut key.part) {
                before.clone_from(ty);
            }
        }
        after.indexes.first_mut()?.state = IndexState::Ready;
        Some(after)
    }
}
