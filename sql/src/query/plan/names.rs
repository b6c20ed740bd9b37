//! What names mean.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast;

use super::subquery::Domain;
use super::{Col, Rel, Seen, folded};
use crate::names::is_of;

/// Outer columns that a query was found to use: what each is called in the plan around it, and its type.
pub(super) type Wanted = Rc<RefCell<Vec<(String, SqlType)>>>;

/// What a query is translated with of its surroundings.
#[derive(Clone)]
pub(super) enum Mode {
    /// Nothing: the translation is to learn what it uses. NULL stands for outer columns.
    Learn(Wanted),
    /// The columns that it uses.
    Given(Option<Rc<Domain>>),
}

/// What a query has of its surroundings at some point.
#[derive(Clone)]
pub(super) enum Outer {
    /// Nothing yet: what it uses is noted, and NULL stands for it.
    Wanted(Wanted),
    /// Columns, by what they are called there, and their numbers here.
    Given(Vec<(String, usize)>),
}

/// A query around a subquery.
pub(super) struct Level {
    /// The columns that the subquery can name.
    pub columns: Vec<Col>,
    /// What that query has of its own surroundings.
    pub outer: Outer,
    /// Whether the subquery stands in that query's `FROM`.
    pub lateral: bool,
    /// Whether a column of its surroundings was named that was not at hand.
    pub missed: Cell<bool>,
}

/// What a name was found to mean.
pub(super) enum Found {
    /// A column of the relation.
    Column(usize),
    /// A column of the surroundings that is not at hand: NULL of its type stands for it.
    Wanted(SqlType),
    /// Nothing.
    Nothing,
}

/// The number of the column that a name means.
pub(super) fn find(columns: &[Col], parts: &[&str]) -> SqlResult<Option<usize>> {
    let matches = |column: &Col| match parts {
        [name] => matches!(column.seen, Seen::Always | Seen::Named) && column.name == *name,
        [table, name] => column.seen != Seen::Never && column.name == *name && column.table.as_deref() == Some(*table),
        [schema, table, name] => {
            column.seen != Seen::Never
                && column.name == *name
                && column.table.as_deref() == Some(*table)
                && is_of(column.schema.as_deref(), schema)
        }
        _ => false,
    };
    let mut found = columns.iter().enumerate().filter(|(_, column)| matches(column));
    match (found.next(), found.next()) {
        (Some((_, column)), Some(_)) => {
            let message = format!("column reference \"{}\" is ambiguous", column.name);
            Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message))
        }
        (found, _) => Ok(found.map(|(number, _)| number)),
    }
}

/// The column that a name means among columns and, failing that, in what is around them. `missed` is set if it is one
/// of the surroundings that is not at hand.
pub(super) fn resolve(
    columns: &[Col],
    outer: &Outer,
    missed: &Cell<bool>,
    around: &[Level],
    parts: &[&str],
) -> SqlResult<Found> {
    if let Some(number) = find(columns, parts)? {
        return Ok(Found::Column(number));
    }
    let Some((level, around)) = around.split_last() else { return Ok(Found::Nothing) };
    let (field, ty) = match resolve(&level.columns, &level.outer, &level.missed, around, parts)? {
        Found::Column(number) => {
            let column = &level.columns[number];
            (column.field.flat_name(), column.ty.clone())
        }
        // The surroundings do not have it themselves yet.
        Found::Wanted(ty) => (parts.join("."), ty),
        Found::Nothing => return Ok(Found::Nothing),
    };
    Ok(carried(field, ty, outer, missed))
}

/// What a column of the surroundings is here: what it is called there, and its type.
pub(super) fn carried(field: String, ty: SqlType, outer: &Outer, missed: &Cell<bool>) -> Found {
    match outer {
        Outer::Given(given) => match given.iter().find(|(name, _)| *name == field) {
            Some((_, number)) => Found::Column(*number),
            None => {
                missed.set(true);
                Found::Wanted(ty)
            }
        },
        Outer::Wanted(wanted) => {
            let mut wanted = wanted.borrow_mut();
            if !wanted.iter().any(|(name, _)| *name == field) {
                wanted.push((field, ty.clone()));
            }
            Found::Wanted(ty)
        }
    }
}

/// An expression's parts that are a name, if it is one.
pub(super) fn as_name(expr: &ast::Expr) -> Option<&[ast::Ident]> {
    match expr {
        ast::Expr::Identifier(name) => Some(std::slice::from_ref(name)),
        ast::Expr::CompoundIdentifier(parts) => Some(parts),
        _ => None,
    }
}

/// The error for a name with a table that is there without such a column.
pub(super) fn missing(columns: &[Col], idents: &[ast::Ident]) -> Option<SqlError> {
    let parts: Vec<String> = idents.iter().map(folded).collect();
    let [.., table, column] = parts.as_slice() else { return None };
    let known = columns.iter().any(|c| c.seen != Seen::Never && c.table.as_deref() == Some(table));
    let message = format!("column {} does not exist", parts.join("."));
    known.then(|| SqlError::new(SqlState::UNDEFINED_COLUMN, message).column(column.clone()))
}

/// What a relation's query has of its surroundings.
pub(super) fn outer_of(rel: &Rel, mode: &Mode) -> Outer {
    match mode {
        Mode::Learn(wanted) => Outer::Wanted(Rc::clone(wanted)),
        Mode::Given(_) => Outer::Given(rel.outer.clone()),
    }
}
