//! Functions that give rows, in `FROM` and in select lists.
//!
//! Over constants they are relations of their own, which are made row by row. Over columns they give each row a list of
//! rows, which is then unfolded: that is why they may refer to what stands before them.

use std::sync::Arc;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::common::{Column, JoinType, NullHandling, UnnestOptions};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, JoinConstraint};

use super::definitions::untyped;
use super::expressions::{Parts, Site, Wish, as_field, bound};
use super::join::Kind;
use super::rows::Presence;
use super::subquery::find_parts;
use super::titles::title;
use super::{Col, Rel, Seen, Translator, built, folded, parts};
use crate::bind;
use crate::query::rows::{self, RowsFunction};
use crate::query::scalar::{fields_of, list_of};

/// Whether an expression is the call of a function that gives rows.
fn is_rows(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::Function(function) if function.over.is_none() => {
            parts(&function.name).is_ok_and(|names| names.last().is_some_and(|name| rows::is_known(name)))
        }
        _ => false,
    }
}

/// The expression that an argument is.
fn expression(arg: &FunctionArg) -> SqlResult<&ast::Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        other => Err(SqlError::unsupported(format!("the argument {other}"))),
    }
}

/// The relation in `NULL::relation`.
fn null_row_of(expr: &ast::Expr) -> Option<&ast::ObjectName> {
    match expr {
        ast::Expr::Nested(inner) => null_row_of(inner),
        ast::Expr::Cast { expr, data_type: ast::DataType::Custom(name, modifiers), .. } if modifiers.is_empty() => {
            let is_null = matches!(&**expr, ast::Expr::Value(value) if value.value == ast::Value::Null);
            is_null.then_some(name)
        }
        _ => None,
    }
}

impl Translator<'_> {
    /// A relation joined with a function's rows.
    pub(super) fn function(
        &mut self,
        left: Rel,
        name: &ast::ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
        kind: &Kind<'_>,
    ) -> SqlResult<Rel> {
        let called = parts(name)?.pop().unwrap_or_default();
        if !rows::is_known(&called) {
            let args = args.iter().map(expression).collect::<SqlResult<Vec<_>>>()?;
            return self.scalar_function(left, name, args, ordinality, alias, kind);
        }
        let at = self.position(name);
        let function = if rows::populates(&called) {
            let args = args.iter().map(expression).collect::<SqlResult<Vec<_>>>()?;
            self.populating(&left, &called, &args)
        } else {
            let bounds = self.arguments(&called, args, || Site::new(&left, "a function in FROM"))?;
            self.rows_function(&called, bounds)
        };
        let mut function = function.map_err(|error| error.at(at))?;
        self.define_columns(&mut function.0, name, ordinality, alias)?;
        let alias = alias.map(untyped);
        let alias = alias.as_ref();
        self.with_rows(left, function, &called, ordinality, alias, kind).map_err(|error| error.at(at))
    }

    /// The arguments of a function that gives rows.
    fn arguments<'s>(
        &mut self,
        name: &str,
        args: &[FunctionArg],
        site: impl Fn() -> Site<'s>,
    ) -> SqlResult<Vec<bind::Expr>> {
        let mut bind = |expr: &ast::Expr| self.bind(site(), expr, Wish::Open);
        if bind::names_path_arguments(name, args) {
            return bind::path_arguments(name, args, bind, bind::Expr::ty, |default| default);
        }
        args.iter().map(|arg| bind(expression(arg)?)).collect()
    }

    /// `jsonb_populate_recordset(null::t, document)`
    fn populating(
        &mut self,
        left: &Rel,
        name: &str,
        args: &[&ast::Expr],
    ) -> SqlResult<(RowsFunction, Vec<bind::Expr>)> {
        let [row, document] = args else {
            return Err(SqlError::unsupported(format!("{name} with {} arguments", args.len())));
        };
        let table =
            null_row_of(row).ok_or_else(|| SqlError::unsupported(format!("{name} of a row other than NULL")))?;
        let no_type = |error: SqlError| match error.state() {
            SqlState::UNDEFINED_TABLE => {
                SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{table}\" does not exist"))
            }
            _ => error,
        };
        let columns = self.relation(table).map_err(no_type)?.columns;
        let columns = columns.into_iter().filter(|column| column.seen != Seen::Named);
        let columns = columns.map(|column| (column.name, column.ty)).collect();
        let unknown = || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist"));
        let function = rows::populating(name, columns).ok_or_else(unknown)?;
        let document = self.bind(Site::new(left, "a function in FROM"), document, Wish::Open)?;
        let document = self.coerce(document, &function.params[0], annulus_relation::value::CastContext::Implicit)?;
        Ok((function, vec![document]))
    }

    /// `unnest` of one array or several.
    pub(super) fn unnest(
        &mut self,
        left: Rel,
        arrays: &[ast::Expr],
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
        kind: &Kind<'_>,
    ) -> SqlResult<Rel> {
        let bounds = arrays.iter().map(|arg| self.bind(Site::new(&left, "unnest"), arg, Wish::Open));
        let bounds = bounds.collect::<SqlResult<Vec<_>>>()?;
        let function = self.rows_function("unnest", bounds)?;
        self.with_rows(left, function, "unnest", ordinality, alias, kind)
    }

    /// The function of a name for arguments, which are converted to what it takes.
    fn rows_function(&mut self, name: &str, args: Vec<bind::Expr>) -> SqlResult<(RowsFunction, Vec<bind::Expr>)> {
        let types: Vec<SqlType> = args.iter().map(|arg| arg.ty().clone()).collect();
        let function = rows::find(name, &types).ok_or_else(|| {
            let listed = types.iter().map(SqlType::name).collect::<Vec<_>>().join(", ");
            let message = format!("function {name}({listed}) does not exist");
            SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            )
        })?;
        let mut converted = Vec::new();
        for (arg, ty) in args.into_iter().zip(&function.params) {
            converted.push(self.coerce(arg, ty, annulus_relation::value::CastContext::Implicit)?);
        }
        Ok((function, converted))
    }

    fn with_rows(
        &mut self,
        left: Rel,
        (function, args): (RowsFunction, Vec<bind::Expr>),
        name: &str,
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
        kind: &Kind<'_>,
    ) -> SqlResult<Rel> {
        let records = rows::gives_records(function.name());
        let constant = args.iter().all(|arg| arg.columns().is_empty());
        let mut columns: Vec<(String, SqlType, bool)> =
            function.columns.iter().map(|(name, ty)| (name.clone(), ty.clone(), true)).collect();
        // A function with one column calls it as it is called itself, unless that has a name of its own.
        if let ([column], Some(alias)) = (columns.as_mut_slice(), alias)
            && column.0 == name
        {
            column.0 = folded(&alias.name);
        }
        let alone = columns.len() == 1 && !records && !ordinality;
        if ordinality {
            columns.push(("ordinality".to_owned(), SqlType::Int8, false));
        }
        if constant {
            let (context, function) = (Arc::clone(&self.context), Arc::new(function));
            let source = Arc::new(move || {
                let args = args.iter().map(|arg| arg.eval(&[], context.params(), &context.eval()));
                let args = args.collect::<SqlResult<Vec<_>>>()?;
                let rows = function.rows(&args, &context.env)?;
                Ok(if ordinality { rows::numbered(rows) } else { rows })
            });
            let mut rel = self.rows("", name, columns, source)?;
            rel.columns.iter_mut().for_each(|column| column.schema = None);
            let mut rel = self.aliased(rel, alias)?;
            rel.columns.iter_mut().for_each(|column| column.alone = alone);
            return self.combine(left, rel, kind);
        }
        let preserve = match (kind.join, kind.constraint) {
            (JoinType::Inner, None | Some(JoinConstraint::None)) => false,
            (JoinType::Left, Some(JoinConstraint::On(on))) if is_true(on) => true,
            (JoinType::Inner, Some(JoinConstraint::On(on))) if is_true(on) => false,
            _ => return Err(SqlError::unsupported("this join with a function over columns")),
        };
        let (mut rel, numbers) = self.unfolded(left, vec![(function, args)], ordinality, preserve)?;
        let table = alias.map_or_else(|| name.to_owned(), |alias| folded(&alias.name));
        let named = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
        let names = columns.iter().map(|(name, ..)| name.clone());
        for (place, (number, name)) in numbers.iter().zip(names).enumerate() {
            let column = &mut rel.columns[*number];
            column.seen = Seen::Always;
            column.alone = alone;
            column.presence = if preserve { Presence::Unknown } else { Presence::Always };
            column.table = Some(table.clone());
            column.name = named.get(place).map_or(name, |given| folded(&given.name));
        }
        Ok(rel)
    }

    /// A function that gives one value, in `FROM`: one row.
    fn scalar_function(
        &mut self,
        left: Rel,
        name: &ast::ObjectName,
        args: Vec<&ast::Expr>,
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
        kind: &Kind<'_>,
    ) -> SqlResult<Rel> {
        let arg = |arg: &ast::Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg.clone()));
        let list = ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(arg).collect(),
            clauses: Vec::new(),
        };
        let call = ast::Expr::Function(ast::Function {
            name: name.clone(),
            uses_odbc_syntax: false,
            parameters: ast::FunctionArguments::None,
            args: ast::FunctionArguments::List(list),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        });
        if ordinality {
            return Err(SqlError::unsupported("WITH ORDINALITY of a function that gives one value"));
        }
        let value = self.bind(Site::new(&left, "a function in FROM"), &call, Wish::Any)?;
        let called = title(&call);
        if value.columns().is_empty() {
            let mut rel = Rel::unit()?;
            let lowered = self.lower(&rel, &value)?;
            let (expr, mut column) = self.computed(&called, value.ty().clone(), true, lowered);
            rel.plan = built(rel.builder().project([expr]).and_then(LogicalPlanBuilder::build))?;
            column.table = Some(called);
            if let Some(alias) = alias {
                column.name = folded(&alias.name);
            }
            rel.columns.push(column);
            let rel = self.aliased(rel, alias)?;
            return self.combine(left, rel, kind);
        }
        Err(SqlError::unsupported(format!("the function {called} over columns in FROM")))
    }

    /// The relation with each row repeated for the rows that functions give for it, which are its last columns, seen by
    /// nobody; gives their numbers. Where one gives fewer than another, NULLs stand in their place; where none gives
    /// any, the row is left away unless it is to be preserved.
    fn unfolded(
        &mut self,
        mut rel: Rel,
        functions: Vec<(RowsFunction, Vec<bind::Expr>)>,
        ordinality: bool,
        preserve: bool,
    ) -> SqlResult<(Rel, Vec<usize>)> {
        let mut exprs: Vec<Expr> = rel.columns.iter().map(Col::expr).collect();
        let mut lists = Vec::new();
        let mut shapes = Vec::new();
        for (function, args) in functions {
            let mut types: Vec<SqlType> = function.columns.iter().map(|(_, ty)| ty.clone()).collect();
            if ordinality {
                types.push(SqlType::Int8);
            }
            let lowered = args.iter().map(|arg| self.lower(&rel, arg)).collect::<SqlResult<Vec<_>>>()?;
            let field = self.fresh("rows");
            exprs.push(list_of(function, lowered, ordinality, &self.context).alias(&field));
            lists.push(Column::new_unqualified(field));
            shapes.push(types);
        }
        let null_handling = if preserve { NullHandling::Preserve } else { NullHandling::Drop };
        let options = UnnestOptions { null_handling, ..UnnestOptions::default() };
        let unfolded = rel
            .builder()
            .project(exprs)
            .and_then(|builder| builder.unnest_columns_with_options(lists.clone(), options))
            .and_then(LogicalPlanBuilder::build);
        rel.plan = built(unfolded)?;
        let mut fields = Vec::new();
        for (list, types) in lists.into_iter().zip(shapes) {
            for (place, ty) in types.into_iter().enumerate() {
                fields.push((fields_of(Expr::Column(list.clone()), place, &ty), ty, true));
            }
        }
        let numbers = self.extend(&mut rel, fields)?;
        Ok((rel, numbers))
    }

    /// Unfolds the functions that give rows in select lists.
    pub(super) fn expand_rows(
        &mut self,
        rel: &mut Rel,
        exprs: &[&ast::Expr],
        stands: &mut Parts,
        before: Option<&Rel>,
    ) -> SqlResult<()> {
        let mut found: Vec<ast::Expr> = Vec::new();
        for part in exprs.iter().flat_map(|expr| find_parts(expr, &|part| is_rows(row_of(part)))) {
            if !found.contains(&part) && !stands.iter().any(|(known, _)| *known == part) {
                found.push(part);
            }
        }
        let mut calls: Vec<ast::Expr> = Vec::new();
        for call in found.iter().map(row_of) {
            if !calls.contains(call) {
                calls.push(call.clone());
            }
        }
        if calls.is_empty() {
            return Ok(());
        }
        let mut functions = Vec::new();
        for call in &calls {
            let ast::Expr::Function(function) = call else { continue };
            let name = parts(&function.name)?.pop().unwrap_or_default();
            if rows::populates(&name) {
                return Err(SqlError::unsupported(format!("{name} outside of FROM")));
            }
            if rows::gives_records(&name) {
                let message = format!("could not determine row type for result of {name}");
                let hint = "Call the function in the FROM clause using a column definition list.";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).hint(hint));
            }
            let ast::FunctionArguments::List(list) = &function.args else { continue };
            let site = || Site { rel, parts: stands, before, clause: "SELECT" };
            let bounds = self.arguments(&name, &list.args, site)?;
            let (function, args) = self.rows_function(&name, bounds)?;
            functions.push((function, args));
        }
        let columns: Vec<Vec<String>> =
            functions.iter().map(|(f, _)| f.columns.iter().map(|(name, _)| name.clone()).collect()).collect();
        let (unfolded, numbers) = self.unfolded(rel.clone(), functions, false, false)?;
        *rel = unfolded;
        rel.single = false;
        let mut numbers = numbers.into_iter();
        for (call, names) in calls.into_iter().zip(columns) {
            let numbers: Vec<usize> = numbers.by_ref().take(names.len()).collect();
            for part in found.iter().filter(|part| *row_of(part) == call) {
                let number = match (as_field(part), numbers.as_slice()) {
                    (Some((_, field)), _) => {
                        let field = folded(field);
                        let place = names.iter().position(|name| *name == field).ok_or_else(|| {
                            let message = format!("column \"{field}\" not found in data type record");
                            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
                        })?;
                        numbers[place]
                    }
                    (None, [only]) => *only,
                    (None, _) => self.row(rel, &names, &numbers)?,
                };
                stands.push((part.clone(), bound(rel, number)));
            }
        }
        Ok(())
    }

    /// A column that stands for a whole row.
    fn row(&mut self, rel: &mut Rel, names: &[String], numbers: &[usize]) -> SqlResult<usize> {
        let nothing = datafusion::logical_expr::lit(datafusion::common::ScalarValue::Utf8View(None));
        let number = self.extend(rel, vec![(nothing, SqlType::Text, true)])?[0];
        let field = |(name, number): (&String, &usize)| (name.clone(), rel.columns[*number].field.clone());
        rel.columns[number].fields = names.iter().zip(numbers).map(field).collect();
        Ok(number)
    }
}

/// What an expression is a field of, or itself.
fn row_of(expr: &ast::Expr) -> &ast::Expr {
    as_field(expr).map_or(expr, |(row, _)| row)
}

fn is_true(expr: &ast::Expr) -> bool {
    matches!(super::expressions::without_parens(expr), ast::Expr::Value(value) if value.value == ast::Value::Boolean(true))
}
