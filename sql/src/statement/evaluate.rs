//! Values of expressions that stand alone: literals, parameters, times.

use annulus_base::Timestamp;
use annulus_relation::error::SqlState;
use annulus_relation::value::{CastContext, Env, parse};
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use sqlparser::ast::Expr;

use crate::bind::{Binder, EvalContext, ParamTypes, Scope};
use crate::parse::Literal;
use crate::server::shared::Shared;

/// The literals of a shape as values of its parameters; `None` if they do not fit (the statement says why then).
pub(crate) fn literal_values(literals: &[Literal<'_>], types: &[SqlType], env: &Env) -> Option<Vec<Value>> {
    if literals.len() != types.len() {
        return None;
    }
    let value = |(literal, ty): (&Literal<'_>, &SqlType)| match (literal, ty) {
        (Literal::Int4(number), SqlType::Int4) => Some(Value::Int4(*number)),
        (Literal::Int8(number), SqlType::Int8) => Some(Value::Int8(*number)),
        (Literal::Numeric(text), SqlType::Numeric(None)) => parse(text, ty, env).ok(),
        (Literal::Text(text), SqlType::Text) => Some(Value::text(text.as_ref())),
        (Literal::Text(text), ty) => parse(text, ty, env).ok(),
        _ => None,
    };
    literals.iter().zip(types).map(value).collect()
}

/// Microseconds between the epochs of timestamps in the cluster (Unix) and in PostgreSQL.
const EPOCH: i64 = 946_684_800_000_000;

/// The time that `AS OF SYSTEM TIME` means: a timestamp, or an interval before now.
pub(super) fn past(time: &Expr, text: &str, shared: &Shared, env: &Env) -> SqlResult<Timestamp> {
    let (scope, mut params) = (Scope::new(), ParamTypes::new());
    let mut binder = Binder::new(&scope, &mut params, env).text(text).clause("AS OF SYSTEM TIME");
    let context = EvalContext::new(env, shared);
    let interval = binder
        .bind_as(time, &SqlType::Interval(None), CastContext::Explicit)
        .and_then(|bound| bound.eval(&[], &[], &context));
    if !params.is_empty() {
        return Err(SqlError::unsupported("parameters in AS OF SYSTEM TIME"));
    }
    let micros = match interval {
        Ok(Value::Interval(ago)) if ago.months == 0 => {
            shared.statement_start() + i64::from(ago.days) * 86_400_000_000 + ago.micros
        }
        _ => {
            let mut binder = Binder::new(&scope, &mut params, env).text(text).clause("AS OF SYSTEM TIME");
            let bound = binder.bind_as(time, &SqlType::Timestamptz(None), CastContext::Explicit)?;
            match bound.eval(&[], &[], &context)? {
                Value::Timestamptz(micros) => micros,
                _ => return Err(invalid("it must be a timestamp or a negative interval")),
            }
        }
    };
    if micros > shared.statement_start() {
        return Err(invalid("it must not be in the future"));
    }
    let unix = micros.checked_add(EPOCH).and_then(|unix| u64::try_from(unix).ok());
    unix.map(Timestamp::from_micros).ok_or_else(|| invalid("it is before 1970"))
}

fn invalid(why: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid time in AS OF SYSTEM TIME: {why}"))
}
