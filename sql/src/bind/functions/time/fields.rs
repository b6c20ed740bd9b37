//! Parts of dates, times and intervals: `extract`, `date_trunc`, `age`, zones.

use annulus_relation::value::datetime::{self as dt, Source};
use annulus_relation::value::{Interval, Numeric};
use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{interval, text, timestamp, timestamptz};
use super::now::local;
use super::operators::zone;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("extract(text,date) numeric", extract),
    entry("extract(text,time) numeric", extract),
    entry("extract(text,timestamp) numeric", extract),
    entry("extract(text,timestamptz) numeric", extract).stable(),
    entry("extract(text,interval) numeric", extract),
    entry("date_part(text,date) float8", date_part),
    entry("date_part(text,time) float8", date_part),
    entry("date_part(text,timestamp) float8", date_part),
    entry("date_part(text,timestamptz) float8", date_part).stable(),
    entry("date_part(text,interval) float8", date_part),
    entry("date_trunc(text,timestamp) timestamp", |_, a| {
        dt::truncate(text(a, 0)?, timestamp(a, 1)?).map(Value::Timestamp)
    }),
    entry("date_trunc(text,timestamptz) timestamptz", |s, a| {
        dt::truncate_tz(text(a, 0)?, timestamptz(a, 1)?, zone(s)).map(Value::Timestamptz)
    })
    .stable(),
    entry("date_trunc(text,timestamptz,text) timestamptz", |_, a| {
        dt::truncate_at_zone(text(a, 0)?, timestamptz(a, 1)?, text(a, 2)?).map(Value::Timestamptz)
    })
    .stable(),
    entry("date_trunc(text,interval) interval", |_, a| {
        dt::truncate_interval(text(a, 0)?, &interval(a, 1)?).map(Value::Interval)
    }),
    entry("date_bin(interval,timestamp,timestamp) timestamp", |_, a| {
        dt::date_bin(&interval(a, 0)?, timestamp(a, 1)?, timestamp(a, 2)?).map(Value::Timestamp)
    }),
    entry("date_bin(interval,timestamptz,timestamptz) timestamptz", |_, a| {
        dt::date_bin(&interval(a, 0)?, timestamptz(a, 1)?, timestamptz(a, 2)?).map(Value::Timestamptz)
    }),
    entry("age(timestamp,timestamp) interval", |_, a| dt::age(timestamp(a, 0)?, timestamp(a, 1)?).map(Value::Interval)),
    entry("age(timestamptz,timestamptz) interval", |s, a| {
        dt::age_tz(timestamptz(a, 0)?, timestamptz(a, 1)?, zone(s)).map(Value::Interval)
    })
    .stable(),
    entry("age(timestamp) interval", |s, a| dt::age(today(s)?, timestamp(a, 0)?).map(Value::Interval)).stable(),
    entry("age(timestamptz) interval", |s, a| {
        let today = dt::timestamp_to_timestamptz(today(s)?, zone(s))?;
        dt::age_tz(today, timestamptz(a, 0)?, zone(s)).map(Value::Interval)
    })
    .stable(),
    entry("justify_hours(interval) interval", |_, a| interval(a, 0)?.justify_hours().map(Value::Interval)),
    entry("justify_days(interval) interval", |_, a| interval(a, 0)?.justify_days().map(Value::Interval)),
    entry("justify_interval(interval) interval", |_, a| interval(a, 0)?.justify_interval().map(Value::Interval)),
    entry("isfinite(date) bool", is_finite),
    entry("isfinite(timestamp) bool", is_finite),
    entry("isfinite(timestamptz) bool", is_finite),
    entry("isfinite(interval) bool", is_finite),
    entry("timezone(text,timestamp) timestamptz", |_, a| {
        dt::local_at_zone(timestamp(a, 1)?, text(a, 0)?).map(Value::Timestamptz)
    }),
    entry("timezone(text,timestamptz) timestamp", |_, a| {
        dt::instant_at_zone(timestamptz(a, 1)?, text(a, 0)?).map(Value::Timestamp)
    }),
    entry("timezone(interval,timestamp) timestamptz", |_, a| {
        dt::subtract_interval(timestamp(a, 1)?, &offset(&interval(a, 0)?)?).map(Value::Timestamptz)
    }),
    entry("timezone(interval,timestamptz) timestamp", |_, a| {
        dt::add_interval(timestamptz(a, 1)?, &offset(&interval(a, 0)?)?).map(Value::Timestamp)
    }),
];

/// The midnight that began the session's present day.
fn today(site: &Site<'_>) -> SqlResult<i64> {
    dt::date_to_timestamp(dt::timestamp_to_date(local(site)?))
}

/// The distance from UTC that an interval means, as an interval of seconds.
fn offset(span: &Interval) -> SqlResult<Interval> {
    let seconds = dt::interval_zone(span)?;
    Ok(Interval { micros: seconds * 1_000_000, ..Interval::default() })
}

fn source<'a>(site: &'a Site<'_>, value: &Value) -> Option<Source<'a>> {
    Some(match value {
        Value::Date(date) => Source::Date(*date),
        Value::Time(time) => Source::Time(*time),
        Value::Timestamp(at) => Source::Timestamp(*at),
        Value::Timestamptz(at) => Source::Timestamptz(*at, zone(site)),
        Value::Interval(span) => Source::Interval(*span),
        _ => return None,
    })
}

fn extract(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let found = source(site, &args[1]).map_or(Ok(None), |source| dt::extract(text(args, 0)?, source));
    Ok(found?.map_or(Value::Null, |number: Numeric| Value::Numeric(number)))
}

fn date_part(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let found = source(site, &args[1]).map_or(Ok(None), |source| dt::date_part(text(args, 0)?, source));
    Ok(found?.map_or(Value::Null, Value::Float8))
}

fn is_finite(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(match args[0] {
        Value::Date(date) => !dt::is_infinite_date(date),
        Value::Timestamp(at) | Value::Timestamptz(at) => !dt::is_infinite(at),
        _ => true,
    }))
}
