//! `generate_series`.

use annulus_relation::value::{Env, Interval, Numeric};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use bigdecimal::num_bigint::BigInt;

use crate::query::exec::Rows;

/// The types that the arguments are converted to; `None` if there is no such series.
pub(super) fn parameters(types: &[SqlType]) -> Option<Vec<SqlType>> {
    let types: Vec<SqlType> = types.iter().map(SqlType::base).collect();
    let is = |wanted: &[SqlType]| types.iter().any(|ty| wanted.contains(ty));
    let numeric = is(&[SqlType::Numeric(None)]);
    match types.len() {
        2 | 3 if numeric => Some(vec![SqlType::Numeric(None); types.len()]),
        2 | 3 if is(&[SqlType::Int8]) => Some(vec![SqlType::Int8; types.len()]),
        2 | 3 if is(&[SqlType::Int4, SqlType::Int2]) => Some(vec![SqlType::Int4; types.len()]),
        3 if is(&[SqlType::Timestamptz(None)]) => {
            Some(vec![SqlType::Timestamptz(None), SqlType::Timestamptz(None), SqlType::Interval(None)])
        }
        // Dates are taken as times with a zone.
        3 if is(&[SqlType::Date]) && !is(&[SqlType::Timestamp(None)]) => {
            Some(vec![SqlType::Timestamptz(None), SqlType::Timestamptz(None), SqlType::Interval(None)])
        }
        3 if is(&[SqlType::Timestamp(None)]) => {
            Some(vec![SqlType::Timestamp(None), SqlType::Timestamp(None), SqlType::Interval(None)])
        }
        _ => None,
    }
}

/// The rows of a series.
pub(super) fn rows(args: &[Value], ty: &SqlType, env: &Env) -> SqlResult<Rows> {
    match (&args[0], &args[1], args.get(2)) {
        (Value::Int4(from), Value::Int4(to), step) => {
            let step = match step {
                Some(Value::Int4(step)) => i64::from(*step),
                _ => 1,
            };
            let integers = integers(i64::from(*from), i64::from(*to), step)?;
            Ok(Box::new(integers.map(|number| Ok(vec![Value::Int4(i32::try_from(number).unwrap_or(i32::MAX))]))))
        }
        (Value::Int8(from), Value::Int8(to), step) => {
            let step = match step {
                Some(Value::Int8(step)) => *step,
                _ => 1,
            };
            Ok(Box::new(integers(*from, *to, step)?.map(|number| Ok(vec![Value::Int8(number)]))))
        }
        (Value::Numeric(from), Value::Numeric(to), step) => numbers(from, to, step),
        (Value::Timestamp(from), Value::Timestamp(to), Some(Value::Interval(step)))
        | (Value::Timestamptz(from), Value::Timestamptz(to), Some(Value::Interval(step))) => {
            times(*from, *to, *step, ty, env)
        }
        _ => Ok(Box::new(std::iter::empty())),
    }
}

fn zero() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

fn integers(from: i64, to: i64, step: i64) -> SqlResult<impl Iterator<Item = i64> + Send + 'static> {
    if step == 0 {
        return Err(zero());
    }
    let inside = move |number: &i64| if step > 0 { *number <= to } else { *number >= to };
    let first = Some(from).filter(inside);
    Ok(std::iter::successors(first, move |number| number.checked_add(step).filter(inside)))
}

fn numbers(from: &Numeric, to: &Numeric, step: Option<&Value>) -> SqlResult<Rows> {
    let step = match step {
        Some(Value::Numeric(step)) => step.clone(),
        _ => Numeric::finite(BigInt::from(1), 0)?,
    };
    for (what, number) in [("start value", from), ("stop value", to), ("step size", &step)] {
        if !matches!(number, Numeric::Finite(_)) {
            let shown = if number.is_nan() { "NaN" } else { "infinity" };
            let message = format!("{what} cannot be {shown}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    }
    let sign = step.signum();
    if sign == 0 {
        return Err(zero());
    }
    let to = to.clone();
    let inside = move |number: &Numeric| {
        let order = number.compare(&to);
        if sign > 0 { order.is_le() } else { order.is_ge() }
    };
    let mut next = Some(from.clone()).filter(&inside).map(Ok);
    Ok(Box::new(std::iter::from_fn(move || {
        let number = match next.take()? {
            Ok(number) => number,
            Err(error) => return Some(Err(error)),
        };
        next = match number.add(&step) {
            Ok(more) => Some(more).filter(&inside).map(Ok),
            Err(error) => Some(Err(error)),
        };
        Some(Ok(vec![Value::Numeric(number)]))
    })))
}

fn times(from: i64, to: i64, step: Interval, ty: &SqlType, env: &Env) -> SqlResult<Rows> {
    let length = step.length();
    if length == 0 {
        return Err(zero());
    }
    let inside = move |time: &i64| if length > 0 { *time <= to } else { *time >= to };
    let zoned = matches!(ty, SqlType::Timestamptz(_));
    let zone = env.zone.clone();
    let value = move |time| if zoned { Value::Timestamptz(time) } else { Value::Timestamp(time) };
    let mut next = Some(from).filter(inside);
    Ok(Box::new(std::iter::from_fn(move || {
        let time = next.take()?;
        let local = if zoned { zone.to_local(time) } else { Some(time) };
        let moved = local.and_then(|local| shifted(local, step));
        let moved = moved.and_then(|local| if zoned { zone.to_instant(local) } else { Some(local) });
        next = moved.and_then(|moved| moved.checked_add(step.micros)).filter(inside);
        Some(Ok(vec![value(time)]))
    })))
}

/// A local time moved by an interval's months and days.
fn shifted(local: i64, step: Interval) -> Option<i64> {
    const DAY: i64 = 86_400_000_000;
    let (day, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let day = if step.months == 0 { day } else { add_months(day, step.months)? };
    day.checked_add(step.days.into())?.checked_mul(DAY)?.checked_add(time)
}

/// A day, counted from 2000-01-01, some months later; the last of the month if there is no such day in it.
fn add_months(day: i64, months: i32) -> Option<i64> {
    let (year, month, of_month) = civil(day.checked_add(10_957)?);
    let month = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(months.into())?;
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Some(days(year, month, of_month.min(length)) - 10_957)
}

/// Year, month and day of a day counted from 1970-01-01 (the algorithm of Howard Hinnant).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The inverse.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_where_they_do() {
        let day = |year, month, day| days(year, month, day) - 10_957;
        assert_eq!(add_months(day(2024, 1, 31), 1), Some(day(2024, 2, 29)));
        assert_eq!(add_months(day(2023, 3, 31), -1), Some(day(2023, 2, 28)));
        assert_eq!(add_months(day(1999, 12, 15), 14), Some(day(2001, 2, 15)));
        assert_eq!(civil(10_957), (2000, 1, 1));
    }

    #[test]
    fn integers_stop_at_their_ends() {
        let all = |from: i64, to: i64, step: i64| integers(from, to, step).unwrap().collect::<Vec<_>>();
        assert_eq!(all(1, 5, 2), [1, 3, 5]);
        assert_eq!(all(3, 1, -1), [3, 2, 1]);
        assert!(all(3, 1, 1).is_empty());
        assert_eq!(all(i64::MAX - 1, i64::MAX, 1), [i64::MAX - 1, i64::MAX]);
        assert!(integers(1, 2, 0).is_err());
    }
}
