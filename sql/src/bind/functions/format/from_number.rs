//! `to_number`.

use annulus_relation::value::Numeric;
use annulus_relation::{SqlError, SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::text;
use super::number_template::{Part, Template};

pub(in super::super) const TABLE: &[Entry] = &[entry("to_number(text,text) numeric", to_number).stable()];

fn to_number(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let template = Template::parse(text(args, 1)?)?;
    if template.exponent || template.roman {
        return Err(SqlError::unsupported("EEEE or RN in to_number"));
    }
    if text(args, 1)?.is_empty() {
        return Ok(Value::Null);
    }
    let mut reader = Reader { rest: text(args, 0)?, negative: false, digits: String::new() };
    for part in &template.parts {
        reader.part(part, &template);
    }
    let mut number = Numeric::parse(&reader.finish())?;
    if template.shifted {
        let factor = Numeric::from(10i64).power(&Numeric::from(i64::try_from(template.shift).unwrap_or(0)))?;
        number = number.div(&factor)?;
    }
    Ok(Value::Numeric(number))
}

struct Reader<'a> {
    rest: &'a str,
    negative: bool,
    digits: String,
}

impl Reader<'_> {
    fn part(&mut self, part: &Part, template: &Template) {
        match part {
            Part::Digit | Part::Zero => self.digit(template),
            Part::Point => {
                if self.take('.') {
                    self.digits.push('.');
                }
            }
            Part::Group => {
                self.take(',');
            }
            Part::Sign | Part::Minus | Part::Plus | Part::PlusMinus => self.sign(),
            Part::Brackets => {
                self.take('>');
            }
            Part::Currency | Part::Literal(_) => self.skip(),
            Part::Ordinal(_) => {
                self.skip();
                self.skip();
            }
            Part::Shift | Part::Roman(_) | Part::Exponent | Part::Nothing => {}
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A place of the template that is text takes a character, but no part of the number.
    fn skip(&mut self) {
        let mut characters = self.rest.chars();
        if characters.next().is_some_and(|c| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '-' | '+')) {
            self.rest = characters.as_str();
        }
    }

    fn sign(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
        if self.take('-') {
            self.negative = true;
        } else {
            self.take('+');
        }
    }

    fn digit(&mut self, template: &Template) {
        if !self.digits.contains(|c: char| c.is_ascii_digit()) {
            self.rest = self.rest.trim_start_matches(' ');
            if template.brackets && self.take('<') || self.take('-') {
                self.negative = true;
            } else {
                self.take('+');
            }
        }
        if let Some(digit) = self.rest.chars().next().filter(char::is_ascii_digit) {
            self.rest = &self.rest[1..];
            self.digits.push(digit);
        }
    }

    fn finish(self) -> String {
        format!("{}{}", if self.negative { "-" } else { " " }, self.digits)
    }
}
