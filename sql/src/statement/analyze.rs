//! From parsed statements to analyzed ones.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast;

use super::{Analyzed, Plan, Setting};
use crate::bind::ParamTypes;
use crate::copy::{CopyFrom, source};
use crate::ddl::{database_statement, definition_name};
use crate::dml::query::Query;
use crate::dml::{Delete, Insert, InsertQuery, Joined, Projection, Select, Update};
use crate::parse::{CopyStatement, Parsed, Statement};
use crate::query::Explain;
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
    if let Some(what) = database_statement(&parsed.statement) {
        return Ok(plain(Plan::Administer(what), None));
    }
    match &parsed.statement {
        Statement::Empty => Ok(plain(Plan::Empty, None)),
        Statement::Show(name) => Ok(plain(Plan::Command, Some(shown(name.as_deref())))),
        statement if definition_name(statement).is_some() => Ok(plain(Plan::Define, None)),
        Statement::Explain { analyze: ran, verbose, body } => {
            let body = Rc::new(Parsed::clone(body));
            let inner = analyze(&body, declared, setting)?;
            let how = Explain { analyze: *ran, verbose: *verbose };
            let columns = Some(vec![Column::new("QUERY PLAN", SqlType::Text)].into());
            Ok(Analyzed { columns, ..around(parsed, inner, |inner| Plan::Explain(inner, how)) })
        }
        Statement::Declare(declare) => {
            let inner = analyze(&Rc::new(Parsed::clone(&declare.query)), declared, setting)?;
            Ok(around(parsed, inner, Plan::Declare))
        }
        Statement::Copy(copy) => analyze_copy(copy, parsed, setting),
        Statement::Sql(statement) => analyze_sql(statement, parsed, declared, setting),
        _ => Ok(plain(Plan::Command, None)),
    }
}

/// A statement around another one, which it takes its parameters for.
fn around(parsed: &Rc<Parsed>, inner: Analyzed, plan: impl FnOnce(Rc<Analyzed>) -> Plan) -> Analyzed {
    Analyzed {
        parsed: Rc::clone(parsed),
        parameters: inner.parameters.clone(),
        columns: None,
        catalog: inner.catalog.clone(),
        path: Arc::clone(&inner.path),
        plan: plan(Rc::new(inner)),
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
            let found = Select::new(query, parsed, setting, &mut params)?;
            match found {
                Some(select) => {
                    let columns = select.projection.columns.clone();
                    (Plan::Select(Rc::new(select)), Some(columns))
                }
                None => {
                    refuse_locks(query)?;
                    params = ParamTypes::declared(declared.to_vec());
                    let query = Query::new(query, &parsed.whole, &[], setting, &mut params)?;
                    let columns = query.columns.clone();
                    (Plan::Query(query), Some(columns))
                }
            }
        }
        ast::Statement::Insert(insert) => match Insert::new(insert, parsed, setting, &mut params)? {
            Some(insert) => {
                let columns = returned(insert.returning.as_ref());
                (Plan::Insert(insert), columns)
            }
            None => {
                let insert = InsertQuery::new(insert, parsed, setting, &mut params)?;
                let columns = returned(insert.returning());
                (Plan::InsertQuery(insert), columns)
            }
        },
        ast::Statement::Update(update) => match Update::new(update, parsed, setting, &mut params)? {
            Some(update) => {
                let columns = returned(update.returning.as_ref());
                (Plan::Update(update), columns)
            }
            None => joined(Joined::update(update, parsed, setting, &mut params)?),
        },
        ast::Statement::Delete(delete) => match Delete::new(delete, parsed, setting, &mut params)? {
            Some(delete) => {
                let columns = returned(delete.returning.as_ref());
                (Plan::Delete(delete), columns)
            }
            None => joined(Joined::delete(delete, parsed, setting, &mut params)?),
        },
        _ => return Err(SqlError::unsupported("this statement")),
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

fn analyze_copy(copy: &CopyStatement, parsed: &Rc<Parsed>, setting: &Setting<'_>) -> SqlResult<Analyzed> {
    let plan = match copy.from {
        true => Plan::CopyFrom(Rc::new(CopyFrom::new(copy, parsed, setting)?)),
        false => {
            let query = Rc::new(source(copy, setting)?);
            let query = analyze(&query, &[], setting)?;
            if query.columns.is_none() || !query.parameters.is_empty() {
                return Err(SqlError::unsupported("COPY of a statement that gives no rows"));
            }
            Plan::CopyTo(Rc::new(query), copy.options.clone())
        }
    };
    Ok(Analyzed {
        parsed: Rc::clone(parsed),
        parameters: Vec::new(),
        columns: None,
        plan,
        catalog: Some(Arc::clone(setting.catalog)),
        path: Arc::clone(&setting.path),
    })
}

fn returned(returning: Option<&Projection>) -> Option<Vec<Column>> {
    returning.map(|returning| returning.columns.clone())
}

fn joined(joined: Joined) -> (Plan, Option<Vec<Column>>) {
    let columns = returned(joined.returning.as_ref());
    (Plan::Joined(joined), columns)
}

/// Rows are locked only where they are read from one table in the order of an index.
fn refuse_locks(query: &ast::Query) -> SqlResult<()> {
    match query.locks.is_empty() {
        true => Ok(()),
        false => Err(SqlError::unsupported("FOR UPDATE in a query with joins, grouping, sorting or subqueries")
            .hint("Lock the rows of each table by its primary key.")),
    }
}

/// The columns of `SHOW`.
fn shown(name: Option<&str>) -> Vec<Column> {
    match name {
        Some(name) => vec![Column::new(name, SqlType::Text)],
        None => ["name", "setting", "description"].map(|name| Column::new(name, SqlType::Text)).into(),
    }
}
