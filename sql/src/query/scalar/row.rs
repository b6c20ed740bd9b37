//! An expression as a function of DataFusion's, evaluated row by row.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annulus_relation::{SqlType, Value};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Context;
use crate::bind;
use crate::query::arrow::{Builder, Reader, data_type, scalar_of};
use crate::query::error::to_datafusion;
use crate::query::guard::Made;

/// An expression over some columns. Two are equal if they compute the same; volatile ones never are.
pub(in crate::query) struct RowFunction {
    /// Over the function's arguments.
    expr: bind::Expr,
    types: Vec<SqlType>,
    signature: Signature,
    context: Arc<Context>,
    /// How plans show it.
    text: String,
    /// Tells volatile ones apart.
    id: u64,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl RowFunction {
    /// The call of an expression whose columns are the arguments, in order.
    pub fn call(expr: bind::Expr, types: Vec<SqlType>, args: Vec<Expr>, context: &Arc<Context>, text: String) -> Expr {
        let volatility = match expr.volatility() {
            bind::Volatility::Immutable => Volatility::Immutable,
            bind::Volatility::Stable => Volatility::Stable,
            bind::Volatility::Volatile => Volatility::Volatile,
        };
        let id = match volatility {
            Volatility::Volatile => NEXT.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        let signature = match types.len() {
            0 => Signature::nullary(volatility),
            _ => Signature::exact(types.iter().map(data_type).collect(), volatility),
        };
        let function = Self { expr, types, signature, context: Arc::clone(context), text, id };
        ScalarUDF::new_from_impl(function).call(args)
    }

    /// What it computes from its arguments, unless it may be something else each time or needs parameters.
    pub fn fixed(&self) -> Option<&bind::Expr> {
        let immutable = self.signature.volatility == Volatility::Immutable;
        let mut closed = true;
        self.expr.walk(&mut |part| closed &= !matches!(part, bind::Expr::Param { .. }));
        (immutable && closed).then_some(&self.expr)
    }

    fn rows(&self, args: &ScalarFunctionArgs, count: usize) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|arg| arg.to_array(count)).collect::<Result<Vec<_>>>()?;
        let readers = self.types.iter().zip(&arrays).map(|(ty, array)| Reader::new(ty, array));
        let readers = readers.collect::<Result<Vec<_>, _>>().map_err(to_datafusion)?;
        let mut results = Builder::new(self.expr.ty(), count);
        let cx = self.context.eval();
        let mut row: Vec<Value> = Vec::with_capacity(readers.len());
        let (guard, mut made) = (&self.context.guard, Made::default());
        for index in 0..count {
            guard.check().map_err(to_datafusion)?;
            row.clear();
            for reader in &readers {
                row.push(reader.get(index).map_err(to_datafusion)?);
            }
            let value = self.expr.eval(&row, self.context.params(), &cx).map_err(to_datafusion)?;
            made.add(&value, &self.text, guard).map_err(to_datafusion)?;
            results.push(&value);
        }
        Ok(ColumnarValue::Array(results.finish()))
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.types == other.types && self.expr == other.expr
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.expr.hash(state);
    }
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        &self.text
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.expr.ty()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        if !constant || self.signature.volatility == Volatility::Volatile {
            return self.rows(&args, args.number_rows);
        }
        let ColumnarValue::Array(one) = self.rows(&args, 1)? else {
            return Ok(ColumnarValue::Scalar(scalar_of(self.expr.ty(), &Value::Null)));
        };
        Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&one, 0)?))
    }
}
