//! What follows from what: by example, and against rows.

use annulus_relation::value::Env;
use annulus_relation::{SqlType, Value};

use super::Facts;
use crate::bind::{Binder, EvalContext, Expr, NoSession, ParamTypes, Scope};
use crate::parse::parse_expression;

fn scope() -> Scope {
    let columns = [
        ("a", SqlType::Int4),
        ("b", SqlType::Int8),
        ("s", SqlType::Text),
        ("v", SqlType::Varchar(Some(9))),
        ("f", SqlType::Bool),
    ];
    Scope::table(None, Some("t"), columns.iter().map(|(name, ty)| (*name, ty)))
}

fn bound(text: &str) -> Expr {
    let (scope, mut params, env) = (scope(), ParamTypes::declared(vec![Some(SqlType::Int4)]), Env::default());
    let parsed = parse_expression(text).unwrap();
    Binder::new(&scope, &mut params, &env).bind_condition(&parsed).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn implied(condition: &str, predicate: &str) -> bool {
    Facts::of(&bound(condition)).implies(&Facts::of(&bound(predicate)))
}

#[test]
fn a_predicate_follows_from_stricter_conditions() {
    for (condition, predicate) in [
        ("a = 5", "a = 5"),
        ("5 = a AND b > 1", "a = 5"),
        ("a = 5", "a > 3"),
        ("a > 3", "a >= 3"),
        ("a > 4", "a > 3"),
        ("a >= 4", "a <> 3"),
        ("a < 4", "4 > a"),
        ("a = 5", "a IS NOT NULL"),
        ("a = $1", "a IS NOT NULL"),
        ("a <> 7", "a IS NOT NULL"),
        ("a IN (1, 2)", "a IN (3, 2, 1)"),
        ("a = 1 OR a = 2", "a IN (1, 2)"),
        ("a IN (1, 2)", "a < 3"),
        ("a NOT IN (1, 2)", "a <> 2"),
        ("a IS NULL AND b = 1", "a IS NULL"),
        ("s = 'x'", "s <> 'y'"),
        ("v = 'x'", "v IN ('x', 'y')"),
        ("b = 7", "b = 7::smallint"),
        ("f", "f = true"),
        ("NOT f", "f IS FALSE"),
        ("f = false", "NOT f"),
        ("lower(s) = 'x'", "lower(s) IS NOT NULL"),
        ("s LIKE 'x%' AND a = $1", "s LIKE 'x%'"),
        ("a > b", "a > b"),
        ("a = 1 AND a = 2", "b = 9"),
        ("a = NULL", "b = 9"),
    ] {
        assert!(implied(condition, predicate), "{condition} -> {predicate}");
    }
}

#[test]
fn a_predicate_does_not_follow_from_others() {
    for (condition, predicate) in [
        ("a = 5", "b = 5"),
        ("a >= 3", "a > 3"),
        ("a > 3", "a > 4"),
        ("a = $1", "a = 5"),
        ("a IN (1, 2)", "a = 1"),
        ("a = 1 OR b = 1", "a = 1"),
        ("a = 1 OR a > 5", "a = 1"),
        ("a IS NOT NULL", "a > 3"),
        ("a IS NULL", "a < 3"),
        ("a IS NULL OR a = 1", "a IS NOT NULL"),
        ("NOT f", "f"),
        ("f IS NOT TRUE", "NOT f"),
        ("lower(s) = 'x'", "s = 'x'"),
        ("upper(s) = 'x'", "lower(s) = 'x'"),
        ("b = 1", "a = 1 AND b = 1"),
    ] {
        assert!(!implied(condition, predicate), "{condition} -> {predicate}");
    }
}

/// Small numbers, NULL among them, and every row of three of them.
fn rows() -> Vec<Vec<Value>> {
    let numbers = [None, Some(0), Some(1), Some(2), Some(3)];
    let flags = [Value::Null, Value::Bool(false), Value::Bool(true)];
    let int = |n: Option<i32>| n.map_or(Value::Null, Value::Int4);
    let long = |n: Option<i32>| n.map_or(Value::Null, |n| Value::Int8(n.into()));
    let row = |a, b, f: &Value| vec![int(a), long(b), Value::Null, Value::Null, f.clone()];
    numbers
        .iter()
        .flat_map(|a| numbers.iter().map(move |b| (*a, *b)))
        .flat_map(|(a, b)| flags.iter().map(move |f| row(a, b, f)))
        .collect()
}

/// A condition out of a number's digits.
fn condition(seed: &mut u64, depth: u32) -> String {
    let mut pick = |of: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % of
    };
    if depth > 0 && pick(2) == 0 {
        let word = ["AND", "OR"][pick(2) as usize];
        let not = ["", "NOT "][usize::from(pick(5) == 0)];
        return format!("{not}({} {word} {})", condition(seed, depth - 1), condition(seed, depth - 1));
    }
    let (column, value, other) = (["a", "b"][pick(2) as usize], pick(4), pick(4));
    match pick(9) {
        0..=3 => format!("{column} {} {value}", ["=", "<>", "<", "<=", ">", ">="][pick(6) as usize]),
        4 => format!("{value} {} {column}", ["=", "<", ">="][pick(3) as usize]),
        5 => format!("{column} {}IN ({value}, {other})", ["", "NOT "][pick(2) as usize]),
        6 => format!("{column} IS {}NULL", ["", "NOT "][pick(2) as usize]),
        7 => ["f", "NOT f", "f IS NOT FALSE", "f IS TRUE", "f = false", "f IS UNKNOWN"][pick(6) as usize].to_owned(),
        _ => "a < b".to_owned(),
    }
}

/// Every row for which a condition is true makes every predicate true that is said to follow; and some do.
#[test]
fn what_follows_is_true_of_every_row() {
    let env = Env::default();
    let (rows, context) = (rows(), EvalContext::new(&env, &NoSession));
    let is_true = |expr: &Expr, row: &Vec<Value>| expr.is_true(row, &[], &context).unwrap();
    let (mut seed, mut followed) = (1, 0);
    for _ in 0..20_000 {
        let [condition, predicate] = [2, 1].map(|depth| condition(&mut seed, depth));
        if !implied(&condition, &predicate) {
            continue;
        }
        followed += 1;
        let (condition_expr, predicate_expr) = (bound(&condition), bound(&predicate));
        let broken = rows.iter().find(|row| is_true(&condition_expr, row) && !is_true(&predicate_expr, row));
        assert!(broken.is_none(), "{condition} -> {predicate}: {broken:?}");
    }
    assert!(followed > 500, "{followed}");
}
