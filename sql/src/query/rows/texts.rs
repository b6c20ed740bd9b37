//! Functions that take texts and JSON apart.

use annulus_relation::value::{self, Env};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::parser::Parser;

use super::super::json::{self, Member};
use crate::bind;
use crate::parse::dialect::Postgres;
use crate::query::exec::Rows;

/// The rows of a function over texts or JSON.
pub(super) fn rows(name: &str, args: &[Value], columns: &[(String, SqlType)], env: &Env) -> SqlResult<Rows> {
    match name {
        "regexp_matches" => Ok(Box::new(bind::all_matches(args)?.into_iter().map(|found| Ok(vec![found])))),
        "regexp_split_to_table" => array(call("regexp_split_to_array", args, env)?),
        "jsonb_path_query" | "jsonb_path_query_tz" => {
            let found = bind::query_path(args, name.ends_with("_tz"), env)?;
            Ok(Box::new(found.into_iter().map(|item| Ok(vec![item]))))
        }
        "string_to_table" => array(call("string_to_array", args, env)?),
        _ => members(name, args, columns, env),
    }
}

/// The result of a function for texts.
fn call(name: &str, args: &[Value], env: &Env) -> SqlResult<Value> {
    let list: Vec<String> = (1..=args.len()).map(|number| format!("${number}")).collect();
    let text = format!("{name}({})", list.join(", "));
    let parsed = Parser::new(&Postgres).try_with_sql(&text).and_then(|mut parser| parser.parse_expr());
    let expr = parsed.map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))?;
    let scope = bind::Scope::new();
    let mut params = bind::ParamTypes::declared(vec![Some(SqlType::Text); args.len()]);
    let bound = bind::Binder::new(&scope, &mut params, env).bind(&expr)?;
    bound.eval(&[], args, &bind::EvalContext::constant(env))
}

/// The elements of an array as rows.
fn array(value: Value) -> SqlResult<Rows> {
    let elements = match value {
        Value::Array(elements) => elements.to_vec(),
        _ => Vec::new(),
    };
    Ok(Box::new(elements.into_iter().map(|element| Ok(vec![element]))))
}

/// The members of a JSON array or object as rows.
fn members(name: &str, args: &[Value], columns: &[(String, SqlType)], env: &Env) -> SqlResult<Rows> {
    let (Value::Json(text) | Value::Jsonb(text)) = &args[0] else { return Ok(Box::new(std::iter::empty())) };
    let of_array = name.contains("_array_");
    let mut rows = Vec::new();
    for Member { key, value } in json::members(text, of_array, name)? {
        let mut row = Vec::new();
        if let Some(key) = key {
            row.push(Value::text(key));
        }
        if !name.ends_with("_keys") {
            row.push(member(value, columns.last().map(|(_, ty)| ty), env)?);
        }
        rows.push(row);
    }
    Ok(Box::new(rows.into_iter().map(Ok)))
}

/// A member's text as a value of a type; as text, strings lose their quotes, and null is NULL.
fn member(text: &str, ty: Option<&SqlType>, env: &Env) -> SqlResult<Value> {
    match ty {
        Some(SqlType::Jsonb) => value::parse(text, &SqlType::Jsonb, env),
        Some(SqlType::Json) => Ok(Value::Json(text.into())),
        _ if text == "null" => Ok(Value::Null),
        _ => Ok(Value::text(json::unquoted(text))),
    }
}
