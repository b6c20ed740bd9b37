//! Parts of JSON, and questions about it.

use annulus_relation::value::json::{self, Json, Kind};
use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{count, int4, string, text, texts};
use super::{optional, optional_text, path, path_of, tree, wrong};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("->(jsonb,text) jsonb", |_, a| Ok(optional(tree(a, 0)?.member(text(a, 1)?)))),
    entry("->(jsonb,int4) jsonb", |_, a| Ok(optional(tree(a, 0)?.element(int4(a, 1)?)))),
    entry("->>(jsonb,text) text", |_, a| Ok(optional_text(tree(a, 0)?.member(text(a, 1)?).and_then(Json::as_text)))),
    entry("->>(jsonb,int4) text", |_, a| Ok(optional_text(tree(a, 0)?.element(int4(a, 1)?).and_then(Json::as_text)))),
    entry("#>(jsonb,text[]) jsonb", at_path),
    entry("#>>(jsonb,text[]) text", text_at_path),
    entry("jsonb_extract_path_array(jsonb,text[]) jsonb", at_path),
    entry("jsonb_extract_path(jsonb,variadic text) jsonb", |_, a| {
        let document = tree(a, 0)?;
        Ok(path_of(&a[1..])?.map_or(Value::Null, |path| optional(document.at_path(&path))))
    }),
    entry("jsonb_extract_path_text(jsonb,variadic text) text", |_, a| {
        let document = tree(a, 0)?;
        let found = path_of(&a[1..])?.and_then(|path| document.at_path(&path).and_then(Json::as_text));
        Ok(optional_text(found))
    }),
    entry("->(json,text) json", |_, a| part(a, |node| node.member(text(a, 1).unwrap_or_default()))),
    entry("->(json,int4) json", |_, a| part(a, |node| node.element(int4(a, 1).unwrap_or_default()))),
    entry("->>(json,text) text", |_, a| text_of(a, |node| node.member(text(a, 1).unwrap_or_default()))),
    entry("->>(json,int4) text", |_, a| text_of(a, |node| node.element(int4(a, 1).unwrap_or_default()))),
    entry("#>(json,text[]) json", |_, a| {
        let path = path(a, 1)?;
        part(a, |node| walk(node, path.as_deref()))
    }),
    entry("#>>(json,text[]) text", |_, a| {
        let path = path(a, 1)?;
        text_of(a, |node| walk(node, path.as_deref()))
    }),
    entry("json_extract_path(json,variadic text) json", |_, a| {
        let path = path_of(&a[1..])?;
        part(a, |node| walk(node, path.as_deref()))
    }),
    entry("json_extract_path_text(json,variadic text) text", |_, a| {
        let path = path_of(&a[1..])?;
        text_of(a, |node| walk(node, path.as_deref()))
    }),
    entry("@>(jsonb,jsonb) bool", |_, a| Ok(Value::Bool(tree(a, 0)?.contains(&tree(a, 1)?)))),
    entry("<@(jsonb,jsonb) bool", |_, a| Ok(Value::Bool(tree(a, 1)?.contains(&tree(a, 0)?)))),
    entry("?(jsonb,text) bool", |_, a| Ok(Value::Bool(tree(a, 0)?.has(text(a, 1)?)))),
    entry("?|(jsonb,text[]) bool", |_, a| {
        let document = tree(a, 0)?;
        Ok(Value::Bool(texts(a, 1)?.into_iter().flatten().any(|key| document.has(key))))
    }),
    entry("?&(jsonb,text[]) bool", |_, a| {
        let document = tree(a, 0)?;
        Ok(Value::Bool(texts(a, 1)?.into_iter().flatten().all(|key| document.has(key))))
    }),
    entry("jsonb_typeof(jsonb) text", |_, a| string(tree(a, 0)?.type_name())),
    entry("json_typeof(json) text", |_, a| {
        string(match json::parse(text(a, 0)?)?.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Number => "number",
            Kind::String(_) => "string",
            Kind::Array(_) => "array",
            Kind::Object(_) => "object",
        })
    }),
    entry("jsonb_array_length(jsonb) int4", |_, a| match tree(a, 0)? {
        Json::Array(elements) => count(elements.len()),
        Json::Object(_) => Err(wrong("cannot get array length of a non-array")),
        _ => Err(wrong("cannot get array length of a scalar")),
    }),
    entry("json_array_length(json) int4", |_, a| match json::parse(text(a, 0)?)?.kind {
        Kind::Array(elements) => count(elements.len()),
        Kind::Object(_) => Err(wrong("cannot get array length of a non-array")),
        _ => Err(wrong("cannot get array length of a scalar")),
    }),
    entry("jsonb_pretty(jsonb) text", |_, a| string(tree(a, 0)?.pretty())),
];

fn at_path(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let document = tree(args, 0)?;
    Ok(path(args, 1)?.map_or(Value::Null, |path| optional(document.at_path(&path))))
}

fn text_at_path(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let document = tree(args, 0)?;
    let found = path(args, 1)?.and_then(|path| document.at_path(&path).and_then(Json::as_text));
    Ok(optional_text(found))
}

fn walk<'n, 't>(node: &'n json::Node<'t>, path: Option<&[&str]>) -> Option<&'n json::Node<'t>> {
    path?.iter().try_fold(node, |node, step| node.step(step))
}

/// A part of a `json` argument, as it was written.
fn part(
    args: &[Value],
    find: impl for<'n, 't> FnOnce(&'n json::Node<'t>) -> Option<&'n json::Node<'t>>,
) -> SqlResult<Value> {
    let document = json::parse(text(args, 0)?)?;
    Ok(find(&document).map_or(Value::Null, |found| Value::Json(found.text.into())))
}

/// A part of a `json` argument as text.
fn text_of(
    args: &[Value],
    find: impl for<'n, 't> FnOnce(&'n json::Node<'t>) -> Option<&'n json::Node<'t>>,
) -> SqlResult<Value> {
    let document = json::parse(text(args, 0)?)?;
    Ok(optional_text(find(&document).and_then(json::Node::as_text)))
}
