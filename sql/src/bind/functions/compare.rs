//! Comparison operators.

use std::cmp::Ordering;

use annulus_relation::value::{self, CastContext};
use annulus_relation::{SqlResult, SqlState, SqlType, Value};

use super::super::registry::{Entry, Site, entry};

macro_rules! comparisons {
    ($($types:literal),*) => {
        &[$(
            entry(concat!("=(", $types, ") bool"), equal),
            entry(concat!("<>(", $types, ") bool"), not_equal),
            entry(concat!("<(", $types, ") bool"), less),
            entry(concat!("<=(", $types, ") bool"), less_or_equal),
            entry(concat!(">(", $types, ") bool"), greater),
            entry(concat!(">=(", $types, ") bool"), greater_or_equal),
        )*]
    };
}

pub(super) const TABLE: &[Entry] = comparisons![
    "bool,bool",
    "int2,int2",
    "int4,int4",
    "int8,int8",
    "int2,int4",
    "int4,int2",
    "int2,int8",
    "int8,int2",
    "int4,int8",
    "int8,int4",
    "float4,float4",
    "float8,float8",
    "float4,float8",
    "float8,float4",
    "numeric,numeric",
    "text,text",
    "bpchar,bpchar",
    "name,name",
    "name,text",
    "text,name",
    "char,char",
    "bytea,bytea",
    "date,date",
    "time,time",
    "timestamp,timestamp",
    "timestamptz,timestamptz",
    "date,timestamp",
    "timestamp,date",
    "date,timestamptz",
    "timestamptz,date",
    "timestamp,timestamptz",
    "timestamptz,timestamp",
    "interval,interval",
    "uuid,uuid",
    "inet,inet",
    "jsonb,jsonb",
    "oid,oid",
    "anyenum,anyenum",
    "anyarray,anyarray"
];

fn equal(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(ordering(site, args)?.is_eq()))
}

fn not_equal(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(ordering(site, args)?.is_ne()))
}

fn less(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(ordering(site, args)?.is_lt()))
}

fn less_or_equal(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(ordering(site, args)?.is_le()))
}

fn greater(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(ordering(site, args)?.is_gt()))
}

fn greater_or_equal(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(ordering(site, args)?.is_ge()))
}

/// The order of two values of one type, neither NULL.
pub(in super::super) fn order(ty: &SqlType, left: &Value, right: &Value) -> Ordering {
    match (ty, left, right) {
        (SqlType::Char(_), Value::Text(left), Value::Text(right)) => {
            value::trim_char(left).cmp(value::trim_char(right))
        }
        _ => value::compare(left, right),
    }
}

/// The order of two arguments, whose types may differ where there are operators for it.
fn ordering(site: &Site<'_>, args: &[Value]) -> SqlResult<Ordering> {
    let [left, right] = args else { return Ok(Ordering::Equal) };
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return Ok(left.cmp(&right));
    }
    Ok(match (left, right) {
        (Value::Float4(left), right @ Value::Float8(_)) => value::compare(&Value::Float8(f64::from(*left)), right),
        (left @ Value::Float8(_), Value::Float4(right)) => value::compare(left, &Value::Float8(f64::from(*right))),
        (Value::Date(_), Value::Timestamp(_)) => moved(site, left, right, 0)?,
        (Value::Timestamp(_), Value::Date(_)) => moved(site, right, left, 1)?.reverse(),
        (Value::Date(_) | Value::Timestamp(_), Value::Timestamptz(_)) => moved(site, left, right, 0)?,
        (Value::Timestamptz(_), Value::Date(_) | Value::Timestamp(_)) => moved(site, right, left, 1)?.reverse(),
        (left, right) => order(site.arg(0), left, right),
    })
}

const fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int2(number) => Some(*number as i64),
        Value::Int4(number) => Some(*number as i64),
        Value::Int8(number) => Some(*number),
        _ => None,
    }
}

/// The order of a date or timestamp, the argument at a place, and the other one, of whose type it becomes.
fn moved(site: &Site<'_>, value: &Value, other: &Value, place: usize) -> SqlResult<Ordering> {
    let (from, to) = (site.arg(place), site.arg(1 - place).base());
    match value::cast(value.clone(), from, &to, CastContext::Implicit, site.cx.env) {
        Ok(value) => Ok(value::compare(&value, other)),
        Err(error) if error.state() == SqlState::DATETIME_FIELD_OVERFLOW => Ok(beyond(value, other)),
        Err(error) => Err(error),
    }
}

/// The order where the other type has no such time: only its infinities are further away.
fn beyond(value: &Value, other: &Value) -> Ordering {
    let late = match value {
        Value::Date(days) => *days > 0,
        Value::Timestamp(at) => *at > 0,
        _ => false,
    };
    match (late, other) {
        (true, Value::Timestamp(i64::MAX) | Value::Timestamptz(i64::MAX)) => Ordering::Less,
        (false, Value::Timestamp(i64::MIN) | Value::Timestamptz(i64::MIN)) => Ordering::Greater,
        (true, _) => Ordering::Greater,
        (false, _) => Ordering::Less,
    }
}
