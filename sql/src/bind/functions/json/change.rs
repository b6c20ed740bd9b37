//! JSON changed.

use annulus_relation::value::json::{self, Json, Kind};
use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{boolean, int4, text, texts};
use super::tree;

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
    entry("jsonb_insert(jsonb,text[],jsonb) jsonb", insert),
    entry("jsonb_insert(jsonb,text[],jsonb,bool) jsonb", insert),
    entry("jsonb_strip_nulls(jsonb) jsonb", |_, a| Ok(tree(a, 0)?.strip_nulls().into_value())),
    entry("json_strip_nulls(json) json", |_, a| {
        let mut out = String::new();
        stripped(&json::parse(text(a, 0)?)?, &mut out);
        Ok(Value::Json(out.into()))
    }),
];

fn made(changed: SqlResult<Json>) -> SqlResult<Value> {
    changed.map(Json::into_value)
}

fn set(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let create = args.len() < 4 || boolean(args, 3)?;
    made(tree(args, 0)?.set(&texts(args, 1)?, &tree(args, 2)?, create))
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
