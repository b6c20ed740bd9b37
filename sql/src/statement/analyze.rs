//! From parsed statements to analyzed ones.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::{SqlError, SqlResult, SqlType};
use datafusion::sql::sqlparser::ast;

use super::{Analyzed, Plan, Setting};
use crate::bind::ParamTypes;
use crate::ddl::definition_name;
use crate::dml::{Delete, Insert, Select, Update};
use crate::parse::{Parsed, Statement};
use crate::session::answer::Column;

/// What a statement takes, gives and does. `declared` are its parameters' types as far as the client knows them.
pub(crate) fn analyze(parsed: &Rc<Parsed>, declared: &[Option<SqlType>], setting: &Setting<'_>) -> SqlResult<Analyzed> {
    let plain = |plan: Plan, columns: Option<Vec<Column>>| Analyzed {
        parsed: Rc::clone(parsed),
        parameters: Vec::new(),
        columns: columns.map(Into::into),
        plan,
        catalog: None,
        path: Arc::clone(&setting.path),
    };
    match &parsed.statement {
        Statement::Empty => Ok(plain(Plan::Empty, None)),
        Statement::Show(name) => Ok(plain(Plan::Command, Some(shown(name.as_deref())))),
        statement if definition_name(statement).is_some() => Ok(plain(Plan::Define, None)),
        Statement::Sql(statement) => analyze_sql(statement, parsed, declared, setting),
        _ => Ok(plain(Plan::Command, None)),
    }
}

fn analyze_sql(
    statement: &ast::Statement,
    parsed: &Rc<Parsed>,
    declared: &[Option<SqlType>],
    setting: &Setting<'_>,
) -> SqlResult<Analyzed> {
    let mut params = ParamTypes::declared(declared.to_vec());
    let (plan, columns) = match statement {
        ast::Statement::Query(query) => {
            let select = Select::new(query, parsed, setting, &mut params)?.ok_or_else(|| later("this query"))?;
            let columns = select.projection.columns.clone();
            (Plan::Select(Rc::new(select)), Some(columns))
        }
        ast::Statement::Insert(insert) => {
            let insert = Insert::new(insert, parsed, setting, &mut params)?.ok_or_else(|| later("INSERT from a query"))?;
            let columns = insert.returning.as_ref().map(|returning| returning.columns.clone());
            (Plan::Insert(insert), columns)
        }
        ast::Statement::Update(update) => {
            let update = Update::new(update, parsed, setting, &mut params)?.ok_or_else(|| later("UPDATE with a query"))?;
            let columns = update.returning.as_ref().map(|returning| returning.columns.clone());
            (Plan::Update(update), columns)
        }
        ast::Statement::Delete(delete) => {
            let delete = Delete::new(delete, parsed, setting, &mut params)?.ok_or_else(|| later("DELETE with a query"))?;
            let columns = delete.returning.as_ref().map(|returning| returning.columns.clone());
            (Plan::Delete(delete), columns)
        }
        _ => return Err(later("this statement")),
    };
    Ok(Analyzed {
        parsed: Rc::clone(parsed),
        parameters: params.finish()?,
        columns: columns.map(Into::into),
        plan,
        catalog: Some(Arc::clone(setting.catalog)),
        path: Arc::clone(&setting.path),
    })
}

fn later(what: &str) -> SqlError {
    SqlError::unsupported(what)
}

/// The columns of `SHOW`.
fn shown(name: Option<&str>) -> Vec<Column> {
    match name {
        Some(name) => vec![Column::new(name, SqlType::Text)],
        None => ["name", "setting", "description"].map(|name| Column::new(name, SqlType::Text)).into(),
    }
}
