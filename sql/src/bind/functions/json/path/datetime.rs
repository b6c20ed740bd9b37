//! `.datetime()`: dates and times, which JSON has only as strings.

use std::cmp::Ordering;

use annulus_relation::value::datetime as dt;
use annulus_relation::value::{Env, SqlType, json};
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::format::read_date::read_standard;
use super::evaluate::{At, Evaluation, Failure, Found, Place, Walk, soft};
use super::item::View;

/// The forms that are known without a template, in the order in which they are tried.
const FORMS: [&str; 19] = [
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
];

const SECOND: i64 = 1_000_000;

/// A date or time.
#[derive(Clone, Debug)]
pub(super) enum Datetime {
    Date(i32),
    Time(i64),
    /// A time of day, and how many seconds east of UTC.
    Timetz(i64, i64),
    Timestamp(i64),
    /// An instant, and the distance from UTC that was said.
    Timestamptz(i64, dt::TimeZone),
}

impl Datetime {
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time without time zone",
            Self::Timetz(..) => "time with time zone",
            Self::Timestamp(_) => "timestamp without time zone",
            Self::Timestamptz(..) => "timestamp with time zone",
        }
    }

    /// As a string of JSON has it.
    pub fn print(&self) -> String {
        let (value, ty) = match self {
            Self::Timetz(time, zone) => return format!("{}{}", dt::print_time(*time), distance(*zone)),
            Self::Date(date) => (Value::Date(*date), SqlType::Date),
            Self::Time(time) => (Value::Time(*time), SqlType::Time(None)),
            Self::Timestamp(local) => (Value::Timestamp(*local), SqlType::Timestamp(None)),
            Self::Timestamptz(instant, _) => (Value::Timestamptz(*instant), SqlType::Timestamptz(None)),
        };
        let zone = match self {
            Self::Timestamptz(_, zone) => zone.clone(),
            _ => dt::TimeZone::utc(),
        };
        let quoted = json::to_json(&value, &ty, &Env { zone, ..Env::default() });
        quoted.trim_matches('"').to_owned()
    }

    /// The order of two: unknown for times of day and others.
    pub fn compare(&self, other: &Self, evaluation: &Evaluation<'_>) -> Walk<Option<Ordering>> {
        Ok(match (self, other) {
            (Self::Date(one), Self::Date(other)) => Some(one.cmp(other)),
            (Self::Time(one), Self::Time(other)) => Some(one.cmp(other)),
            (Self::Timetz(one, own_zone), Self::Timetz(other, zone)) => {
                Some(in_utc(*one, *own_zone).cmp(&in_utc(*other, *zone)).then_with(|| zone.cmp(own_zone)))
            }
            (Self::Time(time), Self::Timetz(..)) => return zoned_time(*time, evaluation)?.compare(other, evaluation),
            (Self::Timetz(..), Self::Time(time)) => return self.compare(&zoned_time(*time, evaluation)?, evaluation),
            (Self::Time(_) | Self::Timetz(..), _) | (_, Self::Time(_) | Self::Timetz(..)) => None,
            (Self::Timestamptz(one, _), Self::Timestamptz(other, _)) => Some(one.cmp(other)),
            (Self::Timestamptz(one, _), other) => Some(one.cmp(&other.instant(evaluation)?)),
            (one, Self::Timestamptz(other, _)) => Some(one.instant(evaluation)?.cmp(other)),
            (one, other) => Some(one.local().cmp(&other.local())),
        })
    }

    /// As a local time. Days that no timestamp reaches are behind all of these.
    fn local(&self) -> i64 {
        match self {
            Self::Date(date) => dt::date_to_timestamp(*date).unwrap_or(i64::MAX),
            Self::Time(local) | Self::Timetz(local, _) | Self::Timestamp(local) | Self::Timestamptz(local, _) => *local,
        }
    }

    /// As an instant, in the session's zone.
    fn instant(&self, evaluation: &Evaluation<'_>) -> Walk<i64> {
        if !evaluation.zoned {
            let name = if matches!(self, Self::Date(_)) { "date" } else { "timestamp" };
            return Err(needs_zone(name, "timestamptz"));
        }
        Ok(match self.local() {
            i64::MAX => i64::MAX,
            local => dt::timestamp_to_timestamptz(local, &evaluation.env.zone).map_err(Failure::Hard)?,
        })
    }
}

fn needs_zone(from: &str, to: &str) -> Failure {
    let message = format!("cannot convert value from {from} to {to} without time zone usage");
    let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
    Failure::Hard(error.hint("Use *_tz() function for time zone support."))
}

/// A time of day in the session's zone, as its clocks are now.
fn zoned_time(time: i64, evaluation: &Evaluation<'_>) -> Walk<Datetime> {
    if !evaluation.zoned {
        return Err(needs_zone("time", "timetz"));
    }
    let env = evaluation.env;
    Ok(Datetime::Timetz(time, env.zone.offset(env.now).into()))
}

const fn in_utc(time: i64, zone: i64) -> i64 {
    time - zone * SECOND
}

/// The distance from UTC: `+05:20`.
fn distance(zone: i64) -> String {
    let (sign, minutes) = (if zone < 0 { '-' } else { '+' }, zone.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

impl Evaluation<'_> {
    pub fn datetime(
        &self,
        template: Option<&str>,
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
    ) -> Walk<bool> {
        let Some(text) = item.string() else {
            let message = "jsonpath item method .datetime() can only be applied to a string";
            return soft(SqlState::INVALID_JSON_DATETIME_ARGUMENT, message);
        };
        let read = match template {
            Some(template) => read(text, template).map_err(Failure::Soft)?,
            None => FORMS.iter().find_map(|form| read(text, form).ok()).ok_or_else(|| {
                let message = format!("datetime format is not recognized: \"{text}\"");
                let error = SqlError::new(SqlState::INVALID_JSON_DATETIME_ARGUMENT, message);
                Failure::Soft(error.hint("Use a datetime template argument to specify the input data format."))
            })?,
        };
        self.go_on(place, View::Datetime(&read), at, found)
    }
}

/// What a text says by a template.
fn read(text: &str, template: &str) -> SqlResult<Datetime> {
    let read = read_standard(text, template)?;
    let wrong = |message: &str| Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message));
    Ok(match (read.dated, read.timed, read.zoned) {
        (true, true, true) => {
            let Some(zone) = read.zone() else {
                return wrong("missing time zone in input string for type timestamptz");
            };
            let instant = dt::check_timestamp(read.local(text)? - zone * SECOND)?;
            let fixed = i32::try_from(zone).ok().and_then(dt::TimeZone::fixed);
            Datetime::Timestamptz(instant, fixed.unwrap_or_else(dt::TimeZone::utc))
        }
        (true, true, false) => Datetime::Timestamp(read.local(text)?),
        (true, false, true) => return wrong("datetime format is zoned but not timed"),
        (true, false, false) => Datetime::Date(read.date(text)?),
        (false, true, true) => {
            let Some(zone) = read.zone() else {
                return wrong("missing time zone in input string for type timetz");
            };
            Datetime::Timetz(read.time(text)?, zone)
        }
        (false, true, false) => Datetime::Time(read.time(text)?),
        (false, false, _) => return wrong("datetime format is not dated and not timed"),
    })
}
