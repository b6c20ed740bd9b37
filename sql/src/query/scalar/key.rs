//! What stands for a value where it is compared, grouped, joined or sorted.

use annulus_relation::{SqlResult, SqlType, Value};
use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::query::arrow::{Comparison, Reader, comparison, data_type, key as encode, scalar_of, value_of};
use crate::query::error::to_datafusion;

/// An expression that compares as the values of the expression given do, which are of the type given.
pub(in crate::query) fn key(expr: Expr, ty: &SqlType) -> SqlResult<Expr> {
    Ok(match (comparison(ty)?, expr) {
        (Comparison::Native, expr) => expr,
        (_, Expr::Literal(value, _)) => lit(key_of(ty, &value_of(ty, &value)?)),
        (Comparison::Float, expr) if *ty == SqlType::Float4 => expr + lit(0.0_f32),
        (Comparison::Float, expr) => expr + lit(0.0_f64),
        (Comparison::Key, expr) => {
            let signature = Signature::exact(vec![data_type(ty)], Volatility::Immutable);
            ScalarUDF::new_from_impl(KeyFunction { ty: ty.clone(), signature }).call(vec![expr])
        }
    })
}

/// The key of one value.
pub(in crate::query) fn key_of(ty: &SqlType, value: &Value) -> ScalarValue {
    match (comparison(ty), value) {
        (Ok(Comparison::Key), Value::Null) => ScalarValue::BinaryView(None),
        (Ok(Comparison::Key), value) => ScalarValue::BinaryView(Some(encode::of(value))),
        (_, Value::Float4(v)) => ScalarValue::Float32(Some(if v.is_nan() { f32::NAN } else { v + 0.0 })),
        (_, Value::Float8(v)) => ScalarValue::Float64(Some(if v.is_nan() { f64::NAN } else { v + 0.0 })),
        (_, value) => scalar_of(ty, value),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyFunction {
    ty: SqlType,
    signature: Signature,
}

impl ScalarUDFImpl for KeyFunction {
    fn name(&self) -> &'static str {
        "key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::BinaryView)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first() {
            Some(ColumnarValue::Scalar(value)) => {
                let value = value_of(&self.ty, value).map_err(to_datafusion)?;
                Ok(ColumnarValue::Scalar(key_of(&self.ty, &value)))
            }
            Some(ColumnarValue::Array(array)) => {
                let reader = Reader::new(&self.ty, array).map_err(to_datafusion)?;
                let keys = encode::of_array(array.len(), |row| reader.get(row)).map_err(to_datafusion)?;
                Ok(ColumnarValue::Array(std::sync::Arc::new(keys)))
            }
            None => datafusion::common::internal_err!("a key is that of a value"),
        }
    }
}
