//! Aggregate functions, as PostgreSQL defines them.
//!
//! `count`, and `min`, `max`, `bool_and` and `bool_or` of types whose arrays compare as their values do, are
//! DataFusion's. All others are [`fold`]s of our own over values: sums that are exact and cannot wrap ([`sums`]), and
//! those that look at all rows of a group together ([`collect`]), which also serve `DISTINCT` and `ORDER BY`.

mod collect;
mod fold;
mod moving;
mod numbers;
mod statistics;
mod sums;

use std::sync::Arc;

use annulus_relation::{SqlResult, SqlType, Value};
use datafusion::functions_aggregate::{bool_and_or, count as counting, min_max};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Expr, lit};

use super::arrow::{Comparison, comparison};
use super::plan::Aggregated;
use super::scalar::{Context, key};
use crate::bind::DISTINCT_ROWS;
use collect::{Collect, Finish, Surroundings};
use fold::Folding;

/// An aggregate's call, its arguments as DataFusion's expressions.
pub(super) struct Call {
    pub name: String,
    pub args: Vec<(Expr, SqlType)>,
    /// By what the rows are sorted: the expression, its type, whether descending, whether NULLs come first.
    pub order: Vec<(Expr, SqlType, bool, bool)>,
    pub filter: Option<Expr>,
    pub distinct: bool,
    /// Whether the order stands in `WITHIN GROUP`.
    pub within: bool,
    /// Whether rows leave the group again: it is a window whose beginning moves.
    pub sliding: bool,
}

/// What a call means.
pub(super) struct Signature {
    kind: Kind,
    ty: SqlType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Count,
    Min,
    Max,
    And,
    Or,
    Sum,
    Avg,
    Collect(Finish),
    Statistics(statistics::Function),
}

/// The result's type and the way of computing, for arguments of these types; `None` if there is no such function.
pub(super) fn signature(name: &str, types: &[&SqlType]) -> Option<Signature> {
    let one = |kind, ty| Some(Signature { kind, ty });
    let collect = |finish, ty| one(Kind::Collect(finish), ty);
    match (name, types) {
        ("count", [] | [_]) => one(Kind::Count, SqlType::Int8),
        (DISTINCT_ROWS, _) => collect(Finish::Count, SqlType::Int8),
        ("min" | "max", [ty]) if is_ordered(ty) => {
            let kind = if name == "min" { Kind::Min } else { Kind::Max };
            one(kind, plain(ty))
        }
        ("bool_and" | "every", [SqlType::Bool]) => one(Kind::And, SqlType::Bool),
        ("bool_or", [SqlType::Bool]) => one(Kind::Or, SqlType::Bool),
        ("sum", [ty]) => one(Kind::Sum, numbers::sum_type(ty)?),
        ("avg", [ty]) => one(Kind::Avg, numbers::avg_type(ty)?),
        ("bit_and" | "bit_or" | "bit_xor", [ty @ (SqlType::Int2 | SqlType::Int4 | SqlType::Int8)]) => {
            let finish = match name {
                "bit_and" => Finish::BitAnd,
                "bit_or" => Finish::BitOr,
                _ => Finish::BitXor,
            };
            collect(finish, (*ty).clone())
        }
        ("string_agg", [SqlType::Bytea, _]) => collect(Finish::Join, SqlType::Bytea),
        ("string_agg", [_, _]) => collect(Finish::Join, SqlType::Text),
        ("array_agg", [ty]) if !matches!(ty, SqlType::Array(_)) => collect(Finish::Array, ty.base().array()),
        ("json_agg", [_]) => collect(Finish::JsonArray, SqlType::Json),
        ("jsonb_agg", [_]) => collect(Finish::JsonArray, SqlType::Jsonb),
        ("json_object_agg", [_, _]) => collect(Finish::JsonObject, SqlType::Json),
        ("jsonb_object_agg", [_, _]) => collect(Finish::JsonObject, SqlType::Jsonb),
        ("any_value", [ty]) => collect(Finish::First, ty.base()),
        _ => {
            statistics::signature(name, types).map(|(function, ty)| Signature { kind: Kind::Statistics(function), ty })
        }
    }
}

/// `percentile_cont` and its like: the direct arguments' types and that of what is sorted.
pub(super) fn ordered_signature(name: &str, direct: &[&SqlType], sorted: &SqlType) -> Option<Signature> {
    let collect = |finish, ty| Some(Signature { kind: Kind::Collect(finish), ty });
    match (name, direct) {
        ("mode", []) => collect(Finish::Mode, sorted.base()),
        ("percentile_disc", [fractions]) if is_fractions(fractions) => {
            collect(Finish::PercentileDisc, sorted.base().array())
        }
        ("percentile_cont", [fractions]) if is_fractions(fractions) && *sorted == SqlType::Float8 => {
            collect(Finish::PercentileCont, SqlType::Float8.array())
        }
        ("percentile_disc", [SqlType::Float8]) => collect(Finish::PercentileDisc, sorted.base()),
        ("percentile_cont", [SqlType::Float8]) if *sorted == SqlType::Float8 => {
            collect(Finish::PercentileCont, SqlType::Float8)
        }
        _ => None,
    }
}

/// Whether it is the type of several fractions at once.
fn is_fractions(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Array(element) if **element == SqlType::Float8)
}

/// Whether values of a type have a least one.
fn is_ordered(ty: &SqlType) -> bool {
    comparison(ty).is_ok()
        && !matches!(ty, SqlType::Bool | SqlType::Jsonb | SqlType::Uuid | SqlType::Bytea | SqlType::Void)
}

/// The type without what only columns have.
fn plain(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::Varchar(_) | SqlType::Name => SqlType::Text,
        SqlType::Cidr => SqlType::Inet,
        other => other.base(),
    }
}

/// The types that arguments are converted to, where they are not as they should be.
pub(super) fn parameters(name: &str, count: usize) -> Vec<Option<SqlType>> {
    let float = || Some(SqlType::Float8);
    match (name, count) {
        ("string_agg", 2) => vec![Some(SqlType::Text), Some(SqlType::Text)],
        ("bool_and" | "bool_or" | "every", 1) => vec![Some(SqlType::Bool)],
        ("percentile_cont" | "percentile_disc", 1) => vec![float()],
        (name, 2) if name.starts_with("regr_") || name.starts_with("covar_") || name == "corr" => {
            vec![float(), float()]
        }
        _ => Vec::new(),
    }
}

/// Whether the result shows the order of the rows.
pub(super) fn keeps_order(name: &str) -> bool {
    matches!(name, "array_agg" | "string_agg" | "json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg")
}

/// What an argument becomes of the JSON that an aggregate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonPart {
    /// A member's name.
    Key,
    /// A value.
    Value,
}

/// What an argument becomes of the JSON that an aggregate makes, if it does.
pub(super) fn json_part(name: &str, place: usize) -> Option<JsonPart> {
    match (name, place) {
        ("json_agg" | "jsonb_agg", 0) | ("json_object_agg" | "jsonb_object_agg", 1) => Some(JsonPart::Value),
        ("json_object_agg" | "jsonb_object_agg", 0) => Some(JsonPart::Key),
        _ => None,
    }
}

/// Whether an argument may stay as it is.
pub(super) fn accepts(name: &str, place: usize, ty: &SqlType) -> bool {
    match (name, place) {
        ("string_agg", _) => matches!(ty, SqlType::Text | SqlType::Varchar(_) | SqlType::Bytea),
        ("bool_and" | "bool_or" | "every", _) => *ty == SqlType::Bool,
        _ => *ty == SqlType::Float8,
    }
}

/// Whether it counts, so that it is 0 for no rows.
pub(super) fn is_count(name: &str) -> bool {
    matches!(name, "count" | "regr_count" | DISTINCT_ROWS)
}

/// The call as DataFusion's.
pub(super) fn build(call: Call, signature: Signature, context: &Context) -> SqlResult<Aggregated> {
    let empty = is_count(&call.name).then_some(Value::Int8(0));
    let ty = signature.ty.clone();
    let Signature { kind, .. } = signature;
    let simple = !call.distinct && call.order.is_empty() && !call.sliding;
    let native = |ty: &SqlType| comparison(ty) != Ok(Comparison::Key);
    let single = call.args.first().map(|(_, ty)| ty.clone());
    let (function, args, distinct) = match (kind, &single) {
        (Kind::Count, None) => (counting::count_udaf(), vec![lit(1_i64)], false),
        (Kind::Count, Some(ty)) if call.distinct => {
            (counting::count_udaf(), vec![key(call.args[0].0.clone(), ty)?], true)
        }
        (Kind::Count, Some(_)) => (counting::count_udaf(), vec![call.args[0].0.clone()], false),
        (Kind::Min, Some(arg)) if native(arg) => (min_max::min_udaf(), vec![call.args[0].0.clone()], false),
        (Kind::Max, Some(arg)) if native(arg) => (min_max::max_udaf(), vec![call.args[0].0.clone()], false),
        (Kind::And, _) if !call.sliding => (bool_and_or::bool_and_udaf(), vec![call.args[0].0.clone()], false),
        (Kind::Or, _) if !call.sliding => (bool_and_or::bool_or_udaf(), vec![call.args[0].0.clone()], false),
        (Kind::Min | Kind::Max, Some(arg)) if !call.sliding => {
            let extreme = sums::Extreme { greatest: kind == Kind::Max };
            (fold(&call, arg, &ty, extreme), vec![call.args[0].0.clone()], false)
        }
        (Kind::Sum | Kind::Avg, Some(arg @ SqlType::Numeric(_))) if call.sliding && !call.distinct => {
            let sum = moving::MovingSum { average: kind == Kind::Avg };
            (fold(&call, arg, &ty, sum), vec![call.args[0].0.clone()], false)
        }
        (Kind::Sum | Kind::Avg, Some(arg)) if simple || (!call.distinct && !numbers::is_float(arg)) => {
            let sum = sums::Sum { of: arg.clone(), average: kind == Kind::Avg };
            (fold(&call, arg, &ty, sum), vec![call.args[0].0.clone()], false)
        }
        (Kind::Statistics(function), _) if simple => {
            let types: Vec<SqlType> = call.args.iter().map(|(_, ty)| ty.clone()).collect();
            let moments = statistics::Moments { function, exact: statistics::is_exact(&types) };
            let udaf = Folding::new(&call.name, types, ty.clone(), moments);
            (udaf, call.args.iter().map(|(expr, _)| expr.clone()).collect(), false)
        }
        (kind, _) => return collected(call, kind, ty, empty, context),
    };
    Ok(Aggregated { expr: apply(function, args, distinct, call.filter), ty, empty })
}

fn fold<F: fold::Fold>(call: &Call, arg: &SqlType, ty: &SqlType, how: F) -> Arc<AggregateUDF> {
    Folding::new(&call.name, vec![arg.clone()], ty.clone(), how)
}

/// A call that looks at all rows of a group together.
fn collected(call: Call, kind: Kind, ty: SqlType, empty: Option<Value>, context: &Context) -> SqlResult<Aggregated> {
    let finish = match kind {
        Kind::Collect(finish) => finish,
        Kind::Sum => Finish::Sum,
        Kind::Avg => Finish::Avg,
        Kind::Statistics(function) => Finish::Statistics(function),
        // One of them true is true, which is greater than false.
        Kind::Min | Kind::And => Finish::Extreme { greatest: false },
        Kind::Max | Kind::Or => Finish::Extreme { greatest: true },
        Kind::Count => Finish::First,
    };
    let args = call.args.len();
    let order = call.order.iter().map(|(_, _, descending, nulls_first)| (*descending, *nulls_first)).collect();
    let all = call.args.into_iter().chain(call.order.into_iter().map(|(expr, ty, ..)| (expr, ty)));
    let (exprs, types): (Vec<Expr>, Vec<SqlType>) = all.unzip();
    for ty in types.iter().take(if call.distinct { args } else { 0 }) {
        comparison(ty)?;
    }
    let collect = Collect {
        finish,
        args,
        types: types.clone(),
        order,
        distinct: call.distinct,
        ty: ty.clone(),
        surroundings: Surroundings { env: Arc::clone(&context.env), guard: Some(context.guard.clone()) },
    };
    let function = Folding::new(&call.name, types, ty.clone(), collect);
    Ok(Aggregated { expr: apply(function, exprs, false, call.filter), ty, empty })
}

fn apply(function: Arc<AggregateUDF>, args: Vec<Expr>, distinct: bool, filter: Option<Expr>) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(
        function,
        args,
        distinct,
        filter.map(Box::new),
        Vec::new(),
        None,
    ))
}

/// How many rows there are where an expression is not NULL.
pub(super) fn count(expr: Expr) -> Expr {
    apply(counting::count_udaf(), vec![expr], false, None)
}

/// One of a group's values, which are all equal.
pub(super) fn any(expr: Expr) -> Expr {
    apply(min_max::min_udaf(), vec![expr], false, None)
}

/// A group's only value; more than one row is an error.
pub(super) fn single(expr: Expr, ty: &SqlType) -> Expr {
    let types = vec![ty.clone()];
    let collect = Collect {
        finish: Finish::Single,
        args: 1,
        types: types.clone(),
        order: Vec::new(),
        distinct: false,
        ty: ty.clone(),
        surroundings: Surroundings::default(),
    };
    apply(Folding::new("single", types, ty.clone(), collect), vec![expr], false, None)
}
