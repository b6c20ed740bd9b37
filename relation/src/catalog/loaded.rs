//! A database's whole catalog at one instant, in memory. Immutable: changes give a new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::PartitionId;
use annulus_replica::store::Stamp;
use annulus_txn::interface::Database;
use wincode::{SchemaRead, SchemaWrite};

use super::home::{Home, Kind};
use super::{Enumeration, Index, ObjectId, Schema, Sequence, Table, View};
use crate::transaction::Transaction;
use crate::value::MadeTypes;

/// The number of the schema `public`, as in PostgreSQL.
pub const PUBLIC: ObjectId = 2_200;
/// The first number of an object made by a user, as in PostgreSQL.
pub const FIRST_OBJECT: ObjectId = 16_384;

/// What the catalog says of the database as a whole. Every change of the catalog writes it that changes more than
/// generations of tables' data, and temporary relations.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(super) struct Root {
    /// The number of the next object.
    pub next_object: ObjectId,
    /// Whether the database was dropped.
    pub dropped: bool,
}

/// The version of a record of the catalog; `None` if the transaction that sees the catalog has written it itself.
pub type Version = Option<Stamp>;

/// A record of the catalog, as it was read.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub value: Arc<T>,
    pub stamp: Version,
}

/// Something that can be selected from by name, or has its name among these.
#[derive(Clone, Copy, Debug)]
pub enum Relation<'a> {
    /// A table.
    Table(&'a Arc<Table>),
    /// A view.
    View(&'a Arc<View>),
    /// A sequence.
    Sequence(&'a Arc<Sequence>),
    /// An index of a table.
    Index(&'a Arc<Table>, &'a Index),
}

impl Relation<'_> {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Table(table) => table.id,
            Self::View(view) => view.id,
            Self::Sequence(sequence) => sequence.id,
            Self::Index(_, index) => index.id,
        }
    }

    /// The number of its schema.
    #[must_use]
    pub fn schema(&self) -> ObjectId {
        match self {
            Self::Table(table) | Self::Index(table, _) => table.schema,
            Self::View(view) => view.schema,
            Self::Sequence(sequence) => sequence.schema,
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::View(_) => "view",
            Self::Sequence(_) => "sequence",
            Self::Index(..) => "index",
        }
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Table(ObjectId),
    View(ObjectId),
    Sequence(ObjectId),
    /// Of a table.
    Index(ObjectId, ObjectId),
}

/// A database's catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(super) home: Home,
    pub(super) root: Root,
    /// The root's version; `None` if the transaction that sees this catalog has changed it.
    pub(super) stamp: Option<Stamp>,
    /// The version of the record that those write who change temporary relations alone; `None` if this transaction has.
    pub(super) temporary: Option<Stamp>,
    pub(super) schemas: BTreeMap<ObjectId, Entry<Schema>>,
    pub(super) tables: BTreeMap<ObjectId, Entry<Table>>,
    pub(super) sequences: BTreeMap<ObjectId, Entry<Sequence>>,
    pub(super) views: BTreeMap<ObjectId, Entry<View>>,
    pub(super) types: BTreeMap<ObjectId, Entry<Enumeration>>,
    /// The same, as statements find them.
    pub(super) made: Arc<MadeTypes>,
    /// Schemas by name.
    pub(super) schema_names: BTreeMap<String, ObjectId>,
    /// By schema and name.
    pub(super) names: BTreeMap<ObjectId, BTreeMap<String, Named>>,
    /// The table of each index.
    pub(super) index_tables: BTreeMap<ObjectId, ObjectId>,
}

impl Catalog {
    /// The catalog of a database in which nothing was created yet: the schema `public` and nothing in it.
    #[must_use]
    pub fn empty(home: Home) -> Self {
        let mut catalog = Self::bare(home, Root { next_object: FIRST_OBJECT, dropped: false }, Some(Stamp::NONE));
        let public =
            Schema { id: PUBLIC, name: "public".to_owned(), comment: Some("standard public schema".to_owned()) };
        catalog.schemas.insert(PUBLIC, Entry { value: Arc::new(public), stamp: Some(Stamp::NONE) });
        catalog.index_names();
        catalog
    }

    pub(super) fn bare(home: Home, root: Root, stamp: Option<Stamp>) -> Self {
        Self {
            home,
            root,
            stamp,
            temporary: Some(Stamp::NONE),
            schemas: BTreeMap::new(),
            tables: BTreeMap::new(),
            sequences: BTreeMap::new(),
            views: BTreeMap::new(),
            types: BTreeMap::new(),
            made: Arc::default(),
            schema_names: BTreeMap::new(),
            names: BTreeMap::new(),
            index_tables: BTreeMap::new(),
        }
    }

    /// Makes the maps by name anew.
    pub(super) fn index_names(&mut self) {
        self.schema_names = self.schemas.values().map(|entry| (entry.value.name.clone(), entry.value.id)).collect();
        let mut names: BTreeMap<ObjectId, BTreeMap<String, Named>> = BTreeMap::new();
        let mut add = |schema: ObjectId, name: &str, named: Named| {
            names.entry(schema).or_default().insert(name.to_owned(), named);
        };
        self.index_tables.clear();
        for Entry { value: table, .. } in self.tables.values() {
            add(table.schema, &table.name, Named::Table(table.id));
            for (name, index) in table.index_names() {
                add(table.schema, name, Named::Index(table.id, index));
            }
            self.index_tables.extend(table.all_indexes().map(|index| (index.id, table.id)));
        }
        self.sequences
            .values()
            .for_each(|entry| add(entry.value.schema, &entry.value.name, Named::Sequence(entry.value.id)));
        self.views.values().for_each(|entry| add(entry.value.schema, &entry.value.name, Named::View(entry.value.id)));
        self.names = names;
    }

    /// Where the database keeps its data.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The version of the catalog as a whole; `None` if the transaction that sees it has changed it.
    #[must_use]
    pub const fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Whether another one was read from the same versions of all records. Every change writes the root, but for those
    /// that only begin new generations of tables' data, renew a schema, or are about temporary relations alone.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.stamp == other.stamp
            && self.temporary == other.temporary
            && stamps(&self.tables).eq(stamps(&other.tables))
            && stamps(&self.schemas).eq(stamps(&other.schemas))
    }

    /// A schema by name.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.schema_by_id(*self.schema_names.get(name)?)
    }

    /// A schema by number.
    #[must_use]
    pub fn schema_by_id(&self, id: ObjectId) -> Option<&Arc<Schema>> {
        self.schemas.get(&id).map(|entry| &entry.value)
    }

    /// Whatever has a name in a schema.
    #[must_use]
    pub fn relation(&self, schema: ObjectId, name: &str) -> Option<Relation<'_>> {
        match *self.names.get(&schema)?.get(name)? {
            Named::Table(id) => self.table_by_id(id).map(Relation::Table),
            Named::View(id) => self.view_by_id(id).map(Relation::View),
            Named::Sequence(id) => self.sequence_by_id(id).map(Relation::Sequence),
            Named::Index(_, id) => self.index_by_id(id).map(|(table, index)| Relation::Index(table, index)),
        }
    }

    /// Whatever has a name in the first schema of `path` that has that name.
    #[must_use]
    pub fn resolve(&self, path: &[ObjectId], name: &str) -> Option<Relation<'_>> {
        path.iter().find_map(|schema| self.relation(*schema, name))
    }

    /// A table by name.
    #[must_use]
    pub fn table(&self, schema: ObjectId, name: &str) -> Option<&Arc<Table>> {
        match self.relation(schema, name)? {
            Relation::Table(table) => Some(table),
            _ => None,
        }
    }

    /// A view by name.
    #[must_use]
    pub fn view(&self, schema: ObjectId, name: &str) -> Option<&Arc<View>> {
        match self.relation(schema, name)? {
            Relation::View(view) => Some(view),
            _ => None,
        }
    }

    /// A sequence by name.
    #[must_use]
    pub fn sequence(&self, schema: ObjectId, name: &str) -> Option<&Arc<Sequence>> {
        match self.relation(schema, name)? {
            Relation::Sequence(sequence) => Some(sequence),
            _ => None,
        }
    }

    /// An index by name, and its table.
    #[must_use]
    pub fn index(&self, schema: ObjectId, name: &str) -> Option<(&Arc<Table>, &Index)> {
        match self.relation(schema, name)? {
            Relation::Index(table, index) => Some((table, index)),
            _ => None,
        }
    }

    /// A table by number.
    #[must_use]
    pub fn table_by_id(&self, id: ObjectId) -> Option<&Arc<Table>> {
        self.tables.get(&id).map(|entry| &entry.value)
    }

    /// A view by number.
    #[must_use]
    pub fn view_by_id(&self, id: ObjectId) -> Option<&Arc<View>> {
        self.views.get(&id).map(|entry| &entry.value)
    }

    /// A sequence by number.
    #[must_use]
    pub fn sequence_by_id(&self, id: ObjectId) -> Option<&Arc<Sequence>> {
        self.sequences.get(&id).map(|entry| &entry.value)
    }

    /// An index by number, and its table.
    #[must_use]
    pub fn index_by_id(&self, id: ObjectId) -> Option<(&Arc<Table>, &Index)> {
        let table = self.table_by_id(*self.index_tables.get(&id)?)?;
        table.all_indexes().find(|index| index.id == id).map(|index| (table, index))
    }

    /// A type by number.
    #[must_use]
    pub fn type_by_id(&self, id: ObjectId) -> Option<&Arc<Enumeration>> {
        self.types.get(&id).map(|entry| &entry.value)
    }

    /// A type by name.
    #[must_use]
    pub fn type_named(&self, schema: ObjectId, name: &str) -> Option<&Arc<Enumeration>> {
        self.types().find(|ty| ty.schema == schema && ty.name == name)
    }

    /// All types that users have made.
    pub fn types(&self) -> impl Iterator<Item = &Arc<Enumeration>> {
        self.types.values().map(|entry| &entry.value)
    }

    /// The same, as statements find them.
    #[must_use]
    pub const fn made_types(&self) -> &Arc<MadeTypes> {
        &self.made
    }

    /// Makes what statements find of types anew, and has tables and views know the labels of those that they use.
    pub(super) fn index_types(&mut self) {
        let name =
            |ty: &Enumeration| self.schema_by_id(ty.schema).map(|schema| schema.name.clone()).unwrap_or_default();
        self.made = Arc::new(MadeTypes::new(self.types().map(|ty| ty.ty(&name(ty)))));
        let made = Arc::clone(&self.made);
        for entry in self.tables.values_mut() {
            if entry.value.types().any(|ty| ty.enumeration().is_some()) {
                Arc::make_mut(&mut entry.value).types_mut().for_each(|ty| made.resolve(ty));
            }
        }
        for entry in self.views.values_mut() {
            if entry.value.columns.iter().any(|(_, ty)| ty.enumeration().is_some()) {
                Arc::make_mut(&mut entry.value).columns.iter_mut().for_each(|(_, ty)| made.resolve(ty));
            }
        }
    }

    /// All schemas.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values().map(|entry| &entry.value)
    }

    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values().map(|entry| &entry.value)
    }

    /// All views.
    pub fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.views.values().map(|entry| &entry.value)
    }

    /// All sequences.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<Sequence>> {
        self.sequences.values().map(|entry| &entry.value)
    }

    /// The names in a schema, with what has them.
    pub fn object_names(&self, schema: ObjectId) -> impl Iterator<Item = (&str, Relation<'_>)> {
        let names = self.names.get(&schema).into_iter().flat_map(BTreeMap::keys);
        names.filter_map(move |name| Some((name.as_str(), self.relation(schema, name)?)))
    }

    /// Demands that a table is at commit as it is here: for a statement that touches its data in `partition`.
    pub fn expect_table<D: Database>(&self, transaction: &mut Transaction<D>, table: ObjectId, partition: PartitionId) {
        if let Some(stamp) = self.tables.get(&table).and_then(|entry| entry.stamp) {
            transaction.expect(self.home.stamp(table, partition), stamp);
        }
    }

    /// Demands that a view is at commit as it is here: for a statement that reads through it.
    pub fn expect_view<D: Database>(&self, transaction: &mut Transaction<D>, view: ObjectId) {
        if let Some(stamp) = self.views.get(&view).and_then(|entry| entry.stamp) {
            transaction.expect(self.home.record(Kind::View, view), stamp);
        }
    }

    /// Demands that a sequence is at commit as it is here: for a statement that takes values from it.
    pub fn expect_sequence<D: Database>(&self, transaction: &mut Transaction<D>, sequence: ObjectId) {
        if let Some(stamp) = self.sequence_version(sequence) {
            transaction.expect(self.home.record(Kind::Sequence, sequence), stamp);
        }
    }

    /// Demands that a type is at commit as it is here: for a statement that names it.
    pub fn expect_type<D: Database>(&self, transaction: &mut Transaction<D>, number: ObjectId) {
        if let Some(stamp) = self.types.get(&number).and_then(|entry| entry.stamp) {
            transaction.expect(self.home.record(Kind::Type, number), stamp);
        }
    }

    /// The version of a sequence's descriptor: another one after it was altered, or restarted with its table.
    #[must_use]
    pub fn sequence_version(&self, sequence: ObjectId) -> Version {
        self.sequences.get(&sequence).and_then(|entry| entry.stamp)
    }

    /// Demands that nothing at all has changed in the catalog: for a statement that did not find a name, or
    /// shows the catalog itself.
    pub fn expect_unchanged<D: Database>(&self, transaction: &mut Transaction<D>) {
        self.expect_root(transaction);
        if let Some(stamp) = self.temporary {
            transaction.expect(self.home.record(Kind::Temporary, 0), stamp);
        }
    }

    /// Demands that nothing has changed in the catalog but what is only its session's.
    pub(super) fn expect_root<D: Database>(&self, transaction: &mut Transaction<D>) {
        if let Some(stamp) = self.stamp {
            transaction.expect(self.home.record(Kind::Root, 0), stamp);
        }
    }

    /// Whether a number is an object's.
    pub(super) fn has(&self, id: ObjectId) -> bool {
        self.tables.contains_key(&id)
            || self.index_tables.contains_key(&id)
            || self.sequences.contains_key(&id)
            || self.views.contains_key(&id)
            || self.schemas.contains_key(&id)
    }
}

/// Which versions records have.
fn stamps<T>(entries: &BTreeMap<ObjectId, Entry<T>>) -> impl Iterator<Item = (ObjectId, Version)> {
    entries.iter().map(|(id, entry)| (*id, entry.stamp))
}
