//! Values from arrays.

use std::sync::Arc;

use annulus_relation::value::Inet;
use annulus_relation::{Row, SqlError, SqlResult, SqlState, SqlType, Value};
use bytes::Bytes;
use datafusion::arrow::array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt32Type};
use datafusion::arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, PrimitiveArray, RecordBatch, StringViewArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::{data_type, payload};

/// Reads one array's values.
pub(in crate::query) struct Reader<'a> {
    ty: &'a SqlType,
    array: Typed<'a>,
}

enum Typed<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a PrimitiveArray<Int16Type>),
    Int4(&'a PrimitiveArray<Int32Type>),
    Int8(&'a PrimitiveArray<Int64Type>),
    Oid(&'a PrimitiveArray<UInt32Type>),
    Float4(&'a PrimitiveArray<Float32Type>),
    Float8(&'a PrimitiveArray<Float64Type>),
    Text(&'a StringViewArray),
    Bytes(&'a BinaryViewArray),
    Nulls,
}

fn mismatch(ty: &SqlType, array: &dyn Array) -> SqlError {
    let message = format!("an array of {} cannot hold values of type {}", array.data_type(), ty.name());
    SqlError::new(SqlState::INTERNAL_ERROR, message)
}

impl<'a> Reader<'a> {
    /// Reads an array as values of a type.
    pub fn new(ty: &'a SqlType, array: &'a dyn Array) -> SqlResult<Self> {
        let any = array.as_any();
        let typed = match ty {
            _ if array.data_type().is_null() => Some(Typed::Nulls),
            SqlType::Bool => any.downcast_ref().map(Typed::Bool),
            SqlType::Int2 => any.downcast_ref().map(Typed::Int2),
            SqlType::Int4 | SqlType::Date => any.downcast_ref().map(Typed::Int4),
            SqlType::Int8 | SqlType::Time(_) | SqlType::Timestamp(_) | SqlType::Timestamptz(_) | SqlType::Enum(_) => {
                any.downcast_ref().map(Typed::Int8)
            }
            SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace => {
                any.downcast_ref().map(Typed::Oid)
            }
            SqlType::Float4 => any.downcast_ref().map(Typed::Float4),
            SqlType::Float8 => any.downcast_ref().map(Typed::Float8),
            ty if data_type(ty) == DataType::BinaryView => any.downcast_ref().map(Typed::Bytes),
            _ => any.downcast_ref().map(Typed::Text),
        };
        typed.map(|array| Self { ty, array }).ok_or_else(|| mismatch(ty, array))
    }

    /// The value at a place.
    pub fn get(&self, row: usize) -> SqlResult<Value> {
        let ty = self.ty;
        Ok(match &self.array {
            Typed::Nulls => Value::Null,
            Typed::Bool(array) if array.is_valid(row) => Value::Bool(array.value(row)),
            Typed::Int2(array) if array.is_valid(row) => Value::Int2(array.value(row)),
            Typed::Int4(array) if array.is_valid(row) => match ty {
                SqlType::Date => Value::Date(array.value(row)),
                _ => Value::Int4(array.value(row)),
            },
            Typed::Int8(array) if array.is_valid(row) => match ty {
                SqlType::Time(_) => Value::Time(array.value(row)),
                SqlType::Timestamp(_) => Value::Timestamp(array.value(row)),
                SqlType::Timestamptz(_) => Value::Timestamptz(array.value(row)),
                SqlType::Enum(_) => Value::Enum(array.value(row)),
                _ => Value::Int8(array.value(row)),
            },
            Typed::Oid(array) if array.is_valid(row) => Value::Oid(array.value(row)),
            Typed::Float4(array) if array.is_valid(row) => Value::Float4(array.value(row)),
            Typed::Float8(array) if array.is_valid(row) => Value::Float8(array.value(row)),
            Typed::Text(array) if array.is_valid(row) => text(ty, array.value(row)),
            Typed::Bytes(array) if array.is_valid(row) => bytes(ty, array.value(row))?,
            _ => Value::Null,
        })
    }
}

fn text(ty: &SqlType, text: &str) -> Value {
    match ty {
        SqlType::Json | SqlType::Record => Value::Json(Arc::from(text)),
        SqlType::Jsonb => Value::Jsonb(Arc::from(text)),
        SqlType::Char(length) => {
            let missing = (*length as usize).saturating_sub(text.chars().count());
            Value::Text(format!("{text}{}", " ".repeat(missing)).into())
        }
        _ => Value::Text(Arc::from(text)),
    }
}

fn bytes(ty: &SqlType, bytes: &[u8]) -> SqlResult<Value> {
    let corrupt = || SqlError::new(SqlState::INTERNAL_ERROR, format!("a value of type {} is damaged", ty.name()));
    match ty {
        SqlType::Bytea => Ok(Value::Bytea(Bytes::copy_from_slice(bytes))),
        SqlType::Uuid => bytes.try_into().map(Value::Uuid).map_err(|_| corrupt()),
        SqlType::Inet | SqlType::Cidr => match Inet::take_ordered(bytes) {
            Some((inet, [])) => Ok(Value::Inet(inet)),
            _ => Err(corrupt()),
        },
        _ => payload::read(bytes).ok_or_else(corrupt),
    }
}

/// The rows of a batch.
pub(in crate::query) fn read_rows(batch: &RecordBatch, types: &[SqlType]) -> SqlResult<Vec<Row>> {
    let mut rows: Vec<Row> = (0..batch.num_rows()).map(|_| Vec::with_capacity(types.len())).collect();
    for (ty, array) in types.iter().zip(batch.columns()) {
        let reader = Reader::new(ty, array)?;
        for (index, row) in rows.iter_mut().enumerate() {
            row.push(reader.get(index)?);
        }
    }
    Ok(rows)
}

/// The value of one of DataFusion's.
pub(in crate::query) fn value_of(ty: &SqlType, scalar: &ScalarValue) -> SqlResult<Value> {
    let array: ArrayRef = scalar.to_array().map_err(|error| {
        SqlError::new(SqlState::INTERNAL_ERROR, format!("a value of type {} cannot be read: {error}", ty.name()))
    })?;
    Reader::new(ty, &array)?.get(0)
}
