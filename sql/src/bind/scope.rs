//! Which names an expression may use.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};

use crate::names::is_of;

/// A column that can be named.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeColumn {
    /// The table's name or alias, if it has one.
    pub table: Option<String>,
    /// The table's schema, unless it has an alias.
    pub schema: Option<String>,
    /// The column's name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Where the row has it.
    pub index: usize,
}

/// The columns that can be named, in the order in which `*` gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    columns: Vec<ScopeColumn>,
}

impl Scope {
    /// No columns: only constants and parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The columns of one table, in the order of its rows.
    pub fn table<'c>(
        schema: Option<&str>,
        table: Option<&str>,
        columns: impl IntoIterator<Item = (&'c str, &'c SqlType)>,
    ) -> Self {
        let mut scope = Self::new();
        scope.add_table(schema, table, columns);
        scope
    }

    /// Adds the columns of a table behind those there are.
    pub fn add_table<'c>(
        &mut self,
        schema: Option<&str>,
        table: Option<&str>,
        columns: impl IntoIterator<Item = (&'c str, &'c SqlType)>,
    ) {
        for (name, ty) in columns {
            let index = self.columns.len();
            self.add(ScopeColumn {
                table: table.map(Into::into),
                schema: schema.map(Into::into),
                name: name.into(),
                ty: ty.clone(),
                index,
            });
        }
    }

    /// Adds one column.
    pub fn add(&mut self, column: ScopeColumn) {
        self.columns.push(column);
    }

    /// All columns.
    #[must_use]
    pub fn columns(&self) -> &[ScopeColumn] {
        &self.columns
    }

    /// The column that a name means: its parts are `column`, `table.column` or `schema.table.column`.
    pub fn find(&self, parts: &[&str]) -> SqlResult<&ScopeColumn> {
        let mut found = self.columns.iter().filter(|column| column.is_named(parts));
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(column), Some(_)) => Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{}\" is ambiguous", column.name),
            )),
            (None, _) => Err(self.missing(parts)),
        }
    }

    /// The columns of the table that a name means: `table` or `schema.table`. Only the first table has rows for sure
    /// (and what an `INSERT` excluded): those joined to it may have none.
    pub fn row(&self, parts: &[&str]) -> Option<Vec<&ScopeColumn>> {
        let (table, schema) = match parts {
            [table] => (*table, None),
            [schema, table] => (*table, Some(*schema)),
            _ => return None,
        };
        let named = |column: &&ScopeColumn| {
            column.table.as_deref() == Some(table)
                && schema.is_none_or(|schema| is_of(column.schema.as_deref(), schema))
        };
        let first = self.columns.first().filter(|column| named(column) || table == "excluded");
        let found: Vec<_> = self.columns.iter().filter(named).collect();
        first.filter(|_| !found.is_empty()).map(|_| found)
    }

    fn missing(&self, parts: &[&str]) -> SqlError {
        match parts {
            [table, column] if self.columns.iter().any(|c| c.table.as_deref() == Some(*table)) => {
                SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column {table}.{column} does not exist"))
            }
            [schema, table, column]
                if self
                    .columns
                    .iter()
                    .any(|c| c.table.as_deref() == Some(*table) && is_of(c.schema.as_deref(), schema)) =>
            {
                SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column {schema}.{table}.{column} does not exist"))
            }
            [.., table, _] => {
                SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\""))
            }
            parts => {
                let column = parts.last().copied().unwrap_or_default();
                SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{column}\" does not exist"))
            }
        }
    }
}

impl ScopeColumn {
    fn is_named(&self, parts: &[&str]) -> bool {
        match parts {
            [name] => self.name == *name,
            [table, name] => self.name == *name && self.table.as_deref() == Some(*table),
            [schema, table, name] => {
                self.name == *name && self.table.as_deref() == Some(*table) && is_of(self.schema.as_deref(), schema)
            }
            _ => false,
        }
    }
}
