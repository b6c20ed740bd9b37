//! What is the same in every database: access methods, collations, languages, tablespaces.

use annulus_relation::Value;

use super::relations::text;
use super::tables::Fields;
use super::{OWNER, PG_CATALOG};
use crate::query::Scope;

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_am" => access_methods,
        "pg_collation" => collations,
        "pg_language" => languages,
        "pg_tablespace" => tablespaces,
        _ => return None,
    })
}

fn access_methods(_: &Scope) -> Vec<Fields> {
    let row = |(oid, name, kind): (u32, &str, &str)| {
        vec![("oid", Value::Oid(oid)), ("amname", text(name)), ("amtype", text(kind))]
    };
    [(2, "heap", "t"), (403, "btree", "i")].map(row).to_vec()
}

fn collations(_: &Scope) -> Vec<Fields> {
    let row = |(oid, name, provider): (u32, &str, &str)| {
        vec![
            ("oid", Value::Oid(oid)),
            ("collname", text(name)),
            ("collnamespace", Value::Oid(PG_CATALOG)),
            ("collowner", Value::Oid(OWNER)),
            ("collprovider", text(provider)),
            ("collisdeterministic", Value::Bool(true)),
            ("collencoding", Value::Int4(-1)),
            ("collcollate", text("C")),
            ("collctype", text("C")),
        ]
    };
    [(100, "default", "d"), (950, "C", "c"), (951, "POSIX", "c")].map(row).to_vec()
}

fn languages(_: &Scope) -> Vec<Fields> {
    let row = |(oid, name): (u32, &str)| {
        vec![("oid", Value::Oid(oid)), ("lanname", text(name)), ("lanowner", Value::Oid(OWNER))]
    };
    [(12, "internal"), (13, "c"), (14, "sql")].map(row).to_vec()
}

fn tablespaces(_: &Scope) -> Vec<Fields> {
    let row = |(oid, name): (u32, &str)| {
        vec![("oid", Value::Oid(oid)), ("spcname", text(name)), ("spcowner", Value::Oid(OWNER))]
    };
    [(1663, "pg_default"), (1664, "pg_global")].map(row).to_vec()
}
