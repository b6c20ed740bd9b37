//! `COMMENT ON`.

use annulus_relation::catalog::{Relation, Schema, Sequence, Table, View};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{ObjectName, ObjectNamePart};

use super::Definition;
use super::constraint::{check_not_rekeyed, find_column};
use super::schema::plain_name;
use crate::names::{is_not, position_of};

impl Definition<'_> {
    pub(super) fn comment(
        &mut self,
        kind: &str,
        name: &ObjectName,
        table: Option<&ObjectName>,
        text: Option<&str>,
    ) -> SqlResult<&'static str> {
        let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
        match kind {
            "schema" => {
                let name = plain_name(name)?;
                let mut schema = Schema::clone(self.names().schema(&name.value, position_of(name))?);
                schema.comment = text;
                self.edit.put_schema(schema)?;
            }
            "column" => self.comment_column(name, text)?,
            "type" => self.comment_type(name, text)?,
            "constraint" => self.comment_constraint(name, table, text)?,
            "database" => return Err(SqlError::unsupported("a comment on a database")),
            kind => self.comment_relation(kind, name, text)?,
        }
        Ok("COMMENT")
    }

    fn comment_relation(&mut self, kind: &str, name: &ObjectName, text: Option<String>) -> SqlResult<()> {
        let name = self.name(name)?;
        let found = self.names().get(&name)?;
        if found.kind() != kind {
            let article = if kind == "index" { "an" } else { "a" };
            return Err(is_not(&name, found, &format!("{article} {kind}")));
        }
        match found {
            Relation::Table(table) => {
                let table = Table { comment: text, ..Table::clone(table) };
                self.edit.put_table(table)
            }
            Relation::View(view) => {
                let view = View { comment: text, ..View::clone(view) };
                self.edit.put_view(view)
            }
            Relation::Sequence(sequence) => {
                let sequence = Sequence { comment: text, ..Sequence::clone(sequence) };
                self.edit.put_sequence(sequence)
            }
            Relation::Index(table, index) => {
                if !table.indexes.contains(index) {
                    check_not_rekeyed(table)?;
                }
                let (mut table, id) = (Table::clone(table), index.id);
                let found = table.indexes.iter_mut().find(|index| index.id == id);
                found.into_iter().for_each(|index| index.comment.clone_from(&text));
                self.edit.put_table(table)
            }
        }
    }

    fn comment_column(&mut self, name: &ObjectName, text: Option<String>) -> SqlResult<()> {
        let Some((ObjectNamePart::Identifier(column), table)) =
            name.0.split_last().filter(|(_, table)| !table.is_empty())
        else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "column name must be qualified"));
        };
        let name = self.name(&ObjectName(table.to_vec()))?;
        let mut table = Table::clone(self.names().table(&name)?);
        let id = find_column(&table, column)?.id;
        let found = table.columns.iter_mut().find(|column| column.id == id);
        found.into_iter().for_each(|column| column.comment.clone_from(&text));
        self.edit.put_table(table)
    }

    fn comment_constraint(
        &mut self,
        name: &ObjectName,
        table: Option<&ObjectName>,
        text: Option<String>,
    ) -> SqlResult<()> {
        let Some(table) = table else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "a constraint's table is missing"));
        };
        let constraint = plain_name(name)?.value.clone();
        let table_name = self.name(table)?;
        let mut table = Table::clone(self.names().table(&table_name)?);
        if !table.has_constraint(&constraint) {
            let message = format!("constraint \"{constraint}\" for table \"{}\" does not exist", table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        match text {
            Some(text) => _ = table.remarks.insert(constraint, text),
            None => _ = table.remarks.remove(&constraint),
        }
        self.edit.put_table(table)
    }
}
