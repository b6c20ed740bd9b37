//! Sums, averages and extremes: exact, and an error rather than a wrong number where they leave their type.

use std::cmp::Ordering;

use annulus_relation::value::{self, Interval, Numeric};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use bigdecimal::num_bigint::BigInt;
use datafusion::arrow::array::{Array as _, BinaryViewArray, Int16Array, Int32Array, Int64Array, PrimitiveArray};
use datafusion::arrow::datatypes::ArrowPrimitiveType;

use super::fold::{Args, Fold, Rows};
use crate::query::arrow::payload;

/// `sum` or `avg`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum {
    /// The type of what is added.
    pub of: SqlType,
    pub average: bool,
}

/// What was added.
#[derive(Debug, Default)]
pub(super) struct Total {
    count: i64,
    sum: Amount,
}

impl Total {
    #[inline]
    fn add_integer(&mut self, integer: i64) -> SqlResult<()> {
        self.count += 1;
        if let Amount::Digits(digits, 0) = &mut self.sum
            && let Some(sum) = digits.checked_add(integer.into())
        {
            *digits = sum;
            return Ok(());
        }
        self.sum = std::mem::take(&mut self.sum).plus(Amount::Digits(integer.into(), 0))?;
        Ok(())
    }
}

/// Adds integers without making values of them.
fn add_integers<T: ArrowPrimitiveType>(
    totals: &mut [Total],
    array: &PrimitiveArray<T>,
    rows: &Rows<'_>,
) -> SqlResult<()>
where
    i64: From<T::Native>,
{
    rows.each(|row, group| match array.is_valid(row) {
        true => totals[group].add_integer(array.value(row).into()),
        false => Ok(()),
    })
}

#[derive(Debug, Default)]
enum Amount {
    #[default]
    Nothing,
    /// An integer, or digits with so many of them behind the point.
    Digits(i128, i16),
    Numeric(Numeric),
    Float4(f32),
    Float8(f64),
    Interval(Interval),
}

pub(super) fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

pub(super) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn number(digits: i128, scale: i16) -> SqlResult<Numeric> {
    Numeric::finite(BigInt::from(digits), scale.into())
}

/// `digits` with `by` more of them behind the point.
fn scaled(digits: i128, by: i16) -> Option<i128> {
    digits.checked_mul(10_i128.checked_pow(u32::try_from(by).ok()?)?)
}

impl Amount {
    fn plus(self, other: Self) -> SqlResult<Self> {
        Ok(match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Digits(a, x), Self::Digits(b, y)) => {
                let scale = x.max(y);
                let sum = scaled(a, scale - x).zip(scaled(b, scale - y)).and_then(|(a, b)| a.checked_add(b));
                match sum {
                    Some(sum) => Self::Digits(sum, scale),
                    None => Self::Numeric(number(a, x)?.add(&number(b, y)?)?),
                }
            }
            (Self::Float4(a), Self::Float4(b)) => {
                let sum = a + b;
                if sum.is_infinite() && a.is_finite() && b.is_finite() {
                    return Err(overflow());
                }
                Self::Float4(sum)
            }
            (Self::Float8(a), Self::Float8(b)) => {
                let sum = a + b;
                if sum.is_infinite() && a.is_finite() && b.is_finite() {
                    return Err(overflow());
                }
                Self::Float8(sum)
            }
            (Self::Interval(a), Self::Interval(b)) => Self::Interval(add_intervals(a, b)?),
            (a, b) => Self::Numeric(a.numeric()?.add(&b.numeric()?)?),
        })
    }

    fn numeric(self) -> SqlResult<Numeric> {
        match self {
            Self::Digits(digits, scale) => number(digits, scale),
            Self::Numeric(numeric) => Ok(numeric),
            _ => Ok(Numeric::zero()),
        }
    }

    fn negated(self) -> SqlResult<Self> {
        Ok(match self {
            Self::Digits(digits, scale) => match digits.checked_neg() {
                Some(digits) => Self::Digits(digits, scale),
                None => Self::Numeric(number(digits, scale)?.neg()),
            },
            Self::Numeric(numeric) => Self::Numeric(numeric.neg()),
            Self::Interval(interval) => Self::Interval(Interval {
                months: interval.months.checked_neg().ok_or_else(|| out_of_range("interval"))?,
                days: interval.days.checked_neg().ok_or_else(|| out_of_range("interval"))?,
                micros: interval.micros.checked_neg().ok_or_else(|| out_of_range("interval"))?,
            }),
            other => other,
        })
    }

    /// A value as an amount.
    fn of(value: Value) -> Self {
        match value {
            Value::Int2(v) => Self::Digits(v.into(), 0),
            Value::Int4(v) => Self::Digits(v.into(), 0),
            Value::Int8(v) => Self::Digits(v.into(), 0),
            Value::Numeric(v) => Self::Numeric(v),
            Value::Float4(v) => Self::Float4(v),
            Value::Float8(v) => Self::Float8(v),
            Value::Interval(v) => Self::Interval(v),
            _ => Self::Nothing,
        }
    }
}

fn add_intervals(a: Interval, b: Interval) -> SqlResult<Interval> {
    let added = || {
        Some(Interval {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            micros: a.micros.checked_add(b.micros)?,
        })
    };
    added().ok_or_else(|| out_of_range("interval"))
}

/// Source: PostgreSQL 15, `interval_div`.
fn divide_interval(span: Interval, by: f64) -> Interval {
    let round = |seconds: f64| (seconds * 1e6).round_ties_even() / 1e6;
    let (months, days) = (f64::from(span.months) / by, f64::from(span.days) / by);
    let mut result = Interval { months: months as i32, days: days as i32, micros: 0 };
    let rest_days = round((months - f64::from(result.months)) * 30.0);
    let mut seconds = round((days - f64::from(result.days) + rest_days - rest_days.trunc()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        result.days += (seconds / 86_400.0) as i32;
        seconds -= (seconds / 86_400.0).trunc() * 86_400.0;
    }
    result.days += rest_days as i32;
    result.micros = (span.micros as f64 / by + seconds * 1e6).round_ties_even() as i64;
    result
}

impl Sum {
    fn amount(&self, args: &Args<'_>, row: usize) -> SqlResult<Amount> {
        // The digits of a small number are read without making a number of them.
        if let Some(array) = args.array(0).as_any().downcast_ref::<BinaryViewArray>()
            && let Some((digits, scale)) = payload::read_small(array.value(row))
        {
            return Ok(Amount::Digits(digits, scale));
        }
        Ok(match args.get(0, row)? {
            Value::Float4(v) if self.average => Amount::Float8(v.into()),
            value => Amount::of(value),
        })
    }
}

impl Sum {
    /// The result for some values.
    pub fn of_values<'v>(&self, values: impl Iterator<Item = &'v Value>) -> SqlResult<Value> {
        let mut total = Total::default();
        for value in values {
            let amount = match value {
                Value::Float4(v) if self.average => Amount::Float8((*v).into()),
                value => Amount::of(value.clone()),
            };
            total.count += 1;
            total.sum = total.sum.plus(amount)?;
        }
        self.finish(&total)
    }
}

impl Fold for Sum {
    type State = Total;

    fn add(&self, state: &mut Total, args: &Args<'_>, row: usize) -> SqlResult<()> {
        if !args.is_null(0, row) {
            state.count += 1;
            state.sum = std::mem::take(&mut state.sum).plus(self.amount(args, row)?)?;
        }
        Ok(())
    }

    fn add_all(&self, states: &mut [Total], args: &Args<'_>, rows: &Rows<'_>) -> SqlResult<()> {
        let array = args.array(0).as_any();
        match self.of {
            SqlType::Int2 if let Some(array) = array.downcast_ref::<Int16Array>() => add_integers(states, array, rows),
            SqlType::Int4 if let Some(array) = array.downcast_ref::<Int32Array>() => add_integers(states, array, rows),
            SqlType::Int8 if let Some(array) = array.downcast_ref::<Int64Array>() => add_integers(states, array, rows),
            _ => rows.each(|row, group| self.add(&mut states[group], args, row)),
        }
    }

    fn remove(&self, state: &mut Total, args: &Args<'_>, row: usize) -> Option<SqlResult<()>> {
        if super::numbers::is_float(&self.of) {
            return None;
        }
        if args.is_null(0, row) {
            return Some(Ok(()));
        }
        state.count -= 1;
        let sum = std::mem::take(&mut state.sum);
        let removed = self.amount(args, row).and_then(Amount::negated).and_then(|amount| sum.plus(amount));
        Some(removed.map(|sum| state.sum = sum))
    }

    fn merge(&self, state: &mut Total, other: Total) -> SqlResult<()> {
        state.count += other.count;
        state.sum = std::mem::take(&mut state.sum).plus(other.sum)?;
        Ok(())
    }

    fn save(state: &Total) -> Vec<Value> {
        let sum = match &state.sum {
            Amount::Nothing => Value::Null,
            Amount::Digits(digits, scale) => match number(*digits, *scale) {
                Ok(number) => Value::Numeric(number),
                Err(_) => Value::Null,
            },
            Amount::Numeric(numeric) => Value::Numeric(numeric.clone()),
            Amount::Float4(v) => Value::Float4(*v),
            Amount::Float8(v) => Value::Float8(*v),
            Amount::Interval(v) => Value::Interval(*v),
        };
        vec![Value::Int8(state.count), sum]
    }

    fn load(values: Vec<Value>) -> Option<Total> {
        let [Value::Int8(count), sum] = <[Value; 2]>::try_from(values).ok()? else { return None };
        let mut bytes = Vec::new();
        payload::write(&sum, &mut bytes);
        let sum = match payload::read_small(&bytes) {
            Some((digits, scale)) => Amount::Digits(digits, scale),
            None => Amount::of(sum),
        };
        Some(Total { count, sum })
    }

    fn finish(&self, state: &Total) -> SqlResult<Value> {
        if state.count == 0 {
            return Ok(Value::Null);
        }
        let count = state.count as f64;
        match (&state.sum, self.average) {
            (Amount::Nothing, _) => Ok(Value::Null),
            (Amount::Digits(digits, 0), false) if matches!(self.of, SqlType::Int2 | SqlType::Int4) => {
                i64::try_from(*digits).map(Value::Int8).map_err(|_| out_of_range("bigint"))
            }
            (Amount::Digits(digits, scale), false) => number(*digits, *scale).map(Value::Numeric),
            (Amount::Digits(digits, scale), true) => average(number(*digits, *scale)?, state.count),
            (Amount::Numeric(numeric), false) => Ok(Value::Numeric(numeric.clone())),
            (Amount::Numeric(numeric), true) => average(numeric.clone(), state.count),
            (Amount::Float4(v), _) => Ok(Value::Float4(*v)),
            (Amount::Float8(v), false) => Ok(Value::Float8(*v)),
            (Amount::Float8(v), true) => Ok(Value::Float8(*v / count)),
            (Amount::Interval(v), false) => Ok(Value::Interval(*v)),
            (Amount::Interval(v), true) => Ok(Value::Interval(divide_interval(*v, count))),
        }
    }
}

pub(super) fn average(sum: Numeric, count: i64) -> SqlResult<Value> {
    sum.div(&Numeric::finite(BigInt::from(count), 0)?).map(Value::Numeric)
}

/// `min` or `max` of values that arrays do not compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Extreme {
    pub greatest: bool,
}

impl Extreme {
    fn take(&self, state: &mut Option<Value>, value: Value) {
        let wanted = if self.greatest { Ordering::Greater } else { Ordering::Less };
        if !value.is_null() && state.as_ref().is_none_or(|old| value::compare(&value, old) == wanted) {
            *state = Some(value);
        }
    }
}

impl Extreme {
    /// The result for some values.
    pub fn of_values<'v>(&self, values: impl Iterator<Item = &'v Value>) -> Value {
        let mut state = None;
        values.for_each(|value| self.take(&mut state, value.clone()));
        state.unwrap_or(Value::Null)
    }
}

impl Fold for Extreme {
    type State = Option<Value>;

    fn add(&self, state: &mut Self::State, args: &Args<'_>, row: usize) -> SqlResult<()> {
        self.take(state, args.get(0, row)?);
        Ok(())
    }

    fn remove(&self, _: &mut Self::State, _: &Args<'_>, _: usize) -> Option<SqlResult<()>> {
        None
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) -> SqlResult<()> {
        self.take(state, other.unwrap_or(Value::Null));
        Ok(())
    }

    fn save(state: &Self::State) -> Vec<Value> {
        vec![state.clone().unwrap_or(Value::Null)]
    }

    fn load(mut values: Vec<Value>) -> Option<Self::State> {
        values.pop().map(|value| Some(value).filter(|value| !value.is_null()))
    }

    fn finish(&self, state: &Self::State) -> SqlResult<Value> {
        Ok(state.clone().unwrap_or(Value::Null))
    }
}
