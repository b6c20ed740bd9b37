//! Concatenation.

use annulus_relation::{SqlResult, SqlType, Value};

use super::super::super::eval::cast;
use super::super::super::objects::print_value;
use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{check_length, string, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("||(text,text) text", join),
    entry("||(text,anynonarray) text", join_any).stable(),
    entry("||(anynonarray,text) text", join_any).stable(),
    entry("concat(variadic any) text", concat).stable().lenient(),
    entry("concat_ws(text,variadic any) text", concat_ws).stable().lenient(),
];

/// An argument as its type prints it.
pub(super) fn as_text(site: &Site<'_>, index: usize, value: &Value) -> String {
    print_value(value, site.arg(index), site.cx)
}

/// An argument as a conversion to text makes it, which for some types is not what they print.
pub(super) fn converted(site: &Site<'_>, index: usize, value: &Value) -> SqlResult<Value> {
    cast(value.clone(), site.arg(index), &SqlType::Text, true, site.cx)
}

fn join(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (left, right) = (text(args, 0)?, text(args, 1)?);
    check_length(left.len() + right.len())?;
    string([left, right].concat())
}

/// What is no text is cast to text.
fn join_any(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    join(site, &[converted(site, 0, &args[0])?, converted(site, 1, &args[1])?])
}

fn concat(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    joined(site, args, 0, "")
}

fn concat_ws(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    joined(site, args, 1, text(args, 0)?)
}

fn joined(site: &Site<'_>, args: &[Value], from: usize, separator: &str) -> SqlResult<Value> {
    let parts = args.iter().enumerate().skip(from).filter(|(_, value)| !value.is_null());
    let parts: Vec<String> = parts.map(|(index, value)| as_text(site, index, value)).collect();
    check_length(parts.iter().map(|part| part.len() + separator.len()).sum())?;
    string(parts.join(separator))
}
