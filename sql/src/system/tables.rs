//! System tables as queries read them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use annulus_relation::{Row, SqlType, Value};

use super::columns::{Shape, shapes};
use super::{constraints, dependencies, information, live, progress, relations, statics, types, views};
use crate::query::Scope;

/// Values of some of a row's columns, by name; the others have their defaults.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// Makes a table's rows.
type Maker = fn(&Scope) -> Vec<Fields>;

/// A system table.
pub(crate) struct Table {
    shape: &'static Shape,
    rows: Option<Maker>,
}

/// By their names, then by their schemas'.
static TABLES: LazyLock<BTreeMap<&'static str, BTreeMap<&'static str, Table>>> = LazyLock::new(|| {
    let mut tables: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for shape in shapes() {
        let table = Table { shape, rows: maker(shape.schema, shape.name) };
        tables.entry(shape.name).or_default().insert(shape.schema, table);
    }
    tables
});

/// The system table of a name.
pub(crate) fn table(schema: &str, name: &str) -> Option<&'static Table> {
    TABLES.get(name)?.get(schema)
}

/// What fills a table; nothing fills those about what this database has not.
fn maker(schema: &str, name: &str) -> Option<Maker> {
    match schema {
        "information_schema" => information::maker(name),
        _ => relations::maker(name)
            .or_else(|| constraints::maker(name))
            .or_else(|| dependencies::maker(name))
            .or_else(|| statics::maker(name))
            .or_else(|| types::maker(name))
            .or_else(|| views::maker(name))
            .or_else(|| live::maker(name))
            .or_else(|| progress::maker(name)),
    }
}

impl Table {
    /// Its columns: names and types.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, SqlType)> + '_ {
        self.shape.columns.iter().map(|column| (column.name, column.ty.clone()))
    }

    /// Its name.
    pub(crate) const fn name(&self) -> &'static str {
        self.shape.name
    }

    /// Its number.
    pub(crate) const fn oid(&self) -> u32 {
        self.shape.oid
    }

    /// Its rows.
    pub(crate) fn rows(&self, scope: &Scope) -> Vec<Row> {
        let rows = self.rows.map(|make| make(scope)).unwrap_or_default();
        rows.into_iter().map(|fields| self.row(fields)).collect()
    }

    fn row(&self, fields: Fields) -> Row {
        let mut row: Row = self.shape.columns.iter().map(super::columns::Column::default).collect();
        for (name, value) in fields {
            let place = self.shape.columns.iter().position(|column| column.name == name);
            debug_assert!(place.is_some(), "{} has no column {name}", self.shape.name);
            if let Some(place) = place {
                row[place] = fitted(value, &self.shape.columns[place].ty);
            }
        }
        row
    }
}

/// A value as its column has it: makers need not care for the width of numbers.
fn fitted(value: Value, ty: &SqlType) -> Value {
    match (value, ty) {
        (Value::Int4(v), SqlType::Int2) => Value::Int2(i16::try_from(v).unwrap_or(i16::MAX)),
        (Value::Int4(v), SqlType::Int8) => Value::Int8(v.into()),
        (Value::Int4(v), SqlType::Float4) => Value::Float4(v as f32),
        (Value::Int8(v), SqlType::Float4) => Value::Float4(v as f32),
        (Value::Bool(v), SqlType::Varchar(_)) => Value::text(if v { "YES" } else { "NO" }),
        (value, _) => value,
    }
}
