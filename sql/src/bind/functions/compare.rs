//! Comparison operators.

use std::cmp::Ordering;

use annulus_relation::value::{self, CastContext};
use annulus_relation::{SqlResult, SqlType, Value};

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
    "jsonb,jsonb",
    "oid,oid",
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
        (Value::Date(_), Value::Timestamp(_)) => value::compare(&moved(site, left, 0, 1)?, right),
        (Value::Timestamp(_), Value::Date(_)) => value::compare(left, &moved(site, right, 1, 0)?),
        (Value::Date(_) | Value::Timestamp(_), Value::Timestamptz(_)) => {
            value::compare(&moved(site, left, 0, 1)?, right)
        }
        (Value::Timestamptz(_), Value::Date(_) | Value::Timestamp(_)) => {
            value::compare(left, &moved(site, right, 1, 0)?)
        }
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

/// A date or timestamp as the other argument's type.
fn moved(site: &Site<'_>, value: &Value, from: usize, to: usize) -> SqlResult<Value> {
    value::cast(value.clone(), site.arg(from), site.arg(to), CastContext::Implicit, site.cx.env)
}
