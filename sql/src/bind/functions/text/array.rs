//! Strings to arrays and back.

use annulus_relation::{SqlResult, SqlType, Value};

use super::super::super::objects::print_value;
use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{array, check_length, string, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("string_to_array(text,text) text[]", split).lenient(),
    entry("string_to_array(text,text,text) text[]", split).lenient(),
    entry("array_to_string(anyarray,text) text", join).stable(),
    entry("array_to_string(anyarray,text,text) text", join).stable().lenient(),
];

fn split(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let base = text(args, 0)?;
    let null = if args.len() > 2 && !args[2].is_null() { Some(text(args, 2)?) } else { None };
    let element = |part: &str| if null == Some(part) { Value::Null } else { Value::text(part) };
    let parts: Vec<Value> = if base.is_empty() {
        Vec::new()
    } else if args[1].is_null() {
        base.chars().map(|c| element(c.encode_utf8(&mut [0; 4]))).collect()
    } else {
        match text(args, 1)? {
            "" => vec![element(base)],
            separator => base.split(separator).map(element).collect(),
        }
    };
    Ok(Value::Array(parts.into()))
}

fn join(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() || args[1].is_null() {
        return Ok(Value::Null);
    }
    let separator = text(args, 1)?;
    let null = if args.len() > 2 && !args[2].is_null() { Some(text(args, 2)?) } else { None };
    let element = site.arg(0).element().unwrap_or(&SqlType::Text);
    let print = |value: &Value| match value {
        Value::Null => null.map(ToOwned::to_owned),
        value => Some(print_value(value, element, site.cx)),
    };
    let parts: Vec<String> = array(args, 0)?.iter().filter_map(print).collect();
    check_length(parts.iter().map(|part| part.len() + separator.len()).sum())?;
    string(parts.join(separator))
}
