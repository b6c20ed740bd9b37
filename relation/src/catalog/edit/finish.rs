//! What an edit writes, and what it demands of the catalog that it began with.

use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::super::garbage::Garbage;
use super::super::home::Kind;
use super::super::loaded::{Catalog, Entry, Version};
use super::super::{ObjectId, is_temporary, record};
use super::Edit;
use crate::error::SqlResult;
use crate::transaction::Transaction;

/// What a stamp holds: that it is there.
const STAMP: Bytes = Bytes::from_static(&[1]);

/// What an edit is about. Besides what it changes itself it demands:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Generations of tables' data: nothing.
    Data,
    /// Temporary relations alone: that their schemas are there, and what they refer to is as it was.
    Temporary,
    /// The catalog: all of it. What changes nothing has looked for names, too.
    Whole,
}

impl Edit {
    /// Writes the changes as part of `transaction`. Returns the catalog as this transaction sees it from now on;
    /// after it has committed, or was undone, the catalog is to be read anew.
    ///
    /// # Errors
    /// `54000` if there are no more object numbers.
    pub fn finish<D: Database>(mut self, transaction: &mut Transaction<D>) -> SqlResult<Catalog> {
        let home = self.catalog.home;
        let extent = self.extent();
        self.touched.extend(std::mem::take(&mut self.renewed).into_iter().map(|id| (Kind::Table, id)));
        self.expect_touched(transaction);
        for mut garbage in std::mem::take(&mut self.garbage) {
            garbage.id = match extent {
                Extent::Data => self.generation_of(&garbage),
                // There are enough of them, or it would be an edit of the whole catalog.
                Extent::Temporary => self.numbers.draw().map_or_else(|| self.new_id(), Ok)?,
                Extent::Whole => self.new_id()?,
            };
            transaction.put(home.record(Kind::Garbage, garbage.id), record::encode(&garbage));
        }
        match extent {
            Extent::Data => {}
            Extent::Temporary => {
                self.expect_surroundings(transaction);
                // Nothing is demanded of it, so nobody is in another one's way.
                transaction.put(home.record(Kind::Temporary, 0), STAMP);
                self.catalog.temporary = None;
            }
            Extent::Whole => {
                self.catalog.expect_root(transaction);
                if self.catalog.stamp == Some(Stamp::NONE) {
                    // The first change of the database: what it had from the start is not stored yet.
                    self.touched.extend(self.catalog.schemas.keys().map(|id| (Kind::Schema, *id)));
                }
                transaction.put(home.record(Kind::Root, 0), record::encode(&self.catalog.root));
                self.catalog.stamp = None;
            }
        }
        for (kind, id) in &self.touched {
            self.write(transaction, *kind, *id);
        }
        Ok(self.catalog)
    }

    fn extent(&self) -> Extent {
        if self.touched.is_empty() && !self.renewed.is_empty() {
            return Extent::Data;
        }
        let renewed = self.renewed.iter().map(|id| (Kind::Table, *id));
        let mut touched = self.touched.iter().copied().chain(renewed);
        let is_stored = self.catalog.stamp != Some(Stamp::NONE);
        let took_none = self.catalog.root.next_object == self.before.next_object;
        let can_number = self.numbers.left() as usize >= self.garbage.len();
        match !self.touched.is_empty() && is_stored && took_none && can_number {
            true if touched.all(|(kind, id)| self.is_of_sessions(kind, id)) => Extent::Temporary,
            _ => Extent::Whole,
        }
    }

    /// Whether something is a session's, and was.
    fn is_of_sessions(&self, kind: Kind, id: ObjectId) -> bool {
        let mut schemas = self.schemas_of(kind, id).into_iter().flatten();
        let named = |id| self.before.schemas.get(&id).or_else(|| self.catalog.schemas.get(&id));
        schemas.all(|id| named(id).is_some_and(|schema| is_temporary(&schema.value.name)))
    }

    /// The schema that something was in before, and the one that it is in now.
    fn schemas_of(&self, kind: Kind, id: ObjectId) -> [Option<ObjectId>; 2] {
        let (before, now) = (&self.before, &self.catalog);
        match kind {
            Kind::Table => [&before.tables, &now.tables].map(|all| Some(all.get(&id)?.value.schema)),
            Kind::Sequence => [&before.sequences, &now.sequences].map(|all| Some(all.get(&id)?.value.schema)),
            Kind::View => [&before.views, &now.views].map(|all| Some(all.get(&id)?.value.schema)),
            _ => [Some(id), None],
        }
    }

    /// Demands that all that was changed is still what it was before: not all edits write the root.
    fn expect_touched<D: Database>(&self, transaction: &mut Transaction<D>) {
        for (kind, id) in &self.touched {
            self.expect(transaction, *kind, *id);
        }
    }

    fn expect<D: Database>(&self, transaction: &mut Transaction<D>, kind: Kind, id: ObjectId) {
        if let Some(stamp) = self.version_before(kind, id).filter(|stamp| *stamp != Stamp::NONE) {
            transaction.expect(self.catalog.home.record(kind, id), stamp);
        }
    }

    fn version_before(&self, kind: Kind, id: ObjectId) -> Version {
        match kind {
            Kind::Schema => self.before.schemas.get(&id).and_then(|entry| entry.stamp),
            Kind::Table => self.before.tables.get(&id).and_then(|entry| entry.stamp),
            Kind::Sequence => self.before.sequences.get(&id).and_then(|entry| entry.stamp),
            Kind::View => self.before.views.get(&id).and_then(|entry| entry.stamp),
            Kind::Type => self.before.types.get(&id).and_then(|entry| entry.stamp),
            _ => None,
        }
    }

    fn uses_type(&self, kind: Kind, id: ObjectId, ty: ObjectId) -> bool {
        match kind {
            Kind::Table => self.catalog.table_by_id(id).is_some_and(|table| table.uses_type(ty)),
            Kind::View => self.catalog.view_by_id(id).is_some_and(|view| view.uses_type(ty)),
            _ => false,
        }
    }

    /// Demands what an edit of temporary relations goes by: who drops a schema, or the database, must not miss what is
    /// made in it at the same time.
    fn expect_surroundings<D: Database>(&self, transaction: &mut Transaction<D>) {
        for (kind, id) in &self.touched {
            let [_, Some(schema)] = self.schemas_of(*kind, *id) else { continue };
            self.expect(transaction, Kind::Schema, schema);
            let used = self.before.types.keys().filter(|ty| self.uses_type(*kind, *id, **ty));
            used.for_each(|ty| self.expect(transaction, Kind::Type, *ty));
        }
        // Who drops the database writes all schemas.
        match self.before.schemas.values().find(|schema| !is_temporary(&schema.value.name)) {
            Some(schema) => self.expect(transaction, Kind::Schema, schema.value.id),
            None => self.catalog.expect_root(transaction),
        }
        for id in &self.relied {
            let table = self.catalog.index_tables.get(id).unwrap_or(id);
            self.expect(transaction, Kind::Table, *table);
            self.expect(transaction, Kind::View, *id);
            self.expect(transaction, Kind::Sequence, *id);
        }
    }

    /// The generation that has taken garbage's place: a number that no other garbage has.
    fn generation_of(&self, garbage: &Garbage) -> u32 {
        self.catalog.table_by_id(garbage.table()).map_or(0, |table| table.generation)
    }

    fn write<D: Database>(&self, transaction: &mut Transaction<D>, kind: Kind, id: ObjectId) {
        let (catalog, home) = (&self.catalog, self.catalog.home);
        let place = home.record(kind, id);
        match kind {
            Kind::Schema => put(transaction, place, catalog.schemas.get(&id), record::encode),
            Kind::View => put(transaction, place, catalog.views.get(&id), record::encode_view),
            Kind::Type => put(transaction, place, catalog.types.get(&id), record::encode),
            Kind::Sequence => {
                put(transaction, place, catalog.sequences.get(&id), record::encode);
                if !catalog.sequences.contains_key(&id) {
                    transaction.delete(home.sequence_state(id));
                }
            }
            Kind::Table => {
                let entry = catalog.tables.get(&id);
                put(transaction, place, entry, record::encode_table);
                for partition in home.partitions() {
                    match entry {
                        Some(_) => transaction.put(home.stamp(id, partition), STAMP),
                        None => transaction.delete(home.stamp(id, partition)),
                    }
                }
            }
            Kind::Root | Kind::Garbage | Kind::Database | Kind::Load | Kind::Numbers | Kind::Temporary => {}
        }
    }
}

fn put<D: Database, T>(
    transaction: &mut Transaction<D>,
    place: Place,
    entry: Option<&Entry<T>>,
    encode: fn(&T) -> Bytes,
) {
    match entry {
        Some(entry) => transaction.put(place, encode(&entry.value)),
        None => transaction.delete(place),
    }
}
