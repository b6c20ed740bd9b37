//! Values of SQL as JSON: `to_json`, and what builds on it.

use super::tree::quote_into;
use crate::value::datetime::{self, print_date, print_timestamp};
use crate::value::{Env, SqlType, Value, print};

/// The JSON text of a value: `to_json`.
///
/// Numbers, booleans and JSON stay what they are, arrays become arrays, all others become strings; times have `T` between
/// their parts, as in ISO 8601.
#[must_use]
pub fn to_json(value: &Value, ty: &SqlType, env: &Env) -> String {
    let text = match value {
        Value::Null => return "null".to_owned(),
        Value::Bool(value) => return value.to_string(),
        Value::Json(text) | Value::Jsonb(text) => return text.to_string(),
        Value::Array(values) => return array_to_json(values, ty, env),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) | Value::Float4(_) | Value::Float8(_) | Value::Numeric(_) => {
            let text = print(value, ty, env);
            // `NaN` and the infinities are no numbers of JSON.
            if text.ends_with(|c: char| c.is_ascii_digit()) {
                return text;
            }
            text
        }
        Value::Date(days) => print_date(*days),
        Value::Timestamp(local) => with_t(print_timestamp(*local)),
        Value::Timestamptz(instant) => {
            let text = with_t(datetime::print_timestamptz(*instant, &env.zone));
            with_minutes(text)
        }
        value => print(value, ty, env),
    };
    let mut out = String::new();
    quote_into(&text, &mut out);
    out
}

fn array_to_json(values: &[Value], ty: &SqlType, env: &Env) -> String {
    let element = ty.element().unwrap_or(ty);
    let elements: Vec<String> = values.iter().map(|value| to_json(value, element, env)).collect();
    format!("[{}]", elements.join(","))
}

/// `T` instead of the space between date and time.
fn with_t(text: String) -> String {
    text.replacen(' ', "T", 1)
}

/// The distance from UTC always with its minutes.
fn with_minutes(text: String) -> String {
    let (time, era) = text.strip_suffix(" BC").map_or((text.as_str(), ""), |time| (time, " BC"));
    match time.rfind(['+', '-']) {
        Some(sign) if time.contains('T') && time.len() - sign == 3 => format!("{time}:00{era}"),
        _ => text,
    }
}
