//! Changing a database's catalog.
//!
//! An edit is made of one catalog in memory and gives the next one; [`Edit::finish`] writes what has changed as part
//! of a transaction. It demands that the catalog is still the one that the edit began with, so edits of one database
//! are serial; but for those that only begin new generations of tables' data, or are about temporary relations alone, which
//! demand no more than that what they are about is still the same. Statements of others that use something changed find its stamp changed:
//! - a table, view, sequence or type that was changed or dropped, and what uses such a type;
//! - one whose name means something else, because a namesake was made in another schema, or its schema renamed.

mod finish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::garbage::Garbage;
use super::home::Kind;
use super::loaded::{Catalog, Entry, Relation};
use super::{Enumeration, Numbers, ObjectId, Schema, Sequence, Table, View, numbers};
use crate::error::{SqlError, SqlResult, SqlState};

/// A change of a catalog under way.
#[derive(Clone, Debug)]
pub struct Edit {
    catalog: Catalog,
    before: Before,
    /// Where temporary relations have their numbers from; the root gives them if there are none.
    numbers: Numbers,
    /// Relations that it has gone by, and has not changed.
    relied: BTreeSet<ObjectId>,
    touched: BTreeSet<(Kind, ObjectId)>,
    /// Tables that were given a generation of data, whatever else happens to them.
    renewed: BTreeSet<ObjectId>,
    garbage: Vec<Garbage>,
}

/// What there was before.
#[derive(Clone, Debug)]
struct Before {
    next_object: ObjectId,
    schemas: BTreeMap<ObjectId, Entry<Schema>>,
    tables: BTreeMap<ObjectId, Entry<Table>>,
    sequences: BTreeMap<ObjectId, Entry<Sequence>>,
    views: BTreeMap<ObjectId, Entry<View>>,
    types: BTreeMap<ObjectId, Entry<Enumeration>>,
}

impl Before {
    fn new(catalog: &Catalog) -> Self {
        Self {
            next_object: catalog.root.next_object,
            schemas: catalog.schemas.clone(),
            tables: catalog.tables.clone(),
            sequences: catalog.sequences.clone(),
            views: catalog.views.clone(),
            types: catalog.types.clone(),
        }
    }
}

impl Edit {
    /// An edit of this catalog.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        Self::with_numbers(catalog, Numbers::default())
    }

    /// An edit of this catalog that takes numbers for what is temporary from these.
    #[must_use]
    pub fn with_numbers(catalog: &Catalog, numbers: Numbers) -> Self {
        Self {
            catalog: catalog.clone(),
            before: Before::new(catalog),
            numbers,
            relied: BTreeSet::new(),
            touched: BTreeSet::new(),
            renewed: BTreeSet::new(),
            garbage: Vec::new(),
        }
    }

    /// The catalog as edited so far.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// A table as it was before.
    #[must_use]
    pub fn table_before(&self, id: ObjectId) -> Option<&Arc<Table>> {
        self.before.tables.get(&id).map(|entry| &entry.value)
    }

    /// Whether it has changed or dropped a table.
    #[must_use]
    pub fn touches_table(&self, id: ObjectId) -> bool {
        self.touched.contains(&(Kind::Table, id)) || self.renewed.contains(&id)
    }

    /// The number of a new object.
    ///
    /// # Errors
    /// `54000` if there are no more.
    pub fn new_id(&mut self) -> SqlResult<ObjectId> {
        let id = self.catalog.root.next_object;
        let none_left = || SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the database has no more object numbers");
        self.catalog.root.next_object = id.checked_add(1).ok_or_else(none_left)?;
        Ok(id)
    }

    /// The number of a generation of a table's data that this edit makes: no other edit that is committed has given it.
    ///
    /// # Errors
    /// `54000` if there are no more object numbers.
    pub fn new_generation(&mut self) -> SqlResult<u32> {
        Ok(numbers::plain(self.new_id()?))
    }

    /// The number of a new object in a schema.
    ///
    /// # Errors
    /// As [`Edit::new_id`].
    pub fn new_id_in(&mut self, schema: ObjectId) -> SqlResult<ObjectId> {
        if self.catalog.is_temporary(schema) { self.new_temporary_id() } else { self.new_id() }
    }

    /// The number of a new temporary object, or of a session's schema.
    ///
    /// # Errors
    /// As [`Edit::new_id`].
    pub fn new_temporary_id(&mut self) -> SqlResult<ObjectId> {
        while let Some(number) = self.numbers.draw() {
            // The greatest one is no index's: it is that of stamps.
            if number != ObjectId::MAX && !self.catalog.has(number) {
                return Ok(number);
            }
        }
        self.new_id()
    }

    /// As [`Edit::new_generation`], for a table in a schema.
    ///
    /// # Errors
    /// As [`Edit::new_id`].
    pub fn new_generation_in(&mut self, schema: ObjectId) -> SqlResult<u32> {
        let taken = self.catalog.is_temporary(schema).then(|| self.numbers.draw()).flatten();
        taken.map_or_else(|| self.new_generation(), Ok)
    }

    /// Notes that the edit goes by a relation, which it does not change: if it is not as it was at the commit, the edit
    /// conflicts.
    pub fn rely_on(&mut self, relation: ObjectId) {
        self.relied.insert(relation);
    }

    /// Creates a schema, or replaces the one of its number.
    ///
    /// # Errors
    /// `42P06` if another one has its name.
    pub fn put_schema(&mut self, schema: Schema) -> SqlResult<()> {
        if self.catalog.schema(&schema.name).is_some_and(|other| other.id != schema.id) {
            let message = format!("schema \"{}\" already exists", schema.name);
            return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
        }
        let id = schema.id;
        let before = self.catalog.schemas.insert(id, fresh(schema));
        if before.is_some() {
            self.touch_all_of(id);
        }
        self.touched.insert((Kind::Schema, id));
        self.catalog.index_names();
        Ok(())
    }

    /// Drops a schema, which is empty.
    pub fn drop_schema(&mut self, id: ObjectId) {
        self.catalog.schemas.remove(&id);
        self.touched.insert((Kind::Schema, id));
        self.catalog.index_names();
    }

    /// Creates a table, or replaces the one of its number. The data of indexes that are no longer there, and of a
    /// generation that is no longer its own, will be deleted.
    ///
    /// # Errors
    /// `42P07` if its name, or that of an index, is taken.
    pub fn put_table(&mut self, mut table: Table) -> SqlResult<()> {
        let mut remarks = std::mem::take(&mut table.remarks);
        remarks.retain(|constraint, _| table.has_constraint(constraint));
        table.remarks = remarks;
        for (name, id) in table.index_names().chain([(table.name.as_str(), table.id)]) {
            self.check_name(table.schema, name, id)?;
        }
        self.check_no_type(table.schema, &table.name)?;
        self.touch_namesakes(table.schema, &table.name);
        self.touched.insert((Kind::Table, table.id));
        self.replace_table(table);
        self.catalog.index_names();
        Ok(())
    }

    /// A table is not referred to any more by `child`, which was changed or dropped, unless another foreign key of it does.
    ///
    /// # Errors
    /// None but those of [`Edit::put_table`].
    pub fn unrefer(&mut self, parent: ObjectId, child: &Table) -> SqlResult<()> {
        if parent == child.id || child.refers_to(parent) {
            return Ok(());
        }
        let Some(found) = self.catalog.table_by_id(parent) else { return Ok(()) };
        let mut found = Table::clone(found);
        found.referenced_by.retain(|id| *id != child.id);
        self.put_table(found)
    }

    /// Gives a table another generation of data, in which there is nothing; its data will be deleted. `generation` is of
    /// [`super::take_numbers`], or of a load.
    pub fn begin_generation(&mut self, table: ObjectId, generation: u32) {
        if let Some(table) = self.catalog.table_by_id(table) {
            let table = Table { generation, ..Table::clone(table) };
            self.renewed.insert(table.id);
            self.replace_table(table);
        }
    }

    fn replace_table(&mut self, table: Table) {
        let after = Arc::new(table);
        let before = self.catalog.tables.insert(after.id, fresh_of(Arc::clone(&after)));
        if let Some(Entry { value: before, .. }) = before {
            self.discard(&before, &after);
        }
    }

    /// What of a table's data is not its own any more.
    fn discard(&mut self, before: &Table, after: &Table) {
        let (had, has) = (before.generations(), after.generations());
        self.garbage.extend(had.difference(&has).map(|generation| Garbage::of_generation(before.id, *generation)));
        let kept: BTreeSet<ObjectId> = after.indexes.iter().map(|index| index.id).collect();
        for index in before.indexes.iter().filter(|index| !kept.contains(&index.id)) {
            let stay = had.intersection(&has);
            self.garbage.extend(stay.map(|generation| Garbage::of_index(before.id, *generation, index.id)));
        }
    }

    /// Drops a table with all of its data.
    pub fn drop_table(&mut self, id: ObjectId) {
        if let Some(Entry { value: table, .. }) = self.catalog.tables.remove(&id) {
            let all = table.generations().into_iter();
            self.garbage.extend(all.map(|generation| Garbage::of_generation(id, generation)));
            self.touched.insert((Kind::Table, id));
            self.catalog.index_names();
        }
    }

    /// Creates a sequence, or replaces the one of its number.
    ///
    /// # Errors
    /// `42P07` if its name is taken.
    pub fn put_sequence(&mut self, sequence: Sequence) -> SqlResult<()> {
        let (id, schema) = (sequence.id, sequence.schema);
        self.check_name(schema, &sequence.name, id)?;
        self.touch_namesakes(schema, &sequence.name);
        self.catalog.sequences.insert(id, fresh(sequence));
        self.touched.insert((Kind::Sequence, id));
        self.catalog.index_names();
        Ok(())
    }

    /// Drops a sequence with its state.
    pub fn drop_sequence(&mut self, id: ObjectId) {
        self.catalog.sequences.remove(&id);
        self.touched.insert((Kind::Sequence, id));
        self.catalog.index_names();
    }

    /// Creates a view, or replaces the one of its number.
    ///
    /// # Errors
    /// `42P07` if its name is taken.
    pub fn put_view(&mut self, view: View) -> SqlResult<()> {
        let (id, schema) = (view.id, view.schema);
        self.check_name(schema, &view.name, id)?;
        self.check_no_type(schema, &view.name)?;
        self.touch_namesakes(schema, &view.name);
        self.catalog.views.insert(id, fresh(view));
        self.touched.insert((Kind::View, id));
        self.catalog.index_names();
        Ok(())
    }

    /// Drops a view.
    pub fn drop_view(&mut self, id: ObjectId) {
        self.catalog.views.remove(&id);
        self.touched.insert((Kind::View, id));
        self.catalog.index_names();
    }

    /// Creates a type, or replaces the one of its number: whatever uses it is changed with it.
    ///
    /// # Errors
    /// `42710` if its name is taken.
    pub fn put_type(&mut self, ty: Enumeration) -> SqlResult<()> {
        let (id, schema) = (ty.id, ty.schema);
        if self.catalog.type_named(schema, &ty.name).is_some_and(|other| other.id != id) {
            return Err(type_exists(&ty.name));
        }
        self.check_row_type(schema, &ty.name)?;
        self.touch_types_named(schema, &ty.name);
        self.catalog.types.insert(id, fresh(ty));
        self.touched.insert((Kind::Type, id));
        self.touch_users(id);
        self.catalog.index_types();
        Ok(())
    }

    /// Drops a type that nothing uses.
    pub fn drop_type(&mut self, id: ObjectId) {
        self.catalog.types.remove(&id);
        self.touched.insert((Kind::Type, id));
        self.catalog.index_types();
    }

    /// `42710`: tables and views have types of their names, too.
    fn check_row_type(&self, schema: ObjectId, name: &str) -> SqlResult<()> {
        match self.catalog.relation(schema, name) {
            Some(Relation::Table(_) | Relation::View(_)) => Err(type_exists(name)),
            _ => Ok(()),
        }
    }

    /// The same, of a table or view that is to have this name.
    fn check_no_type(&self, schema: ObjectId, name: &str) -> SqlResult<()> {
        match self.catalog.type_named(schema, name) {
            Some(_) => Err(type_exists(name).hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict with \
                 any existing type.",
            )),
            None => Ok(()),
        }
    }

    /// Types of this name in other schemas: whoever found one by name may find something else now.
    fn touch_types_named(&mut self, schema: ObjectId, name: &str) {
        if self.catalog.is_temporary(schema) {
            return;
        }
        for (id, entry) in &mut self.catalog.types {
            if entry.value.name == *name && entry.value.schema != schema {
                entry.stamp = None;
                self.touched.insert((Kind::Type, *id));
            }
        }
    }

    /// The tables and views that use a type.
    fn touch_users(&mut self, id: ObjectId) {
        let tables: Vec<ObjectId> =
            self.catalog.tables().filter(|table| table.uses_type(id)).map(|table| table.id).collect();
        let views: Vec<ObjectId> = self.catalog.views().filter(|view| view.uses_type(id)).map(|view| view.id).collect();
        tables.into_iter().for_each(|table| self.touch(Kind::Table, table));
        views.into_iter().for_each(|view| self.touch(Kind::View, view));
    }

    /// Drops everything: nobody can use what they have cached of this database.
    pub(super) fn drop_all(&mut self) {
        let all = &self.catalog;
        let touched = all.schemas.keys().map(|id| (Kind::Schema, *id));
        let touched = touched.chain(all.tables.keys().map(|id| (Kind::Table, *id)));
        let touched = touched.chain(all.sequences.keys().map(|id| (Kind::Sequence, *id)));
        let touched = touched.chain(all.types.keys().map(|id| (Kind::Type, *id)));
        self.touched.extend(touched.chain(all.views.keys().map(|id| (Kind::View, *id))));
        let mut root = all.root.clone();
        root.dropped = true;
        self.catalog = Catalog::bare(all.home, root, all.stamp);
        self.garbage.clear();
    }

    fn check_name(&self, schema: ObjectId, name: &str, id: ObjectId) -> SqlResult<()> {
        match self.catalog.relation(schema, name) {
            Some(other) if other.id() != id => {
                Err(SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")))
            }
            _ => Ok(()),
        }
    }

    /// Whatever has this name in other schemas: whoever found it by name may find something else now. But what a session
    /// has of its own nobody else finds, and it finds that before all others.
    fn touch_namesakes(&mut self, schema: ObjectId, name: &str) {
        if self.catalog.is_temporary(schema) {
            return;
        }
        let others = self.catalog.schemas.keys().copied();
        let others: Vec<ObjectId> =
            others.filter(|other| *other != schema && !self.catalog.is_temporary(*other)).collect();
        let namesakes: Vec<_> =
            others.iter().filter_map(|other| kind_of(self.catalog.relation(*other, name)?)).collect();
        namesakes.into_iter().for_each(|(kind, id)| self.touch(kind, id));
    }

    fn touch_all_of(&mut self, schema: ObjectId) {
        let all: Vec<_> = self.catalog.object_names(schema).filter_map(|(_, relation)| kind_of(relation)).collect();
        all.into_iter().for_each(|(kind, id)| self.touch(kind, id));
        let types: Vec<ObjectId> = self.catalog.types().filter(|ty| ty.schema == schema).map(|ty| ty.id).collect();
        for id in types {
            self.touch(Kind::Type, id);
            self.touch_users(id);
        }
        self.catalog.index_types();
    }

    fn touch(&mut self, kind: Kind, id: ObjectId) {
        let catalog = &mut self.catalog;
        match kind {
            Kind::Table => catalog.tables.get_mut(&id).into_iter().for_each(|entry| entry.stamp = None),
            Kind::View => catalog.views.get_mut(&id).into_iter().for_each(|entry| entry.stamp = None),
            Kind::Sequence => catalog.sequences.get_mut(&id).into_iter().for_each(|entry| entry.stamp = None),
            Kind::Type => catalog.types.get_mut(&id).into_iter().for_each(|entry| entry.stamp = None),
            _ => {}
        }
        self.touched.insert((kind, id));
    }
}

fn type_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists"))
}

fn fresh<T>(value: T) -> Entry<T> {
    fresh_of(Arc::new(value))
}

const fn fresh_of<T>(value: Arc<T>) -> Entry<T> {
    Entry { value, stamp: None }
}

/// What is touched when the meaning of a name changes. An index is only found by those who change it.
fn kind_of(relation: Relation<'_>) -> Option<(Kind, ObjectId)> {
    match relation {
        Relation::Table(table) => Some((Kind::Table, table.id)),
        Relation::View(view) => Some((Kind::View, view.id)),
        Relation::Sequence(sequence) => Some((Kind::Sequence, sequence.id)),
        Relation::Index(..) => None,
    }
}
