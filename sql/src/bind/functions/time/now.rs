//! The present: the transaction's, the statement's, the clock's.

use annulus_relation::value::datetime as dt;
use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::operators::zone;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("now() timestamptz", now).stable(),
    entry("current_timestamp() timestamptz", now).stable(),
    entry("transaction_timestamp() timestamptz", now).stable(),
    entry("statement_timestamp() timestamptz", |s, _| Ok(Value::Timestamptz(s.cx.session.statement_start()))).stable(),
    entry("clock_timestamp() timestamptz", |s, _| Ok(Value::Timestamptz(s.cx.session.clock()))).volatile(),
    entry("localtimestamp() timestamp", |s, _| local(s).map(Value::Timestamp)).stable(),
    entry("localtime() time", |s, _| Ok(dt::timestamp_to_time(local(s)?).map_or(Value::Null, Value::Time))).stable(),
    entry("current_date() date", |s, _| Ok(Value::Date(dt::timestamp_to_date(local(s)?)))).stable(),
];

fn now(site: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    Ok(Value::Timestamptz(site.cx.env.now))
}

/// What the session's clocks showed when the transaction began.
pub(super) fn local(site: &Site<'_>) -> SqlResult<i64> {
    dt::timestamptz_to_timestamp(site.cx.env.now, zone(site))
}
