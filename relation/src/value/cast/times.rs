//! Casts between dates, times and intervals.

use crate::SqlResult;
use crate::value::datetime as dt;
use crate::value::errors::mismatch;
use crate::value::{Env, Interval, SqlType, Value};

/// A time of another type; the session's zone is where clocks are.
pub fn convert(value: Value, to: &SqlType, env: &Env) -> SqlResult<Value> {
    let time = |local| dt::timestamp_to_time(local).map_or(Value::Null, Value::Time);
    Ok(match (value, to) {
        (Value::Date(date), SqlType::Timestamp(_)) => Value::Timestamp(dt::date_to_timestamp(date)?),
        (Value::Date(date), SqlType::Timestamptz(_)) => Value::Timestamptz(dt::date_to_timestamptz(date, &env.zone)?),
        (Value::Time(micros), SqlType::Interval(_)) => Value::Interval(Interval { micros, ..Interval::default() }),
        (Value::Interval(span), SqlType::Time(_)) => Value::Time(dt::interval_to_time(&span)),
        (Value::Timestamp(local), SqlType::Date) => Value::Date(dt::timestamp_to_date(local)),
        (Value::Timestamp(local), SqlType::Time(_)) => time(local),
        (Value::Timestamp(local), SqlType::Timestamptz(_)) => {
            Value::Timestamptz(dt::timestamp_to_timestamptz(local, &env.zone)?)
        }
        (Value::Timestamptz(instant), to) => {
            let local = dt::timestamptz_to_timestamp(instant, &env.zone)?;
            match to {
                SqlType::Date => Value::Date(dt::timestamp_to_date(local)),
                SqlType::Time(_) => time(local),
                SqlType::Timestamp(_) => Value::Timestamp(local),
                _ => return Err(mismatch(to.name())),
            }
        }
        _ => return Err(mismatch(to.name())),
    })
}
