//! What in an expression needs a query around it.

use std::ops::ControlFlow;

use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript};

use super::registry::aggregate_names;

/// What a scalar expression cannot contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A subquery.
    Subquery,
    /// An aggregate function.
    Aggregate,
    /// A window function.
    Window,
    /// A function that gives several rows.
    Rows,
}

/// Functions that give rows.
const ROW_FUNCTIONS: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_path_query",
    "jsonb_path_query_tz",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "unnest",
];

/// What the expression needs, if it is not scalar: the outermost, leftmost thing found.
#[must_use]
pub fn needs_query(expr: &ast::Expr) -> Option<Need> {
    match find(expr) {
        ControlFlow::Break(need) => Some(need),
        ControlFlow::Continue(()) => None,
    }
}

type Search = ControlFlow<Need>;

fn all<'e>(parts: impl IntoIterator<Item = &'e ast::Expr>) -> Search {
    parts.into_iter().try_for_each(find)
}

fn find(expr: &ast::Expr) -> Search {
    use ast::Expr as E;
    match expr {
        E::Subquery(_) | E::Exists { .. } | E::InSubquery { .. } => Search::Break(Need::Subquery),
        E::Function(function) => find_in_function(function),
        E::CompoundFieldAccess { root, access_chain } => {
            find(root)?;
            access_chain.iter().try_for_each(find_in_access)
        }
        E::IsFalse(e)
        | E::IsNotFalse(e)
        | E::IsTrue(e)
        | E::IsNotTrue(e)
        | E::IsNull(e)
        | E::IsNotNull(e)
        | E::IsUnknown(e)
        | E::IsNotUnknown(e)
        | E::Nested(e) => find(e),
        E::Prefixed { value, .. } => find(value),
        E::UnaryOp { expr, .. }
        | E::Cast { expr, .. }
        | E::Extract { expr, .. }
        | E::Ceil { expr, .. }
        | E::Floor { expr, .. }
        | E::Collate { expr, .. } => find(expr),
        E::IsDistinctFrom(left, right) | E::IsNotDistinctFrom(left, right) => all([&**left, &**right]),
        E::BinaryOp { left, right, .. } | E::AnyOp { left, right, .. } | E::AllOp { left, right, .. } => {
            all([&**left, &**right])
        }
        E::Like { expr, pattern, .. } | E::ILike { expr, pattern, .. } | E::SimilarTo { expr, pattern, .. } => {
            all([&**expr, &**pattern])
        }
        E::InList { expr, list, .. } => all(std::iter::once(&**expr).chain(list)),
        E::Between { expr, low, high, .. } => all([&**expr, &**low, &**high]),
        E::AtTimeZone { timestamp, time_zone } => all([&**timestamp, &**time_zone]),
        E::Position { expr, r#in } => all([&**expr, &**r#in]),
        E::Substring { expr, substring_from, substring_for, .. } => {
            all([Some(expr), substring_from.as_ref(), substring_for.as_ref()].into_iter().flatten().map(|e| &**e))
        }
        E::Trim { expr, trim_what, trim_characters, .. } => {
            all(std::iter::once(&**expr).chain(trim_what.as_deref()).chain(trim_characters.iter().flatten()))
        }
        E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            all([&**expr, &**overlay_what, &**overlay_from].into_iter().chain(overlay_for.as_deref()))
        }
        E::Case { operand, conditions, else_result, .. } => {
            let arms = conditions.iter().flat_map(|arm| [&arm.condition, &arm.result]);
            all(operand.as_deref().into_iter().chain(arms).chain(else_result.as_deref()))
        }
        E::Tuple(parts) => all(parts),
        E::Array(array) => all(&array.elem),
        E::Interval(interval) => find(&interval.value),
        _ => Search::Continue(()),
    }
}

fn find_in_access(access: &ast::AccessExpr) -> Search {
    match access {
        ast::AccessExpr::Dot(expr) => find(expr),
        ast::AccessExpr::Subscript(Subscript::Index { index }) => find(index),
        ast::AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
            all([lower_bound, upper_bound, stride].into_iter().flatten())
        }
    }
}

fn find_in_function(function: &ast::Function) -> Search {
    if function.over.is_some() {
        return Search::Break(Need::Window);
    }
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_ascii_lowercase());
    let name = name.as_deref().unwrap_or_default();
    if aggregate_names().contains(&name) || !function.within_group.is_empty() || function.filter.is_some() {
        return Search::Break(Need::Aggregate);
    }
    if ROW_FUNCTIONS.contains(&name) {
        return Search::Break(Need::Rows);
    }
    match &function.args {
        FunctionArguments::None => Search::Continue(()),
        FunctionArguments::Subquery(_) => Search::Break(Need::Subquery),
        FunctionArguments::List(list) => list.args.iter().try_for_each(|arg| match arg {
            FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg) => {
                match arg {
                    FunctionArgExpr::Expr(expr) => find(expr),
                    _ => Search::Continue(()),
                }
            }
        }),
    }
}
