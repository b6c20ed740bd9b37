//! Rows that have a unique key already: for `ON CONFLICT`, and to tell what a commit's conflict was about.

use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place, TxnError};

use super::physical::{Physical, Tuple};
use super::scan::{get, lost};
use super::write::{Claims, unique_places};
use super::{Expressions, Surroundings, errors};
use crate::catalog::Catalog;
use crate::error::SqlError;
use crate::failure::{Failure, Outcome};
use crate::transaction::{Mode, Premises, Transaction};
use crate::value::Row;

/// A row that has a unique key that another one would take.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflicting {
    /// The row that is there.
    pub row: Tuple,
    /// The index whose key it has, by position.
    pub index: usize,
}

/// Finds, for each of some rows that are to be inserted, a row that has one of its unique keys in the indexes at
/// these positions. Rows of the statement itself are not seen: [`super::Writer::has_proposed`] tells.
///
/// # Errors
/// `XX001` if something stored is damaged, and every error of the reads.
pub async fn conflicting<D: Database, E: Expressions>(
    transaction: &mut Transaction<D>,
    around: Surroundings<'_, E>,
    physical: &Physical,
    indexes: &[usize],
    rows: &[Row],
    patience: Micros,
) -> Outcome<Vec<Option<Conflicting>>> {
    let mut asked: Vec<(usize, usize, Place)> = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        for index in indexes {
            let places = unique_places(physical, &[*index], row, around.expressions)?;
            asked.extend(places.into_iter().map(|place| (position, *index, place)));
        }
    }
    let places: Vec<Place> = asked.iter().map(|(.., place)| place.clone()).collect();
    let found = get(transaction, around.catalog, physical, &places, patience).await?;
    // The first index decides, as the rows' order of keys does.
    let mut first: Vec<Option<(usize, Place)>> = vec![None; rows.len()];
    for ((position, index, place), value) in asked.into_iter().zip(found) {
        if let (Some(value), None) = (value, &first[position]) {
            let row = if index == 0 { place } else { physical.row_of_entry(index, &place.key, &value)? };
            first[position] = Some((index, row));
        }
    }
    let places: Vec<Place> = first.iter().flatten().map(|(_, place)| place.clone()).collect();
    let mut records = get(transaction, around.catalog, physical, &places, patience).await?.into_iter();
    let mut conflicts = Vec::with_capacity(rows.len());
    for conflict in first {
        let Some((index, place)) = conflict else {
            conflicts.push(None);
            continue;
        };
        let Some(record) = records.next().flatten() else { return Err(lost(transaction, &place.key)) };
        conflicts.push(Some(Conflicting { row: physical.decode(place, &record)?, index }));
    }
    Ok(conflicts)
}

/// What may be told of a statement of its own that failed: its error, if all that it went by has held at one instant; or
/// the violation of a unique key that somebody else has, without which it might not have come to that error.
///
/// # Errors
/// [`TxnError::Conflict`] if something else has not held, so that the statement is to be tried again, every error of
/// finding that out (an error that may follow from what never was is not told), and of reading the keys.
pub async fn confirm<D: Database>(
    transaction: &mut Transaction<D>,
    catalog: &Catalog,
    claims: &Claims,
    error: SqlError,
    patience: Micros,
) -> Outcome<SqlError> {
    catalog.expect_unchanged(transaction);
    let conflict = match transaction.validate(patience).await {
        Ok(()) => return Ok(error),
        Err(conflict @ TxnError::Conflict(_)) => conflict,
        Err(unconfirmed) => return Err(unconfirmed.into()),
    };
    let premises = transaction.premises(claims.places());
    let found = explain(transaction.database(), catalog, claims, premises, patience).await?;
    found.ok_or(Failure::Txn(conflict))
}

/// Reads the keys again that a transaction had demanded nobody to have, after its commit failed with a conflict: the
/// violation to tell the client, or nothing if the conflict was about something else and a retry may succeed.
///
/// It is told only if somebody has the key at an instant at which all the rest still holds that the transaction went
/// by: a row that was read and is another one now would perhaps not have led to that key at all.
///
/// # Errors
/// [`TxnError::Conflict`] if the rest does not hold, and every error of the reads.
pub async fn explain<D: Database>(
    db: &D,
    catalog: &Catalog,
    claims: &Claims,
    premises: Premises,
    patience: Micros,
) -> Outcome<Option<SqlError>> {
    if claims.is_empty() {
        return Ok(None);
    }
    let mut now = Transaction::with_premises(db.clone(), Mode::Block, db.begin(), premises);
    // The key may be in an index that was dropped meanwhile.
    catalog.expect_unchanged(&mut now);
    let places: Vec<Place> = claims.places().cloned().collect();
    let found = now.get(&places, patience).await?;
    let Some((_, claim)) = claims.0.iter().zip(found).find(|(_, value)| value.is_some()).map(|(claim, _)| claim) else {
        return Ok(None);
    };
    now.validate(patience).await?;
    let table = catalog.table_by_id(claim.table);
    let index = table.and_then(|table| Some((table, table.indexes.get(claim.index)?)));
    Ok(index.map(|(table, index)| errors::unique_violation(catalog, table, index, &claim.keys)))
}
