//! Reading a database's catalog.

use std::sync::Arc;

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Seen, TxnError, When};

use super::home::{Home, Kind, kind_and_number};
use super::loaded::{Catalog, Entry, Root};
use super::record;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;

/// How many records are asked for at once.
const RECORDS: u32 = 10_000;
/// How often it is tried to read all of the catalog between two changes.
const TRIES: usize = 8;

/// Reads the whole catalog of a database at one instant.
///
/// # Errors
/// `3D000` if the database was dropped, `XX001` if a record is damaged, and every [`TxnError`].
pub async fn load<D: Database>(db: &D, home: Home, when: When, patience: Micros) -> Outcome<Catalog> {
    for _ in 0..TRIES {
        if let Some(records) = read_all(db, home, when, patience).await? {
            return Ok(assemble(home, &records)?);
        }
    }
    Err(TxnError::Conflict(home.record(Kind::Root, 0).key).into())
}

/// All records, in order; `None` if they changed while they were read.
async fn read_all<D: Database>(
    db: &D,
    home: Home,
    when: When,
    patience: Micros,
) -> Result<Option<Vec<(Key, Seen)>>, TxnError> {
    let mut rest: Vec<KeyRange> = Home::all_records().into();
    let mut records: Vec<(Key, Seen)> = Vec::new();
    let mut stretches = 0;
    while !rest.is_empty() {
        let ranges = rest.iter().map(|range| (home.catalog(), range.clone(), RECORDS)).collect();
        let found = db.scan(ranges, when, patience).await?;
        let left = rest
            .iter()
            .zip(&found)
            .map(|(range, found)| KeyRange { start: found.range.end.clone(), end: range.end.clone() });
        rest = left.filter(|range| range.start < range.end).collect();
        records.extend(found.into_iter().flat_map(|found| found.rows));
        stretches += 1;
    }
    records.sort_by(|(a, _), (b, _)| a.cmp(b));
    // Each stretch is of one instant. All of them are, but for the generations of tables' data, and what is of a session, of
    // which each stands for itself, if nothing has changed from the first to the last: every other change writes the root.
    if stretches > 1 && when == When::Latest {
        let root = home.record(Kind::Root, 0);
        let now = db.read(vec![root.clone()], when, patience).await?;
        let then = records.first().filter(|(key, _)| *key == root.key).map_or(Stamp::NONE, |(_, seen)| seen.stamp);
        if now.first().is_none_or(|now| now.stamp != then) {
            return Ok(None);
        }
    }
    Ok(Some(records))
}

fn assemble(home: Home, records: &[(Key, Seen)]) -> SqlResult<Catalog> {
    let root_key = home.record(Kind::Root, 0).key;
    let Some(((_, seen), objects)) = records.split_first().filter(|((key, _), _)| *key == root_key) else {
        return Ok(Catalog::empty(home));
    };
    let root: Root = record::decode(&root_key, seen.value.as_deref().unwrap_or_default())?;
    if root.dropped {
        return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, "the database does not exist any more"));
    }
    let mut catalog = Catalog::bare(home, root, Some(seen.stamp));
    for (key, seen) in objects {
        match kind_and_number(key) {
            Some((kind, id)) if kind == Kind::Schema as u32 => {
                _ = catalog.schemas.insert(id, entry(key, seen, record::decode)?)
            }
            Some((kind, id)) if kind == Kind::Table as u32 => {
                _ = catalog.tables.insert(id, entry(key, seen, record::decode_table)?)
            }
            Some((kind, id)) if kind == Kind::Sequence as u32 => {
                _ = catalog.sequences.insert(id, entry(key, seen, record::decode)?)
            }
            Some((kind, id)) if kind == Kind::View as u32 => {
                _ = catalog.views.insert(id, entry(key, seen, record::decode_view)?)
            }
            Some((kind, id)) if kind == Kind::Type as u32 => {
                _ = catalog.types.insert(id, entry(key, seen, record::decode)?)
            }
            Some((kind, _)) if kind == Kind::Temporary as u32 => catalog.temporary = Some(seen.stamp),
            _ => {
                return Err(SqlError::new(
                    SqlState::DATA_CORRUPTED,
                    format!("there is no record of the catalog at {key}"),
                ));
            }
        }
    }
    if records.len() > RECORDS as usize {
        drop_halves(&mut catalog);
    }
    catalog.index_names();
    if !catalog.types.is_empty() {
        catalog.index_types();
    }
    Ok(catalog)
}

/// Drops what was read of relations whose schema was made, or dropped, between two stretches: sessions' own.
fn drop_halves(catalog: &mut Catalog) {
    let schemas = &catalog.schemas;
    catalog.tables.retain(|_, entry| schemas.contains_key(&entry.value.schema));
    catalog.sequences.retain(|_, entry| schemas.contains_key(&entry.value.schema));
    catalog.views.retain(|_, entry| schemas.contains_key(&entry.value.schema));
}

fn entry<'a, T>(key: &Key, seen: &'a Seen, decode: impl Fn(&Key, &'a [u8]) -> SqlResult<T>) -> SqlResult<Entry<T>> {
    let value = decode(key, seen.value.as_deref().unwrap_or_default())?;
    Ok(Entry { value: Arc::new(value), stamp: Some(seen.stamp) })
}
