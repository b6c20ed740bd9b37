//! Foreign keys: what becomes of children when their parents go or change, and parents that must exist.
//!
//! A row's parent is read where it is inserted, so that the commit finds out if somebody deletes the parent at the
//! same time. Who deletes a parent reads the children's range (an index over their columns, or else the whole
//! table), so that the commit finds out if somebody inserts one.

mod children;
mod parents;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};

use children::Sought;
pub(super) use parents::{check_again, check_parents, validate};
pub(super) use values::encoded;
use values::{as_child, columns, refers, type_of};

use super::deferral::{Deferrals, Violation, Violations};
use super::physical::{Physical, Tuple};
use super::write::{Change, Writer};
use super::{Expressions, errors};
use crate::catalog::{Action, ColumnId, Default, ForeignKey, ObjectId, Table};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::Transaction;
use crate::value::{self, CastContext, Env, Row, Value};

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

/// What happens to the children.
const fn action_of<'k>(key: &'k ForeignKey, event: &Event) -> &'k Action {
    if event.new.is_some() { &key.on_update } else { &key.on_delete }
}

/// A foreign key that refuses a parent to go, and the children found.
struct Refusal {
    event: Event,
    children: Vec<Tuple>,
}

/// Lets the foreign keys that refer to changed rows act, until nothing more follows. Returns what deferred ones refuse.
pub(super) async fn act<D: Database, E: Expressions>(
    writer: &mut Writer<'_, E>,
    transaction: &mut Transaction<D>,
    deferrals: &Deferrals,
    patience: Micros,
) -> Outcome<Violations> {
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
        let found = children_of(writer, &events, transaction, patience).await?;
        for (event, children) in events.into_iter().zip(found) {
            let key = foreign_key(writer, &event)?;
            match action_of(&key, &event) {
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
    let mut violations = Violations::default();
    for refusal in &refusals {
        if let Some(violation) = judge(writer, refusal, deferrals)? {
            violations.note(violation);
        }
    }
    Ok(violations)
}

/// The children of each event's parent, as they are before the statement.
async fn children_of<D: Database, E: Expressions>(
    writer: &mut Writer<'_, E>,
    events: &[Event],
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<Vec<Vec<Tuple>>> {
    let mut sought = Vec::with_capacity(events.len());
    for event in events {
        let key = foreign_key(writer, event)?;
        let (parent, child) = (writer.physical(event.parent)?, writer.physical(event.child)?);
        let values = as_child(&parent, &child, &key, &event.old);
        sought.push(Sought { child, key, values });
    }
    children::find(writer.around.catalog, &sought, transaction, patience).await
}

fn foreign_key<E: Expressions>(writer: &mut Writer<'_, E>, event: &Event) -> SqlResult<ForeignKey> {
    let child = writer.physical(event.child)?;
    let missing = || SqlError::new(SqlState::INTERNAL_ERROR, "a foreign key that does not exist");
    child.table().foreign_keys.get(event.key).cloned().ok_or_else(missing)
}

/// What a changed row means for the foreign keys that refer to its table.
fn events_of<E: Expressions>(writer: &mut Writer<'_, E>, place: &Place) -> SqlResult<Vec<Event>> {
    let Some(Change { table, old: Some(old), new, .. }) = writer.changed.get(place).cloned() else {
        return Ok(Vec::new());
    };
    let parent = writer.physical(table)?;
    // A table may be noted that does not refer to this one any more, or is not even there: older versions left that.
    let catalog = writer.around.catalog;
    let is_child = |id: &ObjectId| catalog.table_by_id(*id).is_some_and(|child| child.refers_to(table));
    let children: BTreeSet<ObjectId> = parent.table().referenced_by.iter().copied().filter(is_child).collect();
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
    action: &Action,
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
            let is_set = |id: &ColumnId| action.columns().is_none_or(|columns| columns.contains(id));
            for (id, value) in key.columns.iter().zip(values).filter(|(id, _)| is_set(id)) {
                if let Some(position) = physical.position(*id) {
                    row[position] = value;
                }
            }
            Some(writer.moved(&physical, &child, row)?)
        }
    };
    let place = child.place.clone();
    let old = writer.changed.get(&place).and_then(|change| change.old.clone()).unwrap_or(child);
    writer.changed.insert(place.clone(), Change { table: event.child, old: Some(old), new, overwrites: false });
    Ok(Some(place))
}

/// What a child's columns become.
fn successors<E: Expressions>(
    writer: &Writer<'_, E>,
    parent: &Physical,
    child: &Physical,
    key: &ForeignKey,
    action: &Action,
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
        (Action::SetDefault | Action::SetDefaultOf(_), _) => {
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

/// A parent cannot go while it has children, unless (without `RESTRICT`) another row has taken its key. If that is
/// deferred, this is a violation for now.
fn judge<E: Expressions>(
    writer: &mut Writer<'_, E>,
    refusal: &Refusal,
    deferrals: &Deferrals,
) -> SqlResult<Option<Violation>> {
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
        return Ok(None);
    }
    let may_be_taken = *action_of(&key, event) == Action::NoAction;
    if may_be_taken && is_taken(writer, &parent, &key, event)? {
        return Ok(None);
    }
    if may_be_taken && deferrals.defers(child.table(), &key) {
        let values = as_child(&parent, &child, &key, &event.old).unwrap_or_default();
        return Violation::new(child.table(), &key, values, true).map(Some);
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
