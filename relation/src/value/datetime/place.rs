//! Where a clock is: what text says about time zones.

use super::TimeZone;
use super::calendar::join;
use super::fault::Fault;
use super::parts::{Parts, leading_int};

/// Where a clock is.
#[derive(Clone, Debug)]
pub enum Place {
    /// Where the session is.
    Session,
    /// Seconds ahead of UTC.
    Offset(i64),
    /// In a zone.
    Zone(TimeZone),
    /// In a zone, while a short name of it is in use.
    Abbreviation(String, TimeZone),
}

impl Place {
    /// How many seconds a clock that shows this time is ahead of UTC.
    pub fn offset(&self, parts: &Parts, session: &TimeZone) -> i64 {
        let shown = || join(parts.date().days(), parts.of_day()).unwrap_or_default();
        match self {
            Self::Offset(seconds) => *seconds,
            Self::Session => i64::from(session.offset_of_local(shown())),
            Self::Zone(zone) => i64::from(zone.offset_of_local(shown())),
            Self::Abbreviation(name, zone) => i64::from(zone.offset_of_abbreviation(name, shown())),
        }
    }
}

/// A distance from UTC with its sign, `+5`, `-03:30`, `+0530`, in seconds to the east.
pub fn offset(text: &str) -> Result<i64, Fault> {
    let west = match text.as_bytes().first() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return Err(Fault::Format),
    };
    let number = |text| leading_int(text).map_err(|_| Fault::ZoneDisplacement);
    let (mut hour, mut rest) = number(&text[1..])?;
    let (mut minute, mut second) = (0, 0);
    if let Some(minutes) = rest.strip_prefix(':') {
        (minute, rest) = number(minutes)?;
        if let Some(seconds) = rest.strip_prefix(':') {
            (second, rest) = number(seconds)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hour, minute) = (hour / 100, hour % 100);
    }
    if !(0..=15).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return Err(Fault::ZoneDisplacement);
    }
    if !rest.is_empty() {
        return Err(Fault::Format);
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    Ok(if west { -seconds } else { seconds })
}
