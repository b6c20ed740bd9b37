//! JSON from values.

use annulus_relation::value::json::{self, Json, Kind};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::super::super::objects::print_value;
use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{boolean, check_length, text, texts};
use super::wrong;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("to_json(anyelement) json", |s, a| Ok(Value::Json(json_of(s, a, 0).into()))).stable(),
    entry("to_jsonb(anyelement) jsonb", |s, a| normal(&json_of(s, a, 0))).stable(),
    entry("array_to_json(anyarray) json", |s, a| Ok(Value::Json(json_of(s, a, 0).into()))).stable(),
    entry("array_to_json(anyarray,bool) json", |s, a| pretty(json_of(s, a, 0), boolean(a, 1)?)).stable(),
    entry("row(text[],variadic any) record", row).stable().lenient(),
    entry("row_to_json(record) json", |_, a| Ok(a[0].clone())),
    entry("row_to_json(record,bool) json", |_, a| pretty(text(a, 0)?.to_owned(), boolean(a, 1)?)),
    entry("json_build_array() json", |s, a| Ok(Value::Json(build_array(s, a)?.into()))).stable().lenient(),
    entry("json_build_array(variadic any) json", |s, a| Ok(Value::Json(build_array(s, a)?.into()))).stable().lenient(),
    entry("jsonb_build_array() jsonb", |s, a| normal(&build_array(s, a)?)).stable().lenient(),
    entry("jsonb_build_array(variadic any) jsonb", |s, a| normal(&build_array(s, a)?)).stable().lenient(),
    entry("json_build_object() json", |s, a| Ok(Value::Json(build_object(s, a)?.into()))).stable().lenient(),
    entry("json_build_object(variadic any) json", |s, a| Ok(Value::Json(build_object(s, a)?.into())))
        .stable()
        .lenient(),
    entry("jsonb_build_object() jsonb", |s, a| normal(&build_object(s, a)?)).stable().lenient(),
    entry("jsonb_build_object(variadic any) jsonb", |s, a| normal(&build_object(s, a)?)).stable().lenient(),
    entry("json_object(text[]) json", |_, a| object_text(members(a)?)),
    entry("json_object(text[],text[]) json", |_, a| object_text(zipped(a)?)),
    entry("jsonb_object(text[]) jsonb", |_, a| Ok(Json::object(members(a)?).into_value())),
    entry("jsonb_object(text[],text[]) jsonb", |_, a| Ok(Json::object(zipped(a)?).into_value())),
];

fn normal(text: &str) -> SqlResult<Value> {
    Ok(Json::parse(text)?.into_value())
}

fn json_of(site: &Site<'_>, args: &[Value], index: usize) -> String {
    match &args[index] {
        Value::Null => "null".into(),
        // Names of objects are the catalog's.
        Value::Oid(_) => json::quote(&print_value(&args[index], site.arg(index), site.cx)),
        value => json::to_json(value, site.arg(index), site.cx.env),
    }
}

fn build_array(site: &Site<'_>, args: &[Value]) -> SqlResult<String> {
    let parts: Vec<String> = (0..args.len()).map(|index| json_of(site, args, index)).collect();
    check_length(parts.iter().map(String::len).sum())?;
    Ok(format!("[{}]", parts.join(", ")))
}

fn build_object(site: &Site<'_>, args: &[Value]) -> SqlResult<String> {
    if !args.len().is_multiple_of(2) {
        let name = site.name();
        return Err(wrong("argument list must have even number of elements")
            .hint(format!("The arguments of {name}() must consist of alternating keys and values.")));
    }
    let member = |index: usize| {
        let key = key(site, args, index)?;
        Ok(format!("{} : {}", json::quote(&key), json_of(site, args, index + 1)))
    };
    let members = (0..args.len()).step_by(2).map(member).collect::<SqlResult<Vec<_>>>()?;
    check_length(members.iter().map(String::len).sum())?;
    Ok(format!("{{{}}}", members.join(", ")))
}

/// A row of fields: their names, then their values.
fn row(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let mut out = String::from("{");
    for (place, name) in texts(args, 0)?.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(&json::quote(name.unwrap_or_default()));
        out.push(':');
        out.push_str(&json_of(site, args, place + 1));
        check_length(out.len())?;
    }
    out.push('}');
    Ok(Value::Json(out.into()))
}

/// JSON with each of its outermost members on a line, if asked for.
fn pretty(compact: String, asked: bool) -> SqlResult<Value> {
    if !asked {
        return Ok(Value::Json(compact.into()));
    }
    let text = match json::parse(&compact)?.kind {
        Kind::Array(elements) => {
            let elements: Vec<&str> = elements.iter().map(|element| element.text).collect();
            format!("[{}]", elements.join(",\n "))
        }
        Kind::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, member)| format!("{}:{}", json::quote(name), member.text)).collect();
            format!("{{{}}}", members.join(",\n "))
        }
        _ => compact,
    };
    Ok(Value::Json(text.into()))
}

/// Members as `json`, in their order.
fn object_text(members: Vec<(String, Json)>) -> SqlResult<Value> {
    let member = |(name, value): (String, Json)| match value {
        Json::String(text) => format!("{} : {}", json::quote(&name), json::quote(&text)),
        _ => format!("{} : null", json::quote(&name)),
    };
    let members: Vec<String> = members.into_iter().map(member).collect();
    check_length(members.iter().map(String::len).sum())?;
    Ok(Value::Json(format!("{{{}}}", members.join(", ")).into()))
}

fn key(site: &Site<'_>, args: &[Value], index: usize) -> SqlResult<String> {
    if args[index].is_null() {
        let binary = site.name().starts_with("jsonb");
        return Err(if binary {
            wrong(&format!("argument {}: key must not be null", index + 1))
        } else {
            wrong(&format!("argument {} cannot be null", index + 1)).hint("Object keys should be text.")
        });
    }
    match site.arg(index) {
        SqlType::Array(_)
        | SqlType::Int2Vector
        | SqlType::OidVector
        | SqlType::Json
        | SqlType::Jsonb
        | SqlType::Record => Err(wrong("key value must be scalar, not array, composite, or json")),
        // These are written as JSON has them.
        SqlType::Bool | SqlType::Date | SqlType::Timestamp(_) | SqlType::Timestamptz(_) => {
            Ok(json_of(site, args, index).trim_matches('"').to_owned())
        }
        ty => Ok(print_value(&args[index], ty, site.cx)),
    }
}

fn null_key() -> SqlError {
    SqlError::new(SqlState("22004"), "null value not allowed for object key")
}

fn string(text: Option<&str>) -> Json {
    text.map_or(Json::Null, |text| Json::String(text.into()))
}

/// Keys and values in turn.
fn members(args: &[Value]) -> SqlResult<Vec<(String, Json)>> {
    let texts = texts(args, 0)?;
    if !texts.len().is_multiple_of(2) {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "array must have even number of elements"));
    }
    texts.chunks(2).map(|pair| Ok((pair[0].ok_or_else(null_key)?.to_owned(), string(pair[1])))).collect()
}

/// Keys, and as many values.
fn zipped(args: &[Value]) -> SqlResult<Vec<(String, Json)>> {
    let (keys, values) = (texts(args, 0)?, texts(args, 1)?);
    if keys.len() != values.len() {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions"));
    }
    keys.into_iter().zip(values).map(|(key, value)| Ok((key.ok_or_else(null_key)?.to_owned(), string(value)))).collect()
}
