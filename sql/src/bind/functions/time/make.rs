//! Dates, times and intervals from numbers.

use annulus_relation::value::datetime as dt;
use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{float8, int4, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("make_date(int4,int4,int4) date", |_, a| {
        dt::make_date(int4(a, 0)?, int4(a, 1)?, int4(a, 2)?).map(Value::Date)
    }),
    entry("make_time(int4,int4,float8) time", |_, a| {
        dt::make_time(int4(a, 0)?, int4(a, 1)?, float8(a, 2)?).map(Value::Time)
    }),
    entry("make_timestamp(int4,int4,int4,int4,int4,float8) timestamp", |_, a| moment(a).map(Value::Timestamp)),
    entry("make_timestamptz(int4,int4,int4,int4,int4,float8) timestamptz", make_timestamptz).stable(),
    entry("make_timestamptz(int4,int4,int4,int4,int4,float8,text) timestamptz", make_timestamptz).stable(),
    entry("make_interval(int4,int4,int4,int4,int4,int4,float8) interval", make_interval),
    entry("to_timestamp(float8) timestamptz", |_, a| dt::to_timestamp(float8(a, 0)?).map(Value::Timestamptz)),
];

fn moment(args: &[Value]) -> SqlResult<i64> {
    let field = |index| int4(args, index);
    dt::make_timestamp(field(0)?, field(1)?, field(2)?, field(3)?, field(4)?, float8(args, 5)?)
}

fn make_timestamptz(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let local = moment(args)?;
    let instant = match args.get(6) {
        Some(_) => dt::local_at_numeric_zone(local, text(args, 6)?),
        None => dt::make_timestamptz(local, super::operators::zone(site)),
    };
    instant.map(Value::Timestamptz)
}

fn make_interval(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let field = |index| int4(args, index);
    let whole = [field(0)?, field(1)?, field(2)?, field(3)?, field(4)?, field(5)?];
    dt::make_interval(whole, float8(args, 6)?).map(Value::Interval)
}
