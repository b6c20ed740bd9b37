//! Functions over the rows of a frame of which some are excluded, and `nth_value` with a number that is no constant.

use std::ops::Range;
use std::sync::Arc;

use annulus_relation::{SqlError, SqlState};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{filter, partition};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::cast::{as_boolean_array, as_int64_array};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use crate::query::error::to_datafusion;

/// How many rows aggregates of one partition look at: each frame is aggregated from its beginning, and nothing ends that
/// before the partition is done.
const MAX_LOOKED_AT: usize = 100_000_000;

/// Which rows of a frame are excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::query) enum Exclusion {
    /// `EXCLUDE NO OTHERS`
    #[default]
    NoOthers,
    /// `EXCLUDE CURRENT ROW`
    CurrentRow,
    /// `EXCLUDE GROUP`: the row and its peers.
    Group,
    /// `EXCLUDE TIES`: its peers.
    Ties,
}

/// What is made of the rows that are left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::query) enum Taken {
    /// The first one's value.
    First,
    /// The last one's value.
    Last,
    /// The value of the one whose number, from 1, is the second argument.
    Nth,
    /// An aggregate's result. The last argument may be a condition for the rows.
    Aggregate(Arc<AggregateUDF>),
}

/// A function of so many arguments, its condition not counted, with a result of a type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::query) struct Framed {
    taken: Taken,
    args: usize,
    filtered: bool,
    exclusion: Exclusion,
    ty: DataType,
    signature: Signature,
}

impl Framed {
    /// It as DataFusion's.
    #[expect(clippy::new_ret_no_self, reason = "it is always used as a function of DataFusion's")]
    pub fn new(taken: Taken, args: usize, filtered: bool, exclusion: Exclusion, ty: DataType) -> Arc<WindowUDF> {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(WindowUDF::new_from_impl(Self { taken, args, filtered, exclusion, ty, signature }))
    }
}

impl WindowUDFImpl for Framed {
    fn name(&self) -> &str {
        match &self.taken {
            Taken::First => "first_value",
            Taken::Last => "last_value",
            Taken::Nth => "nth_value",
            Taken::Aggregate(function) => function.name(),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), self.ty.clone(), true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        let fields = args.input_fields()[..self.args].to_vec();
        Ok(Box::new(Partition { function: self.clone(), fields, row: 0, looked_at: 0, peers: Vec::new() }))
    }
}

/// The rows of a partition, which are asked for one after the other.
#[derive(Debug)]
struct Partition {
    function: Framed,
    fields: Vec<FieldRef>,
    /// The next one.
    row: usize,
    looked_at: usize,
    /// The groups of rows that are equal in the window's order, from that of the next row on, the last one first.
    peers: Vec<Range<usize>>,
}

impl PartitionEvaluator for Partition {
    fn uses_window_frame(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], frame: &Range<usize>) -> Result<ScalarValue> {
        let row = self.row;
        self.row += 1;
        let (args, keys) = values.split_at(self.function.args + usize::from(self.function.filtered));
        let left = match self.function.exclusion {
            Exclusion::NoOthers => vec![frame.clone()],
            Exclusion::CurrentRow => without(frame, &(row..row + 1), None),
            Exclusion::Group => without(frame, &self.group(row, keys, args[0].len())?, None),
            Exclusion::Ties => without(frame, &self.group(row, keys, args[0].len())?, Some(row)),
        };
        let found = match &self.function.taken {
            Taken::First => left.first().map(|rows| rows.start),
            Taken::Last => left.last().map(|rows| rows.end - 1),
            Taken::Nth => nth(&left, &args[1], row)?,
            Taken::Aggregate(function) => {
                self.looked_at += left.iter().map(Range::len).sum::<usize>();
                check_looked_at(self.looked_at)?;
                return self.aggregated(function, args, &left);
            }
        };
        match found {
            Some(found) => ScalarValue::try_from_array(&args[0], found),
            None => ScalarValue::try_from(&self.function.ty),
        }
    }
}

impl Partition {
    /// A row and its peers, in a partition of so many rows.
    fn group(&mut self, row: usize, keys: &[ArrayRef], rows: usize) -> Result<Range<usize>> {
        if keys.is_empty() {
            return Ok(0..rows);
        }
        if row == 0 {
            self.peers = partition(keys)?.ranges();
            self.peers.reverse();
        }
        while self.peers.last().is_some_and(|group| group.end <= row) {
            self.peers.pop();
        }
        Ok(self.peers.last().cloned().unwrap_or(row..row + 1))
    }

    fn aggregated(&self, function: &AggregateUDF, args: &[ArrayRef], left: &[Range<usize>]) -> Result<ScalarValue> {
        let mut accumulator = self.accumulator(function)?;
        for rows in left {
            let mut taken: Vec<ArrayRef> = args.iter().map(|arg| arg.slice(rows.start, rows.len())).collect();
            if self.function.filtered
                && let Some(condition) = taken.pop()
            {
                let condition = as_boolean_array(&condition)?;
                taken = taken.iter().map(|arg| filter(arg, condition)).collect::<Result<_, _>>()?;
            }
            accumulator.update_batch(&taken)?;
        }
        accumulator.evaluate()
    }

    fn accumulator(&self, function: &AggregateUDF) -> Result<Box<dyn Accumulator>> {
        let column = |(place, field): (usize, &FieldRef)| -> Arc<dyn PhysicalExpr> {
            Arc::new(Column::new(field.name(), place))
        };
        let exprs: Vec<_> = self.fields.iter().enumerate().map(column).collect();
        function.accumulator(AccumulatorArgs {
            return_field: Arc::new(Field::new(function.name(), self.function.ty.clone(), true)),
            schema: &Schema::new(self.fields.clone()),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: function.name(),
            is_distinct: false,
            exprs: &exprs,
            expr_fields: &self.fields,
        })
    }
}

fn check_looked_at(rows: usize) -> Result<()> {
    if rows <= MAX_LOOKED_AT {
        return Ok(());
    }
    let error = SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many rows in frames with EXCLUDE");
    Err(to_datafusion(error.detail(format!("The frames of a partition have at most {MAX_LOOKED_AT} rows together."))))
}

/// The rows of a frame without some, but with one of them, if it is in the frame.
fn without(frame: &Range<usize>, gone: &Range<usize>, kept: Option<usize>) -> Vec<Range<usize>> {
    let before = frame.start..frame.end.min(gone.start);
    let kept = kept.filter(|row| frame.contains(row)).map(|row| row..row + 1);
    let behind = frame.start.max(gone.end)..frame.end;
    [Some(before), kept, Some(behind)].into_iter().flatten().filter(|rows| !rows.is_empty()).collect()
}

/// The row of a number among those that are left.
fn nth(left: &[Range<usize>], numbers: &ArrayRef, row: usize) -> Result<Option<usize>> {
    let numbers = as_int64_array(numbers)?;
    if numbers.is_null(row) {
        return Ok(None);
    }
    let Some(before) = usize::try_from(numbers.value(row)).ok().and_then(|number| number.checked_sub(1)) else {
        let message = "argument of nth_value must be greater than zero";
        return Err(to_datafusion(SqlError::new(SqlState("22016"), message)));
    };
    Ok(left.iter().cloned().flatten().nth(before))
}
