//! Calls of functions, and what looks like one: `COALESCE`, `NULLIF`, `GREATEST`, conversions by a type's name.

use annulus_relation::value::{CastContext, MAX_TIME_PRECISION};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::tokenizer::Span;

use super::super::coerce::can_coerce;
use super::super::expr::{Call, Expr};
use super::super::functions::VARIADIC;
use super::super::named::{names_path_arguments, path_arguments, placed};
use super::super::need::{Need, needs_query};
use super::super::registry;
use super::super::{resolve, rows};
use super::{Binder, Node, folded};
use crate::parse::ASSIGNED_ELEMENT;

/// Functions that are called without parentheses.
const BARE: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// Functions that exist in PostgreSQL only by such a name with parameters that have names and defaults.
const INTERVAL_FIELDS: &[&str] = &["years", "months", "weeks", "days", "hours", "mins", "secs"];

/// Whether a name alone is a call.
pub(super) fn is_bare_call(name: &str) -> bool {
    BARE.contains(&name)
}

/// The type of a clock that may be given a precision.
fn clock_type(name: &str) -> Option<SqlType> {
    match name {
        "current_timestamp" => Some(SqlType::Timestamptz(None)),
        "localtimestamp" => Some(SqlType::Timestamp(None)),
        "localtime" => Some(SqlType::Time(None)),
        _ => None,
    }
}

impl Binder<'_> {
    pub(super) fn call(&mut self, function: &ast::Function) -> SqlResult<Expr> {
        let span = function.name.0.first().and_then(|part| part.as_ident()).map_or(Span::empty(), |ident| ident.span);
        self.check_plain(function, span)?;
        let name = function_name(&function.name)?;
        let list = match &function.args {
            FunctionArguments::None => return self.apply_named(&name, Vec::new(), span),
            FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a subquery as arguments")),
            FunctionArguments::List(list) => list,
        };
        if list.duplicate_treatment.is_some_and(|treatment| treatment == ast::DuplicateTreatment::Distinct) {
            let message = format!("DISTINCT specified, but {name} is not an aggregate function");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(self.at(span)));
        }
        if !list.clauses.is_empty() {
            return Err(SqlError::unsupported(format_args!("this form of {name}")).at(self.at(span)));
        }
        if name == "make_interval" {
            return self.make_interval(&list.args, span);
        }
        if names_path_arguments(&name, &list.args) {
            return self.path_call(&name, &list.args, span);
        }
        if let (Some(ty), [arg]) = (clock_type(&name), list.args.as_slice()) {
            return self.rounded_clock(&name, &ty, arg, span);
        }
        if name == ASSIGNED_ELEMENT {
            return self.assigned_element(&list.args, span);
        }
        if name == rows::ROW {
            return self.row_call(&list.args);
        }
        if let Some((FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Prefixed { value, .. })), before)) =
            list.args.split_last()
        {
            return self.variadic(&name, before, value, span);
        }
        let args = list.args.iter().map(|arg| self.argument(&name, arg)).collect::<SqlResult<Vec<_>>>()?;
        self.apply_named(&name, args, span)
    }

    /// `current_timestamp(3)`: the digits behind the point of seconds are written as a number.
    fn rounded_clock(&mut self, name: &str, ty: &SqlType, arg: &FunctionArg, span: Span) -> SqlResult<Expr> {
        let written = arg.to_string();
        if !written.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("syntax error at or near \"{written}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let digits = written.parse().unwrap_or(MAX_TIME_PRECISION).min(MAX_TIME_PRECISION);
        let expr = self.apply_named(name, Vec::new(), span)?;
        let rounded = SqlType::from_oid_typmod(ty.oid(), digits.into()).unwrap_or_else(|| ty.clone());
        self.convert(Node { expr, span }, &rounded, CastContext::Explicit)
    }

    /// `f(..., VARIADIC array)`
    fn variadic(&mut self, name: &str, before: &[FunctionArg], array: &ast::Expr, span: Span) -> SqlResult<Expr> {
        let mut args = before.iter().map(|arg| self.argument(name, arg)).collect::<SqlResult<Vec<_>>>()?;
        args.push(self.node(array)?);
        let wrapped = format!("{VARIADIC}{name}");
        if registry::named(&wrapped).is_empty() {
            return Err(SqlError::unsupported(format_args!("VARIADIC with {name}")).at(self.at(span)));
        }
        if let Some(last) = args.last().filter(|last| last.ty().element().is_none() && *last.ty() != SqlType::Unknown) {
            let error = SqlError::new(SqlState::DATATYPE_MISMATCH, "VARIADIC argument must be an array");
            return Err(error.at(self.at(last.span)));
        }
        let types: Vec<SqlType> = args.iter().map(|node| node.ty().clone()).collect();
        match resolve::function(&wrapped, &types).map_err(|error| error.at(self.at(span)))? {
            Some(resolved) => self.build(resolved, args),
            None => Err(resolve::no_function(name, &types).at(self.at(span))),
        }
    }

    /// Aggregates, window functions and functions of rows are refused here: they are a query's.
    fn check_plain(&self, function: &ast::Function, span: Span) -> SqlResult<()> {
        let own = ast::Expr::Function(ast::Function { args: FunctionArguments::None, ..function.clone() });
        let clause = self.clause;
        let error = match needs_query(&own) {
            None => return Ok(()),
            Some(Need::Aggregate) => {
                SqlError::new(SqlState::GROUPING_ERROR, format!("aggregate functions are not allowed in {clause}"))
            }
            Some(Need::Window) => {
                SqlError::new(SqlState::WINDOWING_ERROR, format!("window functions are not allowed in {clause}"))
            }
            Some(Need::Rows | Need::Subquery) => SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("set-returning functions are not allowed in {clause}"),
            ),
        };
        Err(error.at(self.at(span)))
    }

    pub(super) fn argument(&mut self, function: &str, arg: &FunctionArg) -> SqlResult<Node> {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.node(expr),
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => self.node(&ast::Expr::QualifiedWildcard(
                name.clone(),
                ast::helpers::attached_token::AttachedToken::empty(),
            )),
            FunctionArg::Unnamed(_) => {
                let message = format!("{function}(*) specified, but {function} is not an aggregate function");
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            _ => Err(SqlError::unsupported(format_args!("{function} with named arguments"))),
        }
    }

    /// A call by name, of whatever the name means.
    pub(super) fn apply_named(&mut self, name: &str, args: Vec<Node>, span: Span) -> SqlResult<Expr> {
        match (name, args.len()) {
            ("coalesce", 1..) => {
                let (args, ty) = self.unify(args, "COALESCE")?;
                Ok(Expr::Coalesce { args, ty })
            }
            ("greatest", 1..) => self.extreme(true, args),
            ("least", 1..) => self.extreme(false, args),
            ("nullif", 2) => self.null_if(args, span),
            ("current_time", 0) => Err(SqlError::unsupported("type time with time zone").at(self.at(span))),
            ("pg_typeof", 1) if args[0].ty().has_rows() => Err(rows::refused().at(self.at(args[0].span))),
            ("pg_typeof", 1) => Ok(self.type_of(&args[0])),
            _ => self.apply(name, args, span),
        }
    }

    /// The function of that name for these arguments.
    pub(super) fn apply(&mut self, name: &str, args: Vec<Node>, span: Span) -> SqlResult<Expr> {
        let types: Vec<SqlType> = args.iter().map(|node| node.ty().clone()).collect();
        match resolve::function(name, &types).map_err(|error| error.at(self.at(span)))? {
            Some(resolved) => self.build(resolved, args),
            None => self.conversion_call(name, &types, args, span),
        }
    }

    /// `text(x)`, `int4(x)`: a type's name as a function.
    fn conversion_call(&mut self, name: &str, types: &[SqlType], mut args: Vec<Node>, span: Span) -> SqlResult<Expr> {
        let missing = |binder: &Self| resolve::no_function(name, types).at(binder.at(span));
        let ([from], Ok(to)) = (types, SqlType::parse_name(name)) else { return Err(missing(self)) };
        if !can_coerce(from, &to, CastContext::Explicit) {
            return Err(missing(self));
        }
        self.convert(args.remove(0), &to, CastContext::Explicit)
    }

    fn extreme(&mut self, greatest: bool, args: Vec<Node>) -> SqlResult<Expr> {
        let (args, ty) = self.unify(args, if greatest { "GREATEST" } else { "LEAST" })?;
        if resolve::operator("<", &[ty.clone(), ty.clone()]).is_err() {
            let message = format!("could not identify a comparison function for type {}", ty.name());
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message));
        }
        Ok(Expr::Extreme { greatest, args, ty })
    }

    fn null_if(&mut self, mut args: Vec<Node>, span: Span) -> SqlResult<Expr> {
        let right = args.remove(1);
        let left = args.remove(0);
        let types = [left.ty().clone(), right.ty().clone()];
        let resolved = resolve::operator("=", &types).map_err(|error| error.at(self.at(span)))?;
        let args = vec![
            self.convert(left, &resolved.params[0], CastContext::Implicit)?,
            self.convert(right, &resolved.params[1], CastContext::Implicit)?,
        ];
        let equal = Call { function: resolved.function, args, ty: SqlType::Bool };
        Ok(Expr::NullIf { equal: Box::new(equal) })
    }

    /// `pg_typeof` is known now.
    fn type_of(&self, arg: &Node) -> Expr {
        Expr::literal(annulus_relation::Value::Oid(arg.ty().oid()), SqlType::Regtype)
    }

    /// `make_interval(days => 3)`: seven parameters, each with a name and the default 0.
    fn make_interval(&mut self, args: &[FunctionArg], span: Span) -> SqlResult<Expr> {
        let placed = placed("make_interval", INTERVAL_FIELDS, args, |expr| self.node(expr), Node::ty);
        let placed = placed.map_err(|error| error.at(self.at(span)))?;
        let zero = |index: usize| {
            let value =
                if index == 6 { annulus_relation::Value::Float8(0.0) } else { annulus_relation::Value::Int4(0) };
            let ty = if index == 6 { SqlType::Float8 } else { SqlType::Int4 };
            Node { expr: Expr::literal(value, ty), span }
        };
        let fields =
            placed.into_iter().enumerate().map(|(index, given)| given.unwrap_or_else(|| zero(index))).collect();
        self.apply("make_interval", fields, span)
    }

    /// `jsonb_path_query(..., silent => true)`
    fn path_call(&mut self, name: &str, args: &[FunctionArg], span: Span) -> SqlResult<Expr> {
        let default = |expr| Node { expr, span };
        let args = path_arguments(name, args, |expr| self.node(expr), Node::ty, default);
        self.apply_named(name, args.map_err(|error| error.at(self.at(span)))?, span)
    }
}

/// A function's name in the table: those of `pg_catalog` bare, others with their schema.
fn function_name(name: &ast::ObjectName) -> SqlResult<String> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
    match parts.as_deref() {
        Some([name]) => Ok(name.clone()),
        Some([schema, name]) if schema == "pg_catalog" => Ok(name.clone()),
        Some([schema, function]) => {
            let qualified = format!("{schema}.{function}");
            if registry::named(&qualified).is_empty() {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("function {qualified}() does not exist"),
                ));
            }
            Ok(qualified)
        }
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("improper qualified name: {name}"))),
    }
}
