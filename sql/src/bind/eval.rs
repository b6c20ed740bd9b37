//! Evaluation of an expression for one row.

use std::cmp::Ordering;

use annulus_relation::value::{self, CastContext};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::coerce::{holds_names, is_named_oid, is_oid, is_relabel};
use super::context::EvalContext;
use super::expr::{Call, Expr, Test};
use super::functions::compare;
use super::objects::{name_of, object, print_value};
use super::registry::{Function, Site};

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
struct Frame<'a> {
    row: &'a [Value],
    params: &'a [Value],
    cx: &'a EvalContext<'a>,
    /// The operand of the innermost `CASE`.
    operand: Option<&'a Value>,
}

impl Expr {
    /// The result for a row and parameters.
    pub fn eval(&self, row: &[Value], params: &[Value], cx: &EvalContext<'_>) -> SqlResult<Value> {
        self.value(Frame { row, params, cx, operand: None })
    }

    /// Whether a condition holds: NULL is no.
    pub fn is_true(&self, row: &[Value], params: &[Value], cx: &EvalContext<'_>) -> SqlResult<bool> {
        Ok(matches!(self.eval(row, params, cx)?, Value::Bool(true)))
    }

    fn value(&self, frame: Frame<'_>) -> SqlResult<Value> {
        match self {
            Self::Column { index, .. } => present(frame.row.get(*index), "column", *index),
            Self::Param { index, .. } => present(frame.params.get(*index), "parameter", *index),
            Self::CaseOperand { .. } => present(frame.operand, "operand", 0),
            Self::Const(literal) => Ok(literal.value.clone()),
            Self::Call(call) => call.value(frame),
            Self::And(parts) => kleene(parts, false, frame),
            Self::Or(parts) => kleene(parts, true, frame),
            Self::Not(arg) => Ok(match arg.value(frame)? {
                Value::Bool(truth) => Value::Bool(!truth),
                _ => Value::Null,
            }),
            Self::Is { arg, test, negated } => Ok(Value::Bool(test.holds(&arg.value(frame)?) != *negated)),
            Self::Distinct { equal, negated } => Ok(Value::Bool(distinct(equal, frame)? != *negated)),
            Self::Quantified { operator, all, left, array } => quantified(operator, *all, left, array, frame),
            Self::Case { operand, arms, otherwise, .. } => case(operand.as_deref(), arms, otherwise, frame),
            Self::Coalesce { args, .. } => coalesce(args, frame),
            Self::Extreme { greatest, args, ty } => extreme(*greatest, args, ty, frame),
            Self::NullIf { equal } => null_if(equal, frame),
            Self::Cast { arg, ty, explicit } => convert(arg.value(frame)?, arg.ty(), ty, *explicit, frame.cx),
            Self::Array { elements, .. } => {
                let values = elements.iter().map(|element| element.value(frame)).collect::<SqlResult<Vec<_>>>()?;
                Ok(Value::Array(values.into()))
            }
            Self::Element { array, index, .. } => Ok(element(&array.value(frame)?, &index.value(frame)?)),
            Self::Slice { array, low, high } => slice(array, low.as_deref(), high.as_deref(), frame),
        }
    }
}

impl Call {
    fn value(&self, frame: Frame<'_>) -> SqlResult<Value> {
        match self.args.as_slice() {
            [] => self.apply(&[], frame.cx),
            [one] => self.apply(&[one.value(frame)?], frame.cx),
            [one, two] => self.apply(&[one.value(frame)?, two.value(frame)?], frame.cx),
            more => {
                let values = more.iter().map(|arg| arg.value(frame)).collect::<SqlResult<Vec<_>>>()?;
                self.apply(&values, frame.cx)
            }
        }
    }

    /// The result for arguments.
    pub(super) fn apply(&self, args: &[Value], cx: &EvalContext<'_>) -> SqlResult<Value> {
        if self.function.strict && args.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        (self.function.body)(&Site { types: Types::Call(self), ty: &self.ty, cx }, args)
    }
}

/// Where a function finds the types of its arguments.
#[derive(Clone, Copy)]
pub(super) enum Types<'a> {
    /// They are the arguments'.
    Call(&'a Call),
    /// These two.
    Pair(&'a SqlType, &'a SqlType),
}

impl Test {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Null | Self::Unknown => value.is_null(),
            Self::True => matches!(value, Value::Bool(true)),
            Self::False => matches!(value, Value::Bool(false)),
        }
    }
}

fn present(value: Option<&Value>, what: &str, index: usize) -> SqlResult<Value> {
    value.cloned().ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, format!("no {what} {index} here")))
}

/// `AND` (decided by false) or `OR` (decided by true), of three truth values.
fn kleene(parts: &[Expr], decisive: bool, frame: Frame<'_>) -> SqlResult<Value> {
    let mut result = Value::Bool(!decisive);
    for part in parts {
        match part.value(frame)? {
            Value::Bool(truth) if truth == decisive => return Ok(Value::Bool(decisive)),
            Value::Bool(_) => {}
            _ => result = Value::Null,
        }
    }
    Ok(result)
}

fn pair(call: &Call, frame: Frame<'_>) -> SqlResult<[Value; 2]> {
    Ok([call.args[0].value(frame)?, call.args[1].value(frame)?])
}

fn distinct(equal: &Call, frame: Frame<'_>) -> SqlResult<bool> {
    let values = pair(equal, frame)?;
    match (values[0].is_null(), values[1].is_null()) {
        (false, false) => Ok(equal.apply(&values, frame.cx)? != Value::Bool(true)),
        (left, right) => Ok(left != right),
    }
}

fn null_if(equal: &Call, frame: Frame<'_>) -> SqlResult<Value> {
    let values = pair(equal, frame)?;
    if equal.apply(&values, frame.cx)? == Value::Bool(true) {
        return Ok(Value::Null);
    }
    let [first, _] = values;
    Ok(first)
}

fn quantified(operator: &'static Function, all: bool, left: &Expr, array: &Expr, frame: Frame<'_>) -> SqlResult<Value> {
    let value = left.value(frame)?;
    let Value::Array(elements) = array.value(frame)? else { return Ok(Value::Null) };
    let SqlType::Array(element) = array.ty() else { return Ok(Value::Null) };
    let types = Types::Pair(left.ty(), element);
    let site = Site { types, ty: &SqlType::Bool, cx: frame.cx };
    let mut result = Value::Bool(all);
    for element in elements.iter() {
        if operator.strict && (value.is_null() || element.is_null()) {
            result = Value::Null;
            continue;
        }
        match (operator.body)(&site, &[value.clone(), element.clone()])? {
            Value::Bool(truth) if truth != all => return Ok(Value::Bool(truth)),
            Value::Bool(_) => {}
            _ => result = Value::Null,
        }
    }
    Ok(result)
}

fn case(operand: Option<&Expr>, arms: &[(Expr, Expr)], otherwise: &Expr, frame: Frame<'_>) -> SqlResult<Value> {
    let value = operand.map(|operand| operand.value(frame)).transpose()?;
    let inner = Frame { operand: value.as_ref(), ..frame };
    for (condition, result) in arms {
        let frame = if operand.is_some() { inner } else { frame };
        if condition.value(frame)? == Value::Bool(true) {
            return result.value(frame);
        }
    }
    otherwise.value(frame)
}

fn coalesce(args: &[Expr], frame: Frame<'_>) -> SqlResult<Value> {
    for arg in args {
        let value = arg.value(frame)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

fn extreme(greatest: bool, args: &[Expr], ty: &SqlType, frame: Frame<'_>) -> SqlResult<Value> {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    let mut best = Value::Null;
    for arg in args {
        let value = arg.value(frame)?;
        if !value.is_null() && (best.is_null() || compare::order(ty, &value, &best) == wanted) {
            best = value;
        }
    }
    Ok(best)
}

fn element(array: &Value, index: &Value) -> Value {
    match (array, index) {
        (Value::Array(elements), Value::Int4(index)) => {
            let at = usize::try_from(*index).ok().and_then(|index| index.checked_sub(1));
            at.and_then(|at| elements.get(at)).cloned().unwrap_or(Value::Null)
        }
        _ => Value::Null,
    }
}

fn slice(array: &Expr, low: Option<&Expr>, high: Option<&Expr>, frame: Frame<'_>) -> SqlResult<Value> {
    let Value::Array(elements) = array.value(frame)? else { return Ok(Value::Null) };
    let bound = |bound: Option<&Expr>, open: i32| match bound.map(|bound| bound.value(frame)).transpose()? {
        None => Ok(Some(open)),
        Some(Value::Int4(index)) => Ok(Some(index)),
        Some(_) => Ok(None),
    };
    let (Some(low), Some(high)) = (bound(low, 1)?, bound(high, i32::MAX)?) else { return Ok(Value::Null) };
    let from = usize::try_from(low.max(1) - 1).unwrap_or(0).min(elements.len());
    let to = usize::try_from(high.max(0)).unwrap_or(0).min(elements.len()).max(from);
    Ok(Value::Array(elements[from..to].into()))
}

/// The value converted to a type, as `CAST` does if `explicit`, else as an assignment. Names of objects are asked from
/// the session.
pub fn cast(value: Value, from: &SqlType, to: &SqlType, explicit: bool, cx: &EvalContext<'_>) -> SqlResult<Value> {
    convert(value, from, to, explicit, cx)
}

fn convert(value: Value, from: &SqlType, to: &SqlType, explicit: bool, cx: &EvalContext<'_>) -> SqlResult<Value> {
    match (value, from, to) {
        (Value::Null, ..) => Ok(Value::Null),
        (value, from, to) if is_relabel(from, to) => Ok(value),
        (Value::Array(elements), SqlType::Array(from), SqlType::Array(to))
            if is_named_oid(from) || is_named_oid(to) =>
        {
            let values = elements.iter().map(|value| convert(value.clone(), from, to, explicit, cx));
            Ok(Value::Array(values.collect::<SqlResult<Vec<_>>>()?.into()))
        }
        (Value::Text(name), _, to) if is_named_oid(to) => object(&name, to, cx),
        (Value::Oid(oid), from, to) if is_named_oid(from) && !is_oid(to) && !is_integer(to) => {
            let name = Value::text(name_of(oid, from, cx));
            value::cast(name, &SqlType::Text, to, CastContext::Explicit, cx.env)
        }
        (value @ Value::Array(_), from, to) if holds_names(from) => {
            let text = Value::text(print_value(&value, from, cx));
            value::cast(text, &SqlType::Text, to, CastContext::Explicit, cx.env)
        }
        (value, from, to) => {
            let context = if explicit { CastContext::Explicit } else { CastContext::Assignment };
            value::cast(value, from, to, context, cx.env)
        }
    }
}

const fn is_integer(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
}
