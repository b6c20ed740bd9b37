//! SQL's types and values: text and binary forms, order, casts and arithmetic, as PostgreSQL has them.
//!
//! Promises and invariants:
//! - The same input gives the same value, text, SQLSTATE and message as in PostgreSQL 15; what is not supported is
//!   refused with `0A000`.
//! - A value does not carry its type: callers pass the type that stands beside it, and never another one's value.
//! - Nothing here reads a clock: `now` and the time zone come with [`Env`].

mod array;
mod binary;
mod bytes;
mod cast;
mod compare;
pub mod datetime;
mod enums;
mod env;
mod errors;
mod inet;
mod interval_type;
pub mod json;
mod known_types;
mod number;
mod numeric;
mod retyped;
mod shortest;
mod stored;
mod strings;
mod text;
mod type_name;
mod types;

use std::sync::Arc;

use ::bytes::Bytes;

pub use binary::{decode_binary, encode_binary, encode_field};
pub use cast::{CastContext, can_cast, cast};
pub use compare::compare;
pub use datetime::{Interval, TimeZone};
pub use enums::{EnumType, Labels, between, carry};
pub use env::{ByteaOutput, DateOrder, DateStyle, Env, IntervalStyle};
pub use inet::Inet;
pub use interval_type::{IntervalFields, IntervalLimits, MAX_TIME_PRECISION, round_instant, round_micros};
pub use known_types::{KnownTypes, MadeTypes};
pub use numeric::Numeric;
pub use retyped::{is_same_when_stored, keeps_apart};
pub use strings::trim_char;
pub use text::{parse, print};
pub use types::SqlType;

/// A row's values, in the order of its columns.
pub type Row = Vec<Value>;

/// How many elements an assignment behind the end of an array adds at most: they are made in memory, for what is then too
/// large to be stored.
pub const MOST_FILLED: usize = 1_000_000;

/// One value. Its type is known from where it stands: a column, a parameter, an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL, of any type.
    Null,
    /// `boolean`
    Bool(bool),
    /// `smallint`
    Int2(i16),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// `numeric`
    Numeric(Numeric),
    /// `text`, `varchar`, `char` (padded to its length), `name`
    Text(Arc<str>),
    /// `bytea`
    Bytea(Bytes),
    /// `date`: days since 2000-01-01; `i32::MIN` and `i32::MAX` are -infinity and infinity.
    Date(i32),
    /// `time`: microseconds since midnight, up to and including 24:00.
    Time(i64),
    /// `timestamp`: microseconds since 2000-01-01; `i64::MIN` and `i64::MAX` are -infinity and infinity.
    Timestamp(i64),
    /// `timestamptz`: as [`Value::Timestamp`], in UTC.
    Timestamptz(i64),
    /// `interval`
    Interval(Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// `inet`, `cidr`
    Inet(Inet),
    /// `json`: the text as it was given.
    Json(Arc<str>),
    /// `jsonb`: the normal form's text (keys sorted as PostgreSQL does, duplicates dropped).
    Jsonb(Arc<str>),
    /// A one-dimensional array; the lower bound is 1. The element type is the type's.
    Array(Arc<[Value]>),
    /// `oid` and its aliases (`regclass`, `regtype` ...).
    Oid(u32),
    /// A label of an enumeration: its number, which sorts as the label does.
    Enum(i64),
}

impl Value {
    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }
}
