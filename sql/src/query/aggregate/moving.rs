//! Sums and averages of numerics over windows whose beginning moves: what goes out again leaves no trace, neither what is
//! no number nor digits behind the point.
//!
//! Source: PostgreSQL 15, `NumericAggState` and `do_numeric_discard` of numeric.c.

use std::collections::BTreeMap;

use annulus_relation::value::Numeric;
use annulus_relation::{SqlResult, Value};

use super::fold::{Args, Fold};
use super::sums::average;

/// `sum` or `avg`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MovingSum {
    pub average: bool,
}

/// What is in the window.
#[derive(Debug)]
pub(super) struct Inside {
    /// The sum of all numbers.
    sum: Numeric,
    /// How many numbers have so many digits behind the point.
    scales: BTreeMap<i64, i64>,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}

impl Default for Inside {
    fn default() -> Self {
        Self { sum: Numeric::zero(), scales: BTreeMap::new(), nans: 0, infinities: 0, negative_infinities: 0 }
    }
}

impl Inside {
    /// Takes a value in, or, with `by` -1, out.
    fn change(&mut self, value: &Numeric, by: i64) -> SqlResult<()> {
        match value {
            Numeric::NaN => self.nans += by,
            Numeric::Infinity => self.infinities += by,
            Numeric::NegativeInfinity => self.negative_infinities += by,
            finite => {
                self.sum = if by > 0 { self.sum.add(finite)? } else { self.sum.sub(finite)? };
                self.count_scale(finite.scale().unwrap_or_default(), by);
            }
        }
        Ok(())
    }

    fn count_scale(&mut self, scale: i64, by: i64) {
        let count = self.scales.entry(scale).or_default();
        *count += by;
        if *count == 0 {
            self.scales.remove(&scale);
        }
    }

    fn count(&self) -> i64 {
        self.scales.values().sum::<i64>() + self.nans + self.infinities + self.negative_infinities
    }

    /// The sum, with as many digits behind the point as the number that has most of them.
    fn total(&self) -> SqlResult<Numeric> {
        match (self.nans > 0, self.infinities > 0, self.negative_infinities > 0) {
            (true, ..) | (_, true, true) => Ok(Numeric::NaN),
            (_, true, _) => Ok(Numeric::Infinity),
            (_, _, true) => Ok(Numeric::NegativeInfinity),
            _ => {
                let scale = self.scales.last_key_value().map_or(0, |(scale, _)| *scale);
                self.sum.round(i32::try_from(scale).unwrap_or(i32::MAX))
            }
        }
    }
}

impl MovingSum {
    fn change(state: &mut Inside, args: &Args<'_>, row: usize, by: i64) -> SqlResult<()> {
        match args.get(0, row)? {
            Value::Numeric(value) => state.change(&value, by),
            _ => Ok(()),
        }
    }
}

impl Fold for MovingSum {
    type State = Inside;

    fn add(&self, state: &mut Inside, args: &Args<'_>, row: usize) -> SqlResult<()> {
        Self::change(state, args, row, 1)
    }

    fn remove(&self, state: &mut Inside, args: &Args<'_>, row: usize) -> Option<SqlResult<()>> {
        Some(Self::change(state, args, row, -1))
    }

    fn merge(&self, state: &mut Inside, other: Inside) -> SqlResult<()> {
        state.sum = state.sum.add(&other.sum)?;
        other.scales.iter().for_each(|(scale, count)| state.count_scale(*scale, *count));
        state.nans += other.nans;
        state.infinities += other.infinities;
        state.negative_infinities += other.negative_infinities;
        Ok(())
    }

    fn save(state: &Inside) -> Vec<Value> {
        let special = [state.nans, state.infinities, state.negative_infinities].map(Value::Int8);
        let scales = state.scales.iter().flat_map(|(scale, count)| [*scale, *count].map(Value::Int8));
        std::iter::once(Value::Numeric(state.sum.clone())).chain(special).chain(scales).collect()
    }

    fn load(values: Vec<Value>) -> Option<Inside> {
        let (Value::Numeric(sum), numbers) = values.split_first()? else { return None };
        let number = |value: &Value| if let Value::Int8(number) = value { Some(*number) } else { None };
        let numbers: Vec<i64> = numbers.iter().map(number).collect::<Option<_>>()?;
        let [nans, infinities, negative_infinities, scales @ ..] = numbers.as_slice() else { return None };
        let scales = scales.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        Some(Inside {
            sum: sum.clone(),
            scales,
            nans: *nans,
            infinities: *infinities,
            negative_infinities: *negative_infinities,
        })
    }

    fn finish(&self, state: &Inside) -> SqlResult<Value> {
        match (state.count(), self.average) {
            (0, _) => Ok(Value::Null),
            (count, true) => average(state.total()?, count),
            (_, false) => state.total().map(Value::Numeric),
        }
    }
}
