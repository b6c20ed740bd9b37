//! What can be wrong with the text of a date, a time or an interval.

use crate::value::errors::invalid_syntax;
use crate::{SqlError, error::SqlState};

/// What is wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no such value.
    Format,
    /// A field is out of its range.
    Field,
    /// The month or the day is out of its range: perhaps they are in another order.
    MonthOrDay,
    /// A distance from UTC is out of its range.
    ZoneDisplacement,
    /// There is no such time zone.
    UnknownZone(String),
}

impl Fault {
    /// The error for text of a type.
    #[must_use]
    pub fn error(self, text: &str, ty: &str) -> SqlError {
        let out_of_range = |state, what: &str| SqlError::new(state, format!("{what} out of range: \"{text}\""));
        let field = |what| out_of_range(SqlState::DATETIME_FIELD_OVERFLOW, what);
        match self {
            Self::Format => {
                let message = invalid_syntax(ty, text).to_string();
                SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
            }
            Self::Field if ty == "interval" => out_of_range(SqlState::INTERVAL_FIELD_OVERFLOW, "interval field value"),
            Self::Field => field("date/time field value"),
            Self::MonthOrDay => {
                field("date/time field value").hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Self::ZoneDisplacement => out_of_range(SqlState::INVALID_TIME_ZONE_DISPLACEMENT, "time zone displacement"),
            Self::UnknownZone(name) => unknown_zone(&name),
        }
    }
}

/// `22023`
pub fn unknown_zone(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
}
