//! Column definition lists: `json_to_record(...) AS x(a int, b text)`.

use annulus_relation::value::KnownTypes;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast;

use super::{Translator, folded};
use crate::bind;
use crate::query::rows::{self, RowsFunction};

/// The columns that an alias defines, with their types, if it does.
fn defined(alias: Option<&ast::TableAlias>, types: &KnownTypes) -> SqlResult<Option<Vec<(String, SqlType)>>> {
    let columns = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    if columns.is_empty() {
        return Ok(None);
    }
    let column = |column: &ast::TableAliasColumnDef| {
        let ty = column.data_type.as_ref().map(|ty| bind::sql_type(ty, types)).transpose()?;
        Ok(ty.map(|ty| (folded(&column.name), ty)))
    };
    columns.iter().map(column).collect()
}

/// The alias with its columns' names only.
pub(super) fn untyped(alias: &ast::TableAlias) -> ast::TableAlias {
    let mut alias = alias.clone();
    alias.columns.iter_mut().for_each(|column| column.data_type = None);
    alias
}

impl Translator<'_> {
    /// Gives a function the columns that its alias defines; an error if it must not or does not.
    pub(super) fn define_columns(
        &self,
        function: &mut RowsFunction,
        name: &ast::ObjectName,
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> SqlResult<()> {
        let syntax = |message: &str| SqlError::new(SqlState::SYNTAX_ERROR, message);
        let columns = defined(alias, &self.context.env.types)?;
        let first = alias.and_then(|alias| alias.columns.first()).map(|column| column.name.span.start);
        let at = first.zip(self.text).and_then(|(start, text)| bind::position(text, start));
        match (columns, rows::gives_records(function.name())) {
            (None, false) => Ok(()),
            (None, true) => {
                let message = "a column definition list is required for functions returning \"record\"";
                Err(syntax(message).at(self.position(name)))
            }
            (Some(_), false) => {
                let only = "a column definition list is only allowed for functions returning \"record\"";
                let redundant = "a column definition list is redundant for a function with OUT parameters";
                Err(syntax(if function.columns.len() > 1 { redundant } else { only }).at(at))
            }
            (Some(_), true) if ordinality => {
                let message = "WITH ORDINALITY cannot be used with a column definition list";
                Err(syntax(message).hint("Put the column definition list inside ROWS FROM().").at(at))
            }
            (Some(columns), true) => {
                check(&columns)?;
                function.columns = columns;
                Ok(())
            }
        }
    }
}

/// Columns of a definition list are named once, and have types of which there are values without the catalog.
fn check(columns: &[(String, SqlType)]) -> SqlResult<()> {
    for (place, (name, ty)) in columns.iter().enumerate() {
        if columns[..place].iter().any(|(known, _)| known == name) {
            let message = format!("column name \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let element = ty.element().unwrap_or(ty);
        if matches!(element, SqlType::Regclass | SqlType::Regproc | SqlType::Regnamespace | SqlType::Void) {
            return Err(SqlError::unsupported(format!("a column of type {} made of JSON", ty.name())));
        }
    }
    Ok(())
}
