//! Text of intervals, in four styles.
//!
//! Source: PostgreSQL 15, `EncodeInterval`.

use std::fmt::Write as _;

use super::Interval;
use super::interval::IntervalParts;
use super::output::print_seconds;
use crate::value::IntervalStyle;

/// The text of an `interval`.
#[must_use]
pub fn print_interval(interval: &Interval, style: IntervalStyle) -> String {
    let shown = interval.parts();
    match style {
        IntervalStyle::Postgres => shown.postgres(),
        IntervalStyle::PostgresVerbose => shown.verbose(),
        IntervalStyle::SqlStandard => shown.sql_standard(),
        IntervalStyle::Iso8601 => shown.iso_8601(),
    }
}

impl IntervalParts {
    const fn time(&self) -> [i64; 4] {
        [self.hours, self.minutes, self.seconds, self.micros]
    }

    fn has_time(&self) -> bool {
        self.time().iter().any(|part| *part != 0)
    }

    fn is_time_negative(&self) -> bool {
        self.time().iter().any(|part| *part < 0)
    }

    /// `4:05:06.7`, the hours with so many digits at least.
    fn clock(&self, width: usize) -> String {
        let mut out = format!("{:0width$}:{:02}:", self.hours.abs(), self.minutes.abs());
        print_seconds(&mut out, self.seconds.abs(), self.micros.abs());
        out
    }

    /// `6.7`, without a sign and without zeros in front.
    fn plain_seconds(&self) -> String {
        let mut out = String::new();
        print_seconds(&mut out, self.seconds.abs(), self.micros.abs());
        if self.seconds.abs() < 10 { out.split_off(1) } else { out }
    }

    fn postgres(&self) -> String {
        let mut out = String::new();
        let mut negative_before = false;
        for (value, unit) in [(self.years, "year"), (self.months, "mon"), (self.days, "day")] {
            if value != 0 {
                let space = if out.is_empty() { "" } else { " " };
                let sign = if negative_before && value > 0 { "+" } else { "" };
                let plural = if value == 1 { "" } else { "s" };
                let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
                negative_before = value < 0;
            }
        }
        if out.is_empty() || self.has_time() {
            let sign = match (self.is_time_negative(), negative_before) {
                (true, _) => "-",
                (false, true) => "+",
                (false, false) => "",
            };
            let space = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{space}{sign}{}", self.clock(2));
        }
        out
    }

    /// The first part's sign is that of the whole, said by `ago` at the end; others have a sign where theirs differs.
    fn verbose(&self) -> String {
        let mut out = String::from("@");
        let mut ago = None;
        let units = [
            (self.years, "year"),
            (self.months, "mon"),
            (self.days, "day"),
            (self.hours, "hour"),
            (self.minutes, "min"),
        ];
        for (value, unit) in units.into_iter().filter(|(value, _)| *value != 0) {
            let before = *ago.get_or_insert(value < 0);
            let value = if before { -value } else { value };
            let plural = if value == 1 { "" } else { "s" };
            let _ = write!(out, " {value} {unit}{plural}");
        }
        if self.seconds != 0 || self.micros != 0 {
            let negative = self.seconds < 0 || self.micros < 0;
            let sign = if *ago.get_or_insert(negative) == negative { "" } else { "-" };
            let plural = if self.seconds.abs() == 1 && self.micros == 0 { "" } else { "s" };
            let _ = write!(out, " {sign}{} sec{plural}", self.plain_seconds());
        }
        match ago {
            None => out.push_str(" 0"),
            Some(true) => out.push_str(" ago"),
            Some(false) => {}
        }
        out
    }

    /// The standard has intervals of years and months, and of days and time, with one sign each; for others all signs
    /// are written.
    fn sql_standard(&self) -> String {
        let parts = [self.years, self.months, self.days, self.hours, self.minutes, self.seconds, self.micros];
        let negative = parts.iter().any(|part| *part < 0);
        let positive = parts.iter().any(|part| *part > 0);
        let has_months = self.years != 0 || self.months != 0;
        let has_day_time = self.days != 0 || self.has_time();
        if !negative && !positive {
            return "0".to_owned();
        }
        let (years, months, days) = (self.years.abs(), self.months.abs(), self.days.abs());
        if negative && positive || has_months && has_day_time {
            let sign = |negative| if negative { '-' } else { '+' };
            let (of_months, of_days) = (sign(self.years < 0 || self.months < 0), sign(self.days < 0));
            let of_time = sign(self.is_time_negative());
            return format!("{of_months}{years}-{months} {of_days}{days} {of_time}{}", self.clock(1));
        }
        let sign = if negative { "-" } else { "" };
        if has_months {
            format!("{sign}{years}-{months}")
        } else if days != 0 {
            format!("{sign}{days} {}", self.clock(1))
        } else {
            format!("{sign}{}", self.clock(1))
        }
    }

    fn iso_8601(&self) -> String {
        let mut out = String::from("P");
        let part = |out: &mut String, value: i64, letter: char| {
            if value != 0 {
                let _ = write!(out, "{value}{letter}");
            }
        };
        part(&mut out, self.years, 'Y');
        part(&mut out, self.months, 'M');
        part(&mut out, self.days, 'D');
        if self.has_time() {
            out.push('T');
            part(&mut out, self.hours, 'H');
            part(&mut out, self.minutes, 'M');
            if self.seconds != 0 || self.micros != 0 {
                let sign = if self.seconds < 0 || self.micros < 0 { "-" } else { "" };
                let _ = write!(out, "{sign}{}S", self.plain_seconds());
            }
        }
        if out == "P" { "PT0S".to_owned() } else { out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::datetime::parse_interval;

    /// Recorded from PostgreSQL 15.
    const STYLES: &str = include_str!("interval_styles.tsv");

    #[test]
    fn intervals_are_printed_in_the_style_of_the_session() {
        for line in STYLES.lines() {
            let mut columns = line.split('\t');
            let text = columns.next().unwrap();
            let interval = parse_interval(text, None, IntervalStyle::Postgres).unwrap();
            for style in [
                IntervalStyle::Postgres,
                IntervalStyle::PostgresVerbose,
                IntervalStyle::SqlStandard,
                IntervalStyle::Iso8601,
            ] {
                let printed = print_interval(&interval, style);
                assert_eq!(columns.next(), Some(printed.as_str()), "{text} {style:?}");
                assert_eq!(parse_interval(&printed, None, style), Ok(interval), "{printed}");
            }
        }
    }
}
