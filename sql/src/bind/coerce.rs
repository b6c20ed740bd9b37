//! Conversions between types: which are allowed where, and the expressions that make them.

use annulus_relation::value::{self, CastContext, Env};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::category::{Category, category, same, type_name, unmodified};
use super::expr::Expr;
use super::params::ParamTypes;
use super::registry::Volatility;
use super::rows::refused;

/// Whether a conversion happens without being asked for (`pg_cast`'s implicit casts). `Unknown` becomes anything.
pub(super) fn implicit(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    if same(from, to) || *from == T::Unknown {
        return true;
    }
    match (from, to) {
        (T::Int2, T::Int4 | T::Int8) | (T::Int4, T::Int8) => true,
        (T::Int2 | T::Int4 | T::Int8, T::Numeric(_) | T::Float4 | T::Float8) => true,
        (T::Numeric(_), T::Float4 | T::Float8) | (T::Float4, T::Float8) => true,
        (T::Int2 | T::Int4 | T::Int8, to) if is_oid(to) => true,
        (T::Oid, to) if is_oid(to) => true,
        (from, T::Oid) if is_oid(from) => true,
        (T::Text | T::Varchar(_) | T::Char(_) | T::Name, T::Text) => true,
        (T::Text | T::Varchar(_) | T::Char(_), T::Varchar(_) | T::Char(_) | T::Name) => true,
        (T::InternalChar, T::Text) => true,
        (T::Text | T::Varchar(_), T::Regclass) => true,
        (T::Date, T::Timestamp(_) | T::Timestamptz(_)) | (T::Timestamp(_), T::Timestamptz(_)) => true,
        (T::Time(_), T::Interval(_)) => true,
        (T::Cidr, T::Inet) => true,
        (T::Array(from), T::Array(to)) => implicit(from, to),
        (T::Int2Vector | T::OidVector, T::Array(to)) => from.element().is_some_and(|from| implicit(from, to)),
        _ => false,
    }
}

/// Whether it is `oid` or an alias of it.
pub(super) const fn is_oid(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Oid) || is_named_oid(ty)
}

/// Whether it is an oid that is written as a name.
pub(super) const fn is_named_oid(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace)
}

/// Whether a conversion leaves the value as it is.
pub(super) fn is_relabel(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (from, to) if is_oid(from) && is_oid(to) => true,
        (T::Text | T::Varchar(_), T::Text | T::Varchar(None)) => true,
        (T::Cidr, T::Inet) => true,
        (T::Numeric(_), T::Numeric(None)) => true,
        (T::Time(_), T::Time(None)) | (T::Timestamp(_), T::Timestamp(None)) => true,
        (T::Timestamptz(_), T::Timestamptz(None)) | (T::Interval(_), T::Interval(None)) => true,
        (T::Array(from), T::Array(to)) => is_relabel(from, to),
        (T::Int2Vector | T::OidVector, T::Array(to)) => from.element() == Some(&**to),
        (from, to) => from == to,
    }
}

/// How a conversion's result may change.
pub(super) fn cast_volatility(from: &SqlType, to: &SqlType) -> Volatility {
    use SqlType as T;
    let by_zone = |ty: &SqlType| matches!(ty, T::Timestamptz(_));
    let by_text = |ty: &SqlType| matches!(category(ty), Category::DateTime | Category::Timespan);
    let text = |ty: &SqlType| matches!(category(ty), Category::String | Category::Unknown);
    match (from, to) {
        (T::Array(from), T::Array(to)) => cast_volatility(from, to),
        (from, to) if same(from, to) => Volatility::Immutable,
        // Labels may be called otherwise later.
        (T::Enum(_), _) | (_, T::Enum(_)) => Volatility::Stable,
        (from, to) if by_zone(from) || by_zone(to) => Volatility::Stable,
        (from, to) if (text(from) && by_text(to)) || (by_text(from) && text(to)) => Volatility::Stable,
        (from, to) if text(from) && is_named_oid(to) || is_named_oid(from) && text(to) => Volatility::Stable,
        (T::Array(from), to) if text(to) => cast_volatility(from, to),
        (from, T::Array(to)) if text(from) => cast_volatility(from, to),
        _ => Volatility::Immutable,
    }
}

/// Whether a conversion is allowed in a context.
pub(super) fn can_coerce(from: &SqlType, to: &SqlType, context: CastContext) -> bool {
    implicit(from, to) || (context != CastContext::Implicit && value::can_cast(from, to, context))
}

/// The expression converted to a type, or `None` if that is not allowed.
///
/// Literals become values of the type, parameters of open type take it.
pub(super) fn coerce(
    expr: Expr,
    to: &SqlType,
    context: CastContext,
    params: &mut ParamTypes,
    env: &Env,
) -> SqlResult<Option<Expr>> {
    let from = expr.ty();
    if *from == SqlType::Unknown && *to != SqlType::Unknown {
        return undecided(expr, to, context, params, env).map(Some);
    }
    // Only a cast that is written takes the modifiers off.
    let unchanged = context != CastContext::Explicit && same(from, to) && *to == unmodified(to);
    if from == to || unchanged {
        return Ok(Some(expr));
    }
    if from.has_rows() {
        return Err(refused());
    }
    if !can_coerce(from, to, context) {
        return Ok(None);
    }
    Ok(Some(Expr::Cast { arg: Box::new(expr), ty: to.clone(), explicit: context == CastContext::Explicit }))
}

fn undecided(expr: Expr, to: &SqlType, context: CastContext, params: &mut ParamTypes, env: &Env) -> SqlResult<Expr> {
    let explicit = context == CastContext::Explicit;
    match expr {
        Expr::Const(literal) => match &literal.value {
            Value::Text(text) if holds_names(to) => match text.trim().parse::<u32>() {
                Ok(oid) if is_oid(to) => Ok(Expr::literal(Value::Oid(oid), to.clone())),
                _ => {
                    let text = Expr::literal(literal.value, SqlType::Text);
                    Ok(Expr::Cast { arg: Box::new(text), ty: to.clone(), explicit })
                }
            },
            Value::Text(text) => Ok(Expr::literal(parse_literal(text, to, context, env)?, to.clone())),
            _ => Ok(Expr::null(to.clone())),
        },
        Expr::Param { index, .. } => {
            // A literal's text is read by the fields of its type, a parameter's is not.
            let by_fields = params.is_literal(index) && matches!(to, SqlType::Interval(_));
            let read_as = if by_fields { to.clone() } else { unmodified(to) };
            params.decide(index, &read_as)?;
            let param = Expr::Param { index, ty: read_as.clone() };
            Ok(if *to == read_as { param } else { Expr::Cast { arg: Box::new(param), ty: to.clone(), explicit } })
        }
        other => Ok(Expr::Cast { arg: Box::new(other), ty: to.clone(), explicit }),
    }
}

/// Whether values of the type are written as names of objects, which only the catalog knows.
pub(super) fn holds_names(ty: &SqlType) -> bool {
    match ty {
        SqlType::Array(element) => holds_names(element),
        ty => is_named_oid(ty),
    }
}

/// The value of a text for a column of a type: what does not fit the type's modifiers is an error.
///
/// # Errors
///
/// The text is none of the type, or too long.
pub fn input(text: &str, to: &SqlType, env: &Env) -> SqlResult<Value> {
    parse_literal(text, to, CastContext::Assignment, env)
}

/// A literal's value: read without the type's modifiers, then fitted to them as the context says. An interval's fields
/// say what its text means.
fn parse_literal(text: &str, to: &SqlType, context: CastContext, env: &Env) -> SqlResult<Value> {
    let bare = unmodified(to);
    if bare == *to || matches!(to, SqlType::Interval(_)) {
        return value::parse(text, to, env);
    }
    let bare = match bare {
        SqlType::Char(_) => SqlType::Text,
        SqlType::Array(element) if matches!(*element, SqlType::Char(_)) => SqlType::Array(Box::new(SqlType::Text)),
        other => other,
    };
    value::cast(value::parse(text, &bare, env)?, &bare, to, context, env)
}

/// An immutable conversion of a constant is made now, unless it fails: then it fails when it is reached.
pub(super) fn fold_cast(cast: Expr, env: &Env) -> Expr {
    let Expr::Cast { arg, ty, explicit } = &cast else { return cast };
    let Expr::Const(literal) = &**arg else { return cast };
    if cast_volatility(&literal.ty, ty) != Volatility::Immutable {
        return cast;
    }
    let context = if *explicit { CastContext::Explicit } else { CastContext::Implicit };
    match value::cast(literal.value.clone(), &literal.ty, ty, context, env) {
        Ok(value) => Expr::literal(value, ty.clone()),
        Err(_) => cast,
    }
}

/// `42846`: there is no such conversion.
pub(super) fn cannot_cast(from: &SqlType, to: &SqlType) -> SqlError {
    let message = format!("cannot cast type {} to {}", type_name(from), type_name(to));
    SqlError::new(SqlState::CANNOT_COERCE, message)
}
