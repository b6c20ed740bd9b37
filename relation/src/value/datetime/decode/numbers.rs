//! Numbers in dates and times: with the label of their unit, or with the meaning of what is still missing.

use super::{Decoder, Goal, Label};
use crate::value::datetime::calendar::{Civil, Moment};
use crate::value::datetime::fault::Fault;
use crate::value::datetime::lex::Kind;
use crate::value::datetime::parts::{
    DATE, DAY, FRACTION, HOUR, MINUTE, MONTH, Mask, SECOND, TIME, YEAR, fraction, fraction_micros, leading_int,
};
use crate::value::datetime::words::Unit;
use crate::value::datetime::{FIRST_DAY, MICROS_PER_DAY};

impl Decoder<'_> {
    pub(super) fn julian(&mut self, days: i64) -> Result<(), Fault> {
        if days < 0 {
            return Err(Fault::Field);
        }
        self.parts.set_date(Civil::from_days(days + i64::from(FIRST_DAY)));
        self.parts.julian = true;
        Ok(())
    }

    /// A number whose unit stands before it: `y2001m02d04`.
    pub(super) fn labelled(&mut self, label: Label, text: &str) -> Result<Mask, Fault> {
        let (value, rest) = leading_int(text)?;
        let may_have_fraction = matches!(label, Label::Time | Label::Unit(Unit::Julian | Unit::Second));
        if !(rest.is_empty() || rest.starts_with('.') && may_have_fraction) {
            return Err(Fault::Format);
        }
        let Label::Unit(unit) = label else {
            let found = self.parts.read_digits(text, self.parts.mask | DATE)?;
            return if found == TIME { Ok(found) } else { Err(Fault::Format) };
        };
        let parts = &mut self.parts;
        Ok(match unit {
            Unit::Year => {
                parts.year = value;
                YEAR
            }
            Unit::Month if parts.has(MONTH | HOUR) => {
                parts.minute = value;
                MINUTE
            }
            Unit::Month => {
                parts.month = value;
                MONTH
            }
            Unit::Day => {
                parts.day = value;
                DAY
            }
            Unit::Hour => {
                parts.hour = value;
                HOUR
            }
            Unit::Minute => {
                parts.minute = value;
                MINUTE
            }
            Unit::Second => {
                parts.second = value;
                if rest.is_empty() {
                    return Ok(SECOND);
                }
                parts.micros = fraction_micros(rest)?;
                SECOND | FRACTION
            }
            Unit::Julian => {
                self.julian(value)?;
                if rest.is_empty() {
                    return Ok(DATE);
                }
                let micros = (fraction(rest)? * MICROS_PER_DAY as f64) as i64;
                self.set_time(&Moment::from_local(micros));
                DATE | TIME
            }
            _ => return Err(Fault::Format),
        })
    }

    pub(super) fn set_time(&mut self, moment: &Moment) {
        let parts = &mut self.parts;
        (parts.hour, parts.minute, parts.second, parts.micros) =
            (moment.hour, moment.minute, moment.second, moment.micros);
    }

    pub(super) fn number(&mut self, at: usize, text: &str) -> Result<Mask, Fault> {
        let known = self.parts.mask;
        let before_point = text.find('.');
        if self.goal == Goal::Time {
            let known = known | DATE;
            return match before_point {
                Some(_)
                    if at == 0
                        && self.fields.len() >= 2
                        && self.fields.last().is_some_and(|f| f.kind == Kind::Date) =>
                {
                    self.parts.read_date(text)
                }
                Some(length) if length <= 2 => Err(Fault::Format),
                // Digits behind a complete date are a time that runs together.
                _ => self.parts.read_digits(text, known),
            };
        }
        let complete = known & DATE != 0 && known & TIME != 0;
        match before_point {
            Some(_) if known & DATE == 0 => self.parts.read_date(text),
            Some(length) if length > 2 => self.parts.read_digits(text, known),
            _ if text.len() >= 6 && !complete => self.parts.read_digits(text, known),
            _ => self.parts.read_number(text, self.parts.named_month),
        }
    }
}
