//! Columns: types, defaults, identities and generated values.

use annulus_relation::catalog::{Column, Default, Identity, Sequence, Table};
use annulus_relation::error::SqlState;
use annulus_relation::value::KnownTypes;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{
    ColumnDef, ColumnOption, ColumnOptionDef, DataType, GeneratedAs, GeneratedExpressionMode, Ident, ObjectName,
    TableConstraint,
};

use super::Definition;
use super::expression::{Use, columns_of, is_serial, nextval};
use super::foreign::check_actions;
use super::naming::free_relation_name;
use crate::bind::sql_type;
use crate::names::{known_collation, position_of};
use crate::parse::IdentityOptions;

/// What a column's declaration says beside its default.
pub(super) struct Declared {
    pub ty: SqlType,
    pub not_null: bool,
    pub constraints: Vec<TableConstraint>,
}

impl Declared {
    pub fn of(definition: &ColumnDef, types: &KnownTypes) -> SqlResult<Self> {
        let serial = serial(&definition.data_type);
        let ty = match &serial {
            Some(ty) => ty.clone(),
            None => sql_type(&definition.data_type, types).map_err(|error| error.at(position_of(&definition.name)))?,
        };
        storable(&definition.name, &ty)?;
        check_nullability(definition, serial.is_some())?;
        let mut this = Self { ty, not_null: serial.is_some(), constraints: Vec::new() };
        for option in &definition.options {
            let name = option.name.clone();
            match &option.option {
                ColumnOption::Null => this.not_null = false,
                ColumnOption::NotNull => this.not_null = true,
                ColumnOption::PrimaryKey(key) => {
                    let mut key = key.clone();
                    key.columns = vec![definition.name.clone().into()];
                    key.name = key.name.or(name);
                    this.constraints.push(TableConstraint::PrimaryKey(key));
                }
                ColumnOption::Unique(unique) => {
                    let mut unique = unique.clone();
                    unique.columns = vec![definition.name.clone().into()];
                    unique.name = unique.name.or(name);
                    this.constraints.push(TableConstraint::Unique(unique));
                }
                ColumnOption::ForeignKey(key) => {
                    let mut key = key.clone();
                    key.columns = vec![definition.name.clone()];
                    key.name = key.name.or(name);
                    this.constraints.push(TableConstraint::ForeignKey(key));
                }
                ColumnOption::Check(check) => {
                    let mut check = check.clone();
                    check.name = check.name.or(name);
                    this.constraints.push(TableConstraint::Check(check));
                }
                ColumnOption::Generated { generation_expr: None, .. } => this.not_null = true,
                ColumnOption::Default(_) | ColumnOption::Generated { .. } => {}
                ColumnOption::Collation(collation) => {
                    let name = collation.0.last().and_then(|part| part.as_ident());
                    name.map_or(Ok(()), |name| known_collation(&name.value, position_of(name)))?;
                }
                other => return Err(SqlError::unsupported(format!("the column option {other}"))),
            }
        }
        Ok(this)
    }
}

/// `42601` for a column that is declared `NULL` and cannot be.
fn check_nullability(definition: &ColumnDef, is_serial: bool) -> SqlResult<()> {
    let is_null = |option: &ColumnOptionDef| matches!(option.option, ColumnOption::Null);
    let forbids = |option: &ColumnOptionDef| {
        matches!(
            option.option,
            ColumnOption::NotNull | ColumnOption::PrimaryKey(_) | ColumnOption::Generated { generation_expr: None, .. }
        )
    };
    let options = &definition.options;
    if !options.iter().any(is_null) || !(is_serial || options.iter().any(forbids)) {
        return Ok(());
    }
    let message = format!("conflicting NULL/NOT NULL declarations for column \"{}\"", definition.name.value);
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position_of(&definition.name)))
}

/// `serial` and its sizes.
fn serial(ty: &DataType) -> Option<SqlType> {
    match ty {
        DataType::Custom(name, modifiers) if modifiers.is_empty() => is_serial(&name.to_string()),
        _ => None,
    }
}

/// `42P16` for types of values that are never stored.
pub(super) fn storable(name: &Ident, ty: &SqlType) -> SqlResult<()> {
    if matches!(ty, SqlType::Unknown | SqlType::Void) || ty.has_rows() {
        let message = format!("column \"{}\" has pseudo-type {}", name.value, ty.name());
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message).at(position_of(name)));
    }
    Ok(())
}

impl Definition<'_> {
    /// Defaults, identities and generated values of columns that were added.
    pub(super) fn add_defaults(&mut self, table: &mut Table, definitions: &[ColumnDef]) -> SqlResult<()> {
        for definition in definitions {
            let Some(default) = self.declared_default(table, definition)? else { continue };
            let declared = table.columns.iter_mut().find(|column| column.name == definition.name.value);
            declared.into_iter().for_each(|column| column.default = Some(default.clone()));
        }
        table.foreign_keys.iter().try_for_each(|key| check_actions(table, key))
    }

    fn declared_default(&mut self, table: &Table, definition: &ColumnDef) -> SqlResult<Option<Default>> {
        let Some(column) = table.columns.iter().find(|column| column.name == definition.name.value) else {
            return Ok(None);
        };
        let mut default = None;
        if serial(&definition.data_type).is_some() {
            let sequence = self.owned_sequence(table, column, &IdentityOptions::default())?;
            let schema = self.catalog().schema_by_id(table.schema).map(|schema| schema.name.clone());
            default = Some(Default::Expression(nextval(&schema.unwrap_or_default(), &sequence.name)));
        }
        for option in &definition.options {
            let found = match &option.option {
                ColumnOption::Default(expression) => Default::Expression(self.default(expression, column)?.0),
                ColumnOption::Generated { generation_expr: Some(expression), generation_expr_mode, .. } => {
                    if *generation_expr_mode != Some(GeneratedExpressionMode::Stored) {
                        return Err(SqlError::unsupported("a generated column that is not STORED"));
                    }
                    Default::Generated(self.generated(table, column, expression)?)
                }
                ColumnOption::Generated { generated_as, .. } => self.identity(table, column, generated_as)?,
                _ => continue,
            };
            if default.replace(found).is_some() {
                let message = format!(
                    "multiple default values specified for column \"{}\" of table \"{}\"",
                    column.name, table.name
                );
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position_of(&definition.name)));
            }
        }
        Ok(default)
    }

    fn generated(&self, table: &Table, column: &Column, expression: &sqlparser::ast::Expr) -> SqlResult<String> {
        let (text, _) = self.normal(expression, &table.name, &table.columns, &Use::Generated(column))?;
        let reads = columns_of(&text, table)?;
        let generated = |id: &u16| {
            let found = table.columns.iter().find(|other| other.id == *id);
            *id == column.id || found.is_some_and(|other| matches!(other.default, Some(Default::Generated(_))))
        };
        if reads.iter().any(generated) {
            let message = "cannot use generated column in column generation expression";
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message)
                .detail("A generated column cannot reference another generated column."));
        }
        Ok(self.unassigned(expression, &column.ty, (&table.name, &table.columns))?.unwrap_or(text))
    }

    /// `GENERATED ... AS IDENTITY`
    pub(super) fn identity(&mut self, table: &Table, column: &Column, generated: &GeneratedAs) -> SqlResult<Default> {
        if !matches!(column.ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) {
            let message = "identity column type must be smallint, integer, or bigint";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        let options = self.identities.next().cloned().unwrap_or_default();
        let sequence = self.owned_sequence(table, column, &options)?;
        let kind = match generated {
            GeneratedAs::Always => Identity::Always,
            GeneratedAs::ByDefault | GeneratedAs::ExpStored => Identity::ByDefault,
        };
        Ok(Default::Identity(kind, sequence.id))
    }

    /// The name that `SEQUENCE NAME` gives, which is one in the table's schema.
    fn given_sequence_name(&mut self, table: &Table, given: &ObjectName) -> SqlResult<String> {
        let name = self.name(given)?;
        if name.schema.is_some() && self.target(&name, false)? != table.schema {
            let message = "sequence must be in same schema as table it is linked to";
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        self.check_free(table.schema, &name)?;
        Ok(name.name)
    }

    /// A sequence that belongs to a column.
    pub(super) fn owned_sequence(
        &mut self,
        table: &Table,
        column: &Column,
        said: &IdentityOptions,
    ) -> SqlResult<Sequence> {
        let name = match &said.name {
            Some(given) => self.given_sequence_name(table, given)?,
            None => free_relation_name(self.catalog(), table, &column.name, "seq"),
        };
        let id = self.edit.new_id_in(table.schema)?;
        let mut sequence = crate::sequence::new(id, table.schema, name, column.ty.clone(), &said.options)?;
        sequence.owner = Some((table.id, column.id));
        self.edit.put_sequence(sequence.clone())?;
        self.restarted.push(sequence.clone());
        Ok(sequence)
    }
}
