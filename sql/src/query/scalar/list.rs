//! Functions that give rows, in plans: a list of rows for each row, and what is taken out of those rows again.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use annulus_relation::{SqlError, SqlState, SqlType, Value};
use datafusion::arrow::array::builder::{BinaryViewBuilder, ListBuilder};
use datafusion::arrow::array::{Array, BinaryViewArray};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Context;
use crate::query::arrow::{Builder, Reader, data_type, payload};
use crate::query::error::to_datafusion;
use crate::query::rows::{RowsFunction, numbered};

/// The list of rows that a function gives; each row is one binary string.
pub(in crate::query) fn list_of(
    function: RowsFunction,
    args: Vec<Expr>,
    ordinality: bool,
    context: &Arc<Context>,
) -> Expr {
    let signature = match function.params.len() {
        0 => Signature::nullary(Volatility::Stable),
        _ => Signature::exact(function.params.iter().map(data_type).collect(), Volatility::Stable),
    };
    let list = ListFunction { function, ordinality, signature, context: Arc::clone(context) };
    ScalarUDF::new_from_impl(list).call(args)
}

/// A field of such a row.
pub(in crate::query) fn fields_of(row: Expr, place: usize, ty: &SqlType) -> Expr {
    let signature = Signature::exact(vec![DataType::BinaryView], Volatility::Immutable);
    ScalarUDF::new_from_impl(FieldFunction { place, ty: ty.clone(), signature }).call(vec![row])
}

struct ListFunction {
    function: RowsFunction,
    ordinality: bool,
    signature: Signature,
    context: Arc<Context>,
}

impl PartialEq for ListFunction {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function && self.ordinality == other.ordinality
    }
}

impl Eq for ListFunction {}

impl Hash for ListFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl fmt::Debug for ListFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.function)
    }
}

/// How many bytes the rows for one row may have: they are in memory at once.
const MAX_BYTES: usize = 256 << 20;

impl ScalarUDFImpl for ListFunction {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::BinaryView, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let readers = self.function.params.iter().zip(&arrays).map(|(ty, array)| Reader::new(ty, array));
        let readers = readers.collect::<Result<Vec<_>, _>>().map_err(to_datafusion)?;
        let mut lists = ListBuilder::new(BinaryViewBuilder::new());
        let mut bytes = Vec::new();
        let mut total = 0;
        for index in 0..args.number_rows {
            let values = readers.iter().map(|reader| reader.get(index)).collect::<Result<Vec<_>, _>>();
            let rows =
                values.and_then(|values| self.function.rows(&values, &self.context.env)).map_err(to_datafusion)?;
            let rows = if self.ordinality { numbered(rows) } else { rows };
            let mut any = false;
            for row in rows {
                any = true;
                bytes.clear();
                payload::write_all(&row.map_err(to_datafusion)?, &mut bytes);
                total += bytes.len();
                if total > MAX_BYTES {
                    let message = "a function gives too many rows for the rows of a query";
                    return Err(to_datafusion(SqlError::new(SqlState::OUT_OF_MEMORY, message)));
                }
                lists.values().append_value(&bytes);
            }
            // Where rows without any are preserved, those are that have no list, not those with an empty one.
            lists.append(any);
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldFunction {
    place: usize,
    ty: SqlType,
    signature: Signature,
}

impl ScalarUDFImpl for FieldFunction {
    fn name(&self) -> &'static str {
        "field"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(&self.ty))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = match args.args.first() {
            Some(arg) => arg.to_array(args.number_rows)?,
            None => return internal_err!("a field is that of a row"),
        };
        let Some(rows) = array.as_any().downcast_ref::<BinaryViewArray>() else {
            return internal_err!("a row is a binary string");
        };
        let mut builder = Builder::new(&self.ty, rows.len());
        for index in 0..rows.len() {
            let row = rows.is_valid(index).then(|| payload::read_all(rows.value(index))).flatten();
            builder.push(row.as_ref().and_then(|row| row.get(self.place)).unwrap_or(&Value::Null));
        }
        Ok(ColumnarValue::Array(builder.finish()))
    }
}
