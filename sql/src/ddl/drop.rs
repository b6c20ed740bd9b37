//! `DROP`: objects, and what depends on them.

use annulus_relation::catalog::{Default, ForeignKey, ObjectId, Relation, Table};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{Ident, ObjectName, ObjectType};

use super::Definition;
use super::constraint::check_not_rekeyed;
use super::expression::sequence_argument;
use super::index::is_constraint;
use super::schema::plain_name;
use crate::names::{Name, is_not, position_of, split_name};
use crate::parse::parse_expression;

/// Something that depends on what is to be dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dependent {
    /// A view that reads it.
    View(ObjectId),
    /// A foreign key that refers to it, of a table.
    ForeignKey(ObjectId, String),
    /// The default of a table's column that takes values from it.
    Default(ObjectId, u16),
    /// A column of its type, of a table.
    Column(ObjectId, u16),
    /// A check that names it, of a table.
    Check(ObjectId, String),
    /// An index that names it, of a table.
    Index(ObjectId, ObjectId),
}

impl Definition<'_> {
    pub(super) fn drop(
        &mut self,
        kind: ObjectType,
        if_exists: bool,
        names: &[ObjectName],
        cascade: bool,
    ) -> SqlResult<&'static str> {
        let (word, tag) = match kind {
            ObjectType::Table => ("table", "DROP TABLE"),
            ObjectType::View => ("view", "DROP VIEW"),
            ObjectType::Index => ("index", "DROP INDEX"),
            ObjectType::Sequence => ("sequence", "DROP SEQUENCE"),
            ObjectType::Type => return self.drop_types(if_exists, names, cascade),
            ObjectType::Schema => return self.drop_schemas(if_exists, names, cascade),
            other => return Err(SqlError::unsupported(format!("DROP {other}"))),
        };
        let names: Vec<Name> = names.iter().map(|name| self.name(name)).collect::<SqlResult<_>>()?;
        let mut ids = Vec::new();
        for name in &names {
            match self.names().find(name) {
                Some(found) if found.kind() == word => ids.push((found.id(), name)),
                Some(found) => return Err(is_not(name, found, &format!("{} {word}", article(word)))),
                None if if_exists => {
                    let message = match &name.schema {
                        Some(schema) if self.catalog().schema(schema).is_none() => format!("schema \"{schema}\""),
                        _ => format!("{word} \"{}\"", name.name),
                    };
                    self.notice(format!("{message} does not exist, skipping"));
                }
                None => return Err(self.missing(name, word)),
            }
        }
        // What is dropped together may depend on each other.
        let dropped: Vec<ObjectId> = ids.iter().map(|(id, _)| *id).collect();
        for (id, name) in ids {
            match kind {
                ObjectType::Table => self.drop_table(id, &dropped, cascade, &name.name)?,
                ObjectType::View => self.drop_view(id, &dropped, cascade, &name.name)?,
                ObjectType::Sequence => self.drop_sequence(id, &dropped, cascade, &name.name)?,
                _ => self.drop_index(id, cascade)?,
            }
        }
        Ok(tag)
    }

    fn missing(&self, name: &Name, word: &str) -> SqlError {
        let state = if word == "index" { SqlState::UNDEFINED_OBJECT } else { SqlState::UNDEFINED_TABLE };
        if let Some(schema) = &name.schema
            && let Err(error) = self.names().schema(schema, None)
        {
            return error;
        }
        SqlError::new(state, format!("{word} \"{name}\" does not exist"))
    }

    /// Views that read any of these, foreign keys that refer to them, but not those of the dropped themselves.
    fn dependents(&self, id: ObjectId, dropped: &[ObjectId]) -> Vec<Dependent> {
        let catalog = self.catalog();
        let views = catalog.views().filter(|view| view.reads.contains(&id) && !dropped.contains(&view.id));
        let mut found: Vec<Dependent> = views.map(|view| Dependent::View(view.id)).collect();
        for table in catalog.tables().filter(|table| table.id != id && !dropped.contains(&table.id)) {
            let keys = table.all_foreign_keys().filter(|key| key.parent == id);
            found.extend(keys.map(|key| Dependent::ForeignKey(table.id, key.name.clone())));
        }
        found
    }

    fn describe(&self, dependent: &Dependent) -> String {
        let catalog = self.catalog();
        let table = |id: &ObjectId| catalog.table_by_id(*id).map(|table| table.name.clone()).unwrap_or_default();
        match dependent {
            Dependent::View(id) => {
                format!("view {}", catalog.view_by_id(*id).map(|view| view.name.clone()).unwrap_or_default())
            }
            Dependent::ForeignKey(id, name) => format!("constraint {name} on table {}", table(id)),
            Dependent::Default(id, column) => {
                let name = catalog.table_by_id(*id).map(|table| super::constraint::column_name(table, *column));
                format!("default value for column {} of table {}", name.unwrap_or_default(), table(id))
            }
            Dependent::Column(id, column) => {
                let name = catalog.table_by_id(*id).map(|table| super::constraint::column_name(table, *column));
                format!("column {} of table {}", name.unwrap_or_default(), table(id))
            }
            Dependent::Check(id, name) => format!("constraint {name} on table {}", table(id)),
            Dependent::Index(_, id) => {
                let name = catalog.index_by_id(*id).map(|(_, index)| index.name.clone());
                format!("index {}", name.unwrap_or_default())
            }
        }
    }

    /// Behind the name of a type: a column of its arrays depends on the type of these.
    fn brackets(&self, dependent: &Dependent) -> &'static str {
        let Dependent::Column(table, column) = dependent else { return "" };
        let table = self.catalog().table_by_id(*table);
        let column = table.and_then(|table| table.columns.iter().find(|known| known.id == *column));
        if column.is_some_and(|column| column.ty.element().is_some()) { "[]" } else { "" }
    }

    /// Refuses, or drops what depends: `what` is the object as errors call it.
    pub(super) fn settle(
        &mut self,
        what: &str,
        dependents: Vec<Dependent>,
        cascade: bool,
        dropped: &[ObjectId],
    ) -> SqlResult<()> {
        self.settle_on((what, what), dependents, cascade, dropped)
    }

    /// The same, where what depends does so on something that goes with the object.
    fn settle_on(
        &mut self,
        (what, on): (&str, &str),
        dependents: Vec<Dependent>,
        cascade: bool,
        dropped: &[ObjectId],
    ) -> SqlResult<()> {
        if dependents.is_empty() {
            return Ok(());
        }
        if !cascade {
            let details: Vec<String> = dependents
                .iter()
                .map(|dependent| format!("{} depends on {on}{}", self.describe(dependent), self.brackets(dependent)))
                .collect();
            let message = format!("cannot drop {what} because other objects depend on it");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(details.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let described: Vec<String> = dependents.iter().map(|dependent| self.describe(dependent)).collect();
        match described.as_slice() {
            [only] => self.notice(format!("drop cascades to {only}")),
            all => self.notice(format!("drop cascades to {} other objects", all.len())),
        }
        let (views, others): (Vec<_>, Vec<_>) =
            dependents.into_iter().partition(|dependent| matches!(dependent, Dependent::View(_)));
        for dependent in views.into_iter().chain(others) {
            match dependent {
                Dependent::View(id) => self.drop_view(id, dropped, true, "")?,
                Dependent::Column(table, column) => self.drop_column_of(table, column)?,
                Dependent::Check(table, name) => self.drop_check(table, &name)?,
                Dependent::Index(table, index) => self.drop_dependent_index(table, index)?,
                Dependent::ForeignKey(table, name) => self.drop_foreign_key(table, &name)?,
                Dependent::Default(table, column) => self.drop_default(table, column)?,
            }
        }
        Ok(())
    }

    fn drop_foreign_key(&mut self, table: ObjectId, name: &str) -> SqlResult<()> {
        let Some(found) = self.catalog().table_by_id(table) else { return Ok(()) };
        let mut table = Table::clone(found);
        let parents: Vec<ObjectId> =
            table.all_foreign_keys().filter(|key| key.name == name).map(|key| key.parent).collect();
        table.retain_foreign_keys(|key| key.name != name);
        for parent in parents {
            self.edit.unrefer(parent, &table)?;
        }
        self.edit.put_table(table)
    }

    fn drop_check(&mut self, table: ObjectId, name: &str) -> SqlResult<()> {
        let Some(found) = self.catalog().table_by_id(table) else { return Ok(()) };
        let mut table = Table::clone(found);
        table.checks.retain(|check| check.name != name);
        self.edit.put_table(table)
    }

    fn drop_dependent_index(&mut self, table: ObjectId, index: ObjectId) -> SqlResult<()> {
        let Some(found) = self.catalog().table_by_id(table) else { return Ok(()) };
        let mut table = Table::clone(found);
        self.leave_index(&mut table, index, true)?;
        self.edit.put_table(table)
    }

    /// Drops a column with all that is about it, unless it has gone with another one.
    fn drop_column_of(&mut self, table: ObjectId, column: u16) -> SqlResult<()> {
        let Some(found) = self.catalog().table_by_id(table) else { return Ok(()) };
        let Some(name) = found.columns.iter().find(|found| found.id == column).map(|found| found.name.clone()) else {
            return Ok(());
        };
        self.drop_column(table, &Ident::with_quote('"', name), true, true)
    }

    fn drop_default(&mut self, table: ObjectId, column: u16) -> SqlResult<()> {
        let Some(found) = self.catalog().table_by_id(table) else { return Ok(()) };
        let mut table = Table::clone(found);
        table.columns.iter_mut().filter(|found| found.id == column).for_each(|found| found.default = None);
        self.edit.put_table(table)
    }

    pub(super) fn drop_table(
        &mut self,
        id: ObjectId,
        dropped: &[ObjectId],
        cascade: bool,
        name: &str,
    ) -> SqlResult<()> {
        let dependents = self.dependents(id, dropped);
        self.settle(&format!("table {name}"), dependents, cascade, dropped)?;
        let Some(table) = self.catalog().table_by_id(id).cloned() else { return Ok(()) };
        let mut orphan = Table::clone(&table);
        orphan.retain_foreign_keys(|_| false);
        for key in table.all_foreign_keys() {
            if !dropped.contains(&key.parent) {
                self.edit.unrefer(key.parent, &orphan)?;
            }
        }
        let owned: Vec<ObjectId> = self
            .catalog()
            .sequences()
            .filter(|sequence| sequence.owner.is_some_and(|(owner, _)| owner == id))
            .map(|sequence| sequence.id)
            .collect();
        self.edit.drop_table(id);
        for sequence in owned {
            self.drop_sequence(sequence, dropped, true, "")?;
        }
        Ok(())
    }

    fn drop_view(&mut self, id: ObjectId, dropped: &[ObjectId], cascade: bool, name: &str) -> SqlResult<()> {
        let dependents = self.dependents(id, dropped);
        self.settle(&format!("view {name}"), dependents, cascade, dropped)?;
        self.edit.drop_view(id);
        Ok(())
    }

    fn owned(&self, table: ObjectId, column: u16) -> Vec<ObjectId> {
        let owned = self.catalog().sequences().filter(|sequence| sequence.owner == Some((table, column)));
        owned.map(|sequence| sequence.id).collect()
    }

    /// Drops the sequences that belonged to a column.
    pub(super) fn drop_owned(&mut self, table: ObjectId, column: u16) -> SqlResult<()> {
        let owned = self.owned(table, column);
        owned.into_iter().try_for_each(|sequence| self.drop_sequence(sequence, &[table], true, ""))
    }

    /// The sequences that belong to a column are to be dropped later: nothing else takes values from them any more.
    pub(super) fn free_owned(&mut self, table: ObjectId, column: u16) -> SqlResult<()> {
        let owned = self.owned(table, column);
        owned.into_iter().try_for_each(|sequence| self.free_sequence(sequence, &[table], true, ""))
    }

    pub(super) fn drop_sequence(
        &mut self,
        id: ObjectId,
        dropped: &[ObjectId],
        cascade: bool,
        name: &str,
    ) -> SqlResult<()> {
        self.free_sequence(id, dropped, cascade, name)?;
        self.edit.drop_sequence(id);
        Ok(())
    }

    /// What takes values from a sequence is refused, or does so no more.
    fn free_sequence(&mut self, id: ObjectId, dropped: &[ObjectId], cascade: bool, name: &str) -> SqlResult<()> {
        let mut users = Vec::new();
        for table in self.catalog().tables().filter(|table| !dropped.contains(&table.id)) {
            for column in table.all_columns() {
                let uses = match &column.default {
                    Some(Default::Identity(_, sequence)) => *sequence == id,
                    Some(Default::Expression(text)) => self.takes_from(text, id)?,
                    _ => false,
                };
                if uses {
                    users.push(Dependent::Default(table.id, column.id));
                }
            }
        }
        self.settle(&format!("sequence {name}"), users, cascade, dropped)
    }

    /// Whether a default takes its values from a sequence.
    fn takes_from(&self, text: &str, sequence: ObjectId) -> SqlResult<bool> {
        let Some(argument) = sequence_argument(&parse_expression(text)?) else { return Ok(false) };
        // It is kept with its schema, which may be another session's.
        let Name { schema: Some(schema), name, .. } = split_name(&argument)? else { return Ok(false) };
        let found = self.catalog().schema(&schema).and_then(|schema| self.catalog().relation(schema.id, &name));
        Ok(found.is_some_and(|found| found.id() == sequence))
    }

    fn drop_index(&mut self, id: ObjectId, cascade: bool) -> SqlResult<()> {
        let Some((table, index)) = self.catalog().index_by_id(id) else { return Ok(()) };
        check_not_rekeyed(table)?;
        if is_constraint(index) {
            let (name, table) = (&index.name, &table.name);
            let message = format!("cannot drop index {name} because constraint {name} on table {table} requires it");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .hint(format!("You can drop constraint {name} on table {table} instead.")));
        }
        let mut table = Table::clone(table);
        self.leave_index(&mut table, id, cascade)?;
        self.edit.put_table(table)
    }

    /// Takes an index out of a table; foreign keys that rely on it go first.
    pub(super) fn leave_index(&mut self, table: &mut Table, id: ObjectId, cascade: bool) -> SqlResult<()> {
        let Some(index) = table.indexes.iter().find(|index| index.id == id) else { return Ok(()) };
        let (what, on) = match is_constraint(index) {
            true => (format!("constraint {} on table {}", index.name, table.name), format!("index {}", index.name)),
            false => (format!("index {}", index.name), format!("index {}", index.name)),
        };
        self.leave_dependents(table, id, (&what, &on), cascade)?;
        table.indexes.retain(|other| other.id != id);
        Ok(())
    }

    /// Foreign keys that rely on an index of a table go. What is dropped, and what they rely on, are given as errors call
    /// them.
    pub(super) fn leave_dependents(
        &mut self,
        table: &mut Table,
        id: ObjectId,
        what: (&str, &str),
        cascade: bool,
    ) -> SqlResult<()> {
        let Some(index) = table.indexes.iter().find(|index| index.id == id).cloned() else { return Ok(()) };
        let keys: Vec<u16> = index
            .keys
            .iter()
            .filter_map(|key| match key.part {
                annulus_relation::catalog::KeyPart::Column(id) => Some(id),
                annulus_relation::catalog::KeyPart::Expression(..) => None,
            })
            .collect();
        let relies = |key: &ForeignKey| {
            key.parent == table.id
                && key.parent_columns.len() == keys.len()
                && key.parent_columns.iter().all(|id| keys.contains(id))
        };
        let mut dependents = Vec::new();
        if index.is_unique() {
            for child in self.catalog().tables() {
                let keys = child.all_foreign_keys().filter(|key| relies(key));
                dependents.extend(keys.map(|key| Dependent::ForeignKey(child.id, key.name.clone())));
            }
        }
        if !dependents.is_empty() {
            self.settle_on(what, dependents, cascade, &[])?;
            let changed = self.catalog().table_by_id(table.id).map(|table| Table::clone(table));
            *table = changed.unwrap_or_else(|| table.clone());
        }
        Ok(())
    }

    fn drop_schemas(&mut self, if_exists: bool, names: &[ObjectName], cascade: bool) -> SqlResult<&'static str> {
        for name in names {
            let name = plain_name(name)?;
            if if_exists && self.catalog().schema(&name.value).is_none() {
                self.notice(format!("schema \"{}\" does not exist, skipping", name.value));
                continue;
            }
            let id = self.names().schema(&name.value, position_of(name))?.id;
            let inside = self.inside(id);
            if !inside.is_empty() && !cascade {
                let message = format!("cannot drop schema {} because other objects depend on it", name.value);
                let details: Vec<String> = inside
                    .iter()
                    .map(|(_, kind, object)| format!("{kind} {}.{object} depends on schema {}", name.value, name.value))
                    .collect();
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                    .detail(details.join("\n"))
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            self.drop_inside(&inside)?;
            self.edit.drop_schema(id);
        }
        Ok("DROP SCHEMA")
    }

    /// What is in a schema: numbers, kinds and names.
    pub(super) fn inside(&self, schema: ObjectId) -> Vec<(ObjectId, &'static str, String)> {
        let all = self.catalog().object_names(schema);
        let all = all.filter(|(_, relation)| !matches!(relation, Relation::Index(..)));
        let relations = all.map(|(name, relation)| (relation.id(), relation.kind(), name.to_owned()));
        let types = self.catalog().types().filter(|ty| ty.schema == schema).map(|ty| (ty.id, "type", ty.name.clone()));
        relations.chain(types).collect()
    }

    /// Drops what is in a schema: views first, then tables with their sequences, then what is left.
    pub(super) fn drop_inside(&mut self, inside: &[(ObjectId, &'static str, String)]) -> SqlResult<()> {
        let all: Vec<ObjectId> = inside.iter().map(|(id, ..)| *id).collect();
        for wanted in ["view", "table", "sequence", "type"] {
            for (id, _, name) in inside.iter().filter(|(_, kind, _)| *kind == wanted) {
                match wanted {
                    "view" if self.catalog().view_by_id(*id).is_some() => self.drop_view(*id, &all, true, name)?,
                    "table" if self.catalog().table_by_id(*id).is_some() => self.drop_table(*id, &all, true, name)?,
                    "sequence" if self.catalog().sequence_by_id(*id).is_some() => {
                        self.drop_sequence(*id, &all, true, name)?;
                    }
                    "type" if self.catalog().type_by_id(*id).is_some() => self.drop_type(*id, &all, true)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn article(word: &str) -> &'static str {
    if word == "index" { "an" } else { "a" }
}
