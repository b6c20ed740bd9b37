//! Values as Arrow arrays, and back.
//!
//! DataFusion moves, groups, joins and sorts arrays; it never interprets SQL's types. So an array need not be what
//! Arrow would call a date or a decimal; it must keep the value and, where possible, its order:
//!
//! | types | array | compares as the value does |
//! | --- | --- | --- |
//! | `boolean` | `Boolean` | yes |
//! | `smallint` | `Int16` | yes |
//! | `integer`, `date` | `Int32` | yes |
//! | `bigint`, `time`, `timestamp`, `timestamptz`, enumerations | `Int64` | yes |
//! | `oid` and its aliases | `UInt32` | yes |
//! | `real`, `double precision` | `Float32`, `Float64` | after adding 0, which makes -0 to 0 |
//! | `text`, `varchar`, `char`, `name` | `Utf8View`; `char` without its padding | yes |
//! | `json`, `jsonb` | `Utf8View` | `json` never, `jsonb` by its key |
//! | `bytea`, `uuid`, `inet`, `cidr` | `BinaryView` | yes |
//! | `numeric`, `interval`, arrays | `BinaryView` ([`payload`]) | by its key |
//!
//! A *key* ([`key`]) is a binary string that compares as the value does; equal values that look different (1.0 and
//! 1.00) have one key.

mod build;
mod json;
pub(super) mod key;
pub(super) mod payload;
mod read;

use annulus_relation::{SqlError, SqlState, SqlType};
use datafusion::arrow::datatypes::DataType;

pub(super) use build::{Builder, scalar_of};
pub(super) use read::{Reader, read_rows, value_of};

/// The type of the arrays that hold values of a type.
pub(super) fn data_type(ty: &SqlType) -> DataType {
    match ty {
        SqlType::Bool => DataType::Boolean,
        SqlType::Int2 => DataType::Int16,
        SqlType::Int4 | SqlType::Date => DataType::Int32,
        SqlType::Int8 | SqlType::Time(_) | SqlType::Timestamp(_) | SqlType::Timestamptz(_) | SqlType::Enum(_) => {
            DataType::Int64
        }
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace => {
            DataType::UInt32
        }
        SqlType::Float4 => DataType::Float32,
        SqlType::Float8 => DataType::Float64,
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Char(_)
        | SqlType::Name
        | SqlType::InternalChar
        | SqlType::Json
        | SqlType::Jsonb
        | SqlType::Jsonpath
        | SqlType::Unknown
        | SqlType::Void
        | SqlType::Record => DataType::Utf8View,
        SqlType::Bytea
        | SqlType::Uuid
        | SqlType::Inet
        | SqlType::Cidr
        | SqlType::Numeric(_)
        | SqlType::Interval(_)
        | SqlType::Array(_)
        | SqlType::Int2Vector
        | SqlType::OidVector => DataType::BinaryView,
    }
}

/// How values of a type are compared in arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The arrays compare as the values do.
    Native,
    /// The arrays do once 0 was added.
    Float,
    /// Their keys do.
    Key,
}

/// How values of a type are compared in arrays; an error for types that have no order.
pub(super) fn comparison(ty: &SqlType) -> Result<Comparison, SqlError> {
    match ty {
        SqlType::Float4 | SqlType::Float8 => Ok(Comparison::Float),
        SqlType::Numeric(_) | SqlType::Interval(_) | SqlType::Jsonb => Ok(Comparison::Key),
        SqlType::Int2Vector | SqlType::OidVector => Ok(Comparison::Key),
        SqlType::Array(element) => comparison(element).map(|_| Comparison::Key),
        SqlType::Json | SqlType::Jsonpath => {
            let message = format!("could not identify an equality operator for type {}", ty.name());
            Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message))
        }
        SqlType::Record => Err(SqlError::unsupported("comparing rows as values")),
        _ => Ok(Comparison::Native),
    }
}
