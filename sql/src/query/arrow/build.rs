//! Arrays from values.

use annulus_relation::{SqlType, Value};
use datafusion::arrow::array::builder::{
    BinaryViewBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    StringViewBuilder, UInt32Builder,
};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::{data_type, payload};

/// An array that grows value by value.
pub(in crate::query) enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Oid(UInt32Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Text(StringViewBuilder),
    /// `char`: the padding is left away.
    Padded(StringViewBuilder),
    Bytes(BinaryViewBuilder, Vec<u8>),
}

macro_rules! append {
    ($builder:expr, $value:expr, $($pattern:pat => $converted:expr),+) => {
        match $value {
            $($pattern => $builder.append_value($converted),)+
            _ => $builder.append_null(),
        }
    };
}

impl Builder {
    /// An empty array of a type, with room.
    pub fn new(ty: &SqlType, capacity: usize) -> Self {
        match data_type(ty) {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Int16 => Self::Int2(Int16Builder::with_capacity(capacity)),
            DataType::Int32 => Self::Int4(Int32Builder::with_capacity(capacity)),
            DataType::Int64 => Self::Int8(Int64Builder::with_capacity(capacity)),
            DataType::UInt32 => Self::Oid(UInt32Builder::with_capacity(capacity)),
            DataType::Float32 => Self::Float4(Float32Builder::with_capacity(capacity)),
            DataType::Float64 => Self::Float8(Float64Builder::with_capacity(capacity)),
            DataType::BinaryView => Self::Bytes(BinaryViewBuilder::with_capacity(capacity), Vec::new()),
            _ if matches!(ty, SqlType::Char(_)) => Self::Padded(StringViewBuilder::with_capacity(capacity)),
            _ => Self::Text(StringViewBuilder::with_capacity(capacity)),
        }
    }

    /// Adds a value of the array's type.
    pub fn push(&mut self, value: &Value) {
        match self {
            Self::Bool(b) => append!(b, value, Value::Bool(v) => *v),
            Self::Int2(b) => append!(b, value, Value::Int2(v) => *v),
            Self::Int4(b) => append!(b, value, Value::Int4(v) | Value::Date(v) => *v),
            Self::Int8(b) => append!(
                b, value,
                Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) | Value::Enum(v) => *v
            ),
            Self::Oid(b) => append!(b, value, Value::Oid(v) => *v),
            // All NaNs are one value.
            Self::Float4(b) => append!(b, value, Value::Float4(v) => if v.is_nan() { f32::NAN } else { *v }),
            Self::Float8(b) => append!(b, value, Value::Float8(v) => if v.is_nan() { f64::NAN } else { *v }),
            Self::Text(b) => append!(b, value, Value::Text(v) | Value::Json(v) | Value::Jsonb(v) => &**v),
            Self::Padded(b) => append!(b, value, Value::Text(v) => v.trim_end_matches(' ')),
            Self::Bytes(b, scratch) => match value {
                Value::Null => b.append_null(),
                Value::Bytea(v) => b.append_value(v),
                Value::Uuid(v) => b.append_value(v),
                Value::Inet(v) => {
                    scratch.clear();
                    v.put_ordered(scratch);
                    b.append_value(&*scratch);
                }
                other => {
                    scratch.clear();
                    payload::write(other, scratch);
                    b.append_value(&*scratch);
                }
            },
        }
    }

    /// The array.
    pub fn finish(self) -> ArrayRef {
        fn done(array: impl Array + 'static) -> ArrayRef {
            std::sync::Arc::new(array)
        }
        match self {
            Self::Bool(mut b) => done(b.finish()),
            Self::Int2(mut b) => done(b.finish()),
            Self::Int4(mut b) => done(b.finish()),
            Self::Int8(mut b) => done(b.finish()),
            Self::Oid(mut b) => done(b.finish()),
            Self::Float4(mut b) => done(b.finish()),
            Self::Float8(mut b) => done(b.finish()),
            Self::Text(mut b) | Self::Padded(mut b) => done(b.finish()),
            Self::Bytes(mut b, _) => done(b.finish()),
        }
    }
}

/// One value as DataFusion's.
pub(in crate::query) fn scalar_of(ty: &SqlType, value: &Value) -> ScalarValue {
    let bytes = |value: &Value| {
        let mut bytes = Vec::new();
        payload::write(value, &mut bytes);
        bytes
    };
    match value {
        Value::Null => ScalarValue::try_from(&data_type(ty)).unwrap_or(ScalarValue::Null),
        Value::Bool(v) => ScalarValue::Boolean(Some(*v)),
        Value::Int2(v) => ScalarValue::Int16(Some(*v)),
        Value::Int4(v) | Value::Date(v) => ScalarValue::Int32(Some(*v)),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) | Value::Enum(v) => {
            ScalarValue::Int64(Some(*v))
        }
        Value::Oid(v) => ScalarValue::UInt32(Some(*v)),
        Value::Float4(v) => ScalarValue::Float32(Some(if v.is_nan() { f32::NAN } else { *v })),
        Value::Float8(v) => ScalarValue::Float64(Some(if v.is_nan() { f64::NAN } else { *v })),
        Value::Text(v) if matches!(ty, SqlType::Char(_)) => {
            ScalarValue::Utf8View(Some(v.trim_end_matches(' ').to_owned()))
        }
        Value::Text(v) | Value::Json(v) | Value::Jsonb(v) => ScalarValue::Utf8View(Some(v.to_string())),
        Value::Bytea(v) => ScalarValue::BinaryView(Some(v.to_vec())),
        Value::Uuid(v) => ScalarValue::BinaryView(Some(v.to_vec())),
        Value::Inet(v) => {
            let mut bytes = Vec::new();
            v.put_ordered(&mut bytes);
            ScalarValue::BinaryView(Some(bytes))
        }
        Value::Numeric(_) | Value::Interval(_) | Value::Array(_) => ScalarValue::BinaryView(Some(bytes(value))),
    }
}
