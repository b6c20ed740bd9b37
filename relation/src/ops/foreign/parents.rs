//! Parents that must exist.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};

use super::children::{self, Sought};
use super::values::{columns, exactly, type_of};
use crate::catalog::{Catalog, ColumnId, ForeignKey, IndexKey, KeyPart, ObjectId, Table};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::ops::deferral::{Deferrals, Violation};
use crate::ops::physical::{Physical, Tuple};
use crate::ops::write::{Footprint, Writer};
use crate::ops::{Expressions, errors};
use crate::transaction::Transaction;
use crate::value::{Row, Value};

/// Refuses rows whose parent does not exist when the statement is over. Returns what is deferred of that.
pub(in crate::ops) async fn check_parents<D: Database, E: Expressions>(
    writer: &Writer<'_, E>,
    footprint: &Footprint,
    transaction: &mut Transaction<D>,
    deferrals: &Deferrals,
    patience: Micros,
) -> Outcome<Vec<Violation>> {
    let mut orphans = Vec::new();
    for change in writer.changed.values().chain(&writer.inserted) {
        let (Some(new), Some(child)) = (&change.new, writer.tables.get(&change.table)) else { continue };
        for key in &child.table().foreign_keys {
            let values = columns(child, &key.columns, &new.values);
            let old = change.old.as_ref().map(|old| columns(child, &key.columns, &old.values));
            let had_parent = old.is_some_and(|old| old == values);
            orphans.push(Orphan { child: child.table(), key, values, had_parent, parent_went: false });
        }
    }
    let catalog = writer.around.catalog;
    let mut violations = Vec::new();
    for orphan in missing(catalog, orphans, footprint, transaction, patience).await? {
        if !deferrals.defers(orphan.child, orphan.key) {
            return Err(orphan.error(catalog)?.into());
        }
        violations.push(Violation::new(orphan.child, orphan.key, orphan.values, false)?);
    }
    Ok(violations)
}

/// Refuses what still has children, but no parent.
pub(in crate::ops) async fn check_again<D: Database>(
    catalog: &Catalog,
    due: &[&Violation],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let orphan = |violation: &&&Violation| {
        let child = catalog.table_by_id(violation.child)?;
        let (key, values) = (violation.key_of(child)?, violation.values.clone());
        Some(Orphan { child, key, values, had_parent: false, parent_went: violation.parent_went })
    };
    let orphans = due.iter().filter_map(|violation| orphan(&violation)).collect();
    let orphans = missing(catalog, orphans, &Footprint::default(), transaction, patience).await?;
    let mut sought = Vec::with_capacity(orphans.len());
    for orphan in &orphans {
        let child =
            Arc::new(Physical::new(*catalog.home(), catalog.table_by_id(orphan.child.id).ok_or_else(no_such_table)?)?);
        sought.push(Sought { child, key: orphan.key.clone(), values: Some(orphan.values.clone()) });
    }
    let found = children::find(catalog, &sought, transaction, patience).await?;
    match orphans.iter().zip(found).find(|(_, children)| !children.is_empty()) {
        Some((orphan, _)) => Err(orphan.error(catalog)?.into()),
        None => Ok(()),
    }
}

/// Refuses rows that were there before a foreign key and have no parent.
pub(in crate::ops) async fn validate<D: Database>(
    catalog: &Catalog,
    child: &Physical,
    key: &ForeignKey,
    rows: &[Tuple],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let orphan = |row: &Tuple| {
        let values = columns(child, &key.columns, &row.values);
        Orphan { child: child.table(), key, values, had_parent: false, parent_went: false }
    };
    let orphans = rows.iter().map(orphan).collect();
    match missing(catalog, orphans, &Footprint::default(), transaction, patience).await?.first() {
        Some(orphan) => Err(orphan.error(catalog)?.into()),
        None => Ok(()),
    }
}

/// A row that needs a parent.
struct Orphan<'a> {
    child: &'a Table,
    key: &'a ForeignKey,
    values: Row,
    /// Whether it referred to the same parent before the statement: then only the statement itself can have taken it.
    had_parent: bool,
    /// Whether the parent went, rather than the row came.
    parent_went: bool,
}

/// The rows that have no parent, neither among those that the statement takes nor among those that are there; of
/// several that miss one parent, one.
async fn missing<'o, D: Database>(
    catalog: &Catalog,
    orphans: Vec<Orphan<'o>>,
    footprint: &Footprint,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<Vec<Orphan<'o>>> {
    let mut parents: BTreeMap<ObjectId, Physical> = BTreeMap::new();
    let mut wanted: BTreeMap<(Place, (ObjectId, &[ColumnId])), Orphan<'_>> = BTreeMap::new();
    let mut without = Vec::new();
    for orphan in orphans.into_iter().filter(|orphan| !orphan.values.iter().any(Value::is_null)) {
        let id = orphan.key.parent;
        let parent = match parents.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let table = catalog.table_by_id(id).ok_or_else(no_such_table)?;
                free.insert(Physical::new(*catalog.home(), table)?)
            }
        };
        match orphan.parent_place(parent)? {
            Some(place) if footprint.taken.contains_key(&place) => {}
            Some(place) if !footprint.left.contains_key(&place) => {
                if orphan.had_parent {
                    continue;
                }
                catalog.expect_table(transaction, id, place.partition);
                wanted.entry((place, (orphan.child.id, &orphan.key.columns))).or_insert(orphan);
            }
            _ => without.push(orphan),
        }
    }
    // Those of one place stand together.
    let mut places: Vec<Place> = wanted.keys().map(|(place, _)| place.clone()).collect();
    places.dedup();
    if !places.is_empty() {
        let found = transaction.get(&places, patience).await?;
        let absent: BTreeSet<Place> =
            places.into_iter().zip(found).filter_map(|(place, found)| found.is_none().then_some(place)).collect();
        without.extend(wanted.into_iter().filter(|((place, _), _)| absent.contains(place)).map(|(_, orphan)| orphan));
    }
    Ok(without)
}

fn no_such_table() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "a foreign key refers to a table that does not exist")
}

impl Orphan<'_> {
    fn error(&self, catalog: &Catalog) -> SqlResult<SqlError> {
        let parent = catalog.table_by_id(self.key.parent).ok_or_else(no_such_table)?;
        if self.parent_went {
            return Ok(errors::still_referenced(catalog, parent, self.key, self.child, &self.values));
        }
        Ok(errors::no_parent(catalog, self.child, self.key, parent, &self.values))
    }

    /// Where the parent must be; `None` if no parent can have these values.
    fn parent_place(&self, parent: &Physical) -> SqlResult<Option<Place>> {
        let (key, table) = (self.key, parent.table());
        let Some(index) = referenced_index(table, &key.parent_columns) else {
            let message = format!("there is no unique constraint for foreign key \"{}\"", key.name);
            return Err(SqlError::new(SqlState::DATA_CORRUPTED, message));
        };
        let value = |part: &IndexKey| {
            let at = key.parent_columns.iter().position(|id| part.part == KeyPart::Column(*id))?;
            let (from, to) = (type_of(self.child, *key.columns.get(at)?), type_of(table, key.parent_columns[at]));
            exactly(self.values.get(at)?, &from, &to)
        };
        let keys: Option<Row> = table.indexes[index].keys.iter().map(value).collect();
        keys.map(|keys| parent.key_place(index, &keys)).transpose()
    }
}

/// The unique index over just these columns, by position.
fn referenced_index(table: &Table, columns: &[ColumnId]) -> Option<usize> {
    let wanted: BTreeSet<ColumnId> = columns.iter().copied().collect();
    table.indexes.iter().position(|index| {
        let all: Option<BTreeSet<ColumnId>> = index
            .keys
            .iter()
            .map(|key| match key.part {
                KeyPart::Column(id) => Some(id),
                KeyPart::Expression(..) => None,
            })
            .collect();
        index.is_unique() && index.predicate.is_none() && all.is_some_and(|all| all == wanted)
    })
}
