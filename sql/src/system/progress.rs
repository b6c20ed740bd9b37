//! How far long statements are. `pg_stat_progress_copy` shows the `COPY` statements of the node's sessions.
//!
//! `pg_stat_progress_create_index` shows the indexes that are being filled, and the copies of tables that are given
//! a primary key, columns, or columns of other types. It is what stands in the catalog, where whoever does the work notes
//! it every few seconds: so every node shows it, also while nobody goes on with it.

use annulus_relation::Value;
use annulus_relation::catalog::{IndexState, Table};

use super::live::databases;
use super::relations::{tables, text};
use super::tables::Fields;
use crate::query::{Live, Scope};

/// What fills a table, if it is this one.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    match name {
        "pg_stat_progress_create_index" => Some(changes),
        "pg_stat_progress_copy" => Some(copies),
        _ => None,
    }
}

fn copies(scope: &Scope) -> Vec<Fields> {
    let databases = databases(scope);
    let mut rows = scope.system.rows(Live::Copies);
    for row in &mut rows {
        let number = row.iter().find(|(name, _)| *name == "datid").map(|(_, oid)| oid.clone());
        let is_own =
            |database: &&Fields| database.iter().any(|(name, oid)| *name == "oid" && Some(oid) == number.as_ref());
        let name = databases.iter().find(is_own).and_then(|row| row.iter().find(|(name, _)| *name == "datname"));
        row.extend(name.cloned());
    }
    rows
}

fn changes(scope: &Scope) -> Vec<Fields> {
    let own = databases(scope).into_iter().find(|row| row.contains(&("datname", text(&scope.database))));
    let database = own.and_then(|row| row.into_iter().find(|(name, _)| *name == "oid")).map(|(_, oid)| oid);
    let mut rows = Vec::new();
    for table in tables(scope) {
        if let Some(succession) = table.succession() {
            rows.push(row(scope, &table, ("ALTER TABLE", "copying rows"), 0, succession.rows));
        }
        for index in &table.indexes {
            if let IndexState::Filling { rows: done, .. } = &index.state {
                rows.push(row(scope, &table, ("CREATE INDEX", "building index"), index.id, *done));
            }
        }
    }
    for row in &mut rows {
        row.extend(database.clone().map(|oid| ("datid", oid)));
        row.push(("datname", text(&scope.database)));
    }
    rows
}

fn row(scope: &Scope, table: &Table, (command, phase): (&'static str, &'static str), index: u32, done: u64) -> Fields {
    let count = |rows: u64| Value::Int8(i64::try_from(rows).unwrap_or(i64::MAX));
    vec![
        ("relid", Value::Oid(table.id)),
        ("index_relid", Value::Oid(index)),
        ("command", text(command)),
        ("phase", text(phase)),
        ("tuples_total", scope.statistics.rows(table.id).map_or(Value::Null, count)),
        ("tuples_done", count(done)),
    ]
}
