//! Which system tables there are, and their columns.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use annulus_relation::{SqlType, Value};

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub ty: SqlType,
    pub not_null: bool,
}

/// A table or view.
#[derive(Debug)]
pub(super) struct Shape {
    pub schema: &'static str,
    pub name: &'static str,
    /// `r` or `v`
    pub kind: &'static str,
    pub oid: u32,
    pub columns: Vec<Column>,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let lines = include_str!("columns.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(shape).collect()
});

/// All system tables.
pub(super) fn shapes() -> &'static [Shape] {
    &SHAPES
}

/// A system table by its number.
pub(super) fn shape_of(oid: u32) -> Option<&'static Shape> {
    static PLACES: LazyLock<BTreeMap<u32, &Shape>> =
        LazyLock::new(|| shapes().iter().map(|shape| (shape.oid, shape)).collect());
    PLACES.get(&oid).copied()
}

fn shape(line: &'static str) -> Option<Shape> {
    let mut fields = line.split('|');
    let (schema, name, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let oid = fields.next()?.parse().ok()?;
    let columns = fields.next()?.split(',').filter_map(column).collect();
    Some(Shape { schema, name, kind, oid, columns })
}

fn column(text: &'static str) -> Option<Column> {
    let (name, ty) = text.split_once(' ')?;
    let (ty, not_null) = ty.strip_suffix('!').map_or((ty, false), |ty| (ty, true));
    Some(Column { name, ty: ty_named(ty)?, not_null })
}

/// A type by its name in the catalog.
fn ty_named(name: &str) -> Option<SqlType> {
    if let Some(element) = name.strip_suffix("[]") {
        return ty_named(element).map(|element| SqlType::Array(Box::new(element)));
    }
    Some(match name {
        "bool" => SqlType::Bool,
        "int2" => SqlType::Int2,
        "int4" => SqlType::Int4,
        "int8" => SqlType::Int8,
        "float4" => SqlType::Float4,
        "float8" => SqlType::Float8,
        "numeric" => SqlType::Numeric(None),
        "text" => SqlType::Text,
        "varchar" => SqlType::Varchar(None),
        "name" => SqlType::Name,
        "char" => SqlType::InternalChar,
        "bytea" => SqlType::Bytea,
        "timestamptz" => SqlType::Timestamptz(None),
        "interval" => SqlType::Interval(None),
        "oid" => SqlType::Oid,
        "regproc" => SqlType::Regproc,
        "regtype" => SqlType::Regtype,
        "int2vector" => SqlType::Int2Vector,
        "oidvector" => SqlType::OidVector,
        _ => return None,
    })
}

impl Column {
    /// What stands in a column that a row says nothing about.
    pub fn default(&self) -> Value {
        if !self.not_null {
            return Value::Null;
        }
        match &self.ty {
            SqlType::Bool => Value::Bool(false),
            SqlType::Int2 => Value::Int2(0),
            SqlType::Int4 => Value::Int4(0),
            SqlType::Int8 => Value::Int8(0),
            SqlType::Float4 => Value::Float4(0.0),
            SqlType::Float8 => Value::Float8(0.0),
            SqlType::Oid | SqlType::Regproc | SqlType::Regtype => Value::Oid(0),
            SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => Value::Array([].into()),
            _ => Value::text(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_read() {
        let lines = include_str!("columns.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.clone().count(), shapes().len());
        for (line, shape) in lines.zip(shapes()) {
            let columns = line.rsplit('|').next().unwrap().split(',').count();
            assert_eq!(columns, shape.columns.len(), "{line}");
        }
    }
}
