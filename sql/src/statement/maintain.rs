//! `VACUUM`, `ANALYZE` and their like: there is nothing to do, but what they name has to be there.

use annulus_relation::catalog::{Relation, Table};
use annulus_relation::{SqlError, SqlResult, SqlState};
use annulus_txn::interface::Database;

use super::Work;
use crate::names::{Name, Names, name_of, searched};
use crate::parse::Statement;
use crate::session::answer::{News, Tag};
use crate::session::{Produced, check_no_block};
use crate::system;

pub(super) fn maintain<D: Database>(work: &mut Work<'_, D>, statement: &Statement) -> SqlResult<Produced> {
    let Statement::Maintenance { tag, tables } = statement else { return Err(SqlError::unsupported("this statement")) };
    if *tag == "VACUUM" {
        check_no_block(work.active.block, tag)?;
    }
    let (path, database) = (work.shared.path(), &work.shared.database);
    let names = Names { catalog: &work.active.catalog, path: &path, database };
    for maintained in tables {
        let name = name_of(&maintained.name, database)?;
        if is_system(&name, &path) {
            continue;
        }
        match names.get(&name)? {
            Relation::Table(table) => check_columns(table, &maintained.columns)?,
            _ => {
                let what = format!("cannot {} non-tables or special system tables", tag.to_ascii_lowercase());
                let message = format!("skipping \"{}\" --- {what}", name.name);
                work.news.push(News::Warning(SqlError::new(SqlState::WARNING, message)));
            }
        }
    }
    Ok(Produced::tag(Tag::word(tag)))
}

/// Whether it is one of the system's tables.
fn is_system(name: &Name, path: &[String]) -> bool {
    match &name.schema {
        Some(schema) => system::table(schema, &name.name).is_some(),
        None => searched(path).any(|schema| system::table(schema, &name.name).is_some()),
    }
}

fn check_columns(table: &Table, columns: &[String]) -> SqlResult<()> {
    for (place, name) in columns.iter().enumerate() {
        let about = format!("column \"{name}\" of relation \"{}\"", table.name);
        if table.columns.iter().all(|column| column.name != *name) {
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, format!("{about} does not exist")));
        }
        if columns[..place].contains(name) {
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("{about} appears more than once")));
        }
    }
    Ok(())
}
