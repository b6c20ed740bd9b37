//! Types.

use std::sync::{Arc, LazyLock};

use annulus_relation::catalog::{Enumeration, Label};
use annulus_relation::{SqlType, Value};

use super::relations::text;
use super::tables::Fields;
use super::{OWNER, PG_CATALOG};
use crate::query::Scope;

/// What fills a table, if it is this one.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_type" => rows,
        "pg_enum" => labels,
        _ => return None,
    })
}

/// How values of a type would be stored by PostgreSQL.
pub(super) struct Storage {
    pub length: i32,
    pub by_value: bool,
    pub align: &'static str,
    pub storage: &'static str,
    pub collation: u32,
}

/// A line of PostgreSQL's table of types.
struct Type {
    oid: u32,
    fields: Vec<&'static str>,
}

/// In the order of `types.txt`, behind `oid`.
const COLUMNS: [&str; 13] = [
    "typname",
    "typlen",
    "typbyval",
    "typtype",
    "typcategory",
    "typispreferred",
    "typdelim",
    "typelem",
    "typarray",
    "typalign",
    "typstorage",
    "typbasetype",
    "typcollation",
];

static TYPES: LazyLock<Vec<Type>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (oid, rest) = line.split_once('|')?;
        Some(Type { oid: oid.parse().ok()?, fields: rest.split('|').collect() })
    };
    include_str!("types.txt").lines().filter_map(line).collect()
});

fn find(oid: u32) -> Option<&'static Type> {
    TYPES.iter().find(|ty| ty.oid == oid)
}

impl Type {
    fn get(&self, column: &str) -> &'static str {
        let place = COLUMNS.iter().position(|name| *name == column);
        place.and_then(|place| self.fields.get(place)).copied().unwrap_or_default()
    }
}

/// The name of a type in the catalog (`int4`, `_text`).
pub(crate) fn type_name(ty: &SqlType) -> String {
    find(ty.oid()).map_or_else(|| ty.catalog_name(), |ty| ty.get("typname").to_owned())
}

/// The name of a type of that number, whether it is supported or not.
pub(super) fn catalog_name(oid: u32) -> Option<&'static str> {
    find(oid).map(|ty| ty.get("typname"))
}

/// How PostgreSQL would store values of a type.
pub(super) fn storage(ty: &SqlType) -> Storage {
    if matches!(ty, SqlType::Enum(_)) {
        return Storage { length: 4, by_value: true, align: "i", storage: "p", collation: 0 };
    }
    let Some(ty) = find(ty.oid()) else {
        return Storage { length: -1, by_value: false, align: "i", storage: "x", collation: 0 };
    };
    Storage {
        length: ty.get("typlen").parse().unwrap_or(-1),
        by_value: ty.get("typbyval") == "t",
        align: ty.get("typalign"),
        storage: ty.get("typstorage"),
        collation: ty.get("typcollation").parse().unwrap_or(0),
    }
}

/// The function that reads arrays: clients tell by it which types are arrays.
pub(super) const ARRAY_IN: u32 = 750;

fn rows(scope: &Scope) -> Vec<Fields> {
    let made = scope.catalog.types().into_iter().flat_map(|ty| made_rows(&ty));
    TYPES.iter().map(row).chain(made).collect()
}

/// An enumeration, and the type of its arrays.
fn made_rows(ty: &Enumeration) -> [Fields; 2] {
    let array = ty.id + 1;
    let common = |oid: u32, name: String, array_of: u32| {
        vec![
            ("oid", Value::Oid(oid)),
            ("typname", text(name)),
            ("typnamespace", Value::Oid(ty.schema)),
            ("typowner", Value::Oid(OWNER)),
            ("typlen", Value::Int4(if array_of == 0 { 4 } else { -1 })),
            ("typbyval", Value::Bool(array_of == 0)),
            ("typtype", text(if array_of == 0 { "e" } else { "b" })),
            ("typcategory", text(if array_of == 0 { "E" } else { "A" })),
            ("typisdefined", Value::Bool(true)),
            ("typdelim", text(",")),
            ("typelem", Value::Oid(array_of)),
            ("typarray", Value::Oid(if array_of == 0 { array } else { 0 })),
            ("typinput", Value::Oid(if array_of == 0 { 0 } else { ARRAY_IN })),
            ("typalign", text("i")),
            ("typstorage", text(if array_of == 0 { "p" } else { "x" })),
            ("typtypmod", Value::Int4(-1)),
        ]
    };
    [common(ty.id, ty.name.clone(), 0), common(array, format!("_{}", ty.name), ty.id)]
}

/// The labels of enumerations.
fn labels(scope: &Scope) -> Vec<Fields> {
    let of_type = |ty: Arc<Enumeration>| {
        let row = |(place, label): (usize, &Label)| {
            #[expect(clippy::cast_precision_loss, reason = "no type has so many labels")]
            let order = (place + 1) as f32;
            vec![
                ("oid", Value::Oid(label.id)),
                ("enumtypid", Value::Oid(ty.id)),
                ("enumsortorder", Value::Float4(order)),
                ("enumlabel", text(&label.name)),
            ]
        };
        ty.labels.iter().enumerate().map(row).collect::<Vec<_>>()
    };
    scope.catalog.types().into_iter().flat_map(of_type).collect()
}

fn row(ty: &Type) -> Fields {
    let oid = |column| Value::Oid(ty.get(column).parse().unwrap_or(0));
    let is_array = ty.get("typcategory") == "A" && ty.get("typlen") == "-1";
    vec![
        ("oid", Value::Oid(ty.oid)),
        ("typname", text(ty.get("typname"))),
        ("typnamespace", Value::Oid(PG_CATALOG)),
        ("typowner", Value::Oid(OWNER)),
        ("typlen", Value::Int4(ty.get("typlen").parse().unwrap_or(-1))),
        ("typbyval", Value::Bool(ty.get("typbyval") == "t")),
        ("typtype", text(ty.get("typtype"))),
        ("typcategory", text(ty.get("typcategory"))),
        ("typispreferred", Value::Bool(ty.get("typispreferred") == "t")),
        ("typisdefined", Value::Bool(true)),
        ("typdelim", text(ty.get("typdelim"))),
        ("typelem", oid("typelem")),
        ("typarray", oid("typarray")),
        ("typinput", Value::Oid(if is_array { ARRAY_IN } else { 0 })),
        ("typalign", text(ty.get("typalign"))),
        ("typstorage", text(ty.get("typstorage"))),
        ("typtypmod", Value::Int4(-1)),
        ("typbasetype", oid("typbasetype")),
        ("typcollation", oid("typcollation")),
    ]
}
