//! `ALTER COLUMN ... TYPE`.
//!
//! Where every stored value is, as it is stored, a value of the new type, and no index has it in its keys, only the
//! descriptor changes. Otherwise the table gets a successor: its rows are copied with the new types while others go on
//! writing, and then that takes its place.

use annulus_relation::catalog::{
    Catalog, Column, ColumnId, Default, Edit, ForeignKey, IndexState, KeyPart, ObjectId, Retyped, Retyping, Sequence,
    Succession, Table,
};
use annulus_relation::codec::is_keyable;
use annulus_relation::error::SqlState;
use annulus_relation::value::{CastContext, Env, KnownTypes, can_cast, is_same_when_stored, keeps_apart};
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{self, DataType};

use super::alter::{in_primary_key, rewrite_expressions};
use super::expression::{Use, bind_stored, columns_of, type_of};
use super::foreign::check_comparable;
use super::{Definition, Job};
use crate::bind::{Binder, Expr, ParamTypes, Scope, Volatility};
use crate::parse::parse_expression;

impl Definition<'_> {
    pub(super) fn retype(
        &mut self,
        before: Table,
        column: &Column,
        data_type: &DataType,
        using: Option<&ast::Expr>,
    ) -> SqlResult<()> {
        let ty = crate::bind::sql_type(data_type, &self.env.types)?;
        let is_cast = using.is_some_and(|using| is_cast_of(using, column, &ty, &self.env.types));
        let using = using.filter(|_| !is_cast || !can_cast(&column.ty, &ty, CastContext::Assignment));
        if ty == column.ty && using.is_none() {
            return Ok(());
        }
        check_not_used(&before, column)?;
        let is_generated = matches!(column.default, Some(Default::Generated(_)));
        if using.is_some() && is_generated {
            let message = "cannot specify USING when altering type of generated column";
            let detail = format!("Column \"{}\" is a generated column.", column.name);
            return Err(SqlError::new(SqlState::INVALID_COLUMN_DEFINITION, message).detail(detail));
        }
        let what = format!("the type of column {} of table {}", column.name, before.name);
        self.views_forbid(&before, column.id, &what)?;
        let identity = retyped_identity(self.catalog(), column, &ty)?;
        let stays = using.is_none() && is_same_when_stored(&column.ty, &ty);
        if stays && (keeps_keys(&column.ty, &ty) || !is_in_keys(&before, column.id)?) {
            let mut after = before.clone();
            after.columns.iter_mut().filter(|other| other.id == column.id).for_each(|other| other.ty = ty.clone());
            rewrite_expressions(&before, &mut after, &self.env.types)?;
            identity.map_or(Ok(()), |sequence| self.edit.put_sequence(sequence))?;
            return self.edit.put_table(after);
        }
        let separates = using.is_some_and(|using| separated(using, column, &self.env.types).as_ref() == Some(&ty));
        let conversion = self.conversion(&before, column, &ty, using)?;
        check_default(&before, column, &ty, &self.env.types)?;
        let mut before = before;
        self.check_references(&mut before, column, &ty, using.is_some() && !separates)?;
        let retyped = Retyped { column: column.id, using: conversion, default: None, ty };
        self.begin_succession(before, retyped)
    }

    /// The expression that makes the new value, in its normal form; `None` if it is a cast that needs nothing but the value.
    fn conversion(
        &self,
        table: &Table,
        column: &Column,
        ty: &SqlType,
        using: Option<&ast::Expr>,
    ) -> SqlResult<Option<String>> {
        let Some(using) = using else {
            let own = ast::Expr::Identifier(ast::Ident::with_quote('"', column.name.clone()));
            let scope = Scope::table(None, Some(&table.name), [(column.name.as_str(), &column.ty)]);
            let mut params = ParamTypes::new();
            let bound = Binder::new(&scope, &mut params, self.env).bind_assigned(&own, &column.name, ty);
            let bound = bound.map_err(|_| {
                let message = format!("column \"{}\" cannot be cast automatically to type {}", column.name, ty.name());
                let hint = format!("You might need to specify \"USING {}::{}\".", column.name, ty.name());
                SqlError::new(SqlState::DATATYPE_MISMATCH, message).hint(hint)
            })?;
            return self.check_settled(&bound).map(|()| None);
        };
        let target = Column { ty: ty.clone(), ..column.clone() };
        let normal = self.normal(using, &table.name, &table.columns, &Use::Conversion(&target));
        let (text, bound) = normal.map_err(|error| match error.state() {
            SqlState::DATATYPE_MISMATCH => {
                let message = format!(
                    "result of USING clause for column \"{}\" cannot be cast automatically to type {}",
                    column.name,
                    ty.name()
                );
                SqlError::new(SqlState::DATATYPE_MISMATCH, message).hint("You might need to add an explicit cast.")
            }
            _ => error,
        })?;
        self.check_settled(&bound)?;
        Ok(Some(text))
    }

    /// A conversion is made by whoever writes a row, whatever its settings are: with those that sessions begin with.
    fn check_settled(&self, conversion: &Expr) -> SqlResult<()> {
        let (mut by_others, mut by_settings, mut by_zone) = (false, false, false);
        conversion.walk(&mut |part| {
            by_zone |= matches!(part.ty(), SqlType::Timestamptz(_));
            if part.own_volatility() != Volatility::Immutable {
                let known = match part {
                    Expr::Cast { .. } => true,
                    Expr::Call(call) => BY_SETTINGS.contains(&call.function.name),
                    _ => false,
                };
                by_settings |= known;
                by_others |= !known;
            }
        });
        if by_others {
            return Err(SqlError::unsupported("a conversion that depends on the session or on time")
                .hint("Add another column of the new type, update it from the old one, drop that, and rename it."));
        }
        let usual = Env::default();
        let styles = |env: &Env| (env.date_style, env.date_order, env.interval_style);
        if by_settings && (styles(self.env) != styles(&usual) || by_zone && self.env.zone != usual.zone) {
            let what = "a conversion by DateStyle, IntervalStyle or TimeZone that are not the usual ones";
            return Err(SqlError::unsupported(what)
                .hint("SET DateStyle = 'ISO, MDY', IntervalStyle = 'postgres' and TimeZone = 'UTC' before, or say what is meant: AT TIME ZONE, to_date."));
        }
        Ok(())
    }

    /// Foreign keys that a column is in compare it as before with what is on their other sides. Where its values may not stay
    /// equal to what they were, the rows are looked at again, in the same transaction: it is too late afterwards.
    fn check_references(&mut self, table: &mut Table, column: &Column, ty: &SqlType, computed: bool) -> SqlResult<()> {
        let references = self.references(table, column);
        let target = Column { ty: ty.clone(), ..column.clone() };
        for Reference { constraint, other, is_child, .. } in &references {
            let (child, parent) = if *is_child { (&target, other) } else { (other, &target) };
            check_comparable(constraint, child, parent)?;
        }
        if !computed && keeps_apart(&column.ty, ty) {
            return Ok(());
        }
        for Reference { constraint, child, .. } in references {
            self.at_once = true;
            if child == table.id {
                ask_again(table, &constraint);
            } else {
                let mut child = self.current(child)?;
                ask_again(&mut child, &constraint);
                self.edit.put_table(child)?;
            }
            self.note_validation(child, None, Some(&constraint));
        }
        Ok(())
    }

    /// The foreign keys that a column is in, on either side.
    fn references(&self, table: &Table, column: &Column) -> Vec<Reference> {
        let mut found = Vec::new();
        let with_columns =
            |id: ObjectId| if id == table.id { Some(table) } else { self.catalog().table_by_id(id).map(AsRef::as_ref) };
        let mut note = |key: &ForeignKey, other: &Table, own: &[ColumnId], others: &[ColumnId], is_child: bool| {
            let child = if is_child { table.id } else { other.id };
            for (_, other_id) in own.iter().zip(others).filter(|(own, _)| **own == column.id) {
                let other = other.all_columns().find(|found| found.id == *other_id).cloned();
                found.extend(other.map(|other| Reference { constraint: key.name.clone(), other, is_child, child }));
            }
        };
        for key in &table.foreign_keys {
            with_columns(key.parent)
                .into_iter()
                .for_each(|parent| note(key, parent, &key.columns, &key.parent_columns, true));
        }
        for child in table.referenced_by.iter().filter_map(|child| with_columns(*child)) {
            for key in child.all_foreign_keys().filter(|key| key.parent == table.id) {
                note(key, child, &key.parent_columns, &key.columns, false);
            }
        }
        found
    }

    /// Marks the table as one that gets a successor, or adds to what is marked.
    fn begin_succession(&mut self, mut table: Table, retyped: Retyped) -> SqlResult<()> {
        let id = table.id;
        let generation = self.edit.new_generation()?;
        let Some(primary) = table.indexes.first_mut() else { return Ok(()) };
        match &mut primary.state {
            IndexState::Retyped(retyping) => {
                retyping.columns.retain(|known| known.column != retyped.column);
                retyping.columns.push(retyped);
            }
            IndexState::Ready => {
                let (columns, keys) = (vec![retyped], Vec::new());
                primary.state =
                    IndexState::Retyped(Retyping { columns, keys, succession: Succession::new(generation) });
                self.jobs.push(Job::Rekey { table: id });
            }
            IndexState::Rekeyed(_) | IndexState::Reshaped(_) | IndexState::Extended(_) | IndexState::Filling { .. } => {
                return Err(SqlError::unsupported("changing a type and the primary key in one statement"));
            }
        }
        let keys = keys_after(&table, &self.env.types)?;
        if let IndexState::Retyped(retyping) = &mut table.indexes[0].state {
            retyping.keys = keys;
        }
        self.edit.put_table(table)
    }
}

/// Functions that depend on settings, and on nothing else of a session.
const BY_SETTINGS: [&str; 6] = ["date_part", "date_trunc", "extract", "to_char", "to_date", "to_timestamp"];

/// A foreign key, seen from a column that is in it.
struct Reference {
    constraint: String,
    /// The column on its other side.
    other: Column,
    /// Whether the column itself is the child's.
    is_child: bool,
    /// The table that it is of.
    child: ObjectId,
}

/// A foreign key whose rows had been looked at is to be validated.
fn ask_again(table: &mut Table, constraint: &str) {
    let standing = table.standing_mut(constraint).filter(|standing| standing.is_validated());
    standing.into_iter().for_each(|standing| *standing = standing.left().asked());
}

/// The sequence of an identity column with its column's type, if it has another one.
fn retyped_identity(catalog: &Catalog, column: &Column, ty: &SqlType) -> SqlResult<Option<Sequence>> {
    let Some(Default::Identity(_, sequence)) = &column.default else { return Ok(None) };
    if !is_integer(ty) {
        let message = "identity column type must be smallint, integer, or bigint";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let missing = || SqlError::new(SqlState::DATA_CORRUPTED, "an identity column without a sequence");
    let before = catalog.sequence_by_id(*sequence).ok_or_else(missing)?;
    if before.ty == *ty {
        return Ok(None);
    }
    crate::sequence::alter(before, Some(ty.clone()), &[]).map(Some)
}

/// The sequences of identity columns get the types that these are being given, when they have them.
pub(crate) fn follow_types(edit: &mut Edit, table: &Table) -> SqlResult<()> {
    for retyped in table.retyping().into_iter().flat_map(|retyping| &retyping.columns) {
        let column = table.columns.iter().find(|column| column.id == retyped.column);
        let sequence = column.map(|column| retyped_identity(edit.catalog(), column, &retyped.ty)).transpose()?;
        if let Some(sequence) = sequence.flatten() {
            edit.put_sequence(sequence)?;
        }
    }
    Ok(())
}

/// The type that a column is being given.
pub(super) fn coming_type(table: &Table, column: ColumnId) -> Option<SqlType> {
    let retyped = table.retyping()?.columns.iter().find(|retyped| retyped.column == column)?;
    Some(retyped.ty.clone())
}

/// The types that expressions in the keys of indexes have with the new types; whatever else is stored must still be
/// one that can be evaluated.
fn keys_after(table: &Table, types: &KnownTypes) -> SqlResult<Vec<(ObjectId, u16, SqlType)>> {
    let Some(after) = table.successor() else { return Ok(Vec::new()) };
    let mut keys = Vec::new();
    for index in &after.indexes {
        for (key, position) in index.keys.iter().zip(0..) {
            let ty = match &key.part {
                KeyPart::Column(id) => {
                    after.columns.iter().find(|column| column.id == *id).map(|column| column.ty.clone())
                }
                KeyPart::Expression(text, before) => {
                    let ty = type_of(text, &after)?;
                    if ty != *before {
                        keys.push((index.id, position, ty.clone()));
                    }
                    Some(ty)
                }
            };
            if let Some(ty) = ty.filter(|ty| !is_keyable(ty)) {
                let message =
                    format!("data type {} has no default operator class for access method \"btree\"", ty.name());
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
        }
    }
    let predicates = after.indexes.iter().filter_map(|index| index.predicate.as_ref());
    let mut conditions = predicates.chain(after.checks.iter().map(|check| &check.expression));
    conditions.try_for_each(|text| bind_stored(&after, text, &SqlType::Bool, types).map(drop))?;
    Ok(keys)
}

/// The default, or what it is computed by, must be one of the new type, too.
fn check_default(table: &Table, column: &Column, ty: &SqlType, types: &KnownTypes) -> SqlResult<()> {
    let text = match &column.default {
        Some(Default::Expression(text)) => text,
        Some(Default::Generated(text)) => {
            let message = format!(
                "generation expression for column \"{}\" cannot be cast automatically to type {}",
                column.name,
                ty.name()
            );
            let bound = bind_stored(table, text, ty, types).map(drop);
            return bound.map_err(|_| SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        _ => return Ok(()),
    };
    let (scope, mut params, env) = (Scope::new(), ParamTypes::new(), annulus_relation::value::Env::default());
    let bound = Binder::new(&scope, &mut params, &env).bind_assigned(&parse_expression(text)?, &column.name, ty);
    if bound.is_err() {
        let message =
            format!("default for column \"{}\" cannot be cast automatically to type {}", column.name, ty.name());
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    Ok(())
}

/// The type that casts in `USING` end with, if there is nothing else in it, and each of them keeps different values different.
fn separated(using: &ast::Expr, column: &Column, types: &KnownTypes) -> Option<SqlType> {
    match using {
        ast::Expr::Cast { expr, data_type, .. } => {
            let from = separated(expr, column, types)?;
            let to = crate::bind::sql_type(data_type, types).ok()?;
            // A cast that is written cuts off what is too long.
            let cuts = matches!(to, SqlType::Varchar(Some(_)));
            (keeps_apart(&from, &to) && !cuts).then_some(to)
        }
        ast::Expr::Nested(inner) => separated(inner, column, types),
        ast::Expr::Identifier(name) => (name.value == column.name).then(|| column.ty.clone()),
        _ => None,
    }
}

/// Whether `USING` says no more than that the column becomes what it becomes.
fn is_cast_of(using: &ast::Expr, column: &Column, ty: &SqlType, types: &KnownTypes) -> bool {
    match using {
        ast::Expr::Cast { expr, data_type, .. } => {
            keeps_apart(&column.ty, ty)
                && crate::bind::sql_type(data_type, types).is_ok_and(|cast| cast == *ty)
                && is_cast_of(expr, column, &column.ty.clone(), types)
        }
        ast::Expr::Nested(inner) => is_cast_of(inner, column, ty, types),
        ast::Expr::Identifier(name) => name.value == column.name,
        _ => false,
    }
}

/// `0A000` if other columns are computed from one.
fn check_not_used(table: &Table, column: &Column) -> SqlResult<()> {
    for other in &table.columns {
        let Some(Default::Generated(text)) = &other.default else { continue };
        if columns_of(text, table)?.contains(&column.id) {
            let message = "cannot alter type of a column used by a generated column";
            let detail = format!("Column \"{}\" is used by generated column \"{}\".", column.name, other.name);
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail));
        }
    }
    Ok(())
}

/// Whether the column is in the keys or the rows of an index, or in an expression there.
fn is_in_keys(table: &Table, column: ColumnId) -> SqlResult<bool> {
    let included = table.indexes.iter().any(|index| index.include.contains(&column));
    Ok(included || in_primary_key(table, column) || is_in_key_of(table, column, |_| true)?)
}

/// Whether the column is in the key or the predicate of an index.
fn is_in_key_of(
    table: &Table,
    column: ColumnId,
    wanted: impl Fn(&annulus_relation::catalog::Index) -> bool,
) -> SqlResult<bool> {
    for index in table.indexes.iter().filter(|index| wanted(index)) {
        for key in &index.keys {
            let is_in = match &key.part {
                KeyPart::Column(id) => *id == column,
                KeyPart::Expression(text, _) => columns_of(text, table)?.contains(&column),
            };
            if is_in {
                return Ok(true);
            }
        }
        if let Some(predicate) = &index.predicate
            && columns_of(predicate, table)?.contains(&column)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

const fn is_integer(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
}

/// Whether keys over values of one type are keys over values of the other, and compare as they do.
fn keeps_keys(from: &SqlType, to: &SqlType) -> bool {
    matches!(to, SqlType::Text | SqlType::Varchar(_))
        || from.base() == to.base()
        || (from, to) == (&SqlType::Cidr, &SqlType::Inet)
}
