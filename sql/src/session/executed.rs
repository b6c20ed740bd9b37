//! `CREATE TABLE ... AS EXECUTE`: the table is made from the prepared query, with its parameters written out.

use std::ops::ControlFlow;
use std::rc::Rc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, VisitMut, VisitorMut};

use super::{Portal, Session};
use crate::bind::Expr;
use crate::parse::{Statement, TableOfExecuted, parse, parse_expression};

impl<D: Database> Session<D> {
    /// The portal of the `CREATE TABLE AS` that says the same.
    pub(super) async fn table_of_executed(&mut self, table: &TableOfExecuted, text: &str) -> SqlResult<Portal> {
        let executed = self.executed(&table.name, &table.arguments, text).await?;
        let prepared = &executed.analyzed.parsed;
        let query = match &prepared.statement {
            Statement::Sql(statement) if prepared.as_of.is_none() => match &**statement {
                ast::Statement::Query(query) => Some(query),
                _ => None,
            },
            _ => None,
        };
        let Some(query) = query else {
            let message = "prepared statement is not a SELECT";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let values = executed.parameters.iter().zip(&executed.analyzed.parameters);
        let values = values.map(|(value, ty)| Expr::literal(value.clone(), ty.clone()).to_sql(&|_| String::new()));
        let mut query = query.clone();
        if let ControlFlow::Break(error) = VisitMut::visit(&mut query, &mut Writer { values: values.collect() }) {
            return Err(error);
        }
        let text = format!("{} {query} {}", table.before, table.behind);
        let Some(parsed) = parse(&text)?.pop() else { return Err(SqlError::unsupported("this query")) };
        let analyzed = self.analyze(&Rc::new(parsed), &[]).await?;
        Ok(Portal::new(analyzed, Vec::new()))
    }
}

/// Writes values in the place of parameters.
struct Writer {
    values: Vec<String>,
}

impl VisitorMut for Writer {
    type Break = SqlError;

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<SqlError> {
        let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Placeholder(name), .. }) = &*expr else {
            return ControlFlow::Continue(());
        };
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let Some(value) = number.and_then(|number| self.values.get(number.checked_sub(1)?)) else {
            return ControlFlow::Continue(());
        };
        match parse_expression(&format!("({value})")) {
            Ok(written) => *expr = written,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}
