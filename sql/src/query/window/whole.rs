//! Functions over a whole partition whose number is no constant: `lag`, `lead` and `ntile`.

use std::sync::Arc;

use annulus_relation::{SqlError, SqlState};
use datafusion::arrow::array::{Array, ArrayRef, Int32Array, Int64Array, new_null_array};
use datafusion::arrow::compute::interleave;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::common::cast::as_int64_array;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

use crate::query::error::to_datafusion;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::query) enum Way {
    /// The first argument so many rows before, where there is none the third one.
    Lag,
    /// So many rows behind.
    Lead,
    /// Into which of so many parts of the partition a row falls.
    Ntile,
}

/// One of the functions, with a result of a type. What counts is a `bigint`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::query) struct Whole {
    way: Way,
    ty: DataType,
    signature: Signature,
}

impl Whole {
    /// It as DataFusion's.
    #[expect(clippy::new_ret_no_self, reason = "it is always used as a function of DataFusion's")]
    pub fn new(way: Way, ty: DataType) -> Arc<WindowUDF> {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(WindowUDF::new_from_impl(Self { way, ty, signature }))
    }
}

impl WindowUDFImpl for Whole {
    fn name(&self) -> &str {
        match self.way {
            Way::Lag => "lag",
            Way::Lead => "lead",
            Way::Ntile => "ntile",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), self.ty.clone(), true)))
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Partition { way: self.way }))
    }
}

#[derive(Debug)]
struct Partition {
    way: Way,
}

impl PartitionEvaluator for Partition {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        match self.way {
            Way::Lag | Way::Lead => shifted(values, rows, self.way == Way::Lag),
            Way::Ntile => parts(as_int64_array(&values[0])?, rows),
        }
    }
}

/// The values of other rows.
fn shifted(values: &[ArrayRef], rows: usize, back: bool) -> Result<ArrayRef> {
    let offsets = as_int64_array(&values[1])?;
    let nothing = new_null_array(values[0].data_type(), 1);
    let other = |row: usize| {
        let offset = if back { offsets.value(row).checked_neg()? } else { offsets.value(row) };
        let found = i64::try_from(row).ok()?.checked_add(offset)?;
        usize::try_from(found).ok().filter(|found| *found < rows)
    };
    let place = |row: usize| match other(row) {
        _ if offsets.is_null(row) => (0, 0),
        Some(found) => (1, found),
        None if values.len() > 2 => (2, row),
        None => (0, 0),
    };
    let from: Vec<&dyn Array> = [&nothing, &values[0]].into_iter().chain(values.get(2)).map(AsRef::as_ref).collect();
    Ok(interleave(&from, &(0..rows).map(place).collect::<Vec<_>>())?)
}

/// The parts of a partition, the larger ones first. The first row with a number says how many there are.
fn parts(counts: &Int64Array, rows: usize) -> Result<ArrayRef> {
    let first = (0..rows).find(|row| counts.is_valid(*row)).unwrap_or(rows);
    let mut numbers: Vec<Option<i32>> = vec![None; first];
    if first < rows {
        let count = usize::try_from(counts.value(first)).unwrap_or_default();
        if count == 0 {
            let message = "argument of ntile must be greater than zero";
            return Err(to_datafusion(SqlError::new(SqlState("22014"), message)));
        }
        let sizes = (0..count).map(|part| rows / count + usize::from(part < rows % count));
        let numbered = (1..).zip(sizes).flat_map(|(number, size)| std::iter::repeat_n(Some(number), size));
        numbers.extend(numbered.take(rows - first));
    }
    Ok(Arc::new(Int32Array::from(numbers)))
}
