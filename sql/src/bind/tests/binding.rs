//! What is decided at binding: names, parameters, positions, volatility.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlType, Value};

use super::super::{Need, Volatility, needs_query};
use super::*;

fn scope() -> Scope {
    let columns = [
        ("id", &SqlType::Int4),
        ("big", &SqlType::Int8),
        ("name", &SqlType::Varchar(Some(10))),
        ("at", &SqlType::Timestamptz(None)),
    ];
    let mut scope = Scope::table(Some("public"), Some("t"), columns);
    scope.add_table(Some("public"), Some("u"), [("id", &SqlType::Int4)]);
    scope
}

fn bound(text: &str) -> SqlResult<Expr> {
    bind(text, &scope(), &mut ParamTypes::new())
}

fn error(text: &str) -> (String, String, Option<u32>) {
    let error = bound(text).unwrap_err();
    (error.state().to_string(), error.to_string(), error.report().position)
}

#[test]
fn names_are_found_or_missed_as_in_postgres() {
    assert_eq!(bound("t.id").unwrap(), Expr::column(0, SqlType::Int4));
    assert_eq!(bound("public.u.id").unwrap(), Expr::column(4, SqlType::Int4));
    assert_eq!(bound("BIG").unwrap(), Expr::column(1, SqlType::Int8));
    let is = |text, state: &str, message: &str, position| {
        assert_eq!(error(text), (state.into(), message.into(), Some(position)), "{text}");
    };
    is("1 + x", "42703", "column \"x\" does not exist", 5);
    is("big + id", "42702", "column reference \"id\" is ambiguous", 7);
    is("v.id", "42P01", "missing FROM-clause entry for table \"v\"", 1);
    is("t.x", "42703", "column t.x does not exist", 1);
    is("big + name", "42883", "operator does not exist: bigint + character varying", 5);
    is("nope(big, 'a')", "42883", "function nope(bigint, unknown) does not exist", 1);
    is("big and true", "42804", "argument of AND must be type boolean, not type bigint", 1);
    is("big = 'x'", "22P02", "invalid input syntax for type bigint: \"x\"", 7);
}

#[test]
fn parameters_take_the_type_of_where_they_stand() {
    let mut params = ParamTypes::new();
    bind("big = $1 and name = $2 and at < $3 and t.id = any($4) and $5 in (1.5, 2)", &scope(), &mut params).unwrap();
    let timestamps = SqlType::Timestamptz(None);
    let ids = SqlType::Array(Box::new(SqlType::Int4));
    let expected = vec![SqlType::Int8, SqlType::Text, timestamps, ids, SqlType::Numeric(None)];
    assert_eq!(params.finish().unwrap(), expected);
}

#[test]
fn parameters_that_nothing_decides_are_refused() {
    let mut params = ParamTypes::new();
    bind("$2 is null", &scope(), &mut params).unwrap();
    let error = params.finish().unwrap_err();
    assert_eq!(
        (error.state().0, error.to_string().as_str()),
        ("42P18", "could not determine data type of parameter $1")
    );
    let mut params = ParamTypes::declared(vec![Some(SqlType::Int2)]);
    assert_eq!(bind("$1", &scope(), &mut params).unwrap().ty(), &SqlType::Int2);
    assert_eq!(bind("$0", &scope(), &mut params).unwrap_err().state().0, "42P02");
}

#[test]
fn constants_take_the_type_of_the_column_they_are_compared_with() {
    let expr = bound("big = 5").unwrap();
    let (operator, left, right) = expr.as_comparison().unwrap();
    assert_eq!((operator, left.as_column(), right.as_const()), ("=", Some(1), Some(&Value::Int8(5))));
    let expr = bound("name = 'x'").unwrap();
    let (_, left, right) = expr.as_comparison().unwrap();
    assert_eq!((left.as_column(), right.as_const()), (Some(2), Some(&Value::text("x"))));
    let expr = bound("t.id in (1, 2) and big between 1 and 3").unwrap();
    assert_eq!(expr.conjuncts().len(), 3);
    assert_eq!(expr.columns(), vec![0, 1]);
}

#[test]
fn volatility_is_that_of_the_worst_part() {
    let volatility = |text| bound(text).unwrap().volatility();
    assert_eq!(volatility("lower(name) || 'x'"), Volatility::Immutable);
    assert_eq!(volatility("at + interval '1 day' > now()"), Volatility::Stable);
    assert_eq!(volatility("at::date"), Volatility::Stable);
    assert_eq!(volatility("case when big > 1 then random() end"), Volatility::Volatile);
    assert!(bound("1 + 2 * 3").unwrap().as_const().is_some());
    assert!(bound("1 / 0").unwrap().as_const().is_none(), "it fails when it is reached");
}

#[test]
fn assignments_say_what_does_not_fit() {
    let mut params = ParamTypes::new();
    let (scope, env) = (scope(), env());
    let mut binder = Binder::new(&scope, &mut params, &env);
    let text = Expr::literal(Value::text("1"), SqlType::Text);
    let error = binder.coerce_assigned(text, "n", &SqlType::Int4).unwrap_err();
    assert_eq!(error.to_string(), "column \"n\" is of type integer but expression is of type text");
    let long = Expr::literal(Value::text("abc"), SqlType::Text);
    let cast = binder.coerce(long, &SqlType::Varchar(Some(2)), CastContext::Assignment).unwrap();
    let failed = cast.eval(&[], &[], &EvalContext::constant(&env)).unwrap_err();
    assert_eq!(failed.to_string(), "value too long for type character varying(2)");
}

#[test]
fn conditions_of_rows_are_conditions_of_their_fields() {
    let row = [Value::Int4(1), Value::Int8(2), Value::text("n"), Value::Null, Value::Int4(3)];
    let env = env();
    let holds = |text: &str| bound(text).unwrap().eval(&row, &[], &EvalContext::constant(&env)).unwrap();
    assert_eq!(holds("(t.id, big) < (1, 3)"), Value::Bool(true));
    assert_eq!(holds("(t.id, big) = (1, 3)"), Value::Bool(false));
    assert_eq!(holds("(t.id, big) in ((1, 3), (1, 2))"), Value::Bool(true));
    assert_eq!(holds("case t.id when 1 then 'one' else 'more' end"), Value::text("one"));
    assert_eq!(holds("case when at is null then u.id end"), Value::Int4(3));
}

#[test]
fn deep_expressions_are_refused_and_long_ones_are_not() {
    let deep = format!("{}1{}", "(".repeat(45), ")".repeat(45));
    assert!(bound(&deep).is_ok());
    let sum = vec!["1"; 500].join(" + ");
    assert_eq!(error(&sum).0, "54001");
    let chain = vec!["big = 1"; 5000].join(" or ");
    assert!(matches!(bound(&chain).unwrap(), Expr::Or(parts) if parts.len() == 5000));
}

#[test]
fn what_needs_a_query_is_found() {
    let need = |text: &str| {
        let mut parser = Parser::new(&crate::parse::dialect::Postgres).try_with_sql(text).unwrap();
        needs_query(&parser.parse_expr().unwrap())
    };
    assert_eq!(need("lower(a) || 'x' = any(array[b])"), None);
    assert_eq!(need("1 + sum(a)"), Some(Need::Aggregate));
    assert_eq!(need("case when row_number() over () > 1 then 1 end"), Some(Need::Window));
    assert_eq!(need("a in (select 1)"), Some(Need::Subquery));
    assert_eq!(need("coalesce(unnest(a), 1)"), Some(Need::Rows));
    assert_eq!(error("1 + sum(big)").1, "aggregate functions are not allowed in this expression");
}

#[test]
fn printed_columns_and_conditions_bind_again() {
    for text in [
        "(t.big > 0)",
        "t.name like 'a%' and t.at is not null or not t.big = 3",
        "case t.big when 1 then 'a' when 2 then t.name end",
        "t.big in (1, 2, 3) and t.name is distinct from 'x'",
        "coalesce(t.name, 'none')::varchar(3)",
        "extract(year from t.at) = 2020 and t.at at time zone 'UTC' > '2020-01-01'",
        "greatest(t.big, 1) + nullif(t.big, 2)",
        "position('a' in t.name) + char_length(substring(t.name from 2 for 3))",
    ] {
        let expr = bound(text).unwrap();
        let names = ["t.id", "t.big", "t.name", "t.at", "u.id"];
        let printed = expr.to_sql(&|index| names[index].into());
        let again = bound(&printed).unwrap();
        assert_eq!(again.ty(), expr.ty(), "{text} prints {printed}");
        assert_eq!(again.to_sql(&|index| names[index].into()), printed, "{text}");
    }
}

#[test]
fn what_would_not_be_linear_is_refused() {
    for (pattern, what) in [("(a)\\1", "a back reference"), ("a(?=b)", "look-around"), ("(?<!a)b", "look-around")] {
        let expr = bound(&format!("name ~ '{pattern}'")).unwrap();
        let row = [Value::Null, Value::Null, Value::text("aa")];
        let error = expr.eval(&row, &[], &EvalContext::constant(&env())).unwrap_err();
        assert_eq!(error.to_string(), format!("{what} in regular expressions is not supported"));
    }
}
