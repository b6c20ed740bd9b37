//! Arguments that are given by name.

use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr};

use super::binder::folded;
use super::category::type_name;
use super::expr::Expr;
use super::functions::path;
use super::resolve::no_function_of;

/// Whether an argument is.
fn is_named(arg: &FunctionArg) -> bool {
    !matches!(arg, FunctionArg::Unnamed(_))
}

/// Whether a call of `jsonb_path_query` or its kin gives arguments by name.
pub(crate) fn names_path_arguments(function: &str, args: &[FunctionArg]) -> bool {
    function.starts_with("jsonb_path_") && args.iter().any(is_named)
}

/// The arguments of such a call in order, with the defaults of those that are not given.
///
/// # Errors
/// `42883` if an argument is missing, or is none of the function.
pub(crate) fn path_arguments<T>(
    function: &str,
    args: &[FunctionArg],
    bind: impl FnMut(&ast::Expr) -> SqlResult<T>,
    ty: impl Fn(&T) -> &SqlType,
    default: impl Fn(Expr) -> T,
) -> SqlResult<Vec<T>> {
    let literal = |index: usize| match index {
        2 => Some(Expr::literal(Value::Jsonb("{}".into()), SqlType::Jsonb)),
        3 => Some(Expr::literal(Value::Bool(false), SqlType::Bool)),
        _ => None,
    };
    let placed = placed(function, &path::PARAMETERS, args, bind, ty)?;
    let all = placed.into_iter().enumerate().map(|(index, given)| given.or_else(|| literal(index).map(&default)));
    all.collect::<Option<_>>().ok_or_else(|| no_function_of(function, &[]))
}

/// Arguments in the order of the parameters, given in order or by name; `None` where there is none.
///
/// # Errors
/// `42883` if there is no such parameter, or it is given twice.
pub(super) fn placed<T>(
    function: &str,
    parameters: &[&str],
    args: &[FunctionArg],
    mut bind: impl FnMut(&ast::Expr) -> SqlResult<T>,
    ty: impl Fn(&T) -> &SqlType,
) -> SqlResult<Vec<Option<T>>> {
    let (mut shown, mut is_known) = (Vec::with_capacity(args.len()), true);
    let mut placed: Vec<Option<T>> = parameters.iter().map(|_| None).collect();
    for (place, arg) in args.iter().enumerate() {
        let (name, arg) = match arg {
            FunctionArg::Unnamed(arg) => (None, arg),
            FunctionArg::Named { name, arg, .. } => (Some(folded(name)), arg),
            FunctionArg::ExprNamed { name: ast::Expr::Identifier(name), arg, .. } => (Some(folded(name)), arg),
            FunctionArg::ExprNamed { .. } => {
                return Err(SqlError::unsupported("an argument named by an expression"));
            }
        };
        let FunctionArgExpr::Expr(expr) = arg else { return Err(SqlError::unsupported("* as an argument")) };
        let bound = bind(expr)?;
        let type_shown = type_name(ty(&bound));
        let index = match &name {
            Some(name) => parameters.iter().position(|parameter| parameter == name),
            None => Some(place),
        };
        shown.push(name.map_or_else(|| type_shown.clone(), |name| format!("{name} => {type_shown}")));
        match index.and_then(|index| placed.get_mut(index)).filter(|place| place.is_none()) {
            Some(place) => *place = Some(bound),
            None => is_known = false,
        }
    }
    if is_known { Ok(placed) } else { Err(no_function_of(function, &shown)) }
}
