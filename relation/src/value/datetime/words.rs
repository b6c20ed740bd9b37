//! The words of dates, times and intervals.
//!
//! Source: PostgreSQL 15, the token tables of `datetime.c`. Only the first ten bytes of a word count.

/// How many bytes of a word count.
const SIGNIFICANT: usize = 10;

/// A unit of time, or a field that can be taken out of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Millionths of a second.
    Microsecond,
    /// Thousandths of a second.
    Millisecond,
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks.
    Week,
    /// Months.
    Month,
    /// Quarters of a year.
    Quarter,
    /// Years.
    Year,
    /// Ten years.
    Decade,
    /// A hundred years.
    Century,
    /// A thousand years.
    Millennium,
    /// Days since 4714-11-24 BC.
    Julian,
    /// The day of the week, Sunday is 0.
    DayOfWeek,
    /// The day of the week, Sunday is 7.
    IsoDayOfWeek,
    /// The day of the year.
    DayOfYear,
    /// The year that the week belongs to.
    IsoYear,
    /// Seconds ahead of UTC.
    Zone,
    /// The hours of them.
    ZoneHour,
    /// The minutes of them.
    ZoneMinute,
    /// Seconds since 1970.
    Epoch,
}

/// A word in a date or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `epoch`
    Epoch,
    /// `infinity`
    Infinity,
    /// `-infinity`
    NegativeInfinity,
    /// `now`
    Now,
    /// `yesterday`, `today`, `tomorrow`: days from today.
    Today(i64),
    /// `allballs`: midnight in UTC.
    Midnight,
    /// `am`, `pm`
    Meridiem(bool),
    /// `ad`, `bc`
    Era(bool),
    /// A month.
    Month(i64),
    /// A day of the week, which is not checked.
    Weekday,
    /// `dst`
    DaylightSaving,
    /// `t`, before a time.
    Time,
    /// A field's label, before its number.
    Label(Unit),
    /// `at`, `on`
    Noise,
}

fn significant(word: &str) -> &str {
    word.get(..SIGNIFICANT).unwrap_or(word)
}

/// The meaning of a word, in lower case, in a date or a time.
#[must_use]
pub fn word(text: &str) -> Option<Word> {
    Some(match significant(text) {
        "-infinity" => Word::NegativeInfinity,
        "infinity" => Word::Infinity,
        "epoch" => Word::Epoch,
        "now" => Word::Now,
        "yesterday" => Word::Today(-1),
        "today" => Word::Today(0),
        "tomorrow" => Word::Today(1),
        "allballs" => Word::Midnight,
        "am" => Word::Meridiem(false),
        "pm" => Word::Meridiem(true),
        "ad" => Word::Era(false),
        "bc" => Word::Era(true),
        "dst" => Word::DaylightSaving,
        "t" => Word::Time,
        "at" | "on" => Word::Noise,
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday" | "thu"
        | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => Word::Weekday,
        "y" => Word::Label(Unit::Year),
        "m" => Word::Label(Unit::Month),
        "d" => Word::Label(Unit::Day),
        "h" => Word::Label(Unit::Hour),
        "mm" => Word::Label(Unit::Minute),
        "s" => Word::Label(Unit::Second),
        "j" | "jd" | "julian" => Word::Label(Unit::Julian),
        "dow" => Word::Label(Unit::DayOfWeek),
        "doy" => Word::Label(Unit::DayOfYear),
        "isodow" => Word::Label(Unit::IsoDayOfWeek),
        "isoyear" => Word::Label(Unit::IsoYear),
        _ => return None,
    })
}

/// The unit that a word, in lower case, names in an interval.
#[must_use]
pub fn unit(text: &str) -> Option<Unit> {
    Some(match significant(text) {
        "us" | "usec" | "usecs" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "timezone" => Unit::Zone,
        "timezone_h" => Unit::ZoneHour,
        "timezone_m" => Unit::ZoneMinute,
        _ => return None,
    })
}

/// The field that a word, in lower case, names in `extract` and `date_part`.
#[must_use]
pub fn field(text: &str) -> Option<Unit> {
    unit(text).or_else(|| match word(text)? {
        Word::Label(unit) => Some(unit),
        Word::Epoch => Some(Unit::Epoch),
        _ => None,
    })
}
