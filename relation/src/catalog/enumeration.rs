//! Enumerations that users have made: their descriptors, and what uses them.

use std::sync::Arc;

use wincode::{SchemaRead, SchemaWrite};

use super::{Index, IndexKey, IndexState, KeyPart, ObjectId, Retyping, Table, Then, View};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::value::{EnumType, Labels, SqlType, between};

/// An enumeration.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Enumeration {
    /// Its number. The next one is that of the type of its arrays.
    pub id: ObjectId,
    /// Its schema.
    pub schema: ObjectId,
    /// Its name.
    pub name: String,
    /// Its labels, in order.
    pub labels: Vec<Label>,
    /// What `COMMENT` said.
    pub comment: Option<String>,
}

/// A label of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Label {
    /// Its number in the system catalog.
    pub id: ObjectId,
    /// What stands for it in rows and keys. Never changes.
    pub value: i64,
    /// What it is called.
    pub name: String,
}

impl Enumeration {
    /// The type, known by the name of its schema.
    #[must_use]
    pub fn ty(&self, schema: &str) -> EnumType {
        let labels = self.labels.iter().map(|label| (label.value, label.name.as_str().into())).collect();
        EnumType::new(self.id, Arc::new(Labels::new(schema, &self.name, labels)))
    }

    /// Puts a label before the one at a place, or behind all.
    ///
    /// # Errors
    /// `54000` if there is no room left.
    pub fn insert(&mut self, place: usize, id: ObjectId, name: String) -> SqlResult<()> {
        let value_at = |place: usize| self.labels.get(place).map(|label| label.value);
        let value = between(place.checked_sub(1).and_then(value_at), value_at(place)).ok_or_else(|| {
            let message = format!("there is no room left for the label \"{name}\" in enum type \"{}\"", self.name);
            let error = SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
            error.hint("Put it elsewhere, or give the columns a new type.")
        })?;
        self.labels.insert(place, Label { id, value, name });
        Ok(())
    }
}

/// How a stored expression names a type by its number: `"enum 16384"`. Values of it stand there as their numbers.
#[must_use]
pub fn numbered_name(number: ObjectId) -> String {
    format!("\"enum {number}\"")
}

/// The types of keys over expressions.
fn key_types(keys: &mut [IndexKey]) -> impl Iterator<Item = &mut SqlType> {
    keys.iter_mut().filter_map(|key| match &mut key.part {
        KeyPart::Expression(_, ty) => Some(ty),
        KeyPart::Column(_) => None,
    })
}

/// The types that columns are given, and keys over them.
fn retyped(retyping: &mut Retyping) -> impl Iterator<Item = &mut SqlType> {
    retyping.columns.iter_mut().map(|retyped| &mut retyped.ty).chain(retyping.keys.iter_mut().map(|(.., ty)| ty))
}

impl Index {
    /// The expressions in it.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().filter_map(|key| match &key.part {
            KeyPart::Expression(text, _) => Some(text.as_str()),
            KeyPart::Column(_) => None,
        });
        keys.chain(self.predicate.as_deref())
    }
}

impl Table {
    /// The other types that its columns are given, be it once it has further columns.
    fn coming_types(&self) -> Option<&Retyping> {
        self.retyping().or_else(|| match &self.extension()?.then {
            Some(Then::Retyped(retyping)) => Some(retyping),
            _ => None,
        })
    }

    /// All types in it, also of what it is being given.
    pub fn types(&self) -> impl Iterator<Item = &SqlType> {
        let columns = self.all_columns().map(|column| &column.ty);
        let keys = self.all_indexes().flat_map(|index| &index.keys).filter_map(|key| match &key.part {
            KeyPart::Expression(_, ty) => Some(ty),
            KeyPart::Column(_) => None,
        });
        let coming = self.coming_types().into_iter().flat_map(|retyping| {
            retyping.columns.iter().map(|retyped| &retyped.ty).chain(retyping.keys.iter().map(|(.., ty)| ty))
        });
        columns.chain(keys).chain(coming)
    }

    /// The same, to be changed.
    pub fn types_mut(&mut self) -> impl Iterator<Item = &mut SqlType> {
        let columns = self.columns.iter_mut().map(|column| &mut column.ty);
        columns.chain(self.indexes.iter_mut().flat_map(|index| {
            let Index { keys, state, .. } = index;
            let coming: Box<dyn Iterator<Item = &mut SqlType> + '_> = match state {
                IndexState::Retyped(retyping) => Box::new(retyped(retyping)),
                IndexState::Extended(extension) => {
                    let columns = extension.columns.iter_mut().map(|column| &mut column.ty);
                    let keys = extension.indexes.iter_mut().flat_map(|index| key_types(&mut index.keys));
                    let then = extension.then.as_mut().and_then(|then| match then {
                        Then::Retyped(retyping) => Some(retyping),
                        _ => None,
                    });
                    Box::new(columns.chain(keys).chain(then.into_iter().flat_map(retyped)))
                }
                _ => Box::new(std::iter::empty()),
            };
            key_types(keys).chain(coming)
        }))
    }

    /// Whether columns, keys or expressions of it are of an enumeration.
    #[must_use]
    pub fn uses_type(&self, number: ObjectId) -> bool {
        let is = |ty: &SqlType| ty.enumeration().is_some_and(|ty| ty.number() == number);
        let written = numbered_name(number);
        self.types().any(is) || self.texts().any(|text| text.contains(&written))
    }

    /// All stored expressions in it.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let defaults = self.all_columns().filter_map(|column| match &column.default {
            Some(super::Default::Expression(text) | super::Default::Generated(text)) => Some(text.as_str()),
            _ => None,
        });
        let coming = self.extension().into_iter().flat_map(|extension| &extension.checks);
        let checks = self.checks.iter().chain(coming).map(|check| check.expression.as_str());
        let keys = self.all_indexes().flat_map(Index::texts);
        let retyped = self.coming_types().into_iter().flat_map(|retyping| &retyping.columns);
        let retyped = retyped.flat_map(|retyped| retyped.using.iter().chain(&retyped.default)).map(String::as_str);
        defaults.chain(checks).chain(keys).chain(retyped)
    }
}

impl View {
    /// Whether columns of it are of an enumeration, or its query names it.
    #[must_use]
    pub fn uses_type(&self, number: ObjectId) -> bool {
        let is = |ty: &SqlType| ty.enumeration().is_some_and(|ty| ty.number() == number);
        self.columns.iter().any(|(_, ty)| is(ty)) || self.reads.contains(&number)
    }
}
