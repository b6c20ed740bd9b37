//! Intervals as ISO 8601 writes them.
//!
//! Source: PostgreSQL 15, `DecodeISO8601Interval`.

use super::MICROS_PER_DAY;
use super::fault::Fault;
use super::interval_input::Sum;
use super::words::Unit;
use crate::value::number::number_length;

/// Numbers beyond it would lose digits.
const MAX_NUMBER: f64 = 1.0e15;

impl Sum {
    /// Reads `P1Y2M3DT4H5M6S`, `P0001-02-03T04:05:06` or `P00010203T040506`.
    pub fn read_iso(text: &str) -> Result<Self, Fault> {
        let rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Fault::Format)?;
        let mut sum = Self::default();
        let (date, time) = match rest.split_once('T') {
            Some((date, time)) => (date, time),
            None => (rest, ""),
        };
        sum.read_iso_half(date, &ISO_DATE, true)?;
        // More than one `T` says nothing, but numbers without letters must be the last of the time.
        let mut times = time.split('T').peekable();
        while let Some(time) = times.next() {
            sum.read_iso_half(time, &ISO_TIME, times.peek().is_none())?;
        }
        Ok(sum)
    }

    fn read_iso_half(&mut self, text: &str, form: &IsoHalf, is_last: bool) -> Result<(), Fault> {
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = IsoNumber::read(rest)?;
            let designator = after.chars().next();
            let unit = form.designators.iter().find(|(letter, _)| Some(*letter) == designator);
            if let Some((letter, unit)) = unit {
                self.add_unit(*unit, number.whole, number.part)?;
                rest = &after[letter.len_utf8()..];
                continue;
            }
            if !is_last || rest.len() != text.len() || !(after.is_empty() || designator == Some(form.delimiter)) {
                return Err(Fault::Format);
            }
            return if after.is_empty() && number.digits == form.digits {
                self.add_run_together(&number, form)
            } else {
                self.add_delimited(number, after, form)
            };
        }
        Ok(())
    }

    /// `00010203`, `040506`
    fn add_run_together(&mut self, number: &IsoNumber, form: &IsoHalf) -> Result<(), Fault> {
        let [first, second, third] = form.order;
        self.add_unit(first, number.whole / 10_000, 0.0)?;
        self.add_unit(second, number.whole / 100 % 100, 0.0)?;
        self.add_unit(third, number.whole % 100, 0.0)?;
        self.add_part_of_micros(number.part, form.part_of_last).ok_or(Fault::Field)
    }

    /// `0001-02-03`, `04:05:06`
    fn add_delimited(&mut self, first: IsoNumber, mut rest: &str, form: &IsoHalf) -> Result<(), Fault> {
        let mut number = first;
        for (at, unit) in form.order.into_iter().enumerate() {
            self.add_unit(unit, number.whole, number.part)?;
            if rest.is_empty() {
                return Ok(());
            }
            if at < 2 {
                (number, rest) = IsoNumber::read(rest.strip_prefix(form.delimiter).ok_or(Fault::Format)?)?;
            }
        }
        Err(Fault::Format)
    }
}

/// How ISO 8601 writes the half before or behind `T`.
struct IsoHalf {
    designators: &'static [(char, Unit)],
    delimiter: char,
    digits: usize,
    order: [Unit; 3],
    part_of_last: i64,
}

const ISO_DATE: IsoHalf = IsoHalf {
    designators: &[('Y', Unit::Year), ('M', Unit::Month), ('W', Unit::Week), ('D', Unit::Day)],
    delimiter: '-',
    digits: 8,
    order: [Unit::Year, Unit::Month, Unit::Day],
    part_of_last: MICROS_PER_DAY,
};

const ISO_TIME: IsoHalf = IsoHalf {
    designators: &[('H', Unit::Hour), ('M', Unit::Minute), ('S', Unit::Second)],
    delimiter: ':',
    digits: 6,
    order: [Unit::Hour, Unit::Minute, Unit::Second],
    part_of_last: 1,
};

/// A number of ISO 8601.
struct IsoNumber {
    whole: i64,
    part: f64,
    /// How many digits it begins with.
    digits: usize,
}

impl IsoNumber {
    fn read(text: &str) -> Result<(Self, &str), Fault> {
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.')) {
            return Err(Fault::Format);
        }
        let length = number_length(text);
        let value: f64 = text[..length].parse().map_err(|_| Fault::Format)?;
        if value.abs() > MAX_NUMBER {
            return Err(Fault::Field);
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        Ok((Self { whole: value.trunc() as i64, part: value - value.trunc(), digits }, &text[length..]))
    }
}
