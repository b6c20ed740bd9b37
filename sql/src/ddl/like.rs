//! `LIKE` in `CREATE TABLE`: the columns of another table, and what else of it is asked for.

use annulus_relation::catalog::{
    Check, Default, Identity, Index, IndexKey, IndexState, KeyPart, ObjectId, Relation, Sequence, Standing, Table,
};
use annulus_relation::{SqlError, SqlResult, SqlState};
use sqlparser::ast;

use super::Definition;
use super::naming::free_relation_name;
use super::table::{add_column, has_primary_key};
use crate::parse::{IdentityOptions, Like, SequenceOption, parse_expression};

impl Definition<'_> {
    /// Adds the columns of another relation, with their types and `NOT NULL`.
    pub(super) fn copy_columns(&mut self, table: &mut Table, like: &Like) -> SqlResult<()> {
        let name = self.name(&like.name)?;
        let found = self.names().get(&name)?;
        let id = found.id();
        match found {
            Relation::Table(other) => {
                for column in &other.columns {
                    add_column(table, &column.name, column.ty.clone(), column.not_null.is_declared())?;
                    if let (true, Some(copy)) = (like.comments, table.columns.last_mut()) {
                        copy.comment.clone_from(&column.comment);
                    }
                }
            }
            Relation::View(view) => {
                view.columns.iter().try_for_each(|(name, ty)| add_column(table, name, ty.clone(), false))?;
            }
            other => return Err(crate::names::is_not(&name, other, "a table")),
        }
        self.edit.rely_on(id);
        Ok(())
    }

    /// Adds what columns of another table have by default, its checks and its indexes, as far as they are asked for. The
    /// columns are there.
    pub(super) fn copy_rest(&mut self, table: &mut Table, like: &Like) -> SqlResult<()> {
        let name = self.name(&like.name)?;
        let Relation::Table(other) = self.names().get(&name)? else { return Ok(()) };
        let other = Table::clone(other);
        for column in &other.columns {
            let copied = match &column.default {
                Some(Default::Expression(_)) if like.defaults => column.default.clone(),
                Some(Default::Generated(_)) if like.generated => column.default.clone(),
                Some(Default::Identity(kind, sequence)) if like.identity => {
                    Some(self.same_identity(table, &column.name, *kind, *sequence)?)
                }
                _ => continue,
            };
            table.columns.iter_mut().filter(|copy| copy.name == column.name).for_each(|copy| {
                copy.default.clone_from(&copied);
            });
        }
        for check in other.checks.iter().filter(|_| like.constraints) {
            if table.has_constraint(&check.name) {
                let message = format!("constraint \"{}\" for relation \"{}\" already exists", check.name, table.name);
                return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
            }
            table.checks.push(Check { standing: Standing::new(true), ..check.clone() });
        }
        for (number, index) in other.indexes.iter().enumerate().filter(|_| like.indexes) {
            match number {
                0 if index.keys.is_empty() => {}
                0 => self.same_primary_key(table, &other, index)?,
                _ => {
                    let copy = self.same_index(table, &other, index)?;
                    table.indexes.push(copy);
                }
            }
        }
        Ok(())
    }

    fn same_identity(&mut self, table: &Table, column: &str, kind: Identity, sequence: ObjectId) -> SqlResult<Default> {
        let missing = || SqlError::new(SqlState::INTERNAL_ERROR, "a column that was not copied");
        let column = table.columns.iter().find(|copy| copy.name == column).ok_or_else(missing)?;
        let options = self.catalog().sequence_by_id(sequence).map_or_else(Vec::new, |like| options_of(like));
        let sequence = self.owned_sequence(table, column, &IdentityOptions { name: None, options })?;
        Ok(Default::Identity(kind, sequence.id))
    }

    fn same_primary_key(&self, table: &mut Table, other: &Table, index: &Index) -> SqlResult<()> {
        if has_primary_key(table) {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let (name, keys) = (free_relation_name(self.catalog(), table, "", "pkey"), same_keys(table, other, index)?);
        let primary = &mut table.indexes[0];
        (primary.name, primary.keys, primary.constraint) = (name, keys, index.constraint);
        Ok(())
    }

    fn same_index(&mut self, table: &Table, other: &Table, index: &Index) -> SqlResult<Index> {
        let part = |key: &IndexKey| match &key.part {
            KeyPart::Column(id) => {
                other.columns.iter().find(|column| column.id == *id).map(|column| column.name.clone())
            }
            KeyPart::Expression(text, _) => Some(match parse_expression(text) {
                Ok(ast::Expr::Function(function)) => {
                    function.name.0.last().map(ToString::to_string).unwrap_or_default()
                }
                _ => "expr".to_owned(),
            }),
        };
        let columns: Vec<String> = index.keys.iter().filter_map(part).collect();
        let label = if index.constraint.is_some() { "key" } else { "idx" };
        Ok(Index {
            id: self.edit.new_id_in(table.schema)?,
            name: free_relation_name(self.catalog(), table, &columns.join("_"), label),
            keys: same_keys(table, other, index)?,
            include: index.include.iter().map(|id| same_column(table, other, *id)).collect::<SqlResult<_>>()?,
            state: IndexState::Ready,
            ..index.clone()
        })
    }
}

fn same_keys(table: &Table, other: &Table, index: &Index) -> SqlResult<Vec<IndexKey>> {
    let same = |key: &IndexKey| {
        let part = match &key.part {
            KeyPart::Column(id) => KeyPart::Column(same_column(table, other, *id)?),
            expression @ KeyPart::Expression(..) => expression.clone(),
        };
        Ok(IndexKey { part, ..key.clone() })
    };
    index.keys.iter().map(same).collect()
}

/// The copy of another table's column.
fn same_column(table: &Table, other: &Table, id: u16) -> SqlResult<u16> {
    let name = other.columns.iter().find(|column| column.id == id).map(|column| &column.name);
    let copy = table.columns.iter().find(|copy| Some(&copy.name) == name);
    copy.map(|copy| copy.id).ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, "a column that was not copied"))
}

/// What makes another sequence count like one.
fn options_of(sequence: &Sequence) -> Vec<SequenceOption> {
    vec![
        SequenceOption::Increment(sequence.increment),
        SequenceOption::Min(Some(sequence.min)),
        SequenceOption::Max(Some(sequence.max)),
        SequenceOption::Start(sequence.start),
        SequenceOption::Cache(sequence.cache),
        SequenceOption::Cycle(sequence.cycle),
    ]
}
