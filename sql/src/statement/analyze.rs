//! From parsed statements to analyzed ones.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast;

use super::{Analyzed, Plan, Setting, with};
use crate::bind::ParamTypes;
use crate::copy::{CopyFrom, source};
use crate::ddl::{database_statement, definition_name};
use crate::dml::query::Query;
use crate::dml::{Change, Delete, Insert, InsertQuery, Joined, LockedQuery, Merge, Select, Update};
use crate::parse::{CopyStatement, Parsed, Statement};
use crate::session::answer::Column;
use crate::session::canonical;

/// What a statement takes, gives and does. `declared` are its parameters' types as far as the client knows them.
pub(crate) fn analyze(parsed: &Rc<Parsed>, declared: &[Option<SqlType>], setting: &Setting<'_>) -> SqlResult<Analyzed> {
    let plain = |plan: Plan, columns: Option<Vec<Column>>| Analyzed {
        parsed: Rc::clone(parsed),
        parameters: Vec::new(),
        columns: columns.map(Into::into),
        plan,
        catalog: None,
        types: Vec::new(),
        path: Arc::clone(&setting.path),
    };
    if let Some(what) = database_statement(&parsed.statement) {
        return Ok(plain(Plan::Administer(what), None));
    }
    match &parsed.statement {
        Statement::Empty => Ok(plain(Plan::Empty, None)),
        Statement::Show(name) => Ok(plain(Plan::Command, Some(shown(name.as_deref())))),
        statement if definition_name(statement).is_some() => Ok(plain(Plan::Define, None)),
        Statement::Maintenance { .. } => Ok(plain(Plan::Maintain, None)),
        Statement::Explain { how, body } => {
            let body = Rc::new(Parsed::clone(body));
            let inner = analyze(&body, declared, setting)?;
            let columns = Some(vec![Column::new("QUERY PLAN", how.format.column_type())].into());
            Ok(Analyzed { columns, ..around(parsed, inner, |inner| Plan::Explain(inner, *how)) })
        }
        Statement::Declare(declare) => {
            let inner = analyze(&Rc::new(Parsed::clone(&declare.query)), declared, setting)?;
            if let Plan::With(with) = &inner.plan {
                let message = match with.changes() {
                    true => "DECLARE CURSOR must not contain data-modifying statements in WITH",
                    false => "FOR UPDATE in a subquery of a cursor is not supported",
                };
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
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
        types: inner.types.clone(),
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
    let (plan, columns) = match with::plan(statement, parsed, setting, &mut params)? {
        Some(in_parts) => in_parts,
        None => match statement {
            ast::Statement::Query(query) => {
                let (plan, columns) = query_plan(query, parsed, declared, setting, &mut params)?;
                (plan, Some(columns))
            }
            _ => {
                let change = change(statement, parsed, setting, &mut params)?;
                let columns = change.returning().map(|returning| returning.columns.clone());
                (Plan::Change(change), columns)
            }
        },
    };
    Ok(Analyzed {
        parsed: Rc::clone(parsed),
        parameters: params.finish()?,
        columns: columns.map(Into::into),
        plan,
        catalog: Some(Arc::clone(setting.catalog)),
        types: setting.env.types.used(),
        path: Arc::clone(&setting.path),
    })
}

fn analyze_copy(copy: &CopyStatement, parsed: &Rc<Parsed>, setting: &Setting<'_>) -> SqlResult<Analyzed> {
    let plan = match copy.from {
        true => Plan::CopyFrom(Rc::new(CopyFrom::new(copy, parsed, setting)?)),
        false => {
            let (query, table) = source(copy, setting)?;
            let query = analyze(&Rc::new(query), &[], setting)?;
            if query.columns.is_none() || !query.parameters.is_empty() {
                return Err(SqlError::unsupported("COPY of a statement that gives no rows"));
            }
            Plan::CopyTo(Rc::new(query), table, copy.options.clone())
        }
    };
    Ok(Analyzed {
        parsed: Rc::clone(parsed),
        parameters: Vec::new(),
        columns: None,
        plan,
        catalog: Some(Arc::clone(setting.catalog)),
        types: setting.env.types.used(),
        path: Arc::clone(&setting.path),
    })
}

/// A query, on the engine or without it.
fn query_plan(
    query: &ast::Query,
    parsed: &Parsed,
    declared: &[Option<SqlType>],
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<(Plan, Vec<Column>)> {
    if let Some(select) = Select::new(query, parsed, setting, params)? {
        let columns = select.projection.columns.clone();
        return Ok((Plan::Select(Rc::new(select)), columns));
    }
    *params = ParamTypes::declared(declared.to_vec());
    if query.locks.is_empty() {
        let query = Query::new(query, &parsed.whole, &[], setting, params)?;
        let columns = query.columns.clone();
        return Ok((Plan::Query(query), columns));
    }
    let locked = LockedQuery::new(query, parsed, setting, params)?;
    let columns = locked.columns();
    Ok((Plan::Locked(Box::new(locked)), columns))
}

/// A statement that changes rows.
pub(super) fn change(
    statement: &ast::Statement,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Box<Change>> {
    let change = match statement {
        ast::Statement::Insert(insert) => match Insert::new(insert, parsed, setting, params)? {
            Some(insert) => Change::Insert(insert),
            None => Change::InsertQuery(InsertQuery::new(insert, parsed, setting, params)?),
        },
        ast::Statement::Update(update) => match Update::new(update, parsed, setting, params)? {
            Some(update) => Change::Update(update),
            None => Change::Joined(Joined::update(update, parsed, setting, params)?),
        },
        ast::Statement::Delete(delete) => match Delete::new(delete, parsed, setting, params)? {
            Some(delete) => Change::Delete(delete),
            None => Change::Joined(Joined::delete(delete, parsed, setting, params)?),
        },
        ast::Statement::Merge(merge) => Change::Merge(Merge::new(merge, parsed, setting, params)?),
        _ => return Err(SqlError::unsupported("this statement")),
    };
    Ok(Box::new(change))
}

/// Rows are locked only where they are read from one table in the order of an index.
pub(super) fn refuse_locks(query: &ast::Query) -> SqlResult<()> {
    match query.locks.is_empty() {
        true => Ok(()),
        false => Err(SqlError::unsupported("FOR UPDATE in a query with joins, grouping, sorting or subqueries")
            .hint("Lock the rows of each table by its primary key.")),
    }
}

/// The columns of `SHOW`.
fn shown(name: Option<&str>) -> Vec<Column> {
    match name {
        Some(name) => vec![Column::new(canonical(name), SqlType::Text)],
        None => ["name", "setting", "description"].map(|name| Column::new(name, SqlType::Text)).into(),
    }
}
