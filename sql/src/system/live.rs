//! Tables whose rows the session supplies: sessions, locks, settings, cursors, prepared statements, databases, roles.
//!
//! Rows are given as columns' names and values ([`crate::query::SystemSource::rows`]); the names are those of
//! PostgreSQL's tables, columns that are left away are NULL, or false, 0 or empty where they may not be NULL.

use annulus_relation::Value;

use super::relations::text;
use super::tables::Fields;
use super::{DATABASE_OWNER, OWNER};
use crate::query::{Live, Scope};

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_stat_activity" => |scope| scope.system.rows(Live::Activity),
        "pg_locks" => |scope| scope.system.rows(Live::Locks),
        "pg_stat_statements" => |scope| scope.system.rows(Live::Statements),
        "pg_cursors" => |scope| scope.system.rows(Live::Cursors),
        "pg_prepared_statements" => |scope| scope.system.rows(Live::Prepared),
        "pg_settings" => |scope| scope.system.rows(Live::Settings),
        "pg_database" => databases,
        "pg_authid" => roles,
        "pg_roles" => |scope| some_of(roles(scope), ROLES, &[]),
        "pg_user" => |scope| some_of(roles(scope), &[], USERS),
        "pg_shadow" => |scope| some_of(roles(scope), &[], USERS),
        _ => return None,
    })
}

/// The columns of `pg_authid` that `pg_roles` has.
const ROLES: &[&str] = &[
    "oid",
    "rolname",
    "rolsuper",
    "rolinherit",
    "rolcreaterole",
    "rolcreatedb",
    "rolcanlogin",
    "rolreplication",
    "rolconnlimit",
    "rolvaliduntil",
    "rolbypassrls",
];

/// Those that `pg_user` has, and what they are called there.
const USERS: &[(&str, &str)] = &[
    ("rolname", "usename"),
    ("oid", "usesysid"),
    ("rolcreatedb", "usecreatedb"),
    ("rolsuper", "usesuper"),
    ("rolreplication", "userepl"),
    ("rolbypassrls", "usebypassrls"),
    ("rolvaliduntil", "valuntil"),
];

fn some_of(rows: Vec<Fields>, kept: &[&str], renamed: &[(&str, &'static str)]) -> Vec<Fields> {
    let field = |(name, value): (&'static str, Value)| {
        let new = renamed.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
        new.or_else(|| kept.contains(&name).then_some(name)).map(|name| (name, value))
    };
    rows.into_iter().map(|row| row.into_iter().filter_map(field).collect()).collect()
}

/// The databases; at least the one that the session is in.
pub(super) fn databases(scope: &Scope) -> Vec<Fields> {
    let mut rows = scope.system.rows(Live::Databases);
    if rows.is_empty() {
        rows.push(vec![("oid", Value::Oid(5)), ("datname", text(&scope.database))]);
    }
    for row in &mut rows {
        let given: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
        let common = [
            ("datdba", Value::Oid(OWNER)),
            ("encoding", Value::Int4(6)),
            ("datlocprovider", text("c")),
            ("datallowconn", Value::Bool(true)),
            ("datconnlimit", Value::Int4(-1)),
            ("dattablespace", Value::Oid(1663)),
            ("datcollate", text("C")),
            ("datctype", text("C")),
        ];
        let missing: Fields = common.into_iter().filter(|(name, _)| !given.contains(name)).collect();
        row.extend(missing);
    }
    rows
}

/// The roles; at least the one that owns everything.
fn roles(scope: &Scope) -> Vec<Fields> {
    let mut rows = scope.system.rows(Live::Roles);
    if rows.is_empty() {
        let yes = ["rolsuper", "rolinherit", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolbypassrls"];
        let mut owner = vec![("oid", Value::Oid(OWNER)), ("rolname", text("postgres"))];
        owner.extend(yes.map(|name| (name, Value::Bool(true))));
        owner.push(("rolconnlimit", Value::Int4(-1)));
        rows.push(owner);
    }
    // It has no privileges of its own: its member is the owner of the database.
    rows.push(vec![
        ("oid", Value::Oid(DATABASE_OWNER)),
        ("rolname", text("pg_database_owner")),
        ("rolinherit", Value::Bool(true)),
        ("rolconnlimit", Value::Int4(-1)),
    ]);
    rows
}

/// The name of a role.
pub(super) fn role_name(scope: &Scope, oid: u32) -> Option<Value> {
    let is = |row: &&Fields| row.iter().any(|(name, value)| *name == "oid" && *value == Value::Oid(oid));
    let rows = roles(scope);
    let row = rows.iter().find(is)?;
    row.iter().find(|(name, _)| *name == "rolname").map(|(_, value)| value.clone())
}
