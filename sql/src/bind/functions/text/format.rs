//! `format`: `%s`, `%I`, `%L`, with positions and widths.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{check_length, invalid, string, text};
use super::concat::as_text;
use super::quote;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("format(text) text", format).stable().lenient(),
    entry("format(text,variadic any) text", format).stable().lenient(),
];

/// A directive: `%[position$][-][width]type`.
#[derive(Default)]
struct Directive {
    position: Option<usize>,
    left: bool,
    width: Option<Width>,
}

enum Width {
    Fixed(i64),
    /// `*` or `*n$`: an argument says it.
    Argument(Option<usize>),
}

fn format(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let mut pattern = text(args, 0)?;
    let mut result = String::new();
    let mut next = 1;
    while let Some(at) = pattern.find('%') {
        result.push_str(&pattern[..at]);
        pattern = &pattern[at + 1..];
        if let Some(rest) = pattern.strip_prefix('%') {
            result.push('%');
            pattern = rest;
            continue;
        }
        let (mut directive, rest) = directive(pattern)?;
        let kind = rest.chars().next().ok_or_else(unterminated)?;
        pattern = &rest[kind.len_utf8()..];
        let width = width(&mut directive, args, &mut next)?;
        let index = directive.position.unwrap_or(next);
        next = index + 1;
        let value = args.get(index).ok_or_else(|| invalid("too few arguments for format()"))?;
        pad(&mut result, &converted(site, index, value, kind)?, width, directive.left)?;
    }
    result.push_str(pattern);
    string(result)
}

fn unterminated() -> SqlError {
    invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".")
}

fn directive(mut rest: &str) -> SqlResult<(Directive, &str)> {
    let mut directive = Directive::default();
    let (number, after) = digits(rest)?;
    if let (Some(number), Some(after)) = (number, after.strip_prefix('$')) {
        directive.position = Some(position(number)?);
        rest = after;
    }
    while let Some(after) = rest.strip_prefix('-') {
        directive.left = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('*') {
        let (number, dollar) = digits(after)?;
        (directive.width, rest) = match (number, dollar.strip_prefix('$')) {
            (Some(number), Some(after)) => (Some(Width::Argument(Some(position(number)?))), after),
            _ => (Some(Width::Argument(None)), after),
        };
    } else {
        let (number, after) = digits(rest)?;
        directive.width = number.map(Width::Fixed);
        rest = after;
    }
    Ok((directive, rest))
}

fn position(number: i64) -> SqlResult<usize> {
    match usize::try_from(number) {
        Ok(0) | Err(_) => Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
        Ok(number) => Ok(number),
    }
}

fn digits(text: &str) -> SqlResult<(Option<i64>, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let number: i32 = text[..end]
        .parse()
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?;
    Ok((Some(i64::from(number)), &text[end..]))
}

/// The width, of which a negative one means to the left.
fn width(directive: &mut Directive, args: &[Value], next: &mut usize) -> SqlResult<usize> {
    let width = match &directive.width {
        None => 0,
        Some(Width::Fixed(width)) => *width,
        Some(Width::Argument(index)) => {
            let index = index.unwrap_or(*next);
            *next = index + 1;
            match args.get(index).ok_or_else(|| invalid("too few arguments for format()"))? {
                Value::Null => 0,
                value => super::super::args::integer(std::slice::from_ref(value), 0)?,
            }
        }
    };
    directive.left |= width < 0;
    Ok(usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX))
}

fn converted(site: &Site<'_>, index: usize, value: &Value, kind: char) -> SqlResult<String> {
    match (kind, value) {
        ('s', Value::Null) => Ok(String::new()),
        ('s', value) => Ok(as_text(site, index, value)),
        ('L', Value::Null) => Ok("NULL".into()),
        ('L', value) => Ok(quote::literal(&as_text(site, index, value))),
        ('I', Value::Null) => {
            Err(SqlError::new(SqlState("22004"), "null values cannot be formatted as an SQL identifier"))
        }
        ('I', value) => Ok(quote::identifier(&as_text(site, index, value))),
        (other, _) => {
            Err(invalid(format!("unrecognized format() type specifier \"{other}\""))
                .hint("For a single \"%\" use \"%%\"."))
        }
    }
}

fn pad(result: &mut String, part: &str, width: usize, left: bool) -> SqlResult<()> {
    let missing = width.saturating_sub(part.chars().count());
    check_length(result.len().saturating_add(part.len()).saturating_add(missing))?;
    let fill = " ".repeat(missing);
    if left {
        result.push_str(part);
        result.push_str(&fill);
    } else {
        result.push_str(&fill);
        result.push_str(part);
    }
    Ok(())
}
