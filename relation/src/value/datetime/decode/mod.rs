//! Text of dates and times, field by field.
//!
//! Source: PostgreSQL 15, `DecodeDateTime` and `DecodeTimeOnly`.

mod numbers;

use super::abbreviations::{Abbreviation, abbreviation};
use super::calendar::{Civil, Moment};
use super::fault::Fault;
use super::lex::{Field, Kind, split};
use super::parts::{
    DATE, DAY, DAYLIGHT_SAVING, ERA, MERIDIEM, MONTH, Mask, Parts, RESERVED, TIME, WEEKDAY, ZONE, ZONE_VARIES,
    leading_int,
};
use super::place::{Place, offset};
use super::words::{Unit, Word, word};
use super::{MICROS_PER_DAY, TimeZone};
use crate::value::Env;

/// What the text names.
#[derive(Clone, Debug)]
pub enum Decoded {
    /// A date and a time, and where its clock is.
    Local(Parts, Place),
    /// `epoch`
    Epoch,
    /// `infinity`
    Infinity,
    /// `-infinity`
    NegativeInfinity,
}

/// What the text may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Timestamp,
    Time,
}

/// Reads a date, with a time or without.
pub fn timestamp(text: &str, env: &Env) -> Result<Decoded, Fault> {
    Decoder::run(text, env, Goal::Timestamp)
}

/// Reads a time of day; a date may stand beside it where the name of a time zone needs one.
pub fn time(text: &str, env: &Env) -> Result<Parts, Fault> {
    match Decoder::run(text, env, Goal::Time)? {
        Decoded::Local(parts, _) => Ok(parts),
        _ => Err(Fault::Format),
    }
}

struct Decoder<'a> {
    env: &'a Env,
    goal: Goal,
    fields: &'a [Field],
    parts: Parts,
    place: Place,
    /// `epoch` and the infinities.
    reserved: Option<Decoded>,
    /// The unit whose number comes next, where numbers have labels; [`Label::Time`] for `t`.
    label: Option<Label>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Unit(Unit),
    Time,
}

impl<'a> Decoder<'a> {
    fn run(text: &str, env: &Env, goal: Goal) -> Result<Decoded, Fault> {
        let fields = split(text).ok_or(Fault::Format)?;
        let parts = Parts { order: env.date_order, ..Parts::default() };
        let mut decoder =
            Decoder { env, goal, fields: &fields, parts, place: Place::Session, reserved: None, label: None };
        for at in 0..fields.len() {
            let found = decoder.field(at)?;
            decoder.parts.add(found)?;
        }
        decoder.finish()
    }

    fn field(&mut self, at: usize) -> Result<Mask, Fault> {
        let fields: &'a [Field] = self.fields;
        let text = fields[at].text.as_str();
        match fields[at].kind {
            Kind::Date => self.date(at, text),
            Kind::Time => {
                if self.label.take().is_some_and(|label| label != Label::Time) {
                    return Err(Fault::Format);
                }
                let found = self.parts.read_time(text)?;
                if self.goal == Goal::Timestamp && self.parts.time_overflows() {
                    return Err(Fault::Field);
                }
                Ok(found)
            }
            Kind::Signed => {
                self.place = Place::Offset(offset(text)?);
                Ok(ZONE)
            }
            Kind::Number => match self.label.take() {
                Some(label) => self.labelled(label, text),
                None => self.number(at, text),
            },
            Kind::Word => self.word(at, text),
        }
    }

    fn date(&mut self, at: usize, text: &str) -> Result<Mask, Fault> {
        let digit_first = text.starts_with(|c: char| c.is_ascii_digit());
        let label = self.label;
        match self.goal {
            Goal::Timestamp if label == Some(Label::Unit(Unit::Julian)) => {
                let (days, zone) = leading_int(text)?;
                self.label = None;
                self.julian(days)?;
                self.place = Place::Offset(offset(zone)?);
                return Ok(DATE | TIME | ZONE);
            }
            Goal::Timestamp if label.is_none() && !self.parts.has(MONTH | DAY) => return self.parts.read_date(text),
            Goal::Time if at == 0 && self.has_date_first() => return self.parts.read_date(text),
            _ => {}
        }
        if !digit_first && (label.is_none() || self.goal == Goal::Time) {
            self.place = Place::Zone(TimeZone::named(text).ok_or_else(|| Fault::UnknownZone(text.to_owned()))?);
            return Ok(ZONE);
        }
        if self.goal == Goal::Timestamp && self.label.take().is_some_and(|label| label != Label::Time) {
            return Err(Fault::Format);
        }
        if self.parts.has(TIME) {
            return Err(Fault::Format);
        }
        // A time that runs together, with a distance from UTC: `040506-08`.
        let dash = text.find('-').ok_or(Fault::Format)?;
        self.place = Place::Offset(offset(&text[dash..])?);
        let known = self.parts.mask | if self.goal == Goal::Time { DATE } else { 0 };
        Ok(self.parts.read_digits(&text[..dash], known)? | ZONE)
    }

    /// Whether text of a time begins with a date, which decides what a time zone's name means.
    fn has_date_first(&self) -> bool {
        self.fields.len() >= 2
            && (self.fields.last().is_some_and(|field| field.kind == Kind::Date) || self.fields[1].kind == Kind::Time)
    }

    fn word(&mut self, at: usize, text: &str) -> Result<Mask, Fault> {
        if let Some(meaning) = abbreviation(text) {
            let varies = !matches!(meaning, Abbreviation::Fixed(_, false));
            self.place = match meaning {
                Abbreviation::Fixed(seconds, _) => Place::Offset(i64::from(seconds)),
                Abbreviation::Zone(zone) => Place::Abbreviation(text.to_owned(), zone),
            };
            return Ok(if varies { ZONE | ZONE_VARIES } else { ZONE });
        }
        let Some(meaning) = word(text) else {
            self.place = Place::Zone(TimeZone::named(text).ok_or(Fault::Format)?);
            return Ok(ZONE);
        };
        let timestamp = self.goal == Goal::Timestamp;
        match meaning {
            Word::Noise => Ok(0),
            Word::Now => Ok(self.now()),
            Word::Midnight => {
                (self.parts.hour, self.parts.minute, self.parts.second) = (0, 0, 0);
                self.place = Place::Offset(0);
                Ok(TIME | ZONE)
            }
            Word::Today(days) if timestamp => {
                let today = self.env.zone.to_local(self.env.now).unwrap_or(self.env.now).div_euclid(MICROS_PER_DAY);
                self.parts.set_date(Civil::from_days(today + days));
                Ok(DATE)
            }
            Word::Epoch if timestamp => Ok(self.reserve(Decoded::Epoch)),
            Word::Infinity if timestamp => Ok(self.reserve(Decoded::Infinity)),
            Word::NegativeInfinity if timestamp => Ok(self.reserve(Decoded::NegativeInfinity)),
            Word::Month(month) if timestamp => Ok(self.month(month)),
            Word::Weekday if timestamp => Ok(WEEKDAY),
            Word::DaylightSaving => {
                let seconds = if let Place::Offset(seconds) = self.place { seconds } else { 0 };
                self.place = Place::Offset(seconds + 3600);
                Ok(DAYLIGHT_SAVING | ZONE_VARIES)
            }
            Word::Meridiem(afternoon) => {
                self.parts.afternoon = Some(afternoon);
                Ok(MERIDIEM)
            }
            Word::Era(before_christ) => {
                self.parts.before_christ = before_christ;
                Ok(ERA)
            }
            Word::Label(unit) => {
                self.label = Some(Label::Unit(unit));
                Ok(0)
            }
            Word::Time => {
                let follows = |field: &Field| matches!(field.kind, Kind::Number | Kind::Time | Kind::Date);
                if timestamp && !self.parts.has(DATE) || !self.fields.get(at + 1).is_some_and(follows) {
                    return Err(Fault::Format);
                }
                self.label = Some(Label::Time);
                Ok(0)
            }
            _ => Err(Fault::Format),
        }
    }

    fn reserve(&mut self, decoded: Decoded) -> Mask {
        self.reserved = Some(decoded);
        RESERVED
    }

    fn now(&mut self) -> Mask {
        let offset = i64::from(self.env.zone.offset(self.env.now));
        let moment = Moment::from_local(self.env.now + offset * super::MICROS_PER_SECOND);
        self.set_time(&moment);
        if self.goal == Goal::Time {
            return TIME;
        }
        self.parts.set_date(moment.date);
        self.place = Place::Offset(offset);
        DATE | TIME | ZONE
    }

    /// A month's name; a number that was taken for the month is the day then.
    fn month(&mut self, month: i64) -> Mask {
        let parts = &mut self.parts;
        let swap = parts.has(MONTH) && !parts.named_month && !parts.has(DAY) && (1..=31).contains(&parts.month);
        if swap {
            parts.day = parts.month;
        }
        (parts.month, parts.named_month) = (month, true);
        if swap { DAY } else { MONTH }
    }

    fn finish(mut self) -> Result<Decoded, Fault> {
        self.parts.check_date()?;
        self.parts.apply_meridiem()?;
        if let Some(reserved) = self.reserved {
            return Ok(reserved);
        }
        let complete = match self.goal {
            Goal::Timestamp => self.parts.has(DATE),
            Goal::Time if self.parts.time_overflows() => return Err(Fault::Field),
            Goal::Time => self.parts.has(TIME),
        };
        let daylight_alone = self.parts.has(DAYLIGHT_SAVING) && !matches!(self.place, Place::Offset(_));
        if !complete || daylight_alone || self.parts.has(DAYLIGHT_SAVING) && !self.parts.has(ZONE) {
            return Err(Fault::Format);
        }
        if let (Goal::Time, Place::Zone(zone)) = (self.goal, &self.place)
            && !self.parts.has(DATE)
            && !zone.is_fixed()
        {
            return Err(Fault::Format);
        }
        Ok(Decoded::Local(self.parts, self.place))
    }
}
