//! Expressions and what PostgreSQL 15 makes of them, recorded by `record.sh` beside this file.
//!
//! A line is `expression TAB result TAB type`, or `expression TAB message TAB SQLSTATE`; results are as `COPY` writes
//! them, in the time zone Europe/Berlin.

mod binding;

use annulus_relation::value::{Env, TimeZone};
use annulus_relation::{SqlError, SqlResult};
use sqlparser::parser::Parser;

use super::category::type_name;
use super::{Binder, EvalContext, Expr, NoSession, ParamTypes, Scope, print_value};

const FILES: &[(&str, &str)] = &[
    ("arrays", include_str!("arrays.txt")),
    ("conditions", include_str!("conditions.txt")),
    ("formats", include_str!("formats.txt")),
    ("json", include_str!("json.txt")),
    ("jsonpath", include_str!("jsonpath.txt")),
    ("networks", include_str!("networks.txt")),
    ("numbers", include_str!("numbers.txt")),
    ("patterns", include_str!("patterns.txt")),
    ("strings", include_str!("strings.txt")),
    ("times", include_str!("times.txt")),
    ("types", include_str!("types.txt")),
];

fn env() -> Env {
    Env { zone: TimeZone::named("Europe/Berlin").unwrap(), ..Env::default() }
}

fn syntax_error(error: impl std::fmt::Display) -> SqlError {
    SqlError::new(annulus_relation::SqlState::SYNTAX_ERROR, format!("{error}"))
}

/// The expression of a text, bound over a scope.
fn bind(text: &str, scope: &Scope, params: &mut ParamTypes) -> SqlResult<Expr> {
    let mut parser = Parser::new(&crate::parse::dialect::Postgres).try_with_sql(text).map_err(syntax_error)?;
    let parsed = parser.parse_expr().map_err(syntax_error)?;
    parser.expect_token(&sqlparser::tokenizer::Token::EOF).map_err(syntax_error)?;
    Binder::new(scope, params, &env()).text(text).bind(&parsed)
}

/// A result as `COPY` writes it, and its type.
fn evaluate(text: &str) -> SqlResult<(String, String)> {
    let expr = bind(text, &Scope::new(), &mut ParamTypes::new())?;
    let env = env();
    let cx = EvalContext::new(&env, &NoSession);
    let value = expr.eval(&[], &[], &cx)?;
    let printed = if value.is_null() { "\\N".into() } else { escaped(&print_value(&value, expr.ty(), &cx)) };
    Ok((printed, type_name(expr.ty())))
}

fn escaped(text: &str) -> String {
    let mut result = String::new();
    for character in text.chars() {
        match character {
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            '\r' => result.push_str("\\r"),
            '\x08' => result.push_str("\\b"),
            '\x0b' => result.push_str("\\v"),
            '\x0c' => result.push_str("\\f"),
            other => result.push(other),
        }
    }
    result
}

/// The same expression printed and bound again must give the same.
fn reprinted(text: &str) -> Option<String> {
    let expr = bind(text, &Scope::new(), &mut ParamTypes::new()).ok()?;
    Some(expr.to_sql(&|index| format!("column{index}")))
}

#[test]
fn results_are_postgres() {
    let mut wrong = Vec::new();
    for (file, cases) in FILES {
        for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [expression, result, kind] = fields.as_slice() else { panic!("{file}: {line}") };
            let got = match evaluate(expression) {
                Ok((result, ty)) => (result, ty),
                Err(error) => (escaped(&error.to_string()), error.state().to_string()),
            };
            if got != ((*result).to_string(), (*kind).to_string()) {
                wrong.push(format!("{file}: {expression}\n  expected {result} {kind}\n  got      {} {}", got.0, got.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn printed_expressions_bind_to_the_same() {
    let mut wrong = Vec::new();
    for (file, cases) in FILES {
        for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let expression = line.split('\t').next().unwrap_or_default();
            let Some(printed) = reprinted(expression) else { continue };
            let (first, second) = (evaluate(expression), evaluate(&printed));
            if first != second {
                wrong.push(format!("{file}: {expression}\n  prints {printed}\n  {first:?}\n  {second:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
