//! Arithmetic of dates, times and intervals.

use annulus_relation::value::datetime as dt;
use annulus_relation::value::{Interval, TimeZone};
use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{date, float8, int4, interval, time, timestamp, timestamptz};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("+(date,int4) date", |_, a| dt::add_days(date(a, 0)?, int4(a, 1)?).map(Value::Date)),
    entry("+(int4,date) date", |_, a| dt::add_days(date(a, 1)?, int4(a, 0)?).map(Value::Date)),
    entry("-(date,int4) date", |_, a| dt::subtract_days(date(a, 0)?, int4(a, 1)?).map(Value::Date)),
    entry("-(date,date) int4", |_, a| dt::subtract_dates(date(a, 0)?, date(a, 1)?).map(Value::Int4)),
    entry("+(date,time) timestamp", |_, a| dt::add_time(date(a, 0)?, time(a, 1)?).map(Value::Timestamp)),
    entry("+(time,date) timestamp", |_, a| dt::add_time(date(a, 1)?, time(a, 0)?).map(Value::Timestamp)),
    entry("+(date,interval) timestamp", |_, a| date_plus(date(a, 0)?, &interval(a, 1)?)),
    entry("+(interval,date) timestamp", |_, a| date_plus(date(a, 1)?, &interval(a, 0)?)),
    entry("-(date,interval) timestamp", |_, a| {
        dt::subtract_interval(dt::date_to_timestamp(date(a, 0)?)?, &interval(a, 1)?).map(Value::Timestamp)
    }),
    entry("+(time,interval) time", |_, a| Ok(Value::Time(dt::add_interval_to_time(time(a, 0)?, &interval(a, 1)?)))),
    entry("+(interval,time) time", |_, a| Ok(Value::Time(dt::add_interval_to_time(time(a, 1)?, &interval(a, 0)?)))),
    entry("-(time,interval) time", |_, a| {
        Ok(Value::Time(dt::subtract_interval_from_time(time(a, 0)?, &interval(a, 1)?)))
    }),
    entry("-(time,time) interval", |_, a| {
        Ok(Value::Interval(Interval { micros: time(a, 0)? - time(a, 1)?, ..Interval::default() }))
    }),
    entry("+(timestamp,interval) timestamp", |_, a| {
        dt::add_interval(timestamp(a, 0)?, &interval(a, 1)?).map(Value::Timestamp)
    }),
    entry("+(interval,timestamp) timestamp", |_, a| {
        dt::add_interval(timestamp(a, 1)?, &interval(a, 0)?).map(Value::Timestamp)
    }),
    entry("-(timestamp,interval) timestamp", |_, a| {
        dt::subtract_interval(timestamp(a, 0)?, &interval(a, 1)?).map(Value::Timestamp)
    }),
    entry("-(timestamp,timestamp) interval", |_, a| {
        dt::subtract_timestamps(timestamp(a, 0)?, timestamp(a, 1)?).map(Value::Interval)
    }),
    entry("+(timestamptz,interval) timestamptz", |s, a| {
        dt::add_interval_tz(timestamptz(a, 0)?, &interval(a, 1)?, zone(s)).map(Value::Timestamptz)
    })
    .stable(),
    entry("+(interval,timestamptz) timestamptz", |s, a| {
        dt::add_interval_tz(timestamptz(a, 1)?, &interval(a, 0)?, zone(s)).map(Value::Timestamptz)
    })
    .stable(),
    entry("-(timestamptz,interval) timestamptz", |s, a| {
        dt::subtract_interval_tz(timestamptz(a, 0)?, &interval(a, 1)?, zone(s)).map(Value::Timestamptz)
    })
    .stable(),
    entry("-(timestamptz,timestamptz) interval", |_, a| {
        dt::subtract_timestamps(timestamptz(a, 0)?, timestamptz(a, 1)?).map(Value::Interval)
    }),
    entry("+(interval,interval) interval", |_, a| interval(a, 0)?.add(&interval(a, 1)?).map(Value::Interval)),
    entry("-(interval,interval) interval", |_, a| interval(a, 0)?.sub(&interval(a, 1)?).map(Value::Interval)),
    entry("-(interval) interval", |_, a| interval(a, 0)?.neg().map(Value::Interval)),
    entry("*(interval,float8) interval", |_, a| interval(a, 0)?.mul(float8(a, 1)?).map(Value::Interval)),
    entry("*(float8,interval) interval", |_, a| interval(a, 1)?.mul(float8(a, 0)?).map(Value::Interval)),
    entry("/(interval,float8) interval", |_, a| interval(a, 0)?.div(float8(a, 1)?).map(Value::Interval)),
    entry("overlaps(timestamp,timestamp,timestamp,timestamp) bool", overlaps).lenient(),
    entry("overlaps(timestamp,interval,timestamp,interval) bool", overlaps).lenient(),
    entry("overlaps(timestamp,timestamp,timestamp,interval) bool", overlaps).lenient(),
    entry("overlaps(timestamp,interval,timestamp,timestamp) bool", overlaps).lenient(),
    entry("overlaps(timestamptz,timestamptz,timestamptz,timestamptz) bool", overlaps).lenient(),
    entry("overlaps(timestamptz,interval,timestamptz,interval) bool", overlaps).stable().lenient(),
    entry("overlaps(timestamptz,timestamptz,timestamptz,interval) bool", overlaps).stable().lenient(),
    entry("overlaps(timestamptz,interval,timestamptz,timestamptz) bool", overlaps).stable().lenient(),
    entry("overlaps(time,time,time,time) bool", overlaps).lenient(),
    entry("overlaps(time,interval,time,interval) bool", overlaps).lenient(),
    entry("overlaps(time,time,time,interval) bool", overlaps).lenient(),
    entry("overlaps(time,interval,time,time) bool", overlaps).lenient(),
    entry("timestamp(date,time) timestamp", |_, a| dt::add_time(date(a, 0)?, time(a, 1)?).map(Value::Timestamp)),
    entry("timestamptz(date,time) timestamptz", |s, a| {
        dt::timestamp_to_timestamptz(dt::add_time(date(a, 0)?, time(a, 1)?)?, zone(s)).map(Value::Timestamptz)
    })
    .stable(),
];

/// The session's zone.
pub(super) fn zone<'a>(site: &'a Site<'_>) -> &'a TimeZone {
    &site.cx.env.zone
}

fn date_plus(date: i32, span: &Interval) -> SqlResult<Value> {
    dt::add_interval(dt::date_to_timestamp(date)?, span).map(Value::Timestamp)
}

/// A place in time, of a type that has no end.
fn instant(value: &Value) -> Option<i64> {
    match value {
        Value::Time(at) | Value::Timestamp(at) | Value::Timestamptz(at) => Some(*at),
        _ => None,
    }
}

/// The end of a period: given, or by its length.
fn end(site: &Site<'_>, start: &Value, end: &Value) -> SqlResult<Option<i64>> {
    Ok(match (start, end) {
        (Value::Timestamp(start), Value::Interval(length)) => Some(dt::add_interval(*start, length)?),
        (Value::Timestamptz(start), Value::Interval(length)) => Some(dt::add_interval_tz(*start, length, zone(site))?),
        (Value::Time(start), Value::Interval(length)) => Some(dt::add_interval_to_time(*start, length)),
        (_, end) => instant(end),
    })
}

/// A period with its earlier known end first; `None` if nothing is known of it.
fn period(site: &Site<'_>, args: &[Value]) -> SqlResult<Option<(i64, Option<i64>)>> {
    Ok(match (instant(&args[0]), end(site, &args[0], &args[1])?) {
        (None, None) => None,
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
    })
}

/// Whether two periods, each without its end, have a time in common.
fn overlaps(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (Some(first), Some(second)) = (period(site, &args[..2])?, period(site, &args[2..])?) else {
        return Ok(Value::Null);
    };
    let (early, late) = if first.0 <= second.0 { (first, second) } else { (second, first) };
    Ok(match (early.1, late.1) {
        (None, _) => Value::Null,
        (Some(_), None) if early.0 == late.0 => Value::Null,
        (Some(end), _) if late.0 < end || early.0 == late.0 => Value::Bool(true),
        (Some(_), None) => Value::Null,
        (Some(_), Some(_)) => Value::Bool(false),
    })
}
