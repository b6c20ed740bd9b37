//! What is the same in every database: access methods, collations, extensions, languages, tablespaces.

use annulus_relation::Value;

use super::relations::text;
use super::tables::Fields;
use super::{OWNER, PG_CATALOG};
use crate::query::Scope;

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_am" => access_methods,
        "pg_available_extensions" => available_extensions,
        "pg_collation" => collations,
        "pg_extension" => extensions,
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

/// What was an extension of PostgreSQL, and is always there.
pub(crate) struct Extension {
    pub name: &'static str,
    /// A language, which PostgreSQL always has, too.
    pub is_language: bool,
    version: &'static str,
    about: &'static str,
}

const fn library(name: &'static str, version: &'static str, about: &'static str) -> Extension {
    Extension { name, is_language: false, version, about }
}

/// All of them.
pub(crate) const EXTENSIONS: [Extension; 3] = [
    library("pgcrypto", "1.3", "cryptographic functions"),
    Extension { name: "plpgsql", is_language: true, version: "1.0", about: "PL/pgSQL procedural language" },
    library("uuid-ossp", "1.1", "generate universally unique identifiers (UUIDs)"),
];

/// Their numbers are the system's, so that `pg_dump` does not create them.
const FIRST_EXTENSION: u32 = 13_559;

/// Their numbers, and what is said of each.
pub(super) fn extension_remarks() -> impl Iterator<Item = (u32, String)> {
    (FIRST_EXTENSION..).zip(EXTENSIONS.iter().map(|extension| extension.about.to_owned()))
}

fn extensions(_: &Scope) -> Vec<Fields> {
    let row = |(oid, extension): (u32, &Extension)| {
        vec![
            ("oid", Value::Oid(oid)),
            ("extname", text(extension.name)),
            ("extowner", Value::Oid(OWNER)),
            ("extnamespace", Value::Oid(PG_CATALOG)),
            ("extversion", text(extension.version)),
        ]
    };
    (FIRST_EXTENSION..).zip(&EXTENSIONS).map(row).collect()
}

fn available_extensions(_: &Scope) -> Vec<Fields> {
    let row = |extension: &Extension| {
        vec![
            ("name", text(extension.name)),
            ("default_version", text(extension.version)),
            ("installed_version", text(extension.version)),
            ("comment", text(extension.about)),
        ]
    };
    EXTENSIONS.iter().map(row).collect()
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
