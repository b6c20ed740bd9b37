//! What must hold of everything that is stored, at every instant.
//!
//! - What is stored of a table is its rows and just their index entries, where they belong (of an index that is still
//!   being filled, some may be missing). So no unique key is there twice.
//! - While a table is given a primary key, or a column, or a column another type, what is stored of its successor is whole
//!   copies of rows as they are. What rows are given with a column they all have.
//! - A child's parent exists.
//! - Of a pair of parents one is on duty; a parent has no more than so many enrolled children: what the sessions'
//!   statements check before they write.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::{Key, KeyRange, Timestamp};
use annulus_relation::catalog::{Catalog, IndexState, Table, load};
use annulus_relation::failure::Outcome;
use annulus_relation::ops::{Physical, Tuple};
use annulus_relation::transaction::{Mode, Span};
use annulus_relation::{SqlResult, Value};
use annulus_txn::interface::{Place, When};
use bytes::Bytes;

use super::statements::{ENROLLED, MOST_ENROLLED};
use super::tables::{COLUMNS, DUTY, KIND, NoExpressions, PARENT, Session, all, around, int};

/// Keys read at once.
const KEYS: u32 = 50;

/// Everything stored.
type Stored = BTreeMap<Place, Bytes>;

/// Looks at everything as it was at one instant; says what is wrong.
pub(super) async fn audit(session: &Session, at: Timestamp) -> Outcome<Result<(), String>> {
    let catalog = load(&session.db.aside(), session.home, When::At(at), session.patience).await?;
    let mut txn = session.transaction(Mode::AsOf(at));
    let mut stored = Stored::new();
    for partition in session.home.partitions() {
        let mut span = Span { partition, range: KeyRange::all() };
        loop {
            let stretch = txn.scan(&span, KEYS, session.patience).await?;
            stored.extend(stretch.rows.into_iter().map(|(key, value)| (Place { partition, key }, value)));
            let Some(next) = stretch.next else { break };
            span.range.start = next;
        }
    }
    Ok(judge(&catalog, &stored)?)
}

fn judge(catalog: &Catalog, stored: &Stored) -> SqlResult<Result<(), String>> {
    let Some([parents, children, notes, settings]) = all(catalog)? else { return Ok(Ok(())) };
    let (parent_rows, child_rows) = (rows(&parents, stored)?, rows(&children, stored)?);
    let (note_rows, setting_rows) = (rows(&notes, stored)?, rows(&settings, stored)?);
    let tables = [(&parents, &parent_rows), (&children, &child_rows), (&notes, &note_rows), (&settings, &setting_rows)];
    for (table, rows) in tables {
        if let Err(wrong) = entries(table, rows, stored)? {
            return Ok(Err(wrong));
        }
    }
    for (table, rows) in tables {
        if let Err(wrong) = copies(catalog, table, rows, stored)? {
            return Ok(Err(wrong));
        }
    }
    if let Some((table, row)) = tables.iter().find_map(|(table, rows)| Some((table, without(rows)?))) {
        return Ok(Err(format!("a column that was added to {} has no value in {row:?}", table.table().name)));
    }
    Ok(references(&parent_rows, &child_rows).and_then(|()| duty(&parent_rows)).and_then(|()| enrolled(&child_rows)))
}

/// The table and index that a key is of, if it is one of a table's data.
fn index_of(table: &Table, key: &Key) -> Option<u32> {
    let number = |at: usize| key.as_bytes().get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let own = (number(0)?, number(4)?) == (table.generation, table.id);
    number(8).filter(|_| own)
}

fn rows(table: &Physical, stored: &Stored) -> SqlResult<Vec<Tuple>> {
    let primary = Some(table.table().indexes[0].id);
    let rows = stored.iter().filter(|(place, _)| index_of(table.table(), &place.key) == primary);
    rows.map(|(place, record)| table.decode(place.clone(), record)).collect()
}

/// Compares the index entries of a table with those that its rows demand.
fn entries(table: &Physical, rows: &[Tuple], stored: &Stored) -> SqlResult<Result<(), String>> {
    let mut demanded = Stored::new();
    for tuple in rows {
        for (place, value) in table.entries(tuple, &NoExpressions)? {
            if demanded.insert(place.clone(), value).is_some() {
                return Ok(Err(format!("two rows of {} have the index entry {}", table.table().name, place.key)));
            }
        }
    }
    let known = |place: &Place| {
        let index = index_of(table.table(), &place.key)?;
        table.table().indexes[1..].iter().find(|known| known.id == index)
    };
    // Entries of indexes that were dropped are deleted later.
    for (place, value) in stored.iter().filter(|(place, _)| known(place).is_some()) {
        match demanded.remove(place) {
            Some(demanded) if demanded == *value => {}
            other => return Ok(Err(format!("{} is stored as {value:?}, but the rows demand {other:?}", place.key))),
        }
    }
    let is_missing = |place: &Place| known(place).is_none_or(|index| index.state == IndexState::Ready);
    let missing = demanded.keys().find(|place| is_missing(place));
    Ok(missing.map_or(Ok(()), |place| Err(format!("the index entry {} is missing", place.key))))
}

/// Compares what is stored of a table's successor with the copies of its rows, some of which may not have been made.
fn copies(catalog: &Catalog, table: &Physical, rows: &[Tuple], stored: &Stored) -> SqlResult<Result<(), String>> {
    let Some(successor) = table.table().successor() else { return Ok(Ok(())) };
    let of_successor = |(place, _): &(&Place, &Bytes)| index_of(&successor, &place.key).is_some();
    let mut left: BTreeMap<&Place, &Bytes> = stored.iter().filter(of_successor).collect();
    for tuple in rows {
        let all = table.copies(around(catalog), tuple, |place| stored.get(place).cloned())?;
        if all.first().is_none_or(|(copy, record)| left.get(copy) != Some(&record)) {
            continue;
        }
        for (place, value) in all {
            if left.remove(&place) != Some(&value) {
                return Ok(Err(format!("{} of the copy of {:?} is missing", place.key, tuple.values)));
            }
        }
    }
    Ok(left.keys().next().map_or(Ok(()), |place| Err(format!("{} is of no row's copy", place.key))))
}

/// A row that has no value in one of the columns that were added.
fn without(rows: &[Tuple]) -> Option<&[Value]> {
    let mut rows = rows.iter().map(|tuple| tuple.values.as_slice());
    rows.find(|row| row.iter().skip(COLUMNS).any(Value::is_null))
}

fn references(parents: &[Tuple], children: &[Tuple]) -> Result<(), String> {
    let ids: BTreeSet<i32> = parents.iter().filter_map(|parent| int(&parent.values, 0)).collect();
    let orphan = children.iter().find(|child| int(&child.values, PARENT).is_some_and(|parent| !ids.contains(&parent)));
    orphan.map_or(Ok(()), |child| Err(format!("no parent for the child {:?}", child.values)))
}

fn duty(parents: &[Tuple]) -> Result<(), String> {
    let on: BTreeMap<i32, bool> =
        parents.iter().filter_map(|row| Some((int(&row.values, 0)?, int(&row.values, DUTY) == Some(1)))).collect();
    let idle = on.iter().find(|(id, on_duty)| !**on_duty && on.get(&(**id ^ 1)) == Some(&false));
    idle.map_or(Ok(()), |(id, _)| Err(format!("neither {id} nor its other is on duty: write skew")))
}

fn enrolled(children: &[Tuple]) -> Result<(), String> {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    for child in children.iter().filter(|child| int(&child.values, KIND) == Some(ENROLLED)) {
        int(&child.values, PARENT).into_iter().for_each(|parent| *counts.entry(parent).or_default() += 1);
    }
    let crowded = counts.into_iter().find(|(_, count)| *count > MOST_ENROLLED);
    crowded.map_or(Ok(()), |(parent, count)| Err(format!("{count} children are enrolled at {parent}: a phantom")))
}

#[cfg(test)]
mod tests {
    use annulus_relation::catalog::{Action, Deferral};
    use annulus_relation::codec::Layout;

    use super::super::tables::{CHILDREN, PARENTS, create, row};
    use super::super::{home, tables};
    use super::*;

    /// A database of these rows, and what is stored of it.
    fn stored(parents: &[[i32; 3]], children: &[[i32; 3]]) -> (Catalog, Stored) {
        let catalog = create(&Catalog::empty(home(2, 3)), Action::NoAction, Deferral::Usual).unwrap().catalog().clone();
        let mut stored = Stored::new();
        for (name, rows) in [(PARENTS, parents), (CHILDREN, children)] {
            let table = tables::physical(&catalog, name).unwrap().unwrap();
            for values in rows.iter().map(|values| row(*values, &table)) {
                let tuple = Tuple { place: table.row_place(&values[..1]).unwrap(), values };
                stored.extend(table.entries(&tuple, &NoExpressions).unwrap());
                stored.insert(tuple.place, Layout::of(table.table()).unwrap().encode(&tuple.values));
            }
        }
        (catalog, stored)
    }

    fn wrong(parents: &[[i32; 3]], children: &[[i32; 3]]) -> String {
        let (catalog, stored) = stored(parents, children);
        judge(&catalog, &stored).unwrap().expect_err("something is wrong")
    }

    const PARENT_ROWS: [[i32; 3]; 2] = [[0, 10, 1], [1, 11, 0]];

    #[test]
    fn what_belongs_together_is_left_in_peace() {
        let (catalog, stored) = stored(&PARENT_ROWS, &[[5, 0, ENROLLED], [6, 0, ENROLLED], [7, 0, 2]]);
        assert_eq!(judge(&catalog, &stored), Ok(Ok(())));
    }

    #[test]
    fn each_missing_or_left_over_key_is_noticed() {
        let (catalog, whole) = stored(&PARENT_ROWS, &[[5, 0, 2]]);
        for place in whole.keys() {
            let mut less = whole.clone();
            less.remove(place);
            assert!(judge(&catalog, &less).unwrap().is_err(), "without {place:?}");
        }
    }

    #[test]
    fn broken_constraints_are_noticed() {
        assert!(wrong(&[[0, 10, 1], [1, 10, 1]], &[]).contains("two rows"));
        assert!(wrong(&PARENT_ROWS, &[[5, 2, 2]]).contains("no parent"));
        assert!(wrong(&[[0, 10, 0], [1, 11, 0]], &[]).contains("write skew"));
        assert!(wrong(&PARENT_ROWS, &[5, 6, 7].map(|id| [id, 0, ENROLLED])).contains("a phantom"));
    }
}
