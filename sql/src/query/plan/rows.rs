//! Whole rows: a name that is no column but a relation's stands for the row of its columns.
//!
//! The row that an outer join has not found is NULL, not a row of NULLs. That is seen by a column of its side that is
//! never NULL otherwise; where there is none, one is put there before the join.

use std::cell::Cell;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::common::Column;
use datafusion::logical_expr::lit;

use super::expressions::Site;
use super::names::{Found, Level, Outer, carried};
use super::{Col, Rel, Seen, Translator};
use crate::bind;

/// Where the row of which a column is a part is there at all.
#[derive(Clone, Debug, Default)]
pub(super) enum Presence {
    /// In every row.
    #[default]
    Always,
    /// Where this column of the plan is not NULL.
    Where(Column),
    /// That cannot be told.
    Unknown,
}

/// A row that was found: its fields with what they are, and the column that is NULL where it is not there.
pub(super) struct Row {
    fields: Vec<(String, Found)>,
    present: Option<Found>,
    /// Whether it is no row, but the only column of a function.
    alone: bool,
}

/// The numbers of the columns of the relation that a name means: `table` or `schema.table`.
pub(super) fn members(columns: &[Col], parts: &[&str]) -> SqlResult<Vec<usize>> {
    let named = |column: &Col| match parts {
        [table] => column.table.as_deref() == Some(*table),
        [schema, table] => column.table.as_deref() == Some(*table) && column.schema.as_deref() == Some(*schema),
        _ => false,
    };
    let seen = |column: &Col| matches!(column.seen, Seen::Always | Seen::Qualified);
    let found: Vec<usize> = (0..columns.len()).filter(|n| seen(&columns[*n]) && named(&columns[*n])).collect();
    let mut schemas = found.iter().map(|number| &columns[*number].schema);
    let first = schemas.next();
    if schemas.any(|schema| Some(schema) != first) {
        let message = format!("table reference \"{}\" is ambiguous", parts.join("."));
        return Err(SqlError::new(SqlState("42P09"), message));
    }
    Ok(found)
}

/// The row that a name means among columns and, failing that, in what is around them, as [`super::names::resolve`]
/// does for columns.
pub(super) fn resolve_row(
    columns: &[Col],
    outer: &Outer,
    missed: &Cell<bool>,
    around: &[Level],
    parts: &[&str],
) -> SqlResult<Option<Row>> {
    let own = members(columns, parts)?;
    if let [only] = own.as_slice()
        && columns[*only].alone
    {
        let fields = vec![(columns[*only].name.clone(), Found::Column(*only))];
        return Ok(Some(Row { fields, present: None, alone: true }));
    }
    if let Some(first) = own.first() {
        let present = match &columns[*first].presence {
            Presence::Always => None,
            Presence::Where(field) => columns.iter().position(|column| column.field == *field).map(Found::Column),
            Presence::Unknown => None,
        };
        if present.is_none() && !matches!(columns[*first].presence, Presence::Always) {
            return Err(SqlError::unsupported("a row that a join may not have found, in this place"));
        }
        let field = |number: usize| (columns[number].name.clone(), Found::Column(number));
        return Ok(Some(Row { fields: own.into_iter().map(field).collect(), present, alone: false }));
    }
    let Some((level, around)) = around.split_last() else { return Ok(None) };
    let Some(row) = resolve_row(&level.columns, &level.outer, &level.missed, around, parts)? else { return Ok(None) };
    let inside = |name: &str, found: Found| match found {
        Found::Column(number) => {
            let column = &level.columns[number];
            carried(column.field.flat_name(), column.ty.clone(), outer, missed)
        }
        Found::Wanted(ty) => carried(format!("{}.{name}", parts.join(".")), ty, outer, missed),
        Found::Nothing => Found::Nothing,
    };
    let present = row.present.map(|found| inside("?present", found));
    let fields = row.fields.into_iter().map(|(name, found)| {
        let found = inside(&name, found);
        (name, found)
    });
    Ok(Some(Row { fields: fields.collect(), present, alone: row.alone }))
}

/// The row that a name means where an expression stands.
pub(super) fn row_at(
    site: &Site<'_>,
    outer: &Outer,
    missed: &Cell<bool>,
    levels: &[Level],
    parts: &[&str],
) -> SqlResult<Option<bind::Expr>> {
    let grouped = match site.before {
        Some(before) => in_order(before, site.rel, parts)?,
        None => None,
    };
    let Some(row) = resolve_row(&site.rel.columns, outer, missed, levels, parts)? else { return Ok(None) };
    let row = match grouped {
        Some(numbers) => {
            let field = |number: usize| (site.rel.columns[number].name.clone(), Found::Column(number));
            Row { fields: numbers.into_iter().map(field).collect(), ..row }
        }
        None => row,
    };
    let expr = |found: Found| match found {
        Found::Column(number) => super::expressions::bound(site.rel, number),
        Found::Wanted(ty) => bind::Expr::null(ty),
        Found::Nothing => bind::Expr::null(SqlType::Text),
    };
    if row.alone {
        return Ok(row.fields.into_iter().next().map(|(_, found)| expr(found)));
    }
    let whole = bind::Expr::row(row.fields.into_iter().map(|(name, found)| (name, expr(found))).collect());
    Ok(Some(match row.present {
        Some(witness) => whole.present(expr(witness)),
        None => whole,
    }))
}

/// The columns of a row in a grouped relation, in the order in which they were before; all of them must be grouped by.
fn in_order(before: &Rel, rel: &Rel, parts: &[&str]) -> SqlResult<Option<Vec<usize>>> {
    let all = members(&before.columns, parts)?;
    if all.is_empty() {
        return Ok(None);
    }
    let now = members(&rel.columns, parts)?;
    let place = |number: &usize| {
        let name = &before.columns[*number].name;
        now.iter().copied().find(|number| rel.columns[*number].name == *name)
    };
    if let Some(numbers) = all.iter().map(place).collect::<Option<Vec<usize>>>()
        && now.len() == all.len()
    {
        return Ok(Some(numbers));
    }
    let message = format!(
        "column \"{}.*\" must appear in the GROUP BY clause or be used in an aggregate function",
        parts.join(".")
    );
    Err(SqlError::new(SqlState::GROUPING_ERROR, message))
}

impl Translator<'_> {
    /// A side of an outer join whose rows may be missing, with a column that tells.
    pub(super) fn witnessed(&mut self, mut rel: Rel) -> SqlResult<Rel> {
        if rel.columns.iter().all(|column| column.nullable) {
            self.extend(&mut rel, vec![(lit(true), SqlType::Bool, false)])?;
        }
        Ok(rel)
    }
}

/// Notes in the columns of a side of an outer join by which of them its rows are seen to be there.
pub(super) fn may_be_missing(side: &mut [Col]) {
    let witness = side.iter().find(|column| !column.nullable).map(|column| column.field.clone());
    let presence = witness.map_or(Presence::Unknown, Presence::Where);
    for column in side {
        column.nullable = true;
        if matches!(column.presence, Presence::Always) {
            column.presence = presence.clone();
        }
    }
}
