//! `RETURNING` with subqueries: the statement returns all columns, and a query over them is what was asked.

use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{self, SetExpr};

use crate::bind::{Need, needs_query, quote_name};
use crate::dml::{from_of, only_table};
use crate::parse::parse_query;

/// What the changed rows are called that `RETURNING` asks more about. No client writes such a name.
pub(super) const CHANGED: &str = "changed rows";

/// Whether a statement's `RETURNING` holds what needs a query.
pub(super) fn asks_in_returning(statement: &ast::Statement) -> bool {
    let returning = match statement {
        ast::Statement::Insert(insert) => &insert.returning,
        ast::Statement::Update(update) => &update.returning,
        ast::Statement::Delete(delete) => &delete.returning,
        _ => return false,
    };
    let asks = |item: &ast::SelectItem| match item {
        ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
            needs_query(expr) == Some(Need::Subquery)
        }
        _ => false,
    };
    returning.iter().flatten().any(asks)
}

/// Lets a statement return all columns, and gives the query over them that its `RETURNING` was.
pub(super) fn take_returning(statement: &mut ast::Statement) -> SqlResult<ast::Query> {
    let beside = || SqlError::unsupported("a subquery in RETURNING beside other tables");
    let (returning, table) = match statement {
        ast::Statement::Insert(insert) => {
            let alias = insert.table_alias.as_ref().map(|alias| alias.alias.clone());
            let ast::TableObject::TableName(name) = &insert.table else { return Err(beside()) };
            (&mut insert.returning, alias.or_else(|| last_of(name)))
        }
        ast::Statement::Update(update) => {
            let from = if update.from.is_some() { None } else { only_table(&update.table) };
            let (name, alias) = from.ok_or_else(beside)?;
            let name = alias.map(ast::Ident::new).or_else(|| last_of(name));
            (&mut update.returning, name)
        }
        ast::Statement::Delete(delete) => {
            let from = if delete.using.is_some() { None } else { from_of(delete).and_then(only_table) };
            let (name, alias) = from.ok_or_else(beside)?;
            let name = alias.map(ast::Ident::new).or_else(|| last_of(name));
            (&mut delete.returning, name)
        }
        _ => return Err(beside()),
    };
    let table = table.ok_or_else(beside)?;
    let mut query = *parse_query(&format!("SELECT 1 FROM \"{CHANGED}\" AS {}", quote_name(&table.value)))?;
    let all = vec![ast::SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())];
    let items = returning.replace(all).unwrap_or_default();
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = items;
    }
    Ok(query)
}

fn last_of(name: &ast::ObjectName) -> Option<ast::Ident> {
    name.0.last().and_then(|part| part.as_ident()).cloned()
}
