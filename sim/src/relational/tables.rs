//! The tables of simulated sessions, and how a session gets at them.
//!
//! `parents (id, code unique, duty)` and `children (id, parent references parents, kind)`, all integers. What their
//! rows must always keep, besides what the schema says, is told by `audit`. `notes (number, owner, kind)` has no primary
//! key, but may be given one over its numbers, which are not always unique. `settings (id, value, kind)` has nothing but a
//! primary key, as long as it is given no index: then its rows are overwritten unseen.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use annulus_base::Timestamp;
use annulus_base::time::Micros;
use annulus_relation::catalog::{
    Action, Catalog, Column, ColumnId, ConstraintKind, Deferral, Edit, ForeignKey, Home, Index, IndexKey, IndexState,
    KeyPart, NotNull, ObjectId, PUBLIC, Remarks, Standing, Table, Unique, load,
};
use annulus_relation::failure::Outcome;
use annulus_relation::ops::{Expressions, Physical, Surroundings};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::value::{CastContext, Env, cast};
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::When;

use super::line::SimDatabase;

/// The name of the table that is referred to.
pub(super) const PARENTS: &str = "parents";
/// The name of the table that refers to it.
pub(super) const CHILDREN: &str = "children";
/// The name of the table without a primary key.
pub(super) const NOTES: &str = "notes";
/// The name of the table whose rows are overwritten.
pub(super) const SETTINGS: &str = "settings";
/// Positions of the columns of [`PARENTS`].
pub(super) const CODE: usize = 1;
/// Whether somebody is on duty: of a pair of parents, one is.
pub(super) const DUTY: usize = 2;
/// Positions of the columns of [`CHILDREN`].
pub(super) const PARENT: usize = 1;
/// Of which kind a child, or a setting, is.
pub(super) const KIND: usize = 2;
/// Positions of the columns of [`SETTINGS`].
pub(super) const VALUE: usize = 1;
/// Positions of the columns of [`NOTES`].
pub(super) const NUMBER: usize = 0;
/// Whose note it is.
pub(super) const OWNER: usize = 1;
/// How many columns each table has at first.
pub(super) const COLUMNS: usize = 3;

/// The schema stores no expressions; a column that is given nothing has its number.
pub(super) struct NoExpressions;

impl Expressions for NoExpressions {
    fn eval(&self, _: &Table, expression: &str, _: &SqlType, _: &[Value]) -> SqlResult<Value> {
        Err(SqlError::unsupported(expression))
    }

    /// A column, by its name.
    fn convert(&self, table: &Table, expression: &str, ty: &SqlType, row: &[Value]) -> SqlResult<Value> {
        let column = table.columns.iter().zip(row).find(|(column, _)| column.name == expression);
        let (column, value) = column.ok_or_else(|| SqlError::unsupported(expression))?;
        cast(value.clone(), &column.ty, ty, CastContext::Assignment, &Env::default())
    }

    fn default(&self, _: &Table, column: &Column) -> SqlResult<Value> {
        Ok(Value::Int4(column.id.into()))
    }
}

/// The catalog that the sessions of a node have cached.
#[derive(Clone, Debug, Default)]
pub struct Cached(Rc<RefCell<Option<Arc<Catalog>>>>);

/// What a session works with.
#[derive(Clone, Debug)]
pub struct Session {
    /// The way to the node.
    pub db: SimDatabase,
    /// The node's cached catalog.
    pub cached: Cached,
    /// The database.
    pub home: Home,
    /// The priority of its transaction.
    pub start: Timestamp,
    /// How long a request may take.
    pub patience: Micros,
}

impl Session {
    /// The catalog, from the cache if it is there.
    pub(super) async fn catalog(&self) -> Outcome<Arc<Catalog>> {
        if let Some(cached) = self.cached.0.borrow().clone() {
            return Ok(cached);
        }
        self.fresh_catalog().await
    }

    /// The catalog as it is now.
    pub(super) async fn fresh_catalog(&self) -> Outcome<Arc<Catalog>> {
        let loaded = Arc::new(load(&self.db.aside(), self.home, When::Latest, self.patience).await?);
        *self.cached.0.borrow_mut() = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Something has changed that may be in the cache.
    pub(super) fn forget(&self) {
        *self.cached.0.borrow_mut() = None;
    }

    /// A transaction of this session.
    pub(super) fn transaction(&self, mode: Mode) -> Transaction<SimDatabase> {
        Transaction::new(self.db.clone(), mode, self.start)
    }
}

/// What operations on rows need.
pub(super) fn around(catalog: &Catalog) -> Surroundings<'_, NoExpressions> {
    Surroundings { catalog, expressions: &NoExpressions }
}

/// A table by name; `None` before it was created.
pub(super) fn physical(catalog: &Catalog, name: &str) -> SqlResult<Option<Arc<Physical>>> {
    let table = catalog.table(PUBLIC, name);
    table.map(|table| Physical::new(*catalog.home(), table).map(Arc::new)).transpose()
}

/// Parents, children, notes and settings; `None` before they were created.
pub(super) fn all(catalog: &Catalog) -> SqlResult<Option<[Arc<Physical>; 4]>> {
    let mut tables = Vec::with_capacity(4);
    for name in [PARENTS, CHILDREN, NOTES, SETTINGS] {
        tables.extend(physical(catalog, name)?);
    }
    Ok(tables.try_into().ok())
}

/// Creates all tables.
pub(super) fn create(catalog: &Catalog, on_delete: Action, deferral: Deferral) -> SqlResult<Edit> {
    let mut edit = Edit::new(catalog);
    let mut parents = table(&mut edit, PARENTS, ["id", "code", "duty"])?;
    add_index(&mut edit, &mut parents, "parents_code_key", CODE, Some(ConstraintKind::Unique))?;
    let mut children = table(&mut edit, CHILDREN, ["id", "parent", "kind"])?;
    add_index(&mut edit, &mut children, "children_parent", PARENT, None)?;
    children.foreign_keys.push(ForeignKey {
        name: "children_parent_fkey".to_owned(),
        columns: vec![children.columns[PARENT].id],
        parent: parents.id,
        parent_columns: vec![parents.columns[0].id],
        on_delete,
        on_update: Action::NoAction,
        standing: Standing::new(true).with_deferral(deferral),
    });
    parents.referenced_by.push(children.id);
    edit.put_table(parents)?;
    edit.put_table(children)?;
    create_notes(&mut edit)?;
    let settings = table(&mut edit, SETTINGS, ["id", "value", "kind"])?;
    edit.put_table(settings)?;
    Ok(edit)
}

/// Creates the table without a primary key.
pub(super) fn create_notes(edit: &mut Edit) -> SqlResult<()> {
    let mut notes = table(edit, NOTES, ["number", "owner", "kind"])?;
    notes.columns[NUMBER].not_null = NotNull::No;
    (notes.indexes[0].keys, notes.indexes[0].constraint) = (Vec::new(), None);
    add_index(edit, &mut notes, "notes_owner", OWNER, None)?;
    edit.put_table(notes)
}

fn table(edit: &mut Edit, name: &str, columns: [&str; COLUMNS]) -> SqlResult<Table> {
    let columns: Vec<Column> = columns.iter().zip(1..).map(|(name, id)| column(id, name, None)).collect();
    let mut table = Table {
        id: edit.new_id()?,
        schema: PUBLIC,
        name: name.to_owned(),
        generation: 0,
        next_column: columns.len() as ColumnId + 1,
        columns,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        comment: None,
        remarks: Remarks::new(),
    };
    table.columns[0].not_null = NotNull::Yes;
    add_index(edit, &mut table, &format!("{name}_pkey"), 0, Some(ConstraintKind::PrimaryKey))?;
    Ok(table)
}

/// An integer column; rows that are older than it have `missing` there.
pub(super) fn column(id: ColumnId, name: &str, missing: Option<Vec<u8>>) -> Column {
    Column {
        id,
        name: name.to_owned(),
        ty: SqlType::Int4,
        not_null: NotNull::No,
        default: None,
        missing,
        comment: None,
    }
}

/// Adds an index over a column.
pub(super) fn add_index(
    edit: &mut Edit,
    table: &mut Table,
    name: &str,
    column: usize,
    constraint: Option<ConstraintKind>,
) -> SqlResult<ObjectId> {
    let id = edit.new_id()?;
    let key = IndexKey { part: KeyPart::Column(table.columns[column].id), descending: false, nulls_first: false };
    table.indexes.push(Index {
        id,
        name: name.to_owned(),
        unique: Unique::new(constraint.is_some()),
        keys: vec![key],
        include: Vec::new(),
        predicate: None,
        constraint,
        state: IndexState::Ready,
        comment: None,
    });
    Ok(id)
}

/// The number in a column; `None` for NULL.
pub(super) fn int(row: &[Value], position: usize) -> Option<i32> {
    match row.get(position) {
        Some(Value::Int4(number)) => Some(*number),
        Some(Value::Int8(number)) => i32::try_from(*number).ok(),
        _ => None,
    }
}

/// A number as a value of a column, whose type may have been changed.
pub(super) fn typed(table: &Table, position: usize, number: i32) -> Value {
    match table.columns.get(position).map(|column| &column.ty) {
        Some(SqlType::Int8) => Value::Int8(number.into()),
        _ => Value::Int4(number),
    }
}

/// A row of these values; columns that were added later get 0.
pub(super) fn row(values: [i32; COLUMNS], physical: &Physical) -> Vec<Value> {
    let table = physical.table();
    let mut row: Vec<Value> = values.into_iter().zip(0..).map(|(value, at)| typed(table, at, value)).collect();
    row.resize(physical.table().columns.len(), Value::Int4(0));
    row
}
