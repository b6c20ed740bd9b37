//! Rows: `ROW(...)`, and tables' names that stand for their rows.

use std::borrow::Cow;

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr};

use super::super::expr::Expr;
use super::super::rows::{ROW, field_names};
use super::{Binder, Node, folded, without_parens};

/// The fields of `(a, b)` or `ROW(a, b)`.
pub(super) fn row_fields(expr: &ast::Expr) -> Option<Cow<'_, [ast::Expr]>> {
    match without_parens(expr) {
        ast::Expr::Tuple(fields) => Some(Cow::Borrowed(fields)),
        ast::Expr::Function(ast::Function { name, args: ast::FunctionArguments::List(list), .. }) => {
            let [ast::ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return None };
            let field = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(field)) => Some(field.clone()),
                _ => None,
            };
            let row = name.quote_style.is_none() && name.value.eq_ignore_ascii_case(ROW);
            row.then(|| list.args.iter().map(field).collect::<Option<Vec<_>>>()).flatten().map(Cow::Owned)
        }
        _ => None,
    }
}

impl Binder<'_> {
    /// `ROW(...)`: its fields are called `f1`, `f2` and so on.
    pub(super) fn row(&mut self, fields: Vec<Node>) -> SqlResult<Expr> {
        let mut named = Vec::new();
        for (name, field) in field_names(fields.len()).zip(fields) {
            let field = match field.ty() {
                SqlType::Unknown => self.convert(field, &SqlType::Text, CastContext::Implicit)?,
                _ => field.expr,
            };
            named.push((name, field));
        }
        Ok(Expr::row(named))
    }

    /// The same as a call; `table.*` stands for all columns of the table.
    pub(super) fn row_call(&mut self, args: &[FunctionArg]) -> SqlResult<Expr> {
        let mut fields = Vec::new();
        for arg in args {
            let node = self.argument(ROW, arg)?;
            match arg {
                // A function's only column stands for its row.
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)) if node.ty().has_rows() => {
                    let parts = node.expr.fields().into_iter().cloned();
                    fields.extend(parts.map(|expr| Node { expr, span: node.span }));
                }
                _ => fields.push(node),
            }
        }
        self.row(fields)
    }

    /// The row of a table that can be named.
    pub(super) fn row_of(&self, names: &[&str]) -> Option<Expr> {
        let columns = self.scope.row(names)?;
        let field =
            |column: &super::super::ScopeColumn| (column.name.clone(), Expr::column(column.index, column.ty.clone()));
        Some(Expr::row(columns.into_iter().map(field).collect()))
    }

    /// `table.*` as an argument.
    pub(super) fn whole_row(&self, name: &ast::ObjectName) -> SqlResult<Expr> {
        let idents: Vec<&ast::Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let names: Vec<String> = idents.iter().map(|ident| folded(ident)).collect();
        let parts: Vec<&str> = names.iter().map(String::as_str).collect();
        self.row_of(&parts).ok_or_else(|| {
            let message = format!("missing FROM-clause entry for table \"{}\"", names.join("."));
            let at = idents.first().and_then(|ident| self.at(ident.span));
            SqlError::new(SqlState::UNDEFINED_TABLE, message).at(at)
        })
    }
}
