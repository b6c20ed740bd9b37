//! `to_char` of numbers.
//!
//! Source: `NUM_processor` and `NUM_numpart_to_char` of PostgreSQL 15's formatting.c, of which this keeps the order of
//! decisions: blanks, signs and trailing zeros follow from it in ways that no manual describes.

use annulus_relation::value::Numeric;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{float, integer, numeric, string, text};
use super::number_template::{Part, SignPlace, Template};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("to_char(int4,text) text", of_integer).stable(),
    entry("to_char(int8,text) text", of_integer).stable(),
    entry("to_char(numeric,text) text", of_numeric).stable(),
    entry("to_char(float4,text) text", of_float4).stable(),
    entry("to_char(float8,text) text", of_float).stable(),
];

/// How many digits a floating-point number of 32 bits surely has.
const FLOAT4_DIGITS: usize = 6;
/// How many digits one of 64 bits surely has.
const FLOAT8_DIGITS: usize = 15;
/// As many digits as a template may ask for: they are all made.
const MAX_DIGITS: usize = 1000;

fn template(args: &[Value]) -> SqlResult<Template> {
    let template = Template::parse(text(args, 1)?)?;
    if template.pre + template.post + template.shift > MAX_DIGITS {
        return Err(SqlError::unsupported("a number template of more than 1000 digits"));
    }
    Ok(template)
}

fn of_integer(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let template = template(args)?;
    let number = integer(args, 0)?;
    if template.exponent {
        #[expect(clippy::cast_precision_loss, reason = "as PostgreSQL does")]
        return string(scientific(number as f64, template.post));
    }
    exact(template, &Numeric::from(number))
}

fn of_numeric(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (template, number) = (template(args)?, numeric(args, 0)?);
    if template.exponent {
        return match number {
            Numeric::Finite(_) => string(scientific_numeric(number, template.post)?),
            _ => string(without_exponent(&template)),
        };
    }
    exact(template, number)
}

fn exact(mut template: Template, number: &Numeric) -> SqlResult<Value> {
    if template.roman {
        let rounded = number.round(0).and_then(|rounded| rounded.to_i64()).unwrap_or(0);
        return render(&mut template, &roman(rounded), '+', 0);
    }
    let number = shifted(&mut template, number)?;
    let places = i32::try_from(template.post).unwrap_or(i32::MAX);
    let digits = number.round(places)?.print();
    signed(&mut template, &digits)
}

fn shifted(template: &mut Template, number: &Numeric) -> SqlResult<Numeric> {
    if !template.shifted {
        return Ok(number.clone());
    }
    let factor = Numeric::from(10i64).power(&Numeric::from(i64::try_from(template.shift).unwrap_or(0)))?;
    template.pre += template.shift;
    number.mul(&factor)
}

fn of_float4(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    of_float_with(args, FLOAT4_DIGITS)
}

fn of_float(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    of_float_with(args, FLOAT8_DIGITS)
}

fn of_float_with(args: &[Value], sure: usize) -> SqlResult<Value> {
    let (mut template, number) = (template(args)?, float(args, 0)?);
    if template.exponent {
        return string(if number.is_finite() {
            scientific(number, template.post)
        } else {
            without_exponent(&template)
        });
    }
    if template.roman {
        return exact(template, &Numeric::from_f64(number)?);
    }
    let number = if template.shifted {
        template.pre += template.shift;
        number * 10f64.powi(i32::try_from(template.shift).unwrap_or(0))
    } else {
        number
    };
    let text = |places: usize| {
        Ok(if number.is_finite() { format!("{number:.places$}") } else { Numeric::from_f64(number)?.print() })
    };
    let whole = text(0)?.trim_start_matches('-').len();
    template.post = template.post.min(sure.saturating_sub(whole));
    let digits = text(template.post)?;
    signed(&mut template, &digits)
}

/// `9.99EEEE`: a digit, a point, the exponent with its sign and at least two digits; a blank where no minus is.
fn scientific(number: f64, places: usize) -> String {
    let text = format!("{:.places$e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    let minus = if number.is_sign_negative() { '-' } else { ' ' };
    format!("{minus}{mantissa}e{sign}{exponent:0>2}")
}

/// As [`scientific`], of more digits than a floating-point number has.
fn scientific_numeric(number: &Numeric, places: usize) -> SqlResult<String> {
    let Some(exponent) = exponent(number) else { return Ok(scientific(0.0, places)) };
    let scale = i64::try_from(places).unwrap_or(i64::MAX) - exponent;
    let rounded = number.round(i32::try_from(scale).unwrap_or(i32::MAX))?;
    let text = rounded.print();
    let digits: String = text.chars().filter(char::is_ascii_digit).skip_while(|digit| *digit == '0').collect();
    // Where rounding makes it a power of ten more, two digits stand in front of the point.
    let whole = if self::exponent(&rounded).is_some_and(|rounded| rounded > exponent) { 2 } else { 1 };
    let digits: String = digits.chars().chain(std::iter::repeat('0')).take(places + whole).collect();
    let (first, rest) = digits.split_at(whole);
    let point = if places > 0 { "." } else { "" };
    let (minus, sign) = (if text.starts_with('-') { '-' } else { ' ' }, if exponent < 0 { '-' } else { '+' });
    Ok(format!("{minus}{first}{point}{rest}e{sign}{:02}", exponent.abs()))
}

/// The power of ten of a number's first digit; none of 0.
fn exponent(number: &Numeric) -> Option<i64> {
    let text = number.print();
    let digits = text.trim_start_matches('-');
    let point = digits.find('.').unwrap_or(digits.len());
    let first = digits.find(|digit: char| matches!(digit, '1'..='9'))?;
    let distance = i64::try_from(point.abs_diff(first)).unwrap_or(i64::MAX);
    Some(if first < point { distance - 1 } else { -distance })
}

/// What has no exponent, an infinity: there are places for the exponent too.
fn without_exponent(template: &Template) -> String {
    format!(" {}.{}", "#".repeat(template.pre), "#".repeat(template.post + 4))
}

/// A number that does not fit: `##.##`.
fn overflowing(template: &Template, before: &str) -> String {
    format!("{before}{}.{}", "#".repeat(template.pre), "#".repeat(template.post))
}

fn roman(number: i64) -> String {
    const DIGITS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..=3999).contains(&number) {
        return "#".repeat(15);
    }
    let mut rest = number;
    let mut result = String::new();
    for (value, digits) in DIGITS {
        while rest >= value {
            result.push_str(digits);
            rest -= value;
        }
    }
    result
}

fn signed(template: &mut Template, digits: &str) -> SqlResult<Value> {
    let (sign, digits) = digits.strip_prefix('-').map_or(('+', digits), |digits| ('-', digits));
    let whole = digits.find('.').unwrap_or(digits.len());
    if whole > template.pre {
        let digits = overflowing(template, "");
        return render(template, &digits, sign, 0);
    }
    let blanks = template.pre - whole;
    render(template, digits, sign, blanks)
}

/// The state of writing a number by its template.
struct Writer<'a> {
    template: &'a Template,
    number: &'a [u8],
    /// The next character of the number.
    at: usize,
    sign: char,
    sign_written: bool,
    sign_place: SignPlace,
    brackets: bool,
    /// Places of the template in front of the number's first digit.
    blanks: usize,
    /// Places of the template so far.
    place: usize,
    places: usize,
    /// Whether a digit has been written.
    inside: bool,
    /// The last character of the number that `FM` keeps.
    last: Option<usize>,
    out: String,
}

fn render(template: &mut Template, number: &str, sign: char, blanks: usize) -> SqlResult<Value> {
    template.zero_start = template.zero_start.saturating_sub(1);
    let mut brackets = template.brackets;
    let mut sign_place = template.sign;
    let sign_written = if template.plus || template.minus {
        !template.plus || template.minus
    } else {
        brackets &= sign == '-' || !template.fill;
        if sign_place == SignPlace::Before && template.pre == template.before_sign {
            sign_place = SignPlace::Behind;
        }
        sign == '+' && template.fill && template.sign == SignPlace::None
    };
    let last = if template.fill && template.point { last_relevant(template, number, blanks) } else { None };
    let places = (template.post + template.pre).saturating_sub(1) + usize::from(!sign_written && blanks == 0);
    let mut writer = Writer {
        template,
        number: number.as_bytes(),
        at: 0,
        sign,
        sign_written,
        sign_place,
        brackets,
        blanks,
        place: 0,
        places,
        inside: false,
        last,
        out: String::new(),
    };
    for part in &template.parts {
        writer.part(part)?;
    }
    string(writer.out)
}

/// Trailing zeros go, but not those for which the template has a `0`.
fn last_relevant(template: &Template, number: &str, blanks: usize) -> Option<usize> {
    let point = number.find('.')?;
    let last = number.rfind(|c| c != '0').filter(|last| *last >= point).unwrap_or(point);
    if template.zero_end > blanks {
        return Some(last.max((number.len() - 1).min(template.zero_end - blanks)));
    }
    Some(last)
}

impl Writer<'_> {
    fn part(&mut self, part: &Part) -> SqlResult<()> {
        let fill = self.template.fill;
        match part {
            Part::Digit | Part::Zero | Part::Point => self.digit(part),
            Part::Group if self.inside => self.out.push(','),
            Part::Group if fill => {}
            Part::Group | Part::Currency => self.out.push(' '),
            Part::Minus if self.sign == '-' => self.out.push('-'),
            Part::Plus if self.sign == '+' => self.out.push('+'),
            Part::Minus | Part::Plus if fill => {}
            Part::Minus | Part::Plus => self.out.push(' '),
            Part::PlusMinus => self.out.push(self.sign),
            Part::Ordinal(upper) => self.ordinal(*upper)?,
            Part::Roman(upper) => {
                let digits = String::from_utf8_lossy(self.number).into_owned();
                let digits = if *upper { digits } else { digits.to_ascii_lowercase() };
                self.out.push_str(&if fill { digits } else { format!("{digits:>15}") });
            }
            Part::Literal(character) => self.out.push(*character),
            Part::Sign | Part::Brackets | Part::Shift | Part::Exponent | Part::Nothing => {}
        }
        Ok(())
    }

    fn ordinal(&mut self, upper: bool) -> SqlResult<()> {
        if self.template.roman || self.number.first() == Some(&b'#') || self.sign == '-' || self.template.point {
            return Ok(());
        }
        let ending = ordinal_ending(&String::from_utf8_lossy(self.number), upper)?;
        self.out.push_str(ending);
        Ok(())
    }

    /// Whether the number is below 1 and its only digit in front of the point is left out.
    fn is_blank_zero(&self) -> bool {
        !self.template.zero && self.at == 0 && self.number.first() == Some(&b'0') && self.template.post != 0
    }

    fn point_is_last(&self) -> bool {
        self.last.is_some_and(|last| self.number[last] == b'.')
    }

    fn write_sign(&mut self) {
        let begun = self.place >= self.blanks || (self.template.zero && self.template.zero_start == self.place);
        if self.sign_written || !begun || (self.is_blank_zero() && !self.point_is_last()) {
            return;
        }
        if self.template.sign != SignPlace::None {
            if self.sign_place == SignPlace::Before {
                self.out.push(self.sign);
                self.sign_written = true;
            }
            return;
        }
        match self.sign {
            '+' if self.brackets || !self.template.fill => self.out.push(' '),
            '+' => {}
            _ => self.out.push(if self.brackets { '<' } else { '-' }),
        }
        self.sign_written = true;
    }

    fn digit(&mut self, part: &Part) {
        if self.template.roman {
            return;
        }
        self.inside = false;
        self.write_sign();
        let leading = self.place < self.blanks;
        let zeros = self.template.zero && self.template.zero_start <= self.place;
        if leading && !zeros {
            if !self.template.fill {
                self.out.push(' ');
            }
        } else if leading {
            self.out.push('0');
            self.inside = true;
        } else {
            self.number_character(part);
        }
        self.close();
        self.place += 1;
    }

    fn number_character(&mut self, part: &Part) {
        match self.number.get(self.at) {
            Some(b'.') if self.point_is_last() && !self.template.fill => {}
            Some(b'.') => self.out.push('.'),
            _ if self.last.is_some_and(|last| self.at > last) && *part != Part::Zero => {}
            _ if self.is_blank_zero() => {
                if !self.template.fill {
                    self.out.push(' ');
                } else if self.point_is_last() {
                    self.out.push('0');
                }
            }
            Some(digit) => {
                self.out.push(char::from(*digit));
                self.inside = true;
            }
            None => {}
        }
        if self.at < self.number.len() {
            self.at += 1;
        }
    }

    /// What stands behind the number's last place: a bracket, or the sign.
    fn close(&mut self) {
        let mut end = self.places + usize::from(self.blanks > 0) + usize::from(self.template.point);
        if self.last == Some(self.at) {
            end = self.place;
        }
        if self.place + 1 != end {
            return;
        }
        if self.sign_written && self.brackets {
            self.out.push(if self.sign == '+' { ' ' } else { '>' });
        } else if self.sign_place == SignPlace::Behind {
            self.out.push(self.sign);
        }
    }
}

/// `st`, `nd`, `rd`, `th`.
pub(super) fn ordinal_ending(number: &str, upper: bool) -> SqlResult<&'static str> {
    let mut digits = number.bytes().rev();
    let last = digits
        .next()
        .filter(u8::is_ascii_digit)
        .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("\"{number}\" is not a number")))?;
    let ending = match (digits.next(), last) {
        (Some(b'1'), _) => ["th", "TH"],
        (_, b'1') => ["st", "ST"],
        (_, b'2') => ["nd", "ND"],
        (_, b'3') => ["rd", "RD"],
        _ => ["th", "TH"],
    };
    Ok(ending[usize::from(upper)])
}
