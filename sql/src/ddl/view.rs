//! `CREATE VIEW`, `CREATE TABLE AS`.

use std::sync::Arc;

use annulus_relation::catalog::{ColumnId, ObjectId, Relation, Table, View};
use annulus_relation::error::SqlState;
use annulus_relation::value::EnumType;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{self, CreateTable, CreateView, ObjectName, ObjectNamePart};

use super::Definition;
use super::table::add_column;
use super::view_query::{each_relation, each_type, ident};
use crate::names::{Name, is_not, meant};
use crate::parse::Statement;

/// The query whose columns a definition needs to know, if it has one.
pub(super) fn query_of(statement: &Statement) -> Option<&ast::Query> {
    let Statement::Sql(statement) = statement else { return None };
    match &**statement {
        ast::Statement::CreateView(view) => Some(&view.query),
        ast::Statement::CreateTable(create) => create.query.as_deref(),
        _ => None,
    }
}

impl Definition<'_> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> SqlResult<&'static str> {
        let refused = [(create.materialized, "a materialized view"), (create.to.is_some(), "TO")];
        if let Some((_, what)) = refused.into_iter().find(|(is_refused, _)| *is_refused) {
            return Err(SqlError::unsupported(what));
        }
        let name = self.name(&create.name)?;
        let columns = self.view_columns(create)?;
        let (query, reads) = self.qualified(&create.query)?;
        reads.iter().for_each(|read| self.edit.rely_on(*read));
        let temporary = create.temporary || self.becomes_temporary(&name.name, &reads);
        let schema = self.target(&name, temporary)?;
        let (id, comment) = match self.catalog().relation(schema, &name.name) {
            Some(Relation::View(before)) if create.or_replace => {
                let kept = before.columns.len() <= columns.len()
                    && before.columns.iter().zip(&columns).all(|(before, after)| before == after);
                if !kept {
                    let message = "cannot change the columns of a view; drop it first";
                    return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
                }
                (before.id, before.comment.clone())
            }
            Some(other) if create.or_replace => return Err(is_not(&name, other, "a view")),
            Some(_) if create.if_not_exists => {
                self.skipped(SqlState::DUPLICATE_TABLE, &format!("relation \"{}\" already exists", name.name));
                return Ok("CREATE VIEW");
            }
            Some(_) => {
                let message = format!("relation \"{}\" already exists", name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
            }
            None => (self.edit.new_id_in(schema)?, None),
        };
        let knows = reads.iter().map(|read| self.last_column(*read)).collect();
        self.edit.put_view(View { id, schema, name: name.name, columns, query, reads, comment, knows })?;
        Ok("CREATE VIEW")
    }

    fn view_columns(&self, create: &CreateView) -> SqlResult<Vec<(String, SqlType)>> {
        let mut columns = self.planned.clone();
        if create.columns.len() > columns.len() {
            let message = "CREATE VIEW specifies more column names than columns";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        for (column, named) in columns.iter_mut().zip(&create.columns) {
            column.0.clone_from(&named.name.value);
        }
        for (index, (name, _)) in columns.iter().enumerate() {
            if columns[..index].iter().any(|(other, _)| other == name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
        }
        Ok(columns)
    }

    /// A query's text in which every relation and type has its schema, and what it reads; types come last.
    fn qualified(&self, query: &ast::Query) -> SqlResult<(String, Vec<ObjectId>)> {
        let mut query = query.clone();
        let mut reads: Vec<ObjectId> = Vec::new();
        each_relation(&mut query, |name, _| {
            // The system's tables are found by their names.
            let Some(relation) = self.names().find(&self.name(name)?) else { return Ok(()) };
            if !reads.contains(&relation.id()) {
                reads.push(relation.id());
            }
            let schema = ident(&self.schema_name(relation.schema()));
            let own = name.0.pop();
            name.0 = std::iter::once(ObjectNamePart::Identifier(schema)).chain(own).collect();
            Ok(())
        })?;
        each_type(&mut query, |name| {
            let parts: Vec<&str> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect();
            let Some(ty) = self.named_type(&parts) else { return Ok(()) };
            if !reads.contains(&ty.number()) {
                reads.push(ty.number());
            }
            let Some(known) = ty.known() else { return Ok(()) };
            let array = parts.last().is_some_and(|last| *last != known.name);
            let own = if array { format!("_{}", known.name) } else { known.name.clone() };
            *name = ObjectName::from(vec![ident(&known.schema), ident(&own)]);
            Ok(())
        })?;
        Ok((query.to_string(), reads))
    }

    /// The enumeration that a name means, unless it is one of PostgreSQL's own.
    fn named_type(&self, parts: &[&str]) -> Option<EnumType> {
        let found = match parts {
            [name] if SqlType::parse_name(name).is_err() => self.env.types.named(None, name),
            [.., schema, name] => self.env.types.named(Some(meant(&self.path, schema)), name),
            _ => None,
        };
        found.and_then(|ty| ty.enumeration().cloned())
    }

    /// The last column of a relation.
    fn last_column(&self, id: ObjectId) -> ColumnId {
        let catalog = self.catalog();
        let of_view = || catalog.view_by_id(id).and_then(|view| ColumnId::try_from(view.columns.len()).ok());
        let of_table = |table: &Arc<Table>| table.columns.iter().map(|column| column.id).max().unwrap_or_default();
        catalog.table_by_id(id).map(of_table).or_else(of_view).unwrap_or(ColumnId::MAX)
    }

    /// Whether a view is temporary because it reads what is; the client is told.
    fn becomes_temporary(&mut self, view: &str, reads: &[ObjectId]) -> bool {
        let becomes = reads.iter().any(|id| self.is_temporary(*id));
        if becomes {
            self.notice(format!("view \"{view}\" will be a temporary view"));
        }
        becomes
    }

    /// The text of the query that fills a new table; where that hides another one, the query names what it means now.
    fn source(&mut self, create: &CreateTable, name: &Name) -> SqlResult<String> {
        let Some(query) = &create.query else { return Ok(String::new()) };
        let (text, reads) = self.qualified(query)?;
        reads.iter().for_each(|read| self.edit.rely_on(*read));
        let is_hidden = self.names().find(&Name { schema: None, ..name.clone() }).is_some();
        Ok(if is_hidden { text } else { query.to_string() })
    }

    /// `CREATE TABLE AS`: the table; its rows are inserted later.
    pub(super) fn create_table_as(&mut self, create: &CreateTable) -> SqlResult<&'static str> {
        let name = self.name(&create.name)?;
        let schema = self.table_schema(create, &name)?;
        if create.if_not_exists && self.catalog().relation(schema, &name.name).is_some() {
            self.skipped(SqlState::DUPLICATE_TABLE, &format!("relation \"{}\" already exists", name.name));
            return Ok("CREATE TABLE AS");
        }
        self.check_free(schema, &name)?;
        let query = self.source(create, &name)?;
        let mut table = self.bare_table(schema, &name.name)?;
        let mut named = create.columns.iter().map(|column| column.name.value.clone());
        for (column, ty) in &self.planned {
            let column = named.next().unwrap_or_else(|| column.clone());
            let ty = if matches!(ty, SqlType::Unknown) { &SqlType::Text } else { ty };
            add_column(&mut table, &column, ty.clone(), false)?;
        }
        if named.next().is_some() {
            let message = "too many column names were specified";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        self.filled = Some((table.id, query));
        self.shared.temporary.declare(table.id, create.on_commit);
        self.edit.put_table(table)?;
        Ok("SELECT")
    }
}
