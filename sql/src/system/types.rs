//! Types.

use std::sync::LazyLock;

use annulus_relation::{SqlType, Value};

use super::relations::text;
use super::tables::Fields;
use super::{OWNER, PG_CATALOG};
use crate::query::Scope;

/// What fills a table, if it is this one.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    (name == "pg_type").then_some(rows as fn(&Scope) -> Vec<Fields>)
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
    find(ty.oid()).map_or_else(|| ty.name(), |ty| ty.get("typname").to_owned())
}

/// The name of a type of that number, whether it is supported or not.
pub(super) fn catalog_name(oid: u32) -> Option<&'static str> {
    find(oid).map(|ty| ty.get("typname"))
}

/// How PostgreSQL would store values of a type.
pub(super) fn storage(ty: &SqlType) -> Storage {
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

fn rows(_: &Scope) -> Vec<Fields> {
    TYPES.iter().map(row).collect()
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
