//! Templates of numbers: `9,990.99MI`.
//!
//! Source: `NUMDesc_prepare` of PostgreSQL 15's formatting.c.

use annulus_relation::{SqlError, SqlResult, SqlState};

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `9`
    Digit,
    /// `0`
    Zero,
    /// `.` or `D`
    Point,
    /// `,` or `G`
    Group,
    /// `S`
    Sign,
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    PlusMinus,
    /// `PR`
    Brackets,
    /// `TH`, in upper case or not
    Ordinal(bool),
    /// `RN`, in upper case or not
    Roman(bool),
    /// `V`
    Shift,
    /// `L`
    Currency,
    /// `EEEE`
    Exponent,
    /// Any other text.
    Literal(char),
    /// `FM`, `B`, `C`, `SP`: they leave no trace of their own.
    Nothing,
}

/// Where `S` puts the sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignPlace {
    /// There is no `S`.
    #[default]
    None,
    /// In front of the number.
    Before,
    /// Behind the number.
    Behind,
}

/// A template read.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// Its parts in order.
    pub parts: Vec<Part>,
    /// Digits in front of the point.
    pub pre: usize,
    /// Digits behind the point.
    pub post: usize,
    /// Digits behind `V`.
    pub shift: usize,
    /// The first `0`, counted from 1; 0 is none.
    pub zero_start: usize,
    /// Where the last `0` stands.
    pub zero_end: usize,
    /// Where `S` stands.
    pub sign: SignPlace,
    /// Digits in front of `S`.
    pub before_sign: usize,
    /// `FM`
    pub fill: bool,
    /// There is a point.
    pub point: bool,
    /// There is a `0` in front of the point.
    pub zero: bool,
    /// `PR`
    pub brackets: bool,
    /// `MI` or `SG`
    pub minus: bool,
    /// `PL` or `SG`
    pub plus: bool,
    /// `V`
    pub shifted: bool,
    /// `EEEE`
    pub exponent: bool,
    /// `RN`
    pub roman: bool,
}

const KEYWORDS: &[(&str, Part)] = &[
    ("EEEE", Part::Exponent),
    ("FM", Part::Nothing),
    ("MI", Part::Minus),
    ("PL", Part::Plus),
    ("PR", Part::Brackets),
    ("RN", Part::Roman(true)),
    ("SG", Part::PlusMinus),
    ("SP", Part::Nothing),
    ("TH", Part::Ordinal(true)),
    (",", Part::Group),
    (".", Part::Point),
    ("0", Part::Zero),
    ("9", Part::Digit),
    ("B", Part::Nothing),
    ("C", Part::Nothing),
    ("D", Part::Point),
    ("G", Part::Group),
    ("L", Part::Currency),
    ("S", Part::Sign),
    ("V", Part::Shift),
];

fn keyword(rest: &str) -> Option<(usize, &'static str, Part)> {
    for (word, part) in KEYWORDS {
        if rest.starts_with(word) {
            return Some((word.len(), word, part.clone()));
        }
        if rest.starts_with(&word.to_ascii_lowercase()) {
            let lower = match part {
                Part::Ordinal(_) => Part::Ordinal(false),
                Part::Roman(_) => Part::Roman(false),
                other => other.clone(),
            };
            return Some((word.len(), word, lower));
        }
    }
    None
}

fn wrong(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Template {
    /// Reads a template.
    pub fn parse(mut rest: &str) -> SqlResult<Self> {
        let mut template = Self::default();
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                rest = template.quoted(&rest[1..]);
            } else if let Some(escaped) = rest.strip_prefix("\\\"") {
                template.parts.push(Part::Literal('"'));
                rest = escaped;
            } else if let Some((length, word, part)) = keyword(rest) {
                template.fill |= word == "FM";
                template.add(part)?;
                rest = &rest[length..];
            } else {
                template.parts.push(Part::Literal(first));
                rest = &rest[first.len_utf8()..];
            }
        }
        Ok(template)
    }

    fn quoted<'r>(&mut self, text: &'r str) -> &'r str {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => self.parts.push(Part::Literal(characters.next().unwrap_or('\\'))),
                other => self.parts.push(Part::Literal(other)),
            }
        }
        characters.as_str()
    }

    fn add(&mut self, part: Part) -> SqlResult<()> {
        if self.exponent && part != Part::Exponent {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        match part {
            Part::Digit | Part::Zero if self.brackets => {
                let digit = if part == Part::Digit { 9 } else { 0 };
                return Err(wrong(&format!("\"{digit}\" must be ahead of \"PR\"")));
            }
            Part::Digit if self.shifted => self.shift += 1,
            Part::Digit if self.point => self.post += 1,
            Part::Digit => self.pre += 1,
            Part::Zero => self.add_zero(),
            Part::Point if self.point => return Err(wrong("multiple decimal points")),
            Part::Point | Part::Shift if self.shifted || (self.point && part == Part::Shift) => {
                return Err(wrong("cannot use \"V\" and decimal point together"));
            }
            Part::Point => self.point = true,
            Part::Shift => self.shifted = true,
            Part::Sign => self.add_sign()?,
            Part::Minus | Part::Plus | Part::PlusMinus if self.sign != SignPlace::None => {
                let name = match part {
                    Part::Minus => "MI",
                    Part::Plus => "PL",
                    _ => "SG",
                };
                return Err(wrong(&format!("cannot use \"S\" and \"{name}\" together")));
            }
            Part::Minus => self.minus = true,
            Part::Plus => self.plus = true,
            Part::PlusMinus => (self.minus, self.plus) = (true, true),
            Part::Brackets if self.sign != SignPlace::None || self.plus || self.minus => {
                return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
            }
            Part::Brackets => self.brackets = true,
            Part::Roman(_) => self.roman = true,
            Part::Exponent => self.add_exponent()?,
            _ => {}
        }
        self.parts.push(part);
        Ok(())
    }

    fn add_zero(&mut self) {
        if !self.zero && !self.point {
            (self.zero, self.zero_start) = (true, self.pre + 1);
        }
        if self.point {
            self.post += 1;
        } else {
            self.pre += 1;
        }
        self.zero_end = self.pre + self.post;
    }

    fn add_sign(&mut self) -> SqlResult<()> {
        if self.sign != SignPlace::None {
            return Err(wrong("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.brackets {
            return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        if self.point {
            self.sign = SignPlace::Behind;
        } else {
            (self.sign, self.before_sign) = (SignPlace::Before, self.pre);
        }
        Ok(())
    }

    fn add_exponent(&mut self) -> SqlResult<()> {
        if self.exponent {
            return Err(wrong("cannot use \"EEEE\" twice"));
        }
        let clash = self.fill
            || self.sign != SignPlace::None
            || self.brackets
            || self.minus
            || self.plus
            || self.roman
            || self.shifted;
        if clash {
            return Err(wrong("\"EEEE\" is incompatible with other formats")
                .detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
        }
        self.exponent = true;
        Ok(())
    }
}
