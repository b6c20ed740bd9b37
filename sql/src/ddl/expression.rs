//! Expressions that the catalog stores.

use annulus_relation::catalog::{Column, Index, KeyPart, Table};
use annulus_relation::error::SqlState;
use annulus_relation::value::{CastContext, Env, KnownTypes};
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use sqlparser::ast;

use super::Definition;
use crate::bind::{Binder, Expr, ParamTypes, Scope, Volatility, quote_name};
use crate::names::split_name;
use crate::parse::parse_expression;

/// The columns of a table, as expressions name them.
fn scope_of(table: &str, columns: &[Column]) -> Scope {
    Scope::table(None, Some(table), columns.iter().map(|column| (column.name.as_str(), &column.ty)))
}

/// Binds an expression of a type that the catalog stores for a table, over the table's columns.
///
/// # Errors
/// It cannot be bound any more.
pub(crate) fn bind_stored(table: &Table, text: &str, ty: &SqlType, types: &KnownTypes) -> SqlResult<Expr> {
    let (scope, mut params) = (scope_of(&table.name, &table.columns), ParamTypes::new());
    let env = Env { types: types.clone(), ..Env::default() };
    Binder::new(&scope, &mut params, &env).bind_as(&parse_expression(text)?, ty, CastContext::Assignment)
}

/// The text of an expression over some columns.
fn print(expr: &Expr, columns: &[Column]) -> String {
    expr.to_sql(&|index| columns.get(index).map(|column| quote_name(&column.name)).unwrap_or_default())
}

/// What an expression is stored for.
pub(super) enum Use<'a> {
    /// `DEFAULT` of a column.
    Default(&'a Column),
    /// `GENERATED` of a column.
    Generated(&'a Column),
    /// A condition, in a clause of that name.
    Condition(&'static str),
    /// A key of an index.
    Key,
    /// `USING`, for a column as it will be.
    Conversion(&'a Column),
}

impl Definition<'_> {
    /// The normal form of an expression over the columns of a table, and the expression.
    pub(super) fn normal(
        &self,
        expression: &ast::Expr,
        table: &str,
        columns: &[Column],
        purpose: &Use<'_>,
    ) -> SqlResult<(String, Expr)> {
        let scope = match purpose {
            Use::Default(_) => Scope::new(),
            _ => scope_of(table, columns),
        };
        let clause = match purpose {
            Use::Default(_) => "DEFAULT expression",
            Use::Generated(_) => "column generation expression",
            Use::Condition(clause) => clause,
            Use::Key => "index expression",
            Use::Conversion(_) => "transform expression",
        };
        let bind = |mut binder: Binder<'_>| match purpose {
            Use::Default(column) | Use::Generated(column) | Use::Conversion(column) => {
                binder.bind_assigned(expression, &column.name, &column.ty)
            }
            Use::Condition(_) => binder.bind_condition(expression),
            Use::Key => binder.bind(expression),
        };
        let mut params = ParamTypes::new();
        let bound = bind(Binder::new(&scope, &mut params, self.env).text(self.text).clause(clause))?;
        if !params.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        if bound.makes_rows() {
            return Err(SqlError::unsupported(format!("a row in {clause}")));
        }
        check_volatility(&bound, purpose)?;
        let written = bind(Binder::new(&scope, &mut params, self.env).as_written())?;
        Ok((print(&written, columns), bound))
    }

    /// A default's normal form. The sequence of `nextval('name')` is looked up now, not when a row is inserted.
    pub(super) fn default(&mut self, expression: &ast::Expr, column: &Column) -> SqlResult<(String, Expr)> {
        if let Some(sequence) = sequence_argument(expression) {
            let name = split_name(&sequence)?;
            let found = self.names().get(&name)?;
            let annulus_relation::catalog::Relation::Sequence(sequence) = found else {
                let message = format!("\"{}\" is not a sequence", name.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            };
            let schema = self.catalog().schema_by_id(sequence.schema).map(|schema| schema.name.clone());
            let (text, id) = (nextval(&schema.unwrap_or_default(), &sequence.name), sequence.id);
            self.edit.rely_on(id);
            let (_, bound) = self.normal(&parse_expression(&text)?, "", &[], &Use::Default(column))?;
            return Ok((text, bound));
        }
        let (text, bound) = self.normal(expression, "", &[], &Use::Default(column))?;
        Ok((self.unassigned(expression, &column.ty, ("", &[]))?.unwrap_or(text), bound))
    }

    /// A default, or what is computed from columns of a table, without the conversion to its column's type, which is made
    /// again for each row: then it is the same text whenever it is declared again, and for another type.
    pub(super) fn unassigned(
        &self,
        expression: &ast::Expr,
        ty: &SqlType,
        (table, columns): (&str, &[Column]),
    ) -> SqlResult<Option<String>> {
        let (scope, mut params) = (scope_of(table, columns), ParamTypes::new());
        let bound = Binder::new(&scope, &mut params, self.env).as_written().bind_open(expression)?;
        Ok(match (bound.as_const(), bound.ty(), ty) {
            (Some(Value::Text(text)), SqlType::Unknown, SqlType::Text | SqlType::Varchar(_)) => {
                Some(format!("'{}'::{}", text.replace('\'', "''"), ty.base_name()))
            }
            (_, SqlType::Unknown, _) => None,
            _ => Some(print(&bound, columns)),
        })
    }
}

/// The default of a column that takes its values from a sequence.
pub(super) fn nextval(schema: &str, sequence: &str) -> String {
    let name = format!("{}.{}", quote_name(schema), quote_name(sequence));
    format!("nextval('{}'::regclass)", name.replace('\'', "''"))
}

/// The name of the sequence that a stored default takes its values from.
pub(crate) fn sequence_in(default: &str) -> Option<String> {
    sequence_argument(&crate::parse::parse_expression(default).ok()?)
}

/// The name in `nextval('name')`, or `nextval('name'::regclass)`.
pub(super) fn sequence_argument(expression: &ast::Expr) -> Option<String> {
    let ast::Expr::Function(function) = expression else { return None };
    let ast::FunctionArguments::List(list) = &function.args else { return None };
    let is_nextval =
        function.name.0.last().and_then(|part| part.as_ident()).is_some_and(|name| name.value == "nextval");
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument))] = list.args.as_slice() else { return None };
    if !is_nextval {
        return None;
    }
    let literal = match argument {
        ast::Expr::Cast { expr, .. } => expr,
        other => other,
    };
    match literal {
        ast::Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    }
}

fn check_volatility(bound: &Expr, purpose: &Use<'_>) -> SqlResult<()> {
    let immutable = bound.volatility() == Volatility::Immutable;
    let message = match purpose {
        Use::Generated(_) if !immutable => "generation expression is not immutable",
        Use::Key if !immutable => "functions in index expression must be marked IMMUTABLE",
        Use::Condition("index predicate") if !immutable => "functions in index predicate must be marked IMMUTABLE",
        _ => return Ok(()),
    };
    Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message))
}

/// A stored expression again, after columns of its table were renamed or have another type: `before` and `after` are
/// the same columns.
pub(super) fn rewrite(
    text: &str,
    table: &str,
    (before, after): (&[Column], &[Column]),
    types: &KnownTypes,
) -> SqlResult<String> {
    let env = Env { types: types.clone(), ..Env::default() };
    let (scope, mut params) = (scope_of(table, before), ParamTypes::new());
    let bound = Binder::new(&scope, &mut params, &env).as_written().bind(&parse_expression(text)?)?;
    Ok(print(&bound, after))
}

/// The type of a stored expression.
pub(super) fn type_of(text: &str, table: &Table) -> SqlResult<SqlType> {
    let env = Env::default();
    let (scope, mut params) = (scope_of(&table.name, &table.columns), ParamTypes::new());
    Ok(Binder::new(&scope, &mut params, &env).bind(&parse_expression(text)?)?.ty().clone())
}

/// The columns that a stored expression reads, by number.
pub(super) fn columns_of(text: &str, table: &Table) -> SqlResult<Vec<u16>> {
    let env = Env::default();
    let (scope, mut params) = (scope_of(&table.name, &table.columns), ParamTypes::new());
    let bound = Binder::new(&scope, &mut params, &env).bind(&parse_expression(text)?)?;
    Ok(bound.columns().into_iter().filter_map(|index| table.columns.get(index).map(|column| column.id)).collect())
}

/// The columns that an index of a table is over, by its keys, what they include, or its condition.
pub(super) fn columns_of_index(index: &Index, table: &Table) -> SqlResult<Vec<u16>> {
    let mut columns = index.include.clone();
    for key in &index.keys {
        match &key.part {
            KeyPart::Column(id) => columns.push(*id),
            KeyPart::Expression(text, _) => columns.extend(columns_of(text, table)?),
        }
    }
    if let Some(predicate) = &index.predicate {
        columns.extend(columns_of(predicate, table)?);
    }
    Ok(columns)
}

/// The type of a column by its declaration.
pub(super) fn is_serial(name: &str) -> Option<SqlType> {
    match name {
        "smallserial" | "serial2" => Some(SqlType::Int2),
        "serial" | "serial4" => Some(SqlType::Int4),
        "bigserial" | "serial8" => Some(SqlType::Int8),
        _ => None,
    }
}
