//! Time zones: what clocks show at an instant, and which instant a clock's time means.
//!
//! Source: the IANA time zone database, compiled into the program; PostgreSQL's rules for local times that daylight
//! saving skips or repeats.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone as Rules, TimeZoneDatabase};

use super::{MICROS_PER_SECOND, UNIX_EPOCH_SECONDS};

/// The Gregorian calendar, and with it every zone's rules, repeats after 400 years.
const CYCLE_SECONDS: i64 = 146_097 * 86_400;
/// Instants of the years 1 to 9600, in seconds since 1970: others are looked up whole cycles away.
const LOOKED_UP: std::ops::Range<i64> = -62_135_596_800..240_784_617_600;

/// How many changes of a zone's clocks are looked at for a short name of it.
const MAX_CHANGES: usize = 500;

/// A time zone: an area's rules with their history, or a fixed distance from UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeZone {
    name: Arc<str>,
    rules: Rules,
}

/// What a zone's clocks do at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalClock {
    /// Seconds ahead of UTC.
    pub offset: i32,
    /// Whether daylight saving is on.
    pub is_dst: bool,
    /// The short name: `CET`, `+03`.
    pub abbreviation: String,
}

impl TimeZone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: Rules::UTC }
    }

    /// A fixed distance from UTC, in seconds to the east; none beyond a week of hours.
    #[must_use]
    pub fn fixed(seconds: i32) -> Option<Self> {
        let rules = Rules::fixed(Offset::from_seconds(seconds).ok()?);
        let text = |seconds: i32| {
            let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (h, 0, 0) => format!("{sign}{h:02}"),
                (h, m, 0) => format!("{sign}{h:02}:{m:02}"),
                (h, m, s) => format!("{sign}{h:02}:{m:02}:{s:02}"),
            }
        };
        Some(Self { name: format!("<{}>{}", text(seconds), text(-seconds)).into(), rules })
    }

    /// The zone with a name of the IANA database in any case (`europe/berlin`), or with rules as POSIX writes them
    /// (`CET-1CEST`, `<+03>-3`).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Self::utc());
        }
        if let Ok(rules) = TimeZoneDatabase::bundled().get(name) {
            let name = rules.iana_name().unwrap_or(name).into();
            return Some(Self { name, rules });
        }
        // PostgreSQL lets the name of POSIX's rules be empty: `+3` is three hours to the west, as `UTC+3`.
        let nameless = name.starts_with(|c: char| matches!(c, '+' | '-') || c.is_ascii_digit());
        let rules = if nameless { Rules::posix(&format!("UTC{name}")) } else { Rules::posix(name) };
        // Without rules of its own, daylight saving is that of the United States.
        let rules = rules.or_else(|_| Rules::posix(&format!("{name},M3.2.0,M11.1.0")));
        match rules {
            Ok(rules) => Some(Self { name: name.into(), rules }),
            Err(_) => Self::quoted(name),
        }
    }

    /// `<-01:30>+01:30`: a name in brackets, which may have colons here, and the distance to the west.
    fn quoted(name: &str) -> Option<Self> {
        let (_, distance) = name.strip_prefix('<')?.split_once('>')?;
        let distance = distance.starts_with(['+', '-']).then_some(distance)?;
        let seconds = super::place::offset(distance).ok()?;
        let rules = Rules::fixed(Offset::from_seconds(i32::try_from(-seconds).ok()?).ok()?);
        Some(Self { name: name.into(), rules })
    }

    /// The zone that the setting `TimeZone` names: as [`TimeZone::named`], or hours to the east (`-3.5`).
    #[must_use]
    pub fn setting(text: &str) -> Option<Self> {
        match text.trim().parse::<f64>() {
            Ok(hours) if hours.is_finite() => Self::fixed((hours * 3600.0) as i32),
            Ok(_) => None,
            Err(_) => Self::named(text.trim()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of all zones.
    #[must_use]
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// What its clocks do at an instant: microseconds since 2000-01-01 UTC.
    #[must_use]
    pub fn clock(&self, instant: i64) -> LocalClock {
        let info = self.rules.to_offset_info(lookup(instant));
        LocalClock {
            offset: info.offset().seconds(),
            is_dst: info.dst().is_dst(),
            abbreviation: info.abbreviation().to_owned(),
        }
    }

    /// How many seconds its clocks are ahead of UTC at an instant.
    #[must_use]
    pub fn offset(&self, instant: i64) -> i32 {
        self.rules.to_offset(lookup(instant)).seconds()
    }

    /// How many seconds its clocks are ahead of UTC when they show a local time.
    ///
    /// A skipped time is read as before the jump, a repeated one as its second occurrence, as PostgreSQL does.
    #[must_use]
    pub fn offset_of_local(&self, local: i64) -> i32 {
        let shown = Offset::UTC.to_datetime(lookup(local));
        match self.rules.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        }
        .seconds()
    }

    /// Whether its clocks never change.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.rules.to_fixed_offset().is_ok()
            || self.rules.preceding(Timestamp::MAX).next().is_none_or(|last| last.timestamp() == Timestamp::MIN)
    }

    /// How many seconds its clocks are ahead of UTC when they show a local time and a short name of the zone is given
    /// with it: where the name was in use last until then, or first after it; never in use, it says nothing.
    #[must_use]
    pub fn offset_of_abbreviation(&self, name: &str, local: i64) -> i32 {
        let guess = self.offset_of_local(local);
        self.use_of(name, local.saturating_sub(i64::from(guess) * MICROS_PER_SECOND)).unwrap_or(guess)
    }

    /// How many seconds a clock is ahead of UTC that goes by a short name of the zone, at an instant: as
    /// [`TimeZone::offset_of_abbreviation`].
    #[must_use]
    pub fn offset_of_abbreviation_at(&self, name: &str, instant: i64) -> i32 {
        self.use_of(name, instant).unwrap_or_else(|| self.offset(instant))
    }

    /// The distance from UTC, in seconds, that a short name stood for when it was in use last, or first after it.
    fn use_of(&self, name: &str, instant: i64) -> Option<i32> {
        let around = lookup(instant);
        let now = self.rules.to_offset_info(around);
        if now.abbreviation().eq_ignore_ascii_case(name) {
            return Some(now.offset().seconds());
        }
        let before = self
            .rules
            .preceding(around)
            .take(MAX_CHANGES)
            .find(|change| change.abbreviation().eq_ignore_ascii_case(name));
        if let Some(change) = before {
            return Some(change.offset().seconds());
        }
        // Rules without an end would be followed forever.
        let mut after = self.rules.following(around).take(MAX_CHANGES);
        let change = after.find(|change| change.abbreviation().eq_ignore_ascii_case(name));
        change.map(|change| change.offset().seconds())
    }

    /// The local time at an instant; none beyond what 64 bits hold.
    #[must_use]
    pub fn to_local(&self, instant: i64) -> Option<i64> {
        instant.checked_add(i64::from(self.offset(instant)) * MICROS_PER_SECOND)
    }

    /// The instant of a local time; none beyond what 64 bits hold.
    #[must_use]
    pub fn to_instant(&self, local: i64) -> Option<i64> {
        local.checked_sub(i64::from(self.offset_of_local(local)) * MICROS_PER_SECOND)
    }
}

/// The instant where the rules are looked up, whole cycles away if it is far from now.
fn lookup(micros: i64) -> Timestamp {
    let mut seconds = micros.div_euclid(MICROS_PER_SECOND).saturating_add(UNIX_EPOCH_SECONDS);
    if seconds >= LOOKED_UP.end {
        seconds -= ((seconds - LOOKED_UP.end) / CYCLE_SECONDS + 1) * CYCLE_SECONDS;
    }
    if seconds < LOOKED_UP.start {
        seconds += ((LOOKED_UP.start - seconds - 1) / CYCLE_SECONDS + 1) * CYCLE_SECONDS;
    }
    Timestamp::from_second(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400 * MICROS_PER_SECOND;
    const HOUR: i64 = 3600 * MICROS_PER_SECOND;

    #[test]
    fn skipped_and_repeated_times_are_read_as_postgres_does() {
        let berlin = TimeZone::named("europe/BERLIN").unwrap();
        assert_eq!(berlin.name(), "Europe/Berlin");
        // 2000-03-26 02:30 does not exist, 2000-10-29 02:30 exists twice.
        let (spring, autumn) = (85 * DAY, 302 * DAY);
        assert_eq!(berlin.offset_of_local(spring + 5 * HOUR / 2), 3600);
        assert_eq!(berlin.offset_of_local(autumn + 5 * HOUR / 2), 3600);
        assert_eq!(berlin.offset(spring), 3600);
        assert_eq!(berlin.clock(spring + HOUR).abbreviation, "CEST");
        assert!(berlin.clock(autumn).is_dst);
    }

    #[test]
    fn far_years_follow_the_same_rules() {
        let berlin = TimeZone::named("Europe/Berlin").unwrap();
        let cycles = 100 * CYCLE_SECONDS * MICROS_PER_SECOND;
        assert_eq!(berlin.offset(cycles), 3600);
        assert_eq!(berlin.offset(cycles + 200 * DAY), 7200);
        assert_eq!(berlin.offset(-12 * CYCLE_SECONDS * MICROS_PER_SECOND), 3208);
    }

    #[test]
    fn zones_have_many_names() {
        assert_eq!(TimeZone::setting("-3.5").unwrap().name(), "<-03:30>+03:30");
        assert_eq!(TimeZone::named("CET-1CEST,M3.5.0,M10.5.0/3").unwrap().offset(200 * DAY), 7200);
        assert_eq!(TimeZone::named("<+03>-3").unwrap().offset(0), 10_800);
        assert_eq!(TimeZone::named("<-01:30>+01:30").unwrap().offset(0), -5400);
        assert_eq!(TimeZone::named("FOO8BAR").unwrap().offset(200 * DAY), -25_200);
        assert_eq!(TimeZone::setting("04:30").unwrap().offset(0), -16_200);
        for unknown in ["", "Mars/Phobos", "nan", "foo"] {
            assert_eq!(TimeZone::setting(unknown), None, "{unknown}");
        }
    }
}
