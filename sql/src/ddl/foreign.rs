//! Foreign keys.

use std::sync::Arc;

use annulus_relation::catalog::{
    Action, Column, ConstraintKind, Default, Deferral, ForeignKey, Index, KeyPart, Standing, Table,
};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{
    ConstraintCharacteristics, ConstraintReferenceMatchKind, DeferrableInitial, ForeignKeyConstraint, Ident,
    ReferentialAction,
};

use super::Definition;
use super::constraint::{check_not_rekeyed, find_column};
use crate::names::position_of;

impl Definition<'_> {
    pub(super) fn add_foreign_key(
        &mut self,
        table: &mut Table,
        key: &ForeignKeyConstraint,
        fresh: bool,
    ) -> SqlResult<()> {
        if !matches!(key.match_kind, None | Some(ConstraintReferenceMatchKind::Simple)) {
            return Err(SqlError::unsupported("MATCH FULL or PARTIAL"));
        }
        let columns: Vec<Column> =
            key.columns.iter().map(|name| referring(table, name).cloned()).collect::<SqlResult<_>>()?;
        let name = self.name(&key.foreign_table)?;
        // A table may refer to itself while it is being created.
        let own = name.name == table.name && self.names().find(&name).is_none_or(|found| found.id() == table.id);
        let parent = if own { Arc::new(table.clone()) } else { Arc::clone(self.names().table(&name)?) };
        self.check_same_persistence(table, &parent)?;
        if !own && parent.rekeying().is_some() && parent.primary_columns().next().is_some() {
            // The key that it is losing could not be relied on.
            check_not_rekeyed(&parent)?;
        }
        // It may be the key that the table is being given, by which no parent is found yet.
        let with_key = own.then(|| parent.successor().filter(|_| parent.rekeying().is_some())).flatten();
        let parent_columns =
            referred(with_key.as_ref().unwrap_or(&parent), key).or_else(|error| match parent.rekeying() {
                Some(_) if !own => check_not_rekeyed(&parent).and(Err(error)),
                _ => Err(error),
            })?;
        if columns.len() != parent_columns.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
        }
        let joined: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let constraint = self.constraint_name(table, key.name.as_ref(), &joined.join("_"), "fkey")?;
        for (column, parent_column) in columns.iter().zip(&parent_columns) {
            check_comparable(&constraint, column, parent_column)?;
        }
        if !fresh {
            self.note_validation(table.id, None, Some(&constraint));
        }
        let declared = ForeignKey {
            name: constraint,
            columns: columns.iter().map(|column| column.id).collect(),
            parent: parent.id,
            parent_columns: parent_columns.iter().map(|column| column.id).collect(),
            on_delete: self.on_delete(table, key)?,
            on_update: action(key.on_update),
            standing: Standing::new(fresh).with_deferral(said(key.characteristics.as_ref())?),
        };
        check_actions(table, &declared)?;
        let waits = with_key.is_some_and(|after| relies_on_primary(&after, &declared));
        match waits.then(|| table.reshaping_mut()).flatten() {
            Some(reshaping) => {
                reshaping.foreign_keys.push(declared);
                // If it does not hold, the key must not be there.
                self.at_once = true;
            }
            None => table.foreign_keys.push(declared),
        }
        if own {
            refer(table, parent.id);
            return Ok(());
        }
        let mut parent = Table::clone(&parent);
        refer(&mut parent, table.id);
        self.edit.put_table(parent)
    }
}

impl Definition<'_> {
    /// What happens to the children when their parent goes.
    fn on_delete(&self, table: &Table, key: &ForeignKeyConstraint) -> SqlResult<Action> {
        let all = action(key.on_delete);
        let parent = key.foreign_table.0.first().and_then(|part| part.as_ident());
        let parent = parent.map(|name| name.span.start.column);
        let Some(set) = self.delete_sets.iter().find(|set| Some(set.parent) == parent) else { return Ok(all) };
        let mut columns = Vec::with_capacity(set.columns.len());
        for name in &set.columns {
            let column = referring(table, name)?.id;
            if !key.columns.iter().any(|own| own.value == name.value) {
                let message =
                    format!("column \"{}\" referenced in ON DELETE SET action must be part of foreign key", name.value);
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
            }
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Ok(if all == Action::SetDefault { Action::SetDefaultOf(columns) } else { Action::SetNullOf(columns) })
    }
}

/// The column of a name in a foreign key.
fn referring<'t>(table: &'t Table, name: &Ident) -> SqlResult<&'t Column> {
    table.columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
        let message = format!("column \"{}\" referenced in foreign key constraint does not exist", name.value);
        SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(name))
    })
}

/// Whether a foreign key refers to what no unique key but the primary one of a table is about.
fn relies_on_primary(parent: &Table, key: &ForeignKey) -> bool {
    let mut wanted = key.parent_columns.clone();
    wanted.sort_unstable();
    let is_key =
        |index: &Index| index.is_unique() && index.predicate.is_none() && index.key_columns().as_ref() == Some(&wanted);
    !parent.indexes.iter().skip(1).any(is_key)
}

fn refer(parent: &mut Table, child: u32) {
    if !parent.referenced_by.contains(&child) {
        parent.referenced_by.push(child);
    }
}

/// When a constraint is checked.
pub(super) fn said(characteristics: Option<&ConstraintCharacteristics>) -> SqlResult<Deferral> {
    let Some(given) = characteristics else { return Ok(Deferral::Never) };
    deferral(given.deferrable, given.initially.map(|initially| initially == DeferrableInitial::Deferred))
}

/// When a key is checked: what `[NOT] DEFERRABLE` and `INITIALLY DEFERRED` mean together.
pub(super) fn deferral(deferrable: Option<bool>, deferred: Option<bool>) -> SqlResult<Deferral> {
    match (deferrable, deferred) {
        (Some(false), Some(true)) => {
            let message = "constraint declared INITIALLY DEFERRED must be DEFERRABLE";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        }
        (_, Some(true)) => Ok(Deferral::Usual),
        (Some(true), _) => Ok(Deferral::Possible),
        (_, _) => Ok(Deferral::Never),
    }
}

const fn action(action: Option<ReferentialAction>) -> Action {
    match action {
        None | Some(ReferentialAction::NoAction) => Action::NoAction,
        Some(ReferentialAction::Restrict) => Action::Restrict,
        Some(ReferentialAction::Cascade) => Action::Cascade,
        Some(ReferentialAction::SetNull) => Action::SetNull,
        Some(ReferentialAction::SetDefault) => Action::SetDefault,
    }
}

/// `42601` for actions of a key that would give a value to a column which computes its own.
pub(super) fn check_actions(table: &Table, key: &ForeignKey) -> SqlResult<()> {
    let computes = |column: &Column| matches!(column.default, Some(Default::Generated(_)));
    if !table.columns.iter().any(|column| key.columns.contains(&column.id) && computes(column)) {
        return Ok(());
    }
    let sets = |action: &Action| !matches!(action, Action::NoAction | Action::Restrict | Action::Cascade);
    let clause = match (sets(&key.on_delete), sets(&key.on_update) || key.on_update == Action::Cascade) {
        (false, false) => return Ok(()),
        (_, true) => "ON UPDATE",
        _ => "ON DELETE",
    };
    let message = format!("invalid {clause} action for foreign key constraint containing generated column");
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
}

/// The columns referred to: those named, or those of the primary key.
fn referred(parent: &Table, key: &ForeignKeyConstraint) -> SqlResult<Vec<Column>> {
    let named: Vec<Column> =
        key.referred_columns.iter().map(|name| find_column(parent, name).cloned()).collect::<SqlResult<_>>()?;
    if named.is_empty() {
        let primary = parent.indexes.iter().find(|index| index.constraint == Some(ConstraintKind::PrimaryKey));
        let primary = primary.ok_or_else(|| {
            let message = format!("there is no primary key for referenced table \"{}\"", parent.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, message)
        })?;
        let columns = primary.keys.iter().filter_map(|key| match key.part {
            KeyPart::Column(id) => parent.columns.iter().find(|column| column.id == id).cloned(),
            KeyPart::Expression(..) => None,
        });
        return Ok(columns.collect());
    }
    let mut wanted: Vec<u16> = named.iter().map(|column| column.id).collect();
    wanted.sort_unstable();
    let is_key = |index: &annulus_relation::catalog::Index| {
        index.is_unique() && index.predicate.is_none() && index.key_columns().as_ref() == Some(&wanted)
    };
    if !parent.indexes.iter().any(is_key) {
        let message =
            format!("there is no unique constraint matching given keys for referenced table \"{}\"", parent.name);
        return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
    }
    Ok(named)
}

/// `42804` if values of the two columns cannot be compared.
pub(super) fn check_comparable(constraint: &str, child: &Column, parent: &Column) -> SqlResult<()> {
    let is_integer = |ty: &SqlType| matches!(ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8);
    let is_text = |ty: &SqlType| matches!(ty, SqlType::Text | SqlType::Varchar(_) | SqlType::Name);
    let (one, other) = (&child.ty, &parent.ty);
    let same = one.oid() == other.oid() || (is_integer(one) && is_integer(other)) || (is_text(one) && is_text(other));
    if same {
        return Ok(());
    }
    let message = format!("foreign key constraint \"{constraint}\" cannot be implemented");
    let detail = format!(
        "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
        child.name,
        parent.name,
        one.name(),
        other.name()
    );
    Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).detail(detail))
}
