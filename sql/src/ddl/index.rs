//! `CREATE INDEX`, `ALTER INDEX`.

use annulus_relation::catalog::{ConstraintKind, Index, IndexKey, KeyPart, ObjectId, Relation, Table, Unique};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{ConstraintUsingIndex, CreateIndex, Expr, Ident, IndexColumn, IndexType, ObjectName};

use super::constraint::{check_keyable, check_not_rekeyed, filling, find_column, plain_column};
use super::expression::Use;
use super::naming::free_relation_name;
use super::schema::plain_name;
use super::{Definition, Job};
use crate::names::{is_not, name_of, position_of, undefined};

/// Most keys of an index, as in PostgreSQL.
const MOST_KEYS: usize = 32;

impl Definition<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> SqlResult<&'static str> {
        refuse(create)?;
        let name = self.name(&create.table_name)?;
        let mut table = Table::clone(self.names().table(&name)?);
        check_not_rekeyed(&table)?;
        let keys = create.columns.iter().map(|column| self.index_key(&table, column)).collect::<SqlResult<Vec<_>>>()?;
        if keys.len() > MOST_KEYS {
            let message = format!("cannot use more than {MOST_KEYS} columns in an index");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        let index_name = match &create.name {
            Some(name) => plain_name(name)?.value.clone(),
            None => free_relation_name(self.catalog(), &table, &joined(&create.columns), "idx"),
        };
        if self.catalog().relation(table.schema, &index_name).is_some() {
            let message = format!("relation \"{index_name}\" already exists");
            if create.if_not_exists {
                self.skipped(SqlState::DUPLICATE_TABLE, &message);
                return Ok("CREATE INDEX");
            }
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        let include = create.include.iter().map(|name| Ok(find_column(&table, name)?.id)).collect::<SqlResult<_>>()?;
        let predicate = create.predicate.as_ref().map(|predicate| {
            let purpose = Use::Condition("index predicate");
            self.normal(predicate, &table.name, &table.columns, &purpose).map(|(text, _)| text)
        });
        let index = Index {
            id: self.edit.new_id_in(table.schema)?,
            name: index_name,
            unique: Unique::new(create.unique).with_nulls(create.nulls_distinct == Some(false)),
            keys,
            include,
            predicate: predicate.transpose()?,
            constraint: None,
            state: filling(),
            comment: None,
        };
        self.jobs.push(Job::Fill { table: table.id, index: index.id });
        table.indexes.push(index);
        self.edit.put_table(table)?;
        Ok("CREATE INDEX")
    }

    fn index_key(&self, table: &Table, column: &IndexColumn) -> SqlResult<IndexKey> {
        if let Some(class) = &column.operator_class {
            operator_class_is_known(class)?;
        }
        let options = &column.column.options;
        let descending = options.asc == Some(false);
        let nulls_first = options.nulls_first.unwrap_or(descending);
        let part = match plain_column(column) {
            Some(name) => {
                let found = find_column(table, name)?;
                check_keyable(&found.ty, name)?;
                KeyPart::Column(found.id)
            }
            None => {
                let (text, bound) = self.normal(&column.column.expr, &table.name, &table.columns, &Use::Key)?;
                check_keyable(bound.ty(), &Ident::new(""))?;
                KeyPart::Expression(text, bound.ty().clone())
            }
        };
        Ok(IndexKey { part, descending, nulls_first })
    }

    /// `ALTER INDEX`; `to`: its new name, if it gets one.
    pub(super) fn alter_index(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        to: Option<&str>,
    ) -> SqlResult<&'static str> {
        let name = name_of(name, &self.shared.database)?;
        match self.names().find(&name) {
            Some(Relation::Index(table, index)) => {
                check_not_rekeyed(table)?;
                if let Some(to) = to {
                    let (mut table, id) = (Table::clone(table), index.id);
                    rename(&mut table, id, to);
                    self.edit.put_table(table)?;
                }
            }
            Some(other) => return Err(is_not(&name, other, "an index")),
            None if if_exists => self.notice(format!("relation \"{}\" does not exist, skipping", name.name)),
            None => return Err(undefined(&name, "relation")),
        }
        Ok("ALTER INDEX")
    }

    /// `ADD CONSTRAINT ... UNIQUE USING INDEX`
    pub(super) fn add_unique_index(&mut self, table: &mut Table, constraint: &ConstraintUsingIndex) -> SqlResult<()> {
        let (from, to) = (&constraint.index_name, constraint.name.as_ref().unwrap_or(&constraint.index_name));
        let Some(index) = table.indexes.iter_mut().find(|index| index.name == from.value) else {
            let message = format!("index \"{}\" does not exist", from.value);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position_of(from)));
        };
        if index.constraint.is_some() {
            let message = format!("index \"{}\" is already associated with a constraint", index.name);
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).at(position_of(from)));
        }
        let is_expression = |key: &IndexKey| matches!(key.part, KeyPart::Expression(..));
        let wrong = [
            (!index.is_unique(), format!("\"{}\" is not a unique index", index.name)),
            (index.keys.iter().any(is_expression), format!("index \"{}\" contains expressions", index.name)),
            (index.predicate.is_some(), format!("\"{}\" is a partial index", index.name)),
            (
                index.keys.iter().any(|key| key.descending || key.nulls_first),
                format!("index \"{}\" does not have default sorting behavior", index.name),
            ),
        ];
        if let Some((_, message)) = wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .detail("Cannot create a primary key or unique constraint using such an index.")
                .at(position_of(from)));
        }
        let id = index.id;
        index.constraint = Some(ConstraintKind::Unique);
        if from.value != to.value {
            let (from, to) = (&from.value, &to.value);
            let renames = "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index";
            self.notice(format!("{renames} \"{from}\" to \"{to}\""));
            rename(table, id, to);
        }
        Ok(())
    }
}

/// Gives an index of a table another name.
fn rename(table: &mut Table, id: ObjectId, to: &str) {
    let Some(index) = table.indexes.iter_mut().find(|index| index.id == id) else { return };
    let constraint = index.constraint.is_some().then(|| index.name.clone());
    to.clone_into(&mut index.name);
    constraint.iter().for_each(|from| table.move_remark(from, to));
}

/// The operator classes of the only order that there is.
fn operator_class_is_known(class: &ObjectName) -> SqlResult<()> {
    let name = class.to_string();
    let of_type = name.rsplit('.').next().and_then(|name| name.strip_suffix("_ops")).unwrap_or_default();
    match of_type.strip_suffix("_pattern").unwrap_or(of_type) {
        "bool" | "bpchar" | "bytea" | "cidr" | "date" | "float4" | "float8" | "inet" | "int2" | "int4" | "int8"
        | "interval" | "numeric" | "text" | "time" | "timestamp" | "timestamptz" | "uuid" | "varchar" => Ok(()),
        _ => Err(SqlError::unsupported(format!("the operator class {name}"))),
    }
}

fn joined(columns: &[IndexColumn]) -> String {
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::Function(function) => function.name.0.last().map(ToString::to_string).unwrap_or_default(),
        _ => "expr".to_owned(),
    };
    columns.iter().map(name).collect::<Vec<_>>().join("_")
}

fn refuse(create: &CreateIndex) -> SqlResult<()> {
    match &create.using {
        None | Some(IndexType::BTree) => {}
        // All that a hash index can do, an ordered one does too.
        Some(IndexType::Hash) => {}
        Some(other) => return Err(SqlError::unsupported(format!("an index USING {other}"))),
    }
    Ok(())
}

/// Whether an index belongs to a constraint, and is dropped with it.
pub(super) const fn is_constraint(index: &Index) -> bool {
    matches!(index.constraint, Some(ConstraintKind::PrimaryKey | ConstraintKind::Unique))
}
