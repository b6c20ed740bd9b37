//! JSON changed.

use annulus_relation::value::json::{self, Json, Kind};
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{boolean, check_length, int4, text, texts};
use super::{tree, wrong};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("||(jsonb,jsonb) jsonb", |_, a| Ok(tree(a, 0)?.concat(tree(a, 1)?).into_value())),
    entry("-(jsonb,text) jsonb", |_, a| made(tree(a, 0)?.without(&[text(a, 1)?]))),
    entry("-(jsonb,int4) jsonb", |_, a| made(tree(a, 0)?.without_element(int4(a, 1)?))),
    entry("-(jsonb,text[]) jsonb", |_, a| {
        let keys: Vec<&str> = texts(a, 1)?.into_iter().flatten().collect();
        made(tree(a, 0)?.without(&keys))
    }),
    entry("#-(jsonb,text[]) jsonb", |_, a| made(tree(a, 0)?.without_path(&texts(a, 1)?))),
    entry("jsonb_delete_path(jsonb,text[]) jsonb", |_, a| made(tree(a, 0)?.without_path(&texts(a, 1)?))),
    entry("jsonb_set(jsonb,text[],jsonb) jsonb", set),
    entry("jsonb_set(jsonb,text[],jsonb,bool) jsonb", set),
    entry("jsonb_set_lax(jsonb,text[],jsonb) jsonb", set_lax).lenient(),
    entry("jsonb_set_lax(jsonb,text[],jsonb,bool) jsonb", set_lax).lenient(),
    entry("jsonb_set_lax(jsonb,text[],jsonb,bool,text) jsonb", set_lax).lenient(),
    entry("jsonb_insert(jsonb,text[],jsonb) jsonb", insert),
    entry("jsonb_insert(jsonb,text[],jsonb,bool) jsonb", insert),
    entry("assigned element(jsonb,jsonb,text[],bool) jsonb", assign).lenient(),
    entry("jsonb_strip_nulls(jsonb) jsonb", |_, a| Ok(tree(a, 0)?.strip_nulls().into_value())),
    entry("json_strip_nulls(json) json", |_, a| {
        let mut out = String::new();
        stripped(&json::parse(text(a, 0)?)?, &mut out);
        Ok(Value::Json(out.into()))
    }),
];

/// What was changed, unless it became too long, or so deep that nobody could read it again.
fn made(changed: SqlResult<Json>) -> SqlResult<Value> {
    let text = changed?.checked()?.print();
    check_length(text.len())?;
    Ok(Value::Jsonb(text.into()))
}

fn set(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let create = args.len() < 4 || boolean(args, 3)?;
    made(tree(args, 0)?.set(&texts(args, 1)?, &tree(args, 2)?, create))
}

/// What `jsonb_set_lax` does for NULL.
const TREATMENTS: &str =
    "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"";

/// As `jsonb_set`; the last argument says what NULL as the new value means.
fn set_lax(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if [0, 1, 3].into_iter().filter_map(|place| args.get(place)).any(Value::is_null) {
        return Ok(Value::Null);
    }
    if args.get(4).is_some_and(Value::is_null) {
        return Err(wrong(TREATMENTS));
    }
    let create = args.len() < 4 || boolean(args, 3)?;
    let path = texts(args, 1)?;
    if !args[2].is_null() {
        return made(tree(args, 0)?.set(&path, &tree(args, 2)?, create));
    }
    match if args.len() > 4 { text(args, 4)? } else { "use_json_null" } {
        "use_json_null" => made(tree(args, 0)?.set(&path, &Json::Null, create)),
        "delete_key" => made(tree(args, 0)?.without_path(&path)),
        "return_target" => Ok(args[0].clone()),
        "raise_exception" => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
            .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .hint(
                "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
            )),
        _ => Err(wrong(TREATMENTS)),
    }
}

/// `SET column[path] = value`; whether an array or an object is made of no document.
fn assign(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let path: Option<Vec<&str>> = texts(args, 2)?.into_iter().collect();
    let path = path.ok_or_else(|| {
        SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "jsonb subscript in assignment must not be null")
    })?;
    let new = if args[1].is_null() { Json::Null } else { tree(args, 1)? };
    let old = match (args[0].is_null(), boolean(args, 3)?) {
        (false, _) => tree(args, 0)?,
        (true, true) => Json::Array(Vec::new()),
        (true, false) => Json::Object(Vec::new()),
    };
    made(old.assign(&path, &new))
}

fn insert(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let after = args.len() > 3 && boolean(args, 3)?;
    made(tree(args, 0)?.insert(&texts(args, 1)?, &tree(args, 2)?, after))
}

/// The document without members that are null, and without white space.
fn stripped(node: &json::Node<'_>, out: &mut String) {
    match &node.kind {
        Kind::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                stripped(element, out);
            }
            out.push(']');
        }
        Kind::Object(members) => {
            out.push('{');
            let kept = members.iter().filter(|(_, member)| !matches!(member.kind, Kind::Null));
            for (index, (key, member)) in kept.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&json::quote(key));
                out.push(':');
                stripped(member, out);
            }
            out.push('}');
        }
        _ => out.push_str(node.text),
    }
}
