//! Which unique keys `ON CONFLICT` is about.

use annulus_relation::catalog::Index;
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{self, ConflictTarget};

use super::target::Target;
use crate::bind::{Binder, ParamTypes};
use crate::conditions::{Facts, Indexed, normal};
use crate::names::position_of;
use crate::parse::{Arbiter, Parsed};
use crate::statement::Setting;

/// The unique indexes that count, by position.
pub(super) fn arbiters(
    on: &ast::OnConflict,
    target: &Target,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Vec<usize>> {
    match &parsed.arbiter {
        Some(arbiter) => inferred(arbiter, target, parsed, setting, params),
        None => indexes(on.conflict_target.as_ref(), target),
    }
}

/// The unique indexes that a target means; all of them if there is none.
fn indexes(conflict: Option<&ConflictTarget>, target: &Target) -> SqlResult<Vec<usize>> {
    let table = &target.table;
    let unique = || table.indexes.iter().enumerate().filter(|(_, index)| index.is_unique() && !index.keys.is_empty());
    match conflict {
        None => Ok(unique().map(|(position, _)| position).collect()),
        Some(ConflictTarget::OnConstraint(name)) => {
            let wanted = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
            let found = unique().find(|(_, index)| index.constraint.is_some() && Some(index.name.as_str()) == wanted);
            found.map(|(position, _)| vec![position]).ok_or_else(|| {
                let message = format!("constraint \"{name}\" for table \"{}\" does not exist", table.name);
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })
        }
        Some(ConflictTarget::Columns(names)) => {
            let mut wanted = Vec::new();
            for name in names {
                let column = table.columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
                    let message = format!("column \"{}\" does not exist", name.value);
                    SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(name))
                })?;
                wanted.push(column.id);
            }
            wanted.sort_unstable();
            wanted.dedup();
            let is_meant = |index: &Index| index.predicate.is_none() && index.key_columns().as_ref() == Some(&wanted);
            let found: Vec<usize> =
                unique().filter(|(_, index)| is_meant(index)).map(|(position, _)| position).collect();
            if found.is_empty() { Err(no_match()) } else { Ok(found) }
        }
    }
}

/// The unique indexes that have these keys, in any order. A partial one counts if its predicate follows from the one given.
fn inferred(
    arbiter: &Arbiter,
    target: &Target,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Vec<usize>> {
    let mut binder = Binder::new(&target.scope, params, &setting.env).text(&parsed.whole).clause("ON CONFLICT");
    let keys = arbiter.keys.iter().map(|key| Ok(normal(&binder.bind(key)?))).collect::<SqlResult<Vec<_>>>()?;
    let predicate = arbiter.predicate.as_ref().map(|predicate| binder.bind_condition(predicate)).transpose()?;
    let facts = predicate.as_ref().map(Facts::of).unwrap_or_default();
    let mut found = Vec::new();
    for (position, index) in target.table.indexes.iter().enumerate().filter(|(_, index)| index.is_unique()) {
        let indexed = Indexed::new(&target.table, index)?;
        let same =
            indexed.keys.iter().all(|key| keys.contains(key)) && keys.iter().all(|key| indexed.keys.contains(key));
        if same && !indexed.keys.is_empty() && indexed.holds_all(&facts) {
            found.push(position);
        }
    }
    if found.is_empty() { Err(no_match()) } else { Ok(found) }
}

fn no_match() -> SqlError {
    let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
}
