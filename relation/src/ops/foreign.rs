//! Foreign keys: what becomes of children when their parents go or change, and parents that must exist.
//!
//! A row's parent is read where it is inserted, so that the commit finds out if somebody deletes the parent at the
//! same time. Who deletes a parent reads the children's range (an index over their columns, or else the whole
//! table), so that the commit finds out if somebody inserts one.

mod children;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};
use bytes::BytesMut;

use super::physical::{Physical, Tuple};
use super::write::{Change, Footprint, Writer};
use super::{Expressions, errors};
use crate::catalog::{Action, Catalog, ColumnId, Default, ForeignKey, IndexKey, KeyPart, ObjectId, Table};
use crate::codec::key::{self, KeyOrder};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::Transaction;
use crate::value::{self, CastContext, Env, Row, SqlType, Value};

/// A parent that went or changed, seen from one foreign key.
#[derive(Clone, Debug)]
struct Event {
    parent: ObjectId,
    child: ObjectId,
    /// The foreign key, by position.
    key: usize,
    /// The columns referred to as they were, and as they will be unless the row goes.
    old: Row,
    new: Option<Row>,
}

/// A foreign key that refuses a parent to go, and the children found.
struct Refusal {
    event: Event,
    children: Vec<Tuple>,
}

/// Lets the foreign keys that refer to changed rows act, until nothing more follows.
pub(super) async fn act<D: Database, E: Expressions>(
    writer: &mut Writer<'_, E>,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let mut wave: BTreeSet<Place> = writer.changed.keys().cloned().collect();
    let mut seen: BTreeMap<(Place, ObjectId, usize), Option<Vec<u8>>> = BTreeMap::new();
    let mut refusals = Vec::new();
    while !wave.is_empty() {
        let mut events = Vec::new();
        for place in std::mem::take(&mut wave) {
            for event in events_of(writer, &place)? {
                let new = event.new.as_ref().map(|new| encoded(new)).transpose()?;
                let before = seen.insert((place.clone(), event.child, event.key), new.clone());
                if before.is_none_or(|before| before != new) {
                    events.push(event);
                }
            }
        }
        let found = children::find(writer, &events, transaction, patience).await?;
        for (event, children) in events.into_iter().zip(found) {
            let key = foreign_key(writer, &event)?;
            match if event.new.is_some() { key.on_update } else { key.on_delete } {
                Action::NoAction | Action::Restrict => refusals.push(Refusal { event, children }),
                action => {
                    for child in children {
                        wave.extend(follow(writer, &event, &key, action, child)?);
                    }
                }
            }
        }
        writer.check_size()?;
    }
    refusals.iter().try_for_each(|refusal| judge(writer, refusal))?;
    Ok(())
}

fn foreign_key<E: Expressions>(writer: &mut Writer<'_, E>, event: &Event) -> SqlResult<ForeignKey> {
    let child = writer.physical(event.child)?;
    let missing = || SqlError::new(SqlState::INTERNAL_ERROR, "a foreign key that does not exist");
    child.table().foreign_keys.get(event.key).cloned().ok_or_else(missing)
}

/// What a changed row means for the foreign keys that refer to its table.
fn events_of<E: Expressions>(writer: &mut Writer<'_, E>, place: &Place) -> SqlResult<Vec<Event>> {
    let Some(Change { table, old: Some(old), new }) = writer.changed.get(place).cloned() else { return Ok(Vec::new()) };
    let parent = writer.physical(table)?;
    let children: BTreeSet<ObjectId> = parent.table().referenced_by.iter().copied().collect();
    let mut events = Vec::new();
    for child in children {
        let keys = &writer.physical(child)?.table().foreign_keys.clone();
        for (position, key) in keys.iter().enumerate().filter(|(_, key)| key.parent == table) {
            let before = columns(&parent, &key.parent_columns, &old.values);
            let after = new.as_ref().map(|new| columns(&parent, &key.parent_columns, &new.values));
            let stays = match &after {
                Some(after) => encoded(after)? == encoded(&before)?,
                None => false,
            };
            if !stays && !before.iter().any(Value::is_null) {
                events.push(Event { parent: table, child, key: position, old: before, new: after });
            }
        }
    }
    Ok(events)
}

/// Changes a child as its foreign key says; returns where it is if it did change.
fn follow<E: Expressions>(
    writer: &mut Writer<'_, E>,
    event: &Event,
    key: &ForeignKey,
    action: Action,
    child: Tuple,
) -> SqlResult<Option<Place>> {
    let (parent, physical) = (writer.physical(event.parent)?, writer.physical(event.child)?);
    let Some(current) = current(writer, &child) else { return Ok(None) };
    if !refers(&parent, &physical, key, &current, &event.old)? {
        return Ok(None);
    }
    let new = match (action, &event.new) {
        (Action::Cascade, None) => None,
        (action, new) => {
            let values = successors(writer, &parent, &physical, key, action, new.as_deref())?;
            let mut row = current;
            for (id, value) in key.columns.iter().zip(values) {
                if let Some(position) = physical.position(*id) {
                    row[position] = value;
                }
            }
            Some(writer.moved(&physical, &child, row)?)
        }
    };
    let place = child.place.clone();
    let old = writer.changed.get(&place).and_then(|change| change.old.clone()).unwrap_or(child);
    writer.changed.insert(place.clone(), Change { table: event.child, old: Some(old), new });
    Ok(Some(place))
}

/// What a child's columns become.
fn successors<E: Expressions>(
    writer: &Writer<'_, E>,
    parent: &Physical,
    child: &Physical,
    key: &ForeignKey,
    action: Action,
    new: Option<&[Value]>,
) -> SqlResult<Row> {
    let types = || key.columns.iter().zip(&key.parent_columns);
    match (action, new) {
        (Action::Cascade, Some(new)) => {
            let cast = |((id, parent_id), value): ((&ColumnId, &ColumnId), &Value)| {
                let (from, to) = (type_of(parent.table(), *parent_id), type_of(child.table(), *id));
                value::cast(value.clone(), &from, &to, CastContext::Assignment, &Env::default())
            };
            types().zip(new).map(cast).collect()
        }
        (Action::SetDefault, _) => {
            key.columns.iter().map(|id| default_of(writer.around.expressions, child.table(), *id)).collect()
        }
        _ => Ok(vec![Value::Null; key.columns.len()]),
    }
}

fn default_of<E: Expressions>(expressions: &E, table: &Table, id: ColumnId) -> SqlResult<Value> {
    let column = table.columns.iter().find(|column| column.id == id);
    match column.and_then(|column| Some((column, column.default.as_ref()?))) {
        Some((column, Default::Expression(text))) => {
            let nothing = vec![Value::Null; table.columns.len()];
            expressions.eval(table, text, &column.ty, &nothing)
        }
        _ => Ok(Value::Null),
    }
}

/// A row as the statement has changed it so far; `None` if it goes.
fn current<E>(writer: &Writer<'_, E>, row: &Tuple) -> Option<Row> {
    match writer.changed.get(&row.place) {
        Some(change) => change.new.as_ref().map(|new| new.values.clone()),
        None => Some(row.values.clone()),
    }
}

/// A parent cannot go while it has children, unless (without `RESTRICT`) another row has taken its key.
fn judge<E: Expressions>(writer: &mut Writer<'_, E>, refusal: &Refusal) -> SqlResult<()> {
    let event = &refusal.event;
    let key = foreign_key(writer, event)?;
    let (parent, child) = (writer.physical(event.parent)?, writer.physical(event.child)?);
    let mut refers_still = false;
    for row in &refusal.children {
        if let Some(current) = current(writer, row) {
            refers_still |= refers(&parent, &child, &key, &current, &event.old)?;
        }
    }
    if !refers_still {
        return Ok(());
    }
    let action = if event.new.is_some() { key.on_update } else { key.on_delete };
    if action == Action::NoAction && is_taken(writer, &parent, &key, event)? {
        return Ok(());
    }
    Err(errors::still_referenced(writer.around.catalog, parent.table(), &key, child.table(), &event.old))
}

/// Whether a row of the statement has the key that a parent had.
fn is_taken<E>(writer: &Writer<'_, E>, parent: &Physical, key: &ForeignKey, event: &Event) -> SqlResult<bool> {
    let wanted = encoded(&event.old)?;
    let changes = writer.changed.values().chain(&writer.inserted).filter(|change| change.table == event.parent);
    for new in changes.filter_map(|change| change.new.as_ref()) {
        if encoded(&columns(parent, &key.parent_columns, &new.values))? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses rows whose parent does not exist when the statement is over.
pub(super) async fn check_parents<D: Database, E: Expressions>(
    writer: &Writer<'_, E>,
    footprint: &Footprint,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let mut orphans = Vec::new();
    for change in writer.changed.values().chain(&writer.inserted) {
        let (Some(new), Some(child)) = (&change.new, writer.tables.get(&change.table)) else { continue };
        for key in &child.table().foreign_keys {
            let values = columns(child, &key.columns, &new.values);
            let old = change.old.as_ref().map(|old| columns(child, &key.columns, &old.values));
            let had_parent = old.is_some_and(|old| old == values);
            orphans.push(Orphan { child: child.table(), key, values, had_parent });
        }
    }
    require(writer.around.catalog, orphans, footprint, transaction, patience).await
}

/// Refuses rows that were there before a foreign key and have no parent.
pub(super) async fn validate<D: Database>(
    catalog: &Catalog,
    child: &Physical,
    key: &ForeignKey,
    rows: &[Tuple],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let orphan = |row: &Tuple| {
        let values = columns(child, &key.columns, &row.values);
        Orphan { child: child.table(), key, values, had_parent: false }
    };
    let orphans = rows.iter().map(orphan).collect();
    require(catalog, orphans, &Footprint::default(), transaction, patience).await
}

/// A row that needs a parent.
struct Orphan<'a> {
    child: &'a Table,
    key: &'a ForeignKey,
    values: Row,
    /// Whether it referred to the same parent before the statement: then only the statement itself can have taken it.
    had_parent: bool,
}

/// Every row must have its parent, among those that the statement takes or those that are there.
async fn require<D: Database>(
    catalog: &Catalog,
    orphans: Vec<Orphan<'_>>,
    footprint: &Footprint,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<()> {
    let mut parents: BTreeMap<ObjectId, Physical> = BTreeMap::new();
    let mut wanted: BTreeMap<Place, Orphan<'_>> = BTreeMap::new();
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
                wanted.entry(place).or_insert(orphan);
            }
            _ => return Err(orphan.error(catalog)?.into()),
        }
    }
    let places: Vec<Place> = wanted.keys().cloned().collect();
    if places.is_empty() {
        return Ok(());
    }
    let found = transaction.get(&places, patience).await?;
    match wanted.values().zip(found).find(|(_, found)| found.is_none()) {
        Some((orphan, _)) => Err(orphan.error(catalog)?.into()),
        None => Ok(()),
    }
}

fn no_such_table() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "a foreign key refers to a table that does not exist")
}

impl Orphan<'_> {
    fn error(&self, catalog: &Catalog) -> SqlResult<SqlError> {
        let parent = catalog.table_by_id(self.key.parent).ok_or_else(no_such_table)?;
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
        index.unique && index.predicate.is_none() && all.is_some_and(|all| all == wanted)
    })
}

/// Whether a child's row refers to a parent that had these values.
fn refers(parent: &Physical, child: &Physical, key: &ForeignKey, row: &[Value], old: &[Value]) -> SqlResult<bool> {
    let own = columns(child, &key.columns, row);
    match as_child(parent, child, key, old) {
        Some(wanted) => Ok(!own.iter().any(Value::is_null) && encoded(&own)? == encoded(&wanted)?),
        None => Ok(false),
    }
}

/// A parent's values as ones of the child's types; `None` if no child can have them.
fn as_child(parent: &Physical, child: &Physical, key: &ForeignKey, values: &[Value]) -> Option<Row> {
    let pairs = key.columns.iter().zip(&key.parent_columns).zip(values);
    let convert = |((id, parent_id), value): ((&ColumnId, &ColumnId), &Value)| {
        exactly(value, &type_of(parent.table(), *parent_id), &type_of(child.table(), *id))
    };
    pairs.map(convert).collect()
}

/// The equal value of another type, if there is one.
fn exactly(value: &Value, from: &SqlType, to: &SqlType) -> Option<Value> {
    if from.base() == to.base() {
        return Some(value.clone());
    }
    let (env, explicit) = (Env::default(), CastContext::Explicit);
    let there = value::cast(value.clone(), from, &to.base(), explicit, &env).ok()?;
    let back = value::cast(there.clone(), &to.base(), from, explicit, &env).ok()?;
    value::compare(&back, value).is_eq().then_some(there)
}

fn type_of(table: &Table, id: ColumnId) -> SqlType {
    table.columns.iter().find(|column| column.id == id).map_or(SqlType::Unknown, |column| column.ty.clone())
}

fn columns(physical: &Physical, ids: &[ColumnId], row: &[Value]) -> Row {
    ids.iter().map(|id| physical.column(row, *id).cloned().unwrap_or(Value::Null)).collect()
}

/// Bytes that are equal where the values are.
fn encoded(values: &[Value]) -> SqlResult<Vec<u8>> {
    let mut out = BytesMut::new();
    values.iter().try_for_each(|value| key::put(&mut out, value, KeyOrder::default()))?;
    Ok(out.to_vec())
}
